/* Objects of a training batch as a model's encoder sees them: their planes, and the field that reads them. */
#ifndef PLX_ENCODED_H
#define PLX_ENCODED_H

#include "diffusion/model.h"

typedef struct plx_encoded {
    int N;
    const int *items;        /* (N) which of the batch */
    const plx_frame *frames; /* (N) */
    plx_encoding encoding;
    plx_field_operands field;
} plx_encoded;

/* The inputs, view 0, of those `items` (N) of the batch, each with its pose of the batch's `poses`. All lives in the step's
 * arena. */
plx_encoded plx_encode_items(plx_tape *tape, const plx_model *model, int N, const int *items,
                             const plx_views *batch, const plx_encoder_pose *poses);

#endif
