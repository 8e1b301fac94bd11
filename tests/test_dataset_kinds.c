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
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, TRANSPOSED};
    double focal = POSED_WIDTH * 35.0 / 32;
    plx_views views;
    draw_posed(&views, focal, focal, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
    for (int i = 0; i < 3; i++) {
        const char *folder = fresh("zero123", mistakes[i]);
        write_zero123(folder_at(folder, "object"), &views, mistakes[i]);
        check_posed(folder, "zero123", &views, mistakes[i]);
    }
    plx_views_free(&views);
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

/* The unit quaternion (w first) of the matrix's rotation. */
static void quaternion_of(double q[4], const double m[16]) {
    double trace = m[0] + m[5] + m[10];
    if (trace > 0) {
        double s = 2 * sqrt(1 + trace);
        double own[4] = {s / 4, (m[9] - m[6]) / s, (m[2] - m[8]) / s, (m[4] - m[1]) / s};
        memcpy(q, own, sizeof own);
        return;
    }
    int i = m[5] > m[0] ? 1 : 0;
    if (m[10] > m[5 * i]) i = 2;
    int j = (i + 1) % 3, k = (i + 2) % 3;
    double s = 2 * sqrt(1 + m[5 * i] - m[5 * j] - m[5 * k]);
    q[0] = (m[4 * k + j] - m[4 * j + k]) / s;
    q[1 + i] = s / 4;
    q[1 + j] = (m[4 * i + j] + m[4 * j + i]) / s;
    q[1 + k] = (m[4 * i + k] + m[4 * k + i]) / s;
}

static void write_colmap(const char *folder, const plx_views *views, enum mistake mistake) {
    char text[4096], name[64];
    const plx_camera *c = &views->views[0].camera;
    double shift = mistake == HALF_PIXEL ? 0.5 : 0;
    folder_at(folder, "sparse/0");
    folder_at(folder, "images");
    snprintf(text, sizeof text, "# Camera list\n7 PINHOLE %d %d %.9g %.9g %.9g %.9g\n", c->width, c->height,
             (double)c->fx, (double)c->fy, (double)c->cx - shift, (double)c->cy - shift);
    text_to(folder, "sparse/0/cameras.txt", text);
    size_t used = (size_t)snprintf(text, sizeof text, "# Image list\n#   POINTS2D[] as (X, Y, POINT3D_ID)\n");
    for (int i = views->count - 1; i >= 0; i--) { /* not in the order of the names */
        double m[16], q[4];
        matrix_of(m, &views->views[i].camera, true, mistake == TRANSPOSED ? RIGHT : mistake);
        if (mistake != TRANSPOSED) invert_rigid(m);
        quaternion_of(q, m);
        used +=
            (size_t)snprintf(text + used, sizeof text - used,
                             "%d %.12g %.12g %.12g %.12g %.12g %.12g %.12g 7 view %d.png\n%s\n", i + 1, q[0],
                             q[1], q[2], q[3], m[3], m[7], m[11], i, i == 1 ? "" : "10.5 3 -1 4 4 17");
        snprintf(name, sizeof name, "images/view %d.png", i);
        png_to(folder, name, &views->views[i].colour);
    }
    text_to(folder, "sparse/0/images.txt", text);
}

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

static void write_srn(const char *folder, const plx_views *views, enum mistake mistake) {
    char text[1024], name[64];
    const plx_camera *c = &views->views[0].camera;
    double shift = mistake == HALF_PIXEL ? 0 : 0.5;
    folder_at(folder, "rgb");
    folder_at(folder, "pose");
    for (int i = 0; i < views->count; i++) {
        double m[16];
        size_t used = 0;
        matrix_of(m, &views->views[i].camera, true, mistake);
        for (int k = 0; k < 16; k++) used += (size_t)snprintf(text + used, sizeof text - used, "%.9g ", m[k]);
        snprintf(name, sizeof name, "pose/%06d.txt", i);
        text_to(folder, name, text);
        snprintf(name, sizeof name, "rgb/%06d.png", i);
        png_to(folder, name, &views->views[i].colour);
    }
    snprintf(text, sizeof text, "%.9g %.9g %.9g 0.\n0. 0. 0.\n1.\n%d %d\n", (double)c->fx,
             (double)c->cx - shift, (double)c->cy - shift, c->height, c->width);
    text_to(folder, "intrinsics.txt", text);
}

/* A transposed pose has its position in the last row: that is refused; its rotation alone, transposed, is not. */
static void transpose_rotation(plx_views *views) {
    for (int i = 0; i < views->count; i++) {
        float *m = views->views[i].camera.c2w;
        for (int r = 0; r < 3; r++)
            for (int c = 0; c < r; c++) {
                float keep = m[4 * r + c];
                m[4 * r + c] = m[4 * c + r];
                m[4 * c + r] = keep;
            }
    }
}

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

/* NeRF-synthetic: one horizontal angle for a file. */
static void write_transforms(const char *folder, const plx_views *views, enum mistake mistake) {
    char text[8192], name[64];
    const plx_camera *c = &views->views[0].camera;
    double side = mistake == WRONG_FOV_AXIS ? c->height : c->width;
    size_t used = (size_t)snprintf(text, sizeof text, "{\"camera_angle_x\": %.12g, \"frames\": [",
                                   2 * atan(side / 2 / (double)c->fx));
    folder_at(folder, "test");
    for (int i = 0; i < views->count; i++) {
        double m[16];
        matrix_of(m, &views->views[i].camera, false, mistake);
        used +=
            (size_t)snprintf(text + used, sizeof text - used,
                             "%s{\"file_path\": \"./test/r_%d\", \"transform_matrix\": [", i ? "," : "", i);
        for (int k = 0; k < 16; k++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.9g%s",
                                     k % 4 ? ","
                                     : k   ? ",["
                                           : "[",
                                     m[k], k % 4 == 3 ? "]" : "");
        used += (size_t)snprintf(text + used, sizeof text - used, "]}");
        snprintf(name, sizeof name, "test/r_%d.png", i);
        png_to(folder, name, &views->views[i].colour);
    }
    snprintf(text + used, sizeof text - used, "]}");
    text_to(folder, "transforms_test.json", text);
}

TEST(kinds, transforms) {
    static const enum mistake mistakes[] = {RIGHT, FLIPPED_AXIS, TRANSPOSED, WRONG_FOV_AXIS};
    plx_views views;
    draw_posed(&views, 44, 44, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
    for (int i = 0; i < 4; i++) {
        const char *folder = fresh("transforms", mistakes[i]);
        if (mistakes[i] == TRANSPOSED) transpose_rotation(&views);
        write_transforms(folder_at(folder, "scene"), &views, mistakes[i] == TRANSPOSED ? RIGHT : mistakes[i]);
        if (mistakes[i] == TRANSPOSED) transpose_rotation(&views);
        check_posed(folder, "transforms", &views, mistakes[i]);
    }
    plx_views_free(&views);
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
