/* Refinement of a reconstructed field by the model's own denoiser: NGD with a model at both ends. */
#include <stdlib.h>
#include <string.h>

#include "diffusion/condition.h"
#include "diffusion/distill.h"
#include "diffusion/model.h"

enum { DENOISER_ARENA_GIB = 8 }; /* address space */

plx_refine_options plx_refine_options_default(enum plx_refine_mode mode) {
    plx_distill_options d =
        mode == PLX_REFINE_PAPER ? plx_distill_options_paper() : plx_distill_options_blend();
    return (plx_refine_options){.mode = mode,
                                .views = 16,
                                .steps = d.steps,
                                .field_steps = d.field_steps,
                                .rays = d.rays,
                                .final_steps = d.final_steps,
                                .gamma = (float)d.gamma,
                                .t_max = (float)d.t_max,
                                .guidance_t = (float)d.guidance_t,
                                .classifier_guidance = (float)d.classifier_guidance,
                                .condition_current = d.condition == PLX_CONDITION_CURRENT,
                                .rate = d.step.rate,
                                .decoder_rate = d.step.decoder_rate,
                                .opacity_weight = d.step.opacity_weight,
                                .seed = 1};
}

static plx_distill_options distill_options(const plx_refine_options *o) {
    plx_distill_options d =
        o->mode == PLX_REFINE_PAPER ? plx_distill_options_paper() : plx_distill_options_blend();
    d.steps = o->steps;
    d.field_steps = o->field_steps;
    d.rays = o->rays;
    d.final_steps = o->final_steps;
    d.gamma = o->gamma;
    d.t_max = o->t_max;
    d.guidance_t = o->guidance_t;
    d.classifier_guidance = o->classifier_guidance;
    d.condition = o->condition_current ? PLX_CONDITION_CURRENT : PLX_CONDITION_INITIAL;
    d.step.rate = o->rate;
    d.step.decoder_rate = o->decoder_rate;
    d.step.opacity_weight = o->opacity_weight;
    d.step.skip_empty = true; /* the reconstruction's occupancy; every render of a level renews it */
    d.step.coarse = 64;       /* across the sphere: about ten fall into occupied cells */
    d.seed = o->seed;
    return d;
}

typedef struct refiner {
    plx_denoiser denoiser;
    plx_denoiser_views views;
} refiner;

static int denoise(plx_noise_level level, bool unconditional, const float *z, const float *condition,
                   float *x0, void *user) {
    refiner *r = user;
    r->views.render = condition;
    size_t values = (size_t)r->views.count * (size_t)r->views.height * (size_t)r->views.width *
                    (size_t)r->denoiser.config.view_channels;
    return plx_denoiser_denoise(level, unconditional, z, x0, values, &r->views);
}

int plx_field_refine(plx_field *field, const plx_model *m, const plx_view *input, bool elevation_known,
                     const plx_refine_options *options, plx_progress_fn progress, void *user) {
    if (options->views < 1 || options->views > 1024)
        return plx_fail(PLX_ERROR_INPUT, "refinement: %d views, not 1 to 1024", options->views);
    refiner r = {.denoiser = plx_model_denoiser(m)};
    float *context = NULL;
    int tokens = 0, size = m->config.size, count = options->views;
    plx_tape *tape = NULL;
    plx_device device;
    plx_camera *cameras = calloc((size_t)count, sizeof *cameras);
    int status = cameras ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "refine: out of memory");
    if (!status) status = plx_model_context(&context, &tokens, m, input, elevation_known);
    if (!status) status = plx_device_open(&device, "cpu");
    if (!status) status = plx_tape_create(&tape, device, (size_t)DENOISER_ARENA_GIB << 30, false);
    if (!status) {
        /* The views that the denoiser knows from training: the default distance and field of view. */
        plx_camera about =
            plx_camera_orbit(plx_camera_azimuth(&input->camera), plx_camera_elevation(&input->camera),
                             PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
        plx_distill_cameras(cameras, count, &about, size, options->seed);
        r.views = (plx_denoiser_views){.denoiser = &r.denoiser,
                                       .tape = tape,
                                       .count = count,
                                       .height = size,
                                       .width = size,
                                       .context = context,
                                       .context_tokens = tokens,
                                       .keep_render = true};
        plx_distill_field about_field = plx_distill_field_of(field);
        plx_distill_denoiser denoiser = {.schedule = m->config.denoiser.schedule,
                                         .channels = m->config.denoiser.view_channels,
                                         .denoise = denoise,
                                         .user = &r};
        plx_distill_views views = {.count = count, .cameras = cameras, .input = input};
        plx_distill_options d = distill_options(options);
        status = plx_distill(&about_field, &denoiser, &views, &d, NULL, progress, user);
    }
    if (!status) status = plx_field_update_occupancy(field);
    plx_tape_free(tape);
    free(context);
    free(cameras);
    return status;
}
