/* Losses and the optimiser; the formulas stand in kernels_train.h. Sums are taken in double: a thread's own, then a tree over the
 * block, then the blocks' by one block, all in a fixed order. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_kernels.h"

enum { THREADS = 256, PER_BLOCK = 4096 };

/* The sum over a block, in thread 0. */
static __device__ __forceinline__ double block_sum(double x) {
    PLX_SHARED(double, sums, [THREADS / 32]);
    x = plx_warp_sum(x);
    __syncthreads(); /* an earlier sum has been read */
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
    __syncthreads();
    double total = 0;
    for (int k = 0; threadIdx.x == 0 && k < THREADS / 32; k++) total += sums[k];
    return total;
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

/* partial (blocks,2): sums of w |x - y|^p and of w. */
static __global__ __launch_bounds__(THREADS) void lp_partial(size_t n, int p, const float *x, const float *y,
                                                             const float *weight, double *partial) {
    const size_t begin = (size_t)blockIdx.x * PER_BLOCK, end = min(n, begin + PER_BLOCK);
    double sum = 0, weights = 0;
    for (size_t i = begin + threadIdx.x; i < end; i += THREADS) {
        const double d = (double)x[i] - y[i], w = weight ? weight[i] : 1;
        sum += w * (p == 2 ? d * d : fabs(d));
        weights += w;
    }
    sum = block_sum(sum);
    weights = block_sum(weights);
    if (threadIdx.x) return;
    partial[2 * blockIdx.x] = sum;
    partial[2 * blockIdx.x + 1] = weights;
}

static __global__ __launch_bounds__(THREADS) void lp_total(int blocks, const double *partial,
                                                           double *weight_sum, float *loss) {
    double sum = 0, weights = 0;
    for (int k = (int)threadIdx.x; k < blocks; k += THREADS) {
        sum += partial[2 * k];
        weights += partial[2 * k + 1];
    }
    sum = block_sum(sum);
    weights = block_sum(weights);
    if (threadIdx.x) return;
    if (weights == 0) weights = 1;
    *weight_sum = weights;
    *loss = (float)(sum / weights);
}

static __global__ __launch_bounds__(THREADS) void lp_gradient(size_t n, int p, const float *x, const float *y,
                                                              const float *weight, const double *weight_sum,
                                                              const float *dloss, float *dx) {
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= n) return;
    const double factor = *dloss / *weight_sum, d = (double)x[i] - y[i], w = weight ? weight[i] : 1;
    dx[i] += (float)(factor * w * (p == 2 ? 2 * d : (d > 0) - (d < 0)));
}

void plx_cuda_lp_fwd(size_t n, int p, const float *x, const float *y, const float *weight, double *weight_sum,
                     float *loss) {
    const unsigned blocks = n ? plx_cuda_blocks(n, PER_BLOCK) : 1;
    double *const partial = (double *)plx_cuda_scratch(PLX_CUDA_REDUCTION, 4 * (size_t)blocks);
    PLX_LAUNCH(lp_partial, blocks, THREADS, 0, n, p, x, y, weight, partial);
    PLX_LAUNCH(lp_total, 1, THREADS, 0, (int)blocks, partial, weight_sum, loss);
}

void plx_cuda_lp_bwd(size_t n, int p, const float *x, const float *y, const float *weight,
                     const double *weight_sum, const float *dloss, float *dx) {
    if (n)
        PLX_LAUNCH(lp_gradient, plx_cuda_blocks(n, THREADS), THREADS, 0, n, p, x, y, weight, weight_sum,
                   dloss, dx);
}

static __global__ void loss_sum(plx_loss_terms x, float *sum) {
    double total = 0;
    for (int k = 0; k < x.count; k++) total += (double)x.factor[k] * *x.term[k];
    *sum = (float)total;
}

static __global__ void loss_sum_gradients(plx_loss_terms dx, const float *dsum) {
    for (int k = 0; k < dx.count; k++)
        if (dx.term[k]) *dx.term[k] += dx.factor[k] * *dsum;
}

void plx_cuda_loss_sum_fwd(plx_loss_terms terms, float *sum) {
    PLX_LAUNCH(loss_sum, 1, 1, 0, terms, sum);
}

void plx_cuda_loss_sum_bwd(plx_loss_terms dterms, const float *dsum) {
    PLX_LAUNCH(loss_sum_gradients, 1, 1, 0, dterms, dsum);
}

/* ---- the optimiser: a block a chunk -------------------------------------------------------------------------- */

static __global__ __launch_bounds__(THREADS) void gradient_squares(const plx_chunk *chunk, const float *grad,
                                                                   double *sums) {
    const plx_chunk c = chunk[blockIdx.x];
    double sum = 0;
    if (c.rate != 0)
        for (size_t i = c.begin + threadIdx.x; i < c.end; i += THREADS) sum += (double)grad[i] * grad[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

static __global__ __launch_bounds__(THREADS) void gradient_total(int chunks, const double *sums,
                                                                 double *norm) {
    double total = 0;
    for (int k = (int)threadIdx.x; k < chunks; k += THREADS) total += sums[k];
    total = sqrt(block_sum(total));
    if (threadIdx.x) return;
    norm[0] = total;
    if (!isfinite(total)) norm[1] = 1;
}

void plx_cuda_gradient_norm(int chunks, const plx_chunk *chunk, const float *grad, double *sums,
                            double *norm) {
    if (chunks) PLX_LAUNCH(gradient_squares, (unsigned)chunks, THREADS, 0, chunk, grad, sums);
    PLX_LAUNCH(gradient_total, 1, THREADS, 0, chunks, sums, norm);
}

static __global__ __launch_bounds__(THREADS) void adamw_step(plx_adamw a, const plx_chunk *chunk,
                                                             const double *norm, const float *grad, float *m,
                                                             float *v, float *value, float *ema) {
    const plx_chunk c = chunk[blockIdx.x];
    if (norm[1] != 0 || c.rate == 0) return;
    const float scale = a.clip > 0 && norm[0] > a.clip ? (float)(a.clip / norm[0]) : 1;
    const float rate = a.rate * c.rate, keep = 1 - rate * c.decay;
    for (size_t i = c.begin + threadIdx.x; i < c.end; i += THREADS) {
        const float g = scale * grad[i];
        const float first = a.beta1 * m[i] + (1 - a.beta1) * g;
        const float second = a.beta2 * v[i] + (1 - a.beta2) * g * g;
        const float moved =
            keep * value[i] - rate * (first * a.correct1 / (sqrtf(second) * a.correct2 + a.epsilon));
        m[i] = first;
        v[i] = second;
        value[i] = moved;
        ema[i] += (1 - a.ema) * (moved - ema[i]);
    }
}

void plx_cuda_adamw(plx_adamw a, int chunks, const plx_chunk *chunk, const double *norm, const float *grad,
                    float *m, float *v, float *value, float *ema) {
    if (chunks) PLX_LAUNCH(adamw_step, (unsigned)chunks, THREADS, 0, a, chunk, norm, grad, m, v, value, ema);
}
