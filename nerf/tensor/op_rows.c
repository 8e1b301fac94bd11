#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/ops.h"

static void add_rows(plx_tape *t, const plx_op *op, const float *from, float *to) {
    const float *factors = op->saved;
    size_t N = (size_t)op->output->shape[0], each = plx_tensor_size(op->output) / N;
    for (size_t n = 0; n < N; n++)
        plx_tape_kernels(t)->axpy(each, factors[n], from + each * n, to + each * n);
}

static void rows_forward(plx_tape *t, const plx_op *op) {
    plx_memory_zero(plx_tape_memory(t), op->output->data, plx_tensor_size(op->output) * sizeof(float));
    add_rows(t, op, op->input[0]->data, op->output->data);
}

/* y_n = f_n x_n:  dx_n = f_n dy_n. */
static void rows_backward(plx_tape *t, const plx_op *op) {
    add_rows(t, op, op->output->grad, op->input[0]->grad);
}

plx_tensor *plx_scale_rows(plx_tape *t, plx_tensor *x, const float *factors) {
    return plx_tape_apply(
        t, (plx_op){.forward = rows_forward,
                    .backward = rows_backward,
                    .output = plx_tape_tensor(t, "scale_rows", x->ndim, x->shape),
                    .input = {x},
                    .saved = plx_tape_save(t, factors, (size_t)x->shape[0] * sizeof *factors)});
}
