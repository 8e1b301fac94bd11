/* Floating-point operations of the heavy kernels, and a device that counts them. A multiplication and an addition
 * are two; exponentials, norms and everything else that is read once and written once are not counted. A
 * convolution counts as the direct one, whatever algorithm does it. */
#ifndef PLX_FLOPS_H
#define PLX_FLOPS_H

#include "nerf/tensor/kernels.h"
#include "nerf/tensor/tensor.h"

double plx_flops_conv(plx_conv_size s);          /* forward; each of the two gradients costs as much again */
double plx_flops_linear(size_t M, int I, int O); /* likewise */
/* q k^T and p v. Backward has five such products: p again, dv, dp, dq, dk. */
double plx_flops_attention(plx_attention_size s);
/* A point's bilinear lookup of three planes and its MLP. Backward: the forward again, the gradients of weights and
 * of activations. */
double plx_flops_field(plx_field_size s);

/* Device "cpu" that adds up what it does. */
int plx_flops_device(plx_device *out);
double plx_flops_counted(void); /* since the last call; all counting devices together */

#endif
