/* NeRF-guided distillation (NerfDiff, algorithm 1): virtual views of a field are denoised together, from high noise
 * to low, while the field is fitted to them. One step at (alpha, sigma), for every view:
 *
 *   Z  = alpha I + sigma eps                          I: the present view, eps: its noise
 *   x0 = denoiser(Z | condition)                      condition: the field's render
 *   x0 = x0 - w (reference - render)                  w = min(1, gamma sigma^2 / alpha^2)
 *   x0 clamped to [-1,1];  eps = (Z - alpha x0)/sigma;  I = x0
 *
 * then gradient steps of the field on rays of all views I and of the input view. The reference is I before the step
 * (the paper) or x0 itself, which makes the guidance a convex blend of x0 and the render.
 *
 * The denoiser and the field are callbacks: an oracle can stand for either. Views are (V,H,W,C) in [-1,1], C = 3
 * colour over white or 4 with opacity; renders and conditions are (V,H,W,4). */
#ifndef PLX_DISTILL_H
#define PLX_DISTILL_H

#include "diffusion/diffusion.h"
#include "diffusion/schedule.h"

/* x0 from Z and the conditions, all views at once. Returns a plx_status. */
typedef int (*plx_distill_denoise_fn)(plx_noise_level level, bool unconditional, const float *z,
                                      const float *condition, float *x0, void *user);

typedef struct plx_distill_denoiser {
    plx_schedule schedule;
    int channels; /* C of the views */
    plx_distill_denoise_fn denoise;
    void *user;
} plx_distill_denoiser;

typedef struct plx_distill_field {
    /* Colour over white and opacity (count,H,W,4), in [0,1], of cameras of one size. */
    int (*render)(void *user, int count, const plx_camera *cameras, float *rgba);
    int (*step)(void *user, int rays, const plx_ray_target *targets, const plx_step_options *options,
                uint64_t seed);
    void *user;
} plx_distill_field;

/* Across the sphere, a ray: of the renders and of the field's steps. Two thirds of a render's default, for views of 64
 * pixels; about ten fall into occupied cells. */
enum { PLX_DISTILL_SAMPLES = 64 };

/* A field of nerf/ made for training. */
plx_distill_field plx_distill_field_of(plx_field *field);

typedef struct plx_distill_views {
    int count;
    const plx_camera *cameras; /* (V), all of one size, the denoiser's */
    const plx_view *input;     /* the real one; any size */
} plx_distill_views;

/* Virtual cameras around the object, at the input's distance and fov: azimuths evenly about the circle, the sine of
 * the elevation over -3 to 60 degrees in a low-discrepancy order. */
void plx_distill_cameras(plx_camera *cameras, int count, const plx_camera *input, int side, uint64_t seed);

/* Refines the field. `denoised`, if not NULL, receives the final views (V,H,W,C). */
int plx_distill(const plx_distill_field *field, const plx_distill_denoiser *denoiser,
                const plx_distill_views *views, const plx_distill_options *options, float *denoised,
                plx_progress_fn progress, void *user);

#endif
