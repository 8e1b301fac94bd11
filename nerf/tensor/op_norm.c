#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct norm_saved {
    plx_norm_size size;
    plx_tensor *x, *gamma, *beta, *scale_shift, *y;
    float *mean_rstd; /* (N,groups,2) */
} norm_saved;

/* u = (xhat gamma + beta)(1 + scale) + shift, y = silu(u). With g = dL/dxhat, over a group of n elements:
 * dx = rstd (g - mean(g) - xhat mean(g xhat)). */
static void norm_backward(plx_tape *t, void *saved) {
    norm_saved *s = saved;
    plx_tape_kernels(t)->norm_bwd(s->size, s->x->data, s->gamma->data, s->beta->data,
                                  s->scale_shift ? s->scale_shift->data : NULL, s->mean_rstd, s->y->grad,
                                  s->x->grad, s->gamma->grad, s->beta->grad,
                                  s->scale_shift ? s->scale_shift->grad : NULL);
}

plx_tensor *plx_group_norm(plx_tape *t, plx_tensor *x, plx_tensor *gamma, plx_tensor *beta, int groups,
                           plx_tensor *scale_shift, bool silu) {
    PLX_CHECK(x->ndim == 4 && groups > 0 && x->shape[3] % groups == 0, "group_norm %s: input %s, %d groups",
              gamma->name, plx_shape(x).text, groups);
    plx_norm_size size = {x->shape[0], x->shape[1] * x->shape[2], x->shape[3], groups, silu};
    PLX_CHECK(plx_tensor_size(gamma) == (size_t)size.C && plx_tensor_size(beta) == (size_t)size.C,
              "group_norm %s: input %s, gamma %s, beta %s", gamma->name, plx_shape(x).text,
              plx_shape(gamma).text, plx_shape(beta).text);
    PLX_CHECK(!scale_shift || (scale_shift->ndim == 2 && scale_shift->shape[0] == size.N &&
                               scale_shift->shape[1] == 2 * size.C),
              "group_norm %s: input %s, scale_shift %s", gamma->name, plx_shape(x).text,
              plx_shape(scale_shift).text);
    plx_tensor *y =
        plx_tape_tensor(t, "group_norm", 4, x->shape,
                        x->grad || gamma->grad || beta->grad || (scale_shift && scale_shift->grad));
    float *mean_rstd =
        plx_arena_alloc(plx_tape_arena(t), (size_t)size.N * (size_t)groups * 2 * sizeof(float));
    plx_tape_kernels(t)->norm_fwd(size, x->data, gamma->data, beta->data,
                                  scale_shift ? scale_shift->data : NULL, mean_rstd, y->data);
    if (y->grad) {
        norm_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        *s = (norm_saved){size, x, gamma, beta, scale_shift, y, mean_rstd};
        plx_tape_push(t, norm_backward, s);
    }
    return y;
}
