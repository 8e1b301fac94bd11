/* A drawn object's views in the layout of each kind of data set, right or with a classic mistake. */
#ifndef PLX_TESTS_POSED_LAYOUTS_H
#define PLX_TESTS_POSED_LAYOUTS_H

#include <zip.h>

#include "tests/posed_scene.h"

static inline void write_zero123(const char *folder, const plx_views *views, enum mistake mistake) {
    for (int i = 0; i < views->count; i++) {
        char name[1100], bytes[4096];
        double m[16];
        matrix_of(m, &views->views[i].camera, false, mistake);
        if (mistake != TRANSPOSED) invert_rigid(m); /* the mistake: camera-to-world */
        snprintf(name, sizeof name, "%03d.png", i);
        png_to(folder, name, &views->views[i].colour);
        snprintf(name, sizeof name, "%s/%03d.npy", folder, i);
        size_t size = npy_bytes(bytes, (npy_layout){.version = 1 + i, .fortran = i == 1}, 3, 4, m);
        if (plx_file_write(name, bytes, size)) abort();
    }
}

/* The picture over white, and what is the object as a mask of the same name in the folder MASKS. */
static inline void masked_png_to(const char *folder, const char *name, const char *masks,
                                 const plx_image *rgba) {
    char file[1100];
    plx_image over, mask;
    if (plx_image_over(&over, rgba, 1) || plx_image_create(&mask, rgba->height, rgba->width, 1)) abort();
    for (int p = 0; p < rgba->width * rgba->height; p++) mask.data[p] = rgba->data[4 * p + 3] > 0;
    snprintf(file, sizeof file, "%s%s", masks, strrchr(name, '/'));
    png_to(folder, name, &over);
    png_to(folder, file, &mask);
    plx_image_free(&over);
    plx_image_free(&mask);
}

/* Adds NAME.npy to the archive. */
static inline void add_array(zip_t *archive, const char *name, npy_layout of, const double m[16]) {
    char entry[1200], *bytes = malloc(4096);
    if (!bytes) abort();
    snprintf(entry, sizeof entry, "%s.npy", name);
    size_t size = npy_bytes(bytes, of, 4, 4, m);
    zip_source_t *source = zip_source_buffer(archive, bytes, size, 1);
    if (!source || zip_file_add(archive, entry, source, 0) < 0) abort();
}

/* Views with a mask; the world has y up: (x, y, z) of ours is (x, z, -y) there. Intrinsics in [-1,1], pixel j's centre at
 * 2 j / W - 1. */
static inline void write_nmr(const char *folder, const plx_views *views, enum mistake mistake) {
    char name[1100];
    int error;
    snprintf(name, sizeof name, "%s/cameras.npz", folder);
    zip_t *archive = zip_open(name, ZIP_CREATE | ZIP_TRUNCATE, &error);
    if (!archive) abort();
    folder_at(folder, "image");
    folder_at(folder, "mask");
    for (int i = 0; i < views->count; i++) {
        const plx_camera *c = &views->views[i].camera;
        double m[16], k[16] = {0}, shift = mistake == HALF_PIXEL ? 0 : 0.5;
        matrix_of(m, c, true, mistake == TRANSPOSED ? RIGHT : mistake);
        for (int column = 0; column < 4; column++) {
            double y = m[4 + column];
            m[4 + column] = m[8 + column];
            m[8 + column] = -y;
        }
        if (mistake != TRANSPOSED) invert_rigid(m); /* the mistake: camera-to-world */
        k[0] = (double)c->fx / (c->width / 2.0);
        k[5] = (double)c->fy / (c->height / 2.0);
        k[2] = ((double)c->cx - shift) / (c->width / 2.0) - 1;
        k[6] = ((double)c->cy - shift) / (c->height / 2.0) - 1;
        k[10] = k[15] = 1;
        snprintf(name, sizeof name, "world_mat_%d", i);
        add_array(archive, name, (npy_layout){.version = 1, .fortran = i == 1}, m);
        snprintf(name, sizeof name, "camera_mat_%d", i);
        add_array(archive, name, (npy_layout){.version = 1 + i}, k);
        snprintf(name, sizeof name, "image/%04d.png", i);
        masked_png_to(folder, name, "mask", &views->views[i].colour);
    }
    if (zip_close(archive)) abort();
}

/* The unit quaternion (w first) of the matrix's rotation. */
static inline void quaternion_of(double q[4], const double m[16]) {
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

static inline void write_colmap(const char *folder, const plx_views *views, enum mistake mistake) {
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

static inline void write_srn(const char *folder, const plx_views *views, enum mistake mistake) {
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

/* transforms.json by who writes it. SYNTHETIC (NeRF's): one horizontal angle, names without an ending. NERFSTUDIO: intrinsics in
 * every frame, over others of the file, for pictures of twice the size; backslashes; masks. INSTANT_NGP: degrees, which come
 * before a focal length and an angle in radians. */
enum dialect { SYNTHETIC, NERFSTUDIO, INSTANT_NGP };

/* The keys of the file (frame: NULL) or of a frame. */
static inline int lens_keys(char *out, size_t size, enum dialect dialect, const plx_camera *frame,
                            const plx_camera *c, enum mistake mistake) {
    double side = mistake == WRONG_FOV_AXIS ? c->height : c->width, shift = mistake == HALF_PIXEL ? 0.5 : 0;
    double angle = 2 * atan(side / 2 / (double)c->fx), degree = M_PI / 180;
    if (dialect == NERFSTUDIO && !frame)
        return snprintf(
            out, size,
            "\"camera_model\": \"OPENCV\", \"fl_x\": 7, \"fl_y\": 8, \"cx\": 1, \"cy\": 2, \"w\": 9, "
            "\"h\": 9, \"k1\": 0.0, \"k2\": 0, \"p1\": 0, \"p2\": 0, ");
    if (dialect == NERFSTUDIO)
        return snprintf(out, size,
                        ", \"fl_x\": %.9g, \"fl_y\": %.9g, \"cx\": %.9g, \"cy\": %.9g, \"w\": %d, \"h\": %d",
                        2 * (double)c->fx, 2 * (double)c->fy, 2 * ((double)c->cx - shift),
                        2 * ((double)c->cy - shift), 2 * c->width, 2 * c->height);
    if (frame) return snprintf(out, size, "%s", "");
    if (dialect == SYNTHETIC) return snprintf(out, size, "\"camera_angle_x\": %.12g, ", angle);
    return snprintf(out, size,
                    "\"x_fov\": %.12g, \"y_fov\": %.12g, \"fl_x\": 7, \"fl_y\": 7, \"camera_angle_x\": 0.3, "
                    "\"cx\": %.9g, "
                    "\"cy\": %.9g, \"w\": %d, \"h\": %d, \"aabb_scale\": 4, \"is_fisheye\": false, ",
                    angle / degree, 2 * atan(c->height / 2.0 / (double)c->fy) / degree, (double)c->cx - shift,
                    (double)c->cy - shift, c->width, c->height);
}

static inline void write_transforms(const char *folder, enum dialect dialect, const plx_views *views,
                                    enum mistake mistake) {
    static const char *const files[] = {"transforms_test.json", "transforms.json", "transforms.json"};
    static const char *const frames[] = {
        "./test/r_%d", "images\\\\r_%d.png\", \"mask_path\": \"masks/r_%d.png", "./images/r_%d.png"};
    const char *pictures = dialect == SYNTHETIC ? "test" : "images";
    char text[8192], name[64];
    size_t used = (size_t)snprintf(text, sizeof text, "{");
    used +=
        (size_t)lens_keys(text + used, sizeof text - used, dialect, NULL, &views->views[0].camera, mistake);
    used += (size_t)snprintf(text + used, sizeof text - used, "\"frames\": [");
    folder_at(folder, pictures);
    folder_at(folder, dialect == NERFSTUDIO ? "masks" : pictures);
    for (int i = 0; i < views->count; i++) {
        const plx_view *view = &views->views[i];
        double m[16];
        matrix_of(m, &view->camera, false, mistake);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s{\"file_path\": \"", i ? "," : "");
        used += (size_t)snprintf(text + used, sizeof text - used, frames[dialect], i, i);
        used += (size_t)snprintf(text + used, sizeof text - used, "\", \"transform_matrix\": [");
        for (int k = 0; k < 16; k++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.9g%s",
                                     k % 4 ? ","
                                     : k   ? ",["
                                           : "[",
                                     m[k], k % 4 == 3 ? "]" : "");
        used += (size_t)snprintf(text + used, sizeof text - used, "]");
        used += (size_t)lens_keys(text + used, sizeof text - used, dialect, &view->camera, &view->camera,
                                  mistake);
        used += (size_t)snprintf(text + used, sizeof text - used, "}");
        snprintf(name, sizeof name, "%s/r_%d.png", pictures, i);
        if (dialect == NERFSTUDIO)
            masked_png_to(folder, name, "masks", &view->colour);
        else
            png_to(folder, name, &view->colour);
    }
    snprintf(text + used, sizeof text - used, "]}");
    text_to(folder, files[dialect], text);
}

/* A transposed pose has its position in the last row: that is refused; its rotation alone, transposed, is not. */
static inline void transpose_rotation(plx_views *views) {
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

#endif
