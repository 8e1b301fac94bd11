/* Volume rendering of a field: rays in chunks, samples packed, colour, opacity and depth by compositing. */
#include "nerf/occupancy.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 4096, /* rays */
    ROUND = 16,   /* samples a ray that are evaluated at once */
};
static const float spent_below = 1e-4f; /* a ray ends where less light is left: 1/40 of an 8-bit level */

plx_render_options plx_render_options_default(void) {
    return (plx_render_options){.samples = 96, .skip_empty = true};
}

/* Rays on their way through the field; all but `set` are the device's. */
typedef struct front {
    plx_ray_set set; /* R */
    plx_samples samples;
    int *next;    /* (R) the sample that comes next */
    float *light; /* (R) transmittance up to it */
    float *out;   /* (R,5) */
} front;

static front begin(plx_field *field, const plx_ray *rays, int R, const plx_render_options *options) {
    plx_tape *tape = field->tape;
    const float radius = field->frame.radius;
    const plx_memory *memory = plx_tape_memory(tape);
    const size_t starts = sizeof(int) * (size_t)R, rows = sizeof(float) * 5 * (size_t)R;
    front f = {.set = plx_rays_on(tape, R, rays),
               .next = plx_tape_array(tape, starts),
               .light = plx_tape_array(tape, sizeof(float) * (size_t)R),
               .out = plx_tape_array(tape, rows)};
    float *ones = plx_arena_alloc(plx_tape_arena(tape), sizeof(float) * (size_t)R);
    f.samples = plx_sample_occupied(tape, f.set, 2 * radius / (float)options->samples,
                                    options->skip_empty ? field->occupancy : NULL, radius, NULL);
    for (int r = 0; r < R; r++) ones[r] = 1;
    plx_memory_copy(memory, f.next, f.samples.rays.start, starts);
    plx_memory_write(memory, f.light, ones, sizeof(float) * (size_t)R);
    plx_memory_zero(memory, f.out, rows);
    return f;
}

/* The next samples, up to ROUND a ray, of the rays whose light is not used up. */
static plx_samples next_round(plx_tape *tape, const front *f) {
    const plx_kernels *kernels = plx_tape_kernels(tape);
    const plx_rays all = f->samples.rays;
    const bool counted = !plx_tape_memory(tape);
    int *start = plx_tape_array(tape, sizeof(int) * ((size_t)all.R + 1));
    kernels->round_starts(all, f->next, f->light, spent_below, ROUND, start);
    const int room = counted ? start[all.R] : all.S < all.R * ROUND ? all.S : all.R * ROUND;
    float *t = plx_tape_array(tape, sizeof(float) * (size_t)room);
    float *length = plx_tape_array(tape, sizeof(float) * (size_t)room);
    kernels->round_samples(all, f->next, start, t, length);
    return (plx_samples){{all.R, room, start, t, length}, counted ? start : NULL};
}

/* out (R,5), the host's: premultiplied r g b, opacity, sum of weight * t. The tape is left to the caller to reset. A device that
 * alone knows which rays go on is given as many rounds as the longest ray could need, and not asked. */
static const float *composite_rays(plx_field *field, const plx_ray *rays, int R,
                                   const plx_render_options *options) {
    plx_tape *tape = field->tape;
    plx_arena *arena = plx_tape_arena(tape);
    front f = begin(field, rays, R, options);
    const int object_start[2] = {0, R}, rounds = (options->samples + ROUND - 1) / ROUND;
    const size_t mark = plx_arena_mark(arena);
    for (int i = 0; i < rounds; i++, plx_arena_release(arena, mark)) {
        const plx_samples round = next_round(tape, &f);
        if (!round.rays.S) break;
        plx_points points = plx_points_along(tape, f.set, round, 1, object_start, &field->frame);
        plx_tensor *values = plx_field_evaluate(tape, &field->operands, points);
        plx_tensor *composite = plx_composite(tape, values, round.rays);
        plx_tape_kernels(tape)->add_round(R, round.rays.start, composite->data, f.next, f.light, f.out);
    }
    return plx_tape_read(tape, f.out, sizeof(float) * 5 * (size_t)R);
}

enum { CUBE = 27, MIDDLE = 13 }; /* points of a 3x3x3 lattice; the one that no gradient needs */

/* Of point i, from -1 to 1 on each axis. */
static void cube_offset(int i, int offset[3]) {
    offset[0] = i % 3 - 1, offset[1] = i / 3 % 3 - 1, offset[2] = i / 9 - 1;
}

/* coordinates (CUBE-1,5) of the points that are `step` apart around p. */
static void put_cube(const plx_field *field, const float p[3], float step, float *coordinates) {
    for (int i = 0, put = 0; i < CUBE; i++) {
        int offset[3];
        float at[3];
        if (i == MIDDLE) continue;
        cube_offset(i, offset);
        for (int k = 0; k < 3; k++) at[k] = p[k] + step * (float)offset[k];
        plx_frame_coordinates(&field->frame, at, coordinates + 5 * (size_t)put++);
    }
}

/* Against the gradient of the opacity of `step`, by Sobel's kernels: values (CUBE-1,4). Differences alone, of two points an axis,
 * are noise where a field is not sure of its surface (a fitted sofa's normals: 21 degrees from the mesh's, this way 18). */
static void read_cube(const float *values, float step, double g[3]) {
    g[0] = g[1] = g[2] = 0;
    for (int i = 0, put = 0; i < CUBE; i++) {
        int offset[3];
        if (i == MIDDLE) continue;
        cube_offset(i, offset);
        double away = expm1(-(double)step * (double)values[4 * put++]); /* minus the opacity */
        for (int k = 0; k < 3; k++)
            g[k] += away * offset[k] * (2 - abs(offset[(k + 1) % 3])) * (2 - abs(offset[(k + 2) % 3]));
    }
}

/* normal (R,3), turned to the viewer, 0 where depth is 0: against the gradient at each ray's expected depth, of the opacity of
 * `step` (the density itself varies without bound inside an object). */
static void find_normals(plx_field *field, const plx_ray *rays, int R, const float *depth, float step,
                         float *normal) {
    plx_arena *arena = plx_tape_arena(field->tape);
    const int each = CUBE - 1;
    float *coordinates = plx_arena_alloc(arena, sizeof(float) * 5 * (size_t)each * (size_t)R);
    int *ray_of = plx_arena_alloc(arena, sizeof(int) * (size_t)R), hits = 0;
    for (int r = 0; r < R; r++) {
        if (depth[2 * (size_t)r] == 0) continue;
        float p[3];
        for (int k = 0; k < 3; k++) p[k] = rays[r].origin[k] + depth[2 * (size_t)r] * rays[r].direction[k];
        put_cube(field, p, step, coordinates + 5 * (size_t)(each * hits));
        ray_of[hits++] = r;
    }
    if (!hits) return;
    int start[2] = {0, each * hits};
    plx_points points = plx_points_on(field->tape, 1, (plx_points){each * hits, start, coordinates});
    plx_tensor *out = plx_field_evaluate(field->tape, &field->operands, points);
    const float *values = plx_tape_values(field->tape, out);
    for (int h = 0; h < hits; h++) {
        const float *direction = rays[ray_of[h]].direction;
        double g[3], norm = 0, facing = 0;
        read_cube(values + 4 * (size_t)(each * h), step, g);
        for (int k = 0; k < 3; k++) {
            norm += g[k] * g[k];
            facing += g[k] * direction[k];
        }
        double scale = norm > 0 ? (facing > 0 ? -1 : 1) / sqrt(norm) : 0;
        for (int k = 0; k < 3; k++) normal[3 * (size_t)ray_of[h] + (size_t)k] = (float)(scale * g[k]);
    }
}

/* The pixels first .. first + R - 1, in row order. */
static void render_chunk(plx_field *field, plx_view *view, const plx_render_options *options, int first,
                         int R) {
    plx_arena *arena = plx_tape_arena(field->tape);
    plx_ray *rays = plx_arena_alloc(arena, sizeof *rays * (size_t)R);
    float *depth = plx_arena_alloc(arena, sizeof(float) * 2 * (size_t)R);
    int width = view->camera.width;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++)
        rays[r] = plx_ray_through(&view->camera, (float)((first + r) % width) + 0.5f,
                                  (float)((first + r) / width) + 0.5f, field->frame.radius);
    const float *out = composite_rays(field, rays, R, options);
    for (int r = 0; r < R; r++) {
        const float *in = out + 5 * (size_t)r;
        float *rgba = view->colour.data + 4 * (size_t)(first + r);
        float opacity = fminf(in[3], 1);
        for (int c = 0; c < 3; c++) rgba[c] = opacity > 0 ? fminf(in[c] / opacity, 1) : 1;
        rgba[3] = opacity;
        depth[2 * (size_t)r] = depth[2 * (size_t)r + 1] = opacity > 0.5f ? in[4] / in[3] : 0;
    }
    if (options->depth) memcpy(view->depth.data + 2 * (size_t)first, depth, sizeof(float) * 2 * (size_t)R);
    if (options->normal)
        find_normals(field, rays, R, depth, field->frame.radius / 32, view->normal.data + 3 * (size_t)first);
    plx_tape_reset(field->tape);
}

int plx_field_render(plx_field *field, plx_view *view, const plx_render_options *options) {
    if (options->samples < 1 || options->samples > 4096)
        return plx_fail(PLX_ERROR_INPUT, "%d samples a ray, not 1 to 4096", options->samples);
    int height = view->camera.height, width = view->camera.width;
    view->colour = view->depth = view->normal = (plx_image){0};
    int status = plx_image_create(&view->colour, height, width, 4);
    if (!status && options->depth) status = plx_image_create(&view->depth, height, width, 2);
    if (!status && options->normal) status = plx_image_create(&view->normal, height, width, 3);
    if (!status && options->skip_empty && !field->occupancy) status = plx_field_update_occupancy(field);
    for (int first = 0; first < height * width && !status; first += CHUNK) {
        int left = height * width - first;
        render_chunk(field, view, options, first, left < CHUNK ? left : CHUNK);
        status = plx_memory_check(plx_tape_memory(field->tape));
    }
    if (!status) return PLX_OK;
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
    return status;
}
