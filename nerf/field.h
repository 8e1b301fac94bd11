/* A radiance field of one object: triplane + decoder + frame, as parameters that can be rendered and
 * optimised. */
#ifndef PLX_FIELD_H
#define PLX_FIELD_H

#include "nerf/nerf.h"
#include "nerf/sampling.h"
#include "nerf/tensor/ops_field.h"
#include "nerf/tensor/params.h"
#include "nerf/triplane.h"

/* XY alone: the side planes are one texel of zeros, which nothing changes. */
static inline bool plx_field_pixel_aligned(plx_field_size s) {
    return s.xz[0] * s.xz[1] == 1 && s.yz[0] * s.yz[1] == 1;
}

/* Declares the decoder's parameters under `prefix` ("decoder" -> "decoder.w1", ...): weights N(0, 1/fan-in of what
 * is not always zero), biases 0, so that the density starts near 1 and a ray across the object about half transparent; learning
 * rate factor `rate`. */
int plx_decoder_declare(plx_params *params, const char *prefix, plx_field_size size, float rate);

/* The operands without planes; the caller sets xy, xz, yz. */
plx_field_operands plx_decoder_bind(plx_params *params, const char *prefix, plx_field_size size);

struct plx_field {
    plx_field_size size; /* N = 1 */
    plx_frame frame;
    plx_params *params; /* planes.xy (1,rows,columns,channels), planes.xz, planes.yz, decoder.* */
    plx_field_operands operands;
    unsigned char *occupancy; /* (G,G,G), occupancy.h, the device's; NULL until plx_field_update_occupancy */
    float empty_below; /* density of space that is skipped. Default 0.01 / diameter; saved with the scene */
    plx_tape *tape;    /* for renders and steps; does not record; empty between calls */
    plx_optimiser optimiser; /* Adam's state (its moments are in params) */
};

/* Planes are zero (unguided: N(0, .1)); `train` makes gradients and optimiser blocks. */
int plx_field_create(plx_field **out, plx_field_size size, plx_frame frame, uint64_t seed, bool train);

/* A scene file's tensors and metadata; `half` for the planes. `path` stands in error lines. */
int plx_field_to_checkpoint(plx_checkpoint *checkpoint, const plx_field *field, bool half);
int plx_field_from_checkpoint(plx_field **out, const plx_checkpoint *checkpoint, const char *path,
                              bool train);

#endif
