/* Views as observers of a surface: which points they see, and in which colour. Inside nerf/ only. */
#ifndef PLX_NERF_SURFACE_H
#define PLX_NERF_SURFACE_H

#include "nerf/consistency.h"

typedef struct plx_observer {
    const plx_camera *camera;
    const float *depth; /* (H,W,2) of the view; the first of each pair counts */
    plx_image colour;   /* (H,W,3) over white, in steps of 1/255 */
    bool *smooth;       /* (H,W): the depth and its 8 neighbours are hits of one smooth surface */
} plx_observer;

/* One a view; the views must outlive them. PLX_ERROR_INPUT names what is missing in which view. */
int plx_observers_create(plx_observer **out, const plx_views *views, const plx_surface_options *options);
void plx_observers_free(plx_observer *observers, int count);

/* What one pixel covers at a distance along its ray. */
float plx_observer_footprint(const plx_camera *camera, float distance);

/* The surface point at a pixel's centre, and its colour; false where the depth is not smooth. */
bool plx_observer_point(const plx_observer *observer, int row, int column, float point[3], float colour[3]);

/* The colour of a surface point, or false where the observer does not see it. */
bool plx_observer_see(const plx_observer *observer, const float point[3], float tolerance, float colour[3]);

#endif
