/* cuda_launch.h's functions, for the host's C: after the header that knows cudaStream_t. */
#ifndef PLX_CUDA_STREAM_H
#define PLX_CUDA_STREAM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
cudaStream_t plx_cuda_stream(void);
void plx_cuda_launched(const char *kernel); /* keeps the first error for the next synchronisation */
/* Device workspace that only grows; uninitialised, aligned to 256 bytes. */
float *plx_cuda_scratch(int slot, size_t floats);
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
    PLX_CUDA_SLOTS
};

#endif
