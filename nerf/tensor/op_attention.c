#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct attention_saved {
    plx_attention_size size;
    float *lse; /* (N,heads,Q): log of each row's sum of exponentials */
} attention_saved;

static void attention_forward(plx_tape *t, const plx_op *op) {
    const attention_saved *s = op->saved;
    plx_tape_kernels(t)->attention_fwd(s->size, op->input[0]->data, op->input[1]->data, op->input[2]->data,
                                       s->lse, op->output->data);
}

/* P = exp(s q k^T - lse), s = 1/sqrt(d), is recomputed. dv = P^T dy;  dS = P (dy v^T - rowsum(dy y));
 * dq = s dS k;  dk = s dS^T q. (Dao et al. 2022, alg. 4) */
static void attention_backward(plx_tape *t, const plx_op *op) {
    const attention_saved *s = op->saved;
    const plx_tensor *q = op->input[0], *k = op->input[1], *v = op->input[2], *y = op->output;
    plx_tape_kernels(t)->attention_bwd(s->size, q->data, k->data, v->data, s->lse, y->data, y->grad, q->grad,
                                       k->grad, v->grad);
}

static int tokens(const plx_tensor *x) {
    return (int)(plx_tensor_size(x) / (size_t)x->shape[0] / (size_t)x->shape[x->ndim - 1]);
}

plx_tensor *plx_attention(plx_tape *t, plx_tensor *q, plx_tensor *k, plx_tensor *v, int heads) {
    const int N = q->shape[0], C = q->shape[q->ndim - 1];
    PLX_CHECK(q->ndim >= 3 && k->ndim >= 3 && plx_same_shape(k, v) && k->shape[0] == N &&
                  k->shape[k->ndim - 1] == C && heads > 0 && C % heads == 0,
              "attention: q %s, k %s, v %s, %d heads", plx_shape(q).text, plx_shape(k).text,
              plx_shape(v).text, heads);
    plx_attention_size size = {N, tokens(q), tokens(k), heads, C / heads};
    size_t rows = (size_t)size.N * (size_t)heads * (size_t)size.Q;
    attention_saved saved = {size, plx_tape_array(t, rows * sizeof(float))};
    return plx_tape_apply(t, (plx_op){.forward = attention_forward,
                                      .backward = attention_backward,
                                      .properties = PLX_READS_INPUTS | PLX_READS_OUTPUT,
                                      .output = plx_tape_tensor(t, "attention", q->ndim, q->shape),
                                      .input = {q, k, v},
                                      .saved = plx_tape_save(t, &saved, sizeof saved)});
}
