/* Views from the diffusion model alone, each by itself: what refinement is compared with. */
#include <math.h>
#include <stdlib.h>

#include "diffusion/distill.h"
#include "diffusion/view_denoiser.h"

enum { STREAM_NOISE = 4 }; /* refinement has 1 to 3 */

plx_view_sampling plx_view_sampling_default(void) {
    return (plx_view_sampling){
        .steps = plx_distill_options_paper().steps, .eta = 1, .classifier_guidance = 1, .seed = 1};
}

/* Sampled colour over white (and opacity, C = 4) in [-1,1] -> straight RGBA. Over white with opacity a a channel is at least
 * 1 - a: where the sample is darker, a is raised to what it takes. */
static void straight(float *rgba, const float *x, int C) {
    float colour[3], opacity = C == 4 ? 0.5f * (x[3] + 1) : 1;
    for (int c = 0; c < 3; c++) {
        colour[c] = 0.5f * (x[c] + 1);
        opacity = fmaxf(opacity, 1 - colour[c]);
    }
    for (int c = 0; c < 3; c++) rgba[c] = opacity > 0 ? (colour[c] - 1 + opacity) / opacity : 1;
    rgba[3] = opacity;
}

static int to_view(plx_view *view, const float *x, int size, int C) {
    plx_image sampled = {0};
    int status = plx_image_create(&sampled, size, size, 4);
    for (size_t p = 0; !status && p < (size_t)(size * size); p++)
        straight(sampled.data + 4 * p, x + (size_t)C * p, C);
    if (!status && view->camera.height == size) {
        view->colour = sampled;
        return PLX_OK;
    }
    if (!status) status = plx_image_resize(&view->colour, &sampled, view->camera.height, view->camera.width);
    plx_image_free(&sampled);
    return status;
}

/* (count,size,size,4) in [-1,1], as the denoiser sees it. */
static int render_condition(float *out, plx_field *field, const plx_view *views, int count, int size) {
    plx_camera *cameras = malloc((size_t)count * sizeof *cameras);
    if (!cameras) return plx_fail(PLX_ERROR_MEMORY, "views: out of memory");
    for (int k = 0; k < count; k++) cameras[k] = plx_camera_resize(&views[k].camera, size, size);
    plx_distill_field about = plx_distill_field_of(field);
    int status = about.render(about.user, count, cameras, out);
    for (size_t i = 0; !status && i < 4 * (size_t)count * (size_t)(size * size); i++) out[i] = 2 * out[i] - 1;
    free(cameras);
    return status;
}

int plx_model_sample_views(plx_view *views, int count, const plx_model *m, const plx_view *input,
                           bool elevation_known, const plx_view_sampling *o, plx_progress_fn progress,
                           void *user) {
    int size = m->config.size, C = m->config.denoiser.view_channels;
    size_t pixels = (size_t)(size * size), all = pixels * (size_t)count;
    for (int k = 0; k < count; k++)
        if (views[k].camera.width != views[k].camera.height)
            return plx_fail(PLX_ERROR_INPUT, "views of %dx%d: the diffusion model samples squares",
                            views[k].camera.width, views[k].camera.height);
    plx_field *field = NULL;
    plx_view_denoiser d = {0};
    float *condition = malloc(all * 4 * sizeof *condition), *x = malloc(all * (size_t)C * sizeof *x);
    int status = condition && x ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "views: out of memory");
    if (!status) status = plx_model_reconstruct(&field, m, input, elevation_known, false);
    if (!status) status = render_condition(condition, field, views, count, size);
    if (!status) status = plx_view_denoiser_open(&d, m, input, elevation_known, count);
    if (!status) {
        plx_sampler_options s = plx_sampler_options_default();
        s.schedule = m->config.denoiser.schedule;
        s.t_max = plx_schedule_t_max(s.schedule, 0.05);
        s.steps = o->steps;
        s.eta = o->eta;
        s.guidance = o->classifier_guidance;
        d.views.render = condition;
        status = plx_sample(&s, plx_denoiser_denoise, &d.views, (plx_rng){o->seed, STREAM_NOISE}, x,
                            plx_view_denoiser_values(&d), progress, user);
    }
    for (int k = 0; k < count && !status; k++)
        status = to_view(&views[k], x + (size_t)k * pixels * (size_t)C, size, C);
    plx_view_denoiser_close(&d);
    plx_field_free(field);
    free(condition);
    free(x);
    return status;
}
