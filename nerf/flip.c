/* FLIP: Andersson, Nilsson, Akenine-Moller, Oskarsson, Astrom, Fairchild, "FLIP: A Difference Evaluator for
 * Alternating Images", HPG 2020. A colour difference of images seen through the eye's contrast sensitivity,
 * made larger where edges and points differ. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/filter.h"

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

/* ---- curves, of many pixels at once
 * ----------------------------------------------------------------------------------------------------------------- */

static inline plx_pixels to_floats(plx_choice whole) {
    return __builtin_convertvector(whole, plx_pixels);
}

/* x > 0, relative error below 2e-7: a third of the exponent is within 4 %, and each of Halley's steps cubes that. */
static inline plx_pixels cube_root(plx_pixels x) {
    const plx_pixels third = to_floats((plx_choice)x) * (1.f / 3);
    plx_pixels y = (plx_pixels)(__builtin_convertvector(third, plx_choice) + 709921077);
    for (int step = 0; step < 2; step++) {
        plx_pixels cube = y * y * y;
        y -= y * ((cube - x) / (2 * cube + x));
    }
    return y;
}

/* ln x, x > 0, error below 1e-7 (|ln x| + 1): x = 2^n m, m from sqrt(1/2) to sqrt(2); Cephes' logf. */
static inline plx_pixels logarithm(plx_pixels x) {
    const plx_choice n = ((plx_choice)x - 0x3f3504f3) >> 23;
    const plx_pixels f = (plx_pixels)((plx_choice)x - (n << 23)) - 1, square = f * f;
    plx_pixels p = 7.0376836292e-2f * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    return to_floats(n) * 0.693147181f + (f + (p * f * square - 0.5f * square));
}

/* e^x, -87 <= x <= 87, relative error below 2e-7: x = n ln 2 + r; Cephes' expf. */
static inline plx_pixels exponential(plx_pixels x) {
    const float magic = 12582912.0f; /* 1.5 2^23: adding it leaves the nearest integer in the low bits */
    const plx_pixels n = x * 1.44269504f + magic, whole = n - magic;
    const plx_pixels r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    plx_pixels p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (p * r * r + (r + 1)) * (plx_pixels)(((plx_choice)n << 23) + 0x3f800000);
}

/* x^e of x >= 0 and e in [0,1]; 0 where x is near the smallest floats. */
static inline plx_pixels power(plx_pixels x, plx_pixels e) {
    const plx_pixels zero = {0};
    return plx_either(x > zero + 1e-37f, exponential(e * logarithm(x)), zero);
}

static inline plx_pixels lab_curve(plx_pixels x) {
    const float delta = 6.f / 29;
    return plx_either(x > (plx_pixels){0} + delta * delta * delta, cube_root(x),
                      x / (3 * delta * delta) + 4.f / 29);
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
    plx_filter f = {.radius = FEATURE_RADIUS, .differences = true};
    double s = feature_deviation(), positive = 0, negative = 0, weight[2 * FEATURE_RADIUS + 1];
    for (int i = -f.radius; i <= f.radius; i++) {
        double g = exp(-(i * i) / (2 * s * s)), w = second ? (i * i / (s * s) - 1) * g : -i * g;
        weight[i + f.radius] = w;
        positive += fmax(w, 0), negative += fmax(-w, 0);
    }
    for (int i = 0; i <= 2 * f.radius; i++)
        f.weight[i] = (float)(weight[i] / (weight[i] > 0 ? positive : negative));
    return f;
}

/* ---- an image as it is seen
 * ----------------------------------------------------------------------------------------------------- */

typedef struct filters {
    plx_filter achromatic, red_green, blue_yellow[2], edge, point, smooth;
    float share;          /* of blue_yellow[0] */
    float to_linear[9];   /* from XYZ over the white's */
    float to_relative[9]; /* back */
    float linear[256];    /* of an 8-bit level */
    float most;           /* the colour difference of green and blue, to the power 0.7 */
} filters;

/* An image as planes (H,W) of Y, Cx, Cz, and one row (W) of it as it is seen. */
typedef struct seen {
    int H, W;
    float *opponent[3];
    float *lab[3];       /* Hunt-adjusted */
    float *edge, *point; /* strengths of the features */
    float *line[3];      /* scratch; all rows have the size of a line */
} seen;

static void to_opponent(const filters *f, const plx_levels *image, float *const out[3]) {
    size_t pixels = (size_t)image->H * (size_t)image->W;
    float *restrict u = out[0], *restrict v = out[1], *restrict w = out[2], R[9];
    memcpy(R, f->to_relative, sizeof R);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < pixels; i++) out[c][i] = f->linear[(int)image->planes[c * pixels + i]];
    for (size_t i = 0; i < pixels; i++) {
        float r = u[i], g = v[i], b = w[i];
        float x = R[0] * r + R[1] * g + R[2] * b;
        float y = R[3] * r + R[4] * g + R[5] * b;
        float z = R[6] * r + R[7] * g + R[8] * b;
        u[i] = 116 * y - 16;
        v[i] = 500 * (x - y);
        w[i] = 200 * (y - z);
    }
}

/* Y, Cx, Cz -> linear RGB, clamped -> CIELAB with Hunt's adjustment: chroma grows with lightness. In place, in whole vectors. */
static void to_hunt_lab(const filters *f, float *const planes[3], int count) {
    float L[9], R[9];
    memcpy(L, f->to_linear, sizeof L);
    memcpy(R, f->to_relative, sizeof R);
    for (int i = 0; i < count; i += PLX_PIXELS) {
        plx_pixels *u = (plx_pixels *)(planes[0] + i), *v = (plx_pixels *)(planes[1] + i),
                   *w = (plx_pixels *)(planes[2] + i);
        plx_pixels y = (*u + 16) / 116, x = y + *v / 500, z = y - *w / 200;
        plx_pixels r = plx_clamp(L[0] * x + L[1] * y + L[2] * z);
        plx_pixels g = plx_clamp(L[3] * x + L[4] * y + L[5] * z);
        plx_pixels b = plx_clamp(L[6] * x + L[7] * y + L[8] * z);
        plx_pixels fx = lab_curve(R[0] * r + R[1] * g + R[2] * b);
        plx_pixels fy = lab_curve(R[3] * r + R[4] * g + R[5] * b);
        plx_pixels fz = lab_curve(R[6] * r + R[7] * g + R[8] * b);
        plx_pixels lightness = 116 * fy - 16;
        *u = lightness;
        *v = 0.01f * lightness * 500 * (fx - fy);
        *w = 0.01f * lightness * 200 * (fy - fz);
    }
}

static seen seen_open(const filters *f, const plx_levels *image) {
    enum { LINES = 8 };
    size_t pixels = (size_t)image->H * (size_t)image->W, line = plx_filter_line(image->W);
    float *memory = plx_plane_alloc(3 * pixels + LINES * line), *lines = memory + 3 * pixels;
    seen s = {.H = image->H, .W = image->W};
    for (size_t c = 0; c < 3; c++) s.opponent[c] = memory + c * pixels, s.lab[c] = lines + c * line;
    for (size_t k = 0; k < 3; k++) s.line[k] = lines + (5 + k) * line;
    s.edge = lines + 3 * line, s.point = lines + 4 * line;
    to_opponent(f, image, s.opponent);
    return s;
}

/* Strength of a feature in both directions, on Y + 16 over 116 (the kernels' sum is 0: the 16 falls out); line[0]: smoothed along
 * y. */
static void find_features(seen *s, const plx_filter *derivative, const plx_filter *smooth, int y,
                          float *out) {
    float *other = s->line[2];
    plx_filter_down(s->opponent[0], s->H, s->W, derivative, y, s->line[1]);
    plx_filter_along(s->line[1], 0, s->W, smooth, out);
    plx_filter_along(s->line[0], 0, s->W, derivative, other);
    for (int i = 0; i < s->W; i++) out[i] = sqrtf(out[i] * out[i] + other[i] * other[i]) / 116;
}

static void filter_both_ways(seen *s, int plane, const plx_filter *f, int y, float *out) {
    plx_filter_down(s->opponent[plane], s->H, s->W, f, y, s->line[1]);
    plx_filter_along(s->line[1], 0, s->W, f, out);
}

static void look(const filters *f, seen *s, int y) {
    const float share = f->share;
    float *blue_yellow = s->lab[2], *other = s->line[2];
    plx_filter_down(s->opponent[0], s->H, s->W, &f->smooth, y, s->line[0]);
    find_features(s, &f->edge, &f->smooth, y, s->edge);
    find_features(s, &f->point, &f->smooth, y, s->point);
    filter_both_ways(s, 0, &f->achromatic, y, s->lab[0]);
    filter_both_ways(s, 1, &f->red_green, y, s->lab[1]);
    filter_both_ways(s, 2, &f->blue_yellow[0], y, blue_yellow);
    filter_both_ways(s, 2, &f->blue_yellow[1], y, other);
    for (int i = 0; i < s->W; i++) blue_yellow[i] = share * blue_yellow[i] + (1 - share) * other[i];
    to_hunt_lab(f, s->lab, s->W);
}

/* ---- the difference
 * ----------------------------------------------------------------------------------------- */

/* HyAB of green and blue: city-block in lightness, Euclidean in chroma. */
static double green_to_blue(const filters *f) {
    float lab[2][3][PLX_PIXELS] = {0};
    for (int k = 0; k < 2; k++) {
        double linear[3] = {0, !k, k}, ycxcz[3];
        linear_to_ycxcz(linear, ycxcz);
        for (int c = 0; c < 3; c++) lab[k][c][0] = (float)ycxcz[c];
        to_hunt_lab(f, (float *[]){lab[k][0], lab[k][1], lab[k][2]}, 1);
    }
    return fabs(lab[0][0][0] - lab[1][0][0]) +
           hypot(lab[0][1][0] - lab[1][1][0], lab[0][2][0] - lab[1][2][0]);
}

static filters make_filters(void) {
    filters f = {.achromatic = sensitivity(0.0047),
                 .red_green = sensitivity(0.0053),
                 .blue_yellow = {sensitivity(0.04), sensitivity(0.025)},
                 .share = (float)first_share(34.1, 0.04, 13.5, 0.025),
                 .edge = derivative(false),
                 .point = derivative(true),
                 .smooth = plx_filter_gaussian(FEATURE_RADIUS, feature_deviation())};
    double inverse[3][3];
    invert(to_xyz, inverse);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            f.to_relative[3 * i + j] = (float)(to_xyz[i][j] / (to_xyz[i][0] + to_xyz[i][1] + to_xyz[i][2]));
            f.to_linear[3 * i + j] = (float)(inverse[i][j] * (to_xyz[j][0] + to_xyz[j][1] + to_xyz[j][2]));
        }
    for (int i = 0; i < 256; i++) {
        double v = i / 255.;
        f.linear[i] = (float)(v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    f.most = (float)pow(green_to_blue(&f), 0.7);
    return f;
}

/* Of one row, where 0.4 of the largest colour difference takes up 0.95 of the range: colour difference to the power
 * 1 - feature difference. a's row is used up. */
static void difference(const filters *f, const seen *a, const seen *b, float *out) {
    const float most = f->most, knee = 0.4f * most, shrink = (float)M_SQRT1_2;
    float *restrict L = a->lab[0], *restrict A = a->lab[1], *restrict B = a->lab[2];
    float *restrict edge = a->edge, *restrict point = a->point, *restrict row = a->line[0];
    for (int i = 0; i < a->W; i++) {
        float l = L[i] - b->lab[0][i], p = A[i] - b->lab[1][i], q = B[i] - b->lab[2][i];
        L[i] = fabsf(l) + sqrtf(p * p + q * q); /* HyAB */
        edge[i] = sqrtf(fabsf(edge[i] - b->edge[i]) * shrink);
        point[i] = sqrtf(fabsf(point[i] - b->point[i]) * shrink);
    }
    for (int i = 0; i < a->W; i += PLX_PIXELS) {
        plx_pixels d = power(*(plx_pixels *)(L + i), (plx_pixels){0} + 0.7f);
        plx_pixels e = *(plx_pixels *)(edge + i), p = *(plx_pixels *)(point + i);
        plx_pixels low = 0.95f * d / knee, high = 0.95f + 0.05f * (d - knee) / (most - knee);
        *(plx_pixels *)(row + i) =
            power(plx_either(d < knee - (plx_pixels){0}, low, high), 1 - plx_either(e > p, e, p));
    }
    memcpy(out, row, sizeof *out * (size_t)a->W);
}

static filters all_filters;

static void make_all_filters(void) {
    all_filters = make_filters();
}

/* (H,W); free it. */
static float *difference_map(const plx_levels *reference, const plx_levels *test) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t width = (size_t)reference->W;
    pthread_once(&once, make_all_filters);
    seen a = seen_open(&all_filters, reference), b = seen_open(&all_filters, test);
    float *map = plx_plane_alloc((size_t)reference->H * width);
    for (int y = 0; y < reference->H; y++) {
        look(&all_filters, &a, y);
        look(&all_filters, &b, y);
        difference(&all_filters, &a, &b, map + (size_t)y * width);
    }
    free(a.opponent[0]);
    free(b.opponent[0]);
    return map;
}

double plx_levels_flip(const plx_levels *reference, const plx_levels *test) {
    size_t pixels = (size_t)reference->H * (size_t)reference->W;
    float *map = difference_map(reference, test);
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += (double)map[i];
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
    float *map = difference_map(&a, &b);
    memcpy(out->data, map, sizeof *map * (size_t)out->height * (size_t)out->width);
    free(a.planes);
    free(b.planes);
    free(map);
    return PLX_OK;
}
