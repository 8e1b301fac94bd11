#include "diffusion/refine.h"

#include <stdlib.h>

#include "diffusion/condition.h"
#include "diffusion/model.h"

enum { DENOISER_ARENA = 1 << 30 };

/* A plx_distill_denoise_fn: the views with this condition. */
static int denoise_with(plx_noise_level level, bool unconditional, const float *z, const float *condition,
                        float *x0, void *user) {
    plx_denoiser_views *views = user;
    size_t pixels = (size_t)views->height * (size_t)views->width;
    views->render = condition;
    return plx_denoiser_denoise(level, unconditional, z, x0,
                                (size_t)views->count * pixels * (size_t)views->denoiser->config.view_channels,
                                views);
}

/* The input's channels (size,size,4), if the denoiser reads them beside the view. */
static int input_channels(float **out, const plx_denoiser_config *config, const plx_view *input, int size) {
    *out = NULL;
    if (!config->input_concat) return PLX_OK;
    plx_image resized;
    int status = plx_image_resize(&resized, &input->colour, size, size);
    if (status) return status;
    size_t pixels = (size_t)size * (size_t)size;
    *out = malloc(4 * pixels * sizeof **out);
    if (*out) plx_condition_channels(pixels, resized.data, *out);
    plx_image_free(&resized);
    return *out ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "refinement: no memory");
}

static int refine(plx_field *field, const plx_model *m, const plx_view *input, plx_denoiser_views *views,
                  const plx_distill_options *options, plx_progress_fn progress, void *user) {
    plx_camera *cameras = malloc((size_t)views->count * sizeof *cameras);
    if (!cameras) return plx_fail(PLX_ERROR_MEMORY, "refinement: no memory for %d views", views->count);
    plx_distill_cameras(cameras, views->count, &input->camera, m->config.size, options->seed);
    const plx_denoiser_config *config = &views->denoiser->config;
    plx_distill_field as_field = plx_distill_field_of(field);
    plx_distill_denoiser denoiser = {config->schedule, config->view_channels, denoise_with, views};
    plx_distill_views all = {views->count, cameras, input};
    int status = plx_distill(&as_field, &denoiser, &all, options, NULL, progress, user);
    free(cameras);
    return status ? status : plx_field_update_occupancy(field);
}

int plx_model_refine(plx_field **out, const plx_model *m, const plx_view *input, bool elevation_known,
                     int views, const plx_distill_options *options, plx_progress_fn progress, void *user) {
    *out = NULL;
    if (views < 1 || views > 1024)
        return plx_fail(PLX_ERROR_INPUT, "refinement: %d views, not 1 to 1024", views);
    PLX_CHECK(m->config.denoiser.render_channels == 4, "refinement: a render of %d channels",
              m->config.denoiser.render_channels);
    plx_field *field = NULL;
    float *context = NULL, *channels = NULL;
    int tokens = 0, size = m->config.size;
    plx_tape *tape = NULL;
    plx_device device;
    int status = plx_model_reconstruct_with(&field, &context, &tokens, m, input, elevation_known, true);
    if (!status) status = input_channels(&channels, &m->config.denoiser, input, size);
    if (!status) status = plx_device_open(&device, "cpu");
    if (!status) status = plx_tape_create(&tape, device, DENOISER_ARENA, false);
    if (!status) {
        plx_denoiser denoiser = plx_model_denoiser(m);
        plx_denoiser_views denoised = {.denoiser = &denoiser,
                                       .tape = tape,
                                       .count = views,
                                       .height = size,
                                       .width = size,
                                       .input = channels,
                                       .context = context,
                                       .context_tokens = tokens};
        status = refine(field, m, input, &denoised, options, progress, user);
    }
    plx_tape_free(tape);
    free(channels);
    free(context);
    if (status)
        plx_field_free(field);
    else
        *out = field;
    return status;
}
