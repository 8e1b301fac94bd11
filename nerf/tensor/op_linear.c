#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

#include <string.h>

static size_t rows(const plx_tensor *x) {
    return plx_tensor_size(x) / (size_t)x->shape[x->ndim - 1];
}

/* x, w and b or NULL */
static void linear_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0], *w = op->input[1], *b = op->input[2];
    plx_tape_kernels(t)->linear_fwd(rows(x), w->shape[1], w->shape[0], x->data, w->data, b ? b->data : NULL,
                                    op->output->data);
}

/* With y = x w^T + b:  dx = dy w,  dw = dy^T x,  db = sum over rows of dy. */
static void linear_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0], *w = op->input[1], *b = op->input[2];
    plx_tape_kernels(t)->linear_bwd(rows(x), w->shape[1], w->shape[0], x->data, w->data, op->output->grad,
                                    x->grad, w->grad, b ? b->grad : NULL);
}

plx_tensor *plx_linear(plx_tape *t, plx_tensor *x, plx_tensor *w, plx_tensor *b) {
    PLX_CHECK(w->ndim == 2 && x->shape[x->ndim - 1] == w->shape[1], "linear %s: input %s, weight %s", w->name,
              plx_shape(x).text, plx_shape(w).text);
    PLX_CHECK(!b || (b->ndim == 1 && b->shape[0] == w->shape[0]), "linear %s: weight %s, bias %s", w->name,
              plx_shape(w).text, plx_shape(b).text);
    int shape[PLX_MAX_DIMENSIONS];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->ndim - 1] = w->shape[0];
    return plx_tape_apply(t, (plx_op){.forward = linear_forward,
                                      .backward = linear_backward,
                                      .properties = PLX_READS_INPUTS,
                                      .output = plx_tape_tensor(t, "linear", x->ndim, shape),
                                      .input = {x, w, b}});
}
