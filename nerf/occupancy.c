#include "nerf/occupancy.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/march.h"
#include "nerf/tensor/memory.h"

#include <math.h>

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
static void test_cells(plx_field *field, const plx_frame *frame, const int *cells, int count,
                       unsigned char *occupied) {
    plx_tape *tape = field->tape;
    const plx_kernels *kernels = plx_tape_kernels(tape);
    const plx_scope scope = plx_tape_enter(tape);
    int *start = plx_arena_alloc(plx_tape_arena(tape), sizeof(int) * 2);
    start[0] = 0, start[1] = count * POINTS;
    float *coords = plx_tape_tensor(tape, "cells", PLX_SHAPE(start[1], 5))->data;
    kernels->cell_points(count, cells, POINTS, PLX_GRID, field->frame.radius, (plx_rng){64, 1}, frame,
                         coords);
    plx_points points = {start[1], plx_tape_constant(tape, start, sizeof(int) * 2), coords};
    plx_tensor *values = plx_field_evaluate(tape, &field->operands, points);
    kernels->cell_occupied(count, cells, POINTS, values->data, field->empty_below, occupied);
    plx_tape_leave(tape, scope, NULL);
}

int plx_field_update_occupancy(plx_field *field) {
    plx_tape *tape = field->tape;
    const plx_memory *memory = plx_tape_memory(tape);
    const plx_kernels *kernels = plx_tape_kernels(tape);
    if (!field->occupancy) field->occupancy = plx_memory_take(memory, CELLS);
    if (!field->occupancy) return plx_fail(PLX_ERROR_MEMORY, "no memory for an occupancy grid");
    plx_tape_reset(tape);
    int *cells = plx_arena_alloc(plx_tape_arena(tape), sizeof(int) * CELLS);
    unsigned char *seen = plx_tape_array(tape, CELLS);
    const int count = cells_inside(cells), batch = memory ? count : BATCH;
    const int *list = plx_tape_constant(tape, cells, sizeof(int) * (size_t)count);
    const plx_frame *frame = plx_tape_constant(tape, &field->frame, sizeof field->frame);
    plx_memory_zero(memory, seen, CELLS);
    for (int first = 0; first < count; first += batch)
        test_cells(field, frame, list + first, count - first < batch ? count - first : batch, seen);
    kernels->grow_cells(PLX_GRID, 1, seen, field->occupancy);
    kernels->grow_cells(PLX_GRID, PLX_GRID, field->occupancy, seen);
    kernels->grow_cells(PLX_GRID, SLICE, seen, field->occupancy);
    plx_tape_reset(tape);
    return PLX_OK;
}

/* ---- samples ------------------------------------------------------------------------------------------------- */

plx_samples plx_sample_occupied(plx_tape *tape, plx_ray_set rays, float step, const unsigned char *grid,
                                float radius, const plx_rng *rng) {
    const plx_kernels *kernels = plx_tape_kernels(tape);
    plx_march march = {.step = step, .radius = radius, .grid = PLX_GRID, .occupied = grid, .drawn = rng};
    if (rng) march.rng = *rng;
    int *start = plx_tape_array(tape, sizeof(int) * ((size_t)rays.R + 1)), room = 0;
    kernels->march_starts(rays.R, rays.device, march, start);
    const bool counted = !plx_tape_memory(tape);
    for (int r = 0; r < rays.R && !counted; r++) room += plx_march_count(&rays.host[r], step);
    if (counted) room = start[rays.R];
    float *t = plx_tape_array(tape, sizeof(float) * (size_t)room);
    float *length = plx_tape_array(tape, sizeof(float) * (size_t)room);
    kernels->march_samples(rays.R, rays.device, march, start, t, length);
    return (plx_samples){{rays.R, room, start, t, length}, counted ? start : NULL};
}
