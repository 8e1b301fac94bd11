#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

#include <math.h>

typedef struct lp_saved {
    const float *y, *weight;
    double weight_sum;
    int p;
} lp_saved;

static void lp_forward(plx_tape *t, const plx_op *op) {
    (void)t;
    lp_saved *s = op->saved;
    const plx_tensor *x = op->input[0];
    size_t n = plx_tensor_size(x);
    double sum = 0;
    s->weight_sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x->data[i] - s->y[i], w = s->weight ? s->weight[i] : 1;
        sum += w * (s->p == 2 ? d * d : fabs(d));
        s->weight_sum += w;
    }
    if (s->weight_sum == 0) s->weight_sum = 1; /* all weights 0: the loss and its gradient are 0 */
    op->output->data[0] = (float)(sum / s->weight_sum);
}

/* d/dx_i = w_i sign(x_i - y_i) / sum w  (p = 1; 0 at 0),  2 w_i (x_i - y_i) / sum w  (p = 2). */
static void lp_backward(plx_tape *t, const plx_op *op) {
    (void)t;
    const lp_saved *s = op->saved;
    const plx_tensor *x = op->input[0];
    size_t n = plx_tensor_size(x);
    double factor = op->output->grad[0] / s->weight_sum;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x->data[i] - s->y[i], w = s->weight ? s->weight[i] : 1;
        x->grad[i] += (float)(factor * w * (s->p == 2 ? 2 * d : (d > 0) - (d < 0)));
    }
}

plx_tensor *plx_loss_lp(plx_tape *t, plx_tensor *x, const float *y, const float *weight, int p) {
    PLX_CHECK(p == 1 || p == 2, "loss_lp of %s: p is %d", x->name, p);
    /* The caller's arrays may be gone by the backward pass: copies live with the step. */
    size_t bytes = plx_tensor_size(x) * sizeof(float);
    lp_saved saved = {
        .y = plx_tape_save(t, y, bytes), .weight = weight ? plx_tape_save(t, weight, bytes) : NULL, .p = p};
    return plx_tape_apply(t, (plx_op){.forward = lp_forward,
                                      .backward = lp_backward,
                                      .properties = PLX_READS_INPUTS,
                                      .output = plx_tape_tensor(t, "loss_lp", PLX_SHAPE(1)),
                                      .input = {x},
                                      .saved = plx_tape_save(t, &saved, sizeof saved)});
}

static void sum_forward(plx_tape *t, const plx_op *op) {
    (void)t;
    const float *factors = op->saved;
    double sum = 0;
    for (int k = 0; k < PLX_OP_INPUTS; k++)
        if (op->input[k]) sum += (double)factors[k] * op->input[k]->data[0];
    op->output->data[0] = (float)sum;
}

static void sum_backward(plx_tape *t, const plx_op *op) {
    (void)t;
    const float *factors = op->saved;
    for (int k = 0; k < PLX_OP_INPUTS; k++)
        if (op->input[k] && op->input[k]->grad) op->input[k]->grad[0] += factors[k] * op->output->grad[0];
}

plx_tensor *plx_loss_sum(plx_tape *t, int count, plx_tensor *const *losses, const float *factors) {
    PLX_CHECK(count > 0 && count <= PLX_OP_INPUTS, "loss_sum of %d losses", count);
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
