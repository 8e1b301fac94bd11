/* Epipolar geometry against exact correspondences and pose errors of known size; neighbours on a ring. */
#include "tests/test.h"
#include "nerf/core/rng.h"
#include "nerf/consistency.h"

static const plx_rng rng = {7, 0};

/* No two intrinsics alike, principal points off the centre. */
static void skewed_pair(plx_camera *a, plx_camera *b) {
    *a = plx_camera_orbit(0.3f, 0.5f, 1.3f, 0.9f, 64, 48);
    *b = plx_camera_orbit(1.1f, -0.2f, 1.6f, 0.7f, 100, 100);
    a->fx *= 1.1f, a->cx += 3, a->cy -= 2;
    b->fy *= 0.9f, b->cy += 5;
}

static void project(const plx_camera *camera, const float p[3], float image[2]) {
    float depth;
    EXPECT(plx_camera_project(camera, p, &image[0], &image[1], &depth), "a point behind the camera");
}

TEST(epipolar, correspondences_are_on_the_lines) {
    plx_camera a, b;
    double F[9], back[9], worst = 0, turned = 0;
    skewed_pair(&a, &b);
    plx_fundamental(&a, &b, F);
    plx_fundamental(&b, &a, back);
    for (uint64_t i = 0; i < 200; i++) {
        float p[3], pa[2], pb[2];
        for (uint64_t k = 0; k < 3; k++) p[k] = plx_rng_uniform(rng, 3 * i + k) - 0.5f;
        project(&a, p, pa);
        project(&b, p, pb);
        worst = fmax(worst, plx_epipolar_distance(F, pa, pb));
        pb[1] += 3;
        turned = fmax(turned, fabs(plx_epipolar_distance(F, pa, pb) - plx_epipolar_distance(back, pb, pa)));
    }
    /* Projection is in float: 100 px carry 6e-6, poses 1e-7 times a focal length of 137 px. */
    EXPECT(worst < 1e-4, "%g pixels from the line", worst);
    EXPECT(turned < 1e-9, "the distance has a direction: %g", turned); /* double */
}

/* Two cameras side by side: epipolar lines are rows, and a pose error that moves a point by so many rows is exactly the
 * distance, from both sides. */
TEST(epipolar, known_pose_errors) {
    plx_camera a = plx_camera_orbit(0, 0, 1.3f, 0.9f, 64, 64), b = a;
    double F[9];
    b.c2w[7] += 0.2f; /* to the right: +y */
    plx_fundamental(&a, &b, F);
    const float angle = 0.03f, on_axis[3] = {0, b.c2w[7], 0};
    float pa[2], pb[2];
    plx_camera pitched = b, rolled = b;
    for (int i = 0; i < 3; i++) {
        float right = b.c2w[4 * i], up = b.c2w[4 * i + 1], behind = b.c2w[4 * i + 2];
        pitched.c2w[4 * i + 1] = cosf(angle) * up + sinf(angle) * behind;
        pitched.c2w[4 * i + 2] = cosf(angle) * behind - sinf(angle) * up;
        rolled.c2w[4 * i] = cosf(angle) * right + sinf(angle) * up;
        rolled.c2w[4 * i + 1] = cosf(angle) * up - sinf(angle) * right;
    }
    project(&a, on_axis, pa);
    project(&pitched, on_axis, pb);
    double seen = plx_epipolar_distance(F, pa, pb), truth = (double)b.fy * tan((double)angle);
    EXPECT(fabs(seen - truth) < 1e-4, "pitched: %g, not f tan(angle) = %g", seen,
           truth); /* floats of 64 px */
    const float aside[3] = {0, b.c2w[7] + 0.25f, 0};
    project(&a, aside, pa);
    project(&rolled, aside, pb);
    truth = (double)b.fx * 0.25 / (double)PLX_DEFAULT_DISTANCE * sin((double)angle);
    seen = plx_epipolar_distance(F, pa, pb);
    EXPECT(fabs(seen - truth) < 1e-4, "rolled: %g, not x sin(angle) = %g", seen, truth);
    project(&b, aside, pb);
    pb[0] += 9; /* along the line */
    EXPECT(plx_epipolar_distance(F, pa, pb) < 1e-4, "%g", plx_epipolar_distance(F, pa, pb));
}

TEST(epipolar, nothing_without_a_baseline) {
    plx_camera a = plx_camera_orbit(1, 0.2f, 1.3f, 0.9f, 64, 64);
    const float p[2] = {20, 30};
    double F[9];
    plx_fundamental(&a, &a, F);
    for (int i = 0; i < 9; i++) EXPECT(F[i] == 0, "F[%d] = %g", i, F[i]);
    EXPECT(isnan(plx_epipolar_distance(F, p, p)), "%g", plx_epipolar_distance(F, p, p));
}

TEST(epipolar, neighbours_on_a_ring) {
    enum { N = 8 };
    plx_views views;
    plx_view_pair *pairs;
    int count;
    REQUIRE(plx_views_create(&views, N + 1) == PLX_OK, "%s", plx_error());
    for (int i = 0; i <= N; i++) /* the last stands where the first does */
        views.views[i].camera = plx_camera_orbit((float)(i % N) * 6.2831853f / N, 0, 1, 0.9f, 8, 8);
    REQUIRE(plx_view_pairs(&pairs, &count, &views, 0) == PLX_OK, "%s", plx_error());
    EXPECT(count == 9 * 8 / 2 - 1, "all with a baseline: %d", count);
    free(pairs);
    views.count = N;
    REQUIRE(plx_view_pairs(&pairs, &count, &views, 2) == PLX_OK, "%s", plx_error());
    EXPECT(count == N, "%d pairs", count);
    for (int i = 0; i < count; i++) {
        int gap = pairs[i].b - pairs[i].a;
        EXPECT(gap == 1 || gap == N - 1, "%d and %d are no neighbours", pairs[i].a, pairs[i].b);
    }
    free(pairs);
    EXPECT(plx_view_pairs(&pairs, &count, &views, -1) == PLX_ERROR_INPUT && !pairs, "%s", plx_error());
    plx_views_free(&views);
}
