/* A field of nerf/ as distillation sees one, and the virtual cameras about it. */
#include <math.h>

#include "diffusion/distill.h"
#include "nerf/core/rng.h"

/* Colour over white and opacity (H,W,4). */
static int render_one(plx_field *field, const plx_camera *camera, float *rgba) {
    plx_view view = {.camera = *camera};
    plx_render_options options = plx_render_options_default();
    options.samples = PLX_DISTILL_SAMPLES;
    int status = plx_field_render(field, &view, &options);
    size_t pixels = (size_t)camera->width * (size_t)camera->height;
    for (size_t p = 0; p < pixels && !status; p++) {
        const float *straight = view.colour.data + 4 * p, alpha = straight[3];
        for (size_t c = 0; c < 3; c++) rgba[4 * p + c] = straight[c] * alpha + 1 - alpha;
        rgba[4 * p + 3] = alpha;
    }
    plx_image_free(&view.colour);
    return status;
}

static int render(void *user, int count, const plx_camera *cameras, float *rgba) {
    int status = plx_field_update_occupancy(user); /* the field has changed since */
    size_t size = 4 * (size_t)cameras[0].width * (size_t)cameras[0].height;
    for (int v = 0; v < count && !status; v++)
        status = render_one(user, &cameras[v], rgba + size * (size_t)v);
    return status;
}

static int step(void *user, int rays, const plx_ray_target *targets, const plx_step_options *options,
                uint64_t seed) {
    return plx_field_step(user, rays, targets, options, seed, NULL);
}

plx_distill_field plx_distill_field_of(plx_field *field) {
    return (plx_distill_field){render, step, field};
}

/* The digits of i in base 2, mirrored about the point: 0, 1/2, 1/4, 3/4, ... (van der Corput). */
static double radical_inverse(unsigned i) {
    double value = 0;
    for (double digit = 0.5; i; i >>= 1, digit /= 2)
        if (i & 1) value += digit;
    return value;
}

void plx_distill_cameras(plx_camera *cameras, int count, const plx_camera *input, int side, uint64_t seed) {
    float eye[3];
    plx_camera_position(input, eye);
    float distance = sqrtf(eye[0] * eye[0] + eye[1] * eye[1] + eye[2] * eye[2]), fov = plx_camera_fov(input);
    plx_rng rng = {seed, 3};
    double turn = plx_rng_uniform(rng, 0), lift = plx_rng_uniform(rng, 1);
    double low = sin(-3 * M_PI / 180), high = sin(60 * M_PI / 180);
    for (int i = 0; i < count; i++) {
        double azimuth = plx_camera_azimuth(input) + 2 * M_PI * (i + turn) / count;
        double u = fmod(radical_inverse((unsigned)i) + lift, 1), elevation = asin(low + u * (high - low));
        cameras[i] = plx_camera_orbit((float)azimuth, (float)elevation, distance, fov, side, side);
    }
}
