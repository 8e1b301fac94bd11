/* cuda_launch.h's functions, for the host's C: after the header that knows cudaStream_t. */
#ifndef PLX_CUDA_STREAM_H
#define PLX_CUDA_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
/* The kernels', asked for before each use: what the host has written goes ahead of it. */
cudaStream_t plx_cuda_stream(void);
void plx_cuda_launched(const char *kernel); /* keeps the first error for the next synchronisation */
bool plx_cuda_stopped(void);                /* there was an error since: nothing more is started */
/* Device workspace that only grows; uninitialised, aligned to 256 bytes. Without memory: NULL, and an error of the kernel. */
float *plx_cuda_workspace(const char *kernel, int slot, size_t floats);
#define plx_cuda_scratch(slot, floats) plx_cuda_workspace(__func__, slot, floats)
#ifdef __cplusplus
}
#endif

/* Slots of plx_cuda_scratch: those whose contents are needed at the same time differ. */
enum plx_cuda_slot {
    PLX_CUDA_NORM,
    PLX_CUDA_ATTENTION,
    PLX_CUDA_FIELD,
    PLX_CUDA_REDUCTION,
    PLX_CUDA_LIBRARY,
    PLX_CUDA_BF16,
    PLX_CUDA_SLOTS
};

#endif
