#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"

#include <string.h>

typedef struct rows_saved {
    plx_tensor *x, *y;
    float *factors;
} rows_saved;

static void add_rows(plx_tape *t, const plx_tensor *shape, const float *factors, const float *from,
                     float *to) {
    size_t each = plx_tensor_size(shape) / (size_t)shape->shape[0];
    for (int n = 0; n < shape->shape[0]; n++)
        plx_tape_kernels(t)->axpy(each, factors[n], from + each * (size_t)n, to + each * (size_t)n);
}

/* y_n = f_n x_n:  dx_n = f_n dy_n. */
static void rows_backward(plx_tape *t, void *saved) {
    rows_saved *s = saved;
    add_rows(t, s->y, s->factors, s->y->grad, s->x->grad);
}

plx_tensor *plx_scale_rows(plx_tape *t, plx_tensor *x, const float *factors) {
    plx_tensor *y = plx_tape_tensor(t, "scale_rows", x->ndim, x->shape, x->grad);
    memset(y->data, 0, plx_tensor_size(y) * sizeof(float));
    add_rows(t, y, factors, x->data, y->data);
    if (y->grad) {
        rows_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        size_t bytes = (size_t)x->shape[0] * sizeof(float);
        *s = (rows_saved){x, y, plx_arena_alloc(plx_tape_arena(t), bytes)};
        memcpy(s->factors, factors, bytes);
        plx_tape_push(t, rows_backward, s);
    }
    return y;
}
