/* The field's matrix products. A tile of points is kept number by number: row i of x holds input i of the tile's points
 * side by side, so that a vector holds one number of many points, weights are read where they stand, and whatever
 * follows a product is done in registers. */
#ifndef PLX_KERNELS_FIELD_PRODUCT_H
#define PLX_KERNELS_FIELD_PRODUCT_H

#include <stddef.h>

#include "nerf/tensor/simd.h"

/* How many rows, and vectors of outputs, a block keeps in registers. */
#ifdef __AVX512F__
enum { PLX_BLOCK_ROWS = 4, PLX_BLOCK_VECTORS = 4 };
#else
enum { PLX_BLOCK_ROWS = 4, PLX_BLOCK_VECTORS = 2 };
#endif

/* Element (r,k) is at[r row + k column]: a matrix, or its transpose. */
typedef struct plx_factor {
    const float *at;
    size_t row, column;
} plx_factor;

/* y (R,N) = w (R,K) x (K,N), N a multiple of 16; rows of x and y are N apart. */
typedef struct plx_product {
    int R, K, N;
    plx_factor w;
    const float *x;
    float *y;
    const float *bias; /* (R), for PLX_BIAS and PLX_BIAS_SILU */
    float *slope;      /* (R,N) */
} plx_product;

/* What y becomes, sum being the product. */
enum plx_product_kind {
    PLX_SUM,         /* sum */
    PLX_ADD,         /* y + sum */
    PLX_TIMES_SLOPE, /* sum * slope */
    PLX_BIAS,        /* bias + sum */
    PLX_BIAS_SILU, /* silu(bias + sum); slope, unless NULL, its derivative s (1 + a (1 - s)), s = sigmoid(a) */
};

#define PLX_INLINED static inline __attribute__((always_inline))

/* Rows r.., R of them, columns n.., V vectors of them. */
PLX_INLINED void plx_product_block(const plx_product *p, enum plx_product_kind kind, int R, int V, int r,
                                   int n) {
    const size_t N = (size_t)p->N, first = (size_t)r * N + (size_t)n;
    const float *x = p->x + n, *w = p->w.at + (size_t)r * p->w.row;
    plx_vector sum[PLX_BLOCK_ROWS][PLX_BLOCK_VECTORS];
    for (int i = 0; i < R; i++)
        for (int v = 0; v < V; v++)
            sum[i][v] = plx_splat(kind == PLX_BIAS || kind == PLX_BIAS_SILU ? p->bias[r + i] : 0);
    for (int k = 0; k < p->K; k++, x += N, w += p->w.column) {
        plx_vector xk[PLX_BLOCK_VECTORS];
        for (int v = 0; v < V; v++) {
            xk[v] = plx_load(x + v * PLX_LANES);
            PLX_KEEP(xk[v]);
        }
        for (int i = 0; i < R; i++)
            for (int v = 0; v < V; v++) sum[i][v] += w[(size_t)i * p->w.row] * xk[v];
    }
    for (int i = 0; i < R; i += 2) {
        plx_vector s[2 * PLX_BLOCK_VECTORS];
        const int rows = R - i < 2 ? R - i : 2;
        if (kind == PLX_BIAS_SILU) {
            for (int j = 0; j < rows * V; j++) s[j] = sum[i + j / V][j % V];
            plx_sigmoids(s, rows * V);
        }
        for (int j = 0; j < rows * V; j++) {
            const size_t at = first + (size_t)(i + j / V) * N + (size_t)(j % V) * PLX_LANES;
            plx_vector y = sum[i + j / V][j % V];
            if (kind == PLX_ADD) y += plx_load(p->y + at);
            if (kind == PLX_TIMES_SLOPE) y *= plx_load(p->slope + at);
            if (kind == PLX_BIAS_SILU) {
                y *= s[j];
                if (p->slope) plx_store(p->slope + at, s[j] + y * (1 - s[j]));
            }
            plx_store(p->y + at, y);
        }
    }
}

PLX_INLINED void plx_product_rows(const plx_product *p, enum plx_product_kind kind, int V, int n) {
    int r = 0;
    for (; r + PLX_BLOCK_ROWS <= p->R; r += PLX_BLOCK_ROWS)
        plx_product_block(p, kind, PLX_BLOCK_ROWS, V, r, n);
    for (; r < p->R; r++) plx_product_block(p, kind, 1, V, r, n);
}

PLX_INLINED void plx_product_run(enum plx_product_kind kind, plx_product p) {
    int n = 0;
    for (; n + PLX_BLOCK_VECTORS * PLX_LANES <= p.N; n += PLX_BLOCK_VECTORS * PLX_LANES)
        plx_product_rows(&p, kind, PLX_BLOCK_VECTORS, n);
    for (; n + 2 * PLX_LANES <= p.N; n += 2 * PLX_LANES) plx_product_rows(&p, kind, 2, n);
    for (; n < p.N; n += PLX_LANES) plx_product_rows(&p, kind, 1, n);
}

#endif
