/* Attention by blocks of queries and keys; the matrix of scores is never whole (Dao et al. 2022, alg. 1 and 4). */
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/gemm.h"
#include "nerf/tensor/kernels_cpu.h"
#include "nerf/tensor/scratch.h"
#include "nerf/tensor/simd.h"

#include <math.h>

typedef plx_vector vector;

enum { QUERIES = 64, KEYS = 128 }; /* of a block */

/* One head of one sample: rows are `step` floats apart. */
typedef struct head {
    int Q, K, d;
    size_t step;
    float scale;
    const float *q, *k, *v;
    float *lse;
} head;

static head head_at(plx_attention_size s, int n, int h, const float *q, const float *k, const float *v,
                    const float *lse) {
    const size_t C = (size_t)s.heads * (size_t)s.d, skip = (size_t)h * (size_t)s.d;
    return (head){.Q = s.Q,
                  .K = s.K,
                  .d = s.d,
                  .step = C,
                  .scale = (float)(1 / sqrt((double)s.d)),
                  .q = q + (size_t)n * (size_t)s.Q * C + skip,
                  .k = k + (size_t)n * (size_t)s.K * C + skip,
                  .v = v + (size_t)n * (size_t)s.K * C + skip,
                  .lse = (float *)lse + ((size_t)n * (size_t)s.heads + (size_t)h) * (size_t)s.Q};
}

static int least(int a, int b) {
    return a < b ? a : b;
}

static float sum_of(vector v) {
    float sum = 0;
    for (int i = 0; i < PLX_LANES; i++) sum += v[i];
    return sum;
}

static float most_of(vector v) {
    float most = v[0];
    for (int i = 1; i < PLX_LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
}

/* row[0..count) = e^(scale row - top); its sum. The row has room for whole vectors; what is behind becomes 0. */
static float exponentials(float *row, int count, float scale, float top) {
    vector sum = {0};
    for (int j = 0; j < count; j += PLX_LANES) {
        vector e = plx_exp(scale * plx_load(row + j) - top);
        for (int i = count - j; i < PLX_LANES; i++) e[i] = 0;
        plx_store(row + j, e);
        sum += e;
    }
    return sum_of(sum);
}

/* The largest of scale row. */
static float largest(float *row, int count, float scale) {
    for (int j = count; j % PLX_LANES != 0; j++) row[j] = row[0];
    vector most = plx_load(row);
    for (int j = PLX_LANES; j < count; j += PLX_LANES) most = plx_max(most, plx_load(row + j));
    return scale * most_of(most);
}

/* A block of queries against all keys: running maximum and sum, output rescaled when the maximum rises. */
static void forward_block(const head *h, int begin, float *y) {
    const int rows = least(QUERIES, h->Q - begin);
    const size_t d = (size_t)h->d;
    float *scores = plx_scratch(PLX_SCRATCH_WORKER, QUERIES * (KEYS + d)), *out = scores + QUERIES * KEYS;
    float top[QUERIES], sum[QUERIES];
    for (int first = 0; first < h->K; first += KEYS) {
        const int keys = least(KEYS, h->K - first);
        plx_gemm(false, true, (size_t)rows, (size_t)keys, d, h->q + (size_t)begin * h->step, h->step,
                 h->k + (size_t)first * h->step, h->step, 0, scores, KEYS);
        for (int i = 0; i < rows; i++) {
            float *row = scores + (size_t)i * KEYS, *o = out + (size_t)i * d;
            const float most = largest(row, keys, h->scale), risen = first && top[i] > most ? top[i] : most;
            const float keep = first ? expf(top[i] - risen) : 0;
            top[i] = risen;
            sum[i] = (first ? keep * sum[i] : 0) + exponentials(row, keys, h->scale, risen);
            for (size_t c = 0; first && c < d; c++) o[c] *= keep;
        }
        plx_gemm(false, false, (size_t)rows, d, (size_t)keys, scores, KEYS, h->v + (size_t)first * h->step,
                 h->step, first > 0, out, d);
    }
    for (int i = 0; i < rows; i++) {
        const float factor = 1 / sum[i];
        for (size_t c = 0; c < d; c++) y[(size_t)i * h->step + c] = factor * out[(size_t)i * d + c];
        h->lse[begin + i] = top[i] + logf(sum[i]);
    }
}

static void attention_fwd(plx_attention_size s, const float *q, const float *k, const float *v, float *lse,
                          float *y) {
#pragma omp parallel for collapse(3) schedule(static)
    for (int n = 0; n < s.N; n++)
        for (int h = 0; h < s.heads; h++)
            for (int begin = 0; begin < s.Q; begin += QUERIES) {
                plx_flush_denormals();
                const head one = head_at(s, n, h, q, k, v, lse);
                forward_block(&one, begin,
                              y + ((size_t)n * s.Q + begin) * one.step + (size_t)h * (size_t)s.d);
            }
}

/* Gradients of one head, and the outputs they come from; rows `step` apart, as in head. */
typedef struct head_gradients {
    const float *y, *dy;
    float *dq, *dk, *dv;
} head_gradients;

/* P into `p`, dS into `ds` (both QUERIES x KEYS) for one block: the formula stands in op_attention.c. */
static void block_gradients(const head *h, const head_gradients *g, int begin, int rows, int first, int keys,
                            const float *drow, float *p, float *ds) {
    const float *q = h->q + (size_t)begin * h->step, *dy = g->dy + (size_t)begin * h->step;
    const size_t d = (size_t)h->d, at = (size_t)first * h->step;
    plx_gemm(false, true, (size_t)rows, (size_t)keys, d, q, h->step, h->k + at, h->step, 0, p, KEYS);
    plx_gemm(false, true, (size_t)rows, (size_t)keys, d, dy, h->step, h->v + at, h->step, 0, ds, KEYS);
    for (int i = 0; i < rows; i++) {
        float *pi = p + (size_t)i * KEYS, *dsi = ds + (size_t)i * KEYS;
        exponentials(pi, keys, h->scale, h->lse[begin + i]);
        for (int j = 0; j < keys; j++) dsi[j] = h->scale * pi[j] * (dsi[j] - drow[i]);
    }
}

static void backward_head(const head *h, const head_gradients *g) {
    const size_t d = (size_t)h->d, step = h->step;
    float *p = plx_scratch(PLX_SCRATCH_WORKER, 2 * QUERIES * KEYS), *ds = p + QUERIES * KEYS;
    for (int begin = 0; begin < h->Q; begin += QUERIES) {
        const int rows = least(QUERIES, h->Q - begin);
        const float *q = h->q + (size_t)begin * step, *dy = g->dy + (size_t)begin * step;
        float drow[QUERIES];
        for (int i = 0; i < rows; i++) {
            drow[i] = 0;
            for (size_t c = 0; c < d; c++)
                drow[i] += dy[(size_t)i * step + c] * g->y[(size_t)(begin + i) * step + c];
        }
        for (int first = 0; first < h->K; first += KEYS) {
            const int keys = least(KEYS, h->K - first);
            const size_t m = (size_t)rows, n = (size_t)keys, at = (size_t)first * step;
            block_gradients(h, g, begin, rows, first, keys, drow, p, ds);
            if (g->dv) plx_gemm(true, false, n, d, m, p, KEYS, dy, step, 1, g->dv + at, step);
            if (g->dq)
                plx_gemm(false, false, m, d, n, ds, KEYS, h->k + at, step, 1, g->dq + (size_t)begin * step,
                         step);
            if (g->dk) plx_gemm(true, false, n, d, m, ds, KEYS, q, step, 1, g->dk + at, step);
        }
    }
}

static void attention_bwd(plx_attention_size s, const float *q, const float *k, const float *v,
                          const float *lse, const float *y, const float *dy, float *dq, float *dk,
                          float *dv) {
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < s.N; n++)
        for (int h = 0; h < s.heads; h++) {
            plx_flush_denormals();
            const head one = head_at(s, n, h, q, k, v, lse);
            const size_t of_q = (size_t)(one.q - q), of_k = (size_t)(one.k - k);
            const head_gradients g = {y + of_q, dy + of_q, dq ? dq + of_q : NULL, dk ? dk + of_k : NULL,
                                      dv ? dv + of_k : NULL};
            backward_head(&one, &g);
        }
}

void plx_kernels_cpu_attention(plx_kernels *table) {
    table->attention_fwd = attention_fwd;
    table->attention_bwd = attention_bwd;
}
