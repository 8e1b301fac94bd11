/* Scores through depth: reprojection and surface colour variance, on painted surfaces whose scores are known, on true views
 * and on negative controls. */
#include "tests/consistency_scene.h"
#include "nerf/surface.h"

#include <omp.h>

enum { VIEWS = 12, SIZE = 48 };
static const float whole_turn = 6.2831853f;

/* ---- two plates: everything is known ------------------------------------------------------------------------------ */

/* A plate in the plane x = 0, |y|, |z| < 0.5, and a smaller one before it at x = 0.2, |y|, |z| < 0.1. */
static const float plates[2][2] = {{0.2f, 0.1f}, {0, 0.5f}}; /* x, half side; the nearer first */

static float plate_distance(const float *plate, const float origin[3], const float direction[3]) {
    float t = (plate[0] - origin[0]) / direction[0];
    bool inside =
        fabsf(origin[1] + t * direction[1]) < plate[1] && fabsf(origin[2] + t * direction[2]) < plate[1];
    return inside ? t : 0;
}

/* Colours that are linear in the world's coordinates, plus an offset for each view. */
static plx_views plate_views(int count, const float *offsets) {
    plx_views views;
    EXPECT(plx_views_create(&views, count) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < count; i++) {
        plx_view *v = &views.views[i];
        v->camera = plx_camera_orbit(0.35f * (float)(i - count / 2), 0.1f * (float)i, 1.3f, 0.9f, 64, 64);
        EXPECT(!plx_image_create(&v->colour, 64, 64, 4) && !plx_image_create(&v->depth, 64, 64, 2), "%s",
               plx_error());
        for (int p = 0; p < 64 * 64; p++) {
            float origin[3], direction[3], t = 0;
            plx_camera_ray(&v->camera, (float)(p % 64) + 0.5f, (float)(p / 64) + 0.5f, origin, direction);
            for (int k = 0; k < 2 && t == 0; k++) t = plate_distance(plates[k], origin, direction);
            v->depth.data[2 * p] = v->depth.data[2 * p + 1] = t;
            v->colour.data[4 * p + 3] = t > 0;
            for (int c = 0; c < 3; c++)
                v->colour.data[4 * p + c] = 0.4f + 0.3f * (origin[c] + t * direction[c]) + offsets[i];
        }
    }
    return views;
}

/* Each rounding to 8 bits errs by 1/255/sqrt(12) rms, bilinear ones by less; linear colours are not quite linear in the
 * image: on a plane seen at 35 degrees their second difference is 0.3 x 0.001 a pixel. */
static const double exact_rms = 0.002, exact_mean = 2e-4;

TEST(consistency, linear_paint_agrees) {
    const float offsets[4] = {0};
    plx_views views = plate_views(4, offsets);
    plx_surface_options options = plx_surface_options_default();
    plx_reprojection r;
    plx_surface_variance s;
    REQUIRE(plx_reprojection_score(&r, &views, &options) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_surface_variance_score(&s, &views, &options) == PLX_OK, "%s", plx_error());
    EXPECT(r.pairs == 12 && r.rms < exact_rms, "%d pairs, rms %g", r.pairs, r.rms);
    EXPECT(s.deviation < exact_rms && s.coverage > 0.5, "deviation %g, coverage %g", s.deviation, s.coverage);
    plx_views_free(&views);
}

TEST(consistency, known_offsets) {
    const float two[2] = {0, 0.2f}, four[4] = {0, 0.1f, 0.1f, 0.2f};
    plx_surface_options options = plx_surface_options_default();
    plx_reprojection r;
    plx_surface_variance s;
    plx_views views = plate_views(2, two);
    REQUIRE(plx_reprojection_score(&r, &views, &options) == PLX_OK, "%s", plx_error());
    EXPECT(fabs(r.absolute - 0.2) < exact_mean && fabs(r.rms - 0.2) < exact_mean, "%g, %g", r.absolute,
           r.rms);
    plx_views_free(&views);
    views = plate_views(4, four);
    options.least_views = 4;
    REQUIRE(plx_surface_variance_score(&s, &views, &options) == PLX_OK, "%s", plx_error());
    /* (0.01 + 0 + 0 + 0.01) / 3, plus the rounding's variance. */
    double truth = sqrt(0.02 / 3);
    EXPECT(s.views == 4 && fabs(s.deviation - truth) < exact_mean, "%g views, %g, not %g", s.views,
           s.deviation, truth);
    plx_views_free(&views);
}

/* A point of the far plate is hidden where its line to the eye passes the near one. `margin`: beyond it, or inside. */
static bool passes_near_plate(const float point[3], const float eye[3], float margin) {
    float t = (plates[0][0] - point[0]) / (eye[0] - point[0]);
    return fabsf(point[1] + t * (eye[1] - point[1])) < plates[0][1] + margin &&
           fabsf(point[2] + t * (eye[2] - point[2])) < plates[0][1] + margin;
}

TEST(consistency, occlusion_is_exact_but_at_edges) {
    const float offsets[4] = {0};
    plx_views views = plate_views(4, offsets);
    plx_surface_options options = plx_surface_options_default();
    plx_observer *observers;
    REQUIRE(plx_observers_create(&observers, &views, &options) == PLX_OK, "%s", plx_error());
    int hidden = 0, hidden_seen = 0, open = 0, open_missed = 0;
    const float margin = 3 * plx_observer_footprint(observers[0].camera, 1.3f);
    for (int i = 0; i < 81 * 81 * 4; i++) { /* all within the frames */
        const float point[3] = {0, 0.008f * (float)(i % 81 - 40), 0.008f * (float)(i / 81 % 81 - 40)};
        const plx_observer *o = &observers[i / (81 * 81)];
        float eye[3], colour[3];
        plx_camera_position(o->camera, eye);
        bool seen = plx_observer_see(o, point, options.tolerance, colour);
        if (passes_near_plate(point, eye, 0)) hidden++, hidden_seen += seen;
        if (!passes_near_plate(point, eye, margin)) open++, open_missed += !seen;
    }
    EXPECT(hidden > 1000 && hidden_seen == 0, "%d of %d hidden points are seen", hidden_seen, hidden);
    EXPECT(open > 10000 && open_missed == 0, "%d of %d open points are missed", open_missed, open);
    plx_observers_free(observers, views.count);
    plx_views_free(&views);
}

/* ---- negative controls ------------------------------------------------------------------------------------------- */

TEST(consistency, controls_in_order) {
    double error[CONTROLS], deviation[CONTROLS];
    for (int c = 0; c < CONTROLS; c++) {
        plx_views views = control_views((enum control)c, VIEWS, SIZE, whole_turn);
        plx_surface_options options = plx_surface_options_default();
        plx_reprojection r;
        plx_surface_variance s;
        REQUIRE(plx_reprojection_score(&r, &views, &options) == PLX_OK, "%s", plx_error());
        REQUIRE(plx_surface_variance_score(&s, &views, &options) == PLX_OK, "%s", plx_error());
        error[c] = r.rms, deviation[c] = s.deviation;
        /* Of the geometry alone: the same for all. A third of one view's box is seen 30 to 90 degrees further on. */
        EXPECT(fabs(r.coverage - 0.335) < 0.01 && fabs(s.coverage - 0.673) < 0.01, "%g, %g", r.coverage,
               s.coverage);
        plx_views_free(&views);
    }
    /* Seen: 0.038 (resampling of the texture), 0.121, 0.261, 0.355, 0.359; the last two know nothing of each other. */
    for (int c = 1; c < CONTROLS - 1; c++)
        EXPECT(error[c] > 1.3 * error[c - 1] && deviation[c] > 1.3 * deviation[c - 1],
               "%s: %g and %g after %g and %g", control_names[c], error[c], deviation[c], error[c - 1],
               deviation[c - 1]);
    EXPECT(error[CONTROL_REPEATED] > 1.3 * error[CONTROL_MIXED] &&
               deviation[CONTROL_REPEATED] > 1.3 * deviation[CONTROL_MIXED],
           "repeated: %g and %g", error[CONTROL_REPEATED], deviation[CONTROL_REPEATED]);
}

/* Where both fail, as their header says: grey is consistent with grey. */
TEST(consistency, flat_pictures_pass) {
    plx_views views = box_views(1, 6, 32, whole_turn);
    plx_surface_options options = plx_surface_options_default();
    options.least_views = 2;
    plx_reprojection r;
    plx_surface_variance s;
    for (int i = 0; i < 6; i++)
        for (int p = 0; p < 32 * 32 * 4; p++) views.views[i].colour.data[p] = p % 4 < 3 ? 0.5f : 1;
    REQUIRE(plx_reprojection_score(&r, &views, &options) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_surface_variance_score(&s, &views, &options) == PLX_OK, "%s", plx_error());
    EXPECT(r.shared > 0 && r.rms < 1e-7 && s.seen > 0 && s.deviation < 1e-7, "%g, %g", r.rms,
           s.deviation); /* floats */
    plx_views_free(&views);
}

/* So are views of another box of the same shape, if all are of the same one. */
TEST(consistency, another_object_throughout_passes) {
    double error[2], deviation[2], consistent[2];
    for (uint64_t i = 0; i < 2; i++) {
        plx_views views = box_views(1, VIEWS, SIZE, whole_turn),
                  other = box_views(1 + i, VIEWS, SIZE, whole_turn);
        plx_surface_options options = plx_surface_options_default();
        plx_reprojection r;
        plx_surface_variance s;
        plx_tsed t;
        plx_tsed_options matching = plx_tsed_options_default();
        for (int k = 0; k < VIEWS; k++) copy_colour(&views.views[k], &other.views[k]);
        REQUIRE(plx_reprojection_score(&r, &views, &options) == PLX_OK, "%s", plx_error());
        REQUIRE(plx_surface_variance_score(&s, &views, &options) == PLX_OK, "%s", plx_error());
        plx_views_free(&views);
        plx_views_free(&other);
        views = box_views(1 + i, 8, 64, 0.8f); /* near enough to match */
        REQUIRE(plx_tsed_score(&t, &views, &matching) == PLX_OK, "%s", plx_error());
        error[i] = r.rms, deviation[i] = s.deviation, consistent[i] = t.consistent[2] * t.pairs / t.matched;
        plx_views_free(&views);
    }
    /* Two textures of one grain: resampling errs about as much. */
    EXPECT(fabs(error[1] / error[0] - 1) < 0.3, "%g and %g", error[0], error[1]);
    EXPECT(fabs(deviation[1] / deviation[0] - 1) < 0.3, "%g and %g", deviation[0], deviation[1]);
    EXPECT(consistent[0] == 1 && consistent[1] == 1, "%g and %g of the matched pairs", consistent[0],
           consistent[1]);
}

TEST(consistency, same_bits_for_1_and_2_threads) {
    plx_views views = control_views(CONTROL_NOISE, 6, 32, whole_turn);
    plx_surface_options options = plx_surface_options_default();
    plx_reprojection r[2];
    plx_surface_variance s[2];
    int threads = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i + 1);
        REQUIRE(plx_reprojection_score(&r[i], &views, &options) == PLX_OK, "%s", plx_error());
        REQUIRE(plx_surface_variance_score(&s[i], &views, &options) == PLX_OK, "%s", plx_error());
    }
    omp_set_num_threads(threads);
    EXPECT(r[0].rms == r[1].rms && s[0].deviation == s[1].deviation, "%.17g %.17g, %.17g %.17g", r[0].rms,
           r[1].rms, s[0].deviation, s[1].deviation);
    plx_views_free(&views);
}

TEST(consistency, refuses_by_name) {
    plx_views views = box_views(1, 3, 32, whole_turn);
    plx_surface_options options = plx_surface_options_default();
    plx_reprojection r;
    plx_surface_variance s;
    views.views[2].colour.data[77] = NAN;
    EXPECT(plx_reprojection_score(&r, &views, &options) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "box: view 2"),
           "%s", plx_error());
    plx_image_free(&views.views[1].depth);
    EXPECT(plx_surface_variance_score(&s, &views, &options) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "view 1 has no depth"),
           "%s", plx_error());
    views.views[0].camera.width = 33;
    EXPECT(plx_surface_variance_score(&s, &views, &options) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "view 0"),
           "%s", plx_error());
    options.least_views = 1;
    EXPECT(plx_surface_variance_score(&s, &views, &options) == PLX_ERROR_INPUT, "a variance of one view");
    plx_views_free(&views);
    options.least_views = 3;
    REQUIRE(plx_reprojection_score(&r, &views, &options) == PLX_OK, "%s", plx_error());
    EXPECT(r.pairs == 0 && isnan(r.rms) && isnan(r.coverage), "no views: %g", r.rms);
}
