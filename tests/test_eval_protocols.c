/* parallax eval on data sets of posed views and on pictures: a tiny set in each layout, an untrained tiny model. What
 * the views are is known, so that some numbers are too. */
#include <jansson.h>
#include <stdarg.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "nerf/consistency.h"
#include "tests/consistency_scene.h"
#include "tests/posed_scene.h"
#include "tests/tiny_model.h"
#include "tools/evaluation_case.h"

enum { VIEWS = 6, SIZE = 32, TURN = 2 };
#define ZERO123_FOCAL (SIZE * 35.0f / 32)

static const char *at(const char *name) {
    return test_file_in("protocols/", name);
}

/* A box of the given texture; the last view stands where the first does. */
static plx_views views_of(uint64_t seed, const char *name) {
    plx_views views = box_views(seed, VIEWS, SIZE, TURN);
    plx_view *last = &views.views[VIEWS - 1], *first = &views.views[0];
    snprintf(views.name, sizeof views.name, "%s", name);
    last->camera = first->camera;
    memcpy(last->colour.data, first->colour.data, sizeof(float) * 4 * SIZE * SIZE);
    memcpy(last->depth.data, first->depth.data, sizeof(float) * 2 * SIZE * SIZE);
    return views;
}

/* protocols/SET/one and two, lengths times `scale`; view `turned` (or -1) is said to stand half a radian further. */
static int write_srn(const char *set, float scale, int turned) {
    int status = plx_make_directories(at(set));
    for (int i = 0; i < 2 && !status; i++) {
        plx_views views = views_of((uint64_t)i + 1, i ? "two" : "one");
        for (int k = 0; k < VIEWS; k++) {
            plx_view *v = &views.views[k];
            float wrong = k == turned ? 0.5f : 0;
            if (k == turned)
                v->camera =
                    plx_camera_orbit(plx_camera_azimuth(&v->camera) + wrong, plx_camera_elevation(&v->camera),
                                     PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, SIZE, SIZE);
            for (int row = 0; row < 3; row++) v->camera.c2w[4 * row + 3] *= scale;
            for (int p = 0; p < 2 * SIZE * SIZE; p++) v->depth.data[p] *= scale;
        }
        status = plx_dataset_save("srn", at(set), &views);
        plx_views_free(&views);
    }
    return status;
}

/* The boxes' views through zero123's lens: protocols/lens in SRN's layout, protocols/npy in zero123's. */
static int write_both(void) {
    int status = plx_make_directories(at("lens"));
    for (int i = 0; i < 2 && !status; i++) {
        plx_views views = views_of((uint64_t)i + 1, i ? "two" : "one");
        const char *npy = i ? "npy/two" : "npy/one";
        status = plx_make_directories(at(npy));
        for (int k = 0; k < VIEWS && !status; k++) {
            char name[64], path[600], bytes[4096];
            double m[16];
            views.views[k].camera.fx = views.views[k].camera.fy = ZERO123_FOCAL;
            plx_image_free(&views.views[k].depth);
            plx_image_free(&views.views[k].normal);
            matrix_of(m, &views.views[k].camera, false, RIGHT);
            invert_rigid(m);
            snprintf(name, sizeof name, "%03d.png", k);
            png_to(at(npy), name, &views.views[k].colour);
            snprintf(path, sizeof path, "%s/%03d.npy", at(npy), k);
            status = plx_file_write(path, bytes, npy_bytes(bytes, (npy_layout){.version = 1}, 3, 4, m));
        }
        if (!status) status = plx_dataset_save("srn", at("lens"), &views);
        plx_views_free(&views);
    }
    return status;
}

static int run(const char **line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int run(const char **line, const char *format, ...) {
    char arguments[4096], rest[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(rest, sizeof rest, format, list);
    va_end(list);
    if (access(at("tiny.safetensors"), R_OK))
        EXPECT(!plx_make_directories(at("")) && !tiny_model_save(at("tiny.safetensors")), "%s", plx_error());
    snprintf(arguments, sizeof arguments, "eval --quiet --samples 16 --model %s %s", at("tiny.safetensors"),
             rest);
    return test_run_parallax(arguments, line);
}

static json_t *evaluated(const char *arguments) {
    const char *line;
    unlink(at("eval.json"));
    int code = run(&line, "%s --json %s", arguments, at("eval.json"));
    EXPECT(code == 0, "%d: %s", code, line);
    return json_load_file(at("eval.json"), 0, NULL);
}

static const json_t *results(const json_t *all, const char *method) {
    for (size_t m = 0; m < json_array_size(all); m++) {
        const json_t *one = json_array_get(all, m);
        if (!strcmp(json_string_value(json_object_get(one, "method_name")), method))
            return json_object_get(one, "results");
    }
    return NULL;
}

static double number(const json_t *all, const char *method, const char *name) {
    const json_t *value = json_object_get(results(all, method), name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* ---- data sets of posed views ------------------------------------------------------------------------------------------ */

TEST(eval_protocols, srn_views_and_numbers_that_are_known) {
    char arguments[1024];
    REQUIRE(!write_srn("srn", 1, -1), "%s", plx_error());
    snprintf(arguments, sizeof arguments,
             "--protocol srn --data %s --sources 0 --only 5 --methods truth,copy,extruded", at("srn"));
    json_t *same = evaluated(arguments);
    /* The one target is the input's own view: JSON has null for infinite. */
    EXPECT(json_is_null(json_object_get(results(same, "truth"), "psnr")) &&
               json_is_null(json_object_get(results(same, "copy"), "psnr")),
           "%g and %g dB", number(same, "truth", "psnr"), number(same, "copy", "psnr"));
    EXPECT(number(same, "copy", "ssim") == 1 && number(same, "copy", "views") == 2, "%g, %g views",
           number(same, "copy", "ssim"), number(same, "copy", "views"));
    EXPECT(number(same, "extruded", "iou") == 1, "swept to where it came from: IoU %g",
           number(same, "extruded", "iou"));
    json_decref(same);

    snprintf(arguments, sizeof arguments, "--protocol srn --data %s --sources 2,4 --methods truth,extruded",
             at("srn"));
    json_t *two = evaluated(arguments);
    EXPECT(number(two, "truth", "views") == 8 && json_is_null(json_object_get(results(two, "truth"), "psnr")),
           "%g views of 2 objects with 6, two of them sources", number(two, "truth", "views"));
    EXPECT(number(two, "truth", "depth_error") == 0, "%g", number(two, "truth", "depth_error"));
    json_decref(two);

    /* The same picture is said to be of half a radian further. */
    REQUIRE(!write_srn("turned", 1, 5), "%s", plx_error());
    snprintf(arguments, sizeof arguments,
             "--protocol srn --data %s --sources 0 --only 5 --methods copy,extruded", at("turned"));
    json_t *turned = evaluated(arguments);
    EXPECT(json_is_null(json_object_get(results(turned, "copy"), "psnr")) &&
               number(turned, "extruded", "iou") < 0.9,
           "IoU %g", number(turned, "extruded", "iou"));
    json_decref(turned);
}

/* ---- SRN's own numbers: 251 test views, 64 or 64 and 104 as sources, the quick list ------------------------------------ */

enum { TEST_VIEWS = 251, GRAIN = 12 };

/* View k is a square of the level k: a quarter of the picture. */
static int write_spiral(const char *set) {
    plx_views views;
    int status = plx_make_directories(at(set));
    if (!status) status = plx_views_create(&views, TEST_VIEWS);
    if (status) return status;
    views.has_alpha = true;
    snprintf(views.name, sizeof views.name, "one");
    for (int k = 0; k < TEST_VIEWS && !status; k++) {
        plx_view *v = &views.views[k];
        v->camera = plx_camera_orbit(0.1f * (float)k, 0.004f * (float)k, PLX_DEFAULT_DISTANCE,
                                     PLX_DEFAULT_FOV, GRAIN, GRAIN);
        status = plx_image_create(&v->colour, GRAIN, GRAIN, 4);
        for (int p = 0; p < GRAIN * GRAIN && !status; p++) {
            int row = p / GRAIN, column = p % GRAIN;
            if (row < 3 || row >= 9 || column < 3 || column >= 9) continue;
            for (int c = 0; c < 3; c++) v->colour.data[4 * p + c] = (float)k / 255;
            v->colour.data[4 * p + 3] = 1;
        }
    }
    if (!status) status = plx_dataset_save("srn", at(set), &views);
    plx_views_free(&views);
    return status;
}

/* The copied input tells by its PSNR which view it was compared with: a quarter of the pixels is |k - 64| levels off. */
static void expect_targets(const char *more, int count, const int *targets) {
    const char *text;
    char line[2048];
    int code = run(&text, "--protocol srn --data %s --methods copy --csv %s %s", at("spiral"),
                   at("spiral.csv"), more);
    REQUIRE(code == 0, "%d: %s", code, text);
    FILE *csv = fopen(at("spiral.csv"), "r");
    REQUIRE(csv && fgets(line, sizeof line, csv), "no CSV");
    for (int i = 0; i < count; i++) {
        double psnr = 20 * log10(255. / abs(targets[i] - 64)) + 10 * log10(4.), found = NAN;
        char *at_line = fgets(line, sizeof line, csv);
        for (int comma = 0; at_line && comma < 5; comma++) at_line = strchr(at_line, ',') + 1;
        if (at_line) found = strtod(at_line, NULL);
        EXPECT(fabs(found - psnr) < 1e-3, "%s: target %d is not view %d: %g dB, not %g", more, i, targets[i],
               found, psnr); /* six digits */
    }
    EXPECT(!fgets(line, sizeof line, csv), "%s: more than %d targets", more, count);
    fclose(csv);
}

TEST(eval_protocols, srn_as_published) {
    static const int quick[] = {0, 24, 49, 74, 99, 124, 149, 174, 199, 224, 249}; /* formats.md */
    int all[TEST_VIEWS], count = 0;
    REQUIRE(!write_spiral("spiral"), "%s", plx_error());
    for (int k = 0; k < TEST_VIEWS; k++)
        if (k != 64) all[count++] = k;
    expect_targets("", 250, all);
    expect_targets("--only quick", 11, quick);
    count = 0;
    for (int k = 0; k < TEST_VIEWS; k++)
        if (k != 64 && k != 104) all[count++] = k;
    expect_targets("--sources 64,104", 249, all);
    expect_targets("--sources 64,104 --only quick", 11, quick);
}

/* Twice as large, twice as far: everything is halved exactly, so that all numbers are the same. */
TEST(eval_protocols, scale_is_the_cameras_distance) {
    char arguments[1024];
    json_t *all[2];
    for (int i = 0; i < 2; i++) {
        REQUIRE(!write_srn(i ? "large" : "srn", i ? 2 : 1, -1), "%s", plx_error());
        snprintf(arguments, sizeof arguments,
                 "--protocol srn --data %s --sources 1 --methods copy,feedforward --threads %d",
                 at(i ? "large" : "srn"), i + 1);
        all[i] = evaluated(arguments);
    }
    EXPECT(results(all[0], "feedforward") && json_equal((json_t *)(uintptr_t)results(all[0], "feedforward"),
                                                        (json_t *)(uintptr_t)results(all[1], "feedforward")),
           "%g dB and %g dB, depth %g and %g", number(all[0], "feedforward", "psnr"),
           number(all[1], "feedforward", "psnr"), number(all[0], "feedforward", "depth_error"),
           number(all[1], "feedforward", "depth_error"));
    EXPECT(json_object_get(json_object_get(json_array_get(all[0], 0), "paired"), "feedforward"), "no pairs");
    json_decref(all[0]), json_decref(all[1]);
}

TEST(eval_protocols, zero123_is_srn_in_another_layout) {
    char arguments[1024];
    REQUIRE(!write_both(), "%s", plx_error());
    snprintf(arguments, sizeof arguments,
             "--protocol srn --sources 0 --data %s --methods copy,extruded,feedforward", at("lens"));
    json_t *srn = evaluated(arguments);
    snprintf(arguments, sizeof arguments, "--protocol zero123 --data %s --methods copy,extruded,feedforward",
             at("npy"));
    json_t *zero = evaluated(arguments);
    EXPECT(number(srn, "copy", "psnr") == number(zero, "copy", "psnr") ||
               json_is_null(json_object_get(results(zero, "copy"), "psnr")),
           "the same pictures");
    /* Poses go through an inverse in double and come back as floats: 1e-7 of a pose is less than a step of 8 bits. */
    double a = number(srn, "feedforward", "psnr"), b = number(zero, "feedforward", "psnr");
    EXPECT(fabs(a - b) < 0.01, "%g and %g dB", a, b);
    a = number(srn, "extruded", "iou"), b = number(zero, "extruded", "iou");
    EXPECT(fabs(a - b) < 2e-3 && number(zero, "copy", "views") == 10, "IoU %g and %g", a, b);
    json_decref(srn), json_decref(zero);
}

/* SRN's own pictures are opaque, on white: there is no silhouette to compare, and methods still get one without background. */
TEST(eval_protocols, opaque_truth_has_no_silhouette) {
    char arguments[1024], set[32];
    double psnr[2];
    for (int opaque = 0; opaque < 2; opaque++) {
        plx_views views = views_of(1, "box");
        for (int k = 0; k < VIEWS && opaque; k++) {
            float *rgba = views.views[k].colour.data;
            for (int p = 0; p < 4 * SIZE * SIZE; p += 4) {
                for (int c = 0; c < 3; c++) rgba[p + c] = rgba[p + 3] * rgba[p + c] + 1 - rgba[p + 3];
                rgba[p + 3] = 1;
            }
        }
        snprintf(set, sizeof set, opaque ? "opaque" : "clear");
        REQUIRE(!plx_make_directories(at(set)) && !plx_dataset_save("srn", at(set), &views), "%s",
                plx_error());
        snprintf(arguments, sizeof arguments,
                 "--protocol srn --sources 0 --data %s --methods copy,extruded,feedforward", at(set));
        json_t *all = evaluated(arguments);
        EXPECT(isnan(number(all, "feedforward", "iou")) == (opaque == 1), "IoU %g",
               number(all, "feedforward", "iou"));
        psnr[opaque] = number(all, "feedforward", "psnr");
        json_decref(all);
        plx_views_free(&views);
    }
    /* The edges' opacity is only estimated, so that the input differs a little from the true one. */
    EXPECT(fabs(psnr[0] - psnr[1]) < 0.5, "%g dB and, opaque, %g dB", psnr[0], psnr[1]);
}

/* The second object cannot be read; then it can. */
TEST(eval_protocols, goes_on_from_what_is_measured) {
    const char *line, *part = "--protocol srn --sources 0 --methods copy --threads 1";
    char settings[2048];
    REQUIRE(!write_srn("late", 1, -1), "%s", plx_error());
    REQUIRE(!rename(at("late/two/pose/000003.txt"), at("late/two/pose/000003.bak")), "rename");
    snprintf(settings, sizeof settings, "%s --data %s --json %s", part, at("late"), at("late.json"));
    int code = run(&line, "%s", settings);
    EXPECT(code == 1 && strstr(line, "000003.txt"), "%d: %s", code, line);
    code = run(&line, "%s --consistency tsed", settings);
    EXPECT(code == 1 && strstr(line, "another 'consistency'"), "%d: %s", code, line);
    REQUIRE(!rename(at("late/two/pose/000003.bak"), at("late/two/pose/000003.txt")), "rename");
    code = run(&line, "%s", settings);
    EXPECT(code == 0, "%d: %s", code, line);
    json_t *whole = json_load_file(at("late.json"), 0, NULL);
    EXPECT(number(whole, "copy", "objects") == 2 && number(whole, "copy", "views") == 10, "%g objects",
           number(whole, "copy", "objects"));
    EXPECT(access(at("late.json.partial"), F_OK) != 0, "left behind");
    json_decref(whole);
}

/* ---- pictures --------------------------------------------------------------------------------------------------------- */

TEST(eval_protocols, pictures_without_truth) {
    plx_views views = views_of(1, "box");
    char arguments[1024];
    REQUIRE(!plx_make_directories(at("pictures")), "%s", plx_error());
    for (int k = 0; k < 2; k++) png_to(at("pictures"), k ? "b.png" : "a.png", &views.views[2 * k].colour);
    snprintf(arguments, sizeof arguments,
             "--protocol pictures --data %s --methods copy,feedforward --consistency tsed --path-views 3",
             at("pictures"));
    json_t *all = evaluated(arguments);
    EXPECT(json_array_size(all) == 2, "there is no truth to be a method: %zu", json_array_size(all));
    EXPECT(json_is_null(json_object_get(results(all, "copy"), "psnr")) && number(all, "copy", "views") == 2,
           "the input against itself: %g dB", number(all, "copy", "psnr"));
    EXPECT(number(all, "feedforward", "psnr") < 100 && number(all, "feedforward", "detail") >= 0 &&
               number(all, "copy", "tsed_matches") > 0,
           "%g dB, detail %g, %g matches", number(all, "feedforward", "psnr"),
           number(all, "feedforward", "detail"), number(all, "copy", "tsed_matches"));
    json_decref(all);
    plx_views_free(&views);
}

/* ---- consistency -------------------------------------------------------------------------------------------------------- */

/* The truth's row is the library's scores of the true views; one picture everywhere is worse. */
TEST(eval_protocols, consistency_of_true_views) {
    char arguments[1024];
    plx_dataset *dataset;
    plx_views views;
    plx_reprojection warp;
    plx_tsed tsed;
    plx_surface_options surface = plx_surface_options_default();
    plx_tsed_options matching = plx_tsed_options_default();
    REQUIRE(!write_srn("srn", 1, -1), "%s", plx_error());
    snprintf(
        arguments, sizeof arguments,
        "--protocol srn --data %s/one --sources 5 --methods copy --consistency tsed,reprojection,variance "
        "--threads 2 --csv %s",
        at("srn"), at("eval.csv"));
    json_t *all = evaluated(arguments);
    REQUIRE(!plx_dataset_open(&dataset, at("srn/one")) &&
                !plx_dataset_load(dataset, 0, (int[]){0, 1, 2, 3, 4}, 5, &views),
            "%s", plx_error());
    REQUIRE(!plx_reprojection_score(&warp, &views, &surface) && !plx_tsed_score(&tsed, &views, &matching),
            "%s", plx_error());
    /* JSON has six digits. */
    EXPECT(fabs(number(all, "truth", "reprojection_rms") / warp.rms - 1) < 1e-5 &&
               fabs(number(all, "truth", "tsed_matches") - tsed.matches) < 1e-4,
           "%g and %g, not %g and %g", number(all, "truth", "reprojection_rms"),
           number(all, "truth", "tsed_matches"), warp.rms, tsed.matches);
    EXPECT(number(all, "copy", "reprojection_rms") > 2 * warp.rms &&
               number(all, "copy", "variance_deviation") > 2 * number(all, "truth", "variance_deviation"),
           "copied: %g, %g", number(all, "copy", "reprojection_rms"),
           number(all, "copy", "variance_deviation"));
    EXPECT(number(all, "copy", "reprojection_coverage") == number(all, "truth", "reprojection_coverage"),
           "the same depth, the same share");
    EXPECT(!json_object_get(results(all, "copy"), "field_psnr"), "a score that was not asked for");
    FILE *csv = fopen(at("eval.csv"), "r");
    char line[2048] = "";
    EXPECT(csv && fgets(line, sizeof line, csv) && strstr(line, ",reprojection_rms,"), "%s", line);
    if (csv) fclose(csv);
    json_decref(all);
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

/* Along a path, with depth from a field fitted to the method's views; the same for any number of threads. */
TEST(eval_protocols, consistency_along_a_path) {
    char arguments[1024];
    json_t *all[2];
    REQUIRE(!write_both(), "%s", plx_error());
    for (int i = 0; i < 2; i++) {
        snprintf(arguments, sizeof arguments,
                 "--protocol zero123 --data %s/one --only 1,2 --methods copy --path orbit --path-views 5 "
                 "--consistency field,variance --field-steps 10 --threads %d",
                 at("npy"), i + 1);
        all[i] = evaluated(arguments);
    }
    REQUIRE(json_array_size(all[0]) == 1, "%zu methods", json_array_size(all[0]));
    EXPECT(json_equal((json_t *)(uintptr_t)results(all[0], "copy"),
                      (json_t *)(uintptr_t)results(all[1], "copy")),
           "1 and 2 threads differ");
    EXPECT(number(all[0], "copy", "field_psnr") > 3 && number(all[0], "copy", "views") == 2,
           "%g dB, %g views", number(all[0], "copy", "field_psnr"), number(all[0], "copy", "views"));
    json_decref(all[0]), json_decref(all[1]);
}

/* ---- bad input ------------------------------------------------------------------------------------------------------------ */

#define REFUSES(code_, part, ...)                                                                     \
    do {                                                                                              \
        const char *line_;                                                                            \
        int got_ = run(&line_, __VA_ARGS__);                                                          \
        EXPECT(got_ == (code_) && strstr(line_, part) && strchr(line_, '\n') == strrchr(line_, '\n'), \
               "%d: %s", got_, line_);                                                                \
    } while (0)

static int damage(const char *set, int kind) {
    int status = write_srn(set, 1, -1);
    char path[600];
    plx_views views = views_of(2, "two");
    plx_view *view = &views.views[3];
    plx_image small = {0};
    snprintf(path, sizeof path, "%s/two/%s/000003.%s", at(set), kind == 2 ? "geometry" : "rgb",
             kind == 2 ? "exr" : "png");
    if (kind == 0) {
        if (!status) status = plx_image_resize(&small, &view->colour, SIZE / 2, SIZE / 2);
        if (!status) status = plx_png_save(path, &small);
        snprintf(path, sizeof path, "%s/two/geometry/000003.exr", at(set));
        if (!status && remove(path)) status = -1;
    } else if (kind == 1) {
        status = status ? status : remove(path);
    } else {
        view->depth.data[2 * (SIZE / 2 * SIZE + SIZE / 2)] = NAN;
        if (!status) status = plx_geometry_save(path, view);
    }
    plx_image_free(&small);
    plx_views_free(&views);
    return status;
}

TEST(eval_protocols, what_does_not_fit_is_named) {
    const char *copy = "--protocol srn --methods copy --sources 0";
    REQUIRE(!write_srn("srn", 1, -1) && !damage("sizes", 0) && !damage("missing", 1) && !damage("nan", 2),
            "%s", plx_error());
    REFUSES(1, "two: view 3 has 16x16 pixels, not 32x32", "%s --data %s", copy, at("sizes"));
    REFUSES(1, "two has no view 3, which one has", "%s --data %s", copy, at("missing"));
    REFUSES(1, "two: the depth of view 3 has pixels that are no numbers", "%s --data %s", copy, at("nan"));
    REFUSES(1, "one has no view 64", "--protocol srn --methods copy --data %s", at("srn"));
    REFUSES(1, "one has no view 7", "%s --only 1,7 --data %s", copy, at("srn"));
    REFUSES(2, "'1,x'", "%s --only 1,x --data %s", copy, at("srn"));
    REFUSES(1, "no view is left", "%s --only 0 --data %s", copy, at("srn"));
    REFUSES(2, "--methods truth",
            "--protocol srn --sources 0 --methods truth --consistency tsed --path orbit "
            "--data %s",
            at("srn"));
    REFUSES(1, "no PNG", "--protocol pictures --methods copy --data %s", at("srn/one/pose"));
}

TEST(eval_protocols, predicted_pixels_that_are_no_numbers) {
    plx_views views = views_of(1, "box"), predicted = views_of(1, "box");
    plx_eval_sample samples[VIEWS - 1];
    plx_eval_entry entry = {.method = "broken", .object = "box", .count = VIEWS - 1, .samples = samples};
    plx_eval_case of = {.views = views, .targets = VIEWS - 1, .scored = 1};
    plx_eval_measuring what = {0};
    EXPECT(!plx_eval_measure_case(&entry, &what, &of, &predicted.views[1]) &&
               isinf(samples[4].values[PLX_EVAL_PSNR]),
           "%s", plx_error());
    predicted.views[4].depth.data[7] = INFINITY;
    EXPECT(plx_eval_measure_case(&entry, &what, &of, &predicted.views[1]) == PLX_ERROR_NUMERIC &&
               strstr(plx_error(), "box by broken: view 4"),
           "%s", plx_error());
    plx_views_free(&views);
    plx_views_free(&predicted);
}

/* One camera turned away: its view is of something else. */
TEST(eval_protocols, poses_without_a_common_centre_are_named) {
    char path[600], pose[512] = "";
    REQUIRE(!write_srn("away", 1, -1), "%s", plx_error());
    plx_camera camera =
        plx_camera_look_at((float[3]){1.3f, 0, 0}, (float[3]){2.6f, 0, 0.1f}, PLX_DEFAULT_FOV, SIZE, SIZE);
    double m[16];
    matrix_of(m, &camera, true, RIGHT);
    for (int k = 0; k < 16; k++) snprintf(pose + strlen(pose), 32, "%.9g ", m[k]);
    snprintf(path, sizeof path, "%s/one/pose/000002.txt", at("away"));
    REQUIRE(!plx_file_write(path, pose, strlen(pose)), "%s", plx_error());
    REFUSES(1, "one: view 2 does not see", "--protocol srn --methods copy --sources 0 --data %s", at("away"));
}
