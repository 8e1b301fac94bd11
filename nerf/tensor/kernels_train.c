/* Losses and the optimiser, one version for `ref` and `cpu`: plain loops, in parallel over fixed chunks. */
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/kernels.h"

#include <math.h>

/* The sums are fused, as they are on the card. */
static void noise_views(int N, size_t each, const plx_noising *noise, plx_rng rng, const float *views,
                        float *z, float *target, float *weight) {
    plx_rng_fill_normal(rng, z, (size_t)N * each);
    for (const plx_noising *n = noise; n < noise + N; n++)
        for (size_t i = 0; i < each; i++, views++, z++) {
            const double x = *views, eps = *z;
            *z = (float)fma(n->alpha, x, n->sigma * eps);
            *target++ = n->target == PLX_TARGET_V       ? (float)fma(n->alpha, eps, -(n->sigma * x))
                        : n->target == PLX_TARGET_NOISE ? (float)eps
                                                        : *views;
            *weight++ = n->weight;
        }
}

static void lp_fwd(size_t n, int p, const float *x, const float *y, const float *weight, double *weight_sum,
                   float *loss) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - y[i], w = weight ? weight[i] : 1;
        sum += w * (p == 2 ? d * d : fabs(d));
        weights += w;
    }
    if (weights == 0) weights = 1; /* all 0: the loss and its gradient are 0 */
    *weight_sum = weights;
    loss[0] = (float)(sum / weights);
}

/* d/dx_i = w_i sign(x_i - y_i) / sum w  (p = 1; 0 at 0),  2 w_i (x_i - y_i) / sum w  (p = 2). */
static void lp_bwd(size_t n, int p, const float *x, const float *y, const float *weight,
                   const double *weight_sum, const float *dloss, float *dx) {
    double factor = dloss[0] / *weight_sum;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - y[i], w = weight ? weight[i] : 1;
        dx[i] += (float)(factor * w * (p == 2 ? 2 * d : (d > 0) - (d < 0)));
    }
}

static void loss_sum_fwd(plx_loss_terms x, float *sum) {
    double total = 0;
    for (int k = 0; k < x.count; k++) total += (double)x.factor[k] * x.term[k][0];
    sum[0] = (float)total;
}

static void loss_sum_bwd(plx_loss_terms dx, const float *dsum) {
    for (int k = 0; k < dx.count; k++)
        if (dx.term[k]) dx.term[k][0] += dx.factor[k] * dsum[0];
}

/* The squares of floats cannot overflow a double: the norm is finite exactly if every gradient is. */
static void gradient_norm(int chunks, const plx_chunk *chunk, const float *grad, double *sums, double *norm) {
#pragma omp parallel for schedule(static, 1)
    for (int k = 0; k < chunks; k++) {
        plx_flush_denormals();
        const plx_chunk c = chunk[k];
        double sum = 0;
        if (c.rate != 0)
            for (size_t i = c.begin; i < c.end; i++) sum += (double)grad[i] * grad[i];
        sums[k] = sum;
    }
    double total = 0;
    for (int k = 0; k < chunks; k++) total += sums[k];
    norm[0] = sqrt(total);
    if (!isfinite(norm[0])) norm[1] = 1;
}

static void update(plx_adamw a, float grad_scale, float rate, float decay, size_t n,
                   const float *restrict grad, float *restrict m, float *restrict v, float *restrict value,
                   float *restrict ema) {
    const float keep = 1 - rate * decay;
    for (size_t i = 0; i < n; i++) {
        const float g = grad_scale * grad[i];
        m[i] = a.beta1 * m[i] + (1 - a.beta1) * g;
        v[i] = a.beta2 * v[i] + (1 - a.beta2) * g * g;
        const float step = m[i] * a.correct1 / (sqrtf(v[i]) * a.correct2 + a.epsilon);
        value[i] = keep * value[i] - rate * step;
        ema[i] += (1 - a.ema) * (value[i] - ema[i]);
    }
}

static void adamw(plx_adamw a, int chunks, const plx_chunk *chunk, const double *norm, const float *grad,
                  float *m, float *v, float *value, float *ema) {
    if (norm[1] != 0) return;
    const float grad_scale = a.clip > 0 && norm[0] > a.clip ? (float)(a.clip / norm[0]) : 1;
#pragma omp parallel for schedule(static, 1)
    for (int k = 0; k < chunks; k++) {
        plx_flush_denormals();
        const plx_chunk c = chunk[k];
        if (c.rate == 0) continue;
        update(a, grad_scale, a.rate * c.rate, c.decay, c.end - c.begin, grad + c.begin, m + c.begin,
               v + c.begin, value + c.begin, ema + c.begin);
    }
}

void plx_kernels_train(plx_kernels *table) {
#define PLX_KERNEL_FILL(name, arguments) table->name = name;
    PLX_TRAIN_KERNEL_LIST(PLX_KERNEL_FILL)
#undef PLX_KERNEL_FILL
}
