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

/* In the order of plx_field_tensors. */
static plx_field_tensors values_of(const plx_op *op) {
    plx_tensor *const *x = op->input;
    return (plx_field_tensors){x[0]->data, x[1]->data, x[2]->data, x[3]->data, x[4]->data,
                               x[5]->data, x[6]->data, x[7]->data, x[8]->data};
}

typedef struct field_saved {
    plx_field_size size;
    plx_points points;
} field_saved;

static void field_forward(plx_tape *t, const plx_op *op) {
    const field_saved *s = op->saved;
    plx_field_tensors values = values_of(op);
    plx_tape_kernels(t)->field_fwd(s->size, &values, s->points, op->output->data);
}

static void field_backward(plx_tape *t, const plx_op *op) {
    const field_saved *s = op->saved;
    plx_tensor *const *x = op->input;
    plx_field_tensors values = values_of(op);
    plx_field_tensors d = {x[0]->grad, x[1]->grad, x[2]->grad, x[3]->grad, x[4]->grad,
                           x[5]->grad, x[6]->grad, x[7]->grad, x[8]->grad};
    plx_tape_kernels(t)->field_bwd(s->size, &values, s->points, op->output->grad, &d);
}

plx_tensor *plx_field_evaluate(plx_tape *t, const plx_field_operands *p, plx_points points) {
    field_saved saved = {plx_field_operands_size(p), points};
    plx_tensor *values = plx_tape_tensor(t, "field", PLX_SHAPE(points.M, 4));
    return plx_tape_apply(t,
                          (plx_op){.forward = field_forward,
                                   .backward = field_backward,
                                   .properties = PLX_READS_INPUTS,
                                   .output = values,
                                   .input = {p->xy, p->xz, p->yz, p->w1, p->b1, p->w2, p->b2, p->w3, p->b3},
                                   .saved = plx_tape_save(t, &saved, sizeof saved)});
}

typedef struct rays_saved {
    plx_rays rays;
    const int *slab;
    const float *colour;
} rays_saved;

static void composite_forward(plx_tape *t, const plx_op *op) {
    const rays_saved *s = op->saved;
    plx_tape_kernels(t)->composite_fwd(s->rays, op->input[0]->data, op->output->data);
}

static void composite_backward(plx_tape *t, const plx_op *op) {
    const rays_saved *s = op->saved;
    const plx_tensor *values = op->input[0], *out = op->output;
    plx_tape_kernels(t)->composite_bwd(s->rays, values->data, out->data, out->grad, values->grad);
}

plx_tensor *plx_composite(plx_tape *t, plx_tensor *values, plx_rays rays) {
    PLX_CHECK(values->ndim == 2 && values->shape[0] == rays.S && values->shape[1] == 4,
              "composite: values %s for %d samples", plx_shape(values).text, rays.S);
    rays_saved saved = {.rays = rays};
    return plx_tape_apply(t, (plx_op){.forward = composite_forward,
                                      .backward = composite_backward,
                                      .properties = PLX_READS_INPUTS | PLX_READS_OUTPUT,
                                      .output = plx_tape_tensor(t, "composite", PLX_SHAPE(rays.R, 5)),
                                      .input = {values},
                                      .saved = plx_tape_save(t, &saved, sizeof saved)});
}

static void first_hit_forward(plx_tape *t, const plx_op *op) {
    const rays_saved *s = op->saved;
    plx_tape_kernels(t)->first_hit_fwd(s->rays, s->slab, s->colour, op->input[0]->data, op->output->data);
}

static void first_hit_backward(plx_tape *t, const plx_op *op) {
    const rays_saved *s = op->saved;
    const plx_tensor *values = op->input[0];
    plx_tape_kernels(t)->first_hit_bwd(s->rays, s->slab, s->colour, values->data, op->output->grad,
                                       values->grad);
}

plx_tensor *plx_first_hit(plx_tape *t, plx_tensor *values, plx_rays rays, const int *slab,
                          const float *colour) {
    PLX_CHECK(values->ndim == 2 && values->shape[0] == rays.S && values->shape[1] == 4,
              "first_hit: values %s for %d samples", plx_shape(values).text, rays.S);
    rays_saved saved = {rays, slab, colour};
    return plx_tape_apply(t, (plx_op){.forward = first_hit_forward,
                                      .backward = first_hit_backward,
                                      .properties = PLX_READS_INPUTS,
                                      .output = plx_tape_tensor(t, "first_hit", PLX_SHAPE(rays.R, 2)),
                                      .input = {values},
                                      .saved = plx_tape_save(t, &saved, sizeof saved)});
}
