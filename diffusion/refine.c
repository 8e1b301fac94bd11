/* Refinement of a reconstructed field by the model's own denoiser: NGD with a model at both ends. */
#include <stdlib.h>

#include "diffusion/distill.h"
#include "diffusion/view_denoiser.h"

/* What --quality means. Other numbers are plx_distill_options_paper's and _blend's, the same for all. More views and levels with
 * the higher rate are sharper and lose PSNR: `best` loses 0.36 dB, more than a default may. */
static const struct budget {
    int views, steps, field_steps, rays, final_steps;
    float rate;               /* of the planes */
    double gamma, guidance_t; /* of blend */
} budgets[PLX_QUALITIES] = {
    [PLX_QUALITY_FAST] = {8, 5, 6, 1024, 32, 0.01f, 1, 0.2},
    [PLX_QUALITY_DEFAULT] = {16, 25, 8, 1024, 64, 0.005f, 0.5, 0.4},
    [PLX_QUALITY_BEST] = {32, 50, 8, 1024, 64, 0.01f, 1, 0.2},
};

plx_refine_options plx_refine_options_of(enum plx_refine_mode mode, enum plx_quality quality) {
    const struct budget *b = &budgets[quality];
    plx_refine_options o = {.views = b->views,
                            .distill = mode == PLX_REFINE_PAPER ? plx_distill_options_paper()
                                                                : plx_distill_options_blend()};
    o.distill.steps = b->steps;
    o.distill.field_steps = b->field_steps;
    o.distill.rays = b->rays;
    o.distill.final_steps = b->final_steps;
    o.distill.step.rate = b->rate;
    if (mode == PLX_REFINE_BLEND) o.distill.gamma = b->gamma, o.distill.guidance_t = b->guidance_t;
    o.distill.step.skip_empty = true; /* the reconstruction's occupancy; every render of a level renews it */
    o.distill.step.coarse = PLX_DISTILL_SAMPLES;
    return o;
}

plx_refine_options plx_refine_options_default(enum plx_refine_mode mode) {
    return plx_refine_options_of(mode, PLX_QUALITY_DEFAULT);
}

static int denoise(plx_noise_level level, bool unconditional, const float *z, const float *condition,
                   float *x0, void *user) {
    plx_view_denoiser *d = user;
    d->views.render = condition;
    return plx_denoiser_denoise(level, unconditional, z, x0, plx_view_denoiser_values(d), &d->views);
}

int plx_field_refine(plx_field *field, const plx_model *m, const plx_view *input, bool elevation_known,
                     const plx_refine_options *o, plx_progress_fn progress, void *user) {
    if (o->views < 1 || o->views > 1024)
        return plx_fail(PLX_ERROR_INPUT, "refinement: %d views, not 1 to 1024", o->views);
    plx_view_denoiser d = {0};
    int size = m->config.size, count = o->views;
    plx_camera *cameras = calloc((size_t)count, sizeof *cameras);
    int status = cameras ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "refine: out of memory");
    if (!status) status = plx_view_denoiser_open(&d, m, input, elevation_known, count);
    if (!status) {
        /* The views that the denoiser knows from training: the default distance and field of view. */
        plx_camera about =
            plx_camera_orbit(plx_camera_azimuth(&input->camera), plx_camera_elevation(&input->camera),
                             PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
        plx_distill_cameras(cameras, count, &about, size, o->distill.seed);
        plx_distill_field about_field = plx_distill_field_of(field);
        plx_distill_denoiser denoiser = {.schedule = m->config.denoiser.schedule,
                                         .channels = m->config.denoiser.view_channels,
                                         .denoise = denoise,
                                         .user = &d};
        plx_distill_views views = {.count = count, .cameras = cameras, .input = input};
        status = plx_distill(&about_field, &denoiser, &views, &o->distill, NULL, progress, user);
    }
    if (!status) status = plx_field_update_occupancy(field);
    plx_view_denoiser_close(&d);
    free(cameras);
    return status;
}
