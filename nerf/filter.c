#include "nerf/filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8 * PLX_PIXELS }; /* pixels of a row that are summed at once, in registers */

float *plx_plane_alloc(size_t count) {
    float *plane = malloc((count + BLOCK) * sizeof *plane);
    PLX_CHECK(plane, "metrics: out of memory for %zu values", count);
    return plane;
}

/* The 8-bit values, 0 to 255, as files have them. */
static inline plx_pixels to_levels(plx_pixels values) {
    return __builtin_convertvector(__builtin_convertvector(plx_clamp(values) * 255 + 0.5f, plx_choice),
                                   plx_pixels);
}

plx_levels plx_levels_of(const plx_image *image) {
    enum { CHUNK = 256 }; /* pixels: first their levels, then each to its plane */
    size_t pixels = (size_t)image->height * (size_t)image->width;
    plx_levels out = {image->height, image->width, plx_plane_alloc(3 * pixels)};
    PLX_CHECK(image->channels == 3, "metrics: an image of %d channels", image->channels);
    for (size_t first = 0; first < pixels; first += CHUNK) {
        size_t count = pixels - first < CHUNK ? pixels - first : CHUNK;
        float levels[CHUNK * 3 + PLX_PIXELS];
        memcpy(levels, image->data + 3 * first, 3 * count * sizeof *levels);
        for (size_t i = 0; i < 3 * count; i += PLX_PIXELS)
            *(plx_pixels *)(levels + i) = to_levels(*(plx_pixels *)(levels + i));
        for (size_t c = 0; c < 3; c++) {
            float *to = out.planes + c * pixels + first;
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
    plx_filter f = {0};
    double sum = 0;
    for (int i = -radius; i <= radius; i++) sum += exp(-i * i / (2 * sigma * sigma));
    while (radius > 0 && exp(-radius * radius / (2 * sigma * sigma)) < 1e-9 * sum) radius--;
    f.radius = radius;
    for (int i = -radius; i <= radius; i++)
        f.weight[i + radius] = (float)(exp(-i * i / (2 * sigma * sigma)) / sum);
    return f;
}

/* out[0 .. V PLX_PIXELS - 1] = sum_k weight[k] line[k][at ..], the lines one pixel or one row apart. */
static inline __attribute__((always_inline)) void weighted_sum(const plx_filter *f, const float *const *line,
                                                               int at, int V, float *out) {
    plx_pixels sum[8] = {0};
    const plx_pixels *middle = (const plx_pixels *)(line[f->radius] + at);
    for (int k = 0; k <= 2 * f->radius; k++) {
        const plx_pixels *from = (const plx_pixels *)(line[k] + at);
        const float weight = f->weight[k];
        if (f->differences)
            for (int v = 0; v < V; v++) sum[v] += weight * (from[v] - middle[v]);
        else
            for (int v = 0; v < V; v++) sum[v] += weight * from[v];
    }
    for (int v = 0; v < V; v++) ((plx_pixels *)(out + at))[v] = sum[v];
}

static void weighted_sums(const plx_filter *f, const float *const *line, int count, float *out) {
    int x = 0;
    for (; x + BLOCK <= count; x += BLOCK) weighted_sum(f, line, x, 8, out);
    for (; x + 4 * PLX_PIXELS <= count; x += 4 * PLX_PIXELS) weighted_sum(f, line, x, 4, out);
    for (; x < count; x += 2 * PLX_PIXELS) weighted_sum(f, line, x, 2, out);
}

static int clamp(int i, int count) {
    return i < 0 ? 0 : i < count ? i : count - 1;
}

size_t plx_filter_line(int W) {
    return (size_t)W + 2 * PLX_FILTER_RADIUS + BLOCK;
}

void plx_filter_down(const float *in, int H, int W, const plx_filter *f, int y, float *line) {
    const float *from[2 * PLX_FILTER_RADIUS + 1];
    float *middle = line + PLX_FILTER_RADIUS;
    for (int k = 0; k <= 2 * f->radius; k++) from[k] = in + (size_t)clamp(y + k - f->radius, H) * (size_t)W;
    weighted_sums(f, from, W, middle);
    for (int i = 1; i <= PLX_FILTER_RADIUS; i++) middle[-i] = middle[0], middle[W - 1 + i] = middle[W - 1];
}

void plx_filter_along(const float *line, int first, int count, const plx_filter *f, float *out) {
    const float *from[2 * PLX_FILTER_RADIUS + 1];
    for (int k = 0; k <= 2 * f->radius; k++) from[k] = line + PLX_FILTER_RADIUS + first + k - f->radius;
    weighted_sums(f, from, count, out);
}
