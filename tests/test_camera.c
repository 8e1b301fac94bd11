/* The camera convention, pinned: camera-to-world, x right, y up, looking down -z, pixel centres at +0.5, z
 * up. */
#include "tests/test.h"

#include "nerf/core/camera.h"
#include "nerf/core/rng.h"

static float dot3(const float a[3], const float b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static bool near3(const float a[3], float x, float y, float z, float tolerance) {
    return fabsf(a[0] - x) < tolerance && fabsf(a[1] - y) < tolerance && fabsf(a[2] - z) < tolerance;
}

TEST(camera, azimuth_0_stands_on_plus_x_and_looks_at_the_origin) {
    plx_camera camera = plx_camera_orbit(0, 0, 1.3f, PLX_DEFAULT_FOV, 128, 128);
    float o[3], d[3];
    plx_camera_ray(&camera, 64, 64, o, d);
    /* Single floats near 1: 1e-6. */
    EXPECT(near3(o, 1.3f, 0, 0, 1e-6f), "%g %g %g", o[0], o[1], o[2]);
    EXPECT(near3(d, -1, 0, 0, 1e-6f), "%g %g %g", d[0], d[1], d[2]);
    /* Column-major reading of the axes: right is +y, up is +z, back is +x. */
    float want[12] = {0, 0, 1, 1.3f, 1, 0, 0, 0, 0, 1, 0, 0};
    for (int i = 0; i < 12; i++)
        EXPECT(fabsf(camera.c2w[i] - want[i]) < 1e-6f, "c2w[%d] %g", i, camera.c2w[i]);
    /* Up in the world is up in the image (smaller row), +y is on the right. */
    float px, py, depth;
    EXPECT(plx_camera_project(&camera, (float[]){0, 0.1f, 0.2f}, &px, &py, &depth), "behind");
    EXPECT(px > 64 && py < 64 && fabsf(depth - 1.3f) < 1e-6f, "%g %g %g", px, py, depth);
    /* focal 131.25 px at 128 (architecture.md); the fov constant has 6 digits. */
    EXPECT(fabsf(camera.fx - 131.25f) < 1e-3f && camera.fx == camera.fy, "%g %g", camera.fx, camera.fy);
    EXPECT(fabsf(px - (64 + 131.25f * 0.1f / 1.3f)) < 1e-3f, "%g", px);
    EXPECT(camera.cx == 64 && camera.cy == 64, "%g %g", camera.cx, camera.cy);
}

TEST(camera, angles_come_back) {
    for (int a = -3; a <= 3; a++)
        for (int e = -1; e <= 1; e++) {
            float azimuth = 0.9f * (float)a, elevation = 0.7f * (float)e;
            plx_camera camera = plx_camera_orbit(azimuth, elevation, 2, 1, 64, 48);
            EXPECT(fabsf(plx_camera_azimuth(&camera) - azimuth) < 1e-6f, "%g", plx_camera_azimuth(&camera));
            EXPECT(fabsf(plx_camera_elevation(&camera) - elevation) < 1e-6f, "%g",
                   plx_camera_elevation(&camera));
            EXPECT(fabsf(plx_camera_fov(&camera) - 1) < 1e-6f, "%g", plx_camera_fov(&camera));
            EXPECT(plx_camera_valid(&camera, 1e-6f), "not orthonormal at %g %g", azimuth, elevation);
        }
    plx_camera behind = {.c2w = {[3] = -1, [7] = -0.0f}};
    EXPECT(plx_camera_azimuth(&behind) > 3, "-x with -0 is pi, not %g", plx_camera_azimuth(&behind));
}

TEST(camera, orbit_is_look_at) {
    for (int i = 0; i < 50; i++) {
        plx_rng rng = {5, (uint64_t)i};
        float azimuth = 6 * plx_rng_uniform(rng, 0), elevation = 3 * (plx_rng_uniform(rng, 1) - 0.5f);
        plx_camera orbit = plx_camera_orbit(azimuth, elevation, 1.7f, 0.8f, 32, 24);
        float eye[3];
        plx_camera_position(&orbit, eye);
        plx_camera look = plx_camera_look_at(eye, (float[]){0, 0, 0}, 0.8f, 32, 24);
        /* At 1.5 rad of elevation the horizontal part is 7 % of the whole: 1e-5 allows that loss of digits. */
        for (int k = 0; k < 12; k++)
            EXPECT(fabsf(orbit.c2w[k] - look.c2w[k]) < 1e-5f, "%d c2w[%d] %g %g", i, k, orbit.c2w[k],
                   look.c2w[k]);
    }
}

TEST(camera, poles) {
    for (int sign = -1; sign <= 1; sign += 2) {
        plx_camera orbit = plx_camera_orbit(0.3f, (float)(sign * M_PI / 2), 1, 1, 8, 8);
        EXPECT(plx_camera_valid(&orbit, 1e-6f), "orbit at the pole %d", sign);
        plx_camera look = plx_camera_look_at((float[]){0, 0, (float)sign}, (float[]){0, 0, 0}, 1, 8, 8);
        EXPECT(plx_camera_valid(&look, 1e-6f), "look_at at the pole %d", sign);
        float up[3] = {look.c2w[1], look.c2w[5], look.c2w[9]};
        EXPECT(near3(up, 1, 0, 0, 1e-6f), "x is up when looking along z: %g %g %g", up[0], up[1], up[2]);
    }
}

TEST(camera, ray_through_a_projected_point_returns_it) {
    for (int i = 0; i < 200; i++) {
        plx_rng rng = {11, (uint64_t)i};
        float u[8];
        plx_rng_fill_uniform(rng, u, 8);
        plx_camera camera =
            plx_camera_orbit(6 * u[0], 2.8f * (u[1] - 0.5f), 1.3f + u[2], 0.5f + u[3], 640, 480);
        camera.cx += 17, camera.cy -= 5,
            camera.fx *= 1.25f; /* nothing may assume the middle or square pixels */
        float point[3] = {u[4] - 0.5f, u[5] - 0.5f, u[6] - 0.5f}, px, py, depth, o[3], d[3];
        REQUIRE(plx_camera_project(&camera, point, &px, &py, &depth), "in front, said to be behind");
        plx_camera_ray(&camera, px, py, o, d);
        EXPECT(fabsf(dot3(d, d) - 1) < 1e-6f, "not unit: %g", dot3(d, d));
        float to[3] = {point[0] - o[0], point[1] - o[1], point[2] - o[2]};
        float t = dot3(to, d);
        for (int k = 0; k < 3; k++) to[k] -= t * d[k];
        /* 24 bits over a distance of 3 and a focal length of up to 1000 px: 2e-6. */
        EXPECT(sqrtf(dot3(to, to)) < 2e-6f, "the ray passes at %g", sqrtf(dot3(to, to)));
        float mirrored[3] = {2 * o[0] - point[0], 2 * o[1] - point[1], 2 * o[2] - point[2]};
        EXPECT(!plx_camera_project(&camera, mirrored, &px, &py, &depth), "behind, said to be in front");
    }
}

TEST(camera, pixel_centres_are_at_one_half) {
    /* The image plane's corners are the fov: row 0's upper edge is py = 0. */
    float fov = 0.8f, o[3], d[3];
    plx_camera camera = plx_camera_orbit(0, 0, 1, fov, 4, 4);
    plx_camera_ray(&camera, 2, 0, o, d);
    EXPECT(fabsf(atan2f(d[2], -d[0]) - fov / 2) < 1e-6f, "%g", atan2f(d[2], -d[0]));
    plx_camera_ray(&camera, 1.5f, 1.5f, o, d); /* pixel (1,1): left of and above the middle */
    EXPECT(d[1] < 0 && d[2] > 0, "%g %g", d[1], d[2]);
}

TEST(camera, resize_keeps_the_rays) {
    plx_camera camera = plx_camera_orbit(1, 0.4f, 1.3f, PLX_DEFAULT_FOV, 128, 96);
    camera.cx += 3;
    plx_camera small = plx_camera_resize(&camera, 32, 48);
    for (int i = 0; i <= 4; i++) {
        float s = (float)i / 4, o[3], a[3], b[3];
        plx_camera_ray(&camera, 128 * s, 96 * (1 - s), o, a);
        plx_camera_ray(&small, 32 * s, 48 * (1 - s), o, b);
        EXPECT(near3(a, b[0], b[1], b[2], 1e-6f), "(%g %g %g) (%g %g %g)", a[0], a[1], a[2], b[0], b[1],
               b[2]);
    }
    EXPECT(fabsf(plx_camera_fov(&camera) - plx_camera_fov(&small)) < 1e-6f, "%g", plx_camera_fov(&small));
}

TEST(camera, w2c_is_the_inverse) {
    plx_camera camera = plx_camera_orbit(2, -0.4f, 1.9f, 1, 10, 10);
    float w[12];
    plx_camera_w2c(&camera, w);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            float sum = j == 3 ? w[4 * i + 3] : 0;
            for (int k = 0; k < 3; k++) sum += w[4 * i + k] * camera.c2w[4 * k + j];
            EXPECT(fabsf(sum - (i == j ? 1.0f : 0.0f)) < 1e-6f, "(%d,%d) %g", i, j, sum);
        }
}

TEST(camera, validity) {
    plx_camera good = plx_camera_orbit(2, -0.4f, 1.9f, 1, 10, 10), bad = good;
    EXPECT(plx_camera_valid(&good, 1e-5f), "a good camera");
    bad.c2w[3] = NAN;
    EXPECT(!plx_camera_valid(&bad, 1e-5f), "NaN");
    bad = good;
    for (int row = 0; row < 3; row++) bad.c2w[4 * row] *= -1;
    EXPECT(!plx_camera_valid(&bad, 1e-5f), "left-handed");
    bad = good;
    for (int row = 0; row < 3; row++) bad.c2w[4 * row] *= 1.01f;
    EXPECT(!plx_camera_valid(&bad, 1e-3f) && plx_camera_valid(&bad, 0.1f), "tolerance");
    bad = good;
    bad.fx = 0;
    EXPECT(!plx_camera_valid(&bad, 1e-5f), "focal length 0");
}

TEST(camera, ray_sphere) {
    float t0, t1, x[3] = {1, 0, 0};
    EXPECT(plx_ray_sphere((float[]){-2, 0, 0}, x, 0.5f, &t0, &t1) && t0 == 1.5f && t1 == 2.5f, "%g %g", t0,
           t1);
    EXPECT(plx_ray_sphere((float[]){0.25f, 0, 0}, x, 0.5f, &t0, &t1) && t0 == 0 && t1 == 0.25f, "%g %g", t0,
           t1);
    EXPECT(!plx_ray_sphere((float[]){2, 0, 0}, x, 0.5f, &t0, &t1), "a sphere behind was hit");
    EXPECT(!plx_ray_sphere((float[]){-2, 0.6f, 0}, x, 0.5f, &t0, &t1), "a miss was a hit");
    /* Offset 0.3 of radius 0.5: half chord 0.4. */
    EXPECT(plx_ray_sphere((float[]){-2, 0.3f, 0}, x, 0.5f, &t0, &t1), "missed");
    EXPECT(fabsf(t0 - 1.6f) < 1e-6f && fabsf(t1 - 2.4f) < 1e-6f, "%g %g", t0, t1);
}
