/* Posed views of one object: what data sets give and what fitting, training and evaluation take. */
#ifndef PLX_CORE_VIEWS_H
#define PLX_CORE_VIEWS_H

#include "nerf/core/camera.h"
#include "nerf/core/image.h"

typedef struct plx_view {
    plx_camera camera;
    plx_image colour; /* (H,W,4) straight RGBA, sRGB-encoded; alpha 1 everywhere when the source has none */
    plx_image depth;  /* (H,W,2) first and last hit, distance along the unit ray; 0 = no hit; or empty */
    plx_image normal; /* (H,W,3) unit, world, towards the viewer; 0 = no hit; or empty */
} plx_view;

typedef struct plx_views {
    int count;
    plx_view *views; /* owned */
    bool has_alpha;  /* the source has opacity; otherwise the background is white */
    float near, far; /* bounds along the ray, world units; 0, 0 when unknown */
    char name[128];  /* the object's */
} plx_views;

int plx_views_create(plx_views *out, int count); /* empty views */
void plx_views_free(plx_views *views);           /* frees the images too and empties it */

#endif
