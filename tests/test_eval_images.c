/* parallax eval images on pictures whose metrics are known. */
#include "tests/test.h"

#include <jansson.h>
#include <sys/stat.h>

#include "tests/posed_layouts.h"

enum { SIDE = 24 };

static const char *in_set(const char *name) {
    return test_file_in("images/", name);
}

/* A chequered picture of two levels 40 apart: `offset` moves every pixel. */
static void save_picture(const char *name, int side, int level, int offset) {
    plx_image image;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in_set(name));
    *strrchr(folder, '/') = 0;
    REQUIRE(!plx_make_directories(folder) && !plx_image_create(&image, side, side, 3), "%s", plx_error());
    for (int i = 0; i < side * side * 3; i++) {
        int x = i / 3 % side, y = i / 3 / side, value = level + (x / 4 + y / 4) % 2 * 40 + offset;
        image.data[i] = (float)value / 255;
    }
    EXPECT(plx_png_save(in_set(name), &image) == 0, "%s", plx_error());
    plx_image_free(&image);
}

/* Truth as SRN has it, two methods as pixelNeRF leaves them: view 0 was the input. Object a is off by 1 and by 2 levels, object b
 * by 2 and by 4. */
static void make_set(void) {
    char name[64];
    for (int object = 0; object < 2; object++)
        for (int view = 0; view < 3; view++) {
            snprintf(name, sizeof name, "truth/%c/rgb/%06d.png", 'a' + object, view);
            save_picture(name, SIDE, 50 + 20 * view, 0);
            for (int method = 0; method < 2 && view; method++) {
                snprintf(name, sizeof name, "m%d/%c/%06d.png", method, 'a' + object, view);
                save_picture(name, SIDE, 50 + 20 * view, (1 + object) * (1 + method));
            }
        }
    save_picture("m0/a/000001_compare.png", 7, 0, 0);
    EXPECT(plx_file_write(in_set("m0/finish.txt"), "a 1 1 1\n", 8) == 0, "%s", plx_error());
}

static int compare(const char **text, const char *method, const char *more) {
    char arguments[4096];
    snprintf(arguments, sizeof arguments, "eval images %s --against %s %s", in_set(method), in_set("truth"),
             more);
    return test_run_parallax(arguments, text);
}

static double value_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    EXPECT(json_is_number(value), "%s is no number", key);
    return json_number_value(value);
}

static double decibels(double levels) {
    return 20 * log10(255 / levels);
}

TEST(eval_images, known_offsets) {
    const char *text;
    char more[2048];
    make_set();
    snprintf(more, sizeof more, "--except 0 --and %s --threads 1 --json %s --csv %s --report %s",
             in_set("m1"), in_set("one.json"), in_set("one.csv"), in_set("one.html"));
    int code = compare(&text, "m0", more);
    REQUIRE(code == 0, "%d %s", code, text);
    snprintf(more, sizeof more, "--except 64,0 --and %s --threads 2 --json %s", in_set("m1"),
             in_set("two.json"));
    code = compare(&text, "m0", more);
    REQUIRE(code == 0, "%d %s", code, text);
    code = compare(&text, "m0", "--only 1,2"); /* not the inputs: the same views */
    EXPECT(code == 0, "%d %s", code, text);
    json_t *one = json_load_file(in_set("one.json"), 0, NULL),
           *two = json_load_file(in_set("two.json"), 0, NULL);
    REQUIRE(json_array_size(one) == 2 && json_array_size(two) == 2, "a record a method");
    json_t *first = json_array_get(one, 0), *results = json_object_get(first, "results");
    /* The JSON has 6 digits. */
    double psnr = (decibels(1) + decibels(2)) / 2, lower = decibels(2);
    EXPECT(fabs(value_of(results, "psnr") - psnr) < 1e-4, "%g, not %g", value_of(results, "psnr"), psnr);
    EXPECT(fabs(value_of(results, "psnr_low") - lower) < 1e-4,
           "%g: one object twice is a quarter of the draws", value_of(results, "psnr_low"));
    EXPECT(value_of(results, "views") == 4 && value_of(results, "objects") == 2, "views");
    EXPECT(value_of(results, "ms_ssim_scales") == 2, "24, 12 pixels");
    EXPECT(value_of(results, "sharpness") == 1, "an offset has no gradient: %g",
           value_of(results, "sharpness"));
    EXPECT(!json_object_get(results, "iou") && json_is_null(json_object_get(results, "lpips")), "unmeasured");
    json_t *pair = json_object_get(
        json_object_get(json_object_get(json_array_get(one, 1), "paired"), in_set("m0")), "psnr");
    EXPECT(fabs(value_of(pair, "difference") + decibels(1) - decibels(2)) < 1e-4 &&
               fabs(value_of(pair, "low") - value_of(pair, "high")) < 1e-4,
           "twice the offset everywhere: %g [%g, %g]", value_of(pair, "difference"), value_of(pair, "low"),
           value_of(pair, "high"));
    EXPECT(json_array_size(json_object_get(first, "objects")) == 2, "objects");
    for (size_t m = 0; m < 2; m++)
        EXPECT(json_equal(json_object_get(json_array_get(one, m), "results"),
                          json_object_get(json_array_get(two, m), "results")),
               "method %zu: 1 and 2 threads, two results", m);
    json_decref(one), json_decref(two);
    char *page = NULL;
    size_t size;
    REQUIRE(!plx_file_read(&page, &size, in_set("one.html"), 1 << 24), "%s", plx_error());
    EXPECT(strstr(page, "best: a") && strstr(page, "worst: b"), "a is off by less than b");
    free(page);
    char line[256] = "";
    FILE *csv = fopen(in_set("one.csv"), "r");
    REQUIRE(csv, "no CSV");
    for (int i = 0; i < 2; i++) EXPECT(fgets(line, sizeof line, csv) != NULL, "line %d", i);
    EXPECT(strstr(line, ",a,,000001.png,,48.1308,"), "%s", line);
    fclose(csv);
}

/* As pixelNeRF names the objects of several classes. */
TEST(eval_images, classes_by_name) {
    static const char *const names[] = {"02691156_a", "02691156_b", "02828884_a"};
    const char *text;
    char name[64], arguments[2048];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "classed/%s/000001.png", names[i]);
        save_picture(name, SIDE, 90, 0);
        snprintf(name, sizeof name, "guessed/%s/000001.png", names[i]);
        save_picture(name, SIDE, 90, 1 + i);
    }
    snprintf(arguments, sizeof arguments, "eval images %s --against %s --json %s", in_set("guessed"),
             in_set("classed"), in_set("classed.json"));
    int code = test_run_parallax_output(arguments, &text);
    EXPECT(code == 0 && strstr(text, "02828884             1"), "%d %s", code, text);
    json_t *all = json_load_file(in_set("classed.json"), 0, NULL),
           *by_class = json_object_get(json_object_get(json_array_get(all, 0), "results"), "by_class");
    REQUIRE(json_object_size(by_class) == 2, "%zu classes", json_object_size(by_class));
    EXPECT(fabs(value_of(json_object_get(by_class, "02691156"), "psnr") - (decibels(1) + decibels(2)) / 2) <
                   1e-4 &&
               fabs(value_of(json_object_get(by_class, "02828884"), "psnr") - decibels(3)) < 1e-4,
           "another mean");
    json_decref(all);
}

TEST(eval_images, flat_folders) {
    const char *text;
    char arguments[2048];
    save_picture("flat/x.png", SIDE, 90, 0), save_picture("flat/y.png", SIDE, 90, 0);
    save_picture("other/x.png", SIDE, 90, 3), save_picture("other/y.png", SIDE, 90, 3);
    snprintf(arguments, sizeof arguments, "eval images %s --against %s", in_set("other"), in_set("flat"));
    int code = test_run_parallax_output(arguments, &text);
    EXPECT(code == 0 && strstr(text, "38.59") && strstr(text, "1 object, 2 views"), "%d %s", code, text);
}

/* One line names what is wrong, and nothing is written. */
static void expect_refused(const char *method, const char *more, const char *what) {
    const char *text;
    char options[2048];
    struct stat info;
    remove(in_set("refused.json"));
    snprintf(options, sizeof options, "--json %s %s", in_set("refused.json"), more);
    int code = compare(&text, method, options);
    EXPECT(code == 1 && strstr(text, what), "%d %s, expected %s", code, text, what);
    EXPECT(stat(in_set("refused.json"), &info) != 0, "%s: a result was written", what);
}

TEST(eval_images, refuses_what_does_not_match) {
    const char *text;
    make_set();
    expect_refused("m0", "", "m0: no a/000000.png, which ");
    expect_refused("m0", "--only 1,7", "m0/a: no view 7");
    remove(in_set("m0/b/000002.png"));
    expect_refused("m0", "--except 0", "m0: no b/000002.png, which ");
    save_picture("m0/b/000002.png", SIDE + 1, 60, 0);
    expect_refused("m0", "--except 0", "m0/b/000002.png: 25x25 pixels, but ");
    EXPECT(plx_file_write(in_set("m0/b/000002.png"), "no picture", 10) == 0, "%s", plx_error());
    expect_refused("m0", "--except 0", "m0/b/000002.png: not a PNG or JPEG picture");
    save_picture("m0/b/000002.png", SIDE, 60, 0);
    save_picture("m0/c/000001.png", SIDE, 60, 0);
    expect_refused("m0", "--except 0", "truth: no c, which ");
    remove(in_set("m0/c/000001.png"));
    save_picture("m0/stray.png", SIDE, 60, 0);
    expect_refused("m0", "--except 0", "m0: pictures here and in its folder a");
    remove(in_set("m0/stray.png"));
    expect_refused("nowhere", "", "nowhere: No such file");
    REQUIRE(plx_make_directories(in_set("empty")) == 0, "%s", plx_error());
    expect_refused("empty", "", "empty: no PNG");
    int code = test_run_parallax("eval images /tmp", &text);
    EXPECT(code == 2 && strstr(text, "--against is missing"), "%d %s", code, text);
}

/* ---- truth that is a data set ------------------------------------------------------------------------------------------- */

static void save_over_white(const char *name, const plx_image *rgba) {
    char folder[512];
    plx_image over;
    snprintf(folder, sizeof folder, "%s", in_set(name));
    *strrchr(folder, '/') = 0;
    if (plx_make_directories(folder) || plx_image_over(&over, rgba, 1)) abort();
    EXPECT(plx_png_save(in_set(name), &over) == 0, "%s", plx_error());
    plx_image_free(&over);
}

/* All pictures are the same, 3 or (`more` leaves one out) 2; or the command fails, as `wrong` says. */
static void expect_equal(const char *pictures, const char *truth, const char *more, const char *wrong) {
    char arguments[4096], line[512] = "", file[512];
    const char *text;
    snprintf(file, sizeof file, "%s", in_set("same.csv"));
    remove(file);
    snprintf(arguments, sizeof arguments, "eval images %s --against %s %s --csv %s", in_set(pictures),
             in_set(truth), more, file);
    int code = test_run_parallax(arguments, &text), views = 0;
    if (wrong) {
        EXPECT(code == 1 && strstr(text, wrong), "%d %s, expected %s", code, text, wrong);
        return;
    }
    REQUIRE(code == 0, "%s: %d %s", truth, code, text);
    FILE *csv = fopen(file, "r");
    for (; csv && fgets(line, sizeof line, csv); views++)
        EXPECT(!views || strtod(strstr(line, ".png,,") + 6, NULL) > 60, "%s against %s: %s", pictures, truth,
               line); /* where opacity is partial, colours are rounded twice; another view is below 20 */
    EXPECT(views == 1 + (*more ? 2 : 3), "%d lines", views);
    EXPECT(strstr(line, ",chairs,"), "no class: %s", line); /* the data set's folder */
    if (csv) fclose(csv);
}

TEST(eval_images, truth_in_every_layout) {
    plx_views views;
    char name[64];
    double focal = POSED_WIDTH * 35.0 / 32;
    draw_posed(&views, focal, focal, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
    snprintf(views.name, sizeof views.name, "thing");
    for (int k = 0; k < views.count; k++)
        for (int flat = 0; flat < 2; flat++) {
            snprintf(name, sizeof name, flat ? "single/r_%d.png" : "made/chairs_thing/%06d.png", k);
            save_over_white(name, &views.views[k].colour);
        }
    write_zero123(folder_at(in_set("zero123"), "chairs/thing"), &views, RIGHT);
    write_nmr(folder_at(in_set("nmr"), "chairs/thing"), &views, RIGHT);
    const char *srn = folder_at(in_set("srn"), "chairs"), *studio = folder_at(in_set("studio"), "chairs");
    REQUIRE(!plx_dataset_save("srn", srn, &views) && !plx_dataset_save("nerfstudio", studio, &views), "%s",
            plx_error());
    static const char *const layouts[] = {"srn", "studio", "nmr", "zero123"};
    for (int i = 0; i < 4; i++) {
        expect_equal("made", layouts[i], "", NULL);
        expect_equal("single", layouts[i], "", NULL);
        expect_equal("made", layouts[i], "--except 1", NULL);
        expect_equal("single", layouts[i], "--only 0,2", NULL);
    }
    remove(in_set("single/r_1.png"));
    expect_equal("single", "nmr", "", "single: no picture of view 0001.png of chairs/thing");
    save_over_white("single/r_7.png", &views.views[0].colour);
    expect_equal("single", "studio", "", "studio: chairs/thing has no view r_7.png, which ");
    save_over_white("made/lamp/000000.png", &views.views[0].colour);
    expect_equal("made", "zero123", "", "zero123: no lamp, which ");
    plx_views_free(&views);
}
