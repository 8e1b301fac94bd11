#ifndef PLX_CUDA_PROBE_H
#define PLX_CUDA_PROBE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
/* On so many multiprocessors; how many operations. */
double plx_cuda_probe_multiply_add(int multiprocessors, int times, float *sink);
void plx_cuda_probe_triad(int times, size_t n, const float *b, const float *c, float *a);
#ifdef __cplusplus
}
#endif

#endif
