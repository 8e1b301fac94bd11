/* What the kernels in cuda_*.cu share on the device. */
#ifndef PLX_CUDA_DEVICE_H
#define PLX_CUDA_DEVICE_H

#include "nerf/tensor/cuda_launch.h"

static __device__ __forceinline__ float plx_sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

/* The sum over a warp's lanes, in all of them; the same tree always. */
template <class T> static __device__ __forceinline__ T plx_warp_sum(T x) {
    for (int by = 16; by > 0; by /= 2) x += __shfl_xor_sync(0xffffffffu, x, by);
    return x;
}

/* i % d, and i becomes i / d. 64-bit division is slow, and few arrays are so large. */
static __device__ __forceinline__ unsigned plx_take(size_t *i, unsigned d) {
    if (*i >> 32) {
        const unsigned rest = (unsigned)(*i % d);
        *i /= d;
        return rest;
    }
    const unsigned q = (unsigned)*i / d, rest = (unsigned)*i - q * d;
    *i = q;
    return rest;
}

static __device__ __forceinline__ float4 plx_add(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
static __device__ __forceinline__ float plx_add(float a, float b) {
    return a + b;
}
static __device__ __forceinline__ float4 plx_scale(float s, float4 a) {
    return make_float4(s * a.x, s * a.y, s * a.z, s * a.w);
}
static __device__ __forceinline__ float plx_scale(float s, float a) {
    return s * a;
}

#endif
