/* The kernels in naive C: documentation and oracle. Sums are in double. */
#include "nerf/tensor/kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- convolution --------------------------------------------------------------------------------------- */

/* The input element under kernel element (ky, kx) of output pixel (oy, ox), or NULL in the padding. */
#define CONV_TAP(s, oy, ox, ky, kx, iy, ix)                                                         \
    const int iy = (oy) * (s).stride + (ky) - (s).K / 2, ix = (ox) * (s).stride + (kx) - (s).K / 2; \
    if (iy < 0 || iy >= (s).H || ix < 0 || ix >= (s).W) continue;

static size_t at4(int n, int h, int w, int c, int H, int W, int C) {
    return (((size_t)n * (size_t)H + (size_t)h) * (size_t)W + (size_t)w) * (size_t)C + (size_t)c;
}

/* y[n,oy,ox,o] = b[o] + sum_{ky,kx,i} x[n, oy stride + ky - K/2, ox stride + kx - K/2, i] w[o,ky,kx,i] */
static void conv_fwd(plx_conv_size s, const float *x, const float *w, const float *b, float *y) {
    const int OH = s.H / s.stride, OW = s.W / s.stride;
    for (int n = 0; n < s.N; n++)
        for (int oy = 0; oy < OH; oy++)
            for (int ox = 0; ox < OW; ox++)
                for (int o = 0; o < s.O; o++) {
                    double sum = b ? b[o] : 0;
                    for (int ky = 0; ky < s.K; ky++)
                        for (int kx = 0; kx < s.K; kx++) {
                            CONV_TAP(s, oy, ox, ky, kx, iy, ix)
                            for (int i = 0; i < s.I; i++)
                                sum += (double)x[at4(n, iy, ix, i, s.H, s.W, s.I)] *
                                       w[at4(o, ky, kx, i, s.K, s.K, s.I)];
                        }
                    y[at4(n, oy, ox, o, OH, OW, s.O)] = (float)sum;
                }
}

static void conv_bwd(plx_conv_size s, const float *x, const float *w, const float *dy, float *dx, float *dw,
                     float *db) {
    const int OH = s.H / s.stride, OW = s.W / s.stride;
    const size_t x_size = (size_t)s.N * (size_t)s.H * (size_t)s.W * (size_t)s.I;
    const size_t w_size = (size_t)s.O * (size_t)s.K * (size_t)s.K * (size_t)s.I;
    double *sums = calloc(x_size + w_size + (size_t)s.O, sizeof *sums);
    if (!sums) abort();
    double *x_sum = sums, *w_sum = sums + x_size, *b_sum = w_sum + w_size;
    for (int n = 0; n < s.N; n++)
        for (int oy = 0; oy < OH; oy++)
            for (int ox = 0; ox < OW; ox++)
                for (int o = 0; o < s.O; o++) {
                    const double g = dy[at4(n, oy, ox, o, OH, OW, s.O)];
                    b_sum[o] += g;
                    for (int ky = 0; ky < s.K; ky++)
                        for (int kx = 0; kx < s.K; kx++) {
                            CONV_TAP(s, oy, ox, ky, kx, iy, ix)
                            for (int i = 0; i < s.I; i++) {
                                const size_t xi = at4(n, iy, ix, i, s.H, s.W, s.I);
                                const size_t wi = at4(o, ky, kx, i, s.K, s.K, s.I);
                                x_sum[xi] += g * w[wi];
                                w_sum[wi] += g * x[xi];
                            }
                        }
                }
    for (size_t i = 0; dx && i < x_size; i++) dx[i] += (float)x_sum[i];
    for (size_t i = 0; dw && i < w_size; i++) dw[i] += (float)w_sum[i];
    for (int o = 0; db && o < s.O; o++) db[o] += (float)b_sum[o];
    free(sums);
}

/* ---- matrix products ----------------------------------------------------------------------------------- */

static void linear_fwd(size_t M, int I, int O, const float *x, const float *w, const float *b, float *y) {
    for (size_t m = 0; m < M; m++)
        for (int o = 0; o < O; o++) {
            double sum = b ? b[o] : 0;
            for (int i = 0; i < I; i++) sum += (double)x[m * (size_t)I + i] * w[(size_t)o * I + i];
            y[m * (size_t)O + o] = (float)sum;
        }
}

static void linear_bwd(size_t M, int I, int O, const float *x, const float *w, const float *dy, float *dx,
                       float *dw, float *db) {
    for (size_t m = 0; dx && m < M; m++)
        for (int i = 0; i < I; i++) {
            double sum = 0;
            for (int o = 0; o < O; o++) sum += (double)dy[m * (size_t)O + o] * w[(size_t)o * I + i];
            dx[m * (size_t)I + i] += (float)sum;
        }
    for (int o = 0; dw && o < O; o++)
        for (int i = 0; i < I; i++) {
            double sum = 0;
            for (size_t m = 0; m < M; m++) sum += (double)dy[m * (size_t)O + o] * x[m * (size_t)I + i];
            dw[(size_t)o * I + i] += (float)sum;
        }
    for (int o = 0; db && o < O; o++) {
        double sum = 0;
        for (size_t m = 0; m < M; m++) sum += dy[m * (size_t)O + o];
        db[o] += (float)sum;
    }
}

/* ---- group norm, scale-shift, SiLU (Wu & He 2018; eps 1e-5) -------------------------------------------- */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* Mean and 1 / standard deviation of one group, `in` its first value. */
static void group_statistics(plx_norm_size s, const float *in, float mean_rstd[2]) {
    const int D = s.C / s.groups;
    double sum = 0, squares = 0;
    for (int p = 0; p < s.P; p++)
        for (int c = 0; c < D; c++) sum += in[(size_t)p * s.C + c];
    const double mean = sum / ((double)s.P * D);
    for (int p = 0; p < s.P; p++)
        for (int c = 0; c < D; c++) {
            const double d = in[(size_t)p * s.C + c] - mean;
            squares += d * d;
        }
    mean_rstd[0] = (float)mean;
    mean_rstd[1] = (float)(1 / sqrt(squares / ((double)s.P * D) + 1e-5));
}

static void norm_fwd(plx_norm_size s, const float *x, const float *gamma, const float *beta,
                     const float *scale_shift, float *mean_rstd, float *y) {
    const int D = s.C / s.groups; /* channels of a group */
    for (int n = 0; n < s.N; n++)
        for (int g = 0; g < s.groups; g++) {
            const float *in = x + (size_t)n * s.P * s.C + (size_t)g * D;
            float *saved = mean_rstd + 2 * ((size_t)n * s.groups + g);
            if (!s.known) group_statistics(s, in, saved);
            for (int p = 0; p < s.P; p++)
                for (int c = 0; c < D; c++) {
                    const int channel = g * D + c;
                    const double xhat = ((double)in[(size_t)p * s.C + c] - saved[0]) * saved[1];
                    double u = xhat * gamma[channel] + beta[channel];
                    if (scale_shift) {
                        const float *row = scale_shift + (size_t)n * 2 * s.C;
                        u = u * (1 + row[channel]) + row[s.C + channel];
                    }
                    y[((size_t)n * s.P + p) * s.C + channel] = (float)(s.silu ? u * sigmoid(u) : u);
                }
        }
}

static void norm_bwd(plx_norm_size s, const float *x, const float *gamma, const float *beta,
                     const float *scale_shift, const float *mean_rstd, const float *dy, float *dx,
                     float *dgamma, float *dbeta, float *dscale_shift) {
    const int D = s.C / s.groups;
    double *sums = calloc((size_t)s.C * 2, sizeof *sums);
    double *dhat = malloc((size_t)s.P * D * sizeof *dhat);
    if (!sums || !dhat) abort();
    for (int n = 0; n < s.N; n++)
        for (int g = 0; g < s.groups; g++) {
            const double mean = mean_rstd[2 * ((size_t)n * s.groups + g)];
            const double rstd = mean_rstd[2 * ((size_t)n * s.groups + g) + 1];
            double mean_dhat = 0,
                   mean_dhat_hat = 0; /* means over the group of dL/dxhat and of dL/dxhat xhat */
            for (int c = 0; c < D; c++) {
                const int k = g * D + c;
                const double scale = scale_shift ? scale_shift[(size_t)n * 2 * s.C + k] : 0;
                const double shift = scale_shift ? scale_shift[(size_t)n * 2 * s.C + s.C + k] : 0;
                double dscale = 0, dshift = 0;
                for (int p = 0; p < s.P; p++) {
                    const size_t i = ((size_t)n * s.P + p) * s.C + k;
                    const double hat = (x[i] - mean) * rstd, v = hat * gamma[k] + beta[k];
                    const double u = v * (1 + scale) + shift, q = sigmoid(u);
                    const double du = s.silu ? dy[i] * q * (1 + u * (1 - q)) : dy[i], dv = du * (1 + scale);
                    dscale += du * v;
                    dshift += du;
                    sums[k] += dv * hat;
                    sums[s.C + k] += dv;
                    dhat[(size_t)p * D + c] = dv * gamma[k];
                    mean_dhat += dv * gamma[k];
                    mean_dhat_hat += dv * gamma[k] * hat;
                }
                if (dscale_shift) {
                    dscale_shift[(size_t)n * 2 * s.C + k] += (float)dscale;
                    dscale_shift[(size_t)n * 2 * s.C + s.C + k] += (float)dshift;
                }
            }
            mean_dhat /= (double)s.P * D;
            mean_dhat_hat /= (double)s.P * D;
            for (int p = 0; dx && p < s.P; p++)
                for (int c = 0; c < D; c++) {
                    const size_t i = ((size_t)n * s.P + p) * s.C + g * D + c;
                    const double hat = (x[i] - mean) * rstd;
                    dx[i] += (float)(rstd * (dhat[(size_t)p * D + c] - mean_dhat - hat * mean_dhat_hat));
                }
        }
    for (int k = 0; dgamma && k < s.C; k++) dgamma[k] += (float)sums[k];
    for (int k = 0; dbeta && k < s.C; k++) dbeta[k] += (float)sums[s.C + k];
    free(sums);
    free(dhat);
}

/* ---- element by element -------------------------------------------------------------------------------- */

static void silu_fwd(size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i++) y[i] = (float)(x[i] * sigmoid(x[i]));
}

static void silu_bwd(size_t n, const float *x, const float *dy, float *dx) {
    for (size_t i = 0; i < n; i++) {
        const double s = sigmoid(x[i]);
        dx[i] += (float)(dy[i] * s * (1 + x[i] * (1 - s)));
    }
}

static void sigmoid_fwd(size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i++) y[i] = (float)sigmoid(x[i]);
}

static void sigmoid_bwd(size_t n, const float *y, const float *dy, float *dx) {
    for (size_t i = 0; i < n; i++) dx[i] += dy[i] * y[i] * (1 - y[i]);
}

static void axpy(size_t n, float a, const float *x, float *y) {
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* ---- attention ----------------------------------------------------------------------------------------- */

static double dot(const float *a, const float *b, int d) {
    double sum = 0;
    for (int c = 0; c < d; c++) sum += (double)a[c] * b[c];
    return sum;
}

/* Row (n, i) of head h in an (N,L,heads*d) array. */
static size_t head_at(plx_attention_size s, int L, int n, int i, int h) {
    return (((size_t)n * (size_t)L + (size_t)i) * (size_t)s.heads + (size_t)h) * (size_t)s.d;
}

static void attention_fwd(plx_attention_size s, const float *q, const float *k, const float *v, float *lse,
                          float *y) {
    const double scale = 1 / sqrt((double)s.d);
    double *p = malloc(((size_t)s.K + (size_t)s.d) * sizeof *p), *row = p + s.K;
    if (!p) abort();
    for (int n = 0; n < s.N; n++)
        for (int h = 0; h < s.heads; h++)
            for (int i = 0; i < s.Q; i++) {
                const float *qi = q + head_at(s, s.Q, n, i, h);
                double top = -DBL_MAX, sum = 0;
                for (int j = 0; j < s.K; j++) {
                    p[j] = scale * dot(qi, k + head_at(s, s.K, n, j, h), s.d);
                    if (p[j] > top) top = p[j];
                }
                memset(row, 0, (size_t)s.d * sizeof *row);
                for (int j = 0; j < s.K; j++) {
                    const double e = exp(p[j] - top);
                    const float *vj = v + head_at(s, s.K, n, j, h);
                    sum += e;
                    for (int c = 0; c < s.d; c++) row[c] += e * vj[c];
                }
                for (int c = 0; c < s.d; c++) y[head_at(s, s.Q, n, i, h) + c] = (float)(row[c] / sum);
                lse[((size_t)n * s.heads + h) * s.Q + i] = (float)(top + log(sum));
            }
    free(p);
}

/* The formula stands in op_attention.c. */
static void attention_bwd(plx_attention_size s, const float *q, const float *k, const float *v,
                          const float *lse, const float *y, const float *dy, float *dq, float *dk,
                          float *dv) {
    const double scale = 1 / sqrt((double)s.d);
    for (int n = 0; n < s.N; n++)
        for (int h = 0; h < s.heads; h++)
            for (int i = 0; i < s.Q; i++) {
                const size_t qi = head_at(s, s.Q, n, i, h);
                const double drow = dot(dy + qi, y + qi, s.d);
                for (int j = 0; j < s.K; j++) {
                    const size_t kj = head_at(s, s.K, n, j, h);
                    const double p =
                        exp(scale * dot(q + qi, k + kj, s.d) - lse[((size_t)n * s.heads + h) * s.Q + i]);
                    const double ds = scale * p * (dot(dy + qi, v + kj, s.d) - drow);
                    for (int c = 0; dv && c < s.d; c++) dv[kj + c] += (float)(p * dy[qi + c]);
                    for (int c = 0; dq && c < s.d; c++) dq[qi + c] += (float)(ds * k[kj + c]);
                    for (int c = 0; dk && c < s.d; c++) dk[kj + c] += (float)(ds * q[qi + c]);
                }
            }
}

/* ---- values moved about -------------------------------------------------------------------------------- */

static void concat_fwd(size_t M, int A, int B, const float *a, const float *b, float *y) {
    for (size_t m = 0; m < M; m++) {
        memcpy(y + m * (size_t)(A + B), a + m * (size_t)A, (size_t)A * sizeof(float));
        memcpy(y + m * (size_t)(A + B) + A, b + m * (size_t)B, (size_t)B * sizeof(float));
    }
}

static void concat_bwd(size_t M, int A, int B, const float *dy, float *da, float *db) {
    for (size_t m = 0; m < M; m++) {
        const float *row = dy + m * (size_t)(A + B);
        for (int c = 0; da && c < A; c++) da[m * (size_t)A + c] += row[c];
        for (int c = 0; db && c < B; c++) db[m * (size_t)B + c] += row[A + c];
    }
}

static void slice_fwd(size_t M, int C, int begin, int end, const float *x, float *y) {
    for (size_t m = 0; m < M; m++)
        memcpy(y + m * (size_t)(end - begin), x + m * (size_t)C + begin,
               (size_t)(end - begin) * sizeof(float));
}

static void slice_bwd(size_t M, int C, int begin, int end, const float *dy, float *dx) {
    for (size_t m = 0; m < M; m++)
        for (int c = begin; c < end; c++) dx[m * (size_t)C + c] += dy[m * (size_t)(end - begin) + c - begin];
}

/* In the rest, N H W C is always the size of the input x. EACH runs over its elements (n,h,w,c). */
#define EACH(N, H, W, C)                  \
    for (int n = 0; n < (N); n++)         \
        for (int h = 0; h < (H); h++)     \
            for (int w = 0; w < (W); w++) \
                for (int c = 0; c < (C); c++)

static void swap_hw_fwd(int N, int H, int W, int C, const float *x, float *y) {
    EACH(N, H, W, C) y[at4(n, w, h, c, W, H, C)] = x[at4(n, h, w, c, H, W, C)];
}

static void swap_hw_bwd(int N, int H, int W, int C, const float *dy, float *dx) {
    EACH(N, H, W, C) dx[at4(n, h, w, c, H, W, C)] += dy[at4(n, w, h, c, W, H, C)];
}

static void upsample2_fwd(int N, int H, int W, int C, const float *x, float *y) {
    EACH(N, 2 * H, 2 * W, C) y[at4(n, h, w, c, 2 * H, 2 * W, C)] = x[at4(n, h / 2, w / 2, c, H, W, C)];
}

static void upsample2_bwd(int N, int H, int W, int C, const float *dy, float *dx) {
    EACH(N, H, W, C) {
        const float *top = dy + at4(n, 2 * h, 2 * w, c, 2 * H, 2 * W, C), *bottom = top + (size_t)2 * W * C;
        dx[at4(n, h, w, c, H, W, C)] += (top[0] + top[C]) + (bottom[0] + bottom[C]);
    }
}

static void pool_fwd(int N, int H, int W, int C, int kh, int kw, const float *x, float *y) {
    EACH(N, H / kh, W / kw, C) {
        double sum = 0;
        for (int i = 0; i < kh; i++)
            for (int j = 0; j < kw; j++) sum += x[at4(n, h * kh + i, w * kw + j, c, H, W, C)];
        y[at4(n, h, w, c, H / kh, W / kw, C)] = (float)(sum / ((double)kh * kw));
    }
}

static void pool_bwd(int N, int H, int W, int C, int kh, int kw, const float *dy, float *dx) {
    const float share = 1.0f / ((float)kh * (float)kw);
    EACH(N, H, W, C) dx[at4(n, h, w, c, H, W, C)] += share * dy[at4(n, h / kh, w / kw, c, H / kh, W / kw, C)];
}

/* Where element (h,w,c) of (H,W,C) goes in (H/r,W/r,r*r*C): channel (h % r * r + w % r) C + c. */
static size_t depth_at(int n, int h, int w, int c, int H, int W, int C, int r) {
    return at4(n, h / r, w / r, (h % r * r + w % r) * C + c, H / r, W / r, r * r * C);
}

static void space_to_depth_fwd(int N, int H, int W, int C, int r, const float *x, float *y) {
    EACH(N, H, W, C) y[depth_at(n, h, w, c, H, W, C, r)] = x[at4(n, h, w, c, H, W, C)];
}

static void space_to_depth_bwd(int N, int H, int W, int C, int r, const float *dy, float *dx) {
    EACH(N, H, W, C) dx[at4(n, h, w, c, H, W, C)] += dy[depth_at(n, h, w, c, H, W, C, r)];
}

static void depth_to_space_fwd(int N, int H, int W, int C, int r, const float *x, float *y) {
    EACH(N, H * r, W * r, C / (r * r)) {
        y[at4(n, h, w, c, H * r, W * r, C / (r * r))] = x[depth_at(n, h, w, c, H * r, W * r, C / (r * r), r)];
    }
}

static void depth_to_space_bwd(int N, int H, int W, int C, int r, const float *dy, float *dx) {
    EACH(N, H * r, W * r, C / (r * r)) {
        dx[depth_at(n, h, w, c, H * r, W * r, C / (r * r), r)] +=
            dy[at4(n, h, w, c, H * r, W * r, C / (r * r))];
    }
}

/* The other lists are filled by their own files. */
#undef PLX_FIELD_KERNEL_LIST
#undef PLX_RAYS_KERNEL_LIST
#undef PLX_TRAIN_KERNEL_LIST
#define PLX_FIELD_KERNEL_LIST(X)
#define PLX_RAYS_KERNEL_LIST(X)
#define PLX_TRAIN_KERNEL_LIST(X)

void plx_kernels_ref(plx_kernels *table) {
#define PLX_KERNEL_FILL(name, arguments) table->name = name;
    PLX_KERNEL_LIST(PLX_KERNEL_FILL)
#undef PLX_KERNEL_FILL
}
