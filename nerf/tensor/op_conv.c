#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/shape.h"

typedef struct conv_saved {
    plx_conv_size size;
    plx_tensor *x, *w, *b, *y;
} conv_saved;

/* With y = x * w + b:  dx = dy * w (transposed),  dw = x^T dy,  db = sum of dy. */
static void conv_backward(plx_tape *t, void *saved) {
    conv_saved *s = saved;
    plx_tape_kernels(t)->conv_bwd(s->size, s->x->data, s->w->data, s->y->grad, s->x->grad, s->w->grad,
                                  s->b ? s->b->grad : NULL);
}

plx_tensor *plx_conv2d(plx_tape *t, plx_tensor *x, plx_tensor *w, plx_tensor *b, int stride) {
    PLX_CHECK(x->ndim == 4 && w->ndim == 4 && x->shape[3] == w->shape[3] && w->shape[1] == w->shape[2] &&
                  w->shape[1] % 2 == 1,
              "conv2d %s: input %s, weight %s", w->name, plx_shape(x).text, plx_shape(w).text);
    plx_conv_size size = {x->shape[0], x->shape[1], x->shape[2], x->shape[3],
                          w->shape[0], w->shape[1], stride};
    PLX_CHECK(!b || (b->ndim == 1 && b->shape[0] == size.O), "conv2d %s: weight %s, bias %s", w->name,
              plx_shape(w).text, plx_shape(b).text);
    PLX_CHECK(stride == 1 || (stride == 2 && size.H % 2 == 0 && size.W % 2 == 0),
              "conv2d %s: input %s, stride %d", w->name, plx_shape(x).text, stride);
    plx_tensor *y = plx_tape_tensor(t, "conv2d", PLX_SHAPE(size.N, size.H / stride, size.W / stride, size.O),
                                    x->grad || w->grad || (b && b->grad));
    plx_tape_kernels(t)->conv_fwd(size, x->data, w->data, b ? b->data : NULL, y->data);
    if (y->grad) {
        conv_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        *s = (conv_saved){size, x, w, b, y};
        plx_tape_push(t, conv_backward, s);
    }
    return y;
}
