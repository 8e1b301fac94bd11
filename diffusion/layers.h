/* Layers: parameters declared under "prefix.name", and the op that reads them by that name. Declaring and
 * applying stand side by side, so that a network is two walks over the same names. */
#ifndef PLX_LAYERS_H
#define PLX_LAYERS_H

#include "nerf/tensor/ops.h"
#include "nerf/tensor/params.h"

/* Weights are drawn from N(0, gain^2 / fan-in); gain 0 = zeros (a residual branch that starts as the
 * identity). */

/* "prefix.name.weight" (O,K,K,I) and ".bias" (O). */
int plx_layer_conv_declare(plx_params *params, const char *prefix, const char *name, int in, int out,
                           int kernel, float gain);
plx_tensor *plx_layer_conv(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                           plx_tensor *x, int stride);

/* "prefix.name.weight" (O,I) and ".bias" (O). */
int plx_layer_linear_declare(plx_params *params, const char *prefix, const char *name, int in, int out,
                             float gain);
plx_tensor *plx_layer_linear(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                             plx_tensor *x);

/* "prefix.name.gamma" = 1 and ".beta" = 0, (C). The number of groups follows from C alone: plx_norm_groups. */
int plx_layer_norm_declare(plx_params *params, const char *prefix, const char *name, int channels);
plx_tensor *plx_layer_norm(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                           plx_tensor *x, plx_tensor *scale_shift /* (N,2C) or NULL */, bool silu);
int plx_norm_groups(int channels); /* most groups, at most 32, of at least 4 channels each */

/* Scalars (N,count) -> embedding (N,E): each is written as sines and cosines of `frequencies` octaves
 * (pi 2^k x, k = 0..frequencies-1) beside itself, then linear, SiLU, linear. Scale the values to about
 * [-1,1]. */
int plx_layer_embedding_declare(plx_params *params, const char *prefix, const char *name, int count,
                                int frequencies, int embedding);
plx_tensor *plx_layer_embedding(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                                const float *values /* (N,count) */, int N, int count, int frequencies);

#endif
