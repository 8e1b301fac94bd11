#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

static size_t elements(const plx_op *op) {
    return plx_tensor_size(op->output);
}

static void silu_forward(plx_tape *t, const plx_op *op) {
    plx_tape_kernels(t)->silu_fwd(elements(op), op->input[0]->data, op->output->data);
}

/* y = x s(x), s = 1/(1+e^-x):  dy/dx = s (1 + x (1 - s)). */
static void silu_backward(plx_tape *t, const plx_op *op) {
    const plx_tensor *x = op->input[0];
    plx_tape_kernels(t)->silu_bwd(elements(op), x->data, op->output->grad, x->grad);
}

plx_tensor *plx_silu(plx_tape *t, plx_tensor *x) {
    return plx_tape_apply(t, (plx_op){.forward = silu_forward,
                                      .backward = silu_backward,
                                      .properties = PLX_READS_INPUTS | PLX_RUNS_AGAIN,
                                      .output = plx_tape_tensor(t, "silu", x->ndim, x->shape),
                                      .input = {x}});
}

static void sigmoid_forward(plx_tape *t, const plx_op *op) {
    plx_tape_kernels(t)->sigmoid_fwd(elements(op), op->input[0]->data, op->output->data);
}

/* y = s(x):  dy/dx = y (1 - y). */
static void sigmoid_backward(plx_tape *t, const plx_op *op) {
    plx_tape_kernels(t)->sigmoid_bwd(elements(op), op->output->data, op->output->grad, op->input[0]->grad);
}

plx_tensor *plx_sigmoid(plx_tape *t, plx_tensor *x) {
    return plx_tape_apply(t, (plx_op){.forward = sigmoid_forward,
                                      .backward = sigmoid_backward,
                                      .properties = PLX_READS_OUTPUT,
                                      .output = plx_tape_tensor(t, "sigmoid", x->ndim, x->shape),
                                      .input = {x}});
}

static void add_forward(plx_tape *t, const plx_op *op) {
    plx_memory_copy(plx_tape_memory(t), op->output->data, op->input[0]->data, elements(op) * sizeof(float));
    plx_tape_kernels(t)->axpy(elements(op), 1, op->input[1]->data, op->output->data);
}

plx_tensor *plx_add(plx_tape *t, plx_tensor *a, plx_tensor *b) {
    PLX_CHECK(plx_same_shape(a, b), "add: %s %s and %s %s", a->name, plx_shape(a).text, b->name,
              plx_shape(b).text);
    return plx_tape_apply(t, (plx_op){.forward = add_forward,
                                      .properties = PLX_PASSES,
                                      .output = plx_tape_tensor(t, "add", a->ndim, a->shape),
                                      .input = {a, b}});
}

static void scale_forward(plx_tape *t, const plx_op *op) {
    plx_memory_zero(plx_tape_memory(t), op->output->data, elements(op) * sizeof(float));
    plx_tape_kernels(t)->axpy(elements(op), *(float *)op->saved, op->input[0]->data, op->output->data);
}

static void scale_backward(plx_tape *t, const plx_op *op) {
    plx_tape_kernels(t)->axpy(elements(op), *(float *)op->saved, op->output->grad, op->input[0]->grad);
}

plx_tensor *plx_scale(plx_tape *t, plx_tensor *x, float factor) {
    return plx_tape_apply(t, (plx_op){.forward = scale_forward,
                                      .backward = scale_backward,
                                      .output = plx_tape_tensor(t, "scale", x->ndim, x->shape),
                                      .input = {x},
                                      .saved = plx_tape_save(t, &factor, sizeof factor)});
}
