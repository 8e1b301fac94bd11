/* Samples in occupied cells, and a picture's rounds: the numbers of kernels_rays.c on the card, where they are counted too. */
#include "nerf/core/philox.h"
#include "nerf/tensor/cuda_ray_lanes.h"
#include "nerf/tensor/march.h"

enum { LANES = PLX_CUDA_LANES, THREADS = 128, SUM_THREADS = 1024 };

/* ---- starts of counts ----------------------------------------------------------------------------------------------------- */

/* start[0] = 0, start[r + 1] becomes the sum of those up to it: one block, SUM_THREADS of them at a time. */
static __global__ void __launch_bounds__(SUM_THREADS) sum_counts(int R, int *start) {
    PLX_SHARED(int, warps, [32]);
    const int thread = (int)threadIdx.x, lane = thread % 32, warp = thread / 32;
    int before = 0;
    if (thread == 0) start[0] = 0;
    for (int first = 0; first < R; first += SUM_THREADS) {
        const int r = first + thread, count = r < R ? start[r + 1] : 0;
        int sum = plx_cuda_scan<32>(count, lane);
        if (lane == 31) warps[warp] = sum;
        __syncthreads();
        if (warp == 0) warps[lane] = plx_cuda_scan<32>(warps[lane], lane);
        __syncthreads();
        if (warp) sum += warps[warp - 1];
        if (r < R) start[r + 1] = before + sum;
        before += warps[31];
        __syncthreads();
    }
}

/* ---- the march: lanes take neighbouring intervals ------------------------------------------------------------------------- */

static __device__ __forceinline__ plx_ray_march march_of(const plx_ray *rays, int r, const plx_march &m) {
    const float offset = m.drawn ? plx_philox_uniform(m.rng, (uint64_t)r) : 0.5f;
    return plx_march_of(&rays[r], m.step, m.grid, m.radius, offset);
}

static __device__ __forceinline__ bool is_occupied(const plx_march &m, const plx_ray_march &ray, float t) {
    return !m.occupied || m.occupied[plx_march_cell(&ray, m.grid, t)];
}

static __global__ void __launch_bounds__(THREADS)
    march_counts(int R, const plx_ray *rays, plx_march m, int *start) {
    const int number = (int)(blockIdx.x * blockDim.x + threadIdx.x), r = number / LANES,
              lane = number % LANES;
    int count = 0;
    if (r < R) {
        const plx_ray_march ray = march_of(rays, r, m);
        for (int i = lane; i < ray.count; i += LANES) count += is_occupied(m, ray, plx_march_place(&ray, i));
    }
#pragma unroll
    for (int k = 1; k < LANES; k *= 2) count += __shfl_xor_sync(plx_cuda_all_lanes, count, k);
    if (r < R && lane == 0) start[r + 1] = count;
}

extern "C" void plx_cuda_march_starts(int R, const plx_ray *rays, plx_march m, int *start) {
    if (R) PLX_LAUNCH(march_counts, plx_cuda_ray_blocks(R, THREADS), THREADS, 0, R, rays, m, start);
    PLX_LAUNCH(sum_counts, 1, SUM_THREADS, 0, R, start);
}

static __global__ void __launch_bounds__(THREADS)
    march_places(int R, const plx_ray *rays, plx_march m, const int *start, float *t, float *length) {
    const plx_cuda_ray a = plx_cuda_ray_of(R, start);
    const unsigned lanes = (1u << LANES) - 1, before = (1u << a.lane) - 1;
    const int group = (int)(threadIdx.x % 32) / LANES * LANES; /* the ray's first lane of the warp */
    plx_ray_march ray = {};
    if (a.begin < a.end) ray = march_of(rays, a.r, m);
    int rounds = (ray.count + LANES - 1) / LANES, at = a.begin;
#pragma unroll
    for (int k = LANES; k < 32; k *= 2) rounds = max(rounds, __shfl_xor_sync(plx_cuda_all_lanes, rounds, k));
    for (int round = 0; round < rounds; round++) {
        const int i = LANES * round + a.lane;
        const float here = plx_march_place(&ray, i);
        const bool taken = i < ray.count && is_occupied(m, ray, here);
        const unsigned all = __ballot_sync(plx_cuda_all_lanes, taken) >> group & lanes;
        if (taken) {
            t[at + __popc(all & before)] = here;
            length[at + __popc(all & before)] = ray.step;
        }
        at += __popc(all);
    }
}

extern "C" void plx_cuda_march_samples(int R, const plx_ray *rays, plx_march m, const int *start, float *t,
                                       float *length) {
    if (R)
        PLX_LAUNCH(march_places, plx_cuda_ray_blocks(R, THREADS), THREADS, 0, R, rays, m, start, t, length);
}

/* ---- a picture's rounds --------------------------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(THREADS)
    round_counts(plx_rays samples, const int *next, const float *light, float spent, int most, int *start) {
    const int r = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (r >= samples.R) return;
    const int left = samples.start[r + 1] - next[r];
    start[r + 1] = left <= 0 || light[r] < spent ? 0 : min(left, most);
}

extern "C" void plx_cuda_round_starts(plx_rays samples, const int *next, const float *light, float spent,
                                      int most, int *start) {
    if (samples.R)
        PLX_LAUNCH(round_counts, plx_cuda_blocks((size_t)samples.R, THREADS), THREADS, 0, samples, next,
                   light, spent, most, start);
    PLX_LAUNCH(sum_counts, 1, SUM_THREADS, 0, samples.R, start);
}

static __global__ void __launch_bounds__(THREADS)
    round_copies(plx_rays samples, const int *next, const int *start, float *t, float *length) {
    const plx_cuda_ray a = plx_cuda_ray_of(samples.R, start);
    for (int i = a.begin + a.lane; i < a.end; i += LANES) {
        const int from = next[a.r] + i - a.begin;
        t[i] = samples.t[from];
        length[i] = samples.length[from];
    }
}

extern "C" void plx_cuda_round_samples(plx_rays samples, const int *next, const int *start, float *t,
                                       float *length) {
    if (samples.R)
        PLX_LAUNCH(round_copies, plx_cuda_ray_blocks(samples.R, THREADS), THREADS, 0, samples, next, start, t,
                   length);
}

static __global__ void __launch_bounds__(THREADS)
    round_added(int R, const int *start, const float *composite, int *next, float *light, float *out) {
    const int r = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (r >= R || start[r + 1] == start[r]) return;
    const float *of_ray = composite + 5 * (size_t)r, before = light[r];
    for (int c = 0; c < 5; c++) out[5 * (size_t)r + (size_t)c] += before * of_ray[c];
    light[r] = before * (1 - of_ray[3]);
    next[r] += start[r + 1] - start[r];
}

extern "C" void plx_cuda_add_round(int R, const int *start, const float *composite, int *next, float *light,
                                   float *out) {
    if (R)
        PLX_LAUNCH(round_added, plx_cuda_blocks((size_t)R, THREADS), THREADS, 0, R, start, composite, next,
                   light, out);
}

/* ---- the grid ------------------------------------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(THREADS)
    grown_cells(int grid, int stride, const unsigned char *in, unsigned char *out) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), k = i / stride % grid;
    if (i >= grid * grid * grid) return;
    out[i] = in[i] | in[k > 0 ? i - stride : i] | in[k + 1 < grid ? i + stride : i];
}

extern "C" void plx_cuda_grow_cells(int grid, int stride, const unsigned char *in, unsigned char *out) {
    if (grid)
        PLX_LAUNCH(grown_cells, plx_cuda_blocks((size_t)(grid * grid * grid), THREADS), THREADS, 0, grid,
                   stride, in, out);
}
