/* The kernels: plain functions on pointers and sizes, forward and backward side by side, in one list. Table
 * `ref` is naive C: documentation and oracle. Table `cpu` is a copy of it, overridden with OpenMP, SIMD and
 * oneDNN. Backward kernels ADD into the gradients they are given; a NULL gradient is not computed. Letters: N
 * batch, H W pixels, C I O channels, R rays, S samples, M points. The same inputs give the same bits for any
 * number of threads. */
#ifndef PLX_KERNELS_H
#define PLX_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct plx_conv_size {
    int N, H, W, I, O; /* H, W of the input */
    int K, stride;     /* odd kernel, zero padding K/2 */
} plx_conv_size;

typedef struct plx_norm_size {
    int N, P, C, groups; /* P = H * W */
    bool silu;
    bool known; /* norm_fwd reads mean_rstd, as an earlier one has written it */
} plx_norm_size;

typedef struct plx_attention_size {
    int N, Q, K, heads, d; /* channels = heads * d */
} plx_attention_size;

/* X(name, (arguments)) */
#define PLX_KERNEL_LIST(X)                                                                                 \
    X(conv_fwd, (plx_conv_size s, const float *x, const float *w, const float *b, float *y))               \
    X(conv_bwd,                                                                                            \
      (plx_conv_size s, const float *x, const float *w, const float *dy, float *dx, float *dw, float *db)) \
    /* y (M,O) = x (M,I) w^T + b */                                                                        \
    X(linear_fwd, (size_t M, int I, int O, const float *x, const float *w, const float *b, float *y))      \
    X(linear_bwd, (size_t M, int I, int O, const float *x, const float *w, const float *dy, float *dx,     \
                   float *dw, float *db))                                                                  \
    /* mean_rstd (N,groups,2) is written forward and read backward; scale_shift (N,2C) or NULL */          \
    X(norm_fwd, (plx_norm_size s, const float *x, const float *gamma, const float *beta,                   \
                 const float *scale_shift, float *mean_rstd, float *y))                                    \
    X(norm_bwd, (plx_norm_size s, const float *x, const float *gamma, const float *beta,                   \
                 const float *scale_shift, const float *mean_rstd, const float *dy, float *dx,             \
                 float *dgamma, float *dbeta, float *dscale_shift))                                        \
    X(silu_fwd, (size_t n, const float *x, float *y))                                                      \
    X(silu_bwd, (size_t n, const float *x, const float *dy, float *dx))                                    \
    X(sigmoid_fwd, (size_t n, const float *x, float *y))                                                   \
    X(sigmoid_bwd, (size_t n, const float *y, const float *dy, float *dx))                                 \
    X(axpy, (size_t n, float a, const float *x, float *y)) /* y += a x */                                  \
    X(attention_fwd,                                                                                       \
      (plx_attention_size s, const float *q, const float *k, const float *v, float *lse, float *y))        \
    X(attention_bwd, (plx_attention_size s, const float *q, const float *k, const float *v,                \
                      const float *lse, const float *y, const float *dy, float *dq, float *dk, float *dv)) \
    /* rows of A and B side by side: y (M,A+B) */                                                          \
    X(concat_fwd, (size_t M, int A, int B, const float *a, const float *b, float *y))                      \
    X(concat_bwd, (size_t M, int A, int B, const float *dy, float *da, float *db))                         \
    X(slice_fwd, (size_t M, int C, int begin, int end, const float *x, float *y))                          \
    X(slice_bwd, (size_t M, int C, int begin, int end, const float *dy, float *dx))                        \
    X(swap_hw_fwd, (int N, int H, int W, int C, const float *x, float *y))                                 \
    X(swap_hw_bwd, (int N, int H, int W, int C, const float *dy, float *dx))                               \
    X(upsample2_fwd, (int N, int H, int W, int C, const float *x, float *y))                               \
    X(upsample2_bwd, (int N, int H, int W, int C, const float *dy, float *dx))                             \
    X(pool_fwd, (int N, int H, int W, int C, int kh, int kw, const float *x, float *y))                    \
    X(pool_bwd, (int N, int H, int W, int C, int kh, int kw, const float *dy, float *dx))                  \
    X(space_to_depth_fwd, (int N, int H, int W, int C, int r, const float *x, float *y))                   \
    X(space_to_depth_bwd, (int N, int H, int W, int C, int r, const float *dy, float *dx))                 \
    X(depth_to_space_fwd, (int N, int H, int W, int C, int r, const float *x, float *y))                   \
    X(depth_to_space_bwd, (int N, int H, int W, int C, int r, const float *dy, float *dx))                 \
    PLX_FIELD_KERNEL_LIST(X)                                                                               \
    PLX_RAYS_KERNEL_LIST(X)                                                                                \
    PLX_TRAIN_KERNEL_LIST(X)

#include "nerf/tensor/kernels_field.h"
#include "nerf/tensor/kernels_rays.h"
#include "nerf/tensor/kernels_train.h"

#define PLX_KERNEL_MEMBER(name, arguments) void(*name) arguments;
typedef struct plx_kernels {
    PLX_KERNEL_LIST(PLX_KERNEL_MEMBER)
} plx_kernels;
#undef PLX_KERNEL_MEMBER

void plx_kernels_ref(plx_kernels *table);  /* fills every entry */
void plx_kernels_cpu(plx_kernels *table);  /* overrides */
void plx_kernels_dnnl(plx_kernels *table); /* overrides: convolution and matrix products */

#endif
