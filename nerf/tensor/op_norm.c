#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct norm_saved {
    plx_norm_size size;
    float *mean_rstd; /* (N,groups,2) */
} norm_saved;

static const float *data_of(const plx_tensor *x) {
    return x ? x->data : NULL;
}

/* x, gamma, beta and scale_shift or NULL */
static void norm_forward(plx_tape *t, const plx_op *op) {
    norm_saved *s = op->saved;
    plx_tape_kernels(t)->norm_fwd(s->size, op->input[0]->data, op->input[1]->data, op->input[2]->data,
                                  data_of(op->input[3]), s->mean_rstd, op->output->data);
    s->size.known = true;
}

/* u = (xhat gamma + beta)(1 + scale) + shift, y = silu(u). With g = dL/dxhat, over a group of n elements:
 * dx = rstd (g - mean(g) - xhat mean(g xhat)). */
static void norm_backward(plx_tape *t, const plx_op *op) {
    const norm_saved *s = op->saved;
    const plx_tensor *x = op->input[0], *gamma = op->input[1], *beta = op->input[2],
                     *scale_shift = op->input[3];
    plx_tape_kernels(t)->norm_bwd(s->size, x->data, gamma->data, beta->data, data_of(scale_shift),
                                  s->mean_rstd, op->output->grad, x->grad, gamma->grad, beta->grad,
                                  scale_shift ? scale_shift->grad : NULL);
}

plx_tensor *plx_group_norm(plx_tape *t, plx_tensor *x, plx_tensor *gamma, plx_tensor *beta, int groups,
                           plx_tensor *scale_shift, bool silu) {
    PLX_CHECK(x->ndim == 4 && groups > 0 && x->shape[3] % groups == 0, "group_norm %s: input %s, %d groups",
              gamma->name, plx_shape(x).text, groups);
    plx_norm_size size = {x->shape[0], x->shape[1] * x->shape[2], x->shape[3], groups, silu, false};
    PLX_CHECK(plx_tensor_size(gamma) == (size_t)size.C && plx_tensor_size(beta) == (size_t)size.C,
              "group_norm %s: input %s, gamma %s, beta %s", gamma->name, plx_shape(x).text,
              plx_shape(gamma).text, plx_shape(beta).text);
    PLX_CHECK(!scale_shift || (scale_shift->ndim == 2 && scale_shift->shape[0] == size.N &&
                               scale_shift->shape[1] == 2 * size.C),
              "group_norm %s: input %s, scale_shift %s", gamma->name, plx_shape(x).text,
              plx_shape(scale_shift).text);
    size_t numbers = 2 * (size_t)size.N * (size_t)groups;
    norm_saved saved = {size, plx_tape_array(t, numbers * sizeof(float))};
    return plx_tape_apply(t, (plx_op){.forward = norm_forward,
                                      .backward = norm_backward,
                                      .properties = PLX_READS_INPUTS | PLX_RUNS_AGAIN,
                                      .output = plx_tape_tensor(t, "group_norm", 4, x->shape),
                                      .input = {x, gamma, beta, scale_shift},
                                      .saved = plx_tape_save(t, &saved, sizeof saved)});
}
