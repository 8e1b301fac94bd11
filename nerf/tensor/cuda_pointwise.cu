/* Element by element. */
#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_launch.h"

enum { THREADS = 256 };

static __device__ __forceinline__ float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

static __global__ void silu_forward(size_t n, const float *x, float *y) {
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n) y[i] = x[i] * sigmoid(x[i]);
}

extern "C" void plx_cuda_silu_fwd(size_t n, const float *x, float *y) {
    if (n) PLX_LAUNCH(silu_forward, plx_cuda_blocks(n, THREADS), THREADS, 0, n, x, y);
}
