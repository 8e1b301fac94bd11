/* The colour of each surface point over all the views that see it. */
#include "nerf/surface.h"

#include <math.h>
#include <stdlib.h>

/* ---- points, thinned to one a cube ---------------------------------------------------------------------------- */

typedef struct cloud_point {
    int32_t cube[3];
    float point[3];
    int64_t order; /* by view, row, column: which of a cube's points stays */
} cloud_point;

static int by_cube(const void *x, const void *y) {
    const cloud_point *a = x, *b = y;
    for (int k = 0; k < 3; k++)
        if (a->cube[k] != b->cube[k]) return a->cube[k] < b->cube[k] ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* The mean footprint of all views' surface points: the unit of the cubes. */
static double mean_footprint(const plx_observer *observers, int count, int64_t *points) {
    double sum = 0;
    *points = 0;
    for (int v = 0; v < count; v++) {
        const plx_observer *o = &observers[v];
        for (size_t i = 0; i < (size_t)o->camera->height * (size_t)o->camera->width; i++) {
            if (!o->smooth[i]) continue;
            sum += plx_observer_footprint(o->camera, o->depth[2 * i]);
            ++*points;
        }
    }
    return *points ? sum / (double)*points : 1;
}

static int32_t cube_of(float x, double side) {
    return (int32_t)fmin(fmax(floor((double)x / side), -1e9), 1e9);
}

static int gather(cloud_point **out, int64_t *count, const plx_observer *observers, int views, float cell) {
    double side = (double)cell * mean_footprint(observers, views, count);
    cloud_point *cloud = malloc(sizeof *cloud * (size_t)(*count + 1));
    if (!cloud) return plx_fail(PLX_ERROR_MEMORY, "no memory for %lld surface points", (long long)*count);
    int64_t n = 0, kept = 0;
    for (int v = 0; v < views; v++)
        for (int i = 0; i < observers[v].camera->height; i++)
            for (int j = 0; j < observers[v].camera->width; j++) {
                float colour[3];
                cloud_point p = {.order = n};
                if (!plx_observer_point(&observers[v], i, j, p.point, colour)) continue;
                for (int k = 0; k < 3; k++) p.cube[k] = cube_of(p.point[k], side);
                cloud[n++] = p;
            }
    qsort(cloud, (size_t)n, sizeof *cloud, by_cube);
    for (int64_t i = 0; i < n; i++) {
        const int32_t *a = cloud[i].cube, *b = kept ? cloud[kept - 1].cube : NULL;
        if (!b || a[0] != b[0] || a[1] != b[1] || a[2] != b[2]) cloud[kept++] = cloud[i];
    }
    *out = cloud;
    *count = kept;
    return PLX_OK;
}

/* ---- variance ------------------------------------------------------------------------------------------------- */

typedef struct spread {
    int views;
    double variance; /* unbiased, mean over channels */
} spread;

static spread spread_of(const plx_observer *observers, int count, const float point[3], float tolerance) {
    double mean[3] = {0}, squared[3] = {0}; /* Welford's sums */
    int n = 0;
    for (int v = 0; v < count; v++) {
        float colour[3];
        if (!plx_observer_see(&observers[v], point, tolerance, colour)) continue;
        n++;
        for (int c = 0; c < 3; c++) {
            double d = (double)colour[c] - mean[c];
            mean[c] += d / n;
            squared[c] += d * ((double)colour[c] - mean[c]);
        }
    }
    return (spread){n, n > 1 ? (squared[0] + squared[1] + squared[2]) / (3 * (n - 1)) : 0};
}

static plx_surface_variance average(const spread *parts, int64_t count, int least_views) {
    plx_surface_variance out = {.points = count};
    double views = 0, variance = 0;
    for (int64_t i = 0; i < count; i++) {
        if (parts[i].views < least_views) continue;
        out.seen++;
        views += parts[i].views;
        variance += parts[i].variance;
    }
    out.coverage = count ? (double)out.seen / (double)count : NAN;
    out.views = out.seen ? views / (double)out.seen : NAN;
    out.deviation = out.seen ? sqrt(variance / (double)out.seen) : NAN;
    return out;
}

int plx_surface_variance_score(plx_surface_variance *out, const plx_views *views,
                               const plx_surface_options *options) {
    plx_observer *observers;
    cloud_point *cloud = NULL;
    int64_t count = 0;
    int status = plx_observers_create(&observers, views, options);
    if (!status) status = gather(&cloud, &count, observers, views->count, options->cell);
    spread *parts = status ? NULL : malloc(sizeof *parts * (size_t)(count + 1));
    if (!status && !parts)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %lld surface points", views->name,
                          (long long)count);
    if (!status) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < count; i++)
            parts[i] = spread_of(observers, views->count, cloud[i].point, options->tolerance);
        *out = average(parts, count, options->least_views);
    }
    free(parts);
    free(cloud);
    plx_observers_free(observers, views->count);
    return status;
}
