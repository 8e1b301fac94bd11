/* The model that a training run starts from. */
#ifndef PLX_TRAIN_MODEL_H
#define PLX_TRAIN_MODEL_H

#include "diffusion/model.h"

/* A fresh one as the options say, or `init`'s: its encoder must be what the options ask for; a denoiser of another kind is
 * replaced by a fresh one. With optimiser blocks. */
int plx_train_model(plx_model **out, const plx_train_options *options);

#endif
