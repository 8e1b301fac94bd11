/* Do the poses, the pictures and the bounds of an object fit each other? */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/dataset_check.h"

#define GRID 40    /* points a side that are carved */
#define CARVING 24 /* views that carve, at most */
#define AWAY 0.1   /* share of views that may miss the object */
#define FILLED \
    0.85 /* of the silhouettes' inner cells: below it poses and pictures do not fit; right sets have 0.95 to 1 */
#define FILLED_WELL 0.93

static void column(const plx_camera *c, int which, double out[3]) {
    for (int i = 0; i < 3; i++) out[i] = (double)c->c2w[4 * i + which];
}

/* The point nearest to all optical axes: sum of (I - b b') (x - p) = 0 with b backwards and p the position. False when the axes
 * are parallel. */
static bool find_centre(double centre[3], const plx_seen_object *seen) {
    double m[3][4] = {{0}};
    for (int v = 0; v < seen->count; v++) {
        double back[3], position[3];
        column(&seen->views[v].camera, 2, back);
        column(&seen->views[v].camera, 3, position);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                double a = (i == j) - back[i] * back[j];
                m[i][j] += a;
                m[i][3] += a * position[j];
            }
    }
    for (int i = 0; i < 3; i++) { /* Gauss, with pivots */
        int pivot = i;
        for (int k = i + 1; k < 3; k++)
            if (fabs(m[k][i]) > fabs(m[pivot][i])) pivot = k;
        if (fabs(m[pivot][i]) < 1e-3 * seen->count) return false;
        for (int j = 0; j < 4; j++) {
            double keep = m[i][j];
            m[i][j] = m[pivot][j];
            m[pivot][j] = keep;
        }
        for (int k = 0; k < 3; k++) {
            double factor = k == i ? 0 : m[k][i] / m[i][i];
            for (int j = i; j < 4; j++) m[k][j] -= factor * m[i][j];
        }
    }
    for (int i = 0; i < 3; i++) centre[i] = m[i][3] / m[i][i];
    return true;
}

/* The radius around the centre that the cameras see on the average. */
static double seen_radius(const plx_seen_object *seen, const double centre[3]) {
    double sum = 0;
    for (int v = 0; v < seen->count; v++) {
        const plx_camera *c = &seen->views[v].camera;
        double p[3];
        column(c, 3, p);
        double distance =
            sqrt(pow(p[0] - centre[0], 2) + pow(p[1] - centre[1], 2) + pow(p[2] - centre[2], 2));
        double wide = fmax(c->width / (double)c->fx, c->height / (double)c->fy) / 2;
        sum += distance * sin(atan(wide));
    }
    return sum / seen->count;
}

static void check_aim(const plx_seen_object *seen, const double centre[3], plx_findings *findings,
                      int object) {
    int away = 0;
    for (int v = 0; v < seen->count; v++) {
        const plx_camera *c = &seen->views[v].camera;
        float point[3] = {(float)centre[0], (float)centre[1], (float)centre[2]}, x, y, depth;
        away += !plx_camera_project(c, point, &x, &y, &depth) || x < 0 || y < 0 || x > (float)c->width ||
                y > (float)c->height;
    }
    if (away > AWAY * seen->count)
        plx_find(findings, true, "pose", object, -1,
                 "%d of %d cameras do not look at the object (the point nearest to all axes, %.3g %.3g %.3g)",
                 away, seen->count, centre[0], centre[1], centre[2]);
}

/* The cell that a point falls into, or -1. */
static int cell_of(const plx_seen_view *view, const float point[3], float *depth) {
    float x, y;
    const plx_camera *c = &view->camera;
    if (!plx_camera_project(c, point, &x, &y, depth) || x < 0 || y < 0 || x >= (float)c->width ||
        y >= (float)c->height)
        return -1;
    return (int)(y * PLX_CHECK_CELLS / (float)c->height) * PLX_CHECK_CELLS +
           (int)(x * PLX_CHECK_CELLS / (float)c->width);
}

/* What all silhouettes allow. */
typedef struct hull {
    int count;
    float (*points)[3];
    const plx_seen_view *carving[CARVING];
    int carving_count;
} hull;

/* True where the silhouette has something in the cell, or (wide) in one beside it. */
static bool in_silhouette(const plx_seen_view *view, int cell, bool wide) {
    const int side = PLX_CHECK_CELLS;
    if (!wide) return view->cells[cell] > 0;
    for (int k = 0; k < 9; k++) {
        int row = cell / side + k / 3 - 1, col = cell % side + k % 3 - 1;
        if (row >= 0 && col >= 0 && row < side && col < side && view->cells[row * side + col]) return true;
    }
    return false;
}

/* Points of a grid in the box. */
static void carve(hull *out, const double low[3], const double high[3], bool wide) {
    out->count = 0;
    for (int i = 0; i < GRID * GRID * GRID; i++) {
        float point[3], depth;
        int place[3] = {i % GRID, i / GRID % GRID, i / GRID / GRID}, outside = 0;
        for (int k = 0; k < 3; k++) point[k] = (float)(low[k] + (high[k] - low[k]) * (place[k] + 0.5) / GRID);
        for (int v = 0; v < out->carving_count && !outside; v++) {
            int cell = cell_of(out->carving[v], point, &depth);
            outside = cell >= 0 ? !in_silhouette(out->carving[v], cell, wide)
                                : depth <= 0; /* beside the picture it may be */
        }
        if (!outside) memcpy(out->points[out->count++], point, sizeof point);
    }
}

/* First roughly, then in the box of what is left: a ship or a wing is thinner than the first grid's step. */
static void carve_twice(hull *out, const double centre[3], double radius) {
    double low[3], high[3], step = 2 * radius / GRID;
    for (int k = 0; k < 3; k++) low[k] = centre[k] - radius, high[k] = centre[k] + radius;
    carve(out, low, high, true);
    for (int k = 0; k < 3 && out->count; k++) {
        low[k] = INFINITY, high[k] = -INFINITY;
        for (int i = 0; i < out->count; i++) {
            low[k] = fmin(low[k], (double)out->points[i][k] - step);
            high[k] = fmax(high[k], (double)out->points[i][k] + step);
        }
    }
    if (out->count) carve(out, low, high, false);
}

/* Share of the cells that are all object and have a point of the hull in them or beside them, over all carving views. */
static double filled(const hull *of) {
    int all = 0, found = 0;
    for (int v = 0; v < of->carving_count; v++) {
        const int side = PLX_CHECK_CELLS;
        uint8_t hit[PLX_CHECK_CELLS * PLX_CHECK_CELLS] = {0};
        for (int i = 0; i < of->count; i++) {
            float depth;
            int cell = cell_of(of->carving[v], of->points[i], &depth);
            if (cell >= 0) hit[cell] = 1;
        }
        for (int cell = 0; cell < side * side; cell++) {
            if (of->carving[v]->cells[cell] < 255) continue;
            bool near = false;
            for (int k = 0; k < 9; k++) {
                int row = cell / side + k / 3 - 1, col = cell % side + k % 3 - 1;
                near = near || (row >= 0 && col >= 0 && row < side && col < side && hit[row * side + col]);
            }
            all++;
            found += near;
        }
    }
    return all ? (double)found / all : 1;
}

/* Near and far must hold what is seen: depth where there is some, else the hull. */
static void check_bounds(const plx_seen_object *seen, const hull *of, double margin, plx_findings *findings,
                         int object) {
    double near = INFINITY, far = 0;
    if (seen->far <= 0) return;
    for (int v = 0; v < seen->count; v++)
        if (seen->views[v].far > 0) {
            near = fmin(near, (double)seen->views[v].near);
            far = fmax(far, (double)seen->views[v].far);
        }
    bool depth = far > 0;
    for (int v = 0; v < of->carving_count && !depth; v++)
        for (int i = 0; i < of->count; i++) {
            double p[3], distance = 0;
            column(&of->carving[v]->camera, 3, p);
            for (int k = 0; k < 3; k++) distance += pow((double)of->points[i][k] - p[k], 2);
            near = fmin(near, sqrt(distance));
            far = fmax(far, sqrt(distance));
        }
    if (depth) margin = 1e-3 * far;
    if (far > 0 && (near < (double)seen->near - margin || far > (double)seen->far + margin))
        plx_find(findings, depth, "bounds", object, -1,
                 "the object lies %.3g to %.3g away, near and far are %.3g and %.3g", near, far,
                 (double)seen->near, (double)seen->far);
}

void plx_check_shape(const plx_seen_object *seen, plx_findings *findings, int object) {
    double centre[3];
    hull of = {0};
    if (seen->count < 3 || !find_centre(centre, seen)) return; /* too few views to say anything */
    double radius = seen_radius(seen, centre);
    check_aim(seen, centre, findings, object);
    int with = 0;
    for (int v = 0; v < seen->count; v++) with += seen->views[v].has_silhouette;
    for (int v = 0, k = 0; v < seen->count; v++) { /* evenly spaced ones */
        if (!seen->views[v].has_silhouette) continue;
        if (with <= CARVING || k * CARVING / with == of.carving_count)
            of.carving[of.carving_count++] = &seen->views[v];
        if (of.carving_count == CARVING) break;
        k++;
    }
    if (with < seen->count || of.carving_count < 4 || !isfinite(radius) || radius <= 0) return;
    of.points = malloc(GRID * GRID * GRID * sizeof *of.points);
    if (!of.points) return;
    carve_twice(&of, centre, radius);
    double share = filled(&of);
    if (share < FILLED_WELL)
        plx_find(findings, share < FILLED, "pose", object, -1,
                 "the silhouettes and the poses agree on %.0f %% only (axes, row order, focal length, order "
                 "of the files?)",
                 100 * share);
    else
        check_bounds(seen, &of, 4 * radius / GRID, findings, object);
    free(of.points);
}
