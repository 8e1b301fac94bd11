/* Ops that move values about: channels side by side, axes exchanged, pixels into channels, scale changes. */
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

#include <string.h>

static int channels(const plx_tensor *x) {
    return x->shape[x->ndim - 1];
}
static size_t rows(const plx_tensor *x) {
    return plx_tensor_size(x) / (size_t)channels(x);
}

typedef struct pair {
    int p, q; /* begin and end of a slice; window of a pool; ratio of pixel shuffles */
} pair;

static pair saved_pair(const plx_op *op) {
    return *(const pair *)op->saved;
}

static plx_tensor *apply(plx_tape *t, plx_op_fn forward, plx_op_fn backward, plx_tensor *x, plx_tensor *y,
                         pair values) {
    return plx_tape_apply(t, (plx_op){.forward = forward,
                                      .backward = backward,
                                      .output = y,
                                      .input = {x},
                                      .saved = plx_tape_save(t, &values, sizeof values)});
}

/* ---- channels ----------------------------------------------------------------------------------------------- */

static void concat_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *a = op->input[0], *b = op->input[1];
    plx_tape_kernels(t)->concat_fwd(rows(a), channels(a), channels(b), a->data, b->data, op->output->data);
}

static void concat_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *a = op->input[0], *b = op->input[1];
    plx_tape_kernels(t)->concat_bwd(rows(a), channels(a), channels(b), op->output->grad, a->grad, b->grad);
}

plx_tensor *plx_concat(plx_tape *t, plx_tensor *a, plx_tensor *b) {
    int last = a->ndim - 1;
    PLX_CHECK(a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)last * sizeof(int)) == 0,
              "concat: %s %s and %s %s", a->name, plx_shape(a).text, b->name, plx_shape(b).text);
    int shape[PLX_MAX_DIMENSIONS];
    memcpy(shape, a->shape, sizeof shape);
    shape[last] = channels(a) + channels(b);
    return plx_tape_apply(t, (plx_op){.forward = concat_forward,
                                      .backward = concat_backward,
                                      .properties = PLX_RUNS_AGAIN,
                                      .output = plx_tape_tensor(t, "concat", a->ndim, shape),
                                      .input = {a, b}});
}

static void slice_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const pair at = saved_pair(op);
    plx_tape_kernels(t)->slice_fwd(rows(x), channels(x), at.p, at.q, x->data, op->output->data);
}

static void slice_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const pair at = saved_pair(op);
    plx_tape_kernels(t)->slice_bwd(rows(x), channels(x), at.p, at.q, op->output->grad, x->grad);
}

plx_tensor *plx_slice(plx_tape *t, plx_tensor *x, int begin, int end) {
    PLX_CHECK(0 <= begin && begin < end && end <= channels(x), "slice %d:%d of %s %s", begin, end, x->name,
              plx_shape(x).text);
    int shape[PLX_MAX_DIMENSIONS];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->ndim - 1] = end - begin;
    return apply(t, slice_forward, slice_backward, x, plx_tape_tensor(t, "slice", x->ndim, shape),
                 (pair){begin, end});
}

plx_tensor *plx_reshape(plx_tape *t, plx_tensor *x, int ndim, const int *shape) {
    PLX_CHECK(ndim >= 1 && ndim <= PLX_MAX_DIMENSIONS, "reshape of %s to %d dimensions", x->name, ndim);
    plx_tensor *y = plx_tape_view(t, x, ndim, shape);
    PLX_CHECK(plx_tensor_size(x) == plx_tensor_size(y), "reshape of %s: %s to %s", x->name, plx_shape(x).text,
              plx_shape(y).text);
    return plx_tape_apply(t, (plx_op){.properties = PLX_PASSES, .output = y, .input = {x}});
}

/* ---- pixels: kernels of the input's (N,H,W,C) ------------------------------------------------------------------ */

static void swap_hw_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->swap_hw_fwd(n[0], n[1], n[2], n[3], x->data, op->output->data);
}

static void swap_hw_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->swap_hw_bwd(n[0], n[1], n[2], n[3], op->output->grad, x->grad);
}

plx_tensor *plx_swap_hw(plx_tape *t, plx_tensor *x) {
    PLX_CHECK(x->ndim == 4, "swap_hw of %s %s", x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "swap_hw", PLX_SHAPE(n[0], n[2], n[1], n[3]));
    return apply(t, swap_hw_forward, swap_hw_backward, x, y, (pair){0});
}

static void upsample2_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->upsample2_fwd(n[0], n[1], n[2], n[3], x->data, op->output->data);
}

static void upsample2_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->upsample2_bwd(n[0], n[1], n[2], n[3], op->output->grad, x->grad);
}

plx_tensor *plx_upsample2(plx_tape *t, plx_tensor *x) {
    PLX_CHECK(x->ndim == 4, "upsample2 of %s %s", x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "upsample2", PLX_SHAPE(n[0], 2 * n[1], 2 * n[2], n[3]));
    return plx_tape_apply(t, (plx_op){.forward = upsample2_forward,
                                      .backward = upsample2_backward,
                                      .properties = PLX_RUNS_AGAIN,
                                      .output = y,
                                      .input = {x}});
}

static void pool_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    const pair k = saved_pair(op);
    plx_tape_kernels(t)->pool_fwd(n[0], n[1], n[2], n[3], k.p, k.q, x->data, op->output->data);
}

static void pool_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    const pair k = saved_pair(op);
    plx_tape_kernels(t)->pool_bwd(n[0], n[1], n[2], n[3], k.p, k.q, op->output->grad, x->grad);
}

plx_tensor *plx_average_pool(plx_tape *t, plx_tensor *x, int kh, int kw) {
    PLX_CHECK(x->ndim == 4 && kh > 0 && kw > 0 && x->shape[1] % kh == 0 && x->shape[2] % kw == 0,
              "average_pool %dx%d of %s %s", kh, kw, x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "average_pool", PLX_SHAPE(n[0], n[1] / kh, n[2] / kw, n[3]));
    return apply(t, pool_forward, pool_backward, x, y, (pair){kh, kw});
}

static void space_to_depth_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->space_to_depth_fwd(n[0], n[1], n[2], n[3], saved_pair(op).p, x->data,
                                            op->output->data);
}

static void space_to_depth_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->space_to_depth_bwd(n[0], n[1], n[2], n[3], saved_pair(op).p, op->output->grad,
                                            x->grad);
}

plx_tensor *plx_space_to_depth(plx_tape *t, plx_tensor *x, int r) {
    PLX_CHECK(x->ndim == 4 && r > 0 && x->shape[1] % r == 0 && x->shape[2] % r == 0,
              "space_to_depth %d of %s %s", r, x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "space_to_depth", PLX_SHAPE(n[0], n[1] / r, n[2] / r, r * r * n[3]));
    return apply(t, space_to_depth_forward, space_to_depth_backward, x, y, (pair){r, 0});
}

static void depth_to_space_forward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->depth_to_space_fwd(n[0], n[1], n[2], n[3], saved_pair(op).p, x->data,
                                            op->output->data);
}

static void depth_to_space_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    const int *n = x->shape;
    plx_tape_kernels(t)->depth_to_space_bwd(n[0], n[1], n[2], n[3], saved_pair(op).p, op->output->grad,
                                            x->grad);
}

plx_tensor *plx_depth_to_space(plx_tape *t, plx_tensor *x, int r) {
    PLX_CHECK(x->ndim == 4 && r > 0 && x->shape[3] % (r * r) == 0, "depth_to_space %d of %s %s", r, x->name,
              plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "depth_to_space", PLX_SHAPE(n[0], n[1] * r, n[2] * r, n[3] / (r * r)));
    return apply(t, depth_to_space_forward, depth_to_space_backward, x, y, (pair){r, 0});
}
