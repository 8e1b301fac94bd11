/* Photometric error over the surface that two views share: each view's points, looked up in its neighbours. */
#include "nerf/surface.h"

#include <math.h>
#include <stdlib.h>

typedef struct sums {
    int64_t points, shared;
    double absolute, squared;
} sums;

/* The points at a's pixel centres, seen by b. */
static sums compare(const plx_observer *a, const plx_observer *b, float tolerance) {
    sums s = {0};
    for (int i = 0; i < a->camera->height; i++)
        for (int j = 0; j < a->camera->width; j++) {
            float point[3], ours[3], theirs[3];
            if (!plx_observer_point(a, i, j, point, ours)) continue;
            s.points++;
            if (!plx_observer_see(b, point, tolerance, theirs)) continue;
            s.shared++;
            for (int c = 0; c < 3; c++) {
                double d = (double)ours[c] - (double)theirs[c];
                s.absolute += fabs(d);
                s.squared += d * d;
            }
        }
    return s;
}

static plx_reprojection average(const sums *s, int count) {
    sums all = {0};
    for (int k = 0; k < count; k++) {
        all.points += s[k].points;
        all.shared += s[k].shared;
        all.absolute += s[k].absolute;
        all.squared += s[k].squared;
    }
    double values = 3 * (double)all.shared;
    return (plx_reprojection){.pairs = count,
                              .points = all.points,
                              .shared = all.shared,
                              .coverage = all.points ? (double)all.shared / (double)all.points : NAN,
                              .absolute = all.shared ? all.absolute / values : NAN,
                              .rms = all.shared ? sqrt(all.squared / values) : NAN};
}

int plx_reprojection_score(plx_reprojection *out, const plx_views *views,
                           const plx_surface_options *options) {
    plx_observer *observers;
    plx_view_pair *pairs = NULL;
    int count = 0, status = plx_observers_create(&observers, views, options);
    if (!status) status = plx_view_pairs(&pairs, &count, views, options->neighbours);
    sums *parts = status ? NULL : malloc(sizeof *parts * 2 * (size_t)(count + 1));
    if (!status && !parts)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %d pairs of views", views->name, count);
    if (!status) {
#pragma omp parallel for schedule(dynamic)
        for (int k = 0; k < 2 * count; k++) {
            const plx_observer *a = &observers[pairs[k / 2].a], *b = &observers[pairs[k / 2].b];
            parts[k] = k % 2 ? compare(b, a, options->tolerance) : compare(a, b, options->tolerance);
        }
        *out = average(parts, 2 * count);
    }
    free(parts);
    free(pairs);
    plx_observers_free(observers, views->count);
    return status;
}
