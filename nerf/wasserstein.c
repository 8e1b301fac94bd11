/* Sliced Wasserstein distance of Laplacian-pyramid patches: Karras, Aila, Laine, Lehtinen, "Progressive growing of GANs",
 * ICLR 2018, section 5; the projections: Rabin et al. 2011. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/rng.h"
#include "nerf/filter.h"
#include "nerf/tensor/gemm.h"

enum {
    SIDE = 7, /* of a patch */
    AREA = SIDE * SIDE,
    VALUES = 3 * AREA,            /* of a descriptor */
    PATCHES = 128,                /* an image */
    PATCHES_MAX = 1024 * PATCHES, /* of a set */
    LEAST = 16,                   /* pixels of the coarsest level */
    DIRECTIONS = 128,             /* at once */
    REPEATS = 4,
};
enum { FOR_PLACES = 1, FOR_DIRECTIONS };

/* ---- the pyramid ---------------------------------------------------------------------------------------------------- */

/* Planes (3,H,W). */
typedef struct level {
    int H, W;
    double *planes;
} level;

static int mirrored(int i, int count) {
    if (count == 1) return 0;
    if (i < 0) i = -i;
    return i < count ? i : 2 * count - 2 - i;
}

static const double binomial[5] = {1. / 16, 4. / 16, 6. / 16, 4. / 16, 1. / 16};

/* The 5x5 binomial filter, edges mirrored (not repeated), times gain; in (H,W) and out apart. */
static void blur(const double *in, int H, int W, double gain, double *restrict out, double *restrict across) {
    const double b0 = binomial[2], b1 = binomial[1], b2 = binomial[0];
    for (int y = 0; y < H; y++) {
        const double *p = in + (size_t)y * (size_t)W;
        double *to = across + (size_t)y * (size_t)W;
        for (int x = 2; x < W - 2; x++)
            to[x] = b0 * p[x] + b1 * (p[x - 1] + p[x + 1]) + b2 * (p[x - 2] + p[x + 2]);
        for (int x = 0; x < W; x += x == 1 ? W - 3 : 1) /* 0, 1, W-2, W-1 */
            to[x] = b0 * p[x] + b1 * (p[mirrored(x - 1, W)] + p[mirrored(x + 1, W)]) +
                    b2 * (p[mirrored(x - 2, W)] + p[mirrored(x + 2, W)]);
    }
    for (int y = 0; y < H; y++) {
        const double *line[5];
        for (int k = -2; k <= 2; k++) line[k + 2] = across + (size_t)mirrored(y + k, H) * (size_t)W;
        double *to = out + (size_t)y * (size_t)W;
        for (int x = 0; x < W; x++)
            to[x] =
                gain * (b0 * line[2][x] + b1 * (line[1][x] + line[3][x]) + b2 * (line[0][x] + line[4][x]));
    }
}

/* *fine loses what the next level, half the size, can show; that level is made. */
static level split(const level *fine) {
    int H = fine->H, W = fine->W, h = (H + 1) / 2, w = (W + 1) / 2;
    size_t pixels = (size_t)H * (size_t)W, coarse_pixels = (size_t)h * (size_t)w;
    level coarse = {h, w, plx_plane_alloc(3 * coarse_pixels)};
    double *smooth = plx_plane_alloc(2 * pixels), *across = smooth + pixels;
    for (size_t c = 0; c < 3; c++) {
        double *plane = fine->planes + c * pixels, *half = coarse.planes + c * coarse_pixels;
        blur(plane, H, W, 1, smooth, across);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                half[(size_t)y * (size_t)w + (size_t)x] =
                    smooth[(size_t)(2 * y) * (size_t)W + (size_t)(2 * x)];
        double *wide = plx_plane_alloc(pixels); /* back to size: zeros between, blurred, times 4 */
        memset(wide, 0, pixels * sizeof *wide);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                wide[(size_t)(2 * y) * (size_t)W + (size_t)(2 * x)] = half[(size_t)y * (size_t)w + (size_t)x];
        blur(wide, H, W, 4, smooth, across);
        for (size_t i = 0; i < pixels; i++) plane[i] -= smooth[i];
        free(wide);
    }
    free(smooth);
    return coarse;
}

/* ---- descriptors ---------------------------------------------------------------------------------------------------- */

typedef struct descriptors {
    int patches; /* an image */
    size_t count;
    float *values; /* (count,3,7,7) */
} descriptors;

static void cut(const level *l, plx_rng places, int image, int patches, float *out) {
    for (int p = 0; p < patches; p++) {
        uint64_t index = 2 * ((uint64_t)image * (uint64_t)patches + (uint64_t)p);
        size_t x = plx_rng_below(places, index, (uint32_t)(l->W - SIDE + 1));
        size_t y = plx_rng_below(places, index + 1, (uint32_t)(l->H - SIDE + 1));
        for (size_t c = 0; c < 3; c++)
            for (size_t i = 0; i < SIDE; i++)
                for (size_t j = 0; j < SIDE; j++)
                    *out++ = (float)l->planes[(c * (size_t)l->H + y + i) * (size_t)l->W + x + j];
    }
}

/* Each channel of the set to mean 0 and deviation 1; a flat one to 0. */
static void normalise(const descriptors *d) {
    for (size_t c = 0; c < 3; c++) {
        double sum = 0, squares = 0, n = (double)d->count * AREA;
        for (size_t k = 0; k < d->count; k++)
            for (size_t i = 0; i < AREA; i++) sum += d->values[k * VALUES + c * AREA + i];
        for (size_t k = 0; k < d->count; k++)
            for (size_t i = 0; i < AREA; i++) {
                double v = d->values[k * VALUES + c * AREA + i] - sum / n;
                squares += v * v;
            }
        double scale = squares > 0 ? 1 / sqrt(squares / n) : 0;
        for (size_t k = 0; k < d->count; k++)
            for (size_t i = 0; i < AREA; i++) {
                float *v = &d->values[k * VALUES + c * AREA + i];
                *v = (float)((*v - sum / n) * scale);
            }
    }
}

/* ---- projections ---------------------------------------------------------------------------------------------------- */

/* Ascending, by 8 bits of the key at a time: a float's bits, ordered as integers. keys (2, count). */
static void sort_floats(float *values, uint32_t *keys, size_t count) {
    enum { BITS = 8, BUCKETS = 1 << BITS, PASSES = 32 / BITS };
    uint32_t *from = keys, *to = keys + count, start[PASSES][BUCKETS] = {{0}};
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000u;
        from[i] = bits;
        for (int p = 0; p < PASSES; p++) start[p][bits >> p * BITS & (BUCKETS - 1)]++;
    }
    for (int p = 0; p < PASSES; p++) {
        uint32_t before = 0, *at = start[p];
        for (int b = 0; b < BUCKETS; b++) {
            uint32_t here = at[b];
            at[b] = before;
            before += here;
        }
        for (size_t i = 0; i < count; i++) to[at[from[i] >> p * BITS & (BUCKETS - 1)]++] = from[i];
        uint32_t *swapped = from;
        from = to, to = swapped;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = from[i] ^ (from[i] >> 31 ? 0x80000000u : 0xffffffffu);
        memcpy(&values[i], &bits, sizeof bits);
    }
}

/* out (DIRECTIONS, VALUES): unit vectors. */
static void draw_directions(plx_rng rng, float *out) {
    plx_rng_fill_normal(rng, out, (size_t)DIRECTIONS * VALUES);
    for (int d = 0; d < DIRECTIONS; d++) {
        double squares = 0;
        float *v = out + (size_t)d * VALUES;
        for (int i = 0; i < VALUES; i++) squares += (double)v[i] * v[i];
        for (int i = 0; i < VALUES; i++) v[i] = (float)(v[i] / sqrt(squares));
    }
}

/* Mean over DIRECTIONS of the mean distance of the sorted projections; NAN without memory. In one thread. */
static double distance_along(const descriptors *a, const descriptors *b, plx_rng rng) {
    size_t n = a->count, projections = (size_t)DIRECTIONS * n;
    float *directions = malloc(sizeof *directions * ((size_t)DIRECTIONS * VALUES + 2 * projections));
    uint32_t *keys = malloc(sizeof *keys * 2 * n);
    double sum = 0;
    if (directions && keys) {
        float *p = directions + (size_t)DIRECTIONS * VALUES, *q = p + projections;
        draw_directions(rng, directions);
        plx_gemm(false, true, DIRECTIONS, n, VALUES, directions, VALUES, a->values, VALUES, 0, p, n);
        plx_gemm(false, true, DIRECTIONS, n, VALUES, directions, VALUES, b->values, VALUES, 0, q, n);
        for (size_t d = 0; d < DIRECTIONS; d++) {
            sort_floats(p + d * n, keys, n);
            sort_floats(q + d * n, keys, n);
            for (size_t i = d * n; i < (d + 1) * n; i++) sum += fabs((double)p[i] - q[i]);
        }
    }
    bool failed = !directions || !keys;
    free(directions);
    free(keys);
    return failed ? NAN : sum / (double)projections;
}

static double sliced_distance(const descriptors *a, const descriptors *b, plx_rng rng) {
    double repeats[REPEATS], sum = 0;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < REPEATS; r++) repeats[r] = distance_along(a, b, plx_rng_fork(rng, (uint64_t)r));
    for (int r = 0; r < REPEATS; r++) sum += repeats[r];
    return sum / REPEATS;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

/* descriptors of every level: d[level]. */
static void describe(const plx_image *images, int count, int levels, plx_rng rng, descriptors *d) {
#pragma omp parallel for schedule(static)
    for (int n = 0; n < count; n++) {
        level l = {images[n].height, images[n].width, plx_level_planes(&images[n])};
        for (int k = 0; k < levels; k++) {
            level next = {0};
            if (k + 1 < levels) next = split(&l);
            plx_rng places = plx_rng_fork(plx_rng_fork(rng, FOR_PLACES), (uint64_t)k);
            cut(&l, places, n, d[k].patches, d[k].values + (size_t)n * (size_t)d[k].patches * VALUES);
            free(l.planes);
            l = next;
        }
    }
    for (int k = 0; k < levels; k++) normalise(&d[k]);
}

static int allocate(descriptors *d, int levels, int count) {
    int patches = PATCHES_MAX / count;
    if (patches < 1) patches = 1;
    for (int k = 0; k < levels; k++) {
        d[k].patches = patches < PATCHES ? patches : PATCHES;
        d[k].count = (size_t)count * (size_t)d[k].patches;
        d[k].values = malloc(d[k].count * VALUES * sizeof *d[k].values);
        if (!d[k].values)
            return plx_fail(PLX_ERROR_MEMORY, "metrics: no memory for the patches of %d images", count);
    }
    return PLX_OK;
}

static void check_sets(int count, const plx_image *a, const plx_image *b) {
    PLX_CHECK(count > 0 && a->height >= LEAST && a->width >= LEAST, "swd: %d images of %dx%d pixels", count,
              a->width, a->height);
    for (int n = 0; n < count; n++)
        PLX_CHECK(a[n].height == a->height && a[n].width == a->width && a[n].channels == 3 &&
                      b[n].height == a->height && b[n].width == a->width && b[n].channels == 3,
                  "swd: images of different sizes");
}

int plx_sliced_wasserstein(plx_swd *out, int count, const plx_image *a, const plx_image *b, uint64_t seed) {
    check_sets(count, a, b);
    *out = (plx_swd){0};
    descriptors p[PLX_SWD_LEVELS] = {{0}}, q[PLX_SWD_LEVELS] = {{0}};
    plx_rng rng = {seed, 0x737764}; /* "swd" */
    for (int side = a->height < a->width ? a->height : a->width; side >= LEAST; side = (side + 1) / 2)
        out->side[out->levels++] = side;
    int status = allocate(p, out->levels, count);
    if (!status) status = allocate(q, out->levels, count);
    if (!status) describe(a, count, out->levels, rng, p);
    if (!status) describe(b, count, out->levels, rng, q);
    for (int k = 0; k < out->levels && !status; k++) {
        plx_rng directions = plx_rng_fork(plx_rng_fork(rng, FOR_DIRECTIONS), (uint64_t)k);
        out->distance[k] = 1000 * sliced_distance(&p[k], &q[k], directions);
        out->mean += out->distance[k] / out->levels;
        if (isnan(out->distance[k]))
            status = plx_fail(PLX_ERROR_MEMORY, "metrics: no memory for the projections");
    }
    for (int k = 0; k < PLX_SWD_LEVELS; k++) free(p[k].values), free(q[k].values);
    return status;
}
