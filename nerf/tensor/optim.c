/* AdamW with clipping by the global norm and an exponential moving average of the values. */
#include "nerf/tensor/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

plx_optimiser plx_optimiser_default(void) {
    return (plx_optimiser){.rate = 4e-4f,
                           .beta1 = .9f,
                           .beta2 = .99f,
                           .epsilon = 1e-8f,
                           .weight_decay = .01f,
                           .clip = 1,
                           .ema = .999f};
}

/* The chunks with their rates, on the device; they are sent again only when a rate has changed. */
static void set_rates(const plx_optimiser *o, plx_params *params) {
    bool changed = false;
    for (int k = 0; k < params->chunk_count; k++) {
        const plx_param_chunk c = params->chunk[k];
        const plx_param *p = &params->param[c.param];
        const plx_chunk now = {c.begin, c.end, p->rate, p->decay ? o->weight_decay : 0};
        changed = changed || memcmp(&now, &params->work[k], sizeof now) != 0;
        params->work[k] = now;
    }
    if (changed && params->device.memory)
        params->device.memory->write(params->device_work, params->work,
                                     (size_t)params->chunk_count * sizeof *params->work);
}

static int fail_not_finite(plx_params *params) {
    const int chunks = params->chunk_count;
    double *sums = malloc(sizeof *sums * (size_t)chunks);
    if (!sums) return plx_fail(PLX_ERROR_MEMORY, "no memory for the optimiser");
    plx_memory_read(params->device.memory, sums, params->sums + 2, sizeof *sums * (size_t)chunks);
    const char *name = NULL;
    for (int k = 0; k < chunks && !name; k++)
        if (!isfinite(sums[k])) name = params->param[params->chunk[k].param].name;
    free(sums);
    const double none[2] = {0, 0}; /* the next step is a new one */
    plx_memory_write(params->device.memory, params->sums, none, sizeof none);
    return name ? plx_fail(PLX_ERROR_NUMERIC, "the gradient of %s holds NaN or Inf", name)
                : plx_fail(PLX_ERROR_NUMERIC, "the gradient's norm is NaN or Inf");
}

int plx_optimiser_check(plx_params *params, double *norm) {
    double seen[2];
    int status = plx_memory_finish(params->device.memory);
    if (status) return status;
    plx_memory_read(params->device.memory, seen, params->sums, sizeof seen);
    if (norm) *norm = seen[0];
    return seen[1] != 0 ? fail_not_finite(params) : PLX_OK;
}

const double *plx_optimiser_norm(const plx_params *params) {
    return params->sums;
}

int plx_optimiser_step(plx_optimiser *o, plx_params *params, float rate, double *norm) {
    PLX_CHECK(params->grad && !params->ema_in_use, "an optimiser's step %s",
              params->grad ? "while the EMA is in use" : "on parameters that are not for training");
    const plx_kernels *kernels = params->device.kernels;
    const int chunks = params->chunk_count;
    set_rates(o, params);
    kernels->gradient_norm(chunks, params->device_work, params->grad, params->sums + 2, params->sums);
    if (norm || !params->device.memory) {
        int status = plx_optimiser_check(params, norm);
        if (status) return status;
    }
    int status = plx_memory_check(params->device.memory);
    if (status) return status;
    const double t = (double)++o->step;
    const plx_adamw a = {
        .rate = rate,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .epsilon = o->epsilon,
        .clip = o->clip,
        .ema = (float)fmin(o->ema, (1 + t) / (10 + t)),
        .correct1 = (float)(1 / (1 - pow(o->beta1, t))),
        .correct2 = (float)(1 / sqrt(1 - pow(o->beta2, t))),
    };
    kernels->adamw(a, chunks, params->device_work, params->sums, params->grad, params->m, params->v,
                   params->value, params->ema);
    return PLX_OK;
}

double plx_rate_schedule(int64_t step, int64_t warmup, int64_t total, double final) {
    if (step < warmup) return (double)(step + 1) / (double)warmup;
    if (step >= total) return final;
    const double u = (double)(step - warmup) / (double)(total - warmup);
    return final + (1 - final) * 0.5 * (1 + cos(3.14159265358979323846 * u));
}
