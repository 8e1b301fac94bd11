/* Shapes in the words of an error line; for the ops' checks. */
#ifndef PLX_SHAPE_H
#define PLX_SHAPE_H

#include "nerf/tensor/tensor.h"

typedef struct plx_shape_text {
    char text[64];
} plx_shape_text;

plx_shape_text plx_shape(const plx_tensor *x); /* "(8,16,16,96)" */
bool plx_same_shape(const plx_tensor *a, const plx_tensor *b);

#endif
