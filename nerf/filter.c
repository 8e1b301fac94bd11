#include "nerf/filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pixels of a row that are summed at once, in registers (an array is stored and loaded at every tap). */
typedef double lanes __attribute__((vector_size(32), aligned(8), may_alias));
enum { LANES = sizeof(lanes) / sizeof(double), BLOCK = 8 * LANES };

double *plx_plane_alloc(size_t count) {
    double *plane = malloc((count ? count : 1) * sizeof *plane);
    PLX_CHECK(plane, "metrics: out of memory for %zu values", count);
    return plane;
}

plx_levels plx_levels_of(const plx_image *image) {
    enum { CHUNK = 256 }; /* pixels: first their levels, in vectors, then each to its plane */
    size_t pixels = (size_t)image->height * (size_t)image->width;
    plx_levels out = {image->height, image->width, plx_plane_alloc(3 * pixels)};
    uint8_t levels[CHUNK * 3];
    PLX_CHECK(image->channels == 3, "metrics: an image of %d channels", image->channels);
    for (size_t first = 0; first < pixels; first += CHUNK) {
        size_t count = pixels - first < CHUNK ? pixels - first : CHUNK;
        const float *from = image->data + 3 * first;
        for (size_t i = 0; i < 3 * count; i++) levels[i] = (uint8_t)plx_level(from[i]);
        for (size_t c = 0; c < 3; c++) {
            double *to = out.planes + c * pixels + first;
            for (size_t i = 0; i < count; i++) to[i] = levels[3 * i + c];
        }
    }
    return out;
}

double plx_levels_measure(double (*metric)(const plx_levels *a, const plx_levels *b), const plx_image *a,
                          const plx_image *b) {
    plx_levels p = plx_levels_of(a), q = plx_levels_of(b);
    double value = metric(&p, &q);
    free(p.planes);
    free(q.planes);
    return value;
}

plx_filter plx_filter_gaussian(int radius, double sigma) {
    plx_filter f = {.radius = radius};
    double sum = 0;
    for (int i = -radius; i <= radius; i++) sum += f.weight[i + radius] = exp(-i * i / (2 * sigma * sigma));
    for (int i = 0; i <= 2 * radius; i++) f.weight[i] /= sum;
    return f;
}

static int clamp(int i, int count) {
    return i < 0 ? 0 : i < count ? i : count - 1;
}

/* out[0 .. BLOCK-1] = sum_k weight[k] line[k][at .. at+BLOCK-1], the lines one pixel or one row apart. */
static inline void weighted_sum(const plx_filter *f, const double *const *line, size_t at, double *out) {
    lanes a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, g = {0}, h = {0}, i = {0}, *to = (lanes *)out;
    for (int k = 0; k <= 2 * f->radius; k++) {
        const lanes *from = (const lanes *)(line[k] + at);
        double weight = f->weight[k];
        a += weight * from[0], b += weight * from[1], c += weight * from[2], d += weight * from[3];
        e += weight * from[4], g += weight * from[5], h += weight * from[6], i += weight * from[7];
    }
    to[0] = a, to[1] = b, to[2] = c, to[3] = d, to[4] = e, to[5] = g, to[6] = h, to[7] = i;
}

/* One row of W pixels with its edges repeated, room for whole blocks behind. */
static void pad_row(const double *in, int W, int radius, double *out, size_t size) {
    for (int i = 0; i < radius; i++) out[i] = in[0];
    memcpy(out + radius, in, (size_t)W * sizeof *out);
    for (size_t i = (size_t)(radius + W); i < size; i++) out[i] = in[W - 1];
}

void plx_filter_plane(const double *in, int H, int W, const plx_filter *row, const plx_filter *column,
                      double *out) {
    const size_t stride = ((size_t)W + BLOCK - 1) / BLOCK * BLOCK, padded = stride + 2 * PLX_FILTER_RADIUS;
    const double *line[2 * PLX_FILTER_RADIUS + 1];
    double *across = plx_plane_alloc((size_t)H * stride + padded), *wide = across + (size_t)H * stride;
    for (int k = 0; k <= 2 * row->radius; k++) line[k] = wide + k;
    for (int y = 0; y < H; y++) {
        pad_row(in + (size_t)y * (size_t)W, W, row->radius, wide, padded);
        for (size_t x = 0; x < stride; x += BLOCK)
            weighted_sum(row, line, x, across + (size_t)y * stride + x);
    }
    for (int y = 0; y < H; y++) {
        double *to = out + (size_t)y * (size_t)W, block[BLOCK];
        size_t x = 0, width = (size_t)W;
        for (int k = 0; k <= 2 * column->radius; k++)
            line[k] = across + (size_t)clamp(y + k - column->radius, H) * stride;
        for (; x + BLOCK <= width; x += BLOCK) weighted_sum(column, line, x, to + x);
        if (x == width) continue;
        weighted_sum(column, line, x, block);
        memcpy(to + x, block, (width - x) * sizeof *to);
    }
    free(across);
}
