/* What parallax bench holds kernels against: float32 multiply-adds in registers, and a = b + c / 2 over memory. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_probe.h"

enum {
    CHAINS = 8,
    STEPS = 128,
    BLOCK = 256,
    BLOCKS = 8
}; /* a multiprocessor: 2048 threads, all that it holds */

/* Independent chains that tend to 1; 4 cycles of latency at 4 warps a scheduler are hidden many times over. */
static __global__ void __launch_bounds__(BLOCK)
    probe_multiply_add(int times, float factor, float term, float *sink) {
    float x[CHAINS];
    for (int c = 0; c < CHAINS; c++) x[c] = threadIdx.x * factor + c;
    for (int t = 0; t < times; t++)
#pragma unroll 16
        for (int i = 0; i < STEPS; i++)
#pragma unroll
            for (int c = 0; c < CHAINS; c++) x[c] = fmaf(x[c], factor, term);
    float sum = 0;
    for (int c = 0; c < CHAINS; c++) sum += x[c];
    if (sum == 12345) *sink = sum; /* never: but the compiler does not know */
}

double plx_cuda_probe_multiply_add(int multiprocessors, int times, float *sink) {
    const int blocks = BLOCKS * multiprocessors;
    PLX_LAUNCH(probe_multiply_add, blocks, BLOCK, 0, times, 0.999f, 0.001f, sink);
    return 2.0 * CHAINS * STEPS * BLOCK * blocks * times;
}

/* Each thread goes over its own quads, so that no pass waits for another. */
static __global__ void __launch_bounds__(BLOCK)
    probe_triad(int times, size_t quads, const float4 *b, const float4 *c, float4 *a) {
    const size_t first = (size_t)blockIdx.x * blockDim.x + threadIdx.x, step = (size_t)gridDim.x * blockDim.x;
    for (int t = 0; t < times; t++)
        for (size_t i = first; i < quads; i += step) a[i] = plx_add(b[i], plx_scale(0.5f, c[i]));
}

void plx_cuda_probe_triad(int times, size_t n, const float *b, const float *c, float *a) {
    const unsigned blocks = plx_cuda_blocks(n / 4, BLOCK);
    PLX_LAUNCH(probe_triad, blocks < 4096 ? blocks : 4096, BLOCK, 0, times, n / 4, (const float4 *)b,
               (const float4 *)c, (float4 *)a);
}
