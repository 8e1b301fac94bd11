/* The evaluation's arithmetic on known numbers, and the whole command on two cubes. */
#include "tests/test.h"

#include "datasets/datasets.h"
#include "nerf/core/file.h"
#include "tests/tiny_model.h"
#include "tools/evaluation_report.h"

/* Object 0 has views at 10 and 90 degrees, object 1 one at 119 and one whose value is missing. */
static const plx_eval_sample known[4] = {{0, 10, {20, 0.5, 0.1, 1, 4}},
                                         {0, 90, {22, 0.7, 0.3, 0.5, 1}},
                                         {1, 119, {30, 0.9, 0.2, 0.25, 0.5}},
                                         {1, 150, {NAN, NAN, NAN, NAN, NAN}}};

static bool near(double a, double b) {
    return fabs(a - b) < 1e-12; /* a handful of double operations on numbers of order 10 */
}

TEST(eval, means_over_views_then_objects) {
    plx_eval_mean m = plx_eval_average(known, 4, PLX_EVAL_PSNR, -1);
    EXPECT(near(m.mean, 25.5), "(21 + 30)/2, not %g", m.mean);
    EXPECT(near(m.deviation, 9 / sqrt(2)), "%g", m.deviation);
    EXPECT(near(m.error, 4.5), "%g", m.error);
    EXPECT(m.objects == 2 && m.views == 3, "%d objects, %d views", m.objects, m.views);
    m = plx_eval_average(known, 4, PLX_EVAL_IOU, 2);
    EXPECT(near(m.mean, 0.375) && m.views == 2, "%g of %d", m.mean, m.views);
    m = plx_eval_average(known, 4, PLX_EVAL_PSNR, 0);
    EXPECT(near(m.mean, 20) && isnan(m.error), "%g +- %g", m.mean, m.error);
    m = plx_eval_average(known, 4, PLX_EVAL_PSNR, 3);
    EXPECT(isnan(m.mean) && m.objects == 0, "%g of %d", m.mean, m.objects);
}

TEST(eval, sharpness_is_a_geometric_mean) {
    plx_eval_mean m = plx_eval_average(known, 4, PLX_EVAL_SHARPNESS, -1);
    EXPECT(near(m.mean, 1), "sqrt(sqrt(4 * 1) * 0.5) = 1, not %g", m.mean);
    EXPECT(near(m.error, log(2)), "logs are +-log 2: %g", m.error);
}

TEST(eval, gaps) {
    const double degrees[] = {0, 29.9, 30, 59.9, 60, 119.9, 120, 180};
    for (int i = 0; i < 8; i++)
        EXPECT(plx_eval_gap_bin(degrees[i]) == i / 2, "%g: bin %d", degrees[i], plx_eval_gap_bin(degrees[i]));
    plx_camera a = plx_camera_orbit(3, 0.3f, 1.3f, 0.9f, 8, 8),
               b = plx_camera_orbit(-3, 0.3f, 1.3f, 0.9f, 8, 8);
    double gap = plx_camera_azimuth_gap(&a, &b), truth = (2 * M_PI - 6) * 180 / M_PI;
    EXPECT(fabs(gap - truth) < 1e-4, "%g, not %g: across the seam; poses are floats", gap, truth);
}

TEST(eval, infinite_and_missing_numbers_are_null) {
    plx_eval_sample sample = {0, 10, {INFINITY, 1, 0, 1, NAN}};
    plx_eval_result result = {.method = "copy", .count = 1, .samples = &sample};
    const char *id = "a";
    plx_eval_set set = {.count = 1, .ids = &id, .gaps = true};
    json_t *json = plx_eval_json(&set, 1, &result, 0, "test", "file");
    json_t *results = json_object_get(json, "results");
    EXPECT(json_is_null(json_object_get(results, "psnr")), "PSNR of equal images");
    EXPECT(json_number_value(json_object_get(results, "ssim")) == 1, "SSIM");
    EXPECT(!json_object_get(results, "sharpness"), "no view has a sharpness");
    EXPECT(json_is_null(json_object_get(results, "lpips")) && json_is_null(json_object_get(results, "fid")),
           "there are no networks");
    EXPECT(json_integer_value(json_object_get(results, "views")) == 1, "views");
    EXPECT(!strcmp(json_string_value(json_object_get(json, "method_name")), "copy"), "method");
    char *text = json_dumps(json, 0);
    EXPECT(text && !strstr(text, "nan") && !strstr(text, "inf"), "%s", text);
    free(text);
    json_decref(json);
}

/* ---- intervals ------------------------------------------------------------------------------------------------------ */

TEST(eval, bootstrap_of_known_distributions) {
    plx_eval_interval i;
    const double one[] = {3}, two[] = {0, NAN, 1}, infinite[] = {1, INFINITY};
    REQUIRE(plx_eval_bootstrap(&i, one, 1) == 0, "%s", plx_error());
    EXPECT(i.mean == 3 && isnan(i.low) && i.objects == 1, "one value has no interval: %g", i.low);
    REQUIRE(plx_eval_bootstrap(&i, two, 3) == 0, "%s", plx_error());
    /* Means 0, 1/2, 1 of probability 1/4, 1/2, 1/4. */
    EXPECT(i.mean == 0.5 && i.low == 0 && i.high == 1 && i.objects == 2, "%g [%g, %g]", i.mean, i.low,
           i.high);
    REQUIRE(plx_eval_bootstrap(&i, infinite, 2) == 0, "%s", plx_error());
    EXPECT(isinf(i.mean) && isnan(i.low), "%g [%g, %g]", i.mean, i.low, i.high);
    double many[400], squares = 0;
    for (int k = 0; k < 400; k++) many[k] = k % 20 - 9.5, squares += many[k] * many[k];
    REQUIRE(plx_eval_bootstrap(&i, many, 400) == 0, "%s", plx_error());
    /* The mean of 400 is normal, of deviation sqrt(mean square / 400); 10,000 draws know a 2.5 % quantile of a normal
     * distribution within sqrt(.025 * .975 / 1e4) / (density .058) = 2.7 % of a deviation: 4 times that. */
    double deviation = sqrt(squares / 400 / 400);
    EXPECT(fabs(i.low + 1.96 * deviation) < 0.11 * deviation &&
               fabs(i.high - 1.96 * deviation) < 0.11 * deviation,
           "[%g, %g], not +-%g", i.low, i.high, 1.96 * deviation);
}

/* Two methods far apart from object to object, but always apart by 1: the pairs know it, the means do not. */
TEST(eval, pairs_see_what_means_do_not) {
    double a[30], b[30];
    plx_eval_interval mean, pair, ratio;
    for (int i = 0; i < 30; i++) b[i] = i % 7 * 5, a[i] = b[i] + 1 + 0.1 * (i % 3 - 1);
    b[4] = NAN;
    REQUIRE(!plx_eval_mean_interval(&mean, a, 30, PLX_EVAL_PSNR) &&
                !plx_eval_paired_interval(&pair, a, b, 30, PLX_EVAL_PSNR) &&
                !plx_eval_paired_interval(&ratio, a, b, 30, PLX_EVAL_SHARPNESS),
            "%s", plx_error());
    EXPECT(mean.high - mean.low > 5 && mean.objects == 30, "[%g, %g]", mean.low, mean.high);
    EXPECT(pair.objects == 29 && pair.low > 0.95 && pair.high < 1.05, "[%g, %g]", pair.low, pair.high);
    EXPECT(fabs(log(ratio.mean) - pair.mean) < 1e-12, "a ratio: %g, %g", ratio.mean, pair.mean);
}

TEST(eval, object_means_tell_what_is_missing) {
    double means[3];
    EXPECT(plx_eval_object_means(known, 4, PLX_EVAL_PSNR, 3, means) == 1, "one view has none");
    EXPECT(means[0] == 21 && means[1] == 30 && isnan(means[2]), "%g %g %g", means[0], means[1], means[2]);
    EXPECT(plx_eval_object_means(known, 4, PLX_EVAL_SHARPNESS, 3, means) == 1 && near(means[0], log(2)), "%g",
           means[0]);
}

/* A disc of 12 pixels about the middle of a 64-pixel view. */
static int disc(plx_view *out, plx_camera camera) {
    *out = (plx_view){.camera = camera};
    int status = plx_image_create(&out->colour, 64, 64, 4);
    for (int p = 0; !status && p < 64 * 64; p++) {
        float x = (float)(p % 64) - 31.5f, y = (float)(p / 64) - 31.5f;
        out->colour.data[4 * p + 3] = x * x + y * y < 144;
    }
    return status;
}

TEST(eval, swept_silhouette) {
    plx_view input;
    plx_image same, side;
    plx_camera camera = plx_camera_orbit(0.5f, 0, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 64, 64);
    plx_camera beside =
        plx_camera_orbit(0.5f + (float)M_PI / 2, 0, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 64, 64);
    REQUIRE(disc(&input, camera) == 0, "%s", plx_error());
    REQUIRE(plx_eval_extrude(&same, &input, &camera) == 0, "%s", plx_error());
    REQUIRE(plx_eval_extrude(&side, &input, &beside) == 0, "%s", plx_error());
    /* Every point of a ray through a pixel projects back into that pixel. */
    double iou = plx_silhouette_iou(&input.colour, &same);
    EXPECT(iou == 1, "from the input's own camera: IoU %g", iou);
    /* From the side: a cone of half-angle 12/65.6 about the middle row, cut by the sphere of radius 0.5 at distance 1.3,
     * which is seen as a disc of radius 65.6 * 0.5/sqrt(1.3^2 - 0.25) = 27.3 pixels. */
    const float *row = side.data + 4 * 32 * 64;
    int solid = 0;
    for (int x = 0; x < 64; x++) solid += row[4 * x + 3] > 0;
    EXPECT(abs(solid - 55) <= 1, "%d pixels of the middle row, of 2 * 27.3", solid);
    int near_row = 0, far_row = 0; /* the input stands to the right or left: thin near it, thick away */
    for (int y = 0; y < 64; y++)
        near_row += side.data[4 * (64 * y + 12) + 3] > 0, far_row += side.data[4 * (64 * y + 51) + 3] > 0;
    EXPECT(abs(near_row - far_row) > 6, "a cone, not a cylinder: %d and %d", near_row, far_row);
    plx_image_free(&input.colour);
    plx_image_free(&same);
    plx_image_free(&side);
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */

static const char cube[] =
    "v -1 -1 -1\nv 1 -1 -1\nv 1 1 -1\nv -1 1 -1\nv -1 -1 1\nv 1 -1 1\nv 1 1 1\nv -1 1 1\n"
    "f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n";
static const char table[] =
    "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\tnote\n"
    "a\tA\tbox\tcube.obj\tCC0-1.0\tme\ty\t\ta\ttest\t1\t\n"
    "b\tB\tbox\tcube.obj\tCC-BY-3.0\tme\ty\t\tb\ttest\t1\t\n"
    "c\tC\tbox\tcube.obj\tCC0-1.0\tme\ty\t\tc\tvalidation\t1\t\n";

static bool exists(const char *path) {
    FILE *file = fopen(path, "r");
    if (file) fclose(file);
    return file != NULL;
}

static int write_set(void) {
    int status = tiny_model_save(test_file("tiny.safetensors"));
    if (!status) status = plx_file_write(test_file("cube.obj"), cube, sizeof cube - 1);
    return status ? status : plx_file_write(test_file("objects.tsv"), table, sizeof table - 1);
}

static json_t *evaluated(const char *more) {
    char arguments[2048];
    const char *text, *dir = test_directory();
    snprintf(
        arguments, sizeof arguments,
        "eval --quiet --samples 8 --model %s/tiny.safetensors --catalogue %s/objects.tsv --data %s --json "
        "%s/eval.json %s",
        dir, dir, dir, dir, more);
    int code = test_run_parallax(arguments, &text);
    EXPECT(code == 0, "%d %s", code, text);
    return json_load_file(test_file("eval.json"), 0, NULL);
}

TEST(eval, whole_command_twice) {
    char sheet[1024];
    REQUIRE(write_set() == 0, "%s", plx_error());
    snprintf(sheet, sizeof sheet, "--licence CC0 --sheet %s --report %s", test_file("sheet.png"),
             test_file("report.html"));
    json_t *once = evaluated(sheet), *twice = evaluated("--licence CC0"),
           *cropped = evaluated("--methods feedforward --objects 1 --input auto --elevation unknown");
    REQUIRE(json_array_size(once) == 3 && json_array_size(twice) == 3 && json_array_size(cropped) == 1,
            "methods");
    for (size_t m = 0; m < 3; m++) {
        json_t *a = json_object_get(json_array_get(once, m), "results"),
               *b = json_object_get(json_array_get(twice, m), "results");
        EXPECT(json_equal(a, b), "method %zu: two runs, two results", m);
        EXPECT(json_integer_value(json_object_get(a, "views")) == 8, "method %zu: one object is CC0", m);
        json_t *psnr = json_object_get(json_object_get(json_array_get(once, 0), "paired"), "feedforward");
        EXPECT(json_object_get(json_object_get(psnr, "psnr"), "difference"), "no pairs");
        EXPECT(json_object_get(json_object_get(json_object_get(a, "by_class"), "box"), "iou"), "no class");
        EXPECT(m != 2 || (json_object_get(a, "swd") && json_object_get(a, "ms_ssim_scales") &&
                          json_object_get(a, "ssim_gaussian")),
               "a metric is missing");
        EXPECT(m < 2 || !json_equal(a, json_object_get(json_array_get(cropped, 0), "results")),
               "the framing makes no difference");
    }
    plx_image image = {0};
    REQUIRE(plx_image_load(&image, test_file("sheet.png")) == 0, "%s", plx_error());
    EXPECT(image.height == 32 && image.width == 7 * 32, "%dx%d", image.width, image.height);
    char *page = NULL;
    size_t size;
    REQUIRE(!plx_file_read(&page, &size, test_file("report.html"), 1 << 24), "%s", plx_error());
    EXPECT(strstr(page, "class=\"ring\"") && strstr(page, "feedforward") && strstr(page, "CC0"),
           "no turntable, no method, or no settings");
    free(page);
    plx_image_free(&image);
    json_decref(once), json_decref(twice), json_decref(cropped);
}

/* One process for each object, or one for both with two threads. */
TEST(eval, workers_change_nothing) {
    char sheets[2][512];
    REQUIRE(write_set() == 0, "%s", plx_error());
    snprintf(sheets[0], sizeof sheets[0], "--threads 1 --sheet %s", test_file("one.png"));
    snprintf(sheets[1], sizeof sheets[1], "--threads 3 --sheet %s", test_file("three.png"));
    json_t *one = evaluated(sheets[0]), *three = evaluated(sheets[1]);
    REQUIRE(json_array_size(one) == 3 && json_array_size(three) == 3, "methods");
    for (size_t m = 0; m < 3; m++)
        EXPECT(json_equal(json_object_get(json_array_get(one, m), "results"),
                          json_object_get(json_array_get(three, m), "results")),
               "method %zu: 1 and 3 threads, two results", m);
    plx_image a = {0}, b = {0};
    REQUIRE(!plx_image_load(&a, test_file("one.png")) && !plx_image_load(&b, test_file("three.png")), "%s",
            plx_error());
    EXPECT(a.height == 64 && b.height == 64 && !memcmp(a.data, b.data, sizeof(float) * 64 * 7 * 32 * 3),
           "the sheets differ");
    EXPECT(!exists(test_file("eval.json.partial")) && !exists(test_file("one.png.partial")), "left behind");
    plx_image_free(&a), plx_image_free(&b);
    json_decref(one), json_decref(three);
}

/* The second object's mesh is missing; then it is there. */
TEST(eval, goes_on_from_what_is_measured) {
    static const char broken[] =
        "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\tnote\n"
        "a\tA\tbox\tcube.obj\tCC0-1.0\tme\ty\t\ta\ttest\t1\t\n"
        "b\tB\tbox\tlate.obj\tCC-BY-3.0\tme\ty\t\tb\ttest\t1\t\n";
    char arguments[2048];
    const char *text, *dir = test_directory();
    REQUIRE(write_set() == 0 && plx_file_write(test_file("objects.tsv"), broken, sizeof broken - 1) == 0,
            "%s", plx_error());
    remove(test_file("late.obj"));
    const char *format =
        "eval --methods copy,extruded --threads %d --catalogue %s/objects.tsv --data %s --json "
        "%s/part.json %s";
    snprintf(arguments, sizeof arguments, format, 1, dir, dir, dir, "");
    int code = test_run_parallax(arguments, &text);
    EXPECT(code == 1 && strstr(text, "late.obj"), "%d %s", code, text);
    EXPECT(exists(test_file("part.json.partial")) && !exists(test_file("part.json")), "%s", text);

    snprintf(arguments, sizeof arguments, format, 2, dir, dir, dir, "--samples 7");
    code = test_run_parallax(arguments, &text);
    EXPECT(code == 1 && strstr(text, "part.json.partial") && strstr(text, "'samples'"), "%d %s", code, text);

    REQUIRE(plx_file_write(test_file("late.obj"), cube, sizeof cube - 1) == 0, "%s", plx_error());
    FILE *journal = fopen(test_file("part.json.partial"), "a");
    REQUIRE(journal, "no journal");
    fputs("{\"method\": \"copy\", \"obj", journal); /* cut off */
    fclose(journal);
    snprintf(arguments, sizeof arguments, format, 2, dir, dir, dir, "");
    code = test_run_parallax(arguments, &text);
    EXPECT(code == 0 && strstr(text, "1 of 2 objects were measured already"), "%d %s", code, text);
    EXPECT(!exists(test_file("part.json.partial")), "left behind");
    json_t *parts = json_load_file(test_file("part.json"), 0, NULL);
    REQUIRE(plx_file_write(test_file("objects.tsv"), table, sizeof table - 1) == 0, "%s", plx_error());
    json_t *whole = evaluated("--methods copy,extruded --samples 96");
    for (size_t m = 0; m < 2; m++)
        EXPECT(json_equal(json_object_get(json_array_get(parts, m), "results"),
                          json_object_get(json_array_get(whole, m), "results")),
               "method %zu: in one go and in two, two results", m);
    json_decref(parts), json_decref(whole);
}

TEST(eval, command_refuses) {
    const char *text;
    int code = test_run_parallax("eval --catalogue /nowhere.tsv --methods copy", &text);
    EXPECT(code == 1 && strstr(text, "/nowhere.tsv: No such file"), "%d %s", code, text);
    code = test_run_parallax("eval --methods nonsense", &text);
    EXPECT(code == 2 && strstr(text, "nonsense"), "%d %s", code, text);
}
