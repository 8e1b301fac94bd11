/* Equal intervals along a ray, a sample in each, and the cell of a grid that it is in. Whether a compiler fuses a product and a
 * sum is not left to it: host and card, and two passes over the same ray, agree to the bit. */
#ifndef PLX_MARCH_H
#define PLX_MARCH_H

#include <math.h>

#include "nerf/core/ray.h"
#include "nerf/tensor/frame.h"

typedef struct plx_ray_march {
    float t0, step; /* of the first interval; of each */
    float offset;   /* of the sample in its interval, [0,1) */
    int count;
    float origin[3], along[3]; /* in cells */
} plx_ray_march;

/* Intervals of about `step`; none if the ray misses. */
static inline PLX_HOST_DEVICE int plx_march_count(const plx_ray *ray, float step) {
    const float chord = ray->t1 - ray->t0;
    if (!(chord > 0)) return 0;
    const int count = (int)ceilf(chord / step - 1e-3f);
    return count < 1 ? 1 : count;
}

/* Through the cube [-radius,radius]^3 of grid^3 cells. */
static inline PLX_HOST_DEVICE plx_ray_march plx_march_of(const plx_ray *ray, float step, int grid,
                                                         float radius, float offset) {
    plx_ray_march m;
    const float scale = (float)grid / (2 * radius);
    m.t0 = ray->t0;
    m.offset = offset;
    m.count = plx_march_count(ray, step);
    m.step = m.count ? (ray->t1 - ray->t0) / (float)m.count : 0;
    for (int k = 0; k < 3; k++) {
        m.origin[k] = (ray->origin[k] + radius) * scale;
        m.along[k] = ray->direction[k] * scale;
    }
    return m;
}

static inline PLX_HOST_DEVICE float plx_march_place(const plx_ray_march *m, int i) {
    return fmaf(m->step, (float)i + m->offset, m->t0);
}

/* Its number, x fastest. */
static inline PLX_HOST_DEVICE int plx_march_cell(const plx_ray_march *m, int grid, float t) {
    int cell[3];
    for (int k = 0; k < 3; k++) {
        cell[k] = (int)fmaf(t, m->along[k], m->origin[k]);
        cell[k] = cell[k] < 0 ? 0 : cell[k] >= grid ? grid - 1 : cell[k];
    }
    return (cell[2] * grid + cell[1]) * grid + cell[0];
}

#endif
