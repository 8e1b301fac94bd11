/* The triplane's frame: the only place that knows how a world point is read from the three planes. */
#ifndef PLX_TRIPLANE_H
#define PLX_TRIPLANE_H

#include "nerf/core/camera.h"
#include "nerf/tensor/kernels_field.h"

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

plx_frame plx_frame_make(enum plx_frame_kind kind, const plx_camera *camera, float radius);
void plx_frame_coordinates(const plx_frame *frame, const float point[3], float coordinates[5]);
const char *plx_frame_name(enum plx_frame_kind kind); /* "camera", "upright", "world" */
int plx_frame_kind_of(const char *name);              /* or -1 */

#endif
