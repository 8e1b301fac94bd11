/* The denoiser's conditions: the field's own render at the target view, and the input view's features. */
#ifndef PLX_CONDITION_H
#define PLX_CONDITION_H

#include "diffusion/encoded.h"
#include "nerf/core/views.h"

/* Composites whole views, one an object, without gradients: `coarse` samples on every ray, `fine` more where they
 * found anything. -> (N,H,W,5): premultiplied r g b, opacity, distance. */
plx_tensor *plx_render_batch(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames, int N,
                             const plx_camera *cameras, int coarse, int fine, plx_rng rng);

typedef struct plx_condition {
    const float *truth; /* (N,H,W,4) colour over white and opacity, [-1,1] */
    plx_tensor *render; /* (N,H,W,4) likewise */
} plx_condition;

/* The first target of each of the batch's N items, rendered by the one of the `count` sources that has encoded it; each item is
 * in one. A trained field renders its own training objects better than any new one; so that
 * the denoiser does not learn to copy, half of the renders are blurred (sigma up to 1.5 pixels at 64 times
 * `strength`), half have their colours shifted (each channel by up to 0.2 times it, where there is opacity), which the
 * input view can mend, and all carry a little noise (up to 0.06 times it). */
plx_condition plx_condition_make(plx_tape *tape, int count, const plx_encoded *sources, int N,
                                 const plx_views *batch, float strength, plx_rng rng);

/* The encoder's coarsest features as tokens (N,K,F). */
plx_tensor *plx_condition_context(plx_tape *tape, const plx_encoding *encoding);

/* What the denoiser sees of a view with straight RGBA (H,W,4): colour over white and opacity in [-1,1], (H,W,4). */
void plx_condition_channels(size_t pixels, const float *rgba, float *out);

#endif
