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

double plx_psnr(const plx_image *a, const plx_image *b) {
    check_colours("psnr", a, b);
    size_t count = (size_t)a->height * (size_t)a->width * 3;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double d = plx_level(a->data[i]) - plx_level(b->data[i]);
        sum += d * d;
    }
    return sum > 0 ? 10 * log10(255. * 255 * (double)count / sum) : INFINITY;
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

/* Squared differences of levels to the right and lower neighbours, of all channels. */
static double gradient_energy(const double *planes, size_t pixels, size_t at, size_t width) {
    double sum = 0;
    for (const double *p = planes + at; p < planes + 3 * pixels; p += pixels) {
        double right = p[1] - p[0], down = p[width] - p[0];
        sum += right * right + down * down;
    }
    return sum;
}

double plx_sharpness_ratio(const plx_image *image, const plx_image *truth, const plx_image *mask) {
    check_colours("sharpness", image, truth);
    check_pair("sharpness", truth, mask);
    size_t width = (size_t)truth->width, pixels = (size_t)truth->height * width;
    double ours = 0, theirs = 0, *a = plx_level_planes(image), *b = plx_level_planes(truth);
    for (int i = 0; i + 1 < truth->height; i++)
        for (int j = 0; j + 1 < truth->width; j++) {
            if (!is_inside(mask, i, j) || !is_inside(mask, i, j + 1) || !is_inside(mask, i + 1, j)) continue;
            size_t at = (size_t)i * width + (size_t)j;
            ours += gradient_energy(a, pixels, at, width);
            theirs += gradient_energy(b, pixels, at, width);
        }
    free(a);
    free(b);
    return theirs > 0 ? ours / theirs : NAN;
}
