/* parallax dataset render, info and sheet, as programs. */
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/test.h"

static const char *const obj_text = "mtllib t.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
                                    "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

/* A catalogue of two tetrahedra; returns its folder. */
static const char *tetrahedra(void) {
    static char folder[300];
    char path[400];
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/tetrahedra", test_directory());
    plx_make_directories(folder);
    const char *const texts[][2] = {
        {"t.obj", obj_text},
        {"t.mtl", "newmtl red\nKd 0.8 0.1 0.1\n"},
        {"objects.tsv", "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\n"
                        "one\tOne\tchair\tt.obj\tCC0-1.0\tnobody\ty\t\tg\ttrain\t1\n"
                        "two\tTwo\ttable\tt.obj\tCC-BY-3.0\tsomebody\ty\t\th\ttest\t1\n"}};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, texts[i][0]);
        if (plx_file_write(path, texts[i][1], strlen(texts[i][1]))) printf("    %s\n", plx_error());
    }
    return folder;
}

/* parallax dataset COMMAND --catalogue ... --data ... -o DIR/NAME REST; the exit status. */
static int run(const char *command, const char *name, const char *rest, const char **text) {
    char arguments[2048];
    snprintf(arguments, sizeof arguments, "dataset %s --catalogue %s/objects.tsv --data %s -o %s/%s %s",
             command, tetrahedra(), tetrahedra(), test_directory(), name, rest);
    return test_run_parallax(arguments, text);
}

static bool there(const char *name, struct stat *info) {
    char path[1024];
    struct stat own;
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return stat(path, info ? info : &own) == 0;
}

TEST(cmd_dataset, render_and_resume) {
    const char *text, *rest = "--views 2 --size 8 --samples 4 --variants 2 --geometry";
    REQUIRE(run("render", "rendered", rest, &text) == 0, "%s", text);
    EXPECT(there("rendered/train/one/rgb/000001.png", NULL) &&
               there("rendered/train/one-v1/pose/000000.txt", NULL) &&
               there("rendered/test/two/geometry/000000.exr", NULL) && there("rendered/credits.tsv", NULL),
           "something is missing");
    /* An object without intrinsics.txt is not complete: it alone is made again. */
    char path[1024];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/rendered/train/one/intrinsics.txt", test_directory());
    unlink(path);
    there("rendered/test/two/pose/000000.txt", &before);
    EXPECT(run("render", "rendered", rest, &text) == 0 && strstr(text, "3 of 4"), "%s", text);
    there("rendered/test/two/pose/000000.txt", &after);
    EXPECT(before.st_ino == after.st_ino && access(path, F_OK) == 0, "the wrong object was made again");
    EXPECT(run("render", "rendered", "--views 3 --size 8", &text) == 1 && strstr(text, "other options"), "%s",
           text);

    plx_dataset *dataset;
    plx_views views;
    snprintf(path, sizeof path, "%s/rendered", test_directory());
    REQUIRE(plx_dataset_open(&dataset, path) == 0, "%s", plx_error());
    EXPECT(plx_dataset_count(dataset) == 4 && !strcmp(plx_dataset_name(dataset, 2), "train/one"),
           "%d objects, %s", plx_dataset_count(dataset), plx_dataset_name(dataset, 2));
    REQUIRE(plx_dataset_load(dataset, 2, NULL, 0, &views) == 0, "%s", plx_error());
    plx_camera wanted = plx_default_camera(1, "one", 1, 8);
    float worst = 0;
    for (int i = 0; i < 12; i++) worst = fmaxf(worst, fabsf(wanted.c2w[i] - views.views[1].camera.c2w[i]));
    EXPECT(worst == 0 && views.views[1].camera.cx == 4, "camera off by %g",
           (double)worst); /* 9 digits give floats back */
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

TEST(cmd_dataset, split_pattern_filter) {
    const char *text;
    EXPECT(run("render", "spiral", "--pattern srn-spiral --split test --size 4 --samples 1 --views 5",
               &text) == 0,
           "%s", text);
    EXPECT(there("spiral/test/two/rgb/000004.png", NULL) && !there("spiral/train", NULL), "the wrong split");
    EXPECT(run("render", "chairs", "--objects chair --size 4 --samples 1 --views 1", &text) == 0, "%s", text);
    EXPECT(there("chairs/train/one", NULL) && !there("chairs/test", NULL), "the wrong class");
}

TEST(cmd_dataset, info_and_sheet) {
    const char *text;
    char arguments[1024];
    REQUIRE(run("render", "looked-at", "--size 4 --samples 1 --views 3", &text) == 0, "%s", text);
    snprintf(arguments, sizeof arguments, "dataset info %s/looked-at", test_directory());
    EXPECT(test_run_parallax(arguments, &text) == 0, "%s", text);
    snprintf(arguments, sizeof arguments, "dataset info --json %s/looked-at", test_directory());
    EXPECT(test_run_parallax(arguments, &text) == 0, "%s", text);
    EXPECT(run("sheet", "sheet.png", "--size 16 --columns 2", &text) == 0, "%s", text);
    char path[1024];
    plx_image image;
    snprintf(path, sizeof path, "%s/sheet.png", test_directory());
    REQUIRE(plx_image_load(&image, path) == 0, "%s", plx_error());
    EXPECT(image.width == 32 && image.height == 16, "%dx%d pixels", image.width, image.height);
    plx_image_free(&image);
}

TEST(cmd_dataset, bad_input) {
    const char *text;
    EXPECT(test_run_parallax("dataset render", &text) == 2 && strstr(text, "output"), "%s", text);
    EXPECT(run("render", "bad", "--samples 5", &text) == 2 && strstr(text, "square"), "%s", text);
    EXPECT(run("render", "bad", "--size 0", &text) == 2, "%s", text);
    EXPECT(run("render", "bad", "--pattern zigzag", &text) == 2, "%s", text);
    EXPECT(run("render", "bad", "--objects sofa", &text) == 1 && strstr(text, "sofa"), "%s", text);
    EXPECT(run("render", "bad", "--data /nowhere", &text) == 1 && strstr(text, "/nowhere"), "%s", text);
    EXPECT(!there("bad/train/one/intrinsics.txt", NULL), "an object without a file was written");
    EXPECT(run("render", "tetrahedra/t.obj", "", &text) == 1 && strstr(text, "t.obj"), "%s", text);
    EXPECT(test_run_parallax("dataset info /no/such/set", &text) == 1 && strstr(text, "/no/such/set"), "%s",
           text);
    EXPECT(test_run_parallax("dataset info", &text) == 2, "%s", text);
}
