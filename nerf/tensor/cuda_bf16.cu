/* float32 to bfloat16 and back, around cuDNN's convolutions. */
#include "nerf/tensor/cuda_bf16.h"
#include "nerf/tensor/cuda_device.h"

static __device__ __forceinline__ uint16_t to_bf16(float x) {
    const unsigned u = __float_as_uint(x);
    return x != x ? 0x7fff : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static __global__ void narrow(size_t A, const float *a, uint16_t *to_a, size_t B, const float *b,
                              uint16_t *to_b) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < A)
        to_a[i] = to_bf16(a[i]);
    else if (i - A < B)
        to_b[i - A] = to_bf16(b[i - A]);
}

static __global__ void widen(size_t n, int C, const uint16_t *x, const float *bias, bool add, float *y) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x, at = i;
    if (i >= n) return;
    const float before = bias ? bias[plx_take(&at, (unsigned)C)] : add ? y[i] : 0;
    y[i] = before + __uint_as_float((unsigned)x[i] << 16);
}

void plx_cuda_to_bf16(size_t A, const float *a, uint16_t *to_a, size_t B, const float *b, uint16_t *to_b) {
    PLX_LAUNCH(narrow, plx_cuda_blocks(A + B, 256), 256, 0, A, a, to_a, B, b, to_b);
}

void plx_cuda_from_bf16(size_t n, int C, const uint16_t *x, const float *bias, bool add, float *y) {
    PLX_LAUNCH(widen, plx_cuda_blocks(n, 256), 256, 0, n, C, x, bias, add, y);
}
