#include "diffusion/supervise.h"

#include <math.h>
#include <string.h>

/* ---- drawing pixels ---------------------------------------------------------------------------------------------- */

enum { MASK = 1, BAND = 2 };

typedef struct pixel_classes {
    int *mask, *band; /* pixel indices */
    int masks, bands, pixels;
    unsigned char *kind; /* (pixels) */
} pixel_classes;

static bool inside(const plx_view *v, int pixel) {
    return v->depth.data ? v->depth.data[2 * (size_t)pixel] > 0
                         : v->colour.data[4 * (size_t)pixel + 3] > 0.5f;
}

/* The mask, and what is outside it within `reach` pixels (square neighbourhood). */
static pixel_classes classify(plx_arena *arena, const plx_view *v) {
    int H = v->colour.height, W = v->colour.width, reach = W >= 64 ? W / 16 : 2;
    pixel_classes c = {.pixels = H * W};
    c.mask = plx_arena_alloc(arena, sizeof(int) * (size_t)c.pixels);
    c.band = plx_arena_alloc(arena, sizeof(int) * (size_t)c.pixels);
    c.kind = plx_arena_zalloc(arena, (size_t)c.pixels);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            if (!inside(v, i * W + j)) continue;
            c.kind[i * W + j] = MASK;
            for (int y = i - reach; y <= i + reach; y++)
                for (int x = j - reach; x <= j + reach; x++)
                    if (y >= 0 && y < H && x >= 0 && x < W && !c.kind[y * W + x]) c.kind[y * W + x] = BAND;
        }
    for (int p = 0; p < c.pixels; p++) {
        if (c.kind[p] == MASK) c.mask[c.masks++] = p;
        if (c.kind[p] == BAND) c.band[c.bands++] = p;
    }
    return c;
}

static int index_below(float uniform, int count) {
    int i = (int)(uniform * (float)count); /* the product may round up to count */
    return i < count ? i : count - 1;
}

/* Draws with probability 1/2 from the mask, 1/4 from the band, else from all; an empty class gives its share to all. */
static int draw(const pixel_classes *c, float which, float where, float *weight) {
    float on_mask = c->masks ? 0.5f : 0, on_band = c->bands ? 0.25f : 0, anywhere = 1 - on_mask - on_band;
    int pixel;
    if (which < on_mask)
        pixel = c->mask[index_below(where, c->masks)];
    else if (which < on_mask + on_band)
        pixel = c->band[index_below(where, c->bands)];
    else
        pixel = index_below(where, c->pixels);
    float p = anywhere / (float)c->pixels;
    if (c->kind[pixel] == MASK) p += on_mask / (float)c->masks;
    if (c->kind[pixel] == BAND) p += on_band / (float)c->bands;
    *weight = fminf(1 / (p * (float)c->pixels), 4);
    return pixel;
}

plx_supervision plx_supervise(plx_arena *arena, int N, const plx_views *items, int input_rays,
                              int target_rays, plx_rng rng) {
    int *object_start = plx_arena_alloc(arena, sizeof(int) * ((size_t)N + 1));
    object_start[0] = 0;
    for (int n = 0; n < N; n++)
        object_start[n + 1] = object_start[n] + input_rays + target_rays * (items[n].count - 1);
    size_t R = (size_t)object_start[N];
    plx_ray *rays = plx_arena_alloc(arena, sizeof(plx_ray) * R);
    float *weight = plx_arena_alloc(arena, sizeof(float) * R),
          *hit = plx_arena_alloc(arena, sizeof(float) * R);
    float *colour = plx_arena_alloc(arena, sizeof(float) * 3 * R);
    float *over_white = plx_arena_alloc(arena, sizeof(float) * 4 * R);
    for (int n = 0; n < N; n++) {
        size_t r = (size_t)object_start[n];
        for (int k = 0; k < items[n].count; k++) {
            const plx_view *v = &items[n].views[k];
            size_t mark = plx_arena_mark(arena);
            pixel_classes classes = classify(arena, v);
            for (int i = 0; i < (k ? target_rays : input_rays); i++, r++) {
                int pixel =
                    draw(&classes, plx_rng_uniform(rng, 2 * r), plx_rng_uniform(rng, 2 * r + 1), &weight[r]);
                int W = v->colour.width;
                const float *rgba = v->colour.data + 4 * (size_t)pixel;
                rays[r] = plx_ray_through(&v->camera, (float)(pixel % W) + 0.5f, (float)(pixel / W) + 0.5f,
                                          PLX_SCENE_RADIUS);
                for (int c = 0; c < 3; c++) {
                    colour[3 * r + (size_t)c] = rgba[c];
                    over_white[4 * r + (size_t)c] = rgba[c] * rgba[3] + 1 - rgba[3];
                }
                over_white[4 * r + 3] = rgba[3];
                hit[r] = v->depth.data ? v->depth.data[2 * (size_t)pixel] : 0;
            }
            plx_arena_release(arena, mark);
        }
    }
    return (plx_supervision){N, (int)R, object_start, rays, weight, colour, over_white, hit};
}

/* ---- geometry: first-hit likelihood ---------------------------------------------------------------------------------- */

enum { FREE = 6, SLAB = 2 };
static const float slab_length = 0.04f;

static void stratify(float from, float to, int count, plx_rng rng, int first, float *t, float *length) {
    float step = (to - from) / (float)count;
    for (int i = 0; i < count; i++) {
        t[i] = from + step * ((float)i + plx_rng_uniform(rng, (uint64_t)(first + i)));
        length[i] = step;
    }
}

plx_geometry_loss plx_loss_geometry(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames,
                                    const plx_supervision *s, plx_rng rng) {
    plx_arena *arena = plx_tape_arena(tape);
    size_t R = (size_t)s->R;
    int *start = plx_arena_alloc(arena, sizeof(int) * (R + 1)),
        *slab = plx_arena_zalloc(arena, sizeof(int) * R);
    float *t = plx_arena_alloc(arena, sizeof(float) * R * (FREE + SLAB));
    float *length = plx_arena_alloc(arena, sizeof(float) * R * (FREE + SLAB));
    float *colour_weight = plx_arena_zalloc(arena, sizeof(float) * R);
    start[0] = 0;
    for (size_t r = 0; r < R; r++) {
        const plx_ray *ray = &s->rays[r];
        int at = start[r];
        if (ray->t1 <= ray->t0) {
            start[r + 1] = at;
        } else if (s->hit[r] > 0) {
            float front = fmaxf(s->hit[r] - slab_length / 2, 0);
            if (front > ray->t0) {
                stratify(ray->t0, front, FREE, rng, (int)r * (FREE + SLAB), t + at, length + at);
                at += FREE;
            }
            stratify(front, front + slab_length, SLAB, rng, (int)r * (FREE + SLAB) + FREE, t + at,
                     length + at);
            start[r + 1] = at + SLAB;
            slab[r] = SLAB;
            colour_weight[r] = s->weight[r];
        } else {
            stratify(ray->t0, ray->t1, FREE + SLAB, rng, (int)r * (FREE + SLAB), t + at, length + at);
            start[r + 1] = at + FREE + SLAB;
        }
    }
    plx_samples samples = plx_samples_on(tape, (plx_rays){s->R, start[R], start, t, length});
    plx_points points =
        plx_points_along(tape, plx_rays_on(tape, s->R, s->rays), samples, s->N, s->object_start, frames);
    plx_tensor *out = plx_first_hit(tape, plx_field_evaluate(tape, field, points), samples.rays,
                                    plx_tape_constant(tape, slab, sizeof(int) * R),
                                    plx_tape_constant(tape, s->colour, sizeof(float) * 3 * R));
    const float *zero = plx_arena_zalloc(arena, sizeof(float) * R);
    return (plx_geometry_loss){plx_loss_lp(tape, plx_slice(tape, out, 0, 1), zero, s->weight, 1),
                               plx_loss_lp(tape, plx_slice(tape, out, 1, 2), zero, colour_weight, 1)};
}

/* ---- colour: composited over white -------------------------------------------------------------------------------------- */

/* (R,5) -> (R,4): colour over white, opacity. */
static plx_tensor *over_white(plx_tape *tape, plx_tensor *composite) {
    static const float w[20] = {1, 0, 0, -1, 0, 0, 1, 0, -1, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0};
    static const float b[4] = {1, 1, 1, 0};
    return plx_linear(tape, composite, plx_tape_input(tape, PLX_SHAPE(4, 5), w, false),
                      plx_tape_input(tape, PLX_SHAPE(4), b, false));
}

plx_tensor *plx_loss_photometric(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames,
                                 const plx_supervision *s, int coarse, int fine, plx_rng rng) {
    plx_arena *arena = plx_tape_arena(tape);
    plx_rng stratified = plx_rng_fork(rng, 1);
    plx_ray_set rays = plx_rays_on(tape, s->R, s->rays);
    plx_samples first = plx_sample_stratified(tape, rays, coarse, &stratified);
    bool recording = plx_tape_recording(tape);
    plx_tape_set_recording(tape, false);
    plx_points coarse_points = plx_points_along(tape, rays, first, s->N, s->object_start, frames);
    plx_tensor *densities = plx_field_evaluate(tape, field, coarse_points);
    plx_tape_set_recording(tape, recording);
    plx_samples samples =
        plx_sample_importance(tape, rays, first, densities->data, fine, plx_rng_fork(rng, 2));
    plx_points points = plx_points_along(tape, rays, samples, s->N, s->object_start, frames);
    plx_tensor *out =
        over_white(tape, plx_composite(tape, plx_field_evaluate(tape, field, points), samples.rays));
    float *weight = plx_arena_alloc(arena, sizeof(float) * 4 * (size_t)s->R);
    for (size_t r = 0; r < (size_t)s->R; r++)
        for (size_t c = 0; c < 4; c++) weight[4 * r + c] = s->weight[r] * (c < 3 ? 1 / 3.0f : 0.5f);
    return plx_scale(tape, plx_loss_lp(tape, out, s->over_white, weight, 2),
                     1.5f); /* weights sum to 1.5 a ray */
}

/* ---- the encoder's own maps ------------------------------------------------------------------------------------------------- */

plx_tensor *plx_loss_surface(plx_tape *tape, const plx_encoding *e, const plx_frame *frames,
                             const plx_views *items) {
    plx_arena *arena = plx_tape_arena(tape);
    int N = e->surface->shape[0], H = e->surface->shape[1], W = e->surface->shape[2];
    size_t size = plx_tensor_size(e->surface);
    float *truth = plx_arena_zalloc(arena, sizeof(float) * size),
          *weight = plx_arena_zalloc(arena, sizeof(float) * size);
#pragma omp parallel for schedule(static)
    for (int n = 0; n < N; n++) {
        const plx_view *v = &items[n].views[0];
        const plx_frame *f = &frames[n];
        for (int p = 0; p < H * W; p++) {
            const float *depth = v->depth.data + 2 * (size_t)p, *normal = v->normal.data + 3 * (size_t)p;
            if (!(depth[0] > 0)) continue;
            float origin[3], direction[3], *y = truth + 5 * ((size_t)n * (size_t)(H * W) + (size_t)p);
            float *w = weight + (y - truth);
            plx_camera_ray(&v->camera, (float)(p % W) + 0.5f, (float)(p / W) + 0.5f, origin, direction);
            for (int k = 0; k < 2; k++) {
                float point[3], q[5];
                for (int c = 0; c < 3; c++) point[c] = origin[c] + depth[k] * direction[c];
                plx_frame_coordinates(f, point, q);
                y[k] = q[4];
                w[k] = 1;
            }
            for (int c = 0; c < 3; c++) {
                const float *row = f->w2c + 4 * c;
                y[2 + c] = row[0] * normal[0] + row[1] * normal[1] + row[2] * normal[2];
                w[2 + c] = 0.2f;
            }
        }
    }
    return plx_loss_lp(tape, e->surface, truth, weight, 1);
}

plx_tensor *plx_loss_elevation(plx_tape *tape, const plx_encoding *e, const plx_encoder_pose *poses,
                               const plx_views *items) {
    plx_arena *arena = plx_tape_arena(tape);
    int N = e->elevation->shape[0], withheld = 0;
    float *truth = plx_arena_alloc(arena, sizeof(float) * 2 * (size_t)N);
    float *weight = plx_arena_alloc(arena, sizeof(float) * 2 * (size_t)N);
    for (int n = 0; n < N; n++) {
        float elevation = plx_camera_elevation(&items[n].views[0].camera);
        truth[2 * n] = sinf(elevation), truth[2 * n + 1] = cosf(elevation);
        weight[2 * n] = weight[2 * n + 1] = !poses[n].has_elevation;
        withheld += !poses[n].has_elevation;
    }
    return withheld ? plx_loss_lp(tape, e->elevation, truth, weight, 2) : NULL;
}
