/* Samples along rays, their points, and occupancy: the numbers of kernels_rays.c, drawn on the card. */
#include "nerf/core/philox.h"
#include "nerf/tensor/cuda_ray_lanes.h"

enum { LANES = PLX_CUDA_LANES, THREADS = 128 };

/* ---- stratified ----------------------------------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(THREADS)
    stratified(int R, const plx_ray *rays, const int *start, int count, bool drawn, plx_rng rng, float *t,
               float *length) {
    const plx_cuda_ray a = plx_cuda_ray_of(R, start);
    if (!a.there) return;
    const float t0 = rays[a.r].t0, step = (rays[a.r].t1 - t0) / (float)count;
    for (int i = a.begin + a.lane; i < a.end; i += LANES) {
        const float jitter = drawn ? plx_philox_uniform(rng, (uint64_t)i) : 0.5f;
        t[i] = t0 + step * ((float)(i - a.begin) + jitter);
        length[i] = step;
    }
}

extern "C" void plx_cuda_sample_stratified(int R, const plx_ray *rays, const int *start, int count,
                                           const plx_rng *rng, float *t, float *length) {
    const bool drawn = rng != nullptr;
    const plx_rng numbers = drawn ? *rng : plx_rng{0, 0};
    if (R)
        PLX_LAUNCH(stratified, plx_cuda_ray_blocks(R, THREADS), THREADS, 0, R, rays, start, count, drawn,
                   numbers, t, length);
}

/* ---- importance ----------------------------------------------------------------------------------------------------------- */

/* edges (n+1) of the coarse intervals, and the sum (n+1) of their weights, a little more everywhere, up to each. */
static __device__ __forceinline__ void importance_weights(const plx_rays &coarse, const float *values,
                                                          int begin, int n, float t0, int lane, float *edges,
                                                          float *cumulative) {
    double tau = 0, sum = 0, edge = t0;
    if (lane == 0) edges[0] = t0, cumulative[0] = 0;
    for (int first = 0; first < n; first += 32) {
        const int i = first + lane;
        const float length = i < n ? coarse.length[begin + i] : 0,
                    step = i < n ? values[4 * (size_t)(begin + i)] * length : 0;
        const double taus = plx_cuda_scan<32>((double)step, lane),
                     before = __shfl_up_sync(plx_cuda_all_lanes, taus, 1);
        const float light = expf(-(float)(lane ? tau + before : tau));
        const double sums = plx_cuda_scan<32>(i < n ? (double)(light * -expm1f(-step) + 1e-3f) : 0, lane),
                     lengths = plx_cuda_scan<32>((double)length, lane);
        if (i < n) edges[i + 1] = (float)(edge + lengths), cumulative[i + 1] = (float)(sum + sums);
        tau += __shfl_sync(plx_cuda_all_lanes, taus, 31);
        sum += __shfl_sync(plx_cuda_all_lanes, sums, 31);
        edge += __shfl_sync(plx_cuda_all_lanes, lengths, 31);
    }
}

/* Where they reach `at`: in the first interval behind which the sum is larger, or the last one. */
static __device__ __forceinline__ float inverse_cdf(const float *edges, const float *cumulative, int n,
                                                    float at) {
    int low = 0, high = n - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (cumulative[middle + 1] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    const float part = cumulative[low + 1] - cumulative[low];
    return edges[low] + (edges[low + 1] - edges[low]) * (part > 0 ? (at - cumulative[low]) / part : 0.5f);
}

/* A warp a ray. */
static __global__ void __launch_bounds__(32)
    importance(const plx_ray *rays, plx_rays coarse, const float *values, const int *start, int count,
               plx_rng rng, float *t, float *length) {
    PLX_SHARED(float, edges, [PLX_MAX_PER_RAY + 1]);
    PLX_SHARED(float, cumulative, [PLX_MAX_PER_RAY + 1]);
    PLX_SHARED(float, fine, [PLX_MAX_PER_RAY]);
    PLX_SHARED(float, all, [PLX_MAX_PER_RAY]);
    const int r = (int)blockIdx.x, lane = (int)threadIdx.x, begin = coarse.start[r],
              n = coarse.start[r + 1] - begin;
    if (n == 0) return;
    const float t0 = rays[r].t0, t1 = rays[r].t1;
    importance_weights(coarse, values, begin, n, t0, lane, edges, cumulative);
    __syncwarp();
    for (int i = lane; i < count; i += 32) {
        const float jitter = plx_philox_uniform(rng, (uint64_t)r * (uint64_t)count + (uint64_t)i);
        fine[i] = inverse_cdf(edges, cumulative, n, ((float)i + jitter) / (float)count * cumulative[n]);
    }
    __syncwarp();
    for (int i = 0, a = 0, b = 0; lane == 0 && i < n + count; i++) { /* merge */
        const bool from_coarse = b == count || (a < n && coarse.t[begin + a] <= fine[b]);
        all[i] = from_coarse ? coarse.t[begin + a++] : fine[b++];
    }
    __syncwarp();
    for (int i = lane; i < n + count; i += 32) {
        const float left = i ? 0.5f * (all[i - 1] + all[i]) : t0,
                    right = i + 1 < n + count ? 0.5f * (all[i] + all[i + 1]) : t1;
        t[start[r] + i] = all[i];
        length[start[r] + i] = fmaxf(right - left, 0);
    }
}

extern "C" void plx_cuda_sample_importance(const plx_ray *rays, plx_rays coarse, const float *values,
                                           const int *start, int count, plx_rng rng, float *t,
                                           float *length) {
    if (coarse.R)
        PLX_LAUNCH(importance, (unsigned)coarse.R, 32, 0, rays, coarse, values, start, count, rng, t, length);
}

/* ---- points --------------------------------------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(THREADS)
    points_of_rays(const plx_ray *rays, plx_rays samples, int N, const int *object_start,
                   const plx_frame *frames, float *coords) {
    const plx_cuda_ray a = plx_cuda_ray_of(samples.R, samples.start);
    if (!a.there || a.r < object_start[0] || a.r >= object_start[N]) return;
    int n = 0;
    while (a.r >= object_start[n + 1]) n++;
    for (int i = a.begin + a.lane; i < a.end; i += LANES) {
        float p[3], q[5];
        for (int k = 0; k < 3; k++) p[k] = rays[a.r].origin[k] + samples.t[i] * rays[a.r].direction[k];
        plx_frame_map(&frames[n], p, q);
        for (int k = 0; k < 5; k++) coords[5 * (size_t)i + (size_t)k] = q[k];
    }
}

extern "C" void plx_cuda_points_along(const plx_ray *rays, plx_rays samples, int N, const int *object_start,
                                      const plx_frame *frames, float *coords) {
    if (samples.R)
        PLX_LAUNCH(points_of_rays, plx_cuda_ray_blocks(samples.R, THREADS), THREADS, 0, rays, samples, N,
                   object_start, frames, coords);
}

static __global__ void __launch_bounds__(THREADS)
    seen_of_rays(plx_rays samples, const float *values, double limit, float *seen) {
    const plx_cuda_ray a = plx_cuda_ray_of(samples.R, samples.start);
    const int rounds = plx_cuda_rounds(a);
    double tau = 0;
    for (int round = 0; round < rounds; round++) {
        const int i = a.begin + LANES * round + a.lane;
        const float length = i < a.end ? samples.length[i] : 0;
        const double scan = plx_cuda_ray_scan(i < a.end ? (double)values[4 * (size_t)i] * length : 0, a.lane);
        const double before = tau + plx_cuda_ray_before(scan, a.lane);
        if (i < a.end) seen[i] = before < limit ? length : 0;
        tau += plx_cuda_ray_last(scan);
    }
}

extern "C" void plx_cuda_seen_lengths(plx_rays samples, const float *values, double limit, float *seen) {
    if (samples.R)
        PLX_LAUNCH(seen_of_rays, plx_cuda_ray_blocks(samples.R, THREADS), THREADS, 0, samples, values, limit,
                   seen);
}

/* ---- occupancy ------------------------------------------------------------------------------------------------------------ */

static __global__ void __launch_bounds__(THREADS)
    points_of_cells(int count, const int *cells, int points, int grid, float radius, plx_rng rng,
                    const plx_frame *frame, float *coords) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count * points) return;
    const int at = cells[i / points], index[3] = {at % grid, at / grid % grid, at / (grid * grid)};
    const uint64_t number = 3 * ((uint64_t)at * (uint64_t)points + (uint64_t)(i % points));
    const float cell = 2 * radius / (float)grid;
    float p[3], q[5];
    for (int k = 0; k < 3; k++)
        p[k] = ((float)index[k] + plx_philox_uniform(rng, number + (uint64_t)k)) * cell - radius;
    plx_frame_map(frame, p, q);
    for (int k = 0; k < 5; k++) coords[5 * (size_t)i + (size_t)k] = q[k];
}

extern "C" void plx_cuda_cell_points(int count, const int *cells, int points, int grid, float radius,
                                     plx_rng rng, const plx_frame *frame, float *coords) {
    if (count)
        PLX_LAUNCH(points_of_cells, plx_cuda_blocks((size_t)count * (size_t)points, THREADS), THREADS, 0,
                   count, cells, points, grid, radius, rng, frame, coords);
}

static __global__ void __launch_bounds__(THREADS)
    occupied_cells(int count, const int *cells, int points, const float *values, float least,
                   unsigned char *occupied) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) return;
    float most = 0;
    for (int k = 0; k < points; k++) most = fmaxf(most, values[4 * (size_t)(i * points + k)]);
    occupied[cells[i]] = most > least;
}

extern "C" void plx_cuda_cell_occupied(int count, const int *cells, int points, const float *values,
                                       float least, unsigned char *occupied) {
    if (count)
        PLX_LAUNCH(occupied_cells, plx_cuda_blocks((size_t)count, THREADS), THREADS, 0, count, cells, points,
                   values, least, occupied);
}
