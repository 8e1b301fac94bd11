/* Image metrics on 8-bit values: PSNR, SSIM, silhouette IoU, sharpness. */
#include "nerf/nerf.h"

#include <math.h>
#include <stddef.h>

static void check_pair(const char *metric, const plx_image *a, const plx_image *b) {
    PLX_CHECK(a->height == b->height && a->width == b->width, "%s: images of %dx%d and %dx%d pixels", metric,
              a->width, a->height, b->width, b->height);
}

static void check_colours(const char *metric, const plx_image *a, const plx_image *b) {
    check_pair(metric, a, b);
    PLX_CHECK(a->channels == 3 && b->channels == 3, "%s: images of %d and %d channels, not 3", metric,
              a->channels, b->channels);
}

/* 0 to 255. */
static double level(const plx_image *image, size_t i) {
    return floor(fmin(fmax((double)image->data[i], 0), 1) * 255 + 0.5);
}

double plx_psnr(const plx_image *a, const plx_image *b) {
    check_colours("psnr", a, b);
    size_t count = (size_t)a->height * (size_t)a->width * 3;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double d = level(a, i) - level(b, i);
        sum += d * d;
    }
    return sum > 0 ? 10 * log10(255. * 255 * (double)count / sum) : INFINITY;
}

/* Wang et al. 2004 of one channel's 7x7 window with its top left at (row, column). */
static double window_ssim(const plx_image *a, const plx_image *b, int row, int column, int channel) {
    enum { SIDE = 7, N = SIDE * SIDE };
    const double c1 = (0.01 * 255) * (0.01 * 255), c2 = (0.03 * 255) * (0.03 * 255);
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = row; i < row + SIDE; i++)
        for (int j = column; j < column + SIDE; j++) {
            size_t at = ((size_t)i * (size_t)a->width + (size_t)j) * 3 + (size_t)channel;
            double p = level(a, at), q = level(b, at);
            x += p, y += q, xx += p * p, yy += q * q, xy += p * q;
        }
    x /= N, y /= N;
    double vx = (xx - N * x * x) / (N - 1), vy = (yy - N * y * y) / (N - 1), vxy = (xy - N * x * y) / (N - 1);
    return (2 * x * y + c1) * (2 * vxy + c2) / ((x * x + y * y + c1) * (vx + vy + c2));
}

double plx_ssim(const plx_image *a, const plx_image *b) {
    check_colours("ssim", a, b);
    int rows = a->height - 6, columns = a->width - 6;
    PLX_CHECK(rows > 0 && columns > 0, "ssim: images of %dx%d pixels, at least 7x7 are needed", a->width,
              a->height);
    double sum = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            for (int c = 0; c < 3; c++) sum += window_ssim(a, b, i, j, c);
    return sum / ((double)rows * columns * 3);
}

static bool is_inside(const plx_image *mask, int row, int column) {
    size_t pixel = (size_t)row * (size_t)mask->width + (size_t)column;
    return mask->data[(pixel + 1) * (size_t)mask->channels - 1] > 0.5f;
}

double plx_silhouette_iou(const plx_image *a, const plx_image *b) {
    check_pair("silhouette iou", a, b);
    long both = 0, either = 0;
    for (int i = 0; i < a->height; i++)
        for (int j = 0; j < a->width; j++) {
            both += is_inside(a, i, j) && is_inside(b, i, j);
            either += is_inside(a, i, j) || is_inside(b, i, j);
        }
    return either ? (double)both / (double)either : 1;
}

/* Squared differences to the right and lower neighbours, of all channels. */
static double gradient_energy(const plx_image *image, int row, int column) {
    size_t wide = (size_t)image->width * 3, at = (size_t)row * wide + (size_t)column * 3;
    double sum = 0;
    for (size_t c = at; c < at + 3; c++) {
        double right = level(image, c + 3) - level(image, c), down = level(image, c + wide) - level(image, c);
        sum += right * right + down * down;
    }
    return sum;
}

double plx_sharpness_ratio(const plx_image *image, const plx_image *truth, const plx_image *mask) {
    check_colours("sharpness", image, truth);
    check_pair("sharpness", truth, mask);
    double ours = 0, theirs = 0;
    for (int i = 0; i + 1 < truth->height; i++)
        for (int j = 0; j + 1 < truth->width; j++) {
            if (!is_inside(mask, i, j) || !is_inside(mask, i, j + 1) || !is_inside(mask, i + 1, j)) continue;
            ours += gradient_energy(image, i, j);
            theirs += gradient_energy(truth, i, j);
        }
    return theirs > 0 ? ours / theirs : NAN;
}
