/* Two views' epipolar geometry, and which views are neighbours. */
#include "nerf/consistency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double least_baseline = 1e-4; /* of the distance from the mean centre */

/* ---- pairs --------------------------------------------------------------------------------------------------- */

static void get_centre(const plx_camera *camera, double out[3]) {
    float p[3];
    plx_camera_position(camera, p);
    for (int k = 0; k < 3; k++) out[k] = p[k];
}

static double distance(const double a[3], const double b[3]) {
    return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                (a[2] - b[2]) * (a[2] - b[2]));
}

typedef struct neighbour {
    double distance;
    int view;
} neighbour;

static int nearer(const void *x, const void *y) {
    const neighbour *a = x, *b = y;
    return a->distance != b->distance ? (a->distance < b->distance ? -1 : 1) : a->view - b->view;
}

/* centres (n,3); marks (n,n): whether (i,j) is wanted by i. */
static void mark_nearest(const double *centres, int n, int wanted, double least, neighbour *row,
                         bool *marks) {
    for (int i = 0; i < n; i++) {
        int count = 0;
        for (int j = 0; j < n; j++) {
            double d = distance(centres + 3 * i, centres + 3 * j);
            if (i != j && d > least) row[count++] = (neighbour){d, j};
        }
        qsort(row, (size_t)count, sizeof *row, nearer);
        for (int k = 0; k < count && (wanted == 0 || k < wanted); k++)
            marks[(size_t)i * (size_t)n + (size_t)row[k].view] = true;
    }
}

static int collect(plx_view_pair **pairs, int *count, const bool *marks, int n) {
    for (int pass = 0; pass < 2; pass++) { /* counts, then writes */
        *count = 0;
        for (int a = 0; a < n; a++)
            for (int b = a + 1; b < n; b++) {
                if (!marks[(size_t)a * (size_t)n + (size_t)b] && !marks[(size_t)b * (size_t)n + (size_t)a])
                    continue;
                if (pass) (*pairs)[*count] = (plx_view_pair){a, b};
                ++*count;
            }
        if (!pass) *pairs = malloc(sizeof **pairs * (size_t)(*count + 1));
        if (!*pairs) return plx_fail(PLX_ERROR_MEMORY, "out of memory for %d pairs of views", *count);
    }
    return PLX_OK;
}

int plx_view_pairs(plx_view_pair **pairs, int *count, const plx_views *views, int neighbours) {
    int n = views->count, status;
    size_t rows = (size_t)n + 1;
    *pairs = NULL, *count = 0;
    if (neighbours < 0) return plx_fail(PLX_ERROR_INPUT, "%s: %d neighbours", views->name, neighbours);
    double *centres = malloc(sizeof *centres * 3 * rows), mean[3] = {0}, size = 0;
    neighbour *row = malloc(sizeof *row * rows);
    bool *marks = calloc(rows * rows, sizeof *marks);
    status = centres && row && marks
                 ? PLX_OK
                 : plx_fail(PLX_ERROR_MEMORY, "%s: no memory for the pairs of %d views", views->name, n);
    if (!status) {
        for (int i = 0; i < n; i++) {
            get_centre(&views->views[i].camera, centres + 3 * i);
            for (int k = 0; k < 3; k++) mean[k] += centres[3 * i + k] / n;
        }
        for (int i = 0; i < n; i++) size += distance(centres + 3 * i, mean) / n;
        mark_nearest(centres, n, neighbours, least_baseline * size, row, marks);
        status = collect(pairs, count, marks, n);
    }
    free(centres);
    free(row);
    free(marks);
    return status;
}

/* ---- geometry ------------------------------------------------------------------------------------------------ */

/* K^-1 with the axes' signs: rows take (px, py, 1) to a direction in camera axes (x right, y up, looking down -z). */
static void pixel_to_camera(const plx_camera *c, double out[9]) {
    const double m[9] = {1 / (double)c->fx,
                         0,
                         -(double)c->cx / (double)c->fx,
                         0,
                         -1 / (double)c->fy,
                         (double)c->cy / (double)c->fy,
                         0,
                         0,
                         -1};
    memcpy(out, m, sizeof m);
}

static void multiply(const double a[9], bool transpose_a, const double b[9], double out[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double sum = 0;
            for (int k = 0; k < 3; k++) sum += (transpose_a ? a[3 * k + i] : a[3 * i + k]) * b[3 * k + j];
            out[3 * i + j] = sum;
        }
}

/* Rays d_a = R_a K_a^-1 p_a and d_b from centres t apart meet: d_b . (t x d_a) = 0, so
 * F = K_b^-T R_b' [t]x R_a K_a^-1. Hartley and Zisserman, Multiple View Geometry, 9.2. */
void plx_fundamental(const plx_camera *a, const plx_camera *b, double F[9]) {
    double ca[3], cb[3], rotation_a[9], rotation_b[9], ka[9], kb[9], rays_a[9], rays_b[9], crossed[9];
    get_centre(a, ca);
    get_centre(b, cb);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            rotation_a[3 * i + j] = a->c2w[4 * i + j];
            rotation_b[3 * i + j] = b->c2w[4 * i + j];
        }
    double t[3] = {cb[0] - ca[0], cb[1] - ca[1], cb[2] - ca[2]};
    const double cross[9] = {0, -t[2], t[1], t[2], 0, -t[0], -t[1], t[0], 0};
    pixel_to_camera(a, ka);
    pixel_to_camera(b, kb);
    multiply(rotation_a, false, ka, rays_a);
    multiply(rotation_b, false, kb, rays_b);
    multiply(cross, false, rays_a, crossed);
    multiply(rays_b, true, crossed, F);
}

static double line_distance(const double line[3], const float p[2]) {
    double norm = hypot(line[0], line[1]);
    return norm > 0 ? fabs(line[0] * (double)p[0] + line[1] * (double)p[1] + line[2]) / norm : NAN;
}

double plx_epipolar_distance(const double F[9], const float point_a[2], const float point_b[2]) {
    double in_a[3], in_b[3]; /* lines */
    for (int i = 0; i < 3; i++) {
        in_b[i] = F[3 * i] * (double)point_a[0] + F[3 * i + 1] * (double)point_a[1] + F[3 * i + 2];
        in_a[i] = F[i] * (double)point_b[0] + F[3 + i] * (double)point_b[1] + F[6 + i];
    }
    return 0.5 * (line_distance(in_a, point_a) + line_distance(in_b, point_b));
}
