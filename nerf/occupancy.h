/* Where a field may hold density: a grid over the cube around its bounding sphere, and samples only there. */
#ifndef PLX_OCCUPANCY_H
#define PLX_OCCUPANCY_H

#include "nerf/field.h"

#define PLX_GRID 64 /* cells along each axis of the cube [-radius, radius]^3; x fastest */

/* Density is asked at jittered points of each cell; cells above a threshold that no eye sees, and their 26
 * neighbours, are occupied. */
int plx_field_update_occupancy(plx_field *field);

/* Intervals of equal length, about `step`, from t0 to t1 of each ray, and in each a sample: its middle, or
 * (rng) at one random place that is the same in all intervals of a ray. Those in empty cells are left out
 * (grid NULL: none; else the device's). */
plx_samples plx_sample_occupied(plx_tape *tape, plx_ray_set rays, float step, const unsigned char *grid,
                                float radius, const plx_rng *rng);

#endif
