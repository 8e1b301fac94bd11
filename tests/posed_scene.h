/* A drawn object whose views are written in a data set's own layout and conventions, right or with a classic mistake. */
#ifndef PLX_TESTS_POSED_SCENE_H
#define PLX_TESTS_POSED_SCENE_H

#include "datasets/datasets.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/small_set.h"
#include "tests/test.h"

enum mistake { RIGHT, FLIPPED_AXIS, HALF_PIXEL, TRANSPOSED, WRONG_FOV_AXIS };

#define POSED_VIEWS 3
#define POSED_WIDTH 40
#define POSED_HEIGHT 30

/* The lopsided object of small_set.h; drawn once. */
static inline const plx_scene *posed_scene(void) {
    static plx_scene *scene;
    plx_mesh *mesh;
    char path[512];
    if (scene) return scene;
    snprintf(path, sizeof path, "%s/mid.obj", small_set());
    if (plx_mesh_load(&mesh, path, NULL) || plx_scene_create(&scene, mesh)) abort();
    return scene;
}

/* Views of it: focal lengths fx, fy and centre (cx, cy) in pixels. The caller frees. */
static inline void draw_posed(plx_views *out, double fx, double fy, double cx, double cy) {
    if (plx_views_create(out, POSED_VIEWS)) abort();
    for (int i = 0; i < POSED_VIEWS; i++) {
        plx_camera *camera = &out->views[i].camera;
        *camera = plx_camera_orbit(0.4f + 1.7f * (float)i, 0.2f + 0.3f * (float)i, 1.3f + 0.1f * (float)i, 1,
                                   POSED_WIDTH, POSED_HEIGHT);
        camera->fx = (float)fx;
        camera->fy = (float)fy;
        camera->cx = (float)cx;
        camera->cy = (float)cy;
        if (plx_scene_draw(posed_scene(), &out->views[i], NULL)) abort();
    }
    out->has_alpha = true;
}

/* The largest difference of any pixel's ray: direction and origin. */
static inline double rays_differ(const plx_camera *a, const plx_camera *b) {
    double worst = 0;
    if (a->width != b->width || a->height != b->height) return INFINITY;
    for (int i = 0; i < a->height; i++)
        for (int j = 0; j < a->width; j++) {
            float o[2][3], d[2][3];
            plx_camera_ray(a, (float)j + 0.5f, (float)i + 0.5f, o[0], d[0]);
            plx_camera_ray(b, (float)j + 0.5f, (float)i + 0.5f, o[1], d[1]);
            for (int k = 0; k < 3; k++) {
                worst = fmax(worst, fabs((double)o[0][k] - (double)o[1][k]));
                worst = fmax(worst, fabs((double)d[0][k] - (double)d[1][k]));
            }
        }
    return worst;
}

/* How far two pictures are apart over white: RMS of RGB. */
static inline double pictures_differ(const plx_image *a, const plx_image *b) {
    double sum = 0;
    plx_image over[2];
    if (a->width != b->width || a->height != b->height) return INFINITY;
    if (plx_image_over(&over[0], a, 1) || plx_image_over(&over[1], b, 1)) abort();
    size_t values = 3 * (size_t)a->width * (size_t)a->height;
    for (size_t i = 0; i < values; i++) sum += pow((double)over[0].data[i] - (double)over[1].data[i], 2);
    plx_image_free(&over[0]);
    plx_image_free(&over[1]);
    return sqrt(sum / (double)values);
}

/* How far the picture of a view is from what the scene looks like from the view's camera. */
static inline double redraw_differs(const plx_view *view) {
    plx_view again = {.camera = view->camera};
    if (plx_scene_draw(posed_scene(), &again, NULL)) abort();
    double difference = pictures_differ(&view->colour, &again.colour);
    free_view(&again);
    return difference;
}

/* Row-major 4x4 with OpenCV's axes, or ours, with FLIPPED_AXIS the other one. */
static inline void matrix_of(double out[16], const plx_camera *camera, bool opencv, enum mistake mistake) {
    if (mistake == FLIPPED_AXIS) opencv = !opencv;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            out[4 * r + c] = (double)camera->c2w[4 * r + c] * (opencv && (c == 1 || c == 2) ? -1 : 1);
    out[12] = out[13] = out[14] = 0;
    out[15] = 1;
    for (int r = 0; r < 3 && mistake == TRANSPOSED; r++)
        for (int c = 0; c < r; c++) {
            double keep = out[4 * r + c];
            out[4 * r + c] = out[4 * c + r];
            out[4 * c + r] = keep;
        }
}

/* World-to-camera of a rigid camera-to-world. */
static inline void invert_rigid(double m[16]) {
    double in[16];
    memcpy(in, m, sizeof in);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) m[4 * r + c] = in[4 * c + r];
        m[4 * r + 3] = -(in[r] * in[3] + in[4 + r] * in[7] + in[8 + r] * in[11]);
    }
}

static inline void text_to(const char *folder, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (plx_file_write(path, text, strlen(text))) abort();
}

static inline void png_to(const char *folder, const char *name, const plx_image *image) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (plx_png_save(path, image)) abort();
}

static inline const char *folder_at(const char *folder, const char *name) {
    static char paths[4][4096];
    static int turn;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (plx_make_directories(path)) abort();
    return memcpy(paths[turn++ % 4], path, sizeof path);
}

/* .npy of doubles or floats, in either order, of any version. */
typedef struct npy_layout {
    int version;
    bool fortran, single;
} npy_layout;

static inline size_t npy_bytes(char out[4096], npy_layout of, int rows, int columns, const double *values) {
    char header[256];
    int start = of.version == 1 ? 10 : 12;
    int length = snprintf(header, sizeof header, "{'descr': '<%s', 'fortran_order': %s, 'shape': (%d, %d), }",
                          of.single ? "f4" : "f8", of.fortran ? "True" : "False", rows, columns);
    while ((start + length + 1) % 64) header[length++] = ' ';
    header[length++] = '\n';
    memcpy(out, (char[]){'\x93', 'N', 'U', 'M', 'P', 'Y', (char)of.version, 0, (char)length, 0, 0, 0}, 12);
    memcpy(out + start, header, (size_t)length);
    size_t size = (size_t)(start + length);
    for (int i = 0; i < rows * columns; i++) {
        double value = of.fortran ? values[i % rows * columns + i / rows] : values[i];
        float narrow = (float)value;
        memcpy(out + size, of.single ? (void *)&narrow : (void *)&value, of.single ? 4 : 8);
        size += of.single ? 4 : 8;
    }
    return size;
}

/* Opens, reads all views, and compares with what was written: within 1e-5 and 8 bits when right, told apart when not. */
static inline void check_posed(const char *folder, const char *kind, const plx_views *truth,
                               enum mistake mistake) {
    plx_dataset *dataset;
    plx_views views;
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    EXPECT(!strcmp(plx_dataset_kind(dataset), kind), "taken for %s", plx_dataset_kind(dataset));
    REQUIRE(plx_dataset_view_count(dataset, 0) == truth->count, "%d views",
            plx_dataset_view_count(dataset, 0));
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
    EXPECT(views.has_alpha, "no opacity");
    double rays = 0, pictures = 0, colours = 0;
    for (int i = 0; i < views.count; i++) {
        rays = fmax(rays, rays_differ(&views.views[i].camera, &truth->views[i].camera));
        pictures = fmax(pictures, redraw_differs(&views.views[i]));
        colours = fmax(colours, pictures_differ(&views.views[i].colour, &truth->views[i].colour));
    }
    EXPECT(colours < 0.003, "the pictures are others, or in another order: %g",
           colours); /* 8 bits, rounded */
    if (mistake == RIGHT) {
        EXPECT(rays < 1e-5, "rays off by %g", rays);              /* floats of about 1 */
        EXPECT(pictures < 0.003, "pictures off by %g", pictures); /* 8 bits, rounded */
    } else {
        EXPECT(rays > 5e-3, "mistake %d: rays off by %g only", (int)mistake,
               rays); /* half a pixel of 40: 1e-2 */
        EXPECT(pictures > 0.03, "mistake %d is not seen: pictures off by %g", (int)mistake, pictures);
    }
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

#endif
