/* What a step asks of its rays, renders as conditions, and views with noise: kernels_rays.c, and of kernels_train.c the noise, on
 * the card. */
#include "nerf/core/philox.h"
#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_launch.h"

enum { THREADS = 256, LOSS_THREADS = 512 };

static __device__ __forceinline__ size_t thread_number() {
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* ---- a step on targets ---------------------------------------------------------------------------------------------------- */

/* -> a ray's part of the loss; its row of dout is written. */
static __device__ __forceinline__ double loss_of(const plx_ray_target &target, int R, float opacity_weight,
                                                 const float *composite, float *d) {
    const double known = target.opacity >= 0 ? opacity_weight : 0, missing = composite[3] - target.opacity,
                 factor = 2 * (double)target.weight / R;
    double error[3], squares = 0, colours = 0;
    for (int c = 0; c < 3; c++) {
        error[c] = (double)composite[c] + 1 - composite[3] - target.colour[c];
        squares += error[c] * error[c];
        colours += error[c];
    }
    if (d) {
        for (int c = 0; c < 3; c++) d[c] = (float)(factor * error[c]);
        d[3] = (float)(factor * (known * missing - colours));
        d[4] = 0;
    }
    return target.weight * (squares + known * missing * missing);
}

/* One block: thread k sums rays k, k + LOSS_THREADS, .., and pairs of sums are added. */
static __global__ void __launch_bounds__(LOSS_THREADS)
    loss_of_rays(int R, const plx_ray_target *targets, float opacity_weight, const float *out, float *dout,
                 double *loss) {
    PLX_SHARED(double, sums, [LOSS_THREADS]);
    const int thread = (int)threadIdx.x;
    double sum = 0;
    for (int r = thread; r < R; r += LOSS_THREADS)
        sum += loss_of(targets[r], R, opacity_weight, out + 5 * (size_t)r,
                       dout ? dout + 5 * (size_t)r : nullptr);
    sums[thread] = sum;
    __syncthreads();
    for (int half = LOSS_THREADS / 2; half > 0; half /= 2) {
        if (thread < half) sums[thread] += sums[thread + half];
        __syncthreads();
    }
    if (thread == 0) *loss = sums[0] / R;
}

extern "C" void plx_cuda_ray_loss(int R, const plx_ray_target *targets, float opacity_weight,
                                  const float *out, float *dout, double *loss) {
    PLX_LAUNCH(loss_of_rays, 1, LOSS_THREADS, 0, R, targets, opacity_weight, out, dout, loss);
}

static __global__ void __launch_bounds__(THREADS)
    variation_of_plane(int H, int W, int stride, int C, float scale, const float *plane, float *dplane) {
    const size_t number = thread_number();
    if (number >= (size_t)(H * W) * (size_t)C) return;
    const int texel = (int)(number / (size_t)C), i = texel / W, j = texel % W;
    const size_t at = (size_t)texel * (size_t)stride + number % (size_t)C, row = (size_t)W * (size_t)stride;
    const float x = plane[at];
    float sum = 0;
    if (i > 0) sum += x - plane[at - row];
    if (i + 1 < H) sum += x - plane[at + row];
    if (j > 0) sum += x - plane[at - (size_t)stride];
    if (j + 1 < W) sum += x - plane[at + (size_t)stride];
    dplane[at] += scale * sum;
}

extern "C" void plx_cuda_plane_variation(int H, int W, int stride, int C, float scale, const float *x,
                                         float *dx) {
    const size_t count = (size_t)(H * W) * (size_t)C;
    if (count)
        PLX_LAUNCH(variation_of_plane, plx_cuda_blocks(count, THREADS), THREADS, 0, H, W, stride, C, scale, x,
                   dx);
}

static __global__ void __launch_bounds__(THREADS) cleared(size_t M, int C, int begin, int count, float *x) {
    const size_t number = thread_number();
    if (number < M * (size_t)count)
        x[number / (size_t)count * (size_t)C + (size_t)begin + number % (size_t)count] = 0;
}

extern "C" void plx_cuda_clear_channels(size_t M, int C, int begin, int end, float *x) {
    if (M && end > begin)
        PLX_LAUNCH(cleared, plx_cuda_blocks(M * (size_t)(end - begin), THREADS), THREADS, 0, M, C, begin,
                   end - begin, x);
}

/* ---- renders as conditions ------------------------------------------------------------------------------------------------ */

static __global__ void __launch_bounds__(THREADS) faint(int R, float least, const float *rough, float *out) {
    const size_t r = thread_number();
    if (r >= (size_t)R || rough[5 * r + 3] > least) return;
    for (int c = 0; c < 5; c++) out[5 * r + (size_t)c] = 0;
}

extern "C" void plx_cuda_drop_faint(int R, float least, const float *rough, float *out) {
    if (R) PLX_LAUNCH(faint, plx_cuda_blocks((size_t)R, THREADS), THREADS, 0, R, least, rough, out);
}

static __global__ void __launch_bounds__(THREADS) channels(size_t M, const float *composite, float *rgba) {
    const size_t p = thread_number();
    if (p >= M) return;
    const float opacity = composite[5 * p + 3];
    for (size_t c = 0; c < 3; c++) rgba[4 * p + c] = 2 * (composite[5 * p + c] + 1 - opacity) - 1;
    rgba[4 * p + 3] = 2 * opacity - 1;
}

extern "C" void plx_cuda_condition_channels(size_t M, const float *composite, float *rgba) {
    if (M) PLX_LAUNCH(channels, plx_cuda_blocks(M, THREADS), THREADS, 0, M, composite, rgba);
}

/* A Gaussian's weights, of which the sum is 1. */
struct blur_weights {
    int reach;
    float weight[2 * PLX_BLUR_REACH + 1];
};

static blur_weights blur_of(float sigma) {
    blur_weights b;
    float sum = 0;
    b.reach = (int)ceilf(3 * sigma);
    if (b.reach > PLX_BLUR_REACH) b.reach = PLX_BLUR_REACH;
    for (int k = -b.reach; k <= b.reach; k++)
        sum += b.weight[k + b.reach] = expf(-0.5f * (float)(k * k) / (sigma * sigma));
    for (int k = 0; k <= 2 * b.reach; k++) b.weight[k] /= sum;
    return b;
}

/* (H,W,4) along rows, or columns; edges repeated. */
static __global__ void __launch_bounds__(THREADS)
    blurred(blur_weights b, int H, int W, bool rows, const float *from, float *to) {
    const size_t number = thread_number();
    if (number >= 4 * (size_t)(H * W)) return;
    const int pixel = (int)(number / 4), y = pixel / W, x = pixel % W, length = rows ? W : H,
              i = rows ? x : y;
    const size_t step = rows ? 4 : 4 * (size_t)W, first = number - (size_t)i * step;
    float value = 0;
    for (int k = -b.reach; k <= b.reach; k++) {
        const int at = i + k < 0 ? 0 : i + k >= length ? length - 1 : i + k;
        value += b.weight[k + b.reach] * from[first + (size_t)at * step];
    }
    to[number] = value;
}

static __global__ void __launch_bounds__(THREADS) shifted(plx_disturbance d, int pixels, float *rgba) {
    const size_t p = thread_number();
    if (p >= (size_t)pixels) return;
    for (int c = 0; c < 3; c++) rgba[4 * p + (size_t)c] += d.shift[c] * 0.5f * (rgba[4 * p + 3] + 1);
}

/* Thread b has the block b of four normal numbers, of which number 3 is the first. */
static __global__ void __launch_bounds__(THREADS) noised(plx_disturbance d, int count, float *rgba) {
    const long block = (long)thread_number();
    if (4 * block - 3 >= count) return;
    float normal[4];
    plx_philox_normals(d.rng, (uint64_t)block, normal);
    for (int k = 0; k < 4; k++) {
        const long i = 4 * block - 3 + k;
        if (i >= 0 && i < count) rgba[i] += d.noise * normal[k];
    }
}

extern "C" void plx_cuda_disturb(plx_disturbance d, int H, int W, float *scratch, float *rgba) {
    const int pixels = H * W;
    if (pixels == 0) return;
    if (d.sigma > 0) {
        const blur_weights b = blur_of(d.sigma);
        const unsigned blocks = plx_cuda_blocks(4 * (size_t)pixels, THREADS);
        PLX_LAUNCH(blurred, blocks, THREADS, 0, b, H, W, true, rgba, scratch);
        PLX_LAUNCH(blurred, blocks, THREADS, 0, b, H, W, false, scratch, rgba);
    }
    if (d.shifted) PLX_LAUNCH(shifted, plx_cuda_blocks((size_t)pixels, THREADS), THREADS, 0, d, pixels, rgba);
    PLX_LAUNCH(noised, plx_cuda_blocks((size_t)pixels + 1, THREADS), THREADS, 0, d, 4 * pixels, rgba);
}

/* ---- views with noise ----------------------------------------------------------------------------------------------------- */

/* Thread b has the block b of four normal numbers. */
static __global__ void __launch_bounds__(THREADS)
    noised_views(size_t count, size_t each, const plx_noising *noise, plx_rng rng, const float *views,
                 float *z, float *target, float *weight) {
    const size_t block = thread_number();
    if (4 * block >= count) return;
    float normal[4];
    plx_philox_normals(rng, block, normal);
    for (size_t k = 0; k < 4 && 4 * block + k < count; k++) {
        const size_t i = 4 * block + k;
        const plx_noising n = noise[i / each];
        const double x = views[i], eps = normal[k];
        z[i] = (float)fma(n.alpha, x, n.sigma * eps);
        target[i] = n.target == PLX_TARGET_V       ? (float)fma(n.alpha, eps, -(n.sigma * x))
                    : n.target == PLX_TARGET_NOISE ? normal[k]
                                                   : views[i];
        weight[i] = n.weight;
    }
}

extern "C" void plx_cuda_noise_views(int N, size_t each, const plx_noising *noise, plx_rng rng,
                                     const float *views, float *z, float *target, float *weight) {
    const size_t count = (size_t)N * each;
    if (count)
        PLX_LAUNCH(noised_views, plx_cuda_blocks(plx_cuda_blocks(count, 4), THREADS), THREADS, 0, count, each,
                   noise, rng, views, z, target, weight);
}
