#include "nerf/triplane.h"

#include <math.h>
#include <string.h>

plx_frame plx_frame_make(enum plx_frame_kind kind, const plx_camera *camera, float radius) {
    plx_frame f = {.kind = kind, .radius = radius};
    if (kind == PLX_FRAME_WORLD) return f;
    f.camera = *camera;
    plx_camera_w2c(camera, f.w2c);
    f.origin_depth = -f.w2c[11];
    float azimuth = plx_camera_azimuth(camera);
    f.right[0] = -sinf(azimuth), f.right[1] = cosf(azimuth);
    f.away[0] = -cosf(azimuth), f.away[1] = -sinf(azimuth);
    return f;
}

static const char *const names[] = {"camera", "upright", "world"};

const char *plx_frame_name(enum plx_frame_kind kind) {
    return names[kind];
}

int plx_frame_kind_of(const char *name) {
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}
