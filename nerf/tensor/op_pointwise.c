#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

#include <string.h>

typedef struct pointwise_saved {
    plx_tensor *a, *b, *y;
    float factor;
} pointwise_saved;

static void push(plx_tape *t, plx_backward_fn backward, pointwise_saved values) {
    if (!values.y->grad) return;
    pointwise_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
    *s = values;
    plx_tape_push(t, backward, s);
}

/* y = x s(x), s = 1/(1+e^-x):  dy/dx = s (1 + x (1 - s)). */
static void silu_backward(plx_tape *t, void *saved) {
    pointwise_saved *s = saved;
    plx_tape_kernels(t)->silu_bwd(plx_tensor_size(s->a), s->a->data, s->y->grad, s->a->grad);
}

plx_tensor *plx_silu(plx_tape *t, plx_tensor *x) {
    plx_tensor *y = plx_tape_tensor(t, "silu", x->ndim, x->shape, x->grad);
    plx_tape_kernels(t)->silu_fwd(plx_tensor_size(x), x->data, y->data);
    push(t, silu_backward, (pointwise_saved){.a = x, .y = y});
    return y;
}

/* y = s(x):  dy/dx = y (1 - y). */
static void sigmoid_backward(plx_tape *t, void *saved) {
    pointwise_saved *s = saved;
    plx_tape_kernels(t)->sigmoid_bwd(plx_tensor_size(s->a), s->y->data, s->y->grad, s->a->grad);
}

plx_tensor *plx_sigmoid(plx_tape *t, plx_tensor *x) {
    plx_tensor *y = plx_tape_tensor(t, "sigmoid", x->ndim, x->shape, x->grad);
    plx_tape_kernels(t)->sigmoid_fwd(plx_tensor_size(x), x->data, y->data);
    push(t, sigmoid_backward, (pointwise_saved){.a = x, .y = y});
    return y;
}

static void add_backward(plx_tape *t, void *saved) {
    pointwise_saved *s = saved;
    size_t n = plx_tensor_size(s->y);
    if (s->a->grad) plx_tape_kernels(t)->axpy(n, 1, s->y->grad, s->a->grad);
    if (s->b->grad) plx_tape_kernels(t)->axpy(n, 1, s->y->grad, s->b->grad);
}

plx_tensor *plx_add(plx_tape *t, plx_tensor *a, plx_tensor *b) {
    PLX_CHECK(plx_same_shape(a, b), "add: %s %s and %s %s", a->name, plx_shape(a).text, b->name,
              plx_shape(b).text);
    plx_tensor *y = plx_tape_tensor(t, "add", a->ndim, a->shape, a->grad || b->grad);
    size_t n = plx_tensor_size(y);
    memcpy(y->data, a->data, n * sizeof(float));
    plx_tape_kernels(t)->axpy(n, 1, b->data, y->data);
    push(t, add_backward, (pointwise_saved){.a = a, .b = b, .y = y});
    return y;
}

static void scale_backward(plx_tape *t, void *saved) {
    pointwise_saved *s = saved;
    plx_tape_kernels(t)->axpy(plx_tensor_size(s->y), s->factor, s->y->grad, s->a->grad);
}

plx_tensor *plx_scale(plx_tape *t, plx_tensor *x, float factor) {
    plx_tensor *y = plx_tape_tensor(t, "scale", x->ndim, x->shape, x->grad);
    size_t n = plx_tensor_size(y);
    memset(y->data, 0, n * sizeof(float));
    plx_tape_kernels(t)->axpy(n, factor, x->data, y->data);
    push(t, scale_backward, (pointwise_saved){.a = x, .y = y, .factor = factor});
    return y;
}
