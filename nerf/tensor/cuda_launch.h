/* How the .cu files launch kernels: on the one stream, each launch checked under its kernel's name. nvcc includes
 * cuda_runtime.h by itself; tests/cuda/emulation.h, included before all by g++, takes its place and defines PLX_CUDA_EMULATION.
 * Determinism: no float atomics, reductions in a fixed order. */
#ifndef PLX_CUDA_LAUNCH_H
#define PLX_CUDA_LAUNCH_H

#include "nerf/tensor/cuda_stream.h"

/* PLX_LAUNCH(kernel, grid, block, bytes of dynamic shared memory, arguments...); a template's name with a comma stands in ().
 * PLX_SHARED(float, tile, [32][33]); a block's array, whose contents are not defined at first; PLX_SHARED_DYNAMIC(float, tile);
 * the launch's bytes, aligned to 16. */
#ifdef PLX_CUDA_EMULATION
#define PLX_LAUNCH(kernel, grid, block, shared_bytes, ...)                                  \
    do {                                                                                    \
        if (plx_cuda_stopped()) break;                                                      \
        plx_cuda_stream();                                                                  \
        emulation_launch(#kernel, grid, block, shared_bytes, [=] { kernel(__VA_ARGS__); }); \
        plx_cuda_launched(#kernel);                                                         \
    } while (0)
static inline size_t plx_cuda_shared_limit(void) {
    return emulation_shared_limit;
}
#else
/* Bytes of shared memory that a block may have on this card. */
static inline size_t plx_cuda_shared_limit(void) {
    int device = 0, bytes = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    return (size_t)bytes;
}
/* More than 48 KiB must be asked for. */
#define PLX_LAUNCH(kernel, grid, block, shared_bytes, ...)                                                  \
    do {                                                                                                    \
        if (plx_cuda_stopped()) break;                                                                      \
        if ((size_t)(shared_bytes) > 48 << 10)                                                              \
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(shared_bytes)); \
        kernel<<<grid, block, shared_bytes, plx_cuda_stream()>>>(__VA_ARGS__);                              \
        plx_cuda_launched(#kernel);                                                                         \
    } while (0)
#define PLX_SHARED(type, name, dimensions) __shared__ type name dimensions
#define PLX_SHARED_DYNAMIC(type, name)                                \
    extern __shared__ __align__(16) unsigned char plx_shared_bytes[]; \
    type *const name = (type *)plx_shared_bytes
#endif

/* Blocks of `per` that hold n. */
static inline unsigned plx_cuda_blocks(size_t n, size_t per) {
    return (unsigned)((n + per - 1) / per);
}

/* Whether rows of `count` floats can be read four at a time. */
static inline bool plx_cuda_fours(size_t count, const void *a, const void *b = nullptr,
                                  const void *c = nullptr) {
    return count % 4 == 0 && (((size_t)a | (size_t)b | (size_t)c) & 15) == 0;
}

#endif
