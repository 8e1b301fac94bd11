/* Sliced Wasserstein distance of Laplacian-pyramid patches: Karras, Aila, Laine, Lehtinen, "Progressive growing of GANs",
 * ICLR 2018, section 5; the projections: Rabin et al. 2011. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/rng.h"
#include "nerf/filter.h"

enum {
    SIDE = 7, /* of a patch */
    AREA = SIDE * SIDE,
    VALUES = 3 * AREA,            /* of a descriptor */
    PATCHES = 128,                /* an image */
    PATCHES_MAX = 1024 * PATCHES, /* of a set */
    LEAST = 16,                   /* pixels of the coarsest level */
    DIRECTIONS = 128,             /* at once */
    REPEATS = 4,
    TILE = 16, /* descriptors side by side */
};
enum { FOR_PLACES = 1, FOR_DIRECTIONS };

/* ---- the pyramid ---------------------------------------------------------------------------------------------------- */

typedef plx_levels level; /* of the pyramid; signed, below the finest */

static int mirrored(int i, int count) {
    if (count == 1) return 0;
    if (i < 0) i = -i;
    return i < count ? i : 2 * count - 2 - i;
}

/* The 5x5 binomial filter (1 4 6 4 1) / 16 in both directions, edges mirrored (not repeated). */
static const float CENTRE = 6.f / 16, NEXT = 4.f / 16, LAST = 1.f / 16;

/* fine (H,W) filtered, every second pixel of it -> coarse, half the size; line (W + 4). */
static void reduce(const float *fine, int H, int W, float *restrict coarse, float *restrict line) {
    float *middle = line + 2;
    for (int y = 0; y < H; y += 2, coarse += (W + 1) / 2) {
        const float *p[5];
        for (int k = 0; k < 5; k++) p[k] = fine + (size_t)mirrored(y + k - 2, H) * (size_t)W;
        for (int x = 0; x < W; x++)
            middle[x] = CENTRE * p[2][x] + NEXT * (p[1][x] + p[3][x]) + LAST * (p[0][x] + p[4][x]);
        for (int k = 1; k <= 2; k++) middle[-k] = middle[k], middle[W - 1 + k] = middle[W - 1 - k];
        for (int x = 0; x < (W + 1) / 2; x++) {
            const float *m = middle + 2 * x;
            coarse[x] = CENTRE * m[0] + NEXT * (m[-1] + m[1]) + LAST * (m[-2] + m[2]);
        }
    }
}

/* fine (H,W) -= coarse brought to its size: zeros between, filtered, times 4. Pixels of even places see three of the coarse, others
 * two; line (w + 2). */
static void subtract_expanded(float *restrict fine, int H, int W, const float *coarse, float *restrict line) {
    const int w = (W + 1) / 2;
    float *middle = line + 1;
    for (int y = 0; y < H; y++, fine += W) {
        const float *p[3];
        for (int k = 0; k < 3; k++)
            p[k] = coarse + (size_t)(mirrored(y + (y % 2 ? 2 * k - 1 : 2 * k - 2), H) / 2) * (size_t)w;
        if (y % 2)
            for (int x = 0; x < w; x++) middle[x] = 2 * NEXT * (p[0][x] + p[1][x]);
        else
            for (int x = 0; x < w; x++) middle[x] = 2 * (CENTRE * p[1][x] + LAST * (p[0][x] + p[2][x]));
        middle[-1] = middle[1], middle[w] = middle[mirrored(2 * w, W) / 2];
        for (int x = 0; x < W / 2; x++) {
            fine[2 * x] -= 2 * (CENTRE * middle[x] + LAST * (middle[x - 1] + middle[x + 1]));
            fine[2 * x + 1] -= 2 * NEXT * (middle[x] + middle[x + 1]);
        }
        if (W % 2) fine[W - 1] -= 2 * (CENTRE * middle[w - 1] + LAST * (middle[w - 2] + middle[w]));
    }
}

/* *fine loses what the next level, half the size, can show; that level is made. */
static level split(const level *fine) {
    int H = fine->H, W = fine->W, h = (H + 1) / 2, w = (W + 1) / 2;
    size_t pixels = (size_t)H * (size_t)W, coarse_pixels = (size_t)h * (size_t)w;
    level coarse = {h, w, plx_plane_alloc(3 * coarse_pixels)};
    float *line = plx_plane_alloc((size_t)W + 4);
    for (size_t c = 0; c < 3; c++) {
        reduce(fine->planes + c * pixels, H, W, coarse.planes + c * coarse_pixels, line);
        subtract_expanded(fine->planes + c * pixels, H, W, coarse.planes + c * coarse_pixels, line);
    }
    free(line);
    return coarse;
}

/* ---- where patches are cut -------------------------------------------------------------------------------------------- */

/* Of one level of all images. A place that an image drew several times stands once: a coarse level has few. */
typedef struct places {
    size_t tiles; /* of TILE places; the last one's rest has the weight 0 */
    size_t total; /* draws: the sum of the weights */
    int across;
    size_t *first;   /* (count + 1) of each image's */
    int32_t *at;     /* (tiles TILE) row times across + column */
    int32_t *weight; /* (tiles TILE) */
} places;

static void free_places(places *p) {
    free(p->first);
    free(p->at);
    free(p->weight);
}

/* place (down,across), all 0: the last one there, counted from 1. */
static void draw(places *out, int count, int patches, int down, plx_rng rng, size_t *place) {
    size_t distinct = 0;
    for (int n = 0; n < count; n++) {
        out->first[n] = distinct;
        for (int p = 0; p < patches; p++) {
            uint64_t number = 2 * ((uint64_t)n * (uint64_t)patches + (uint64_t)p);
            uint32_t x = plx_rng_below(rng, number, (uint32_t)out->across);
            uint32_t y = plx_rng_below(rng, number + 1, (uint32_t)down), at = y * (uint32_t)out->across + x;
            if (place[at] <= out->first[n]) {
                out->at[distinct] = (int32_t)at;
                place[at] = ++distinct;
            }
            out->weight[place[at] - 1]++;
        }
    }
    out->first[count] = distinct;
    out->tiles = (distinct + TILE - 1) / TILE;
}

static int make_places(places *out, int count, int H, int W, plx_rng rng) {
    const int most = PATCHES_MAX / count, patches = most < 1 ? 1 : most < PATCHES ? most : PATCHES;
    const int down = H - SIDE + 1;
    *out = (places){.total = (size_t)count * (size_t)patches, .across = W - SIDE + 1};
    size_t *place = calloc((size_t)down * (size_t)out->across, sizeof *place);
    out->first = malloc(((size_t)count + 1) * sizeof *out->first);
    out->at = calloc(out->total + TILE, sizeof *out->at);
    out->weight = calloc(out->total + TILE, sizeof *out->weight);
    bool made = place && out->first && out->at && out->weight;
    if (made) draw(out, count, patches, down, rng, place);
    free(place);
    return made ? PLX_OK
                : plx_fail(PLX_ERROR_MEMORY, "metrics: no memory for the patches of %d images", count);
}

/* ---- descriptors ---------------------------------------------------------------------------------------------------- */

/* (tiles,VALUES,TILE): those of TILE places side by side, number by number, as products take them. */
typedef float *descriptors;

static float *descriptor(descriptors d, size_t number) {
    return d + number / TILE * VALUES * TILE + number % TILE;
}

static void cut(const level *l, const places *p, int image, descriptors d) {
    for (size_t number = p->first[image]; number < p->first[image + 1]; number++) {
        size_t x = (size_t)(p->at[number] % p->across), y = (size_t)(p->at[number] / p->across);
        float *out = descriptor(d, number);
        for (size_t c = 0; c < 3; c++)
            for (size_t i = 0; i < SIDE; i++) {
                const float *from = l->planes + (c * (size_t)l->H + y + i) * (size_t)l->W + x;
                for (size_t j = 0; j < SIDE; j++, out += TILE) *out = from[j];
            }
    }
}

/* The last tile's rest repeats its first: nothing lies outside the others' range. */
static void fill_rest(const places *p, int count, descriptors d) {
    for (size_t number = p->first[count]; number % TILE; number++)
        for (size_t v = 0; v < VALUES * TILE; v += TILE)
            descriptor(d, number)[v] = descriptor(d, number - number % TILE)[v];
}

/* Weighted sums of one channel's values and their squares over a tile; in double: levels have 8 bits before the dot and few
 * behind. */
static void add_up(const float *first, const int32_t *weight, double sums[2]) {
    double sum[TILE] = {0}, square[TILE] = {0};
    for (size_t i = 0; i < AREA; i++)
        for (size_t k = 0; k < TILE; k++) {
            double v = (double)first[i * TILE + k];
            sum[k] += v, square[k] += v * v;
        }
    sums[0] = sums[1] = 0;
    for (size_t k = 0; k < TILE; k++) sums[0] += weight[k] * sum[k], sums[1] += weight[k] * square[k];
}

/* Each channel of the set to mean 0 and deviation 1; a flat one to 0. */
static int normalise(descriptors d, const places *p) {
    double mean[3] = {0}, square[3] = {0}, n = (double)p->total * AREA;
    double(*sums)[2] = malloc(3 * p->tiles * sizeof *sums);
    float scale[3], shift[3];
    if (!sums) return plx_fail(PLX_ERROR_MEMORY, "metrics: out of memory");
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < 3 * p->tiles; row++)
        add_up(d + row * AREA * TILE, p->weight + row / 3 * TILE, sums[row]);
    for (size_t row = 0; row < 3 * p->tiles; row++)
        mean[row % 3] += sums[row][0] / n, square[row % 3] += sums[row][1] / n;
    free(sums);
    for (size_t c = 0; c < 3; c++) {
        double variance = square[c] - mean[c] * mean[c];
        scale[c] = variance > 1e-9 * mean[c] * mean[c] ? (float)(1 / sqrt(variance)) : 0;
        shift[c] = (float)mean[c];
    }
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < 3 * p->tiles; row++) {
        float *v = d + row * AREA * TILE;
        for (size_t i = 0; i < AREA * TILE; i++) v[i] = (v[i] - shift[row % 3]) * scale[row % 3];
    }
    return PLX_OK;
}

/* ---- projections ---------------------------------------------------------------------------------------------------- */

/* In one dimension the mean distance of the sorted values is the area between the two distribution functions. These are taken at the
 * edges of STEPS steps over the range of both sets: right in the mean, as a distance below a step is as likely to hold an edge as it
 * is long, and off by a deviation of at most half a step / sqrt(n) a direction. */
enum { STEPS = 8191 };

typedef struct range {
    float least, most;
} range;

/* Of p and q (n); n a multiple of TILE. */
static range range_of(const float *p, const float *q, size_t n) {
    plx_pixels least = *(const plx_pixels *)p, most = least;
    for (size_t i = 0; i < n; i += PLX_PIXELS) {
        const plx_pixels x = *(const plx_pixels *)(p + i), y = *(const plx_pixels *)(q + i);
        const plx_pixels below = plx_either(x < y, x, y), above = plx_either(x < y, y, x);
        least = plx_either(below < least, below, least);
        most = plx_either(above > most, above, most);
    }
    range out = {least[0], most[0]};
    for (int k = 1; k < PLX_PIXELS; k++) {
        out.least = least[k] < out.least ? least[k] : out.least;
        out.most = most[k] > out.most ? most[k] : out.most;
    }
    return out;
}

/* Mean distance of the sorted projections p and q; counts (STEPS + 1) are 0 before and after. */
static double sorted_distance(const float *p, const float *q, const places *of, int32_t *counts) {
    enum { CHUNK = 16 * TILE };
    const size_t n = of->tiles * TILE;
    const range all = range_of(p, q, n);
    if (!(all.most > all.least)) return 0;
    const float least = all.least, scale = (float)STEPS / (all.most - all.least);
    for (size_t first = 0; first < n; first += CHUNK) {
        int16_t a[CHUNK], b[CHUNK];
        size_t count = n - first < CHUNK ? n - first : CHUNK;
        for (size_t i = 0; i < count; i++) {
            int x = (int)((p[first + i] - least) * scale), y = (int)((q[first + i] - least) * scale);
            a[i] = (int16_t)(x < STEPS ? x : STEPS), b[i] = (int16_t)(y < STEPS ? y : STEPS);
        }
        const int32_t *weight = of->weight + first;
        for (size_t i = 0; i < count; i++) counts[a[i]] += weight[i], counts[b[i]] -= weight[i];
    }
    int64_t area = 0;
    for (int32_t i = 0, more = 0; i <= STEPS; i++) {
        more += counts[i];
        area += abs(more);
        counts[i] = 0;
    }
    return (double)area / scale / (double)of->total;
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

enum { ROWS = 4 };

/* out (ROWS,TILE) = v (ROWS,VALUES) x (VALUES,TILE): all sums in registers. */
static void multiply(const float *v, const float *x, float *out) {
    plx_pixels a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0},
               *to = (plx_pixels *)out;
    for (size_t k = 0; k < VALUES; k++, x += TILE) {
        const plx_pixels left = *(const plx_pixels *)x, right = *(const plx_pixels *)(x + PLX_PIXELS);
        a += v[k] * left, b += v[k] * right;
        c += v[VALUES + k] * left, d += v[VALUES + k] * right;
        e += v[2 * VALUES + k] * left, f += v[2 * VALUES + k] * right;
        g += v[3 * VALUES + k] * left, h += v[3 * VALUES + k] * right;
    }
    to[0] = a, to[1] = b, to[2] = c, to[3] = d, to[4] = e, to[5] = f, to[6] = g, to[7] = h;
}

/* out (DIRECTIONS, tiles TILE). */
static void project(descriptors d, size_t tiles, const float *directions, float *out) {
#pragma omp parallel for schedule(static)
    for (size_t t = 0; t < tiles; t++)
        for (size_t i = 0; i < DIRECTIONS; i += ROWS) {
            float products[ROWS * TILE];
            multiply(directions + i * VALUES, d + t * VALUES * TILE, products);
            for (size_t k = 0; k < ROWS; k++)
                memcpy(out + ((i + k) * tiles + t) * TILE, products + k * TILE, TILE * sizeof *products);
        }
}

/* The mean over REPEATS times DIRECTIONS; NAN without memory. */
static double sliced_distance(descriptors a, descriptors b, const places *of, plx_rng rng) {
    size_t n = of->tiles * TILE, projections = (size_t)DIRECTIONS * n;
    float *directions = malloc(sizeof *directions * ((size_t)DIRECTIONS * VALUES + 2 * projections));
    double distances[DIRECTIONS], sum = 0;
    bool failed = !directions;
    for (int r = 0; r < REPEATS && !failed; r++) {
        float *p = directions + (size_t)DIRECTIONS * VALUES, *q = p + projections;
        draw_directions(plx_rng_fork(rng, (uint64_t)r), directions);
        project(a, of->tiles, directions, p);
        project(b, of->tiles, directions, q);
#pragma omp parallel reduction(|| : failed)
        {
            int32_t *counts = calloc(STEPS + 1, sizeof *counts);
            failed = !counts;
#pragma omp for schedule(static)
            for (size_t d = 0; d < DIRECTIONS; d++)
                if (counts) distances[d] = sorted_distance(p + d * n, q + d * n, of, counts);
            free(counts);
        }
        for (int d = 0; d < DIRECTIONS && !failed; d++) sum += distances[d];
    }
    free(directions);
    return failed ? NAN : sum / (REPEATS * DIRECTIONS);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

/* The descriptors d[level] of every level. */
static int describe(const plx_image *images, int count, int levels, const places *at, descriptors *d) {
    int status = PLX_OK;
#pragma omp parallel for schedule(static)
    for (int n = 0; n < count; n++) {
        level l = plx_levels_of(&images[n]);
        for (int k = 0; k < levels; k++) {
            level next = {0};
            if (k + 1 < levels) next = split(&l);
            cut(&l, &at[k], n, d[k]);
            free(l.planes);
            l = next;
        }
    }
    for (int k = 0; k < levels && !status; k++) {
        fill_rest(&at[k], count, d[k]);
        status = normalise(d[k], &at[k]);
    }
    return status;
}

/* Places of every level, and room for both sets' descriptors. */
static int prepare(plx_swd *out, int count, const plx_image *first, plx_rng rng, places *at,
                   descriptors (*d)[PLX_SWD_LEVELS]) {
    int H = first->height, W = first->width, status = PLX_OK;
    rng = plx_rng_fork(rng, FOR_PLACES);
    for (int k = 0; (H < W ? H : W) >= LEAST && !status; k++, H = (H + 1) / 2, W = (W + 1) / 2) {
        out->side[k] = H < W ? H : W;
        out->levels = k + 1;
        status = make_places(&at[k], count, H, W, plx_rng_fork(rng, (uint64_t)k));
        for (int s = 0; s < 2 && !status; s++) {
            d[s][k] = malloc(at[k].tiles * TILE * VALUES * sizeof(float));
            if (!d[s][k])
                status = plx_fail(PLX_ERROR_MEMORY, "metrics: no memory for the patches of %d images", count);
        }
    }
    return status;
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
    places at[PLX_SWD_LEVELS] = {{0}};
    descriptors d[2][PLX_SWD_LEVELS] = {{NULL}};
    plx_rng rng = {seed, 0x737764}; /* "swd" */
    int status = prepare(out, count, a, rng, at, d);
    if (!status) status = describe(a, count, out->levels, at, d[0]);
    if (!status) status = describe(b, count, out->levels, at, d[1]);
    for (int k = 0; k < out->levels && !status; k++) {
        plx_rng directions = plx_rng_fork(plx_rng_fork(rng, FOR_DIRECTIONS), (uint64_t)k);
        out->distance[k] = 1000 * sliced_distance(d[0][k], d[1][k], &at[k], directions);
        out->mean += out->distance[k] / out->levels;
        if (isnan(out->distance[k]))
            status = plx_fail(PLX_ERROR_MEMORY, "metrics: no memory for the projections");
    }
    for (int k = 0; k < out->levels; k++) {
        free_places(&at[k]);
        free(d[0][k]), free(d[1][k]);
    }
    return status;
}
