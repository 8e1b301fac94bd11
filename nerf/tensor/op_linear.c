#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct linear_saved {
    plx_tensor *x, *w, *b, *y;
} linear_saved;

static size_t rows(const plx_tensor *x) {
    return plx_tensor_size(x) / (size_t)x->shape[x->ndim - 1];
}

/* With y = x w^T + b:  dx = dy w,  dw = dy^T x,  db = sum over rows of dy. */
static void linear_backward(plx_tape *t, void *saved) {
    linear_saved *s = saved;
    plx_tape_kernels(t)->linear_bwd(rows(s->x), s->w->shape[1], s->w->shape[0], s->x->data, s->w->data,
                                    s->y->grad, s->x->grad, s->w->grad, s->b ? s->b->grad : NULL);
}

plx_tensor *plx_linear(plx_tape *t, plx_tensor *x, plx_tensor *w, plx_tensor *b) {
    PLX_CHECK(w->ndim == 2 && x->shape[x->ndim - 1] == w->shape[1], "linear %s: input %s, weight %s", w->name,
              plx_shape(x).text, plx_shape(w).text);
    PLX_CHECK(!b || (b->ndim == 1 && b->shape[0] == w->shape[0]), "linear %s: weight %s, bias %s", w->name,
              plx_shape(w).text, plx_shape(b).text);
    int shape[PLX_MAX_DIMENSIONS];
    for (int i = 0; i < x->ndim; i++) shape[i] = x->shape[i];
    shape[x->ndim - 1] = w->shape[0];
    plx_tensor *y = plx_tape_tensor(t, "linear", x->ndim, shape, x->grad || w->grad || (b && b->grad));
    plx_tape_kernels(t)->linear_fwd(rows(x), w->shape[1], w->shape[0], x->data, w->data, b ? b->data : NULL,
                                    y->data);
    if (y->grad) {
        linear_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        *s = (linear_saved){x, w, b, y};
        plx_tape_push(t, linear_backward, s);
    }
    return y;
}
