/* parallax dataset render, info and sheet, as programs. */
#include <jansson.h>
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
    char path[2048];
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
    EXPECT(test_run_parallax_output(arguments, &text) == 0 && strstr(text, "srn, 2 objects, 6 views"), "%s",
           text);
    snprintf(arguments, sizeof arguments, "dataset info --json %s/looked-at", test_directory());
    EXPECT(test_run_parallax_output(arguments, &text) == 0, "%s", text);
    json_t *root = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL), *names;
    REQUIRE(root, "no JSON: %s", text);
    const char *kind;
    int objects, views, per[2], width[2], alpha, depth;
    double distance[2], fov[2];
    EXPECT(json_unpack(root, "{s:s, s:i, s:i, s:[ii], s:[ii], s:[ff], s:[ff], s:b, s:b, s:o}", "kind", &kind,
                       "objects", &objects, "views", &views, "views_per_object", &per[0], &per[1], "width",
                       &width[0], &width[1], "distance", &distance[0], &distance[1], "fov_degrees", &fov[0],
                       &fov[1], "alpha", &alpha, "depth", &depth, "names", &names) == 0,
           "%s", text);
    EXPECT(!strcmp(kind, "srn") && objects == 2 && views == 6 && per[0] == 3 && per[1] == 3 &&
               width[1] == 4 && alpha && !depth && json_array_size(names) == 2 &&
               !strcmp(json_string_value(json_array_get(names, 0)), "test/two"),
           "%s", text);
    EXPECT(fabs(distance[0] - 1.3) < 1e-5 && fabs(distance[1] - 1.3) < 1e-5 && fabs(fov[0] - 51.9895) < 1e-3,
           "%s", text); /* six digits */
    json_decref(root);
    EXPECT(run("sheet", "sheet.png", "--size 16 --columns 2", &text) == 0, "%s", text);
    char path[1024];
    plx_image image;
    snprintf(path, sizeof path, "%s/sheet.png", test_directory());
    REQUIRE(plx_image_load(&image, path) == 0, "%s", plx_error());
    EXPECT(image.width == 32 && image.height == 16, "%dx%d pixels", image.width, image.height);
    plx_image_free(&image);
}

/* Meshes on the command line: every kind of file, both layouts, a ring. */
TEST(cmd_dataset, meshes) {
    const char *text;
    char arguments[4096], path[1024];
    snprintf(arguments, sizeof arguments,
             "dataset render %s -o %s/meshes --pattern ring --views 4 --size 24 --elevation 10 --distance 2 "
             "--fov 30 "
             "--light even --exr --png --geometry --samples 4",
             tetrahedra(), test_directory());
    REQUIRE(test_run_parallax(arguments, &text) == 0, "%s", text);
    static const char *const files[] = {"rgb/000003.png",     "pose/000003.txt",  "geometry/000003.exr",
                                        "exr/000003.exr",     "depth/000003.png", "normal/000003.png",
                                        "position/000003.png"};
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "meshes/t/%s", files[i]);
        EXPECT(there(path, NULL), "no %s", path);
    }
    plx_dataset *dataset;
    plx_views views;
    snprintf(path, sizeof path, "%s/meshes", test_directory());
    REQUIRE(plx_dataset_open(&dataset, path) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
    const plx_view *view = &views.views[1];
    plx_camera wanted =
        plx_camera_orbit(0.5f * (float)M_PI, 10 * (float)M_PI / 180, 2, 30 * (float)M_PI / 180, 24, 24);
    double worst = fabs((double)(wanted.fx - view->camera.fx)) / 24;
    for (int i = 0; i < 12; i++) worst = fmax(worst, fabs((double)(wanted.c2w[i] - view->camera.c2w[i])));
    EXPECT(worst < 1e-5, "camera off by %g", worst); /* floats of about 2 */

    /* The EXR: position is where the ray ends, colour is linear and premultiplied. */
    plx_image exr;
    static const char *const names[] = {"R", "G", "B", "A", "Z", "N.X", "P.X", "P.Y", "P.Z"};
    snprintf(path, sizeof path, "%s/meshes/t/exr/000001.exr", test_directory());
    REQUIRE(plx_exr_load(&exr, path, 9, names) == 0, "%s", plx_error());
    double position = 0, colour = 0;
    int hits = 0;
    for (int i = 0; i < 24 * 24; i++) {
        const float *p = exr.data + 9 * i, *rgba = view->colour.data + 4 * i;
        float origin[3], direction[3];
        plx_camera_ray(&view->camera, (float)(i % 24) + 0.5f, (float)(i / 24) + 0.5f, origin, direction);
        for (int k = 0; k < 3 && p[4] > 0; k++)
            position = fmax(position, fabs((double)(p[6 + k] - origin[k] - p[4] * direction[k])));
        for (int k = 0; k < 3; k++)
            colour = fmax(colour, fabs((double)(p[k] - plx_srgb_decode(rgba[k]) * rgba[3])));
        hits += p[4] > 0;
    }
    EXPECT(hits > 20 && position < 1e-5 && colour < 0.01, "%d hits, position off by %g, colour by %g", hits,
           position, colour); /* 8 bits of colour */
    plx_image_free(&exr);
    plx_views_free(&views);
    plx_dataset_free(dataset);
    EXPECT(test_run_parallax(arguments, &text) == 0 && strstr(text, "1 of 1"), "%s", text);

    /* A bad mesh is named and left out, the others are drawn. */
    snprintf(path, sizeof path, "%s/with-bad/deep", test_directory());
    plx_make_directories(path);
    snprintf(path, sizeof path, "%s/with-bad/deep/bad.stl", test_directory());
    plx_file_write(path, "solid", 5);
    snprintf(path, sizeof path, "%s/with-bad/good.obj", test_directory());
    plx_file_write(path, obj_text, strlen(obj_text));
    snprintf(arguments, sizeof arguments,
             "dataset render %s/with-bad -o %s/drawn --to nerfstudio --views 2 --size 8", test_directory(),
             test_directory());
    EXPECT(test_run_parallax(arguments, &text) == 1 && strstr(text, "bad.stl: ") && strstr(text, "1 of 2"),
           "%s", text);
    EXPECT(there("drawn/good/transforms.json", NULL) && there("drawn/good/images/00001.png", NULL) &&
               !there("drawn/deep-bad", NULL),
           "not what was asked for");
    snprintf(arguments, sizeof arguments, "dataset render %s/with-bad/good.obj %s/t.obj /none.obj -o %s/none",
             test_directory(), tetrahedra(), test_directory());
    EXPECT(test_run_parallax(arguments, &text) == 1 && strstr(text, "/none.obj") && !there("none", NULL),
           "%s", text);
}

/* Cameras of a file; what SRN cannot hold, nerfstudio's layout does. */
TEST(cmd_dataset, camera_path) {
    const char *text;
    char arguments[4096], path[1024], json[2048];
    size_t used =
        (size_t)snprintf(json, sizeof json,
                         "{\"render_height\": 12, \"render_width\": 16, \"seconds\": 1, \"camera_path\": [");
    for (int i = 0; i < 2; i++) {
        plx_camera c = plx_camera_orbit((float)i, 0.3f, 1.5f, 1, 8, 8);
        used += (size_t)snprintf(json + used, sizeof json - used, "%s{\"fov\": %d, \"camera_to_world\": [",
                                 i ? "," : "", 40 + 10 * i);
        for (int k = 0; k < 12; k++)
            used += (size_t)snprintf(json + used, sizeof json - used, "%.9g,", (double)c.c2w[k]);
        used += (size_t)snprintf(json + used, sizeof json - used, "0,0,0,1]}");
    }
    snprintf(json + used, sizeof json - used, "]}");
    snprintf(path, sizeof path, "%s/cameras.json", test_directory());
    plx_file_write(path, json, strlen(json));
    snprintf(arguments, sizeof arguments, "dataset render %s/t.obj --path %s -o %s/along --to nerfstudio",
             tetrahedra(), path, test_directory());
    REQUIRE(test_run_parallax(arguments, &text) == 0, "%s", text);
    snprintf(arguments, sizeof arguments, "dataset render %s/t.obj --path %s -o %s/along-srn", tetrahedra(),
             path, test_directory());
    EXPECT(test_run_parallax(arguments, &text) == 1 && strstr(text, "one focal length"), "%s", text);
    plx_dataset *dataset;
    plx_views views;
    snprintf(path, sizeof path, "%s/along", test_directory());
    REQUIRE(plx_dataset_open(&dataset, path) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
    plx_camera wanted = plx_camera_orbit(1, 0.3f, 1.5f, 50 * (float)M_PI / 180, 16, 12);
    float worst = fabsf(wanted.fx - views.views[1].camera.fx) / 16;
    for (int i = 0; i < 12; i++) worst = fmaxf(worst, fabsf(wanted.c2w[i] - views.views[1].camera.c2w[i]));
    EXPECT(worst < 1e-5f && views.views[1].camera.width == 16, "camera off by %g",
           (double)worst); /* floats */
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

/* SRN -> nerfstudio -> SRN: the same pictures and cameras. */
TEST(cmd_dataset, convert) {
    const char *text;
    char arguments[4096], path[1024];
    REQUIRE(run("render", "source", "--views 2 --size 12 --samples 4", &text) == 0, "%s", text);
    static const char *const steps[][3] = {{"source", "as-nerfstudio", "nerfstudio"},
                                           {"as-nerfstudio", "as-srn", "srn"}};
    for (int i = 0; i < 2; i++) {
        snprintf(arguments, sizeof arguments, "dataset convert %s/%s %s/%s --to %s", test_directory(),
                 steps[i][0], test_directory(), steps[i][1], steps[i][2]);
        REQUIRE(test_run_parallax(arguments, &text) == 0, "%s", text);
    }
    EXPECT(test_run_parallax(arguments, &text) == 0 && strstr(text, "2 of 2"), "%s", text);
    plx_views views[2];
    for (int i = 0; i < 2; i++) {
        plx_dataset *dataset;
        snprintf(path, sizeof path, "%s/%s", test_directory(), i ? "as-srn" : "source");
        REQUIRE(plx_dataset_open(&dataset, path) == 0, "%s", plx_error());
        REQUIRE(plx_dataset_find(dataset, "train/one") >= 0, "no train/one");
        REQUIRE(plx_dataset_load(dataset, plx_dataset_find(dataset, "train/one"), NULL, 0, &views[i]) == 0,
                "%s", plx_error());
        plx_dataset_free(dataset);
    }
    for (int i = 0; i < 2; i++) {
        const plx_view *a = &views[0].views[i], *b = &views[1].views[i];
        EXPECT(!memcmp(a->colour.data, b->colour.data, 12 * 12 * 4 * sizeof(float)),
               "view %d: another picture", i);
        EXPECT(!memcmp(a->camera.c2w, b->camera.c2w, sizeof a->camera.c2w) && a->camera.fx == b->camera.fx &&
                   a->camera.cx == b->camera.cx,
               "view %d: another camera", i); /* 9 digits give floats back */
    }
    plx_views_free(&views[0]);
    plx_views_free(&views[1]);
    snprintf(arguments, sizeof arguments, "dataset sheet %s/as-srn -o %s/set.png --size 8 --columns 2",
             test_directory(), test_directory());
    EXPECT(test_run_parallax(arguments, &text) == 0 && there("set.png", NULL), "%s", text);

    /* an object that cannot be read: a red square, one line, and the sheet all the same */
    plx_image sheet = {0};
    snprintf(path, sizeof path, "truncate -s 20 %s/as-srn/train/one/rgb/000000.png", test_directory());
    REQUIRE(system(path) == 0, "%s", path);
    EXPECT(test_run_parallax_output(arguments, &text) == 1 && strstr(text, "no picture at 0 1: ") &&
               strstr(text, "000000.png"),
           "%s", text);
    snprintf(path, sizeof path, "%s/set.png", test_directory());
    REQUIRE(!plx_image_load(&sheet, path), "%s", plx_error());
    const float *pixel = sheet.data + 3 * (8 + 3); /* of the second square, between the arms of its cross */
    EXPECT(pixel[0] > 0.7f && pixel[1] < 0.2f, "no mark: %g %g", (double)pixel[0], (double)pixel[1]);
    plx_image_free(&sheet);
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
