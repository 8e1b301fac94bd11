/* Each kind of data set: a drawn object written by that format's conventions and read back, and its classic mistakes. */
#include <unistd.h>

#include "datasets/npy.h"
#include "tests/posed_layouts.h"

static const char *fresh(const char *name, enum mistake mistake) {
    char own[100];
    snprintf(own, sizeof own, "kinds-%s-%d", name, (int)mistake);
    return folder_at(test_directory(), own);
}

/* ---- zero123 ------------------------------------------------------------------------------------------------------- */

TEST(kinds, zero123) {
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, TRANSPOSED, WRONG_FOV_AXIS};
    for (int i = 0; i < 4; i++) {
        double side = mistakes[i] == WRONG_FOV_AXIS ? POSED_HEIGHT : POSED_WIDTH, focal = side * 35 / 32;
        plx_views views;
        draw_posed(&views, focal, focal, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
        const char *folder = fresh("zero123", mistakes[i]);
        write_zero123(folder_at(folder, "object"), &views, mistakes[i]);
        check_posed(folder, "zero123", &views, mistakes[i]);
        plx_views_free(&views);
    }
}

/* One pose after the other that is none, or not there. */
TEST(kinds, zero123_bad_input) {
    plx_views views, read;
    char folder[1024], pose[1100], bytes[4096];
    draw_posed(&views, 43.75, 43.75, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
    snprintf(folder, sizeof folder, "%s", folder_at(fresh("zero123-bad", RIGHT), "object"));
    write_zero123(folder, &views, RIGHT);
    plx_views_free(&views);
    snprintf(pose, sizeof pose, "%s/001.npy", folder);
    plx_dataset *dataset;
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    static const double zero[16] = {0}, nan[12] = {1, 0, 0, NAN, 0, 1, 0, 0, 0, 0, 1, 2},
                        scaled[12] = {2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 2},
                        mirrored[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 2};
    static const struct {
        const double *values;
        int rows, columns;
        const char *word;
    } cases[] = {{zero, 3, 4, "rotation"},     {nan, 3, 4, "rotation"}, {scaled, 3, 4, "rotation"},
                 {mirrored, 3, 4, "rotation"}, {zero, 4, 3, "3x4"},     {zero, 2, 2, "3x4"},
                 {zero, 1, 12, "3x4"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size =
            npy_bytes(bytes, (npy_layout){.version = 1}, cases[i].rows, cases[i].columns, cases[i].values);
        if (plx_file_write(pose, bytes, size)) abort();
        EXPECT(plx_dataset_load(dataset, 0, NULL, 0, &read) == PLX_ERROR_INPUT &&
                   strstr(plx_error(), "001.npy") && strstr(plx_error(), cases[i].word),
               "case %zu: %s", i, plx_error());
    }
    plx_dataset_free(dataset);
}

/* ---- NMR / DVR ------------------------------------------------------------------------------------------------------ */

TEST(kinds, nmr) {
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, HALF_PIXEL, TRANSPOSED};
    plx_views views;
    draw_posed(&views, 37.32, 36, 19.5, 14);
    for (int i = 0; i < 4; i++) {
        const char *folder = fresh("nmr", mistakes[i]);
        write_nmr(folder_at(folder, "02691156/object"), &views, mistakes[i]);
        check_posed(folder, "nmr", &views, mistakes[i]);
    }
    plx_views_free(&views);
}

TEST(kinds, nmr_bad_input) {
    plx_views views;
    char folder[1024], path[1100];
    draw_posed(&views, 37.32, 36, 19.5, 14);
    snprintf(folder, sizeof folder, "%s", folder_at(fresh("nmr-bad", RIGHT), "object"));
    write_nmr(folder, &views, RIGHT);
    /* A fourth picture without a camera. */
    png_to(folder, "image/0003.png", &views.views[0].colour);
    png_to(folder, "mask/0003.png", &views.views[0].colour);
    plx_dataset *dataset;
    plx_views read;
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    EXPECT(plx_dataset_load(dataset, 0, NULL, 0, &read) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "cameras.npz: no array 'world_mat_3'"),
           "%s", plx_error());
    plx_npy array;
    char *data;
    size_t size;
    snprintf(path, sizeof path, "%s/cameras.npz", folder);
    REQUIRE(plx_file_read(&data, &size, path, 1 << 20) == 0, "%s", plx_error());
    for (size_t length = 0; length < size; length += 97) { /* truncated anywhere */
        if (plx_file_write(path, data, length)) abort();
        EXPECT(plx_npz_load(&array, path, "world_mat_0") < 0 && strstr(plx_error(), "cameras.npz"),
               "%zu bytes: %s", length, plx_error());
    }
    free(data);
    unlink(path);
    EXPECT(plx_dataset_load(dataset, 0, NULL, 0, &read) == PLX_ERROR_IO, "%s", plx_error());
    plx_dataset_free(dataset);
    plx_views_free(&views);
}

/* ---- COLMAP --------------------------------------------------------------------------------------------------------- */

TEST(kinds, colmap) {
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, HALF_PIXEL, TRANSPOSED};
    plx_views views;
    draw_posed(&views, 42, 40.5, 19.25, 16);
    for (int i = 0; i < 4; i++) {
        const char *folder = fresh("colmap", mistakes[i]);
        write_colmap(folder, &views, mistakes[i]);
        check_posed(folder, "colmap", &views, mistakes[i]);
    }
    plx_views_free(&views);
}

/* Every camera model that is read is the camera, and the picture, that a transforms.json with the same numbers gives. */
TEST(kinds, colmap_camera_models) {
    static const struct {
        const char *line;
        double fx, fy, cx, cy, k1, k2, k3, p1, p2;
    } models[] = {
        {"SIMPLE_PINHOLE 40 30 42 19 16", 42, 42, 19, 16, 0, 0, 0, 0, 0},
        {"PINHOLE 40 30 42 40 19 16", 42, 40, 19, 16, 0, 0, 0, 0, 0},
        {"SIMPLE_RADIAL 40 30 42 19 16 -0.1", 42, 42, 19, 16, -0.1, 0, 0, 0, 0},
        {"RADIAL 40 30 42 19 16 -0.1 0.02", 42, 42, 19, 16, -0.1, 0.02, 0, 0, 0},
        {"OPENCV 40 30 42 40 19 16 -0.1 0.02 0.01 -0.005", 42, 40, 19, 16, -0.1, 0.02, 0, 0.01, -0.005},
        {"FULL_OPENCV 40 30 42 40 19 16 -0.1 0.02 0.01 -0.005 0.003 0 0 0", 42, 40, 19, 16, -0.1, 0.02, 0.003,
         0.01, -0.005}};
    plx_views views;
    char folders[2][1024], text[2048];
    draw_posed(&views, 42, 40, 19, 16);
    snprintf(folders[0], sizeof folders[0], "%s", folder_at(test_directory(), "models-colmap"));
    snprintf(folders[1], sizeof folders[1], "%s", folder_at(test_directory(), "models-transforms"));
    folder_at(folders[0], "images");
    png_to(folders[0], "images/a.png", &views.views[0].colour);
    png_to(folders[1], "a.png", &views.views[0].colour);
    plx_views_free(&views);
    text_to(folders[0], "images.txt", "1 1 0 0 0 0 0 2 3 a.png\n\n");
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        snprintf(text, sizeof text, "3 %s\n", models[i].line);
        text_to(folders[0], "cameras.txt", text);
        snprintf(text, sizeof text,
                 "{\"fl_x\": %g, \"fl_y\": %g, \"cx\": %g, \"cy\": %g, \"k1\": %g, \"k2\": %g, \"k3\": %g, "
                 "\"p1\": %g, "
                 "\"p2\": %g, \"frames\": [{\"file_path\": \"a.png\", \"transform_matrix\": "
                 "[[1,0,0,0],[0,-1,0,0],[0,0,-1,-2],[0,0,0,1]]}]}",
                 models[i].fx, models[i].fy, models[i].cx, models[i].cy, models[i].k1, models[i].k2,
                 models[i].k3, models[i].p1, models[i].p2);
        text_to(folders[1], "transforms.json", text);
        plx_views read[2];
        for (int k = 0; k < 2; k++) {
            plx_dataset *dataset;
            REQUIRE(plx_dataset_open(&dataset, folders[k]) == 0, "%s", plx_error());
            REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &read[k]) == 0, "%s", plx_error());
            plx_dataset_free(dataset);
        }
        const plx_view *a = &read[0].views[0], *b = &read[1].views[0];
        EXPECT(rays_differ(&a->camera, &b->camera) < 1e-6 && pictures_differ(&a->colour, &b->colour) == 0,
               "%s: rays off by %g, pictures by %g", models[i].line, rays_differ(&a->camera, &b->camera),
               pictures_differ(&a->colour, &b->colour));
        plx_views_free(&read[0]);
        plx_views_free(&read[1]);
    }
}

TEST(kinds, colmap_bad_input) {
    plx_views views;
    char folder[1024], path[1100];
    draw_posed(&views, 42, 40.5, 19.25, 16);
    snprintf(folder, sizeof folder, "%s", fresh("colmap-bad", RIGHT));
    write_colmap(folder, &views, RIGHT);
    plx_views_free(&views);
    static const struct {
        const char *file, *text, *word;
    } cases[] = {
        {"cameras", "7 PINHOLE 40 30 42 40 20\n", "4 parameters"},
        {"cameras", "7 PINHOLE 40 30 42 40 20 15 1\n", "4 parameters"},
        {"cameras", "7 PINHOLE 40 30 nan 40 20 15\n", "4 parameters"},
        {"cameras", "7 PINHOLE 40 30 -1 40 20 15\n", "focal"},
        {"cameras", "7 PINHOLE 4000000000 30 1 40 20 15\n", "pixels"},
        {"cameras", "7 OPENCV_FISHEYE 40 30 42 40 20 15 0 0 0 0\n", "OPENCV_FISHEYE"},
        {"cameras", "7 FULL_OPENCV 40 30 42 40 20 15 0 0 0 0 0 1 0 0\n", "rational"},
        {"cameras", "x PINHOLE 40 30 42 40 20 15\n", "number"},
        {"cameras", "7 PINHOLE 40 30 42 40 20 15\n7 PINHOLE 40 30 42 40 20 15\n", "two cameras 7"},
        {"cameras", "", "no camera 7"},
        {"cameras", "7 PINHOLE 40 30 42 40 20 15\n", ""},
        {"images", "", "no pictures"},
        {"images", "1 1 0 0 0 0 0 2 8 view 0.png\n\n", "no camera 8"},
        {"images", "1 1 0 0 0 0 0 2 7 ../view 0.png\n\n", "leaves"},
        {"images", "1 1 0 0 0 0 0 2 7 /etc/passwd\n\n", "leaves"},
        {"images", "1 1 0 0 0 0 0 2 7\n\n", "leaves"},
        {"images", "1 2 0 0 0 0 0 2 7 view 0.png\n\n", "quaternion"},
        {"images", "1 1 0 0 nan 0 0 2 7 view 0.png\n\n", "QW"},
        {"images", "1 1 0 0 0 0 0\n\n", "QW"},
        {"images", "1 1 0 0 0 0 0 2 7 gone.png\n\n", "gone.png"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plx_dataset *dataset = NULL;
        plx_views read;
        snprintf(path, sizeof path, "sparse/0/%s.txt", cases[i].file);
        text_to(folder, path, cases[i].text);
        int status = plx_dataset_open(&dataset, folder);
        if (!status) status = plx_dataset_load(dataset, 0, NULL, 0, &read);
        if (!status) plx_views_free(&read);
        plx_dataset_free(dataset);
        EXPECT(*cases[i].word ? status < 0 && strstr(plx_error(), cases[i].word) : status == 0,
               "case %zu: %d %s", i, status, plx_error());
    }
    snprintf(path, sizeof path, "%s/sparse/0/images.txt", folder);
    unlink(path);
    text_to(folder, "sparse/0/cameras.bin", "");
    text_to(folder, "sparse/0/images.bin", "");
    plx_dataset *dataset;
    EXPECT(plx_dataset_open(&dataset, folder) == PLX_ERROR_SUPPORT && strstr(plx_error(), "model_converter"),
           "%s", plx_error());
}

/* ---- SRN ----------------------------------------------------------------------------------------------------------- */

TEST(kinds, srn) {
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, HALF_PIXEL, TRANSPOSED};
    plx_views views;
    draw_posed(&views, 42, 42, 19.5, 15.5);
    for (int i = 0; i < 4; i++) {
        const char *folder = fresh("srn", mistakes[i]);
        if (mistakes[i] == TRANSPOSED) transpose_rotation(&views);
        write_srn(folder_at(folder, "cars_test/object"), &views,
                  mistakes[i] == TRANSPOSED ? RIGHT : mistakes[i]);
        if (mistakes[i] == TRANSPOSED) transpose_rotation(&views);
        check_posed(folder, "srn", &views, mistakes[i]);
    }
    plx_views_free(&views);
}

/* ---- transforms.json ----------------------------------------------------------------------------------------------- */

TEST(kinds, transforms) {
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, TRANSPOSED, WRONG_FOV_AXIS, HALF_PIXEL};
    for (int dialect = SYNTHETIC; dialect <= INSTANT_NGP; dialect++) {
        plx_views views;
        if (dialect == SYNTHETIC) /* square pixels, centred */
            draw_posed(&views, 44, 44, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
        else
            draw_posed(&views, 44, 42.5, 19.25, 16);
        for (int i = 0; i < 5; i++) {
            char own[64];
            if (mistakes[i] == HALF_PIXEL && dialect == SYNTHETIC) continue;      /* no centre is given */
            if (mistakes[i] == WRONG_FOV_AXIS && dialect == NERFSTUDIO) continue; /* no angle is given */
            snprintf(own, sizeof own, "transforms-%d", dialect);
            const char *folder = fresh(own, mistakes[i]);
            if (mistakes[i] == TRANSPOSED) transpose_rotation(&views);
            write_transforms(folder_at(folder, "scene"), dialect, &views,
                             mistakes[i] == TRANSPOSED ? RIGHT : mistakes[i]);
            if (mistakes[i] == TRANSPOSED) transpose_rotation(&views);
            check_posed(folder, "transforms", &views, mistakes[i]);
        }
        plx_views_free(&views);
    }
}

/* ---- links --------------------------------------------------------------------------------------------------------- */

/* A picture that is a link to somewhere else is refused; one within the object is read. */
TEST(kinds, links_stay_inside) {
    plx_views views, read;
    char folder[1024], from[1100], to[1100];
    draw_posed(&views, 42, 42, 19.5, 15.5);
    snprintf(folder, sizeof folder, "%s", folder_at(fresh("links", RIGHT), "object"));
    write_srn(folder, &views, RIGHT);
    plx_dataset *dataset;
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    snprintf(from, sizeof from, "%s/rgb/000001.png", folder);
    snprintf(to, sizeof to, "%s/../outside.png", folder);
    REQUIRE(rename(from, to) == 0 && symlink(to, from) == 0, "no link");
    EXPECT(plx_dataset_load(dataset, 0, NULL, 0, &read) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "000001.png: leads out"),
           "%s", plx_error());
    unlink(from);
    REQUIRE(symlink("000000.png", from) == 0, "no link");
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &read) == 0, "%s", plx_error());
    plx_views_free(&read);
    plx_dataset_free(dataset);
    plx_views_free(&views);
}

/* Depth comes back within half of the format's step, a millimetre along the axis (a world unit being a metre), and nothing as 0. */
TEST(kinds, nerfstudio_depth) {
    char folder[600];
    plx_views views, read;
    plx_dataset *dataset;
    plx_draw_options options = plx_draw_options_default();
    options.depth = true;
    REQUIRE(plx_views_create(&views, 2) == 0, "%s", plx_error());
    for (int i = 0; i < 2; i++) {
        views.views[i].camera =
            plx_camera_orbit((float)i, 0.3f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 40, 40);
        REQUIRE(plx_scene_draw(posed_scene(), &views.views[i], &options) == 0, "%s", plx_error());
    }
    snprintf(views.name, sizeof views.name, "deep");
    snprintf(folder, sizeof folder, "%s/depth-set", test_directory());
    REQUIRE(plx_dataset_save("nerfstudio", folder, &views) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &read) == 0, "%s", plx_error());
    int hits = 0;
    for (int v = 0; v < 2; v++) {
        REQUIRE(read.views[v].depth.data, "view %d has no depth", v);
        for (int i = 0; i < 1600; i++) {
            float wrote = views.views[v].depth.data[2 * i], back = read.views[v].depth.data[2 * i];
            hits += wrote > 0;
            /* The ray of a corner is 1.22 times as long as its depth along the axis; 1e-6 for float rounding. */
            EXPECT((wrote > 0) == (back > 0) && fabsf(wrote - back) < 0.5e-3f * 1.22f + 1e-6f,
                   "view %d, pixel %d: %g, %g", v, i, (double)wrote, (double)back);
        }
    }
    EXPECT(hits > 200, "%d pixels show the object", hits);
    plx_views_free(&read);
    plx_views_free(&views);
    plx_dataset_free(dataset);
}
