/* One image -> refined field: the model's feed-forward field, distilled from the model's own denoiser. */
#ifndef PLX_REFINE_H
#define PLX_REFINE_H

#include "diffusion/diffusion.h"
#include "diffusion/distill.h"

/* `input` as for plx_model_reconstruct; `views` virtual views of the model's size. The field can be refined further. */
int plx_model_refine(plx_field **out, const plx_model *model, const plx_view *input, bool elevation_known,
                     int views, const plx_distill_options *options, plx_progress_fn progress, void *user);

#endif
