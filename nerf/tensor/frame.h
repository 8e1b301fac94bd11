/* The triplane's frame: the only place that knows how a world point is read from the three planes. */
#ifndef PLX_FRAME_H
#define PLX_FRAME_H

#include <math.h>

#include "nerf/core/camera.h"

#ifdef __CUDACC__
#define PLX_HOST_DEVICE __host__ __device__
#else
#define PLX_HOST_DEVICE
#endif

/* Coordinates of a point: u, v (XY's column and row), x, y (XZ's column, YZ's row), z (XZ's row, YZ's
 * column); all in [-1,1] inside the bounding sphere or the image, rows downwards. camera:  u, v are the
 * projection into the input image and x = u, y = v; z is the depth along the viewing axis less the origin's,
 * over the radius. XZ shares its columns and YZ its rows with the image (NerfDiff). upright: u, v as above;
 * x, y, z metric in the camera's frame with its pitch removed: right, down, horizontally away from the
 * camera; a level table top is one row of YZ. world:   no input image: x = u = X, y = v = -Z, z = Y of the
 * world, over the radius (fitted fields). */
enum plx_frame_kind { PLX_FRAME_CAMERA, PLX_FRAME_UPRIGHT, PLX_FRAME_WORLD };

typedef struct plx_frame {
    enum plx_frame_kind kind;
    plx_camera camera;                              /* the input's; unused for `world` */
    float radius;                                   /* of the bounding sphere, world units */
    float w2c[12], origin_depth, right[3], away[3]; /* derived by plx_frame_make */
} plx_frame;

static inline PLX_HOST_DEVICE float plx_dot3(const float a[3], const float b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* point (3) -> coordinates (5). */
static inline PLX_HOST_DEVICE void plx_frame_map(const plx_frame *f, const float p[3], float q[5]) {
    float scale = 1 / f->radius;
    if (f->kind == PLX_FRAME_WORLD) {
        q[0] = q[2] = p[0] * scale;
        q[1] = q[3] = -p[2] * scale;
        q[4] = p[1] * scale;
        return;
    }
    const plx_camera *c = &f->camera;
    float depth = -(plx_dot3(f->w2c + 8, p) + f->w2c[11]), inverse = 1 / fmaxf(depth, 1e-4f);
    float px = c->cx + c->fx * (plx_dot3(f->w2c, p) + f->w2c[3]) * inverse;
    float py = c->cy - c->fy * (plx_dot3(f->w2c + 4, p) + f->w2c[7]) * inverse;
    q[0] = 2 * px / (float)c->width - 1;
    q[1] = 2 * py / (float)c->height - 1;
    if (f->kind == PLX_FRAME_CAMERA) {
        q[2] = q[0];
        q[3] = q[1];
        q[4] = (depth - f->origin_depth) * scale;
    } else {
        q[2] = plx_dot3(f->right, p) * scale;
        q[3] = -p[2] * scale;
        q[4] = plx_dot3(f->away, p) * scale;
    }
}

/* The same, compiled once for all of the host. */
void plx_frame_coordinates(const plx_frame *frame, const float point[3], float coordinates[5]);

#endif
