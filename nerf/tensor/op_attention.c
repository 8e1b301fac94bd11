#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct attention_saved {
    plx_attention_size size;
    plx_tensor *q, *k, *v, *y;
    float *lse; /* (N,heads,Q): log of each row's sum of exponentials */
} attention_saved;

/* P = exp(s q k^T - lse), s = 1/sqrt(d), is recomputed. dv = P^T dy;  dS = P (dy v^T - rowsum(dy y));
 * dq = s dS k;  dk = s dS^T q. (Dao et al. 2022, alg. 4) */
static void attention_backward(plx_tape *t, void *saved) {
    attention_saved *s = saved;
    plx_tape_kernels(t)->attention_bwd(s->size, s->q->data, s->k->data, s->v->data, s->lse, s->y->data,
                                       s->y->grad, s->q->grad, s->k->grad, s->v->grad);
}

plx_tensor *plx_attention(plx_tape *t, plx_tensor *q, plx_tensor *k, plx_tensor *v, int heads) {
    PLX_CHECK(q->ndim == 3 && k->ndim == 3 && plx_same_shape(k, v) && q->shape[0] == k->shape[0] &&
                  q->shape[2] == k->shape[2] && heads > 0 && q->shape[2] % heads == 0,
              "attention: q %s, k %s, v %s, %d heads", plx_shape(q).text, plx_shape(k).text,
              plx_shape(v).text, heads);
    plx_attention_size size = {q->shape[0], q->shape[1], k->shape[1], heads, q->shape[2] / heads};
    plx_tensor *y = plx_tape_tensor(t, "attention", 3, q->shape, q->grad || k->grad || v->grad);
    float *lse =
        plx_arena_alloc(plx_tape_arena(t), (size_t)size.N * (size_t)heads * (size_t)size.Q * sizeof(float));
    plx_tape_kernels(t)->attention_fwd(size, q->data, k->data, v->data, lse, y->data);
    if (y->grad) {
        attention_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        *s = (attention_saved){size, q, k, v, y, lse};
        plx_tape_push(t, attention_backward, s);
    }
    return y;
}
