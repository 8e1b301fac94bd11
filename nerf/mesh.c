/* A field's surface as triangles. */
#include "nerf/marching_cubes.h"
#include "nerf/occupancy.h"
#include "nerf/tensor/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 1 << 16, /* points evaluated at once */
    PADDING = 2,     /* lattice points around the sphere */
    MAX_RESOLUTION = 512,
    THRESHOLD_VIEWS = 12,
    THRESHOLD_SIDE = 64, /* pixels */
    THRESHOLD_SAMPLES = 128,
    STAR = 7,           /* points around a vertex that tell a gradient */
    COLOUR_SAMPLES = 8, /* along its normal */
};
static const float level_limit = 4; /* of |log(density / threshold)| */

plx_surface_mesh_options plx_surface_mesh_options_default(void) {
    return (plx_surface_mesh_options){.resolution = 160};
}

/* values (count,4): density, r, g, b at points (count,3) of the world. */
static void evaluate(plx_field *field, int count, const float *points, float *values) {
    for (int first = 0; first < count; first += BATCH) {
        int part = count - first < BATCH ? count - first : BATCH;
        plx_arena *arena = plx_tape_arena(field->tape);
        float *coordinates = plx_arena_alloc(arena, sizeof(float) * 5 * (size_t)part);
        for (int i = 0; i < part; i++)
            plx_frame_coordinates(&field->frame, points + 3 * (size_t)(first + i),
                                  coordinates + 5 * (size_t)i);
        const int start[2] = {0, part};
        plx_points at = plx_points_on(field->tape, 1, (plx_points){part, start, coordinates});
        plx_tensor *out = plx_field_evaluate(field->tape, &field->operands, at);
        memcpy(values + 4 * (size_t)first, plx_tape_values(field->tape, out),
               sizeof(float) * 4 * (size_t)part);
        plx_tape_reset(field->tape);
    }
}

/* ---- the threshold --------------------------------------------------------------------------------------------- */

typedef struct probe {
    float most; /* the largest density along a ray */
    bool hit;   /* its opacity is above 0.5 */
} probe;

static void probe_rays(plx_field *field, const plx_camera *camera, probe *out) {
    plx_arena *arena = plx_tape_arena(field->tape);
    const int R = THRESHOLD_SIDE * THRESHOLD_SIDE, object_start[2] = {0, R};
    float radius = field->frame.radius;
    plx_ray *rays = plx_arena_alloc(arena, sizeof *rays * (size_t)R);
    for (int r = 0; r < R; r++)
        rays[r] = plx_ray_through(camera, (float)(r % THRESHOLD_SIDE) + 0.5f,
                                  (float)(r / THRESHOLD_SIDE) + 0.5f, radius);
    plx_tape *tape = field->tape;
    const plx_ray_set set = plx_rays_on(tape, R, rays);
    const plx_samples samples =
        plx_sample_occupied(tape, set, 2 * radius / THRESHOLD_SAMPLES, field->occupancy, radius, NULL);
    const size_t S = (size_t)samples.rays.S;
    memset(out, 0, sizeof *out * (size_t)R);
    if (S) {
        plx_points points = plx_points_along(tape, set, samples, 1, object_start, &field->frame);
        const float *values = plx_tape_values(tape, plx_field_evaluate(tape, &field->operands, points));
        const int *start = plx_tape_read(tape, samples.rays.start, sizeof(int) * ((size_t)R + 1));
        const float *length = plx_tape_read(tape, samples.rays.length, sizeof(float) * S);
        for (int r = 0; r < R; r++) {
            double depth = 0; /* optical */
            for (int i = start[r]; i < start[r + 1]; i++) {
                out[r].most = fmaxf(out[r].most, values[4 * (size_t)i]);
                depth += (double)values[4 * (size_t)i] * (double)length[i];
            }
            out[r].hit = depth > M_LN2;
        }
    }
    plx_tape_reset(field->tape);
}

static int densest_first(const void *a, const void *b) {
    const probe *x = a, *y = b;
    return (x->most < y->most) - (x->most > y->most);
}

/* IoU of the rays above a threshold with those that hit, for every threshold between two rays; the middle, in logarithms, of
 * those that are within 0.001 of the best. */
static float best_threshold(const probe *rays, int count, int hits) {
    double best = 0, low = 0, high = 0;
    for (int pass = 0; pass < 2; pass++) {
        int both = 0;
        for (int i = 0; i < count && rays[i].most > 0; i++) {
            both += rays[i].hit;
            double iou = (double)both / (i + 1 + hits - both);
            if (!pass)
                best = fmax(best, iou);
            else if (iou >= best - 0.001) {
                double next = i + 1 < count ? (double)rays[i + 1].most : 0;
                if (high == 0) high = (double)rays[i].most;
                low = fmax(next, 1e-3 * (double)rays[i].most);
            }
        }
    }
    return (float)sqrt(low * high);
}

int plx_field_threshold(plx_field *field, float *threshold) {
    const int R = THRESHOLD_SIDE * THRESHOLD_SIDE, count = THRESHOLD_VIEWS * R;
    float radius = field->frame.radius;
    int hits = 0, status = field->occupancy ? PLX_OK : plx_field_update_occupancy(field);
    probe *rays = status ? NULL : malloc(sizeof *rays * (size_t)count);
    if (!status && !rays) status = plx_fail(PLX_ERROR_MEMORY, "no memory for %d rays", count);
    for (int i = 0; i < THRESHOLD_VIEWS && !status; i++) { /* evenly over the sphere, by the golden angle */
        float elevation = asinf(1 - (2 * (float)i + 1) / THRESHOLD_VIEWS), azimuth = 2.39996323f * (float)i;
        plx_camera camera = plx_camera_orbit(azimuth, elevation, 4 * radius, 2 * asinf(0.25f), THRESHOLD_SIDE,
                                             THRESHOLD_SIDE);
        probe_rays(field, &camera, rays + (size_t)i * (size_t)R);
        status = plx_memory_check(plx_tape_memory(field->tape));
    }
    for (int i = 0; i < count && !status; i++) hits += rays[i].hit;
    if (!status) qsort(rays, (size_t)count, sizeof *rays, densest_first);
    if (!status && !hits)
        status =
            plx_fail(PLX_ERROR_INPUT,
                     "nothing in the scene is opaque, so that no density is its surface's; the densest of %d "
                     "rays meets %.4g: a threshold below that gives a mesh",
                     count, (double)rays[0].most);
    if (!status) *threshold = best_threshold(rays, count, hits);
    free(rays);
    return status;
}

/* ---- the lattice ----------------------------------------------------------------------------------------------- */

typedef struct lattice {
    plx_field *field;
    float threshold, cell, radius;
    int side;
    unsigned char *occupancy; /* the field's, on the host */
    float *levels;            /* (side,side,side), z slowest: above 0 inside */
    float most;               /* the largest density */
} lattice;

static float place(const lattice *l, int i) {
    return ((float)(i - PADDING)) * l->cell - l->radius;
}

/* log(density / threshold), held to what a surface can use, and under the distance to the sphere, in cells. */
static float level_of(const lattice *l, float density, const float p[3]) {
    float inside = (l->radius - sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])) / l->cell;
    float level = logf(fmaxf(density, 1e-30f) / l->threshold);
    return fmaxf(fminf(fminf(level, level_limit), inside), -level_limit);
}

/* Cells that the renderer skips hold nothing that a threshold above the skipped density could meet. */
static bool may_hold(const lattice *l, const float p[3]) {
    int cell[3];
    float away = 0;
    for (int k = 0; k < 3; k++) {
        cell[k] = (int)((p[k] + l->radius) / (2 * l->radius) * PLX_GRID);
        cell[k] = cell[k] < 0 ? 0 : cell[k] >= PLX_GRID ? PLX_GRID - 1 : cell[k];
        away += p[k] * p[k];
    }
    if (sqrtf(away) > l->radius + l->cell) return false;
    return l->threshold <= l->field->empty_below ||
           l->occupancy[(cell[2] * PLX_GRID + cell[1]) * PLX_GRID + cell[0]];
}

/* One slice; scratch: (side,side) points and values, and which they are. */
static void fill_slice(lattice *l, int z, float *points, float *values, int *which) {
    int n = l->side, count = 0;
    float *slice = l->levels + (size_t)z * (size_t)n * (size_t)n;
    for (int i = 0; i < n * n; i++) {
        const float p[3] = {place(l, i % n), place(l, i / n), place(l, z)};
        slice[i] = -level_limit;
        if (!may_hold(l, p)) continue;
        memcpy(points + 3 * (size_t)count, p, sizeof p);
        which[count++] = i;
    }
    evaluate(l->field, count, points, values);
    for (int i = 0; i < count; i++) {
        const float *p = points + 3 * (size_t)i;
        float density = values[4 * (size_t)i], level = level_of(l, density, p);
        slice[which[i]] = level;
        bool rim = p[0] * p[0] + p[1] * p[1] + p[2] * p[2] >= l->radius * l->radius;
        if (!rim) l->most = fmaxf(l->most, density);
    }
}

static int fill_lattice(lattice *l, plx_progress_fn progress, void *user) {
    size_t slice = (size_t)l->side * (size_t)l->side;
    l->levels = malloc(sizeof(float) * slice * (size_t)l->side);
    float *points = malloc(sizeof(float) * 3 * slice), *values = malloc(sizeof(float) * 4 * slice);
    int *which = malloc(sizeof(int) * slice), status = PLX_OK;
    if (!l->levels || !points || !values || !which)
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for a lattice of %d points a side", l->side);
    for (int z = 0; z < l->side && !status; z++) {
        fill_slice(l, z, points, values, which);
        if (plx_progress_report(progress, user, "surface", z + 1, l->side, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    free(points), free(values), free(which);
    return status;
}

/* ---- vertices -------------------------------------------------------------------------------------------------- */

/* Levels at a point and one step to each side of it; out: the level, and its gradient. points (7,3), values (7,4). */
static void put_star(const float p[3], float step, float *points) {
    for (int i = 0; i < STAR; i++) {
        memcpy(points + 3 * i, p, 3 * sizeof *p);
        if (i) points[3 * i + (i - 1) / 2] += i % 2 ? step : -step;
    }
}

static float read_star(const lattice *l, const float *points, const float *values, float step,
                       float gradient[3]) {
    float level[STAR];
    for (int i = 0; i < STAR; i++) level[i] = level_of(l, values[4 * i], points + 3 * i);
    for (int k = 0; k < 3; k++) gradient[k] = (level[1 + 2 * k] - level[2 + 2 * k]) / (2 * step);
    return level[0];
}

/* A step of Newton's method along the gradient, at most half a cell; then the normal against it. */
static void move_or_turn(const lattice *l, plx_triangles *mesh, int v, const float *points,
                         const float *values, float step, bool turn) {
    float gradient[3], level = read_star(l, points, values, step, gradient), square = 0;
    float *p = mesh->positions + 3 * (size_t)v, *n = mesh->normals + 3 * (size_t)v;
    for (int k = 0; k < 3; k++) square += gradient[k] * gradient[k];
    if (!(square > 0)) {
        if (turn && n[0] == 0 && n[1] == 0 && n[2] == 0) n[2] = 1;
        return;
    }
    float norm = sqrtf(square), away = fminf(fmaxf(-level / norm, -0.5f * l->cell), 0.5f * l->cell);
    for (int k = 0; k < 3; k++) {
        n[k] = -gradient[k] / norm;
        if (!turn) p[k] += away * gradient[k] / norm;
    }
}

/* What is seen along the normal, from half a cell outside: composited, over nothing. */
static void see_colour(const float *values, float step, float colour[3]) {
    float light = 1, sum = 0, seen[3] = {0};
    for (int i = 0; i < COLOUR_SAMPLES; i++) {
        float weight = light * -expm1f(-values[4 * i] * step);
        for (int c = 0; c < 3; c++) seen[c] += weight * values[4 * i + 1 + c];
        sum += weight, light -= weight;
    }
    for (int c = 0; c < 3; c++)
        colour[c] = sum > 1e-6f ? seen[c] / sum : values[4 * (COLOUR_SAMPLES / 2) + 1 + c];
}

/* A pass over the vertices: the points (each,3) that it asks of the field around one, and what it makes of the values. */
enum pass { MOVE, MOVE_AGAIN, TURN, COLOUR, PASSES };

static void ask(const lattice *l, const plx_triangles *mesh, int v, enum pass pass, float step,
                float *points) {
    const float *p = mesh->positions + 3 * (size_t)v, *n = mesh->normals + 3 * (size_t)v;
    if (pass != COLOUR) put_star(p, step, points);
    for (int s = 0; s < COLOUR_SAMPLES && pass == COLOUR; s++)
        for (int k = 0; k < 3; k++) points[3 * s + k] = p[k] + (0.5f * l->cell - step * (float)s) * n[k];
}

static int finish_vertices(const lattice *l, plx_triangles *mesh) {
    enum { MOST = 8 /* points of a vertex */, MANY = 4096 /* vertices at once */ };
    float *points = malloc(sizeof(float) * 3 * MOST * MANY),
          *values = malloc(sizeof(float) * 4 * MOST * MANY);
    bool room = points && values;
    for (enum pass pass = 0; pass < PASSES && room; pass++) {
        int each = pass == COLOUR ? COLOUR_SAMPLES : STAR;
        float step = l->cell * (pass == COLOUR ? 0.5f : pass == TURN ? 1 : 0.25f);
        for (int first = 0; first < mesh->vertices; first += MANY) {
            int part = mesh->vertices - first < MANY ? mesh->vertices - first : MANY;
            for (int i = 0; i < part; i++)
                ask(l, mesh, first + i, pass, step, points + 3 * (size_t)(each * i));
            evaluate(l->field, part * each, points, values);
            for (int i = 0; i < part; i++) {
                const float *q = points + 3 * (size_t)(each * i), *u = values + 4 * (size_t)(each * i);
                if (pass == COLOUR)
                    see_colour(u, step, mesh->colours + 3 * (size_t)(first + i));
                else
                    move_or_turn(l, mesh, first + i, q, u, step, pass == TURN);
            }
        }
    }
    free(points), free(values);
    return room ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "no memory for %d vertices", mesh->vertices);
}

/* ---- all together ------------------------------------------------------------------------------------------------ */

int plx_field_mesh(plx_triangles *out, plx_field *field, const plx_surface_mesh_options *options,
                   plx_progress_fn progress, void *user) {
    *out = (plx_triangles){0};
    if (options->resolution < 4 || options->resolution > MAX_RESOLUTION)
        return plx_fail(PLX_ERROR_INPUT, "a surface of %d cells, not 4 to %d", options->resolution,
                        MAX_RESOLUTION);
    if (!(options->threshold >= 0 && options->threshold < 1e6f))
        return plx_fail(PLX_ERROR_INPUT, "a surface of density %g", (double)options->threshold);
    lattice l = {.field = field,
                 .threshold = options->threshold,
                 .radius = field->frame.radius,
                 .cell = 2 * field->frame.radius / (float)options->resolution,
                 .side = options->resolution + 1 + 2 * PADDING};
    int status = field->occupancy ? PLX_OK : plx_field_update_occupancy(field);
    if (!status && !(l.threshold > 0)) status = plx_field_threshold(field, &l.threshold);
    if (!status && !(l.occupancy = malloc(PLX_GRID * PLX_GRID * PLX_GRID)))
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for an occupancy grid");
    if (!status)
        plx_memory_read(plx_tape_memory(field->tape), l.occupancy, field->occupancy,
                        PLX_GRID * PLX_GRID * PLX_GRID);
    if (!status) status = fill_lattice(&l, progress, user);
    if (!status) status = plx_memory_check(plx_tape_memory(field->tape));
    if (!status && !(l.most > l.threshold))
        status = plx_fail(PLX_ERROR_INPUT,
                          "no density reaches the threshold %.4g; the largest of %d^3 points is %.4g: a "
                          "threshold below that "
                          "gives a mesh",
                          (double)l.threshold, l.side, (double)l.most);
    if (!status) status = plx_marching_cubes(out, l.levels, (const int[]){l.side, l.side, l.side});
    for (int i = 0; i < 3 * out->vertices && !status; i++)
        out->positions[i] = (out->positions[i] - PADDING) * l.cell - l.radius;
    if (!status) status = finish_vertices(&l, out);
    if (!status) status = plx_memory_check(plx_tape_memory(field->tape));
    free(l.levels), free(l.occupancy);
    if (status) plx_triangles_free(out);
    return status;
}
