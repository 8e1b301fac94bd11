/* Group norm, scale-shift and SiLU in two passes, by blocks of 64 pixels of a sample.
 *
 * With A = rstd gamma (1 + scale) and B = (beta - mean rstd gamma)(1 + scale) + shift, for each sample and channel:
 *   forward: u = A x + B, y = silu(u).
 * Backward, du = dy silu'(u), and with S1 = sum_p du, S2 = sum_p du xhat for each sample and channel:
 *   dshift = S1, dscale = gamma S2 + beta S1, dgamma = sum_n (1 + scale) S2, dbeta = sum_n (1 + scale) S1,
 *   dx = rstd (g du - mean(g du) - xhat mean(g du xhat)), g = gamma (1 + scale), means over the group.
 * A block's sums are in float (64 terms), all others in double; blocks are added in order. */
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/kernels_cpu.h"
#include "nerf/tensor/scratch.h"
#include "nerf/tensor/simd.h"

#include <math.h>

typedef plx_vector vector;

enum { PIXELS = 64, TOGETHER = 4 }; /* of a block; normalised side by side */

typedef struct norm_work {
    int blocks;    /* of a sample */
    size_t stride; /* channels, padded to whole vectors */
    float *first,
        *second; /* (N, blocks, stride): of each block its means and squared deviations, or S1 and S2 */
    float *a, *b, *c, *d; /* (N, stride): coefficients */
} norm_work;

static norm_work begin_work(plx_norm_size s) {
    norm_work k = {.blocks = (s.P + PIXELS - 1) / PIXELS,
                   .stride = ((size_t)s.C + (PLX_LANES - 1)) / PLX_LANES * PLX_LANES};
    const size_t sums = (size_t)s.N * (size_t)k.blocks * k.stride, coefficients = (size_t)s.N * k.stride;
    k.first = plx_scratch(PLX_SCRATCH_CALL, 2 * sums + 4 * coefficients);
    k.second = k.first + sums;
    k.a = k.second + sums;
    k.b = k.a + coefficients;
    k.c = k.b + coefficients;
    k.d = k.c + coefficients;
    return k;
}

static inline vector load_some(const float *p, int count) {
    if (count >= PLX_LANES) return plx_load(p);
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}

static inline void store_some(float *p, vector v, int count) {
    if (count >= PLX_LANES)
        plx_store(p, v);
    else
        memcpy(p, &v, (size_t)count * sizeof(float));
}

static inline int block_end(plx_norm_size s, int block) {
    return PIXELS * (block + 1) < s.P ? PIXELS * (block + 1) : s.P;
}

/* A block's mean and sum of squared deviations, channel by channel. */
static void block_statistics(plx_norm_size s, const norm_work *k, const float *x, int n, int block) {
    const int begin = PIXELS * block, end = block_end(s, block);
    const size_t at = ((size_t)n * (size_t)k->blocks + (size_t)block) * k->stride;
    for (int c = 0; c < s.C; c += PLX_LANES) {
        const float *in = x + (size_t)n * s.P * s.C + c;
        vector sum = {0}, squares = {0};
        for (int p = begin; p < end; p++) sum += load_some(in + (size_t)p * s.C, s.C - c);
        const vector mean = sum * (1.0f / (float)(end - begin));
        for (int p = begin; p < end; p++) {
            const vector d = load_some(in + (size_t)p * s.C, s.C - c) - mean;
            squares += d * d;
        }
        plx_store(k->first + at + c, mean);
        plx_store(k->second + at + c, squares);
    }
}

/* A group's mean and rstd from its blocks' and channels' (Chan, Golub & LeVeque 1979). */
static void group_statistics(plx_norm_size s, const norm_work *k, int n, int g, float *mean_rstd) {
    const int D = s.C / s.groups;
    double mean = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int block = 0; block < k->blocks; block++) {
            const size_t at = ((size_t)n * (size_t)k->blocks + (size_t)block) * k->stride;
            const double count = block_end(s, block) - PIXELS * block;
            for (int c = g * D; c < (g + 1) * D; c++) {
                const double m = k->first[at + c];
                if (pass == 0)
                    mean += count * m / ((double)s.P * D);
                else
                    squares += k->second[at + c] + count * (m - mean) * (m - mean);
            }
        }
    mean_rstd[2 * (n * s.groups + g)] = (float)mean;
    mean_rstd[2 * (n * s.groups + g) + 1] = (float)(1 / sqrt(squares / ((double)s.P * D) + 1e-5));
}

/* a = A, b = B, c = mean, d = rstd of every channel of sample n. */
static void channel_coefficients(plx_norm_size s, const norm_work *k, int n, const float *gamma,
                                 const float *beta, const float *scale_shift, const float *mean_rstd) {
    for (int c = 0; c < s.C; c++) {
        const float *group = mean_rstd + 2 * (n * s.groups + c / (s.C / s.groups));
        const double scale = scale_shift ? scale_shift[(size_t)n * 2 * s.C + c] : 0;
        const double shift = scale_shift ? scale_shift[(size_t)n * 2 * s.C + s.C + c] : 0;
        const double factor = (double)group[1] * gamma[c];
        const size_t at = (size_t)n * k->stride + c;
        k->a[at] = (float)(factor * (1 + scale));
        k->b[at] = (float)((beta[c] - group[0] * factor) * (1 + scale) + shift);
        k->c[at] = group[0];
        k->d[at] = group[1];
    }
    for (size_t at = (size_t)n * k->stride + s.C; at < (size_t)(n + 1) * k->stride; at++)
        k->a[at] = k->b[at] = k->c[at] = k->d[at] = 0;
}

/* Some pixels' vectors at channel c: their exponentials overlap (simd.h). */
static inline __attribute__((always_inline)) void normalise(plx_norm_size s, const float *x, float *y, int n,
                                                            int p, int count, int c, vector a, vector b) {
    const size_t at = ((size_t)n * s.P + p) * s.C + c;
    vector u[TOGETHER], q[TOGETHER];
    for (int i = 0; i < count; i++) u[i] = q[i] = a * load_some(x + at + (size_t)i * s.C, s.C - c) + b;
    if (s.silu) plx_sigmoids(q, count);
    for (int i = 0; i < count; i++)
        store_some(y + at + (size_t)i * s.C, s.silu ? u[i] * q[i] : u[i], s.C - c);
}

static void norm_fwd(plx_norm_size s, const float *x, const float *gamma, const float *beta,
                     const float *scale_shift, float *mean_rstd, float *y) {
    const norm_work k = begin_work(s);
#pragma omp parallel
    {
        plx_flush_denormals();
        if (!s.known) {
#pragma omp for collapse(2) schedule(static)
            for (int n = 0; n < s.N; n++)
                for (int block = 0; block < k.blocks; block++) block_statistics(s, &k, x, n, block);
        }
#pragma omp for schedule(static)
        for (int n = 0; n < s.N; n++) {
            for (int g = 0; g < s.groups && !s.known; g++) group_statistics(s, &k, n, g, mean_rstd);
            channel_coefficients(s, &k, n, gamma, beta, scale_shift, mean_rstd);
        }
#pragma omp for collapse(2) schedule(static)
        for (int n = 0; n < s.N; n++)
            for (int block = 0; block < k.blocks; block++)
                for (int c = 0; c < s.C; c += PLX_LANES) {
                    const vector a = plx_load(k.a + (size_t)n * k.stride + c);
                    const vector b = plx_load(k.b + (size_t)n * k.stride + c);
                    const int end = block_end(s, block);
                    int p = PIXELS * block;
                    for (; p + TOGETHER <= end; p += TOGETHER) normalise(s, x, y, n, p, TOGETHER, c, a, b);
                    for (; p < end; p++) normalise(s, x, y, n, p, 1, c, a, b);
                }
    }
}

/* dL/du from dL/dy */
static inline vector through_silu(bool silu, vector dy, vector u) {
    if (!silu) return dy;
    const vector q = plx_sigmoid(u);
    return dy * q * (1 + u * (1 - q));
}

/* A block's S1 and S2. */
static void block_sums(plx_norm_size s, const norm_work *k, const float *x, const float *dy, int n,
                       int block) {
    const size_t to = ((size_t)n * (size_t)k->blocks + (size_t)block) * k->stride;
    for (int c = 0; c < s.C; c += PLX_LANES) {
        const size_t channel = (size_t)n * k->stride + c;
        const vector a = plx_load(k->a + channel), b = plx_load(k->b + channel);
        const vector mean = plx_load(k->c + channel), rstd = plx_load(k->d + channel);
        vector s1 = {0}, s2 = {0};
        for (int p = PIXELS * block; p < block_end(s, block); p++) {
            const size_t at = ((size_t)n * s.P + p) * s.C + c;
            const vector in = load_some(x + at, s.C - c);
            const vector du = through_silu(s.silu, load_some(dy + at, s.C - c), a * in + b);
            s1 += du;
            s2 += du * (in - mean);
        }
        plx_store(k->first + to + c, s1);
        plx_store(k->second + to + c, s2 * rstd);
    }
}

/* Adds the blocks' sums into the first block's, in order and in double, and gives dscale and dshift. */
static void sample_sums(plx_norm_size s, const norm_work *k, int n, const float *gamma, const float *beta,
                        float *dscale_shift) {
    float *first = k->first + (size_t)n * (size_t)k->blocks * k->stride;
    float *second = k->second + (size_t)n * (size_t)k->blocks * k->stride;
    for (int c = 0; c < s.C; c++) {
        double s1 = 0, s2 = 0;
        for (int block = 0; block < k->blocks; block++) {
            s1 += first[(size_t)block * k->stride + c];
            s2 += second[(size_t)block * k->stride + c];
        }
        first[c] = (float)s1;
        second[c] = (float)s2;
        if (!dscale_shift) continue;
        dscale_shift[(size_t)n * 2 * s.C + c] += (float)(gamma[c] * s2 + beta[c] * s1);
        dscale_shift[(size_t)n * 2 * s.C + s.C + c] += (float)s1;
    }
}

/* dx = c du + d x + e, with e in the second block of sums' place: first[] of the sample is no longer needed. */
static void input_coefficients(plx_norm_size s, const norm_work *k, int n, const float *gamma,
                               const float *scale_shift, const float *mean_rstd) {
    const int D = s.C / s.groups;
    float *first = k->first + (size_t)n * (size_t)k->blocks * k->stride;
    const float *second = k->second + (size_t)n * (size_t)k->blocks * k->stride;
    for (int g = 0; g < s.groups; g++) {
        const double mean = mean_rstd[2 * (n * s.groups + g)], rstd = mean_rstd[2 * (n * s.groups + g) + 1];
        double m1 = 0, m2 = 0;
        for (int c = g * D; c < (g + 1) * D; c++) {
            const double factor = gamma[c] * (1.0 + (scale_shift ? scale_shift[(size_t)n * 2 * s.C + c] : 0));
            m1 += factor * first[c] / ((double)s.P * D);
            m2 += factor * second[c] / ((double)s.P * D);
        }
        for (int c = g * D; c < (g + 1) * D; c++) {
            k->c[(size_t)n * k->stride + c] = k->a[(size_t)n * k->stride + c]; /* rstd g */
            k->d[(size_t)n * k->stride + c] = (float)(-rstd * rstd * m2);
            first[c] = (float)(-rstd * m1 + mean * rstd * rstd * m2);
        }
    }
}

/* In the order of samples: needs every sample's S1 and S2. */
static void add_parameter_gradients(plx_norm_size s, const norm_work *k, const float *scale_shift,
                                    float *dgamma, float *dbeta) {
    for (int c = 0; c < s.C; c++) {
        double g = 0, b = 0;
        for (int n = 0; n < s.N; n++) {
            const size_t at = (size_t)n * (size_t)k->blocks * k->stride + c;
            const double factor = 1.0 + (scale_shift ? scale_shift[(size_t)n * 2 * s.C + c] : 0);
            g += factor * k->second[at];
            b += factor * k->first[at];
        }
        if (dgamma) dgamma[c] += (float)g;
        if (dbeta) dbeta[c] += (float)b;
    }
}

static void add_input_gradients(plx_norm_size s, const norm_work *k, const float *x, const float *dy, int n,
                                int block, float *dx) {
    for (int c = 0; c < s.C; c += PLX_LANES) {
        const size_t channel = (size_t)n * k->stride + c;
        const vector a = plx_load(k->a + channel), b = plx_load(k->b + channel);
        const vector slope = plx_load(k->c + channel), tilt = plx_load(k->d + channel);
        const vector offset = plx_load(k->first + (size_t)n * (size_t)k->blocks * k->stride + c);
        for (int p = PIXELS * block; p < block_end(s, block); p++) {
            const size_t at = ((size_t)n * s.P + p) * s.C + c;
            const vector in = load_some(x + at, s.C - c);
            const vector du = through_silu(s.silu, load_some(dy + at, s.C - c), a * in + b);
            store_some(dx + at, load_some(dx + at, s.C - c) + (slope * du + (tilt * in + offset)), s.C - c);
        }
    }
}

static void norm_bwd(plx_norm_size s, const float *x, const float *gamma, const float *beta,
                     const float *scale_shift, const float *mean_rstd, const float *dy, float *dx,
                     float *dgamma, float *dbeta, float *dscale_shift) {
    const norm_work k = begin_work(s);
#pragma omp parallel
    {
        plx_flush_denormals();
#pragma omp for schedule(static)
        for (int n = 0; n < s.N; n++) channel_coefficients(s, &k, n, gamma, beta, scale_shift, mean_rstd);
#pragma omp for collapse(2) schedule(static)
        for (int n = 0; n < s.N; n++)
            for (int block = 0; block < k.blocks; block++) block_sums(s, &k, x, dy, n, block);
#pragma omp for schedule(static)
        for (int n = 0; n < s.N; n++) sample_sums(s, &k, n, gamma, beta, dscale_shift);
#pragma omp single
        add_parameter_gradients(s, &k, scale_shift, dgamma, dbeta);
        if (dx) {
#pragma omp for schedule(static)
            for (int n = 0; n < s.N; n++) input_coefficients(s, &k, n, gamma, scale_shift, mean_rstd);
#pragma omp for collapse(2) schedule(static)
            for (int n = 0; n < s.N; n++)
                for (int block = 0; block < k.blocks; block++)
                    add_input_gradients(s, &k, x, dy, n, block, dx);
        }
    }
}

void plx_kernels_cpu_norm(plx_kernels *table) {
    table->norm_fwd = norm_fwd;
    table->norm_bwd = norm_bwd;
}
