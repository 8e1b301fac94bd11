/* FLIP: Andersson, Nilsson, Akenine-Moller, Oskarsson, Astrom, Fairchild, "FLIP: A Difference Evaluator for
 * Alternating Images", HPG 2020. A colour difference of images seen through the eye's contrast sensitivity,
 * made larger where edges and points differ. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/filter.h"

#if defined __x86_64__ && defined __GLIBC__ && __GLIBC_PREREQ(2, 35)
/* glibc's vectors of these (4 ulp), which its header offers under -ffast-math only. */
#pragma omp declare simd notinbranch
double cbrt(double x);
#pragma omp declare simd notinbranch
double pow(double x, double y);
#endif

#define PIXELS_PER_DEGREE 67.02 /* 0.7 m from a monitor 0.7 m and 3840 pixels wide */
#define FEATURE_WIDTH 0.082     /* degrees */

enum { COLOUR_RADIUS = 10, FEATURE_RADIUS = 9 };

/* ---- colour spaces
 * ----------------------------------------------------------------------------------------------- */

/* Linear sRGB to XYZ, from the primaries and white of IEC 61966-2-1 as exact fractions. */
static const double to_xyz[3][3] = {{10135552. / 24577794, 8788810. / 24577794, 4435075. / 24577794},
                                    {2613072. / 12288897, 8788810. / 12288897, 887015. / 12288897},
                                    {1425312. / 73733382, 8788810. / 73733382, 70074185. / 73733382}};

/* Its inverse, by cofactors. */
static void invert(const double m[3][3], double out[3][3]) {
    double cofactor[3][3], determinant = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
            cofactor[i][j] = m[a][c] * m[b][d] - m[a][d] * m[b][c];
        }
    for (int j = 0; j < 3; j++) determinant += m[0][j] * cofactor[0][j];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) out[i][j] = cofactor[j][i] / determinant;
}

static void transform(const double m[3][3], const double in[3], double out[3]) {
    for (int i = 0; i < 3; i++) out[i] = m[i][0] * in[0] + m[i][1] * in[1] + m[i][2] * in[2];
}

/* XYZ over the white's (1,1,1 in linear sRGB). */
static void relative_xyz(const double linear[3], double out[3]) {
    transform(to_xyz, linear, out);
    for (int i = 0; i < 3; i++) out[i] /= to_xyz[i][0] + to_xyz[i][1] + to_xyz[i][2];
}

static void linear_to_ycxcz(const double linear[3], double out[3]) {
    double r[3];
    relative_xyz(linear, r);
    out[0] = 116 * r[1] - 16;
    out[1] = 500 * (r[0] - r[1]);
    out[2] = 200 * (r[1] - r[2]);
}

/* No branch: the loops below are vectors of pixels, cbrt and pow too. */
static inline double lab_curve(double x) {
    const double delta = 6. / 29, root = cbrt(x), line = x / (3 * delta * delta) + 4. / 29;
    return x > delta * delta * delta ? root : line;
}

/* ---- filters
 * ----------------------------------------------------------------------------------------------------- */

/* exp(-pi^2 z / b) of the squared distance in degrees z = (i^2 + j^2) / ppd^2, which is a product; its sum is 1. */
static plx_filter sensitivity(double b) {
    return plx_filter_gaussian(COLOUR_RADIUS, PIXELS_PER_DEGREE * sqrt(b / 2) / M_PI);
}

/* The share that the first of two such terms a_i sqrt(pi / b_i) exp(-pi^2 z / b_i) has in the sum of all weights. */
static double first_share(double a1, double b1, double a2, double b2) {
    double sum[2], b[2] = {b1, b2}, a[2] = {a1, a2};
    for (int k = 0; k < 2; k++) {
        double across = 0;
        for (int i = -COLOUR_RADIUS; i <= COLOUR_RADIUS; i++)
            across += exp(-M_PI * M_PI * i * i / (PIXELS_PER_DEGREE * PIXELS_PER_DEGREE * b[k]));
        sum[k] = a[k] * sqrt(M_PI / b[k]) * across * across;
    }
    return sum[0] / (sum[0] + sum[1]);
}

static double feature_deviation(void) {
    return 0.5 * FEATURE_WIDTH * PIXELS_PER_DEGREE;
}

/* First (edges) or second (points) derivative of a Gaussian; its positive part sums to 1, its negative to -1. */
static plx_filter derivative(bool second) {
    plx_filter f = {.radius = FEATURE_RADIUS};
    double s = feature_deviation(), positive = 0, negative = 0;
    for (int i = -f.radius; i <= f.radius; i++) {
        double g = exp(-(i * i) / (2 * s * s)), w = second ? (i * i / (s * s) - 1) * g : -i * g;
        f.weight[i + f.radius] = w;
        positive += fmax(w, 0), negative += fmax(-w, 0);
    }
    for (int i = 0; i <= 2 * f.radius; i++) f.weight[i] /= f.weight[i] > 0 ? positive : negative;
    return f;
}

/* ---- an image as it is seen
 * ----------------------------------------------------------------------------------------------------- */

typedef struct filters {
    plx_filter achromatic, red_green, blue_yellow[2], edge, point, smooth;
    double share;          /* of blue_yellow[0] */
    double to_linear[9];   /* from XYZ over the white's */
    double to_relative[9]; /* back */
    double linear[256];    /* of an 8-bit level */
    double most;           /* the colour difference of green and blue, to the power 0.7 */
} filters;

/* Planes (H,W). */
typedef struct seen {
    double *lab[3];       /* Hunt-adjusted */
    double *edge, *point; /* strengths of the features */
    double *memory;
} seen;

enum { PLANES = 5 };

/* Planes Y, Cx, Cz. */
static void to_opponent(const filters *f, const plx_levels *image, double *const out[3]) {
    size_t pixels = (size_t)image->H * (size_t)image->W;
    double *restrict u = out[0], *restrict v = out[1], *restrict w = out[2], R[9];
    memcpy(R, f->to_relative, sizeof R);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < pixels; i++) out[c][i] = f->linear[(int)image->planes[c * pixels + i]];
    for (size_t i = 0; i < pixels; i++) {
        double r = u[i], g = v[i], b = w[i];
        double x = R[0] * r + R[1] * g + R[2] * b;
        double y = R[3] * r + R[4] * g + R[5] * b;
        double z = R[6] * r + R[7] * g + R[8] * b;
        u[i] = 116 * y - 16;
        v[i] = 500 * (x - y);
        w[i] = 200 * (y - z);
    }
}

/* Y, Cx, Cz -> linear RGB, clamped -> CIELAB with Hunt's adjustment: chroma grows with lightness. In place. */
static void to_hunt_lab(const filters *f, double *const planes[3], size_t pixels) {
    double *restrict u = planes[0], *restrict v = planes[1], *restrict w = planes[2];
    double L[9], R[9];
    memcpy(L, f->to_linear, sizeof L);
    memcpy(R, f->to_relative, sizeof R);
    for (size_t i = 0; i < pixels; i++) {
        double y = (u[i] + 16) / 116, x = y + v[i] / 500, z = y - w[i] / 200;
        double r = plx_clamp(L[0] * x + L[1] * y + L[2] * z);
        double g = plx_clamp(L[3] * x + L[4] * y + L[5] * z);
        double b = plx_clamp(L[6] * x + L[7] * y + L[8] * z);
        double fx = lab_curve(R[0] * r + R[1] * g + R[2] * b);
        double fy = lab_curve(R[3] * r + R[4] * g + R[5] * b);
        double fz = lab_curve(R[6] * r + R[7] * g + R[8] * b);
        double lightness = 116 * fy - 16;
        u[i] = lightness;
        v[i] = 0.01 * lightness * 500 * (fx - fy);
        w[i] = 0.01 * lightness * 200 * (fy - fz);
    }
}

/* Strength of a feature in both directions, on Y + 16 over 116 (the kernels' sum is 0: the 16 falls out). */
static void find_features(const plx_filter *derivative, const plx_filter *smooth, const double *y, int H,
                          int W, double *out, double *scratch) {
    plx_filter_plane(y, H, W, derivative, smooth, out);
    plx_filter_plane(y, H, W, smooth, derivative, scratch);
    size_t pixels = (size_t)H * (size_t)W;
    for (size_t i = 0; i < pixels; i++) out[i] = sqrt(out[i] * out[i] + scratch[i] * scratch[i]) / 116;
}

static seen look(const filters *f, const plx_levels *image) {
    int H = image->H, W = image->W;
    size_t pixels = (size_t)H * (size_t)W;
    double *memory = plx_plane_alloc((PLANES + 1) * pixels), *scratch = memory + PLANES * pixels;
    seen s = {.lab = {memory, memory + pixels, memory + 2 * pixels},
              .edge = memory + 3 * pixels,
              .point = memory + 4 * pixels,
              .memory = memory};
    to_opponent(f, image, s.lab);
    find_features(&f->edge, &f->smooth, s.lab[0], H, W, s.edge, scratch);
    find_features(&f->point, &f->smooth, s.lab[0], H, W, s.point, scratch);
    plx_filter_plane(s.lab[0], H, W, &f->achromatic, &f->achromatic, s.lab[0]);
    plx_filter_plane(s.lab[1], H, W, &f->red_green, &f->red_green, s.lab[1]);
    plx_filter_plane(s.lab[2], H, W, &f->blue_yellow[1], &f->blue_yellow[1], scratch);
    plx_filter_plane(s.lab[2], H, W, &f->blue_yellow[0], &f->blue_yellow[0], s.lab[2]);
    for (size_t i = 0; i < pixels; i++) s.lab[2][i] = f->share * s.lab[2][i] + (1 - f->share) * scratch[i];
    to_hunt_lab(f, s.lab, pixels);
    return s;
}

/* ---- the difference
 * ----------------------------------------------------------------------------------------- */

/* HyAB of green and blue: city-block in lightness, Euclidean in chroma. */
static double green_to_blue(const filters *f) {
    double lab[2][3];
    for (int k = 0; k < 2; k++) {
        double linear[3] = {0, !k, k}, ycxcz[3];
        linear_to_ycxcz(linear, ycxcz);
        for (int c = 0; c < 3; c++) lab[k][c] = ycxcz[c];
        to_hunt_lab(f, (double *[]){&lab[k][0], &lab[k][1], &lab[k][2]}, 1);
    }
    return fabs(lab[0][0] - lab[1][0]) + hypot(lab[0][1] - lab[1][1], lab[0][2] - lab[1][2]);
}

static filters make_filters(void) {
    filters f = {.achromatic = sensitivity(0.0047),
                 .red_green = sensitivity(0.0053),
                 .blue_yellow = {sensitivity(0.04), sensitivity(0.025)},
                 .share = first_share(34.1, 0.04, 13.5, 0.025),
                 .edge = derivative(false),
                 .point = derivative(true),
                 .smooth = plx_filter_gaussian(FEATURE_RADIUS, feature_deviation())};
    double inverse[3][3];
    invert(to_xyz, inverse);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            f.to_relative[3 * i + j] = to_xyz[i][j] / (to_xyz[i][0] + to_xyz[i][1] + to_xyz[i][2]);
            f.to_linear[3 * i + j] = inverse[i][j] * (to_xyz[j][0] + to_xyz[j][1] + to_xyz[j][2]);
        }
    for (int i = 0; i < 256; i++) {
        double v = i / 255.;
        f.linear[i] = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
    }
    f.most = pow(green_to_blue(&f), 0.7);
    return f;
}

/* The colour difference, where 0.4 of the largest takes up 0.95 of the range, to the power 1 - feature difference. */
static void difference(const filters *f, const seen *a, const seen *b, size_t pixels, double *restrict out) {
    const double most = f->most, knee = 0.4 * most;
    const double *L = a->lab[0], *A = a->lab[1], *B = a->lab[2], *edges = a->edge, *points = a->point;
    const double *M = b->lab[0], *P = b->lab[1], *Q = b->lab[2], *others = b->edge, *dots = b->point;
    for (size_t i = 0; i < pixels; i++) {
        double p = A[i] - P[i], q = B[i] - Q[i];
        double d = pow(fabs(L[i] - M[i]) + sqrt(p * p + q * q), 0.7);
        double low = 0.95 * d / knee, high = 0.95 + 0.05 * (d - knee) / (most - knee);
        double edge = fabs(edges[i] - others[i]), point = fabs(points[i] - dots[i]);
        double feature = sqrt((edge > point ? edge : point) / M_SQRT2);
        out[i] = pow(d < knee ? low : high, 1 - feature);
    }
}

static filters all_filters;

static void make_all_filters(void) {
    all_filters = make_filters();
}

/* (H,W); free it. */
static double *difference_map(const plx_levels *reference, const plx_levels *test) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t pixels = (size_t)reference->H * (size_t)reference->W;
    pthread_once(&once, make_all_filters);
    seen a = look(&all_filters, reference), b = look(&all_filters, test);
    double *map = plx_plane_alloc(pixels);
    difference(&all_filters, &a, &b, pixels, map);
    free(a.memory);
    free(b.memory);
    return map;
}

double plx_levels_flip(const plx_levels *reference, const plx_levels *test) {
    size_t pixels = (size_t)reference->H * (size_t)reference->W;
    double *map = difference_map(reference, test), sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += map[i];
    free(map);
    return sum / (double)pixels;
}

static void check(const plx_image *a, const plx_image *b) {
    PLX_CHECK(a->height == b->height && a->width == b->width && a->channels == 3 && b->channels == 3,
              "flip: images of %dx%dx%d and %dx%dx%d", a->width, a->height, a->channels, b->width, b->height,
              b->channels);
}

double plx_flip(const plx_image *reference, const plx_image *test) {
    check(reference, test);
    return plx_levels_measure(plx_levels_flip, reference, test);
}

int plx_flip_map(plx_image *out, const plx_image *reference, const plx_image *test) {
    check(reference, test);
    int status = plx_image_create(out, reference->height, reference->width, 1);
    if (status) return status;
    plx_levels a = plx_levels_of(reference), b = plx_levels_of(test);
    double *map = difference_map(&a, &b);
    for (size_t i = 0; i < (size_t)out->height * (size_t)out->width; i++) out->data[i] = (float)map[i];
    free(a.planes);
    free(b.planes);
    free(map);
    return PLX_OK;
}
