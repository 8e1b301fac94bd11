#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

/* x, w and b or NULL */
static void conv_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *b = op->input[2];
    plx_tape_kernels(t)->conv_fwd(*(plx_conv_size *)op->saved, op->input[0]->data, op->input[1]->data,
                                  b ? b->data : NULL, op->output->data);
}

/* With y = x * w + b:  dx = dy * w (transposed),  dw = x^T dy,  db = sum of dy. */
static void conv_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0], *w = op->input[1], *b = op->input[2];
    plx_tape_kernels(t)->conv_bwd(*(plx_conv_size *)op->saved, x->data, w->data, op->output->grad, x->grad,
                                  w->grad, b ? b->grad : NULL);
}

plx_tensor *plx_conv2d(plx_tape *t, plx_tensor *x, plx_tensor *w, plx_tensor *b, int stride) {
    PLX_CHECK(x->ndim == 4 && w->ndim == 4 && x->shape[3] == w->shape[3] && w->shape[1] == w->shape[2] &&
                  w->shape[1] % 2 == 1,
              "conv2d %s: input %s, weight %s", w->name, plx_shape(x).text, plx_shape(w).text);
    plx_conv_size size = {x->shape[0], x->shape[1], x->shape[2], x->shape[3],
                          w->shape[0], w->shape[1], stride};
    PLX_CHECK(!b || (b->ndim == 1 && b->shape[0] == size.O), "conv2d %s: weight %s, bias %s", w->name,
              plx_shape(w).text, plx_shape(b).text);
    PLX_CHECK(stride == 1 || (stride == 2 && size.H % 2 == 0 && size.W % 2 == 0),
              "conv2d %s: input %s, stride %d", w->name, plx_shape(x).text, stride);
    plx_tensor *y = plx_tape_tensor(t, "conv2d", PLX_SHAPE(size.N, size.H / stride, size.W / stride, size.O));
    return plx_tape_apply(t, (plx_op){.forward = conv_forward,
                                      .backward = conv_backward,
                                      .properties = PLX_READS_INPUTS,
                                      .output = y,
                                      .input = {x, w, b},
                                      .saved = plx_tape_save(t, &size, sizeof size)});
}
