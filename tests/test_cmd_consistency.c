/* parallax consistency, as a program: its numbers are the library's, and what it refuses. */
#include <jansson.h>
#include <stdarg.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "nerf/consistency.h"
#include "nerf/core/file.h"
#include "tests/consistency_scene.h"

enum { VIEWS = 6, SIZE = 32 };

/* DIR/consistency/one (with depth), DIR/consistency/two (another texture, without): saved once. */
static const char *saved_views(void) {
    static char folder[300];
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/consistency", test_directory());
    for (int i = 0; i < 2; i++) {
        plx_views views = box_views((uint64_t)i + 1, VIEWS, SIZE, 1.5f);
        snprintf(views.name, sizeof views.name, i ? "two" : "one");
        for (int k = 0; i && k < VIEWS; k++) {
            plx_image_free(&views.views[k].depth);
            plx_image_free(&views.views[k].normal);
        }
        int status = plx_make_directories(folder);
        if (!status) status = plx_dataset_save("srn", folder, &views);
        EXPECT(status == PLX_OK, "%s", plx_error());
        plx_views_free(&views);
    }
    return folder;
}

static int run(const char **line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int run(const char **line, const char *format, ...) {
    char arguments[2048], rest[1800];
    va_list list;
    va_start(list, format);
    vsnprintf(rest, sizeof rest, format, list);
    va_end(list);
    snprintf(arguments, sizeof arguments, "consistency --quiet %s", rest);
    return test_run_parallax(arguments, line);
}

static json_t *load_json(const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return json_load_file(path, 0, NULL);
}

static double number(const json_t *root, const char *name) {
    return json_number_value(json_object_get(json_object_get(root, "results"), name));
}

TEST(cmd_consistency, numbers_are_the_library_s) {
    const char *folder = saved_views(), *line;
    plx_dataset *dataset;
    plx_views views;
    plx_tsed tsed;
    plx_reprojection warp;
    plx_surface_variance spread;
    plx_tsed_options tsed_options = plx_tsed_options_default();
    plx_surface_options surface = plx_surface_options_default();
    REQUIRE(run(&line, "%s --object one --scores tsed,reprojection,variance --json %s/one.json", folder,
                test_directory()) == 0,
            "%s", line);
    json_t *json = load_json("one.json");
    REQUIRE(json, "no JSON");
    REQUIRE(plx_dataset_open(&dataset, folder) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, plx_dataset_find(dataset, "one"), NULL, 0, &views) == PLX_OK, "%s",
            plx_error());
    REQUIRE(plx_tsed_score(&tsed, &views, &tsed_options) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_reprojection_score(&warp, &views, &surface) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_surface_variance_score(&spread, &views, &surface) == PLX_OK, "%s", plx_error());
    EXPECT(number(json, "tsed_pairs") == tsed.pairs && number(json, "tsed_matches") == tsed.matches &&
               number(json, "tsed_2") == tsed.consistent[3],
           "%g pairs, %g matches, %g", number(json, "tsed_pairs"), number(json, "tsed_matches"),
           number(json, "tsed_2"));
    EXPECT(number(json, "reprojection_rms") == warp.rms &&
               number(json, "variance_deviation") == spread.deviation,
           "%.17g and %.17g, not %.17g and %.17g", number(json, "reprojection_rms"),
           number(json, "variance_deviation"), warp.rms, spread.deviation);
    EXPECT(!json_object_get(json_object_get(json, "results"), "field_psnr"),
           "a score that was not asked for");
    json_decref(json);
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

TEST(cmd_consistency, depth_from_elsewhere) {
    const char *folder = saved_views(), *line, *fit = "--steps 110 --rays 100 --resolution 16";
    /* The two boxes have one shape and the same poses. */
    REQUIRE(run(&line, "%s --object two --scores variance --geometry %s/one --json %s/two.json", folder,
                folder, test_directory()) == 0,
            "%s", line);
    REQUIRE(run(&line, "%s/one --scores variance --json %s/own.json", folder, test_directory()) == 0, "%s",
            line);
    json_t *two = load_json("two.json"), *own = load_json("own.json"), *both;
    EXPECT(number(two, "variance_coverage") > 0 &&
               number(two, "variance_coverage") == number(own, "variance_coverage"),
           "%g, not %g", number(two, "variance_coverage"), number(own, "variance_coverage"));
    /* By a field fitted to the views: all scores, both objects. */
    REQUIRE(run(&line, "%s %s --input 1 --json %s/both.json", folder, fit, test_directory()) == 0, "%s",
            line);
    both = load_json("both.json");
    json_t *objects = json_object_get(both, "objects");
    EXPECT(json_array_size(objects) == 2 && number(both, "field_fitted") == 4 &&
               number(both, "field_held") == 1,
           "%zu objects, %g fitted, %g held, of 5 without the input", json_array_size(objects),
           number(both, "field_fitted"), number(both, "field_held"));
    EXPECT(number(both, "field_psnr") > 5 &&
               strstr(json_string_value(json_object_get(both, "geometry")), "fitted"),
           "%g dB, %s", number(both, "field_psnr"), json_string_value(json_object_get(both, "geometry")));
    json_decref(two);
    json_decref(own);
    json_decref(both);
}

TEST(cmd_consistency, refuses_in_one_line) {
    const char *folder = saved_views(), *line;
    EXPECT(run(&line, "%s/nothing", folder) == 1 && strstr(line, "nothing"), "%s", line);
    EXPECT(run(&line, "%s --object three", folder) == 1 && strstr(line, "'three'"), "%s", line);
    EXPECT(run(&line, "%s --thresholds 1,x", folder) == 2 && strstr(line, "1,x"), "%s", line);
    EXPECT(run(&line, "%s --thresholds 1,,2", folder) == 2, "%s", line);
    EXPECT(run(&line, "%s --object one --scores field --input 6", folder) == 1 && strstr(line, "no view 6"),
           "%s", line);
    EXPECT(run(&line, "%s --object one --scores variance --geometry %s/two", folder, folder) == 1 &&
               strstr(line, "has no depth"),
           "%s", line);
    EXPECT(run(&line, "%s --scores tsed --json %s/no/where.json", folder, folder) == 1 &&
               strstr(line, "no/where"),
           "%s", line);
}
