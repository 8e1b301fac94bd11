#include "nerf/tensor/kernels_field_planes.h"

enum { LANES = PLX_LANES };

/* ---- taps: texel centres at half integers, border padding ---------------------------------------------- */

/* The position among `count` texels: whole part, fraction, and `step` where there is a next texel. */
static void split(const float *at, int count, int step, plx_ivector *whole, plx_vector *fraction,
                  plx_ivector *next) {
    plx_vector x = (plx_load(at) + 1) * 0.5f * (float)count - 0.5f;
    x = plx_min(plx_max(x, plx_splat(0)), plx_splat((float)(count - 1)));
    *whole = __builtin_convertvector(x, plx_ivector);
    *fraction = x - __builtin_convertvector(*whole, plx_vector);
    *next = (*whole + 1 < count) & step;
}

void plx_taps_find(plx_taps *t, const int size[2], int channels, const float *row, const float *column) {
    for (int p = 0; p < PLX_TILE; p += LANES) {
        plx_ivector y, x, down, right;
        plx_vector fy, fx;
        split(row + p, size[0], size[1] * channels, &y, &fy, &down);
        split(column + p, size[1], channels, &x, &fx, &right);
        const plx_ivector first = (y * size[1] + x) * channels;
        memcpy(t->first + p, &first, sizeof first);
        memcpy(t->right + p, &right, sizeof right);
        memcpy(t->down + p, &down, sizeof down);
        plx_store(t->weight[0] + p, (1 - fy) * (1 - fx));
        plx_store(t->weight[1] + p, (1 - fy) * fx);
        plx_store(t->weight[2] + p, fy * (1 - fx));
        plx_store(t->weight[3] + p, fy * fx);
    }
}

/* ---- transposition, eight by eight --------------------------------------------------------------------- */

typedef float f8 __attribute__((vector_size(32)));

static inline f8 load8(const float *p) {
    f8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

#define PAIRS(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define LATER_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FOURS(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define LATER_FOURS(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define HALVES(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define LATER_HALVES(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

/* to[j to_row + i] = from[i from_row + j] for i, j < 8 */
static inline void transpose8(const float *from, size_t from_row, float *to, size_t to_row) {
    f8 a[8], b[8];
    for (int i = 0; i < 8; i++) a[i] = load8(from + (size_t)i * from_row);
    for (int i = 0; i < 8; i += 2) b[i] = PAIRS(a[i], a[i + 1]), b[i + 1] = LATER_PAIRS(a[i], a[i + 1]);
    for (int i = 0; i < 8; i += 4) {
        a[i] = FOURS(b[i], b[i + 2]), a[i + 1] = LATER_FOURS(b[i], b[i + 2]);
        a[i + 2] = FOURS(b[i + 1], b[i + 3]), a[i + 3] = LATER_FOURS(b[i + 1], b[i + 3]);
    }
    for (int i = 0; i < 4; i++) b[i] = HALVES(a[i], a[i + 4]), b[i + 4] = LATER_HALVES(a[i], a[i + 4]);
    for (int i = 0; i < 8; i++) memcpy(to + (size_t)i * to_row, &b[i], sizeof b[i]);
}

void plx_transpose(const float *from, int rows, int columns, size_t from_row, float *to, size_t to_row) {
    for (int i = 0; i < rows; i += 8)
        for (int j = 0; j < columns; j += 8)
            transpose8(from + (size_t)i * from_row + j, from_row, to + (size_t)j * to_row + i, to_row);
}

/* ---- reading and adding ---------------------------------------------------------------------------------- */

enum { AHEAD = 8 }; /* points */

/* Texels are far apart: asks for the rows that a point a little further on will use. */
static inline void ask_ahead(const plx_taps *t, const float *plane, int i) {
    if (i + AHEAD >= PLX_TILE) return;
    const float *a = plane + t->first[i + AHEAD], *b = a + t->down[i + AHEAD];
    __builtin_prefetch(a), __builtin_prefetch(a + t->right[i + AHEAD]);
    __builtin_prefetch(b), __builtin_prefetch(b + t->right[i + AHEAD]);
}

void plx_taps_read(const plx_taps *t, const float *plane, int begin, int count, float *out) {
    const int run = count < LANES ? 8 : LANES;
    for (int c = 0; c < count; c += run)
        for (int p = 0; p < PLX_TILE; p += LANES) {
            _Alignas(64) float read[LANES][LANES];
            for (int i = p; i < p + LANES; i++) {
                const float *a = plane + begin + c + t->first[i], *b = a + t->down[i];
                const int right = t->right[i];
                if (c == 0) ask_ahead(t, plane + begin, i);
                if (run == 8) {
                    f8 sum = t->weight[0][i] * load8(a) + t->weight[1][i] * load8(a + right) +
                             t->weight[2][i] * load8(b) + t->weight[3][i] * load8(b + right);
                    memcpy(read[i - p], &sum, sizeof sum);
                } else {
                    plx_vector sum = t->weight[0][i] * plx_load(a) + t->weight[1][i] * plx_load(a + right) +
                                     t->weight[2][i] * plx_load(b) + t->weight[3][i] * plx_load(b + right);
                    plx_store(read[i - p], sum);
                }
            }
            plx_transpose(read[0], LANES, run, LANES, out + c * PLX_TILE + p, PLX_TILE);
        }
}

static inline __attribute__((always_inline)) void add_tap(float *to, int count, float weight,
                                                          const float *d) {
    int c = 0;
    for (; c + LANES <= count; c += LANES) plx_store(to + c, plx_load(to + c) + weight * plx_load(d + c));
    for (; c < count; c++) to[c] += weight * d[c];
}

static inline __attribute__((always_inline)) void add_points(const plx_taps *t, float *dplane, int count,
                                                             const float *dout, int points) {
    enum { MOST = 64 };
    _Alignas(64) float d[8][MOST];
    for (int p = 0; p < points; p += 8) {
        plx_transpose(dout + p, (count + 7) / 8 * 8, 8, PLX_TILE, d[0], MOST);
        for (int i = p; i < p + 8 && i < points; i++) {
            float *a = dplane + t->first[i], *b = a + t->down[i];
            ask_ahead(t, dplane, i);
            add_tap(a, count, t->weight[0][i], d[i - p]);
            add_tap(a + t->right[i], count, t->weight[1][i], d[i - p]);
            add_tap(b, count, t->weight[2][i], d[i - p]);
            add_tap(b + t->right[i], count, t->weight[3][i], d[i - p]);
        }
    }
}

void plx_taps_add(const plx_taps *t, float *dplane, int begin, int count, const float *dout, int points) {
    if (count == 6) /* the guidance: known to the compiler */
        add_points(t, dplane + begin, 6, dout, points);
    else
        add_points(t, dplane + begin, count, dout, points);
}
