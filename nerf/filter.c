#include "nerf/filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pixels of a row that are summed at once, in registers (an array is stored and loaded at every tap). */
typedef double lanes __attribute__((vector_size(64), aligned(8), may_alias));
enum { LANES = sizeof(lanes) / sizeof(double), BLOCK = 4 * LANES };

double *plx_plane_alloc(size_t count) {
    double *plane = malloc((count ? count : 1) * sizeof *plane);
    PLX_CHECK(plane, "metrics: out of memory for %zu values", count);
    return plane;
}

double *plx_level_planes(const plx_image *image) {
    size_t pixels = (size_t)image->height * (size_t)image->width, C = (size_t)image->channels;
    double *planes = plx_plane_alloc(C * pixels);
    for (size_t c = 0; c < C; c++)
        for (size_t i = 0; i < pixels; i++) planes[c * pixels + i] = plx_level(image->data[C * i + c]);
    return planes;
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

/* out[0 .. BLOCK-1] = sum_k weight[k] line[k][0 .. BLOCK-1], the lines one pixel or one row apart. */
static void weighted_sum(const plx_filter *f, const double *const *line, double *out) {
    lanes a = {0}, b = {0}, c = {0}, d = {0}, *to = (lanes *)out;
    for (int k = 0; k <= 2 * f->radius; k++) {
        const lanes *from = (const lanes *)line[k];
        double weight = f->weight[k];
        a += weight * from[0], b += weight * from[1], c += weight * from[2], d += weight * from[3];
    }
    to[0] = a, to[1] = b, to[2] = c, to[3] = d;
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
    for (int y = 0; y < H; y++) {
        pad_row(in + (size_t)y * (size_t)W, W, row->radius, wide, padded);
        for (size_t x = 0; x < stride; x += BLOCK) {
            for (int k = 0; k <= 2 * row->radius; k++) line[k] = wide + x + k;
            weighted_sum(row, line, across + (size_t)y * stride + x);
        }
    }
    for (int y = 0; y < H; y++)
        for (size_t x = 0; x < stride; x += BLOCK) {
            double block[BLOCK];
            for (int k = 0; k <= 2 * column->radius; k++)
                line[k] = across + (size_t)clamp(y + k - column->radius, H) * stride + x;
            weighted_sum(column, line, block);
            size_t count = (size_t)W - x < BLOCK ? (size_t)W - x : BLOCK;
            memcpy(out + (size_t)y * (size_t)W + x, block, count * sizeof *out);
        }
    free(across);
}
