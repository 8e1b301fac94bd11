#include "diffusion/distill.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/sampler.h"
#include "nerf/core/rng.h"

plx_distill_options plx_distill_options_paper(void) {
    plx_distill_options options = {
        .steps = 25,
        .t_max = 0.8,
        .t_min = 0.02,
        .condition = PLX_CONDITION_INITIAL,
        .reference = PLX_REFERENCE_PREVIOUS,
        .gamma = 0.5,
        .guidance_t = 0,
        .classifier_guidance = 1,
        .clamp = true,
        .field_steps = 8,
        .rays = 1024,
        .final_steps = 64,
        .input_fraction = 0.25,
        .object_fraction = 0.75,
        .step = plx_step_options_default(),
        .seed = 1,
    };
    options.step.decoder_rate = 0.1f;
    options.step.opacity_weight = 0.5f;
    return options;
}

plx_distill_options plx_distill_options_blend(void) {
    plx_distill_options options = plx_distill_options_paper();
    options.reference = PLX_REFERENCE_DENOISED;
    options.guidance_t = 0.4;
    return options;
}

/* ---- state --------------------------------------------------------------------------------------------------- */

typedef struct distillation {
    const plx_distill_field *field;
    const plx_distill_denoiser *denoiser;
    const plx_distill_views *views;
    const plx_distill_options *options;
    int V, C;
    size_t pixels, size; /* of a view; of all views with C channels */
    float *image, *eps;  /* (V,H,W,C) I and its noise, [-1,1] */
    float *z, *x0, *scratch;
    float *initial, *render; /* (V,H,W,4) the field's, [-1,1] */
    uint32_t *object;        /* indices of pixels (view * pixels + pixel) on the object */
    size_t object_count;
    plx_ray_target *targets; /* (rays) */
    uint64_t batch;          /* batches drawn so far */
} distillation;

static void release(distillation *d) {
    free(d->image), free(d->eps), free(d->z), free(d->x0), free(d->scratch);
    free(d->initial), free(d->render), free(d->object), free(d->targets);
}

static int allocate(distillation *d) {
    size_t rendered = (size_t)d->V * d->pixels * 4;
    d->image = malloc(d->size * sizeof(float)), d->eps = malloc(d->size * sizeof(float));
    d->z = malloc(d->size * sizeof(float)), d->x0 = malloc(d->size * sizeof(float));
    d->scratch = malloc(d->size * sizeof(float)), d->initial = malloc(rendered * sizeof(float));
    d->render = malloc(rendered * sizeof(float));
    d->object = malloc((size_t)d->V * d->pixels * sizeof *d->object);
    d->targets = malloc((size_t)d->options->rays * sizeof *d->targets);
    bool all = d->image && d->eps && d->z && d->x0 && d->scratch && d->initial && d->render && d->object &&
               d->targets;
    return all ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "distillation: no memory for %d views", d->V);
}

static int check(const plx_distill_views *v, const plx_distill_denoiser *denoiser,
                 const plx_distill_options *o) {
    if (v->count < 1 || v->count > 1024) return plx_fail(PLX_ERROR_INPUT, "distillation: %d views", v->count);
    for (int i = 0; i < v->count; i++)
        PLX_CHECK(v->cameras[i].width == v->cameras[0].width && v->cameras[i].height == v->cameras[0].height,
                  "distillation: cameras of different sizes");
    PLX_CHECK(denoiser->channels == 3 || denoiser->channels == 4, "distillation: %d channels",
              denoiser->channels);
    if (o->steps < 1 || o->field_steps < 0 || o->final_steps < 0 || o->rays < 8)
        return plx_fail(PLX_ERROR_INPUT, "distillation: %d levels, %d and %d field steps, %d rays", o->steps,
                        o->field_steps, o->final_steps, o->rays);
    if (!(o->t_min > 0 && o->t_min <= o->t_max && o->t_max <= 1))
        return plx_fail(PLX_ERROR_INPUT, "distillation: t from %g to %g, not within (0,1]", o->t_max,
                        o->t_min);
    if (!(o->input_fraction >= 0.125 && o->input_fraction <= 1))
        return plx_fail(PLX_ERROR_INPUT, "distillation: input fraction %g is not in [1/8,1]",
                        o->input_fraction);
    if (!(o->object_fraction >= 0 && o->object_fraction < 1))
        return plx_fail(PLX_ERROR_INPUT, "distillation: object fraction %g is not in [0,1)",
                        o->object_fraction);
    if (!(o->gamma >= 0)) return plx_fail(PLX_ERROR_INPUT, "distillation: gamma %g", o->gamma);
    return PLX_OK;
}

/* Renders every view into `out` (V,H,W,4), [-1,1]. */
static int render_all(distillation *d, float *out) {
    int status = d->field->render(d->field->user, d->V, d->views->cameras, out);
    if (status) return status;
    for (size_t i = 0; i < (size_t)d->V * d->pixels * 4; i++) out[i] = 2 * out[i] - 1;
    return PLX_OK;
}

/* ---- denoising ----------------------------------------------------------------------------------------------- */

typedef struct conditioned {
    const plx_distill_denoiser *denoiser;
    const float *condition;
} conditioned;

static int denoise_conditioned(plx_noise_level level, bool unconditional, const float *z, float *x0,
                               size_t count, void *user) {
    (void)count;
    const conditioned *c = user;
    return c->denoiser->denoise(level, unconditional, z, c->condition, x0, c->denoiser->user);
}

/* x0 <- x0 - w (reference - render), w = min(1, gamma sigma^2/alpha^2): in eps, gamma (sigma/alpha)(I - render). */
static void guide(distillation *d, plx_noise_level level) {
    const plx_distill_options *o = d->options;
    double w = fmin(1, o->gamma * level.sigma * level.sigma / (level.alpha * level.alpha));
    const float *reference = o->reference == PLX_REFERENCE_PREVIOUS ? d->image : d->x0;
    for (size_t p = 0; p < (size_t)d->V * d->pixels; p++)
        for (int c = 0; c < d->C; c++) {
            size_t i = p * (size_t)d->C + (size_t)c;
            d->x0[i] = (float)(d->x0[i] - w * ((double)reference[i] - d->render[p * 4 + (size_t)c]));
        }
}

static int denoise_views(distillation *d, plx_noise_level level) {
    const plx_distill_options *o = d->options;
    bool guided = o->gamma > 0 && level.t > o->guidance_t, current = o->condition == PLX_CONDITION_CURRENT;
    if (guided || current) {
        int status = render_all(d, d->render);
        if (status) return status;
    }
    for (size_t i = 0; i < d->size; i++) d->z[i] = (float)plx_noise_add(level, d->image[i], d->eps[i]);
    conditioned user = {d->denoiser, current ? d->render : d->initial};
    int status = plx_denoise_guided(denoise_conditioned, &user, level, o->classifier_guidance, d->z, d->x0,
                                    d->scratch, d->size);
    if (status) return status;
    if (guided) guide(d, level);
    for (size_t i = 0; i < d->size; i++) {
        float x0 = o->clamp ? fminf(fmaxf(d->x0[i], -1), 1) : d->x0[i];
        d->eps[i] = (float)plx_eps_from_x0(level, d->z[i], x0);
        d->image[i] = x0;
    }
    return PLX_OK;
}

/* ---- rays ---------------------------------------------------------------------------------------------------- */

/* In [-1,1]: nearer to white than this is taken for background, if the first render saw little there as well. */
static const float white_margin = 0.04f, opaque = 0.0f, faint = -0.8f;

static bool is_white(const float *colour) {
    return colour[0] > 1 - white_margin && colour[1] > 1 - white_margin && colour[2] > 1 - white_margin;
}

/* Pixels where the first render or the present view shows something. */
static void find_object(distillation *d) {
    d->object_count = 0;
    for (size_t p = 0; p < (size_t)d->V * d->pixels; p++)
        if (d->initial[p * 4 + 3] > faint || !is_white(d->image + p * (size_t)d->C))
            d->object[d->object_count++] = (uint32_t)p;
}

/* The opacity a ray is fitted to, in [0,1]; -1 = unknown. Without an opacity channel: white where the first render was
 * faint is background; a colour where it was opaque is the object. */
static float opacity_of(const distillation *d, size_t p) {
    const float *view = d->image + p * (size_t)d->C;
    if (d->C == 4) return 0.5f * (view[3] + 1);
    float before = d->initial[p * 4 + 3];
    if (is_white(view)) return before < opaque ? 0 : -1;
    return before > opaque ? 1 : -1;
}

static void target_ray(plx_ray_target *out, const plx_camera *camera, size_t pixel) {
    size_t width = (size_t)camera->width;
    plx_camera_ray(camera, (float)(pixel % width) + 0.5f, (float)(pixel / width) + 0.5f, out->origin,
                   out->direction);
}

/* What a denoiser leaves on an empty background, an opacity of a few hundredths, adds up to fog over many views: 0 below
 * `haze`, 1 from twice that on. */
static float presence(float opacity) {
    static const float haze = 0.06f;
    return fminf(fmaxf(opacity / haze - 1, 0), 1);
}

static void target_of_view(const distillation *d, plx_ray_target *out, size_t p, float weight) {
    target_ray(out, &d->views->cameras[p / d->pixels], p % d->pixels);
    out->opacity = opacity_of(d, p);
    float present = d->C == 4 ? presence(out->opacity) : 1;
    for (int c = 0; c < 3; c++)
        out->colour[c] = 1 - present * (1 - 0.5f * (d->image[p * (size_t)d->C + (size_t)c] + 1));
    if (d->C == 4) out->opacity *= present;
    out->weight = weight;
}

static void target_of_input(const plx_view *input, plx_ray_target *out, size_t p) {
    const float *rgba = input->colour.data + 4 * p;
    target_ray(out, &input->camera, p);
    for (int c = 0; c < 3; c++) out->colour[c] = rgba[c] * rgba[3] + (1 - rgba[3]);
    out->opacity = rgba[3];
    out->weight = 1;
}

/* input_fraction of the rays from the input view; of the others, a share f on the object and 1 - f anywhere. A pixel
 * of P, A of them on the object, is drawn with probability (1 - f)/P + f/A [on the object]; its weight 1/(P times
 * that) makes the sum that over all pixels. */
static void draw_batch(distillation *d) {
    const plx_distill_options *o = d->options;
    const plx_image *colour = &d->views->input->colour;
    uint32_t input_pixels = (uint32_t)(colour->height * colour->width), P = (uint32_t)(d->V * (int)d->pixels);
    plx_rng rng = plx_rng_fork((plx_rng){o->seed, 1}, d->batch++), choice = plx_rng_fork(rng, 1);
    int from_input = (int)ceil(o->input_fraction * o->rays);
    double f = d->object_count ? o->object_fraction : 0;
    float on = (float)(1 / (1 - f + f * P / fmax(1, (double)d->object_count))), off = (float)(1 / (1 - f));
    for (int r = 0; r < o->rays; r++) {
        uint64_t index = (uint64_t)r;
        if (r < from_input) {
            target_of_input(d->views->input, &d->targets[r], plx_rng_below(rng, index, input_pixels));
            continue;
        }
        size_t p = plx_rng_uniform(choice, index) < f
                       ? d->object[plx_rng_below(rng, index, (uint32_t)d->object_count)]
                       : plx_rng_below(rng, index, P);
        bool object = d->initial[p * 4 + 3] > faint || !is_white(d->image + p * (size_t)d->C);
        target_of_view(d, &d->targets[r], p, object ? on : off);
    }
}

static int fit_views(distillation *d, int steps) {
    find_object(d);
    int status = PLX_OK;
    for (int n = 0; n < steps && !status; n++) {
        draw_batch(d);
        status = d->field->step(d->field->user, d->options->rays, d->targets, &d->options->step,
                                d->options->seed + d->batch);
    }
    return status;
}

/* ---- algorithm 1 --------------------------------------------------------------------------------------------- */

static int start(distillation *d) {
    int status = render_all(d, d->initial);
    if (status) return status;
    for (size_t p = 0; p < (size_t)d->V * d->pixels; p++)
        memcpy(d->image + p * (size_t)d->C, d->initial + p * 4, (size_t)d->C * sizeof(float));
    plx_rng_fill_normal((plx_rng){d->options->seed, 2}, d->eps, d->size);
    return PLX_OK;
}

static int distill(distillation *d, plx_progress_fn progress, void *user) {
    const plx_distill_options *o = d->options;
    int status = start(d);
    plx_sampler_options levels = {.steps = o->steps, .t_min = o->t_min};
    levels.t_max = fmax(o->t_min, fmin(o->t_max, plx_schedule_t_max(d->denoiser->schedule, 0.05)));
    for (int step = 0; step < o->steps && !status; step++) {
        status = denoise_views(d, plx_schedule_at(d->denoiser->schedule, plx_sampler_time(&levels, step)));
        if (!status) status = fit_views(d, o->field_steps);
        if (!status && plx_progress_report(progress, user, "refine", step + 1, o->steps, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "refinement: stopped");
    }
    return status ? status : fit_views(d, o->final_steps);
}

int plx_distill(const plx_distill_field *field, const plx_distill_denoiser *denoiser,
                const plx_distill_views *views, const plx_distill_options *options, float *denoised,
                plx_progress_fn progress, void *user) {
    int status = check(views, denoiser, options);
    if (status) return status;
    distillation d = {.field = field, .denoiser = denoiser, .views = views, .options = options};
    d.V = views->count;
    d.C = denoiser->channels;
    d.pixels = (size_t)views->cameras[0].width * (size_t)views->cameras[0].height;
    d.size = (size_t)d.V * d.pixels * (size_t)d.C;
    status = allocate(&d);
    if (!status) status = distill(&d, progress, user);
    if (!status && denoised) memcpy(denoised, d.image, d.size * sizeof *denoised);
    release(&d);
    return status;
}
