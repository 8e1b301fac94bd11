/* One optimisation step of a field on rays with known colour: what fitting and NGD share. */
#include "nerf/occupancy.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"

#include <math.h>
#include <string.h>

enum { STREAM_COARSE, STREAM_FINE };

plx_step_options plx_step_options_default(void) {
    return (plx_step_options){.rate = 5e-3f,
                              .decoder_rate = 0.1f,
                              .coarse = 32,
                              .fine = 32,
                              .opacity_weight = 0.5f,
                              .total_variation = 0};
}

static plx_ray *rays_of(plx_arena *arena, int R, const plx_ray_target *targets, float radius) {
    plx_ray *rays = plx_arena_alloc(arena, sizeof *rays * (size_t)R);
    for (int r = 0; r < R; r++) {
        memcpy(rays[r].origin, targets[r].origin, sizeof rays[r].origin);
        memcpy(rays[r].direction, targets[r].direction, sizeof rays[r].direction);
        if (!plx_ray_sphere(rays[r].origin, rays[r].direction, radius, &rays[r].t0, &rays[r].t1) ||
            rays[r].t1 <= rays[r].t0)
            rays[r].t0 = rays[r].t1 = 0;
    }
    return rays;
}

static plx_samples draw_samples(plx_field *field, plx_ray_set rays, const plx_step_options *options,
                                plx_rng rng) {
    plx_tape *tape = field->tape;
    plx_rng coarse_rng = plx_rng_fork(rng, STREAM_COARSE);
    float radius = field->frame.radius;
    if (options->skip_empty)
        return plx_sample_occupied(tape, rays, 2 * radius / (float)options->coarse, field->occupancy, radius,
                                   &coarse_rng);
    plx_samples coarse = plx_sample_stratified(tape, rays, options->coarse, &coarse_rng);
    if (!options->fine || !coarse.rays.S) return coarse;
    plx_points points = plx_points_along(tape, rays, coarse, 1, (const int[]){0, rays.R}, &field->frame);
    const float *values = plx_field_evaluate(tape, &field->operands, points)->data;
    return plx_sample_importance(tape, rays, coarse, values, options->fine, plx_rng_fork(rng, STREAM_FINE));
}

/* Adds the gradient of weight * mean over (row, row + 1) and (column, column + 1) pairs of (x - x')^2, on the
 * first C channels of a plane. */
static void add_variation(plx_tape *tape, const plx_tensor *plane, int C, float weight) {
    if (!plane->grad) return; /* there is no such plane */
    int H = plane->shape[1], W = plane->shape[2], stride = plane->shape[3];
    float scale = 2 * weight / ((float)C * (float)((H - 1) * W + H * (W - 1)));
    plx_tape_kernels(tape)->plane_variation(H, W, stride, C, scale, plane->data, plane->grad);
}

/* What a guided XY plane carries behind its features is the input image's, not the optimiser's. */
static void keep_guidance(const plx_field *field) {
    const plx_tensor *xy = field->operands.xy;
    int wide = xy->shape[3];
    if (field->size.guided)
        plx_tape_kernels(field->tape)
            ->clear_channels(plx_tensor_size(xy) / (size_t)wide, wide, field->size.C, wide, xy->grad);
}

static void set_decoder_rate(plx_field *field, float rate) {
    for (int i = 0; i < plx_params_count(field->params); i++) {
        plx_param *p = plx_params_at(field->params, i);
        if (strncmp(p->name, "decoder.", 8) == 0) p->rate = rate;
    }
}

/* ---- gradient: the kernels without the tape, so that samples behind the surface can be left out between
 * forward and backward ------------------------------------------------------------------------------- */

/* Less light than this reaches a sample that is left out, and its gradient is that much smaller. */
static const double unseen_below = 1e-3;

/* The samples that a step is taken on. */
typedef struct sample_set {
    plx_rays rays;
    plx_points points;
    float *values; /* (S,4) */
} sample_set;

/* How many of a ray's samples the eye can see: those before the transmittance falls below the limit. */
static int count_seen(plx_rays rays, int r, const float *values) {
    double tau = 0, limit = -log(unseen_below);
    int i = rays.start[r];
    for (; i < rays.start[r + 1] && tau < limit; i++) tau += (double)values[4 * (size_t)i] * rays.length[i];
    return i - rays.start[r];
}

/* Copies of those that are seen. */
static sample_set seen_samples(plx_arena *arena, plx_rays rays, const float *coordinates,
                               const float *values) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)rays.R + 1));
    start[0] = 0;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r++) start[r + 1] = count_seen(rays, r, values);
    for (int r = 0; r < rays.R; r++) start[r + 1] += start[r];
    const int S = start[rays.R];
    float *t = plx_arena_alloc(arena, sizeof(float) * (size_t)S);
    float *length = plx_arena_alloc(arena, sizeof(float) * (size_t)S);
    float *coords = plx_arena_alloc(arena, sizeof(float) * 5 * (size_t)S);
    float *kept = plx_arena_alloc(arena, sizeof(float) * 4 * (size_t)S);
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r++) {
        size_t count = (size_t)(start[r + 1] - start[r]), to = (size_t)start[r], from = (size_t)rays.start[r];
        memcpy(t + to, rays.t + from, sizeof(float) * count);
        memcpy(length + to, rays.length + from, sizeof(float) * count);
        memcpy(coords + 5 * to, coordinates + 5 * from, sizeof(float) * 5 * count);
        memcpy(kept + 4 * to, values + 4 * from, sizeof(float) * 4 * count);
    }
    int *bounds = plx_arena_alloc(arena, sizeof(int) * 2);
    bounds[0] = 0, bounds[1] = S;
    return (sample_set){{rays.R, S, start, t, length}, {S, bounds, coords}, kept};
}

/* All of them, with no length where they are not seen: their number stays known to the host, which need not wait. */
static sample_set all_samples(plx_tape *tape, plx_rays rays, plx_points points, float *values) {
    float *length = plx_tape_array(tape, sizeof(float) * (size_t)rays.S);
    plx_tape_kernels(tape)->seen_lengths(rays, values, -log(unseen_below), length);
    rays.length = length;
    return (sample_set){rays, points, values};
}

static plx_field_tensors value_pointers(const plx_field_operands *p) {
    return (plx_field_tensors){p->xy->data, p->xz->data, p->yz->data, p->w1->data, p->b1->data,
                               p->w2->data, p->b2->data, p->w3->data, p->b3->data};
}

static plx_field_tensors gradient_pointers(const plx_field_operands *p, bool decoder) {
    plx_field_tensors d = {.xy = p->xy->grad, .xz = p->xz->grad, .yz = p->yz->grad};
    if (!decoder) return d;
    d.w1 = p->w1->grad, d.b1 = p->b1->grad, d.w2 = p->w2->grad;
    d.b2 = p->b2->grad, d.w3 = p->w3->grad, d.b3 = p->b3->grad;
    return d;
}

/* Adds the loss's gradient to the parameters'; returns the loss, on the device. */
static const double *add_gradient(plx_field *field, plx_ray_set rays, plx_samples samples,
                                  const plx_ray_target *targets, const plx_step_options *options) {
    plx_tape *tape = field->tape;
    const plx_kernels *kernels = plx_tape_kernels(tape);
    const size_t R = (size_t)rays.R;
    plx_field_tensors p = value_pointers(&field->operands);
    plx_field_tensors dp = gradient_pointers(&field->operands, options->decoder_rate != 0);
    plx_points points = plx_points_along(tape, rays, samples, 1, (const int[]){0, rays.R}, &field->frame);
    float *values = plx_tape_array(tape, sizeof(float) * 4 * (size_t)points.M);
    kernels->field_fwd(field->size, &p, points, values);

    sample_set seen = plx_tape_memory(tape)
                          ? all_samples(tape, samples.rays, points, values)
                          : seen_samples(plx_tape_arena(tape), samples.rays, points.coords, values);
    float *out = plx_tape_array(tape, sizeof(float) * 5 * R);
    float *dout = plx_tape_array(tape, sizeof(float) * 5 * R);
    double *loss = plx_tape_array(tape, sizeof *loss);
    const size_t bytes = sizeof(float) * 4 * (size_t)seen.points.M;
    float *dvalues = plx_tape_array(tape, bytes);
    plx_memory_zero(plx_tape_memory(tape), dvalues, bytes);
    kernels->composite_fwd(seen.rays, seen.values, out);
    kernels->ray_loss(rays.R, plx_tape_constant(tape, targets, sizeof *targets * R), options->opacity_weight,
                      out, dout, loss);
    kernels->composite_bwd(seen.rays, seen.values, out, dout, dvalues);
    kernels->field_bwd(field->size, &p, seen.points, dvalues, &dp);
    return loss;
}

/* Of rays that all miss the sphere. */
static const double *loss_of_nothing(plx_tape *tape, int R, const plx_ray_target *targets,
                                     float opacity_weight) {
    const size_t bytes = sizeof(float) * 5 * (size_t)R;
    float *nothing = plx_tape_array(tape, bytes);
    double *loss = plx_tape_array(tape, sizeof *loss);
    plx_memory_zero(plx_tape_memory(tape), nothing, bytes);
    plx_tape_kernels(tape)->ray_loss(R, plx_tape_constant(tape, targets, sizeof *targets * (size_t)R),
                                     opacity_weight, nothing, NULL, loss);
    return loss;
}

int plx_field_step(plx_field *field, int R, const plx_ray_target *targets, const plx_step_options *options,
                   uint64_t seed, double *loss) {
    PLX_CHECK(field->operands.xy->grad, "a step of a field that was not made for training");
    PLX_CHECK(R > 0 && options->coarse > 0 && options->fine >= 0, "a step of %d rays, %d + %d samples", R,
              options->coarse, options->fine);
    PLX_CHECK(!options->skip_empty || field->occupancy, "a step in occupied cells before they are known");
    plx_tape *tape = field->tape;
    plx_rng rng = plx_rng_fork((plx_rng){seed, 0}, (uint64_t)field->optimiser.step);
    plx_tape_reset(tape);
    plx_params_zero_grad(field->params);
    set_decoder_rate(field, options->decoder_rate);
    plx_ray_set rays = plx_rays_on(tape, R, rays_of(plx_tape_arena(tape), R, targets, field->frame.radius));
    plx_samples samples = draw_samples(field, rays, options, rng);
    const double *value = samples.rays.S ? add_gradient(field, rays, samples, targets, options)
                                         : loss_of_nothing(tape, R, targets, options->opacity_weight);
    const bool wait = loss || !plx_tape_memory(tape);
    const double seen = wait ? *(const double *)plx_tape_read(tape, value, sizeof *value) : 0;
    plx_tape_reset(tape);
    if (loss) *loss = seen;
    if (!isfinite(seen))
        return plx_fail(PLX_ERROR_NUMERIC, "step %lld of the field: the loss is NaN or Inf",
                        (long long)field->optimiser.step);
    if (options->total_variation > 0) {
        add_variation(tape, field->operands.xy, field->size.C, options->total_variation);
        add_variation(tape, field->operands.xz, field->size.C, options->total_variation);
        add_variation(tape, field->operands.yz, field->size.C, options->total_variation);
    }
    keep_guidance(field);
    double norm;
    return plx_optimiser_step(&field->optimiser, field->params, options->rate, wait ? &norm : NULL);
}
