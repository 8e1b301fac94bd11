#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct lp_saved {
    const float *y, *weight; /* the device's */
    double *weight_sum;
    int p;
} lp_saved;

static void lp_forward(plx_tape *t, const plx_op *op) {
    const lp_saved *s = op->saved;
    const plx_tensor *x = op->input[0];
    plx_tape_kernels(t)->lp_fwd(plx_tensor_size(x), s->p, x->data, s->y, s->weight, s->weight_sum,
                                op->output->data);
}

/* d/dx_i = w_i sign(x_i - y_i) / sum w  (p = 1; 0 at 0),  2 w_i (x_i - y_i) / sum w  (p = 2). */
static void lp_backward(plx_tape *t, const plx_op *op) {
    const lp_saved *s = op->saved;
    const plx_tensor *x = op->input[0];
    plx_tape_kernels(t)->lp_bwd(plx_tensor_size(x), s->p, x->data, s->y, s->weight, s->weight_sum,
                                op->output->grad, x->grad);
}

plx_tensor *plx_loss_lp_on(plx_tape *t, plx_tensor *x, const float *y, const float *weight, int p) {
    PLX_CHECK(p == 1 || p == 2, "loss_lp of %s: p is %d", x->name, p);
    lp_saved saved = {.y = y, .weight = weight, .weight_sum = plx_tape_array(t, sizeof(double)), .p = p};
    return plx_tape_apply(t, (plx_op){.forward = lp_forward,
                                      .backward = lp_backward,
                                      .properties = PLX_READS_INPUTS,
                                      .output = plx_tape_tensor(t, "loss_lp", PLX_SHAPE(1)),
                                      .input = {x},
                                      .saved = plx_tape_save(t, &saved, sizeof saved)});
}

plx_tensor *plx_loss_lp(plx_tape *t, plx_tensor *x, const float *y, const float *weight, int p) {
    /* The caller's arrays may be gone by the backward pass: copies live with the step. */
    size_t bytes = plx_tensor_size(x) * sizeof(float);
    return plx_loss_lp_on(t, x, plx_tape_copy(t, y, bytes), weight ? plx_tape_copy(t, weight, bytes) : NULL,
                          p);
}

static plx_loss_terms terms_of(const plx_op *op, bool gradients) {
    const float *factors = op->saved;
    plx_loss_terms terms = {0};
    for (; terms.count < PLX_OP_INPUTS && op->input[terms.count]; terms.count++) {
        const plx_tensor *x = op->input[terms.count];
        terms.term[terms.count] = gradients ? x->grad : x->data;
        terms.factor[terms.count] = factors[terms.count];
    }
    return terms;
}

static void sum_forward(plx_tape *t, const plx_op *op) {
    plx_tape_kernels(t)->loss_sum_fwd(terms_of(op, false), op->output->data);
}

static void sum_backward(plx_tape *t, const plx_op *op) {
    plx_tape_kernels(t)->loss_sum_bwd(terms_of(op, true), op->output->grad);
}

plx_tensor *plx_loss_sum(plx_tape *t, int count, plx_tensor *const *losses, const float *factors) {
    PLX_CHECK(count > 0 && count <= PLX_OP_INPUTS && PLX_OP_INPUTS == PLX_LOSS_TERMS, "loss_sum of %d losses",
              count);
    plx_op op = {.forward = sum_forward,
                 .backward = sum_backward,
                 .output = plx_tape_tensor(t, "loss_sum", PLX_SHAPE(1)),
                 .saved = plx_tape_save(t, factors, (size_t)count * sizeof *factors)};
    for (int k = 0; k < count; k++) {
        PLX_CHECK(plx_tensor_size(losses[k]) == 1, "loss_sum: %s %s is not one number", losses[k]->name,
                  plx_shape(losses[k]).text);
        op.input[k] = losses[k];
    }
    return plx_tape_apply(t, op);
}
