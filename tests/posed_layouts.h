/* A drawn object's views in zero123's and in NMR's layout, right or with a classic mistake. */
#ifndef PLX_TESTS_POSED_LAYOUTS_H
#define PLX_TESTS_POSED_LAYOUTS_H

#include <zip.h>

#include "tests/posed_scene.h"

static inline void write_zero123(const char *folder, const plx_views *views, enum mistake mistake) {
    for (int i = 0; i < views->count; i++) {
        char name[64], bytes[4096];
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
        plx_image over, mask;
        if (plx_image_over(&over, &views->views[i].colour, 1) ||
            plx_image_create(&mask, c->height, c->width, 1))
            abort();
        for (int p = 0; p < c->width * c->height; p++)
            mask.data[p] = views->views[i].colour.data[4 * p + 3] > 0;
        snprintf(name, sizeof name, "image/%04d.png", i);
        png_to(folder, name, &over);
        snprintf(name, sizeof name, "mask/%04d.png", i);
        png_to(folder, name, &mask);
        plx_image_free(&over);
        plx_image_free(&mask);
    }
    if (zip_close(archive)) abort();
}

#endif
