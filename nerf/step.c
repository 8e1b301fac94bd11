/* One optimisation step of a field on rays with known colour: what fitting and NGD share. */
#include "nerf/occupancy.h"
#include "nerf/tensor/kernels.h"

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

static plx_rays draw_samples(plx_field *field, const plx_ray *rays, int R, const plx_step_options *options,
                             plx_rng rng) {
    plx_arena *arena = plx_tape_arena(field->tape);
    plx_rng coarse_rng = plx_rng_fork(rng, STREAM_COARSE);
    float radius = field->frame.radius;
    if (options->skip_empty)
        return plx_sample_occupied(arena, rays, R, 2 * radius / (float)options->coarse, field->occupancy,
                                   radius, &coarse_rng);
    plx_rays coarse = plx_sample_stratified(arena, rays, R, options->coarse, &coarse_rng);
    if (!options->fine || !coarse.S) return coarse;
    plx_points points = plx_points_along(arena, rays, coarse, 1, (const int[]){0, R}, &field->frame);
    const float *values = plx_field_evaluate(field->tape, &field->operands, points)->data;
    return plx_sample_importance(arena, rays, coarse, values, options->fine, plx_rng_fork(rng, STREAM_FINE));
}

/* L = mean_r weight_r (|C_r - colour_r|^2 + opacity_weight (O_r - opacity_r)^2), C = premultiplied + 1 - O
 * over white. Fills dout (R,5) unless NULL. */
static double loss_of(int R, const plx_ray_target *targets, float opacity_weight, const float *out,
                      float *dout) {
    double sum = 0;
    for (int r = 0; r < R; r++) {
        const plx_ray_target *target = &targets[r];
        const float *composite = out + 5 * (size_t)r;
        double error[3], known = target->opacity >= 0 ? opacity_weight : 0, squares = 0, colours = 0;
        double missing = composite[3] - target->opacity, factor = 2 * (double)target->weight / R;
        for (int c = 0; c < 3; c++) {
            error[c] = (double)composite[c] + 1 - composite[3] - target->colour[c];
            squares += error[c] * error[c];
            colours += error[c];
        }
        sum += target->weight * (squares + known * missing * missing);
        if (!dout) continue;
        float *d = dout + 5 * (size_t)r;
        for (int c = 0; c < 3; c++) d[c] = (float)(factor * error[c]);
        d[3] = (float)(factor * (known * missing - colours));
        d[4] = 0;
    }
    return sum / R;
}

/* d/dx of weight * mean over (row, row + 1) and (column, column + 1) pairs of (x - x')^2, on the first C
 * channels of a plane. */
static void add_variation(const plx_tensor *plane, int C, float weight) {
    if (!plane->grad) return; /* there is no such plane */
    int H = plane->shape[1], W = plane->shape[2], stride = plane->shape[3];
    float scale = 2 * weight / ((float)C * (float)((H - 1) * W + H * (W - 1)));
#pragma omp parallel for schedule(static)
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            size_t at = (size_t)(i * W + j) * (size_t)stride, row = (size_t)W * (size_t)stride;
            const float *x = plane->data + at;
            float *d = plane->grad + at;
            for (int c = 0; c < C; c++) {
                float sum = 0;
                if (i > 0) sum += x[c] - *(x + c - row);
                if (i + 1 < H) sum += x[c] - x[row + (size_t)c];
                if (j > 0) sum += x[c] - *(x + c - stride);
                if (j + 1 < W) sum += x[c] - x[stride + c];
                d[c] += scale * sum;
            }
        }
}

/* What a guided XY plane carries behind its features is the input image's, not the optimiser's. */
static void keep_guidance(const plx_field *field) {
    const plx_tensor *xy = field->operands.xy;
    if (!field->size.guided) return;
    int wide = xy->shape[3];
    for (size_t i = 0; i < plx_tensor_size(xy); i += (size_t)wide)
        memset(xy->grad + i + field->size.C, 0, sizeof(float) * (size_t)(wide - field->size.C));
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

typedef struct sample_set {
    plx_rays rays;
    float *t, *length, *coordinates, *values; /* (S) (S) (S,5) (S,4) */
    int *start;
} sample_set;

static sample_set new_set(plx_arena *arena, int R, int *start) {
    size_t S = (size_t)start[R];
    sample_set s = {.t = plx_arena_alloc(arena, sizeof(float) * S),
                    .length = plx_arena_alloc(arena, sizeof(float) * S),
                    .coordinates = plx_arena_alloc(arena, sizeof(float) * 5 * S),
                    .values = plx_arena_alloc(arena, sizeof(float) * 4 * S),
                    .start = start};
    s.rays = (plx_rays){R, start[R], start, s.t, s.length};
    return s;
}

/* How many of a ray's samples the eye can see: those before the transmittance falls below the limit. */
static int count_seen(plx_rays rays, int r, const float *values) {
    double tau = 0, limit = -log(unseen_below);
    int i = rays.start[r];
    for (; i < rays.start[r + 1] && tau < limit; i++) tau += (double)values[4 * (size_t)i] * rays.length[i];
    return i - rays.start[r];
}

static sample_set seen_samples(plx_arena *arena, plx_rays rays, const float *coordinates,
                               const float *values) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)rays.R + 1));
    start[0] = 0;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r++) start[r + 1] = count_seen(rays, r, values);
    for (int r = 0; r < rays.R; r++) start[r + 1] += start[r];
    sample_set out = new_set(arena, rays.R, start);
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r++) {
        size_t count = (size_t)(start[r + 1] - start[r]), to = (size_t)start[r], from = (size_t)rays.start[r];
        memcpy(out.t + to, rays.t + from, sizeof(float) * count);
        memcpy(out.length + to, rays.length + from, sizeof(float) * count);
        memcpy(out.coordinates + 5 * to, coordinates + 5 * from, sizeof(float) * 5 * count);
        memcpy(out.values + 4 * to, values + 4 * from, sizeof(float) * 4 * count);
    }
    return out;
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

/* Adds the loss's gradient to the parameters'; returns the loss. */
static double add_gradient(plx_field *field, const plx_ray *rays, plx_rays samples,
                           const plx_ray_target *targets, const plx_step_options *options) {
    const plx_kernels *kernels = plx_tape_kernels(field->tape);
    plx_arena *arena = plx_tape_arena(field->tape);
    int R = samples.R;
    plx_field_tensors p = value_pointers(&field->operands);
    plx_field_tensors dp = gradient_pointers(&field->operands, options->decoder_rate != 0);
    plx_points points = plx_points_along(arena, rays, samples, 1, (const int[]){0, R}, &field->frame);
    float *values = plx_arena_alloc(arena, sizeof(float) * 4 * (size_t)samples.S);
    kernels->field_fwd(field->size, &p, points, values);

    sample_set seen = seen_samples(arena, samples, points.coords, values);
    float *out = plx_arena_alloc(arena, sizeof(float) * 5 * (size_t)R);
    float *dout = plx_arena_alloc(arena, sizeof(float) * 5 * (size_t)R);
    float *dvalues = plx_arena_zalloc(arena, sizeof(float) * 4 * (size_t)seen.rays.S);
    kernels->composite_fwd(seen.rays, seen.values, out);
    double loss = loss_of(R, targets, options->opacity_weight, out, dout);
    kernels->composite_bwd(seen.rays, seen.values, out, dout, dvalues);
    kernels->field_bwd(field->size, &p,
                       (plx_points){seen.rays.S, (const int[]){0, seen.rays.S}, seen.coordinates}, dvalues,
                       &dp);
    return loss;
}

int plx_field_step(plx_field *field, int R, const plx_ray_target *targets, const plx_step_options *options,
                   uint64_t seed, double *loss) {
    PLX_CHECK(field->operands.xy->grad, "a step of a field that was not made for training");
    PLX_CHECK(R > 0 && options->coarse > 0 && options->fine >= 0, "a step of %d rays, %d + %d samples", R,
              options->coarse, options->fine);
    PLX_CHECK(!options->skip_empty || field->occupancy, "a step in occupied cells before they are known");
    plx_arena *arena = plx_tape_arena(field->tape);
    plx_rng rng = plx_rng_fork((plx_rng){seed, 0}, (uint64_t)field->optimiser.step);
    plx_tape_reset(field->tape);
    plx_params_zero_grad(field->params);
    set_decoder_rate(field, options->decoder_rate);
    const plx_ray *rays = rays_of(arena, R, targets, field->frame.radius);
    plx_rays samples = draw_samples(field, rays, R, options, rng);
    double value;
    if (samples.S) {
        value = add_gradient(field, rays, samples, targets, options);
    } else {
        float *nothing = plx_arena_zalloc(arena, sizeof(float) * 5 * (size_t)R);
        value = loss_of(R, targets, options->opacity_weight, nothing, NULL);
    }
    plx_tape_reset(field->tape);
    if (loss) *loss = value;
    if (!isfinite(value))
        return plx_fail(PLX_ERROR_NUMERIC, "step %lld of the field: the loss is NaN or Inf",
                        (long long)field->optimiser.step);
    if (options->total_variation > 0) {
        add_variation(field->operands.xy, field->size.C, options->total_variation);
        add_variation(field->operands.xz, field->size.C, options->total_variation);
        add_variation(field->operands.yz, field->size.C, options->total_variation);
    }
    keep_guidance(field);
    return plx_optimiser_step(&field->optimiser, field->params, options->rate, NULL);
}
