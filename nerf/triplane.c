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

static float dot3(const float a[3], const float b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void plx_frame_coordinates(const plx_frame *f, const float p[3], float q[5]) {
    float scale = 1 / f->radius;
    if (f->kind == PLX_FRAME_WORLD) {
        q[0] = q[2] = p[0] * scale;
        q[1] = q[3] = -p[2] * scale;
        q[4] = p[1] * scale;
        return;
    }
    const plx_camera *c = &f->camera;
    float depth = -(dot3(f->w2c + 8, p) + f->w2c[11]), inverse = 1 / fmaxf(depth, 1e-4f);
    float px = c->cx + c->fx * (dot3(f->w2c, p) + f->w2c[3]) * inverse;
    float py = c->cy - c->fy * (dot3(f->w2c + 4, p) + f->w2c[7]) * inverse;
    q[0] = 2 * px / (float)c->width - 1;
    q[1] = 2 * py / (float)c->height - 1;
    if (f->kind == PLX_FRAME_CAMERA) {
        q[2] = q[0];
        q[3] = q[1];
        q[4] = (depth - f->origin_depth) * scale;
    } else {
        q[2] = dot3(f->right, p) * scale;
        q[3] = -p[2] * scale;
        q[4] = dot3(f->away, p) * scale;
    }
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
