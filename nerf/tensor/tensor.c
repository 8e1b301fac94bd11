#include "nerf/tensor/tensor.h"
#include "nerf/tensor/shape.h"

#include <stdio.h>
#include <string.h>

size_t plx_tensor_size(const plx_tensor *x) {
    size_t size = 1;
    for (int i = 0; i < x->ndim; i++) size *= (size_t)x->shape[i];
    return size;
}

bool plx_same_shape(const plx_tensor *a, const plx_tensor *b) {
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}

plx_shape_text plx_shape(const plx_tensor *x) {
    plx_shape_text s = {"("};
    size_t used = 1;
    for (int i = 0; i < x->ndim; i++)
        used += (size_t)snprintf(s.text + used, sizeof s.text - used, i ? ",%d" : "%d", x->shape[i]);
    snprintf(s.text + used, sizeof s.text - used, ")");
    return s;
}

bool plx_wants_grad(const plx_tensor *x) {
    return x->grad || x->made_by;
}
