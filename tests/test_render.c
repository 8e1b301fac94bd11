/* Ground truth against geometry and photometry worked out by hand. */
#include <omp.h>
#include <stdint.h>

#include "nerf/core/error.h"
#include "render/render.h"
#include "tests/test.h"

#define DEGREE 0.017453293f

/* A latitude-longitude sphere about the origin. */
static plx_mesh *make_sphere(float radius, int rings, const plx_mesh_options *options) {
    int segments = 2 * rings, vertices = (rings + 1) * (segments + 1), triangles = 2 * rings * segments,
        t = 0;
    float *p = malloc(12 * (size_t)vertices);
    uint32_t *index = malloc(12 * (size_t)triangles);
    for (int i = 0; i <= rings; i++) {
        for (int j = 0; j <= segments; j++) {
            double polar = M_PI * i / rings, azimuth = 2 * M_PI * (j % segments) / segments;
            float *out = p + 3 * (i * (segments + 1) + j);
            double ring = i == 0 || i == rings ? 0 : sin(polar); /* exact poles */
            out[0] = (float)(radius * ring * cos(azimuth));
            out[1] = (float)(radius * ring * sin(azimuth));
            out[2] = (float)(radius * cos(polar));
        }
    }
    for (int i = 0; i < rings; i++) {
        for (int j = 0; j < segments; j++) {
            uint32_t a = (uint32_t)(i * (segments + 1) + j), b = a + (uint32_t)segments + 1;
            uint32_t quad[6] = {a, b, a + 1, a + 1, b, b + 1};
            memcpy(index + 3 * t, quad, sizeof quad);
            t += 2;
        }
    }
    plx_mesh *mesh;
    if (plx_mesh_from_arrays(&mesh, vertices, p, NULL, triangles, index, options) < 0) mesh = NULL;
    free(p);
    free(index);
    return mesh;
}

static plx_mesh_options as_is(void) {
    plx_mesh_options options = plx_mesh_options_default();
    options.up = 'z';
    options.normalise = false;
    return options;
}

static plx_scene *make_scene(plx_mesh *mesh) {
    plx_scene *scene = NULL;
    if (!mesh || plx_scene_create(&scene, mesh) < 0) printf("    %s\n", plx_error());
    return scene;
}

static void free_view(plx_view *view) {
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
}

/* Axis-aligned squares at x = const facing the azimuth-0 camera: (count) of x, half side, RGBA. */
typedef struct square {
    float x, half, rgba[4];
} square;

static plx_scene *make_squares(const square *squares, int count) {
    float p[8 * 12], colour[8 * 16];
    uint32_t index[8 * 6];
    for (int k = 0; k < count; k++) {
        for (int v = 0; v < 4; v++) {
            float corner[3] = {squares[k].x, v & 1 ? squares[k].half : -squares[k].half,
                               v & 2 ? squares[k].half : -squares[k].half};
            memcpy(p + 12 * k + 3 * v, corner, sizeof corner);
            memcpy(colour + 16 * k + 4 * v, squares[k].rgba, 16);
        }
        uint32_t o = (uint32_t)(4 * k), quad[6] = {o, o + 1, o + 3, o, o + 3, o + 2};
        memcpy(index + 6 * k, quad, sizeof quad);
    }
    plx_mesh_options options = as_is();
    plx_mesh *mesh;
    if (plx_mesh_from_arrays(&mesh, 4 * count, p, colour, 2 * count, index, &options) < 0) return NULL;
    return make_scene(mesh);
}

static plx_light even_light(float strength) {
    return (plx_light){.key_direction = {1, 0, 0}, .key = 0, .sky = strength, .ground = strength};
}

static plx_view draw(const plx_scene *scene, plx_camera camera, const plx_draw_options *options) {
    plx_view view = {.camera = camera};
    EXPECT(plx_scene_draw(scene, &view, options) == PLX_OK, "%s", plx_error());
    return view;
}

TEST(render, sphere_depth_and_normal) {
    plx_mesh_options options = as_is();
    plx_scene *scene = make_scene(make_sphere(0.4f, 256, &options));
    REQUIRE(scene, "%s", plx_error());
    plx_draw_options o = plx_draw_options_default();
    o.colour = false, o.depth = o.normal = true;
    plx_camera camera =
        plx_camera_orbit(0.7f, 0.3f, 1.3f, PLX_DEFAULT_FOV, 33, 33); /* odd: a central pixel */
    plx_view view = draw(scene, camera, &o);
    const float *centre = view.depth.data + 2 * (16 * 33 + 16);
    /* 256 rings: chords lie within r (1 - cos(pi / 512)) = 8e-6 of the sphere */
    EXPECT(fabsf(centre[0] - 0.9f) < 2e-5f && fabsf(centre[1] - 1.7f) < 2e-5f, "%g %g", centre[0], centre[1]);
    EXPECT(!view.colour.data, "colour was not asked for");
    for (int i = 0; i < 33 * 33; i++) {
        float origin[3], direction[3], t0, t1, wrong = 0;
        plx_camera_ray(&camera, (float)(i % 33) + .5f, (float)(i / 33) + .5f, origin, direction);
        bool hit = plx_ray_sphere(origin, direction, 0.4f, &t0, &t1);
        float *d = view.depth.data + 2 * i, *n = view.normal.data + 3 * i;
        if (!hit) EXPECT(d[0] == 0 && d[1] == 0 && n[0] == 0, "pixel %d: %g beside the sphere", i, d[0]);
        if (!hit || t1 - t0 < 0.1f) continue; /* at the rim the chords' 8e-6 become sqrt(2 r 8e-6) = 3e-3 */
        EXPECT(fabsf(d[0] - t0) < 3e-4f && fabsf(d[1] - t1) < 3e-4f, "pixel %d: %g %g not %g %g", i, d[0],
               d[1], t0, t1);
        for (int k = 0; k < 3; k++) wrong += fabsf(n[k] - (origin[k] + t0 * direction[k]) / 0.4f);
        /* vertex normals are the sphere's within 1e-4 (octahedral 3e-5); depth's error turns the point by
         * 3e-4 / r */
        EXPECT(wrong < 3e-3f, "pixel %d: normal off by %g", i, wrong);
    }
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, sphere_colour_is_lambert) {
    plx_mesh_options options = as_is();
    plx_scene *scene = make_scene(make_sphere(0.4f, 128, &options));
    REQUIRE(scene, "%s", plx_error());
    plx_draw_options o = plx_draw_options_default();
    o.samples = 1, o.normal = o.depth = true;
    plx_view view = draw(scene, plx_camera_orbit(0.3f, 0.4f, 1.3f, PLX_DEFAULT_FOV, 48, 48), &o);
    float brightest = 0;
    for (int i = 0; i < 48 * 48; i++) {
        float *c = view.colour.data + 4 * i, *n = view.normal.data + 3 * i, lambert = 0;
        EXPECT((c[3] == 1) == (view.depth.data[2 * i] > 0) && (c[3] == 1 || c[3] == 0), "alpha %g", c[3]);
        if (c[3] == 0) continue;
        for (int k = 0; k < 3; k++) lambert += n[k] * o.light.key_direction[k];
        float linear = o.light.key * fmaxf(lambert, 0) + 0.5f * (1 + n[2]) * o.light.sky +
                       0.5f * (1 - n[2]) * o.light.ground;
        /* the same formula on the same normal: float rounding through the sRGB curve (slope below 13) */
        EXPECT(fabsf(c[0] - plx_srgb_encode(linear)) < 1e-5f && c[0] == c[1] && c[1] == c[2], "%g not %g",
               c[0], plx_srgb_encode(linear));
        brightest = fmaxf(brightest, linear);
    }
    EXPECT(brightest < 0.95f && brightest > 0.8f, "brightest %g", brightest);
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, square_covers_its_exact_share) {
    /* half 0.25 at x = 0, seen from 2 with f = 40 px: 10 px wide and high, centred in 17 px: 3.5 to 13.5 */
    square white = {0, 0.25f, {1, 1, 1, 1}};
    plx_scene *scene = make_squares(&white, 1);
    REQUIRE(scene, "%s", plx_error());
    plx_camera camera = plx_camera_orbit(0, 0, 2, 1, 17, 17);
    camera.fx = camera.fy = 40;
    plx_draw_options o = plx_draw_options_default();
    o.samples = 16, o.light = even_light(0.5f);
    plx_view view = draw(scene, camera, &o);
    double sum = 0;
    for (int i = 0; i < 17; i++)
        for (int j = 0; j < 17; j++) {
            float *c = view.colour.data + 4 * (17 * i + j);
            float y = i == 3 || i == 13 ? 0.5f : i > 3 && i < 13,
                  x = j == 3 || j == 13 ? 0.5f : j > 3 && j < 13;
            EXPECT(c[3] == x * y, "(%d,%d) %g", i, j, c[3]); /* 4x4 samples split in halves exactly */
            if (c[3] > 0) EXPECT(fabsf(c[0] - plx_srgb_encode(0.5f)) < 1e-5f, "straight colour %g", c[0]);
            sum += c[3];
        }
    EXPECT(sum == 100, "%g pixels", sum);
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, layers_composite_in_linear_light) {
    /* from the front: 40 % red, 60 % green, solid blue behind a smaller part */
    square squares[3] = {
        {-0.1f, 0.1f, {0, 0, 1, 1}}, {0.1f, 0.4f, {1, 0, 0, 0.4f}}, {0, 0.4f, {0, 1, 0, 0.6f}}};
    plx_scene *scene = make_squares(squares, 3);
    REQUIRE(scene, "%s", plx_error());
    plx_draw_options o = plx_draw_options_default();
    o.samples = 4, o.depth = true, o.light = even_light(0.9f);
    plx_view view = draw(scene, plx_camera_orbit(0, 0, 2, 0.6f, 33, 33), &o);
    float *centre = view.colour.data + 4 * (16 * 33 + 16), *side = view.colour.data + 4 * (16 * 33 + 6);
    float *depth = view.depth.data + 2 * (16 * 33 + 16), *side_depth = view.depth.data + 2 * (16 * 33 + 6);
    float solid[3] = {0.4f, 0.6f * 0.6f, 0.6f * 0.4f}, clear[3] = {0.4f / 0.76f, 0.36f / 0.76f, 0};
    for (int i = 0; i < 3; i++) { /* 1e-3: vertex alpha is 8 bits (0.4 = 102/255 and 0.6 = 153/255 exactly) */
        EXPECT(fabsf(centre[i] - plx_srgb_encode(0.9f * solid[i])) < 1e-3f, "centre %d: %g", i, centre[i]);
        EXPECT(fabsf(side[i] - plx_srgb_encode(0.9f * clear[i])) < 1e-3f, "side %d: %g", i, side[i]);
    }
    EXPECT(centre[3] == 1 && fabsf(side[3] - 0.76f) < 1e-5f, "alpha %g %g", centre[3], side[3]);
    /* the red layer's opacity is below 0.5 and passed through; 1e-5: float at distance 2 */
    EXPECT(fabsf(depth[0] - 2) < 1e-5f && fabsf(depth[1] - 2.1f) < 1e-5f, "depth %g %g", depth[0], depth[1]);
    EXPECT(side_depth[0] > 2 && side_depth[0] == side_depth[1], "one solid layer: %g %g", side_depth[0],
           side_depth[1]);
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, each_layer_counts_once) {
    float alpha = 0.2f;
    square squares[8];
    for (int k = 0; k < 8; k++) squares[k] = (square){-0.05f * (float)k, 0.3f, {1, 1, 1, alpha}};
    plx_scene *scene = make_squares(squares, 8);
    REQUIRE(scene, "%s", plx_error());
    plx_draw_options o = plx_draw_options_default();
    o.samples = 1;
    plx_view view = draw(scene, plx_camera_orbit(0, 0, 2, 0.3f, 9, 9), &o);
    float expected = 1 - powf(0.8f, 8); /* all eight count, once each */
    EXPECT(fabsf(view.colour.data[4 * 40 + 3] - expected) < 1e-5f, "%g not %g", view.colour.data[4 * 40 + 3],
           expected);
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, white_stays_below_the_cap) {
    square white = {0, 0.4f, {1, 1, 1, 1}};
    plx_scene *scene = make_squares(&white, 1);
    REQUIRE(scene, "%s", plx_error());
    plx_draw_options o = plx_draw_options_default();
    o.light = even_light(1);
    plx_view view = draw(scene, plx_camera_orbit(0, 0, 1.3f, 0.3f, 8, 8), &o);
    EXPECT(view.colour.data[0] == 254.0f / 255, "%g", view.colour.data[0]);
    free_view(&view);
    plx_scene_free(scene);
}

/* y-up arrays: a bar whose +z end is red (front), +x end green; it must come out with red on +x, green on +y.
 */
TEST(render, y_up_front_z_faces_azimuth_0) {
    static const float tips[3][3] = {{0, 0, 1}, {1, 0, 0}, {0, 1, 0}};
    static const float colours[3][4] = {{1, 0, 0, 1}, {0, 1, 0, 1}, {0, 0, 1, 1}};
    float p[27], c[36];
    uint32_t index[9];
    for (int k = 0; k < 9; k++) { /* a small triangle at each tip, facing no axis */
        for (int i = 0; i < 3; i++) p[3 * k + i] = tips[k / 3][i] + (k % 3 == i ? 0.3f : 0);
        memcpy(c + 4 * k, colours[k / 3], 16);
        index[k] = (uint32_t)k;
    }
    plx_mesh *mesh;
    plx_mesh_options options = plx_mesh_options_default();
    options.normalise = false;
    REQUIRE(plx_mesh_from_arrays(&mesh, 9, p, c, 3, index, &options) == PLX_OK, "%s", plx_error());
    plx_scene *scene = make_scene(mesh);
    plx_draw_options o = plx_draw_options_default();
    o.depth = true;
    static const float worlds[3][3] = {{1.1f, .1f, .1f}, {.1f, 1.1f, .1f}, {.1f, .1f, 1.1f}};
    plx_camera camera = plx_camera_orbit(0.5f, 0.4f, 6, 0.8f, 64, 64);
    plx_view view = draw(scene, camera, &o);
    for (int k = 0; k < 3; k++) {
        float x, y, depth;
        REQUIRE(plx_camera_project(&camera, worlds[k], &x, &y, &depth), "behind");
        const float *pixel = view.colour.data + 4 * (64 * (int)y + (int)x);
        for (int i = 0; i < 3; i++)
            EXPECT((pixel[i] > 0.3f) == (i == k), "tip %d channel %d: %g", k, i, pixel[i]);
    }
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, azimuth_0_sees_the_x_side_unmirrored) {
    /* on the plane x = 0.2: a red square at +y, a blue one at +z. From +x with z up, +y is on the right. */
    float p[24] = {.2f, .1f, 0,   .2f, .3f, 0,   .2f, .1f, .2f, .2f, .3f, .2f,
                   .2f, 0,   .3f, .2f, .1f, .3f, .2f, 0,   .4f, .2f, .1f, .4f};
    float c[32];
    for (int k = 0; k < 8; k++)
        memcpy(c + 4 * k, k < 4 ? (float[4]){1, 0, 0, 1} : (float[4]){0, 0, 1, 1}, 16);
    uint32_t index[12] = {0, 1, 3, 0, 3, 2, 4, 5, 7, 4, 7, 6};
    plx_mesh *mesh;
    plx_mesh_options options = as_is();
    REQUIRE(plx_mesh_from_arrays(&mesh, 8, p, c, 4, index, &options) == PLX_OK, "%s", plx_error());
    plx_scene *scene = make_scene(mesh);
    plx_view view = draw(scene, plx_camera_orbit(0, 0, 1.3f, PLX_DEFAULT_FOV, 64, 64), NULL);
    double red[2] = {0}, blue_row = 0, red_row = 0, blue = 0;
    for (int i = 0; i < 64 * 64; i++) {
        float *pixel = view.colour.data + 4 * i;
        red[i % 64 >= 32] += pixel[0] * pixel[3];
        red_row += pixel[0] * pixel[3] * (i / 64);
        blue_row += pixel[2] * pixel[3] * (i / 64), blue += pixel[2] * pixel[3];
    }
    EXPECT(red[1] > 50 && red[0] == 0, "red left %g, right %g", red[0], red[1]);
    EXPECT(blue_row / blue < red_row / red[1], "blue is above: rows %g %g", blue_row / blue,
           red_row / red[1]);
    free_view(&view);
    plx_scene_free(scene);
}

/* Both windings of a square, and a cylinder whose every other face is wound the other way, look the same as when
 * all are wound alike. */
TEST(render, winding_does_not_matter) {
    enum { SIDES = 24 };
    plx_view views[3];
    plx_camera camera = plx_camera_orbit(0.4f, 0.5f, 1.3f, PLX_DEFAULT_FOV, 40, 40);
    plx_draw_options o = plx_draw_options_default();
    o.normal = true;
    for (int way = 0; way < 3; way++) { /* outwards, inwards, mixed */
        float p[6 * SIDES];
        uint32_t index[6 * SIDES];
        for (uint32_t k = 0; k < SIDES; k++) {
            double angle = 2 * M_PI * k / SIDES;
            for (int end = 0; end < 2; end++) {
                float corner[3] = {0.3f * (float)cos(angle), 0.3f * (float)sin(angle), end ? 0.3f : -0.3f};
                memcpy(p + 6 * k + 3 * end, corner, sizeof corner);
            }
            uint32_t a = 2 * k, b = 2 * ((k + 1) % SIDES);
            uint32_t out[6] = {a, b, b + 1, a, b + 1, a + 1}, in[6] = {a, b + 1, b, a, a + 1, b + 1};
            memcpy(index + 6 * k, way == 0 || (way == 2 && k % 2) ? out : in, sizeof out);
        }
        plx_mesh *mesh;
        plx_mesh_options options = as_is();
        REQUIRE(plx_mesh_from_arrays(&mesh, 2 * SIDES, p, NULL, 2 * SIDES, index, &options) == PLX_OK, "%s",
                plx_error());
        plx_scene *scene = make_scene(mesh);
        views[way] = draw(scene, camera, &o);
        plx_scene_free(scene);
    }
    int seen = 0;
    for (int i = 0; i < 40 * 40; i++) {
        float origin[3], direction[3], toward = 0, *n = views[0].normal.data + 3 * i;
        plx_camera_ray(&camera, (float)(i % 40) + .5f, (float)(i / 40) + .5f, origin, direction);
        for (int k = 0; k < 3; k++) toward += n[k] * direction[k];
        EXPECT(toward < 0.15f, "pixel %d: the normal looks away by %g", i,
               toward); /* smoothed by sin(7.5 degrees) */
        seen += n[0] != 0;
        for (int way = 1; way < 3; way++)
            for (int k = 0; k < 4;
                 k++) { /* float rounding: weights in another order; a packed normal's 3e-5 */
                float colour = views[0].colour.data[4 * i + k] - views[way].colour.data[4 * i + k];
                float normal = k < 3 ? n[k] - views[way].normal.data[3 * i + k] : 0;
                EXPECT(fabsf(colour) < 1e-3f && fabsf(normal) < 1e-3f, "way %d, pixel %d: %g %g", way, i,
                       colour, normal);
            }
    }
    EXPECT(seen > 300, "%d pixels", seen);
    for (int way = 0; way < 3; way++) free_view(views + way);
}

TEST(render, a_cube_keeps_its_creases) {
    float p[24];
    uint32_t index[36], n = 0;
    for (int v = 0; v < 8; v++)
        for (int i = 0; i < 3; i++) p[3 * v + i] = v >> i & 1 ? 0.2f : -0.2f;
    for (int axis = 0; axis < 3; axis++)
        for (int side = 0; side < 2; side++) {
            uint32_t a = 1u << (axis + 1) % 3, b = 1u << (axis + 2) % 3, o = side ? 1u << axis : 0;
            uint32_t quad[6] = {o, o + a, o + a + b, o, o + a + b, o + b};
            memcpy(index + n, quad, sizeof quad);
            n += 6;
        }
    plx_mesh *mesh;
    plx_mesh_options options = as_is();
    REQUIRE(plx_mesh_from_arrays(&mesh, 8, p, NULL, 12, index, &options) == PLX_OK, "%s", plx_error());
    EXPECT(plx_mesh_describe(mesh).vertices == 24, "3 normals a corner: %d",
           (int)plx_mesh_describe(mesh).vertices);
    plx_scene *scene = make_scene(mesh);
    plx_draw_options o = plx_draw_options_default();
    o.normal = true;
    plx_view view = draw(scene, plx_camera_orbit(0.6f, 0.6f, 1.3f, PLX_DEFAULT_FOV, 32, 32), &o);
    int faces[3] = {0};
    for (int i = 0; i < 32 * 32; i++)
        for (int k = 0; k < 3; k++) { /* +x, +y and +z face the camera; 1e-4: packed normals */
            float c = view.normal.data[3 * i + k];
            EXPECT(fabsf(c) < 1e-4f || fabsf(c - 1) < 1e-4f, "pixel %d: %g", i, c);
            faces[k] += c > 0.5f;
        }
    EXPECT(faces[0] > 20 && faces[1] > 20 && faces[2] > 20, "%d %d %d", faces[0], faces[1], faces[2]);
    free_view(&view);
    plx_scene_free(scene);
}

TEST(render, same_bits_for_any_threads) {
    plx_mesh_options options = as_is();
    plx_scene *scene = make_scene(make_sphere(0.4f, 48, &options));
    REQUIRE(scene, "%s", plx_error());
    plx_draw_options o = plx_draw_options_default();
    o.depth = o.normal = true;
    plx_camera camera =
        plx_camera_orbit(1, 0.2f, 1.3f, PLX_DEFAULT_FOV, 256, 200); /* above the serial limit */
    plx_view views[4];
    int before = omp_get_max_threads();
    for (int k = 0; k < 3; k++) {
        omp_set_num_threads(k + 1);
        views[k] = draw(scene, camera, &o);
    }
    omp_set_num_threads(2);
#pragma omp parallel for
    for (int k = 3; k < 5; k++) {
        plx_view view = {.camera = camera};
        plx_scene_draw(scene, &view, &o);
        if (k == 3)
            views[3] = view;
        else
            free_view(&view);
    }
    omp_set_num_threads(before);
    for (int k = 1; k < 4; k++) {
        EXPECT(!memcmp(views[0].colour.data, views[k].colour.data, 256 * 200 * 16), "colour, run %d", k);
        EXPECT(!memcmp(views[0].depth.data, views[k].depth.data, 256 * 200 * 8), "depth, run %d", k);
        EXPECT(!memcmp(views[0].normal.data, views[k].normal.data, 256 * 200 * 12), "normal, run %d", k);
    }
    for (int k = 0; k < 4; k++) free_view(views + k);
    plx_scene_free(scene);
}

TEST(render, normalised_box) {
    plx_mesh_options options = plx_mesh_options_default();
    options.scale[0] = 2;
    plx_mesh *mesh = make_sphere(3, 16, &options);
    REQUIRE(mesh, "%s", plx_error());
    plx_mesh_info info = plx_mesh_describe(mesh);
    double diagonal = 0;
    for (int i = 0; i < 3; i++) {
        /* 1e-6: floats near 1 */
        EXPECT(fabsf(info.box_min[i] + info.box_max[i]) < 1e-6f, "centred: %g %g", info.box_min[i],
               info.box_max[i]);
        diagonal += pow(info.box_max[i] - info.box_min[i], 2);
    }
    EXPECT(fabs(diagonal - 1) < 1e-5, "diagonal^2 %g", diagonal);
    EXPECT(fabsf(info.box_max[0] / info.box_max[1] - 2) < 1e-5f, "x is scaled by 2");
    EXPECT(info.triangles == 2 * 16 * 32 - 2 * 32, "%d: the poles' empty triangles are dropped",
           (int)info.triangles);
    plx_mesh_free(mesh);
}

TEST(render, lights_keep_white_off_the_background) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        plx_light light = seed ? plx_light_random(seed) : plx_light_default();
        float length = 0;
        for (int i = 0; i < 3; i++) length += light.key_direction[i] * light.key_direction[i];
        EXPECT(light.key + light.sky <= 0.95f && light.ground < light.sky && light.ground > 0, "seed %d",
               (int)seed);
        EXPECT(fabsf(length - 1) < 1e-5f && light.key_direction[2] > 0.2f, "seed %d: direction", (int)seed);
        plx_light again = plx_light_random(seed);
        if (seed) EXPECT(!memcmp(&light, &again, sizeof light), "seed %d is not a function", (int)seed);
    }
}

TEST(render, mesh_errors) {
    plx_mesh *mesh;
    float p[9] = {0, 0, 0, 1, 0, 0, 0, NAN, 0}, point[9] = {0};
    uint32_t index[3] = {0, 1, 2};
    EXPECT(plx_mesh_from_arrays(&mesh, 3, p, NULL, 1, index, NULL) == PLX_ERROR_INPUT && !mesh, "NaN");
    EXPECT(strstr(plx_error(), "finite"), "%s", plx_error());
    EXPECT(plx_mesh_from_arrays(&mesh, 3, point, NULL, 1, index, NULL) == PLX_ERROR_INPUT, "no area");
    EXPECT(plx_mesh_from_arrays(&mesh, 0, NULL, NULL, 0, NULL, NULL) == PLX_ERROR_INPUT, "nothing");
    EXPECT(plx_mesh_load(&mesh, "/nowhere/a.obj", NULL) == PLX_ERROR_IO, "missing");
    EXPECT(strstr(plx_error(), "/nowhere/a.obj"), "%s", plx_error());
    EXPECT(plx_mesh_load(&mesh, "/etc/passwd", NULL) == PLX_ERROR_SUPPORT, "no ending");
    EXPECT(plx_mesh_load(&mesh, "/tmp/x.blend", NULL) == PLX_ERROR_SUPPORT, "another format");
}
