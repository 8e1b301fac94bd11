/* Each kind of data set: a drawn object written by that format's conventions and read back, and its classic mistakes. */
#include <unistd.h>

#include "datasets/npy.h"
#include "tests/posed_scene.h"

static const char *fresh(const char *name, enum mistake mistake) {
    char own[100];
    snprintf(own, sizeof own, "kinds-%s-%d", name, (int)mistake);
    return folder_at(test_directory(), own);
}

/* ---- zero123 ------------------------------------------------------------------------------------------------------- */

static void write_zero123(const char *folder, const plx_views *views, enum mistake mistake) {
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
