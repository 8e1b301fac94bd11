/* Kernels that are wrong on purpose: tests/test_cuda.c runs them one by one (EMULATION_PLANTED=the defect) and must see them caught. */
#include "nerf/tensor/cuda_launch.h"

extern "C" {
#include "tests/kernel_check.h"
}

enum { THREADS = 64 };

/* A barrier is missing: a thread reads what its neighbour may not have written yet. */
static __global__ void planted_race(const float *x, float *y) {
    PLX_SHARED(float, tile, [THREADS]);
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    tile[threadIdx.x] += 1;
    y[threadIdx.x] = tile[THREADS - 1 - threadIdx.x];
}

/* Two threads write one element. */
static __global__ void planted_two_writers(const float *x, float *y) {
    y[threadIdx.x / 2] = x[threadIdx.x];
}

static __global__ void planted_beyond_the_array(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x + 1];
    if (threadIdx.x == 0) y[THREADS] = 0;
}

static __global__ void planted_beyond_shared(const float *x, float *y) {
    PLX_SHARED(float, tile, [THREADS]);
    tile[threadIdx.x + 1] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}

static __global__ void planted_lonely_barrier(const float *x, float *y) {
    if (threadIdx.x < 3) __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}

static __global__ void planted_misaligned(const float *x, float *y) {
    if (threadIdx.x < 8) *(float4 *)(y + 4 * threadIdx.x + 1) = *(const float4 *)(x + 4 * threadIdx.x);
}

TEST(planted, defect) {
    const char *defect = getenv("EMULATION_PLANTED");
    if (!defect) SKIP("EMULATION_PLANTED names one");
    const float *x = array(THREADS, 1);
    float *y = array(THREADS, 2);
#define PLANTED(name) \
    if (strcmp(defect, #name) == 0) PLX_LAUNCH(planted_##name, 1, THREADS, 0, x, y);
    PLANTED(race)
    PLANTED(two_writers)
    PLANTED(beyond_the_array)
    PLANTED(beyond_shared)
    PLANTED(lonely_barrier)
    PLANTED(misaligned)
    free_arrays();
}
