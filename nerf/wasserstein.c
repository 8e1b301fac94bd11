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

typedef plx_levels level; /* of the pyramid; signed, below the finest */

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

/* One channel of the set to mean 0 and deviation 1; a flat one to 0. */
static void normalise(const descriptors *d, size_t channel) {
    double sums[AREA] = {0}, squares[AREA] = {0}, sum = 0, square = 0, n = (double)d->count * AREA;
    float *first = d->values + channel * AREA;
    for (size_t k = 0; k < d->count; k++)
        for (size_t i = 0; i < AREA; i++) {
            double v = first[k * VALUES + i];
            sums[i] += v, squares[i] += v * v;
        }
    for (size_t i = 0; i < AREA; i++) sum += sums[i], square += squares[i];
    double mean = sum / n;
    square -= sum * mean; /* in double: levels have 8 bits before the dot and few behind */
    if (square < 1e-9 * sum * mean) square = 0;
    double scale = square > 0 ? 1 / sqrt(square / n) : 0;
    for (size_t k = 0; k < d->count; k++)
        for (size_t i = 0; i < AREA; i++)
            first[k * VALUES + i] = (float)((first[k * VALUES + i] - mean) * scale);
}

/* ---- projections ---------------------------------------------------------------------------------------------------- */

/* Projections are sorted as whole numbers of steps: 2^22 of them over the range of both sets, far below what the mean of their
 * distances shows. */
enum { BITS = 11, BUCKETS = 1 << BITS, STEPS = (1 << 2 * BITS) - 1, ROWS = 1024 };

/* Counts -> where each bucket begins. */
static void to_starts(uint32_t counts[BUCKETS]) {
    uint32_t before = 0;
    for (int b = 0; b < BUCKETS; b++) {
        uint32_t here = counts[b];
        counts[b] = before;
        before += here;
    }
}

/* a and b (n), keys below 2^(2 BITS), ascending each, BITS of the key at a time; spare (2,n). Both at once, and a count waits for
 * its last writing half as often. */
static void sort_both(uint32_t *restrict a, uint32_t *restrict b, uint32_t *restrict spare, size_t n) {
    uint32_t low[2][BUCKETS] = {{0}}, high[2][BUCKETS] = {{0}}, *restrict c = spare, *restrict d = spare + n;
    for (size_t i = 0; i < n; i++) {
        low[0][a[i] % BUCKETS]++, high[0][a[i] / BUCKETS]++;
        low[1][b[i] % BUCKETS]++, high[1][b[i] / BUCKETS]++;
    }
    for (int k = 0; k < 2; k++) to_starts(low[k]), to_starts(high[k]);
    for (size_t i = 0; i < n; i++) c[low[0][a[i] % BUCKETS]++] = a[i], d[low[1][b[i] % BUCKETS]++] = b[i];
    for (size_t i = 0; i < n; i++) a[high[0][c[i] / BUCKETS]++] = c[i], b[high[1][d[i] / BUCKETS]++] = d[i];
}

/* Mean distance of the sorted projections p and q (n); keys (4,n). */
static double sorted_distance(const float *p, const float *q, size_t n, uint32_t *keys) {
    float least = p[0], most = p[0];
    uint32_t *a = keys, *b = keys + n;
    for (size_t i = 0; i < n; i++) {
        float below = p[i] < q[i] ? p[i] : q[i], above = p[i] < q[i] ? q[i] : p[i];
        least = below < least ? below : least;
        most = above > most ? above : most;
    }
    if (!(most > least)) return 0;
    float scale = (float)STEPS / (most - least);
    for (size_t i = 0; i < n; i++) {
        int x = (int)((p[i] - least) * scale), y = (int)((q[i] - least) * scale);
        a[i] = (uint32_t)(x < STEPS ? x : STEPS), b[i] = (uint32_t)(y < STEPS ? y : STEPS);
    }
    sort_both(a, b, keys + 2 * n, n);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += abs((int32_t)a[i] - (int32_t)b[i]);
    return (double)sum / scale / (double)n;
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

/* out (DIRECTIONS, count), ROWS descriptors at a time. */
static void project(const descriptors *d, const float *directions, float *out) {
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < d->count; row += ROWS) {
        size_t rows = d->count - row < ROWS ? d->count - row : ROWS;
        plx_gemm(false, true, DIRECTIONS, rows, VALUES, directions, VALUES, d->values + row * VALUES, VALUES,
                 0, out + row, d->count);
    }
}

/* The mean over REPEATS times DIRECTIONS; NAN without memory. */
static double sliced_distance(const descriptors *a, const descriptors *b, plx_rng rng) {
    size_t n = a->count, projections = (size_t)DIRECTIONS * n;
    float *directions = malloc(sizeof *directions * ((size_t)DIRECTIONS * VALUES + 2 * projections));
    double distances[DIRECTIONS], sum = 0;
    bool failed = !directions;
    for (int r = 0; r < REPEATS && !failed; r++) {
        float *p = directions + (size_t)DIRECTIONS * VALUES, *q = p + projections;
        draw_directions(plx_rng_fork(rng, (uint64_t)r), directions);
        project(a, directions, p);
        project(b, directions, q);
#pragma omp parallel reduction(|| : failed)
        {
            uint32_t *keys = malloc(sizeof *keys * 4 * n);
            failed = !keys;
#pragma omp for schedule(static)
            for (size_t d = 0; d < DIRECTIONS; d++)
                if (keys) distances[d] = sorted_distance(p + d * n, q + d * n, n, keys);
            free(keys);
        }
        for (int d = 0; d < DIRECTIONS && !failed; d++) sum += distances[d];
    }
    free(directions);
    return failed ? NAN : sum / (REPEATS * DIRECTIONS);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

/* descriptors of every level: d[level]. */
static void describe(const plx_image *images, int count, int levels, plx_rng rng, descriptors *d) {
#pragma omp parallel for schedule(static)
    for (int n = 0; n < count; n++) {
        level l = plx_levels_of(&images[n]);
        for (int k = 0; k < levels; k++) {
            level next = {0};
            if (k + 1 < levels) next = split(&l);
            plx_rng places = plx_rng_fork(plx_rng_fork(rng, FOR_PLACES), (uint64_t)k);
            cut(&l, places, n, d[k].patches, d[k].values + (size_t)n * (size_t)d[k].patches * VALUES);
            free(l.planes);
            l = next;
        }
    }
#pragma omp parallel for schedule(static)
    for (int k = 0; k < 3 * levels; k++) normalise(&d[k / 3], (size_t)k % 3);
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
