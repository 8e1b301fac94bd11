/* The field's ops: plane lookup + MLP, compositing, first-hit likelihood (kernels_field.h has the equations).
 * Points, samples, slabs and truths are constants; their arrays must live as long as the step. */
#ifndef PLX_OPS_FIELD_H
#define PLX_OPS_FIELD_H

#include "nerf/tensor/kernels_field.h"
#include "nerf/tensor/tensor.h"

/* Planes (N,rows,columns,channels) and the decoder's weights (H,I) (H) (H,H) (H) (O,H) (O). */
typedef struct plx_field_operands {
    plx_tensor *xy, *xz, *yz;
    plx_tensor *w1, *b1, *w2, *b2, *w3, *b3;
    int frequencies;
    bool guided;
} plx_field_operands;

plx_field_size plx_field_operands_size(const plx_field_operands *p);

/* -> (M,4) density, r, g, b at the points; M = points.start[N]. */
plx_tensor *plx_field_evaluate(plx_tape *t, const plx_field_operands *p, plx_points points);

/* values (S,4) -> (R,5): premultiplied r g b, opacity, sum of weight * t. */
plx_tensor *plx_composite(plx_tape *t, plx_tensor *values, plx_rays rays);

/* values (S,4) -> (R,2): negative log-likelihood of the first hit, squared colour error in the slab. */
plx_tensor *plx_first_hit(plx_tape *t, plx_tensor *values, plx_rays rays, const int *slab,
                          const float *colour);

#endif
