#include "diffusion/condition.h"

#include <string.h>

#include "nerf/tensor/kernels.h"

/* ---- rendering ------------------------------------------------------------------------------------------------- */

/* Rays whose opacity is no more than this at first sight are empty. */
static const float trace = 0.004f;

/* Keeps the samples of rays that are not empty; `from` and the result are packed alike. */
static plx_samples drop_empty(plx_arena *arena, plx_rays from, const float *composite) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)from.R + 1));
    float *t = plx_arena_alloc(arena, sizeof(float) * (size_t)from.S);
    float *length = plx_arena_alloc(arena, sizeof(float) * (size_t)from.S);
    start[0] = 0;
    for (int r = 0; r < from.R; r++) {
        int n = composite[5 * (size_t)r + 3] > trace ? from.start[r + 1] - from.start[r] : 0;
        memcpy(t + start[r], from.t + from.start[r], sizeof(float) * (size_t)n);
        memcpy(length + start[r], from.length + from.start[r], sizeof(float) * (size_t)n);
        start[r + 1] = start[r] + n;
    }
    return (plx_samples){{from.R, start[from.R], start, t, length}, start};
}

/* The same rays' values, without those that drop_empty dropped. */
static const float *keep_values(plx_arena *arena, plx_rays kept, plx_rays from, const float *values) {
    float *out = plx_arena_alloc(arena, sizeof(float) * 4 * (size_t)kept.S);
    for (int r = 0; r < from.R; r++)
        memcpy(out + 4 * (size_t)kept.start[r], values + 4 * (size_t)from.start[r],
               sizeof(float) * 4 * (size_t)(kept.start[r + 1] - kept.start[r]));
    return out;
}

/* The field's values (S,4) at samples that have the `known` ones among them, whose values stand already. On the host. */
static plx_tensor *complete_values(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames,
                                   int N, const int *object_start, plx_ray_set set, plx_rays samples,
                                   plx_rays known, const float *values) {
    plx_arena *arena = plx_tape_arena(tape);
    const int R = samples.R;
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)R + 1));
    for (int r = 0; r <= R; r++) start[r] = samples.start[r] - known.start[r];
    float *t = plx_arena_alloc(arena, sizeof(float) * (size_t)start[R]);
    bool *is_known = plx_arena_alloc(arena, sizeof(bool) * (size_t)samples.S);
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++)
        for (int i = samples.start[r], a = known.start[r], b = start[r]; i < samples.start[r + 1]; i++) {
            is_known[i] = a < known.start[r + 1] && known.t[a] == samples.t[i];
            if (is_known[i])
                a++;
            else
                t[b++] = samples.t[i];
        }
    const plx_samples unknown = {{R, start[R], start, t, t}, start};
    const plx_points points = plx_points_along(tape, set, unknown, N, object_start, frames);
    const float *here = plx_field_evaluate(tape, field, points)->data;
    plx_tensor *out = plx_tape_tensor(tape, "values", PLX_SHAPE(samples.S, 4));
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++)
        for (size_t i = (size_t)samples.start[r], a = (size_t)known.start[r], b = (size_t)start[r];
             i < (size_t)samples.start[r + 1]; i++)
            memcpy(out->data + 4 * i, is_known[i] ? values + 4 * a++ : here + 4 * b++, 4 * sizeof(float));
    return out;
}

plx_tensor *plx_render_batch(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames, int N,
                             const plx_camera *cameras, int coarse, int fine, plx_rng rng) {
    plx_arena *arena = plx_tape_arena(tape);
    bool recording = plx_tape_recording(tape);
    plx_tape_set_recording(tape, false);
    int H = cameras[0].height, W = cameras[0].width, R = N * H * W;
    plx_ray *rays = plx_arena_alloc(arena, sizeof(plx_ray) * (size_t)R);
    int *object_start = plx_arena_alloc(arena, sizeof(int) * ((size_t)N + 1));
    for (int n = 0; n <= N; n++) object_start[n] = n * H * W;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        int pixel = r % (H * W);
        rays[r] = plx_ray_through(&cameras[r / (H * W)], (float)(pixel % W) + 0.5f, (float)(pixel / W) + 0.5f,
                                  PLX_SCENE_RADIUS);
    }
    plx_rng jitter = plx_rng_fork(rng, 1);
    plx_ray_set set = plx_rays_on(tape, R, rays);
    plx_samples first = plx_sample_stratified(tape, set, coarse, &jitter);
    plx_points points = plx_points_along(tape, set, first, N, object_start, frames);
    plx_tensor *values = plx_field_evaluate(tape, field, points);
    plx_tensor *rough = plx_composite(tape, values, first.rays);
    const bool wait =
        !plx_tape_memory(tape); /* else the empty rays are sampled too, and cleared at the end */
    plx_samples kept = wait ? drop_empty(arena, first.rays, rough->data) : first;
    const float *kept_values = wait ? keep_values(arena, kept.rays, first.rays, values->data) : values->data;
    plx_samples samples = plx_sample_importance(tape, set, kept, kept_values, fine, plx_rng_fork(rng, 2));
    if (wait) {
        values =
            complete_values(tape, field, frames, N, object_start, set, samples.rays, kept.rays, kept_values);
    } else {
        points = plx_points_along(tape, set, samples, N, object_start, frames);
        values = plx_field_evaluate(tape, field, points);
    }
    plx_tensor *out = plx_composite(tape, values, samples.rays);
    if (!wait) plx_tape_kernels(tape)->drop_faint(R, trace, rough->data, out->data);
    plx_tape_set_recording(tape, recording);
    return plx_reshape(tape, out, PLX_SHAPE(N, H, W, 5));
}

void plx_condition_channels(size_t pixels, const float *rgba, float *out) {
    for (size_t p = 0; p < pixels; p++) {
        float opacity = rgba[4 * p + 3];
        for (size_t c = 0; c < 3; c++) out[4 * p + c] = 2 * (rgba[4 * p + c] * opacity + 1 - opacity) - 1;
        out[4 * p + 3] = 2 * opacity - 1;
    }
}

/* ---- disturbance --------------------------------------------------------------------------------------------------- */

static plx_disturbance draw_disturbance(int H, float strength, plx_rng rng) {
    plx_disturbance d = {.rng = rng};
    float sigma = plx_rng_uniform(rng, 0) * 1.5f * strength * (float)H / 64;
    d.noise = plx_rng_uniform(rng, 1) * 0.06f * strength;
    if (plx_rng_uniform(rng, 2) < 0.5f && sigma > 0.1f) d.sigma = sigma;
    plx_rng colour = plx_rng_fork(rng, 1);
    for (int c = 0; c < 3; c++) d.shift[c] = (plx_rng_uniform(colour, (uint64_t)c) * 2 - 1) * 0.2f * strength;
    d.shifted = plx_rng_uniform(colour, 3) < 0.5f;
    return d;
}

/* The first targets of the source's items, each to its place in render (N,H,W,4). */
static void render_source(plx_tape *tape, const plx_encoded *source, const plx_views *batch,
                          plx_tensor *render, plx_rng rng) {
    const int H = render->shape[1], W = render->shape[2];
    const size_t pixels = (size_t)(H * W);
    plx_camera *cameras = plx_arena_alloc(plx_tape_arena(tape), sizeof(plx_camera) * (size_t)source->N);
    for (int k = 0; k < source->N; k++) cameras[k] = batch[source->items[k]].views[1].camera;
    plx_tensor *composite =
        plx_render_batch(tape, &source->field, source->frames, source->N, cameras, 16, 16, rng);
    for (size_t k = 0; k < (size_t)source->N; k++)
        plx_tape_kernels(tape)->condition_channels(pixels, composite->data + 5 * pixels * k,
                                                   render->data + 4 * pixels * (size_t)source->items[k]);
}

plx_condition plx_condition_make(plx_tape *tape, int count, const plx_encoded *sources, int N,
                                 const plx_views *batch, float strength, plx_rng rng) {
    plx_arena *arena = plx_tape_arena(tape);
    int H = batch[0].views[1].camera.height, W = batch[0].views[1].camera.width;
    size_t pixels = (size_t)(H * W);
    plx_tensor *render = plx_tape_tensor(tape, "condition", PLX_SHAPE(N, H, W, 4));
    for (int s = 0; s < count; s++)
        render_source(tape, &sources[s], batch, render, plx_rng_fork(rng, s ? (uint64_t)(N + s) : 0));
    float *scratch = plx_tape_array(tape, sizeof(float) * 4 * pixels);
    float *truth = plx_arena_alloc(arena, sizeof(float) * 4 * pixels * (size_t)N);
    for (size_t n = 0; n < (size_t)N; n++) {
        plx_condition_channels(pixels, batch[n].views[1].colour.data, truth + 4 * pixels * n);
        if (strength > 0)
            plx_tape_kernels(tape)->disturb(draw_disturbance(H, strength, plx_rng_fork(rng, 1 + n)), H, W,
                                            scratch, render->data + 4 * pixels * n);
    }
    return (plx_condition){truth, render};
}

plx_tensor *plx_condition_context(plx_tape *tape, const plx_encoding *e) {
    const int *s = e->features->shape;
    return plx_reshape(tape, e->features, PLX_SHAPE(s[0], s[1] * s[2], s[3]));
}
