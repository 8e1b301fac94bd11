/* A model's denoiser, made ready for views of one object: the input view's features, and memory for the activations. */
#ifndef PLX_VIEW_DENOISER_H
#define PLX_VIEW_DENOISER_H

#include "diffusion/model.h"

typedef struct plx_view_denoiser {
    plx_denoiser denoiser;
    plx_denoiser_views views; /* the `user` of plx_denoiser_denoise; .render is the caller's */
    plx_tape *tape;
    float *context;
} plx_view_denoiser;

/* For `count` views of the model's size. It must not be moved. The unconditional estimate keeps the render. */
int plx_view_denoiser_open(plx_view_denoiser *out, const plx_model *model, const plx_view *input,
                           bool elevation_known, int count);
void plx_view_denoiser_close(plx_view_denoiser *denoiser);
size_t plx_view_denoiser_values(const plx_view_denoiser *denoiser); /* of all views together */

#endif
