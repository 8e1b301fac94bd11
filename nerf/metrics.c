/* Image metrics a pixel at a time: PSNR, silhouette IoU, depth error, sharpness. Colours are 8-bit values. */
#include <math.h>
#include <stdlib.h>

#include "nerf/filter.h"

static void check_pair(const char *metric, const plx_image *a, const plx_image *b) {
    PLX_CHECK(a->height == b->height && a->width == b->width, "%s: images of %dx%d and %dx%d pixels", metric,
              a->width, a->height, b->width, b->height);
}

static void check_colours(const char *metric, const plx_image *a, const plx_image *b) {
    check_pair(metric, a, b);
    PLX_CHECK(a->channels == 3 && b->channels == 3, "%s: images of %d and %d channels, not 3", metric,
              a->channels, b->channels);
}

double plx_levels_psnr(const plx_levels *a, const plx_levels *b) {
    enum { CHUNK = 16384 }; /* squares, whose sum stays below 2^31 */
    size_t count = (size_t)a->H * (size_t)a->W * 3;
    int64_t sum = 0;
    for (size_t first = 0; first < count; first += CHUNK) {
        int squares = 0, end = (int)(count - first < CHUNK ? count - first : CHUNK);
        for (int i = 0; i < end; i++) {
            int d = (int)(a->planes[first + (size_t)i] - b->planes[first + (size_t)i]);
            squares += d * d;
        }
        sum += squares;
    }
    return sum > 0 ? 10 * log10(255. * 255 * (double)count / (double)sum) : INFINITY;
}

double plx_psnr(const plx_image *a, const plx_image *b) {
    check_colours("psnr", a, b);
    return plx_levels_measure(plx_levels_psnr, a, b);
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

plx_depth_error plx_depth_compare(const plx_image *depth, const plx_image *truth) {
    check_pair("depth error", depth, truth);
    size_t pixels = (size_t)truth->height * (size_t)truth->width, known = 0, both = 0;
    double absolute = 0, relative = 0;
    for (size_t i = 0; i < pixels; i++) {
        double d = depth->data[i * (size_t)depth->channels], t = truth->data[i * (size_t)truth->channels];
        known += t > 0;
        if (d <= 0 || t <= 0) continue;
        both++;
        absolute += fabs(d - t);
        relative += fabs(d - t) / t;
    }
    plx_depth_error out = {NAN, NAN, NAN};
    if (both) out.absolute = absolute / (double)both, out.relative = relative / (double)both;
    if (known) out.coverage = (double)both / (double)known;
    return out;
}

/* Squared differences of a row's levels to their right and lower neighbours, where `inside` (count) is 1, else 0. */
static int gradient_energy(const float *p, size_t width, const int *inside, int count) {
    int sum = 0;
    for (int j = 0; j < count; j++) {
        int right = (int)(p[j + 1] - p[j]), down = (int)(p[(size_t)j + width] - p[j]);
        sum += inside[j] * (right * right + down * down);
    }
    return sum;
}

double plx_levels_sharpness(const plx_levels *image, const plx_levels *truth, const plx_image *mask) {
    enum { CHUNK = 4096 }; /* pixels, whose sum stays below 2^31 */
    size_t width = (size_t)truth->W, pixels = (size_t)truth->H * width;
    int64_t ours = 0, theirs = 0;
    int inside[CHUNK];
    for (int i = 0; i + 1 < truth->H; i++)
        for (int first = 0; first + 1 < truth->W; first += CHUNK) {
            int count = truth->W - 1 - first < CHUNK ? truth->W - 1 - first : CHUNK;
            for (int j = 0; j < count; j++)
                inside[j] = is_inside(mask, i, first + j) && is_inside(mask, i, first + j + 1) &&
                            is_inside(mask, i + 1, first + j);
            for (size_t c = 0, at = (size_t)i * width + (size_t)first; c < 3; c++, at += pixels) {
                ours += gradient_energy(image->planes + at, width, inside, count);
                theirs += gradient_energy(truth->planes + at, width, inside, count);
            }
        }
    return theirs > 0 ? (double)ours / (double)theirs : NAN;
}

double plx_sharpness_ratio(const plx_image *image, const plx_image *truth, const plx_image *mask) {
    check_colours("sharpness", image, truth);
    check_pair("sharpness", truth, mask);
    plx_levels p = plx_levels_of(image), q = plx_levels_of(truth);
    double ratio = plx_levels_sharpness(&p, &q, mask);
    free(p.planes);
    free(q.planes);
    return ratio;
}

plx_image_scores plx_image_compare(const plx_image *image, const plx_image *truth, const plx_image *mask) {
    check_colours("metrics", image, truth);
    check_pair("metrics", truth, mask);
    int side = truth->height < truth->width ? truth->height : truth->width;
    plx_levels a = plx_levels_of(truth), b = plx_levels_of(image);
    plx_image_scores out = {.psnr = plx_levels_psnr(&a, &b),
                            .flip = plx_levels_flip(&a, &b),
                            .sharpness = plx_levels_sharpness(&b, &a, mask),
                            .ssim = side >= PLX_SSIM_SIDE ? plx_levels_ssim(&a, &b) : NAN,
                            .ssim_gaussian = NAN,
                            .ms_ssim = NAN};
    if (side >= PLX_SSIM_GAUSSIAN_SIDE) plx_levels_gaussian(&out.ssim_gaussian, &out.ms_ssim, &a, &b);
    free(a.planes);
    free(b.planes);
    return out;
}
