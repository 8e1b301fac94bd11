/* A user's picture -> the model's input: background removed, object centred and zoomed by a virtual camera. */
#ifndef PLX_INPUT_H
#define PLX_INPUT_H

#include "diffusion/diffusion.h"

/* (H,W,3 or 4) -> straight RGBA. Transparency is taken as it is; an opaque picture loses the region of its border's
 * colour: what is connected to the border, and enclosed regions of exactly that colour; edge pixels are unmixed.
 * `warning` (256 bytes) receives a line, or "". Errors: border of several colours, nothing stands out, fully
 * transparent. */
int plx_input_matte(plx_image *rgba, const plx_image *image, const char *name, char *warning);

#endif
