/* Matrix products by oneDNN in the calling thread, for the fast kernels. */
#ifndef PLX_GEMM_H
#define PLX_GEMM_H

#include <stdbool.h>
#include <stddef.h>

/* C (M,N) = op(A) (M,K) op(B) (K,N) + beta C, row-major, op transposes where asked; called inside a parallel region,
 * where oneDNN keeps to one thread. */
void plx_gemm(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const float *A, size_t lda,
              const float *B, size_t ldb, float beta, float *C, size_t ldc);

#endif
