/* Element by element, four at a time where the arrays are aligned. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_kernels.h"

enum { THREADS = 256 };

/* y[i] = f(a[i], b[i]), or y[i] += f(a[i], b[i]). */
template <bool ADD, class F>
static __global__ __launch_bounds__(THREADS) void map(size_t n, bool fours, F f, const float *a,
                                                      const float *b, float *y) {
    const size_t i = 4 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (fours && i + 4 <= n) {
        const float4 u = *(const float4 *)(a + i), v = *(const float4 *)(b + i);
        float4 w = make_float4(f(u.x, v.x), f(u.y, v.y), f(u.z, v.z), f(u.w, v.w));
        if (ADD) w = plx_add(*(const float4 *)(y + i), w);
        *(float4 *)(y + i) = w;
    } else
        for (size_t k = i; k < n && k < i + 4; k++) y[k] = (ADD ? y[k] : 0) + f(a[k], b[k]);
}

#define MAP(add, F, f, n, a, b, y)                                                                           \
    if (n)                                                                                                   \
    PLX_LAUNCH((map<add, F>), plx_cuda_blocks(n, 4 * THREADS), THREADS, 0, n, plx_cuda_fours(0, a, b, y), f, \
               a, b, y)

struct silu {
    __device__ float operator()(float x, float) const {
        return x * plx_sigmoid(x);
    }
};

struct silu_slope {
    __device__ float operator()(float x, float dy) const {
        const float s = plx_sigmoid(x);
        return dy * s * (1 + x * (1 - s));
    }
};

struct sigmoid {
    __device__ float operator()(float x, float) const {
        return plx_sigmoid(x);
    }
};

struct sigmoid_slope {
    __device__ float operator()(float y, float dy) const {
        return dy * y * (1 - y);
    }
};

struct scaled {
    float factor;
    __device__ float operator()(float x, float) const {
        return factor * x;
    }
};

void plx_cuda_silu_fwd(size_t n, const float *x, float *y) {
    MAP(false, silu, silu(), n, x, x, y);
}

void plx_cuda_silu_bwd(size_t n, const float *x, const float *dy, float *dx) {
    MAP(true, silu_slope, silu_slope(), n, x, dy, dx);
}

void plx_cuda_sigmoid_fwd(size_t n, const float *x, float *y) {
    MAP(false, sigmoid, sigmoid(), n, x, x, y);
}

void plx_cuda_sigmoid_bwd(size_t n, const float *y, const float *dy, float *dx) {
    MAP(true, sigmoid_slope, sigmoid_slope(), n, y, dy, dx);
}

void plx_cuda_axpy(size_t n, float a, const float *x, float *y) {
    MAP(true, scaled, scaled{a}, n, x, x, y);
}
