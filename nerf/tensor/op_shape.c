/* Ops that move values about: channels side by side, axes exchanged, pixels into channels, scale changes. */
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

#include <string.h>

typedef struct shape_saved {
    plx_tensor *a, *b, *y;
    int p, q; /* begin and end of a slice; window of a pool; ratio of pixel shuffles */
} shape_saved;

static void push(plx_tape *t, plx_backward_fn backward, shape_saved values) {
    if (!values.y->grad) return;
    shape_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
    *s = values;
    plx_tape_push(t, backward, s);
}

static int channels(const plx_tensor *x) {
    return x->shape[x->ndim - 1];
}
static size_t rows(const plx_tensor *x) {
    return plx_tensor_size(x) / (size_t)channels(x);
}

static void concat_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    plx_tape_kernels(t)->concat_bwd(rows(s->y), channels(s->a), channels(s->b), s->y->grad, s->a->grad,
                                    s->b->grad);
}

plx_tensor *plx_concat(plx_tape *t, plx_tensor *a, plx_tensor *b) {
    int last = a->ndim - 1;
    PLX_CHECK(a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)last * sizeof(int)) == 0,
              "concat: %s %s and %s %s", a->name, plx_shape(a).text, b->name, plx_shape(b).text);
    int shape[PLX_MAX_DIMENSIONS];
    memcpy(shape, a->shape, sizeof shape);
    shape[last] = channels(a) + channels(b);
    plx_tensor *y = plx_tape_tensor(t, "concat", a->ndim, shape, a->grad || b->grad);
    plx_tape_kernels(t)->concat_fwd(rows(y), channels(a), channels(b), a->data, b->data, y->data);
    push(t, concat_backward, (shape_saved){.a = a, .b = b, .y = y});
    return y;
}

static void slice_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    plx_tape_kernels(t)->slice_bwd(rows(s->a), channels(s->a), s->p, s->q, s->y->grad, s->a->grad);
}

plx_tensor *plx_slice(plx_tape *t, plx_tensor *x, int begin, int end) {
    PLX_CHECK(0 <= begin && begin < end && end <= channels(x), "slice %d:%d of %s %s", begin, end, x->name,
              plx_shape(x).text);
    int shape[PLX_MAX_DIMENSIONS];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->ndim - 1] = end - begin;
    plx_tensor *y = plx_tape_tensor(t, "slice", x->ndim, shape, x->grad);
    plx_tape_kernels(t)->slice_fwd(rows(x), channels(x), begin, end, x->data, y->data);
    push(t, slice_backward, (shape_saved){.a = x, .y = y, .p = begin, .q = end});
    return y;
}

plx_tensor *plx_reshape(plx_tape *t, plx_tensor *x, int ndim, const int *shape) {
    PLX_CHECK(ndim >= 1 && ndim <= PLX_MAX_DIMENSIONS, "reshape of %s to %d dimensions", x->name, ndim);
    plx_tensor *y = plx_arena_zalloc(plx_tape_arena(t), sizeof *y);
    *y = (plx_tensor){.ndim = ndim, .data = x->data, .grad = x->grad, .name = x->name};
    memcpy(y->shape, shape, (size_t)ndim * sizeof *shape);
    PLX_CHECK(plx_tensor_size(x) == plx_tensor_size(y), "reshape of %s: %s to %s", x->name, plx_shape(x).text,
              plx_shape(y).text);
    return y;
}

static void swap_hw_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    const int *n = s->a->shape;
    plx_tape_kernels(t)->swap_hw_bwd(n[0], n[1], n[2], n[3], s->y->grad, s->a->grad);
}

plx_tensor *plx_swap_hw(plx_tape *t, plx_tensor *x) {
    PLX_CHECK(x->ndim == 4, "swap_hw of %s %s", x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "swap_hw", PLX_SHAPE(n[0], n[2], n[1], n[3]), x->grad);
    plx_tape_kernels(t)->swap_hw_fwd(n[0], n[1], n[2], n[3], x->data, y->data);
    push(t, swap_hw_backward, (shape_saved){.a = x, .y = y});
    return y;
}

static void upsample2_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    const int *n = s->a->shape;
    plx_tape_kernels(t)->upsample2_bwd(n[0], n[1], n[2], n[3], s->y->grad, s->a->grad);
}

plx_tensor *plx_upsample2(plx_tape *t, plx_tensor *x) {
    PLX_CHECK(x->ndim == 4, "upsample2 of %s %s", x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "upsample2", PLX_SHAPE(n[0], 2 * n[1], 2 * n[2], n[3]), x->grad);
    plx_tape_kernels(t)->upsample2_fwd(n[0], n[1], n[2], n[3], x->data, y->data);
    push(t, upsample2_backward, (shape_saved){.a = x, .y = y});
    return y;
}

static void pool_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    const int *n = s->a->shape;
    plx_tape_kernels(t)->pool_bwd(n[0], n[1], n[2], n[3], s->p, s->q, s->y->grad, s->a->grad);
}

plx_tensor *plx_average_pool(plx_tape *t, plx_tensor *x, int kh, int kw) {
    PLX_CHECK(x->ndim == 4 && kh > 0 && kw > 0 && x->shape[1] % kh == 0 && x->shape[2] % kw == 0,
              "average_pool %dx%d of %s %s", kh, kw, x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y = plx_tape_tensor(t, "average_pool", PLX_SHAPE(n[0], n[1] / kh, n[2] / kw, n[3]), x->grad);
    plx_tape_kernels(t)->pool_fwd(n[0], n[1], n[2], n[3], kh, kw, x->data, y->data);
    push(t, pool_backward, (shape_saved){.a = x, .y = y, .p = kh, .q = kw});
    return y;
}

static void space_to_depth_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    const int *n = s->a->shape;
    plx_tape_kernels(t)->space_to_depth_bwd(n[0], n[1], n[2], n[3], s->p, s->y->grad, s->a->grad);
}

plx_tensor *plx_space_to_depth(plx_tape *t, plx_tensor *x, int r) {
    PLX_CHECK(x->ndim == 4 && r > 0 && x->shape[1] % r == 0 && x->shape[2] % r == 0,
              "space_to_depth %d of %s %s", r, x->name, plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y =
        plx_tape_tensor(t, "space_to_depth", PLX_SHAPE(n[0], n[1] / r, n[2] / r, r * r * n[3]), x->grad);
    plx_tape_kernels(t)->space_to_depth_fwd(n[0], n[1], n[2], n[3], r, x->data, y->data);
    push(t, space_to_depth_backward, (shape_saved){.a = x, .y = y, .p = r});
    return y;
}

static void depth_to_space_backward(plx_tape *t, void *saved) {
    shape_saved *s = saved;
    const int *n = s->a->shape;
    plx_tape_kernels(t)->depth_to_space_bwd(n[0], n[1], n[2], n[3], s->p, s->y->grad, s->a->grad);
}

plx_tensor *plx_depth_to_space(plx_tape *t, plx_tensor *x, int r) {
    PLX_CHECK(x->ndim == 4 && r > 0 && x->shape[3] % (r * r) == 0, "depth_to_space %d of %s %s", r, x->name,
              plx_shape(x).text);
    const int *n = x->shape;
    plx_tensor *y =
        plx_tape_tensor(t, "depth_to_space", PLX_SHAPE(n[0], n[1] * r, n[2] * r, n[3] / (r * r)), x->grad);
    plx_tape_kernels(t)->depth_to_space_fwd(n[0], n[1], n[2], n[3], r, x->data, y->data);
    push(t, depth_to_space_backward, (shape_saved){.a = x, .y = y, .p = r});
    return y;
}
