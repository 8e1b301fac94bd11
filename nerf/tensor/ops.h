/* The ops. Shapes are checked (PLX_CHECK prints both); every op is in tests/test_kernels.c and
 * tests/test_grad.c. A gradient is made only if some input wants one and the tape records. */
#ifndef PLX_OPS_H
#define PLX_OPS_H

#include "nerf/tensor/tensor.h"

/* x (N,H,W,I), w (O,K,K,I), b (O) or NULL -> (N,H/stride,W/stride,O). K odd, zero padding K/2; stride 1 or 2
 * (H, W even for 2). */
plx_tensor *plx_conv2d(plx_tape *t, plx_tensor *x, plx_tensor *w, plx_tensor *b, int stride);

/* x (...,I), w (O,I), b (O) or NULL -> (...,O). */
plx_tensor *plx_linear(plx_tape *t, plx_tensor *x, plx_tensor *w, plx_tensor *b);

/* x (N,H,W,C); gamma, beta (C). Normalises each sample's groups of C/groups channels (eps 1e-5, statistics in
 * double), then y = xhat gamma + beta; then, if scale_shift (N,2C) is given, y (1 + scale) + shift; then SiLU
 * if `silu`. */
plx_tensor *plx_group_norm(plx_tape *t, plx_tensor *x, plx_tensor *gamma, plx_tensor *beta, int groups,
                           plx_tensor *scale_shift, bool silu);

plx_tensor *plx_silu(plx_tape *t, plx_tensor *x);
plx_tensor *plx_sigmoid(plx_tape *t, plx_tensor *x);
plx_tensor *plx_add(plx_tape *t, plx_tensor *a, plx_tensor *b); /* same shape */
plx_tensor *plx_scale(plx_tape *t, plx_tensor *x, float factor);
plx_tensor *plx_scale_rows(plx_tape *t, plx_tensor *x, const float *factors /* (N) */); /* x (N,...) */

plx_tensor *plx_concat(plx_tape *t, plx_tensor *a, plx_tensor *b);     /* (...,A), (...,B) -> (...,A+B) */
plx_tensor *plx_slice(plx_tape *t, plx_tensor *x, int begin, int end); /* (...,C) -> (...,end-begin) */
plx_tensor *plx_reshape(plx_tape *t, plx_tensor *x, int ndim, const int *shape); /* shares data and grad */
plx_tensor *plx_swap_hw(plx_tape *t, plx_tensor *x);                             /* (N,H,W,C) -> (N,W,H,C) */

plx_tensor *plx_upsample2(plx_tape *t, plx_tensor *x); /* nearest: (N,H,W,C) -> (N,2H,2W,C) */
plx_tensor *plx_average_pool(plx_tape *t, plx_tensor *x, int kh, int kw); /* (N,H,W,C) -> (N,H/kh,W/kw,C) */
plx_tensor *plx_space_to_depth(plx_tape *t, plx_tensor *x,
                               int r); /* (N,H,W,C) -> (N,H/r,W/r,r*r*C), order (dy,dx,c) */
plx_tensor *plx_depth_to_space(plx_tape *t, plx_tensor *x, int r); /* the inverse */

/* q (N,Q,C), k and v (N,K,C), C = heads * d -> (N,Q,C): softmax(q k^T / sqrt(d)) v per head. Tokens may be pixels:
 * (N,H,W,C). */
plx_tensor *plx_attention(plx_tape *t, plx_tensor *q, plx_tensor *k, plx_tensor *v, int heads);

/* Losses, one element each, accumulated in double in a fixed order:
 *   sum_i weight_i |x_i - y_i|^p / sum_i weight_i, p = 1 or 2; y is a constant; weight NULL = ones, or same
 * size. */
plx_tensor *plx_loss_lp(plx_tape *t, plx_tensor *x, const float *y, const float *weight, int p);
/* The same of the device's arrays, which live as long as the step. */
plx_tensor *plx_loss_lp_on(plx_tape *t, plx_tensor *x, const float *y, const float *weight, int p);
/* sum_k factor_k loss_k */
plx_tensor *plx_loss_sum(plx_tape *t, int count, plx_tensor *const *losses, const float *factors);

#endif
