#include "diffusion/denoiser.h"

#include <math.h>

#include "diffusion/layers.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"

enum {
    TIME_FREQUENCIES = 6, /* logSNR/20: the finest period is 2 / 2^5, 1.25 in logSNR */
    VIEWS_AT_ONCE = 4,    /* at inference: bounds the activations */
};

plx_denoiser_config plx_denoiser_config_default(void) {
    plx_denoiser_config config = {
        .view_channels = 3,
        .render_channels = 4,
        .prediction = PLX_PREDICT_V,
        .schedule = {PLX_SCHEDULE_COSINE, 0},
        .unet = plx_unet_config_default(),
    };
    config.unet.attention[1] = true;
    config.unet.embedding = 128;
    config.unet.zero_output = true;
    return config;
}

static bool has_input_mask(const plx_denoiser_config *c) {
    return c->input_concat || c->unet.context;
}

static plx_unet_config unet_of(const plx_denoiser_config *c) {
    plx_unet_config unet = c->unet;
    unet.in_channels =
        c->view_channels + c->render_channels + 1 + (c->input_concat ? 4 : 0) + has_input_mask(c);
    unet.out_channels = c->view_channels;
    return unet;
}

int plx_denoiser_config_check(const plx_denoiser_config *c) {
    if (c->view_channels != 3 && c->view_channels != 4)
        return plx_fail(PLX_ERROR_INPUT, "denoiser: %d view channels, not 3 or 4", c->view_channels);
    if (c->render_channels < 1 || c->render_channels > 64)
        return plx_fail(PLX_ERROR_INPUT, "denoiser: %d render channels", c->render_channels);
    if ((unsigned)c->prediction > PLX_PREDICT_X0 || (unsigned)c->schedule.kind > PLX_SCHEDULE_LINEAR)
        return plx_fail(PLX_ERROR_INPUT, "denoiser: unknown prediction or schedule");
    if (c->schedule.steps < 0) return plx_fail(PLX_ERROR_INPUT, "denoiser: %d time steps", c->schedule.steps);
    if (c->unet.embedding < 1) return plx_fail(PLX_ERROR_INPUT, "denoiser: no embedding for the time");
    plx_unet_config unet = unet_of(c);
    return plx_unet_config_check(&unet);
}

int plx_denoiser_declare(plx_params *params, const char *prefix, const plx_denoiser_config *config) {
    int status = plx_denoiser_config_check(config);
    if (status) return status;
    plx_unet_config unet = unet_of(config);
    status = plx_layer_embedding_declare(params, prefix, "time", 1, TIME_FREQUENCIES, unet.embedding);
    return status ? status : plx_unet_declare(params, prefix, &unet);
}

/* (N,H,W,1): 1 where the condition is dropped. */
static plx_tensor *mask_channel(plx_tape *tape, const int *shape, const bool *dropped) {
    const int one[] = {shape[0], shape[1], shape[2], 1};
    size_t pixels = (size_t)shape[1] * (size_t)shape[2];
    float *mask = plx_arena_alloc(plx_tape_arena(tape), pixels * (size_t)shape[0] * sizeof *mask);
    for (size_t i = 0; i < pixels * (size_t)shape[0]; i++) mask[i] = dropped && dropped[i / pixels];
    return plx_tape_input(tape, 4, one, mask, false);
}

static plx_tensor *unless_dropped(plx_tape *tape, plx_tensor *x, const bool *dropped) {
    if (!dropped) return x;
    float *factors = plx_arena_alloc(plx_tape_arena(tape), (size_t)x->shape[0] * sizeof *factors);
    for (int n = 0; n < x->shape[0]; n++) factors[n] = dropped[n] ? 0 : 1;
    return plx_scale_rows(tape, x, factors);
}

/* (N,H,W,V + R + 1 and, beside them, the input view's 4 and a mask of it) */
static plx_tensor *input_channels(plx_tape *tape, const plx_denoiser_config *c,
                                  const plx_denoiser_inputs *in) {
    const plx_scope scope = plx_tape_enter(tape);
    const int *s = in->render->shape;
    plx_tensor *x = plx_concat(tape, in->z, unless_dropped(tape, in->render, in->render_dropped));
    x = plx_concat(tape, x, mask_channel(tape, s, in->render_dropped));
    if (c->input_concat) x = plx_concat(tape, x, unless_dropped(tape, in->input, in->input_dropped));
    if (has_input_mask(c)) x = plx_concat(tape, x, mask_channel(tape, s, in->input_dropped));
    return plx_tape_leave(tape, scope, x);
}

plx_tensor *plx_denoiser_forward(plx_tape *tape, const plx_denoiser *denoiser,
                                 const plx_denoiser_inputs *in) {
    const plx_denoiser_config *c = &denoiser->config;
    const int *s = in->render->shape, N = s[0];
    PLX_CHECK(in->render->ndim == 4 && s[3] == c->render_channels,
              "denoiser: render (%d,%d,%d,%d), %d channels", N, s[1], s[2], s[3], c->render_channels);
    PLX_CHECK(in->z->ndim == 4 && in->z->shape[0] == N && in->z->shape[3] == c->view_channels,
              "denoiser: %d views of %d channels, not %d", in->z->shape[0], in->z->shape[3],
              c->view_channels);
    PLX_CHECK(!c->input_concat == !in->input && !c->unet.context == !in->context,
              "denoiser: input view expected");
    plx_unet_config unet = unet_of(c);
    const plx_scope scope = plx_tape_enter(tape);
    float *time = plx_arena_alloc(plx_tape_arena(tape), (size_t)N * sizeof *time);
    for (int n = 0; n < N; n++) time[n] = (float)(plx_noise_log_snr(in->levels[n]) / 20);
    plx_unet_inputs inputs = {
        .x = input_channels(tape, c, in),
        .embedding = plx_layer_embedding(tape, denoiser->params, denoiser->prefix, "time", time, N, 1,
                                         TIME_FREQUENCIES),
        .context = in->context ? unless_dropped(tape, in->context, in->input_dropped) : NULL,
    };
    return plx_tape_leave(tape, scope,
                          plx_unet_forward(tape, denoiser->params, denoiser->prefix, &unet, &inputs, NULL));
}

/* ---- training ------------------------------------------------------------------------------------------ */

plx_denoiser_training plx_denoiser_training_default(void) {
    return (plx_denoiser_training){.t_min = 0.001,
                                   .t_max = 1,
                                   .drop_render = 0.2,
                                   .drop_input = 0.1,
                                   .weight = PLX_WEIGHT_NONE,
                                   .gamma = 5};
}

enum { STREAM_TIME, STREAM_NOISE, STREAM_RENDER, STREAM_INPUT };

static enum plx_noise_target target_of(enum plx_prediction prediction) {
    static const enum plx_noise_target targets[] = {[PLX_PREDICT_V] = PLX_TARGET_V,
                                                    [PLX_PREDICT_EPS] = PLX_TARGET_NOISE,
                                                    [PLX_PREDICT_X0] = PLX_TARGET_VIEW};
    return targets[prediction];
}

static void draw(const plx_denoiser *denoiser, const plx_denoiser_training *o, const double *t_given,
                 plx_rng rng, int N, plx_noise_level *levels, bool *render_dropped, bool *input_dropped) {
    double offset = plx_rng_uniform(plx_rng_fork(rng, STREAM_TIME), 0);
    for (int n = 0; n < N; n++) {
        double u = fmod(offset + (double)n / N, 1), t = o->t_min + u * (o->t_max - o->t_min);
        levels[n] = plx_schedule_at(denoiser->config.schedule, t_given ? t_given[n] : t);
        render_dropped[n] = plx_rng_uniform(plx_rng_fork(rng, STREAM_RENDER), (uint64_t)n) < o->drop_render;
        input_dropped[n] = plx_rng_uniform(plx_rng_fork(rng, STREAM_INPUT), (uint64_t)n) < o->drop_input;
    }
}

plx_tensor *plx_denoiser_loss(plx_tape *tape, const plx_denoiser *denoiser,
                              const plx_denoiser_training *training, const plx_denoiser_batch *batch,
                              plx_rng rng) {
    plx_arena *arena = plx_tape_arena(tape);
    const int *shape = batch->render->shape, N = shape[0];
    enum plx_prediction prediction = denoiser->config.prediction;
    const int views[] = {N, shape[1], shape[2], denoiser->config.view_channels};
    plx_noise_level *levels = plx_arena_alloc(arena, (size_t)N * sizeof *levels);
    plx_noising *noise = plx_arena_alloc(arena, (size_t)N * sizeof *noise);
    bool *render_dropped = plx_arena_alloc(arena, (size_t)N),
         *input_dropped = plx_arena_alloc(arena, (size_t)N);
    plx_tensor *z = plx_tape_tensor(tape, "noisy", 4, views);
    const size_t bytes = plx_tensor_size(z) * sizeof(float);
    float *target = plx_tape_array(tape, bytes), *weights = plx_tape_array(tape, bytes);

    draw(denoiser, training, batch->t, rng, N, levels, render_dropped, input_dropped);
    double mean_weight = 0;
    for (int n = 0; n < N; n++) {
        double w = plx_schedule_weight(levels[n], prediction, training->weight, training->gamma);
        mean_weight += w / N;
        noise[n] = (plx_noising){levels[n].alpha, levels[n].sigma, target_of(prediction), (float)w};
    }
    plx_tape_kernels(tape)->noise_views(
        N, plx_tensor_size(z) / (size_t)N, plx_tape_constant(tape, noise, sizeof *noise * (size_t)N),
        plx_rng_fork(rng, STREAM_NOISE), plx_tape_constant(tape, batch->views, bytes), z->data, target,
        weights);
    plx_denoiser_inputs inputs = {
        .z = z,
        .levels = levels,
        .render = batch->render,
        .input = batch->input,
        .context = batch->context,
        .render_dropped = render_dropped,
        .input_dropped = input_dropped,
    };
    plx_tensor *prediction_tensor = plx_denoiser_forward(tape, denoiser, &inputs);
    /* loss_lp divides by the sum of the weights; E w d^2 divides by their number. */
    plx_tensor *loss = plx_loss_lp_on(tape, prediction_tensor, target, weights, 2);
    float factor = (float)mean_weight;
    return plx_loss_sum(tape, 1, &loss, &factor);
}

/* ---- inference ----------------------------------------------------------------------------------------- */

/* The same (rows) of an input, `N` times over. */
static plx_tensor *repeated(plx_tape *tape, int ndim, const int *shape, const float *data) {
    plx_tensor *x = plx_tape_tensor(tape, "repeated", ndim, shape);
    size_t each = plx_tensor_size(x) / (size_t)shape[0];
    for (int n = 0; n < shape[0]; n++)
        plx_memory_write(plx_tape_memory(tape), x->data + each * (size_t)n, data, each * sizeof(float));
    return x;
}

static void denoise_some(const plx_denoiser_views *v, plx_noise_level level, bool unconditional, int first,
                         int N, const float *z, float *x0) {
    const plx_denoiser_config *c = &v->denoiser->config;
    const int render[] = {N, v->height, v->width, c->render_channels}, input[] = {N, v->height, v->width, 4};
    const int context[] = {N, v->context_tokens, c->unet.context};
    const int view[] = {N, v->height, v->width, c->view_channels};
    size_t pixels = (size_t)v->height * (size_t)v->width, offset = pixels * (size_t)first;
    size_t channels = (size_t)c->view_channels;
    plx_noise_level levels[VIEWS_AT_ONCE];
    bool dropped[VIEWS_AT_ONCE];
    for (int n = 0; n < N; n++) levels[n] = level, dropped[n] = true;

    plx_tape_reset(v->tape);
    plx_denoiser_inputs inputs = {
        .z = plx_tape_input(v->tape, 4, view, z + channels * offset, false),
        .levels = levels,
        .render = plx_tape_input(v->tape, 4, render, v->render + (size_t)c->render_channels * offset, false),
        .input = c->input_concat ? repeated(v->tape, 4, input, v->input) : NULL,
        .context = c->unet.context ? repeated(v->tape, 3, context, v->context) : NULL,
        .render_dropped = v->without_render || (unconditional && !v->keep_render) ? dropped : NULL,
        .input_dropped = unconditional ? dropped : NULL,
    };
    const float *prediction = plx_tape_values(v->tape, plx_denoiser_forward(v->tape, v->denoiser, &inputs));
    for (size_t i = 0; i < pixels * channels * (size_t)N; i++)
        x0[channels * offset + i] =
            (float)plx_x0_from(level, c->prediction, z[channels * offset + i], prediction[i]);
}

int plx_denoiser_denoise(plx_noise_level level, bool unconditional, const float *z, float *x0, size_t count,
                         void *user) {
    const plx_denoiser_views *v = user;
    size_t size =
        (size_t)v->count * (size_t)v->height * (size_t)v->width * (size_t)v->denoiser->config.view_channels;
    PLX_CHECK(count == size, "denoiser: %zu values for %d views of %dx%d", count, v->count, v->width,
              v->height);
    bool recorded = plx_tape_recording(v->tape);
    plx_tape_set_recording(v->tape, false);
    for (int first = 0; first < v->count; first += VIEWS_AT_ONCE) {
        int N = v->count - first < VIEWS_AT_ONCE ? v->count - first : VIEWS_AT_ONCE;
        denoise_some(v, level, unconditional, first, N, z, x0);
    }
    plx_tape_set_recording(v->tape, recorded);
    int status = plx_memory_check(plx_tape_memory(v->tape));
    if (status) return status;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x0[i])) return plx_fail(PLX_ERROR_NUMERIC, "denoiser: NaN or Inf at t = %.3f", level.t);
    return PLX_OK;
}
