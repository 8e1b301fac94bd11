/* Camera paths that are built in, all around the origin, and equal steps along any curve. */
#include "render/path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"

#define DEGREE 0.017453292519943295

enum { PIECES = 8192 }; /* of a curve whose length is summed */

int plx_path_allocate(plx_path *out, int frames, double fps) {
    *out = (plx_path){.fps = fps};
    if (frames < 1 || frames > PLX_PATH_MAX_FRAMES)
        return plx_fail(PLX_ERROR_INPUT, "a path of %d frames (1 to %d)", frames, PLX_PATH_MAX_FRAMES);
    if (!(fps >= 0.01 && fps <= 1000))
        return plx_fail(PLX_ERROR_INPUT, "%g frames a second (0.01 to 1000)", fps);
    out->cameras = calloc((size_t)frames, sizeof *out->cameras);
    if (!out->cameras) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d cameras", frames);
    out->count = frames;
    return PLX_OK;
}

void plx_path_free(plx_path *path) {
    if (!path) return;
    free(path->cameras);
    free(path->keyframes.keyframes);
    *path = (plx_path){0};
}

int plx_even_parameters(double *out, int count, bool closed, plx_length_fn length, const void *curve) {
    double *sum = malloc(sizeof *sum * (PIECES + 1));
    if (!sum) return plx_fail(PLX_ERROR_MEMORY, "no memory for a path");
    sum[0] = 0;
    for (int i = 0; i < PIECES; i++)
        sum[i + 1] = sum[i] + length((double)i / PIECES, (i + 1.0) / PIECES, curve);
    double gaps = count - !closed;
    for (int i = 0, piece = 0; i < count; i++) {
        double share = gaps > 0 ? i / gaps : 0, wanted = share * sum[PIECES];
        while (piece + 1 < PIECES && sum[piece + 1] < wanted) piece++;
        double step = sum[piece + 1] - sum[piece], inside = step > 0 ? (wanted - sum[piece]) / step : 0;
        out[i] = sum[PIECES] > 0 ? (piece + inside) / PIECES : share;
    }
    free(sum);
    return PLX_OK;
}

plx_path_options plx_path_options_default(void) {
    return (plx_path_options){.kind = "orbit",
                              .frames = 48,
                              .rows = 3,
                              .columns = 8,
                              .elevation = (float)(20 * DEGREE),
                              .low = (float)(-10 * DEGREE),
                              .high = (float)(50 * DEGREE),
                              .turns = 3,
                              .distance = PLX_DEFAULT_DISTANCE,
                              .fov = PLX_DEFAULT_FOV,
                              .width = 256,
                              .height = 256,
                              .fps = 24};
}

enum kind { ORBIT, TURNTABLE, SPIRAL, GRID, KINDS };
static const char *const kind_names[KINDS] = {"orbit", "turntable", "spiral", "grid"};

/* A motion on the sphere about the origin, u from 0 to 1: azimuth and elevation. */
typedef struct motion {
    enum kind kind;
    const plx_path_options *options;
} motion;

static void direction_at(const motion *m, double u, double *azimuth, double *elevation) {
    double turn = 2 * M_PI * u, low = m->options->low, high = m->options->high;
    *azimuth = m->kind == SPIRAL ? turn * m->options->turns : turn;
    *elevation = m->kind == ORBIT       ? m->options->elevation
                 : m->kind == TURNTABLE ? (low + high) / 2 - (high - low) / 2 * cos(turn)
                                        : low + (high - low) * u;
}

static double arc_length(double a, double b, const void *curve) {
    double azimuth[2], elevation[2];
    direction_at(curve, a, &azimuth[0], &elevation[0]);
    direction_at(curve, b, &azimuth[1], &elevation[1]);
    return hypot(elevation[1] - elevation[0],
                 (azimuth[1] - azimuth[0]) * cos((elevation[0] + elevation[1]) / 2));
}

static plx_camera camera_of(const plx_path_options *o, double azimuth, double elevation) {
    return plx_camera_orbit((float)azimuth, (float)elevation, o->distance, o->fov, o->width, o->height);
}

static int make_motion(plx_path *out, const motion *m) {
    double *at = malloc(sizeof *at * (size_t)out->count), azimuth, elevation;
    if (!at) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d cameras", out->count);
    out->closed = m->kind != SPIRAL;
    int status = plx_even_parameters(at, out->count, out->closed, arc_length, m);
    for (int i = 0; i < out->count && !status; i++) {
        direction_at(m, at[i], &azimuth, &elevation);
        out->cameras[i] = camera_of(m->options, azimuth, elevation);
    }
    free(at);
    return status;
}

static void make_grid(plx_path *out, const plx_path_options *o) {
    out->columns = o->columns;
    for (int i = 0; i < out->count; i++) {
        int row = i / o->columns, column = i % o->columns;
        double share = o->rows > 1 ? (double)row / (o->rows - 1) : 0.5;
        out->cameras[i] =
            camera_of(o, 2 * M_PI * column / o->columns, o->high - share * ((double)o->high - o->low));
    }
}

int plx_path_make(plx_path *out, const plx_path_options *o) {
    *out = (plx_path){0};
    int kind = 0;
    while (kind < KINDS && strcmp(o->kind, kind_names[kind])) kind++;
    if (kind == KINDS)
        return plx_fail(PLX_ERROR_INPUT, "no built-in path is called %s (orbit, turntable, spiral, grid)",
                        o->kind);
    if (kind == GRID && (o->rows < 1 || o->columns < 1 || o->rows > PLX_PATH_MAX_FRAMES / o->columns))
        return plx_fail(PLX_ERROR_INPUT, "a grid of %d rows of %d stills", o->rows, o->columns);
    int status = plx_path_allocate(out, kind == GRID ? o->rows * o->columns : o->frames, o->fps);
    if (status < 0) return status;
    if (kind == GRID)
        make_grid(out, o);
    else
        status = make_motion(out, &(motion){kind, o});
    if (status < 0) plx_path_free(out);
    return status;
}
