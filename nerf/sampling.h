/* Rays clipped to the bounding sphere, and samples along them, packed: nothing assumes the same number per
 * ray. */
#ifndef PLX_SAMPLING_H
#define PLX_SAMPLING_H

#include "nerf/core/arena.h"
#include "nerf/core/error.h"
#include "nerf/tensor/kernels_rays.h"
#include "nerf/tensor/tensor.h"
#include "nerf/triplane.h"

plx_ray plx_ray_through(const plx_camera *camera, float px, float py, float radius);

/* Rays on the host and in the tape's device's memory. */
typedef struct plx_ray_set {
    int R;
    const plx_ray *host, *device;
} plx_ray_set;

/* Samples in the device's memory, and on the host the numbers that tell whose they are. */
typedef struct plx_samples {
    plx_rays rays;
    const int *start; /* (R+1); NULL: only the device knows, and rays.S is what there is room for */
} plx_samples;

/* Host arrays for the kernels: they are to live as long as the tape's step. */
plx_ray_set plx_rays_on(plx_tape *tape, int R, const plx_ray *rays);
plx_samples plx_samples_on(plx_tape *tape, plx_rays samples);
plx_points plx_points_on(plx_tape *tape, int N, plx_points points); /* of N objects */

/* `count` intervals of equal length over [t0,t1], one jittered sample in each (its middle when rng is NULL);
 * rays that miss the sphere get none. */
plx_samples plx_sample_stratified(plx_tape *tape, plx_ray_set rays, int count, const plx_rng *rng);

/* Inverse-CDF samples from the coarse samples' compositing weights (values (S,4) at `coarse`), `count` a ray,
 * merged with the coarse ones in order; intervals reach halfway to the neighbours and together cover [t0,t1]
 * (Mildenhall et al. 2020, 5.2). */
plx_samples plx_sample_importance(plx_tape *tape, plx_ray_set rays, plx_samples coarse, const float *values,
                                  int count, plx_rng rng);

/* The decoder's coordinates (S,5) of all samples. Rays of object n are object_start[n] ..
 * object_start[n+1]-1, in frame frames[n]. */
plx_points plx_points_along(plx_tape *tape, plx_ray_set rays, plx_samples samples, int N,
                            const int *object_start, const plx_frame *frames);

#endif
