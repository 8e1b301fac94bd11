#include "nerf/tensor/kernels.h"
#include "nerf/tensor/ops_field.h"
#include "nerf/tensor/shape.h"

plx_field_size plx_field_operands_size(const plx_field_operands *p) {
    plx_field_size s = {.N = p->xy->shape[0],
                        .C = p->xz->shape[3],
                        .F = p->frequencies,
                        .H = p->w2->shape[0],
                        .guided = p->guided,
                        .xy = {p->xy->shape[1], p->xy->shape[2]},
                        .xz = {p->xz->shape[1], p->xz->shape[2]},
                        .yz = {p->yz->shape[1], p->yz->shape[2]}};
    PLX_CHECK(p->xz->shape[0] == s.N && p->yz->shape[0] == s.N && p->yz->shape[3] == s.C &&
                  p->xy->shape[3] == plx_field_xy_channels(s),
              "field: planes %s %s %s", plx_shape(p->xy).text, plx_shape(p->xz).text, plx_shape(p->yz).text);
    PLX_CHECK(p->w1->shape[0] == s.H && p->w1->shape[1] == plx_field_inputs(s) && p->w2->shape[1] == s.H &&
                  p->w3->shape[0] == plx_field_outputs(s) && p->w3->shape[1] == s.H,
              "field: weights %s %s %s for %d inputs", plx_shape(p->w1).text, plx_shape(p->w2).text,
              plx_shape(p->w3).text, plx_field_inputs(s));
    return s;
}

static plx_field_tensors values_of(const plx_field_operands *p) {
    return (plx_field_tensors){p->xy->data, p->xz->data, p->yz->data, p->w1->data, p->b1->data,
                               p->w2->data, p->b2->data, p->w3->data, p->b3->data};
}

typedef struct field_saved {
    plx_field_operands p;
    plx_points points;
    plx_tensor *values;
} field_saved;

static void field_backward(plx_tape *t, void *saved) {
    field_saved *s = saved;
    const plx_field_operands *p = &s->p;
    plx_field_tensors values = values_of(p);
    plx_field_tensors d = {p->xy->grad, p->xz->grad, p->yz->grad, p->w1->grad, p->b1->grad,
                           p->w2->grad, p->b2->grad, p->w3->grad, p->b3->grad};
    plx_tape_kernels(t)->field_bwd(plx_field_operands_size(p), &values, s->points, s->values->grad, &d);
}

plx_tensor *plx_field_evaluate(plx_tape *t, const plx_field_operands *p, plx_points points) {
    plx_field_size size = plx_field_operands_size(p);
    bool wants = p->xy->grad || p->xz->grad || p->yz->grad || p->w1->grad;
    plx_tensor *values = plx_tape_tensor(t, "field", PLX_SHAPE(points.start[size.N], 4), wants);
    plx_field_tensors operands = values_of(p);
    plx_tape_kernels(t)->field_fwd(size, &operands, points, values->data);
    if (values->grad) {
        field_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
        *s = (field_saved){*p, points, values};
        plx_tape_push(t, field_backward, s);
    }
    return values;
}

typedef struct rays_saved {
    plx_rays rays;
    const int *slab;
    const float *colour;
    plx_tensor *values, *out;
} rays_saved;

static void push(plx_tape *t, plx_backward_fn backward, rays_saved values) {
    if (!values.out->grad) return;
    rays_saved *s = plx_arena_alloc(plx_tape_arena(t), sizeof *s);
    *s = values;
    plx_tape_push(t, backward, s);
}

static void composite_backward(plx_tape *t, void *saved) {
    rays_saved *s = saved;
    plx_tape_kernels(t)->composite_bwd(s->rays, s->values->data, s->out->data, s->out->grad, s->values->grad);
}

plx_tensor *plx_composite(plx_tape *t, plx_tensor *values, plx_rays rays) {
    PLX_CHECK(values->ndim == 2 && values->shape[0] == rays.start[rays.R] && values->shape[1] == 4,
              "composite: values %s for %d samples", plx_shape(values).text, rays.start[rays.R]);
    plx_tensor *out = plx_tape_tensor(t, "composite", PLX_SHAPE(rays.R, 5), values->grad);
    plx_tape_kernels(t)->composite_fwd(rays, values->data, out->data);
    push(t, composite_backward, (rays_saved){.rays = rays, .values = values, .out = out});
    return out;
}

static void first_hit_backward(plx_tape *t, void *saved) {
    rays_saved *s = saved;
    plx_tape_kernels(t)->first_hit_bwd(s->rays, s->slab, s->colour, s->values->data, s->out->grad,
                                       s->values->grad);
}

plx_tensor *plx_first_hit(plx_tape *t, plx_tensor *values, plx_rays rays, const int *slab,
                          const float *colour) {
    PLX_CHECK(values->ndim == 2 && values->shape[0] == rays.start[rays.R] && values->shape[1] == 4,
              "first_hit: values %s for %d samples", plx_shape(values).text, rays.start[rays.R]);
    plx_tensor *out = plx_tape_tensor(t, "first_hit", PLX_SHAPE(rays.R, 2), values->grad);
    plx_tape_kernels(t)->first_hit_fwd(rays, slab, colour, values->data, out->data);
    push(t, first_hit_backward, (rays_saved){rays, slab, colour, values, out});
    return out;
}
