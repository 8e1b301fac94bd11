/* The two-fold condition: two models whose fields learned from one half of the training objects each, and every object's
 * render by the one that did not see it. The denoiser then learns from renders as bad as a new object's. */
#ifndef PLX_TWO_FOLD_H
#define PLX_TWO_FOLD_H

#include "diffusion/encoded.h"

enum { PLX_HALVES = 2 };

typedef struct plx_two_fold {
    plx_model *learned[PLX_HALVES]; /* [h]: from half h alone */
} plx_two_fold;

/* options->fold_models, in either order: their records say which half each learned from. Their fields must be of `model`'s
 * kind. */
int plx_two_fold_open(plx_two_fold *out, const plx_train_options *options, const plx_model *model);
void plx_two_fold_free(plx_two_fold *two);

/* Encodes the batch's N items, those of half `half[n]` by the model of the other, without gradients. Returns how many of
 * `out` are set. The denoiser's features are not of these: one encoder's mean nothing beside another's. */
int plx_two_fold_encode(plx_encoded out[PLX_HALVES], plx_tape *tape, const plx_two_fold *two, int N,
                        const int *half, const plx_views *batch, const plx_encoder_pose *poses);

#endif
