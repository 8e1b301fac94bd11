/* The table `cpu`: element by element and moves, and the other files' kernels. Small arrays stay in one thread. */
#include "nerf/tensor/kernels_cpu.h"
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/simd.h"

#include <string.h>

typedef plx_vector vector;

enum { SPAN = 4096, ALONE = 32768 }; /* elements of a part; up to which no threads are woken */

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline vector load_some(const float *p, size_t count) {
    if (count >= PLX_LANES) return plx_load(p);
    vector v = {0};
    memcpy(&v, p, count * sizeof(float));
    return v;
}

static inline void store_some(float *p, vector v, size_t count) {
    if (count >= PLX_LANES)
        plx_store(p, v);
    else
        memcpy(p, &v, count * sizeof(float));
}

static void silu_fwd(size_t n, const float *x, float *y) {
#pragma omp parallel for schedule(static) if (n > ALONE)
    for (size_t span = 0; span < n; span += SPAN) {
        plx_flush_denormals();
        for (size_t i = span; i < least(span + SPAN, n); i += PLX_LANES) {
            const size_t left = n - i;
            const vector in = load_some(x + i, left);
            store_some(y + i, in * plx_sigmoid(in), left);
        }
    }
}

static void silu_bwd(size_t n, const float *x, const float *dy, float *dx) {
#pragma omp parallel for schedule(static) if (n > ALONE)
    for (size_t span = 0; span < n; span += SPAN) {
        plx_flush_denormals();
        for (size_t i = span; i < least(span + SPAN, n); i += PLX_LANES) {
            const size_t left = n - i;
            const vector in = load_some(x + i, left);
            const vector s = plx_sigmoid(in);
            store_some(dx + i, load_some(dx + i, left) + load_some(dy + i, left) * s * (1 + in * (1 - s)),
                       left);
        }
    }
}

static void sigmoid_fwd(size_t n, const float *x, float *y) {
#pragma omp parallel for schedule(static) if (n > ALONE)
    for (size_t span = 0; span < n; span += SPAN) {
        plx_flush_denormals();
        for (size_t i = span; i < least(span + SPAN, n); i += PLX_LANES) {
            const size_t left = n - i;
            store_some(y + i, plx_sigmoid(load_some(x + i, left)), left);
        }
    }
}

static void sigmoid_bwd(size_t n, const float *y, const float *dy, float *dx) {
#pragma omp parallel for schedule(static) if (n > ALONE)
    for (size_t span = 0; span < n; span += SPAN) {
        plx_flush_denormals();
        for (size_t i = span; i < least(span + SPAN, n); i += PLX_LANES) {
            const size_t left = n - i;
            const vector out = load_some(y + i, left);
            store_some(dx + i, load_some(dx + i, left) + load_some(dy + i, left) * out * (1 - out), left);
        }
    }
}

static void axpy(size_t n, float a, const float *x, float *y) {
#pragma omp parallel for schedule(static) if (n > ALONE)
    for (size_t span = 0; span < n; span += SPAN) {
        plx_flush_denormals();
        for (size_t i = span; i < least(span + SPAN, n); i += PLX_LANES) {
            const size_t left = n - i;
            store_some(y + i, load_some(y + i, left) + a * load_some(x + i, left), left);
        }
    }
}

/* ---- moves: runs of floats that lie side by side ------------------------------------------------------------ */

static inline void copy(float *restrict to, const float *restrict from, size_t count) {
    memcpy(to, from, count * sizeof *to);
}

static inline void add(float *restrict to, const float *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += from[i];
}

static void concat_fwd(size_t M, int A, int B, const float *a, const float *b, float *y) {
    const size_t p = (size_t)A, q = (size_t)B;
#pragma omp parallel for schedule(static) if (M * (p + q) > ALONE)
    for (size_t m = 0; m < M; m++) {
        plx_flush_denormals();
        copy(y + m * (p + q), a + m * p, p);
        copy(y + m * (p + q) + p, b + m * q, q);
    }
}

static void concat_bwd(size_t M, int A, int B, const float *dy, float *da, float *db) {
    const size_t p = (size_t)A, q = (size_t)B;
#pragma omp parallel for schedule(static) if (M * (p + q) > ALONE)
    for (size_t m = 0; m < M; m++) {
        plx_flush_denormals();
        if (da) add(da + m * p, dy + m * (p + q), p);
        if (db) add(db + m * q, dy + m * (p + q) + p, q);
    }
}

static void slice_fwd(size_t M, int C, int begin, int end, const float *x, float *y) {
    const size_t width = (size_t)(end - begin);
#pragma omp parallel for schedule(static) if (M * (width) > ALONE)
    for (size_t m = 0; m < M; m++) {
        plx_flush_denormals();
        copy(y + m * width, x + m * (size_t)C + begin, width);
    }
}

static void slice_bwd(size_t M, int C, int begin, int end, const float *dy, float *dx) {
    const size_t width = (size_t)(end - begin);
#pragma omp parallel for schedule(static) if (M * (width) > ALONE)
    for (size_t m = 0; m < M; m++) {
        plx_flush_denormals();
        add(dx + m * (size_t)C + begin, dy + m * width, width);
    }
}

/* In the rest, N H W C is the size of x; a row is (n,h) of x or y. */

static void swap_hw_fwd(int N, int H, int W, int C, const float *x, float *y) {
    const size_t h = (size_t)H, w = (size_t)W, c = (size_t)C;
#pragma omp parallel for schedule(static) if ((size_t)N * h * (w * c) > ALONE)
    for (size_t m = 0; m < (size_t)N * h; m++) {
        plx_flush_denormals();
        const size_t n = m / h, row = m % h;
        for (size_t k = 0; k < w; k++) copy(y + ((n * w + k) * h + row) * c, x + (m * w + k) * c, c);
    }
}

static void swap_hw_bwd(int N, int H, int W, int C, const float *dy, float *dx) {
    const size_t h = (size_t)H, w = (size_t)W, c = (size_t)C;
#pragma omp parallel for schedule(static) if ((size_t)N * h * (w * c) > ALONE)
    for (size_t m = 0; m < (size_t)N * h; m++) {
        plx_flush_denormals();
        const size_t n = m / h, row = m % h;
        for (size_t k = 0; k < w; k++) add(dx + (m * w + k) * c, dy + ((n * w + k) * h + row) * c, c);
    }
}

static void upsample2_fwd(int N, int H, int W, int C, const float *x, float *y) {
    const size_t w = (size_t)W, c = (size_t)C;
#pragma omp parallel for schedule(static) if ((size_t)N * 2 * (size_t)H * (2 * w * c) > ALONE)
    for (size_t m = 0; m < (size_t)N * 2 * (size_t)H; m++) {
        plx_flush_denormals();
        for (size_t k = 0; k < 2 * w; k++) copy(y + (m * 2 * w + k) * c, x + (m / 2 * w + k / 2) * c, c);
    }
}

static void upsample2_bwd(int N, int H, int W, int C, const float *dy, float *dx) {
    const size_t w = (size_t)W, c = (size_t)C;
#pragma omp parallel for schedule(static) if ((size_t)N * (size_t)H * (4 * w * c) > ALONE)
    for (size_t m = 0; m < (size_t)N * (size_t)H; m++) {
        plx_flush_denormals();
        for (size_t k = 0; k < w; k++) {
            const float *top = dy + (2 * m * 2 * w + 2 * k) * c;
            const float *bottom = top + 2 * w * c;
            float *to = dx + (m * w + k) * c;
            for (size_t j = 0; j < c; j++) to[j] += (top[j] + top[c + j]) + (bottom[j] + bottom[c + j]);
        }
    }
}

static void pool_fwd(int N, int H, int W, int C, int kh, int kw, const float *x, float *y) {
    const size_t w = (size_t)W, c = (size_t)C, rows = (size_t)kh, columns = (size_t)kw;
    const float share = 1 / ((float)kh * (float)kw);
#pragma omp parallel for schedule(static) if ((size_t)(N * (H / kh)) * (rows * w * c) > ALONE)
    for (size_t m = 0; m < (size_t)(N * (H / kh)); m++) {
        plx_flush_denormals();
        for (size_t k = 0; k < w / columns; k++) {
            float *to = y + (m * (w / columns) + k) * c;
            memset(to, 0, c * sizeof *to);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++)
                    add(to, x + ((m * rows + i) * w + k * columns + j) * c, c);
            for (size_t j = 0; j < c; j++) to[j] *= share;
        }
    }
}

static void pool_bwd(int N, int H, int W, int C, int kh, int kw, const float *dy, float *dx) {
    const size_t w = (size_t)W, c = (size_t)C, columns = (size_t)kw;
    const float share = 1 / ((float)kh * (float)kw);
#pragma omp parallel for schedule(static) if ((size_t)N * (size_t)H * (w * c) > ALONE)
    for (size_t m = 0; m < (size_t)N * (size_t)H; m++) {
        plx_flush_denormals();
        for (size_t k = 0; k < w; k++) {
            const float *from = dy + (m / (size_t)kh * (w / columns) + k / columns) * c;
            float *to = dx + (m * w + k) * c;
            for (size_t j = 0; j < c; j++) to[j] += share * from[j];
        }
    }
}

/* Image (H,W,C) and depth (H/r,W/r,r*r*C): the r pixels of row h, block k lie side by side in the image, and as part
 * h % r of the block's channels in the depth. */
typedef struct shuffle {
    size_t rows, blocks, r, run; /* image rows of all samples, blocks of a row, r C floats */
} shuffle;

static inline shuffle shuffle_of(int N, int H, int W, int C, int r) {
    return (shuffle){(size_t)N * (size_t)H, (size_t)(W / r), (size_t)r, (size_t)r * (size_t)C};
}

static inline size_t in_image(shuffle s, size_t row, size_t block) {
    return (row * s.blocks + block) * s.run;
}
static inline size_t in_depth(shuffle s, size_t row, size_t block) {
    return ((row / s.r * s.blocks + block) * s.r + row % s.r) * s.run;
}

static void move(shuffle s, bool to_depth, bool adds, const float *from, float *to) {
#pragma omp parallel for schedule(static) if (s.rows * s.blocks * s.run > ALONE)
    for (size_t m = 0; m < s.rows; m++) {
        plx_flush_denormals();
        for (size_t k = 0; k < s.blocks; k++) {
            const size_t image = in_image(s, m, k), depth = in_depth(s, m, k);
            (adds ? add : copy)(to + (to_depth ? depth : image), from + (to_depth ? image : depth), s.run);
        }
    }
}

static void space_to_depth_fwd(int N, int H, int W, int C, int r, const float *x, float *y) {
    move(shuffle_of(N, H, W, C, r), true, false, x, y);
}
static void space_to_depth_bwd(int N, int H, int W, int C, int r, const float *dy, float *dx) {
    move(shuffle_of(N, H, W, C, r), false, true, dy, dx);
}
static void depth_to_space_fwd(int N, int H, int W, int C, int r, const float *x, float *y) {
    move(shuffle_of(N, H * r, W * r, C / (r * r), r), false, false, x, y);
}
static void depth_to_space_bwd(int N, int H, int W, int C, int r, const float *dy, float *dx) {
    move(shuffle_of(N, H * r, W * r, C / (r * r), r), true, true, dy, dx);
}

void plx_kernels_cpu(plx_kernels *table) {
    table->silu_fwd = silu_fwd;
    table->silu_bwd = silu_bwd;
    table->sigmoid_fwd = sigmoid_fwd;
    table->sigmoid_bwd = sigmoid_bwd;
    table->axpy = axpy;
    table->concat_fwd = concat_fwd;
    table->concat_bwd = concat_bwd;
    table->slice_fwd = slice_fwd;
    table->slice_bwd = slice_bwd;
    table->swap_hw_fwd = swap_hw_fwd;
    table->swap_hw_bwd = swap_hw_bwd;
    table->upsample2_fwd = upsample2_fwd;
    table->upsample2_bwd = upsample2_bwd;
    table->pool_fwd = pool_fwd;
    table->pool_bwd = pool_bwd;
    table->space_to_depth_fwd = space_to_depth_fwd;
    table->space_to_depth_bwd = space_to_depth_bwd;
    table->depth_to_space_fwd = depth_to_space_fwd;
    table->depth_to_space_bwd = depth_to_space_bwd;
    plx_kernels_cpu_norm(table);
    plx_kernels_cpu_attention(table);
}
