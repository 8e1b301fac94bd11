/* 3x3 convolution of stride 1 by Winograd's F(4x4,3x3): a quarter of the products. */
#ifndef PLX_WINOGRAD_H
#define PLX_WINOGRAD_H

#include "nerf/tensor/kernels.h"

bool plx_winograd_fits(plx_conv_size s); /* it can do this size, and is the faster way */
void plx_winograd_fwd(plx_conv_size s, const float *x, const float *w, const float *b, float *y);
void plx_winograd_bwd_x(plx_conv_size s, const float *w, const float *dy, float *dx); /* adds into dx */
void plx_winograd_bwd_w(plx_conv_size s, const float *x, const float *dy, float *dw); /* adds into dw */

#endif
