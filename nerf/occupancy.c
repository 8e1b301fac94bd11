#include "nerf/occupancy.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELLS = PLX_GRID * PLX_GRID * PLX_GRID,
    POINTS = 2,      /* asked in each cell */
    BATCH = 1 << 14, /* cells */
    SLICE = PLX_GRID * PLX_GRID,
};

/* The cells of the grid that the sphere of radius PLX_GRID / 2 about its centre reaches: `out` (CELLS). */
static int cells_inside(int *out) {
    int count = 0;
    for (int at = 0; at < CELLS; at++) {
        const int index[3] = {at % PLX_GRID, at / PLX_GRID % PLX_GRID, at / SLICE};
        float nearest = 0; /* to the centre, squared */
        for (int k = 0; k < 3; k++) {
            float away = fabsf((float)index[k] + 0.5f - PLX_GRID / 2) - 0.5f;
            nearest += away * away;
        }
        if (nearest < PLX_GRID / 2 * (PLX_GRID / 2)) out[count++] = at;
    }
    return count;
}

/* `count` cells, their list and the grid on the device: the largest density seen in each, against the threshold. */
static void test_cells(plx_field *field, const int *cells, int count, unsigned char *occupied) {
    plx_tape *tape = field->tape;
    const plx_kernels *kernels = plx_tape_kernels(tape);
    int *start = plx_arena_alloc(plx_tape_arena(tape), sizeof(int) * 2);
    start[0] = 0, start[1] = count * POINTS;
    float *coords = plx_tape_array(tape, sizeof(float) * 5 * (size_t)start[1]);
    kernels->cell_points(count, cells, POINTS, PLX_GRID, field->frame.radius, (plx_rng){64, 1},
                         plx_tape_constant(tape, &field->frame, sizeof field->frame), coords);
    plx_points points = {start[1], plx_tape_constant(tape, start, sizeof(int) * 2), coords};
    plx_tensor *values = plx_field_evaluate(tape, &field->operands, points);
    kernels->cell_occupied(count, cells, POINTS, values->data, field->empty_below, occupied);
    plx_tape_reset(tape);
}

/* out = in or either neighbour `stride` away, along an axis of which `stride` is the cells' distance. */
static void dilate(const unsigned char *in, unsigned char *out, int stride) {
    for (int i = 0; i < CELLS; i++) {
        int k = i / stride % PLX_GRID;
        out[i] = in[i] | (k > 0 && in[i - stride]) | (k + 1 < PLX_GRID && in[i + stride]);
    }
}

/* grid (CELLS), zeros at first. */
static int test_all_cells(plx_field *field, const int *cells, int count, unsigned char *grid) {
    const plx_memory *memory = plx_tape_memory(field->tape);
    const size_t bytes = sizeof *cells * (size_t)count;
    int *device_cells = memory ? plx_memory_take(memory, bytes) : (int *)cells;
    unsigned char *device_grid = memory ? plx_memory_take(memory, CELLS) : grid;
    int status =
        device_cells && device_grid ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "no memory for an occupancy grid");
    if (!status && memory) memory->write(device_cells, cells, bytes);
    for (int first = 0; first < count && !status; first += BATCH)
        test_cells(field, device_cells + first, count - first < BATCH ? count - first : BATCH, device_grid);
    if (!status && memory) memory->read(grid, device_grid, CELLS);
    if (memory) plx_memory_give(memory, device_cells, bytes), plx_memory_give(memory, device_grid, CELLS);
    return status ? status : plx_memory_finish(memory);
}

int plx_field_update_occupancy(plx_field *field) {
    if (!field->occupancy) field->occupancy = malloc(CELLS);
    unsigned char *scratch = calloc(CELLS, 1);
    int *cells = malloc(sizeof(int) * CELLS);
    if (!field->occupancy || !scratch || !cells) {
        free(scratch), free(cells);
        return plx_fail(PLX_ERROR_MEMORY, "no memory for an occupancy grid");
    }
    const int count = cells_inside(cells);
    int status = test_all_cells(field, cells, count, scratch);
    if (status) {
        free(scratch), free(cells);
        return status;
    }
    dilate(scratch, field->occupancy, 1);
    dilate(field->occupancy, scratch, PLX_GRID);
    dilate(scratch, field->occupancy, SLICE);
    free(scratch), free(cells);
    return PLX_OK;
}

/* ---- samples ------------------------------------------------------------------------------------------------- */

typedef struct march {
    float t0, step; /* of the first interval; of each */
    float offset;   /* of the sample in its interval, [0,1) */
    int count;
    float origin[3], along[3]; /* in cells */
} march;

static march march_of(const plx_ray *ray, float step, float radius, float offset) {
    march m = {.t0 = ray->t0, .offset = offset};
    float chord = ray->t1 - ray->t0;
    if (!(chord > 0)) return m;
    m.count = (int)ceilf(chord / step - 1e-3f);
    if (m.count < 1) m.count = 1;
    m.step = chord / (float)m.count;
    float scale = PLX_GRID / (2 * radius);
    for (int k = 0; k < 3; k++) {
        m.origin[k] = (ray->origin[k] + radius) * scale;
        m.along[k] = ray->direction[k] * scale;
    }
    return m;
}

static inline float place(const march *m, int i) {
    return m->t0 + m->step * ((float)i + m->offset);
}

static inline bool inside(const march *m, const unsigned char *grid, float t) {
    int cell[3];
    for (int k = 0; k < 3; k++) {
        cell[k] = (int)(m->origin[k] + t * m->along[k]);
        cell[k] = cell[k] < 0 ? 0 : cell[k] >= PLX_GRID ? PLX_GRID - 1 : cell[k];
    }
    return grid[(cell[2] * PLX_GRID + cell[1]) * PLX_GRID + cell[0]];
}

plx_rays plx_sample_occupied(plx_arena *arena, const plx_ray *rays, int R, float step,
                             const unsigned char *grid, float radius, const plx_rng *rng) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)R + 1));
    march *marches = plx_arena_alloc(arena, sizeof *marches * (size_t)R);
    start[0] = 0;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        march m = march_of(&rays[r], step, radius, rng ? plx_rng_uniform(*rng, (uint64_t)r) : 0.5f);
        marches[r] = m;
        int count = grid ? 0 : m.count;
        for (int i = 0; grid && i < m.count; i++) count += inside(&m, grid, place(&m, i));
        start[r + 1] = count;
    }
    for (int r = 0; r < R; r++) start[r + 1] += start[r];
    float *t = plx_arena_alloc(arena, sizeof(float) * (size_t)start[R]);
    float *length = plx_arena_alloc(arena, sizeof(float) * (size_t)start[R]);
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        const march m = marches[r];
        for (int i = 0, at = start[r]; i < m.count; i++) {
            float here = place(&m, i);
            if (grid && !inside(&m, grid, here)) continue;
            t[at] = here;
            length[at++] = m.step;
        }
    }
    return (plx_rays){R, start[R], start, t, length};
}
