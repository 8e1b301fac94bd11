/* FLIP: Andersson, Nilsson, Akenine-Moller, Oskarsson, Astrom, Fairchild, "FLIP: A Difference Evaluator for
 * Alternating Images", HPG 2020. A colour difference of images seen through the eye's contrast sensitivity,
 * made larger where edges and points differ. */
#include "nerf/nerf.h"

#include <math.h>
#include <stdlib.h>

#define PIXELS_PER_DEGREE 67.02 /* 0.7 m from a monitor 0.7 m and 3840 pixels wide */
#define FEATURE_WIDTH 0.082     /* degrees */

enum {
    COLOUR_RADIUS = 10,
    FEATURE_RADIUS = 9,
    MAX_KERNEL = (2 * COLOUR_RADIUS + 1) * (2 * COLOUR_RADIUS + 1)
};

typedef struct kernel {
    int radius;
    double weight[MAX_KERNEL];
} kernel;

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

static void ycxcz_to_linear(const double from_xyz[3][3], const double in[3], double out[3]) {
    double y = (in[0] + 16) / 116, xyz[3] = {y + in[1] / 500, y, y - in[2] / 200};
    for (int i = 0; i < 3; i++) xyz[i] *= to_xyz[i][0] + to_xyz[i][1] + to_xyz[i][2];
    transform(from_xyz, xyz, out);
}

static double lab_curve(double x) {
    const double delta = 6. / 29;
    return x > delta * delta * delta ? cbrt(x) : x / (3 * delta * delta) + 4. / 29;
}

/* CIELAB with Hunt's adjustment: chroma grows with lightness. */
static void linear_to_hunt_lab(const double linear[3], double out[3]) {
    double r[3];
    relative_xyz(linear, r);
    for (int i = 0; i < 3; i++) r[i] = lab_curve(r[i]);
    out[0] = 116 * r[1] - 16;
    out[1] = 0.01 * out[0] * 500 * (r[0] - r[1]);
    out[2] = 0.01 * out[0] * 200 * (r[1] - r[2]);
}

/* ---- filters
 * ----------------------------------------------------------------------------------------------------- */

/* Contrast sensitivity: sum_i a_i sqrt(pi / b_i) exp(-pi^2 z / b_i), z the squared distance in degrees. */
static kernel sensitivity_kernel(double a1, double b1, double a2, double b2) {
    kernel k = {.radius = COLOUR_RADIUS};
    double sum = 0;
    for (int i = -k.radius, at = 0; i <= k.radius; i++)
        for (int j = -k.radius; j <= k.radius; j++, at++) {
            double z = (i * i + j * j) / (PIXELS_PER_DEGREE * PIXELS_PER_DEGREE);
            k.weight[at] = a1 * sqrt(M_PI / b1) * exp(-M_PI * M_PI * z / b1) +
                           a2 * sqrt(M_PI / b2) * exp(-M_PI * M_PI * z / b2);
            sum += k.weight[at];
        }
    for (int at = 0; at < (2 * k.radius + 1) * (2 * k.radius + 1); at++) k.weight[at] /= sum;
    return k;
}

/* First (edges) or second (points) derivative along x of a Gaussian; its positive part sums to 1, its
 * negative part to -1. */
static kernel feature_kernel(bool point) {
    kernel k = {.radius = FEATURE_RADIUS};
    double s = 0.5 * FEATURE_WIDTH * PIXELS_PER_DEGREE, positive = 0, negative = 0;
    int count = (2 * k.radius + 1) * (2 * k.radius + 1);
    for (int i = -k.radius, at = 0; i <= k.radius; i++)
        for (int j = -k.radius; j <= k.radius; j++, at++) {
            double g = exp(-(i * i + j * j) / (2 * s * s));
            k.weight[at] = point ? (j * j / (s * s) - 1) * g : -j * g;
            if (k.weight[at] > 0) positive += k.weight[at];
            if (k.weight[at] < 0) negative -= k.weight[at];
        }
    for (int at = 0; at < count; at++) k.weight[at] /= k.weight[at] > 0 ? positive : negative;
    return k;
}

static int clamp(int i, int count) {
    return i < 0 ? 0 : i < count ? i : count - 1;
}

/* The kernel (or, `transposed`, its transpose) at one pixel of a plane (H,W), edges repeated. */
static double filtered(const double *plane, int H, int W, int row, int column, const kernel *k,
                       bool transposed) {
    double sum = 0;
    int side = 2 * k->radius + 1;
    for (int i = 0; i < side; i++) {
        const double *line = plane + (size_t)clamp(row + i - k->radius, H) * (size_t)W;
        for (int j = 0; j < side; j++)
            sum +=
                k->weight[transposed ? j * side + i : i * side + j] * line[clamp(column + j - k->radius, W)];
    }
    return sum;
}

/* ---- the two differences
 * ----------------------------------------------------------------------------------------- */

typedef struct filters {
    kernel sensitivity[3], edge, point;
    double from_xyz[3][3];
    double most; /* the colour difference of green and blue, to the power 0.7 */
} filters;

/* HyAB: city-block in lightness, Euclidean in chroma. */
static double hyab(const double a[3], const double b[3]) {
    return fabs(a[0] - b[0]) + hypot(a[1] - b[1], a[2] - b[2]);
}

static filters make_filters(void) {
    filters f = {.sensitivity = {sensitivity_kernel(1, 0.0047, 0, 1e-5),
                                 sensitivity_kernel(1, 0.0053, 0, 1e-5),
                                 sensitivity_kernel(34.1, 0.04, 13.5, 0.025)},
                 .edge = feature_kernel(false),
                 .point = feature_kernel(true)};
    invert(to_xyz, f.from_xyz);
    double green[3], blue[3];
    linear_to_hunt_lab((const double[]){0, 1, 0}, green);
    linear_to_hunt_lab((const double[]){0, 0, 1}, blue);
    f.most = pow(hyab(green, blue), 0.7);
    return f;
}

/* Planes (3,H,W) of Y, Cx, Cz. */
static double *make_planes(const plx_image *image) {
    size_t pixels = (size_t)image->height * (size_t)image->width;
    double *planes = malloc(3 * pixels * sizeof *planes);
    PLX_CHECK(planes, "flip: out of memory for %zu pixels", pixels);
    for (size_t i = 0; i < pixels; i++) {
        double linear[3], out[3];
        for (size_t c = 0; c < 3; c++) {
            double v = floor(fmin(fmax((double)image->data[3 * i + c], 0), 1) * 255 + 0.5) / 255;
            linear[c] = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
        }
        linear_to_ycxcz(linear, out);
        for (size_t c = 0; c < 3; c++) planes[c * pixels + i] = out[c];
    }
    return planes;
}

static void seen_colour(const filters *f, const double *planes, int H, int W, int row, int column,
                        double out[3]) {
    double seen[3], linear[3];
    for (int c = 0; c < 3; c++)
        seen[c] = filtered(planes + (size_t)c * (size_t)H * (size_t)W, H, W, row, column, &f->sensitivity[c],
                           false);
    ycxcz_to_linear(f->from_xyz, seen, linear);
    for (int c = 0; c < 3; c++) linear[c] = fmin(fmax(linear[c], 0), 1);
    linear_to_hunt_lab(linear, out);
}

/* In [0,1]: 0.4 of the largest difference takes up 0.95 of the range. */
static double colour_difference(const filters *f, const double a[3], const double b[3]) {
    double d = pow(hyab(a, b), 0.7), knee = 0.4 * f->most;
    return d < knee ? 0.95 * d / knee : 0.95 + 0.05 * (d - knee) / (f->most - knee);
}

/* Strength of a feature in both directions, on Y + 16 over 116 (the kernels' sum is 0: the 16 falls out). */
static double strength(const kernel *k, const double *y, int H, int W, int row, int column) {
    return hypot(filtered(y, H, W, row, column, k, false), filtered(y, H, W, row, column, k, true)) / 116;
}

double plx_flip(const plx_image *reference, const plx_image *test) {
    int H = reference->height, W = reference->width;
    PLX_CHECK(H == test->height && W == test->width && reference->channels == 3 && test->channels == 3,
              "flip: images of %dx%dx%d and %dx%dx%d", W, H, reference->channels, test->width, test->height,
              test->channels);
    const filters f = make_filters();
    double *a = make_planes(reference), *b = make_planes(test), sum = 0;
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            double lab[2][3];
            seen_colour(&f, a, H, W, i, j, lab[0]);
            seen_colour(&f, b, H, W, i, j, lab[1]);
            double edge = fabs(strength(&f.edge, a, H, W, i, j) - strength(&f.edge, b, H, W, i, j));
            double point = fabs(strength(&f.point, a, H, W, i, j) - strength(&f.point, b, H, W, i, j));
            double feature = sqrt(fmax(edge, point) / M_SQRT2);
            sum += pow(colour_difference(&f, lab[0], lab[1]), 1 - feature);
        }
    free(a);
    free(b);
    return sum / ((double)H * W);
}
