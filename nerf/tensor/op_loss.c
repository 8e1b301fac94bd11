#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

#include <math.h>
#include <string.h>

typedef struct lp_saved {
    plx_tensor *x, *loss;
    const float *y, *weight;
    double weight_sum;
    int p;
} lp_saved;

/* d/dx_i = w_i sign(x_i - y_i) / sum w  (p = 1; 0 at 0),  2 w_i (x_i - y_i) / sum w  (p = 2). */
static void lp_backward(plx_tape *t, void *saved) {
    (void)t;
    lp_saved *s = saved;
    size_t n = plx_tensor_size(s->x);
    double factor = s->loss->grad[0] / s->weight_sum;
    for (size_t i = 0; i < n; i++) {
        double d = (double)s->x->data[i] - s->y[i], w = s->weight ? s->weight[i] : 1;
        s->x->grad[i] += (float)(factor * w * (s->p == 2 ? 2 * d : (d > 0) - (d < 0)));
    }
}

plx_tensor *plx_loss_lp(plx_tape *t, plx_tensor *x, const float *y, const float *weight, int p) {
    PLX_CHECK(p == 1 || p == 2, "loss_lp of %s: p is %d", x->name, p);
    size_t n = plx_tensor_size(x);
    double sum = 0, weight_sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x->data[i] - y[i], w = weight ? weight[i] : 1;
        sum += w * (p == 2 ? d * d : fabs(d));
        weight_sum += w;
    }
    if (weight_sum == 0) weight_sum = 1; /* all weights 0: the loss and its gradient are 0 */
    plx_tensor *loss = plx_tape_tensor(t, "loss_lp", PLX_SHAPE(1), x->grad);
    loss->data[0] = (float)(sum / weight_sum);
    if (loss->grad) {
        lp_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        /* The caller's arrays may be gone by the backward pass: copies live with the step. */
        float *copy = plx_arena_alloc(plx_tape_arena(t), (weight ? 2 : 1) * n * sizeof(float));
        memcpy(copy, y, n * sizeof(float));
        if (weight) memcpy(copy + n, weight, n * sizeof(float));
        *s = (lp_saved){x, loss, copy, weight ? copy + n : NULL, weight_sum, p};
        plx_tape_push(t, lp_backward, s);
    }
    return loss;
}

typedef struct sum_saved {
    int count;
    plx_tensor **losses, *loss;
    float *factors;
} sum_saved;

static void sum_backward(plx_tape *t, void *saved) {
    (void)t;
    sum_saved *s = saved;
    for (int k = 0; k < s->count; k++)
        if (s->losses[k]->grad) s->losses[k]->grad[0] += s->factors[k] * s->loss->grad[0];
}

plx_tensor *plx_loss_sum(plx_tape *t, int count, plx_tensor *const *losses, const float *factors) {
    PLX_CHECK(count > 0, "loss_sum of %d losses", count);
    double sum = 0;
    bool wants = false;
    for (int k = 0; k < count; k++) {
        PLX_CHECK(plx_tensor_size(losses[k]) == 1, "loss_sum: %s %s is not one number", losses[k]->name,
                  plx_shape(losses[k]).text);
        sum += (double)factors[k] * losses[k]->data[0];
        wants = wants || losses[k]->grad;
    }
    plx_tensor *loss = plx_tape_tensor(t, "loss_sum", PLX_SHAPE(1), wants);
    loss->data[0] = (float)sum;
    if (loss->grad) {
        plx_arena *arena = plx_tape_arena(t);
        sum_saved *s = plx_arena_alloc(arena, sizeof *s);
        *s = (sum_saved){count, plx_arena_alloc(arena, (size_t)count * sizeof *s->losses), loss,
                         plx_arena_alloc(arena, (size_t)count * sizeof *s->factors)};
        memcpy(s->losses, losses, (size_t)count * sizeof *s->losses);
        memcpy(s->factors, factors, (size_t)count * sizeof *s->factors);
        plx_tape_push(t, sum_backward, s);
    }
    return loss;
}
