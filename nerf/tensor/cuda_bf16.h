#ifndef PLX_CUDA_BF16_H
#define PLX_CUDA_BF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/* a (A) and b (B) to bfloat16, to the nearest, ties to even. */
void plx_cuda_to_bf16(size_t A, const float *a, uint16_t *to_a, size_t B, const float *b, uint16_t *to_b);
/* y (n) = x + bias (C), which repeats, or NULL; or y += x. */
void plx_cuda_from_bf16(size_t n, int C, const uint16_t *x, const float *bias, bool add, float *y);
#ifdef __cplusplus
}
#endif

#endif
