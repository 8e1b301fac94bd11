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

plx_tensor *plx_tape_tensor(plx_tape *tape, const char *name, int ndim, const int *shape, bool wants_grad) {
    PLX_CHECK(ndim >= 1 && ndim <= PLX_MAX_DIMENSIONS, "%s: %d dimensions", name, ndim);
    plx_arena *arena = plx_tape_arena(tape);
    plx_tensor *x = plx_arena_zalloc(arena, sizeof *x);
    x->ndim = ndim;
    x->name = name;
    memcpy(x->shape, shape, (size_t)ndim * sizeof *shape);
    for (int i = 0; i < ndim; i++) PLX_CHECK(shape[i] > 0, "%s: shape %s", name, plx_shape(x).text);
    size_t bytes = plx_tensor_size(x) * sizeof(float);
    x->data = plx_arena_alloc(arena, bytes);
    if (wants_grad && plx_tape_recording(tape)) x->grad = plx_arena_zalloc(arena, bytes);
    return x;
}

plx_tensor *plx_tape_input(plx_tape *tape, int ndim, const int *shape, const float *data, bool wants_grad) {
    plx_tensor *x = plx_tape_tensor(tape, "input", ndim, shape, wants_grad);
    memcpy(x->data, data, plx_tensor_size(x) * sizeof(float));
    return x;
}
