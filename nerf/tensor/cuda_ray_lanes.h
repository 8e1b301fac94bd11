/* PLX_CUDA_LANES threads a ray, which take as many neighbouring samples at a time and share their sums by shuffles. Blocks are
 * whole warps. */
#ifndef PLX_CUDA_RAY_LANES_H
#define PLX_CUDA_RAY_LANES_H

#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_launch.h"

enum { PLX_CUDA_LANES = 8 };
static constexpr unsigned plx_cuda_all_lanes = 0xffffffff;

/* A thread's ray; beyond the last one a ray without samples. */
struct plx_cuda_ray {
    int r, begin, end, lane;
    bool there;
};

static __device__ __forceinline__ plx_cuda_ray plx_cuda_ray_of(int R, const int *start) {
    const int thread = (int)(blockIdx.x * blockDim.x + threadIdx.x), r = thread / PLX_CUDA_LANES;
    plx_cuda_ray a = {r, 0, 0, thread % PLX_CUDA_LANES, r < R};
    if (a.there) a.begin = start[r], a.end = start[r + 1];
    return a;
}

/* How often samples are taken: as often as the longest ray of the warp needs, for shuffles take all of it. */
static __device__ __forceinline__ int plx_cuda_rounds(const plx_cuda_ray &a) {
    int rounds = (a.end - a.begin + PLX_CUDA_LANES - 1) / PLX_CUDA_LANES;
    for (int k = PLX_CUDA_LANES; k < 32; k *= 2)
        rounds = max(rounds, __shfl_xor_sync(plx_cuda_all_lanes, rounds, k));
    return rounds;
}

/* x of a group's lanes up to this one */
template <int LANES, typename T> static __device__ __forceinline__ T plx_cuda_scan(T x, int lane) {
#pragma unroll
    for (int k = 1; k < LANES; k *= 2) {
        const T before = __shfl_up_sync(plx_cuda_all_lanes, x, (unsigned)k, LANES);
        if (lane >= k) x += before;
    }
    return x;
}

/* The same of the ray's lanes */
static __device__ __forceinline__ double plx_cuda_ray_scan(double x, int lane) {
    return plx_cuda_scan<PLX_CUDA_LANES>(x, lane);
}

/* Of what the scan gave: that before this lane, and that of all. */
static __device__ __forceinline__ double plx_cuda_ray_before(double scan, int lane) {
    const double before = __shfl_up_sync(plx_cuda_all_lanes, scan, 1, PLX_CUDA_LANES);
    return lane ? before : 0;
}
static __device__ __forceinline__ double plx_cuda_ray_last(double scan) {
    return __shfl_sync(plx_cuda_all_lanes, scan, PLX_CUDA_LANES - 1, PLX_CUDA_LANES);
}

/* x of all the ray's lanes, in each of them */
static __device__ __forceinline__ double plx_cuda_ray_sum(double x) {
#pragma unroll
    for (int k = 1; k < PLX_CUDA_LANES; k *= 2) x += __shfl_xor_sync(plx_cuda_all_lanes, x, k);
    return x;
}

static inline unsigned plx_cuda_ray_blocks(int R, int threads) {
    return plx_cuda_blocks((size_t)R, (size_t)(threads / PLX_CUDA_LANES));
}

#endif
