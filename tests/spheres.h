/* Spheres whose every pixel follows from algebra, as training samples. */
#ifndef PLX_TESTS_SPHERES_H
#define PLX_TESTS_SPHERES_H

#include "diffusion/diffusion.h"
#include "nerf/core/rng.h"

/* A sphere of radius 0.2 to 0.45 about the origin, its colour that of its normal; seen from random azimuths. */
static inline int sphere_view(plx_view *v, plx_camera camera, float radius) {
    int size = camera.width;
    v->camera = camera;
    int status = plx_image_create(&v->colour, size, size, 4);
    if (!status) status = plx_image_create(&v->depth, size, size, 2);
    if (!status) status = plx_image_create(&v->normal, size, size, 3);
    for (int p = 0; !status && p < size * size; p++) {
        float o[3], d[3], t0, t1;
        plx_camera_ray(&camera, (float)(p % size) + 0.5f, (float)(p / size) + 0.5f, o, d);
        if (!plx_ray_sphere(o, d, radius, &t0, &t1)) continue;
        v->depth.data[2 * p] = t0, v->depth.data[2 * p + 1] = t1;
        v->colour.data[4 * p + 3] = 1;
        for (int c = 0; c < 3; c++) {
            v->normal.data[3 * p + c] = (o[c] + t0 * d[c]) / radius;
            v->colour.data[4 * p + c] = 0.5f + 0.4f * v->normal.data[3 * p + c];
        }
    }
    return status;
}

static inline int sphere_batch(const plx_batch_request *r, plx_views *out, void *user) {
    (void)user;
    plx_rng rng = plx_rng_fork(plx_rng_fork((plx_rng){r->seed, 5}, (uint64_t)r->step), (uint64_t)r->item);
    float radius = 0.2f + 0.25f * plx_rng_uniform(rng, 0);
    int status = plx_views_create(out, 1 + r->targets);
    for (int k = 0; k <= r->targets && !status; k++) {
        float azimuth = 6.2831853f * plx_rng_uniform(rng, (uint64_t)(1 + 2 * k));
        float elevation = plx_rng_uniform(rng, (uint64_t)(2 + 2 * k));
        plx_camera camera =
            plx_camera_orbit(azimuth, elevation, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, r->size, r->size);
        status = sphere_view(&out->views[k], camera, radius);
    }
    return status;
}

#endif
