/* What cuBLASLt does not add up: the rows of a matrix, in two passes of fixed order. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_linear.h"

static const int columns = 32, lanes = 8, rows_at_once = 2048; /* of a block */

/* partial (blocks of rows, C) */
static __global__ void add_rows_part(size_t M, int C, const float *x, float *partial) {
    PLX_SHARED(float, sums, [8][33]);
    const int c = blockIdx.x * columns + threadIdx.x;
    const size_t first = (size_t)blockIdx.y * rows_at_once,
                 last = first + rows_at_once < M ? first + rows_at_once : M;
    float sum = 0;
    if (c < C)
        for (size_t m = first + threadIdx.y; m < last; m += lanes) sum += x[m * C + c];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || c >= C) return;
    for (int l = 1; l < lanes; l++) sum += sums[l][threadIdx.x];
    partial[(size_t)blockIdx.y * C + c] = sum;
}

static __global__ void add_rows_rest(int parts, int C, const float *partial, float *y) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    double sum = 0;
    for (int p = 0; p < parts; p++) sum += partial[(size_t)p * C + c];
    y[c] += (float)sum;
}

void plx_cuda_add_rows(size_t M, int C, const float *x, float *y) {
    const unsigned parts = plx_cuda_blocks(M, rows_at_once);
    float *partial = plx_cuda_scratch(PLX_CUDA_REDUCTION, (size_t)parts * C);
    PLX_LAUNCH(add_rows_part, dim3(plx_cuda_blocks(C, columns), parts), dim3(columns, lanes), 0, M, C, x,
               partial);
    PLX_LAUNCH(add_rows_rest, plx_cuda_blocks(C, 128), 128, 0, (int)parts, C, partial, y);
}
