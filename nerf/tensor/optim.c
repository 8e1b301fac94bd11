/* AdamW with clipping by the global norm and an exponential moving average of the values. */
#include "nerf/tensor/blocks.h"
#include "nerf/tensor/denormals.h"

#include <math.h>

plx_optimiser plx_optimiser_default(void) {
    return (plx_optimiser){.rate = 4e-4f,
                           .beta1 = .9f,
                           .beta2 = .99f,
                           .epsilon = 1e-8f,
                           .weight_decay = .01f,
                           .clip = 1,
                           .ema = .999f};
}

/* Of all gradients but the frozen parameters'; chunk sums are added in their fixed order. The squares of
 * floats cannot overflow a double: the norm is finite exactly if every gradient is. */
static double gradient_norm(const plx_params *params) {
#pragma omp parallel for schedule(static, 1)
    for (int k = 0; k < params->chunk_count; k++) {
        plx_flush_denormals();
        const plx_param_chunk c = params->chunk[k];
        double sum = 0;
        if (params->param[c.param].rate != 0)
            for (size_t i = c.begin; i < c.end; i++) sum += (double)params->grad[i] * params->grad[i];
        params->chunk_sum[k] = sum;
    }
    double total = 0;
    for (int k = 0; k < params->chunk_count; k++) total += params->chunk_sum[k];
    return sqrt(total);
}

static int fail_not_finite(const plx_params *params) {
    for (int k = 0; k < params->chunk_count; k++)
        if (!isfinite(params->chunk_sum[k]))
            return plx_fail(PLX_ERROR_NUMERIC, "the gradient of %s holds NaN or Inf",
                            params->param[params->chunk[k].param].name);
    return plx_fail(PLX_ERROR_NUMERIC, "the gradient's norm is NaN or Inf");
}

typedef struct adam {
    float grad_scale, beta1, beta2, epsilon, ema;
    float correct1, correct2; /* 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
} adam;

/* m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w = (1 - rate decay) w - rate mhat / (sqrt(vhat) + eps). */
static void update(adam a, float rate, float decay, size_t n, const float *restrict grad, float *restrict m,
                   float *restrict v, float *restrict value, float *restrict ema) {
    const float keep = 1 - rate * decay;
    for (size_t i = 0; i < n; i++) {
        const float g = a.grad_scale * grad[i];
        m[i] = a.beta1 * m[i] + (1 - a.beta1) * g;
        v[i] = a.beta2 * v[i] + (1 - a.beta2) * g * g;
        const float step = m[i] * a.correct1 / (sqrtf(v[i]) * a.correct2 + a.epsilon);
        value[i] = keep * value[i] - rate * step;
        ema[i] += (1 - a.ema) * (value[i] - ema[i]);
    }
}

int plx_optimiser_step(plx_optimiser *o, plx_params *params, float rate, double *norm) {
    PLX_CHECK(params->grad && !params->ema_in_use, "an optimiser's step %s",
              params->grad ? "while the EMA is in use" : "on parameters that are not for training");
    const double seen = gradient_norm(params);
    if (norm) *norm = seen;
    if (!isfinite(seen)) return fail_not_finite(params);
    const double t = (double)++o->step;
    const adam a = {
        .grad_scale = o->clip > 0 && seen > o->clip ? (float)(o->clip / seen) : 1,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .epsilon = o->epsilon,
        .ema = (float)fmin(o->ema, (1 + t) / (10 + t)),
        .correct1 = (float)(1 / (1 - pow(o->beta1, t))),
        .correct2 = (float)(1 / sqrt(1 - pow(o->beta2, t))),
    };
#pragma omp parallel for schedule(static, 1)
    for (int k = 0; k < params->chunk_count; k++) {
        plx_flush_denormals();
        const plx_param_chunk c = params->chunk[k];
        const plx_param *p = &params->param[c.param];
        if (p->rate == 0) continue;
        update(a, rate * p->rate, p->decay ? o->weight_decay : 0, c.end - c.begin, params->grad + c.begin,
               params->m + c.begin, params->v + c.begin, params->value + c.begin, params->ema + c.begin);
    }
    return PLX_OK;
}

double plx_rate_schedule(int64_t step, int64_t warmup, int64_t total, double final) {
    if (step < warmup) return (double)(step + 1) / (double)warmup;
    if (step >= total) return final;
    const double u = (double)(step - warmup) / (double)(total - warmup);
    return final + (1 - final) * 0.5 * (1 + cos(3.14159265358979323846 * u));
}
