/* The networks as work to be timed: the denoiser's U-Net and the encoder, forward and as training steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "diffusion/model.h"
#include "nerf/core/rng.h"
#include "nerf/tensor/flops.h"
#include "nerf/tensor/memory.h"

static const size_t step_arena = (size_t)16 << 30; /* address space */

typedef struct work {
    plx_network_options o;
    plx_model_config config;
    plx_params *params;
    plx_tape *tape;
    plx_optimiser optimiser;
    float *rgba, *views, *render, *context; /* (N,S,S,4) each; the input view's tokens (N,K,F) */
    plx_encoder_pose *poses;                /* (N) */
    int tokens;
} work;

static plx_tensor *encoder_loss(work *w) {
    plx_encoding e =
        plx_encode(w->tape, w->params, "net", &w->config.encoder, w->o.batch, w->o.size, w->rgba, w->poses);
    if (!w->o.train) return NULL;
    plx_tensor *const outputs[] = {e.xy, e.xz, e.yz, e.elevation};
    plx_tensor *losses[4];
    for (int i = 0; i < 4; i++) {
        const float *zero =
            plx_arena_zalloc(plx_tape_arena(w->tape), sizeof(float) * plx_tensor_size(outputs[i]));
        losses[i] = plx_loss_lp(w->tape, outputs[i], zero, NULL, 2);
    }
    return plx_loss_sum(w->tape, 4, losses, (const float[]){1, 1, 1, 1});
}

static plx_tensor *denoiser_loss(work *w) {
    plx_denoiser denoiser = {w->config.denoiser, w->params, "net"};
    int N = w->o.batch, size = w->o.size;
    plx_tensor *render = plx_tape_input(w->tape, PLX_SHAPE(N, size, size, 4), w->render, false);
    plx_tensor *context =
        plx_tape_input(w->tape, PLX_SHAPE(N, w->tokens, w->config.denoiser.unet.context), w->context, false);
    if (w->o.train) {
        plx_denoiser_training training = plx_denoiser_training_default();
        plx_denoiser_batch batch = {.views = w->views, .render = render, .context = context};
        return plx_denoiser_loss(w->tape, &denoiser, &training, &batch, (plx_rng){1, 1});
    }
    plx_noise_level *levels = plx_arena_alloc(plx_tape_arena(w->tape), sizeof *levels * (size_t)N);
    for (int n = 0; n < N; n++) levels[n] = plx_schedule_at(w->config.denoiser.schedule, (n + 0.5) / N);
    plx_tensor *z =
        plx_tape_input(w->tape, PLX_SHAPE(N, size, size, w->config.denoiser.view_channels), w->views, false);
    plx_denoiser_inputs inputs = {.z = z, .levels = levels, .render = render, .context = context};
    plx_denoiser_forward(w->tape, &denoiser, &inputs);
    return NULL;
}

/* As a step of diffusion/train.c does it, on inputs that stay the same. */
static int run(void *state) {
    work *w = state;
    plx_tape_reset(w->tape);
    if (w->o.train) plx_params_zero_grad(w->params);
    plx_tensor *loss = w->o.part == PLX_NETWORK_ENCODER ? encoder_loss(w) : denoiser_loss(w);
    if (!loss) return plx_memory_finish(plx_tape_memory(w->tape));
    plx_tape_backward(w->tape, loss);
    double norm; /* waits for it */
    return plx_optimiser_step(&w->optimiser, w->params, 1e-5f, &norm);
}

static void free_work(void *state) {
    work *w = state;
    plx_tape_free(w->tape);
    plx_params_free(w->params);
    free(w->rgba), free(w->views), free(w->render), free(w->context), free(w->poses);
    free(w);
}

static float *numbers(size_t count, uint64_t stream) {
    float *out = malloc(sizeof(float) * count);
    if (out) plx_rng_fill_uniform((plx_rng){1, stream}, out, count);
    return out;
}

static int make_inputs(work *w) {
    size_t N = (size_t)w->o.batch, size = (size_t)w->o.size, values = N * size * size * 4;
    const plx_unet_config *unet = &w->config.encoder.unet;
    int coarsest = w->o.size / (unet->patch << (unet->levels - 1));
    w->tokens = coarsest * coarsest;
    w->rgba = numbers(values, 1);
    w->views = numbers(values, 2);
    w->render = numbers(values, 3);
    w->context = numbers(N * (size_t)w->tokens * (size_t)w->config.denoiser.unet.context, 4);
    w->poses = calloc(N, sizeof *w->poses);
    if (!w->rgba || !w->views || !w->render || !w->context || !w->poses)
        return plx_fail(PLX_ERROR_MEMORY, "network: out of memory");
    for (size_t n = 0; n < N; n++) {
        plx_camera camera =
            plx_camera_orbit((float)n, 0.35f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, w->o.size, w->o.size);
        w->poses[n] = plx_encoder_pose_of(&camera, true);
    }
    return PLX_OK;
}

static int make_network(work *w) {
    bool encoder = w->o.part == PLX_NETWORK_ENCODER;
    plx_unet_config *unet = encoder ? &w->config.encoder.unet : &w->config.denoiser.unet;
    unet->width = w->o.width;
    int status = plx_params_create(&w->params);
    if (!status)
        status = encoder ? plx_encoder_declare(w->params, "net", &w->config.encoder)
                         : plx_denoiser_declare(w->params, "net", &w->config.denoiser);
    return status ? status : plx_params_allocate(w->params, 1, w->o.train);
}

/* One run on a device that counts. */
static int count_flops(work *w, double *flops) {
    plx_device device;
    int status = plx_flops_device(&device);
    if (!status) status = plx_tape_create(&w->tape, device, step_arena, w->o.train);
    if (status) return status;
    plx_flops_counted();
    status = run(w);
    *flops = plx_flops_counted();
    plx_tape_free(w->tape);
    w->tape = NULL;
    return status;
}

int plx_network_workload(plx_workload *out, const plx_network_options *options) {
    *out = (plx_workload){0};
    const plx_network_options *o = options;
    if (o->batch < 1 || o->batch > 1024 || o->size < 32 || o->size > 512 || o->size % 32)
        return plx_fail(PLX_ERROR_INPUT, "network: %d images of %dx%d; sides are multiples of 32 up to 512",
                        o->batch, o->size, o->size);
    work *w = calloc(1, sizeof *w);
    if (!w) return plx_fail(PLX_ERROR_MEMORY, "network: out of memory");
    *w = (work){.o = *o, .config = plx_model_config_default(), .optimiser = plx_optimiser_default()};
    plx_device device;
    double flops = 0;
    int status = make_network(w);
    if (!status) status = make_inputs(w);
    if (!status) status = count_flops(w, &flops);
    if (!status) status = plx_device_open(&device, NULL);
    if (!status) status = plx_tape_create(&w->tape, device, step_arena, o->train);
    if (status) {
        free_work(w);
        return status;
    }
    *out = (plx_workload){.flops = flops, .run = run, .free = free_work, .state = w};
    static const char *const names[2][2] = {{"unet-infer", "unet-train"}, {"encoder-infer", "encoder-train"}};
    snprintf(out->name, sizeof out->name, "%s batch %d, %dx%d, width %d", names[o->part][o->train], o->batch,
             o->size, o->size, o->width);
    return PLX_OK;
}
