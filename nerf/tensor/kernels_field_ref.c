/* The field's kernels, table `ref`: one point, one ray at a time, as the equations stand. */
#include "nerf/tensor/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = 512, MAX_HIDDEN = 256, MAX_OUTPUTS = 5 };

/* ---- plane lookup: bilinear, texel centres at half integers, border padding ---------------------------- */

typedef struct tap {
    size_t texel[4]; /* row * columns + column */
    float weight[4];
} tap;

static tap bilinear(const int size[2], float row, float column) {
    float y = (row + 1) * 0.5f * (float)size[0] - 0.5f, x = (column + 1) * 0.5f * (float)size[1] - 0.5f;
    y = fminf(fmaxf(y, 0), (float)(size[0] - 1));
    x = fminf(fmaxf(x, 0), (float)(size[1] - 1));
    int y0 = (int)y, x0 = (int)x;
    int y1 = y0 + 1 < size[0] ? y0 + 1 : y0, x1 = x0 + 1 < size[1] ? x0 + 1 : x0;
    float fy = y - (float)y0, fx = x - (float)x0;
    size_t columns = (size_t)size[1], r0 = (size_t)y0 * columns, r1 = (size_t)y1 * columns;
    return (tap){{r0 + (size_t)x0, r0 + (size_t)x1, r1 + (size_t)x0, r1 + (size_t)x1},
                 {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx}};
}

static void read_plane(const float *plane, int channels, tap at, float *out) {
    for (int c = 0; c < channels; c++) {
        out[c] = 0;
        for (int k = 0; k < 4; k++)
            out[c] += at.weight[k] * plane[at.texel[k] * (size_t)channels + (size_t)c];
    }
}

static void add_plane(float *dplane, int channels, tap at, const float *dout) {
    for (int c = 0; c < channels; c++)
        for (int k = 0; k < 4; k++)
            dplane[at.texel[k] * (size_t)channels + (size_t)c] += at.weight[k] * dout[c];
}

/* ---- one point ----------------------------------------------------------------------------------------- */

typedef struct point {
    tap xy, xz, yz;
    float rgba[4];
    float x[MAX_INPUTS], a1[MAX_HIDDEN], h1[MAX_HIDDEN], a2[MAX_HIDDEN], h2[MAX_HIDDEN], raw[MAX_OUTPUTS];
} point;

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

static void linear(int I, int O, const float *w, const float *b, const float *x, float *y) {
    for (int o = 0; o < O; o++) {
        y[o] = b[o];
        for (int i = 0; i < I; i++) y[o] += w[o * I + i] * x[i];
    }
}

static void silu(int n, const float *a, float *h) {
    for (int i = 0; i < n; i++) h[i] = a[i] * sigmoid(a[i]);
}

static void evaluate(plx_field_size s, const plx_field_tensors *p, int object, const float *coords,
                     point *q) {
    float u = coords[0], v = coords[1], x = coords[2], y = coords[3], z = coords[4];
    int wide = plx_field_xy_channels(s), C = s.C, n = 0;
    size_t o = (size_t)object;
    q->xy = bilinear(s.xy, v, u);
    q->xz = bilinear(s.xz, z, x);
    q->yz = bilinear(s.yz, y, z);
    float xy[MAX_INPUTS];
    read_plane(p->xy + o * (size_t)(s.xy[0] * s.xy[1] * wide), wide, q->xy, xy);
    memcpy(q->x, xy, sizeof(float) * (size_t)C);
    read_plane(p->xz + o * (size_t)(s.xz[0] * s.xz[1] * C), C, q->xz, q->x + C);
    read_plane(p->yz + o * (size_t)(s.yz[0] * s.yz[1] * C), C, q->yz, q->x + 2 * C);
    n = 3 * C;
    if (s.guided) {
        memcpy(q->rgba, xy + C + 2, sizeof q->rgba);
        memcpy(q->x + n, q->rgba, sizeof q->rgba);
        q->x[n + 4] = z - xy[C];
        q->x[n + 5] = z - xy[C + 1];
        n += 6;
    }
    q->x[n++] = u;
    q->x[n++] = v;
    q->x[n++] = z;
    for (int k = 0; k < s.F; k++) {
        float angle = (float)(1 << k) * (float)M_PI * z;
        q->x[n++] = sinf(angle);
        q->x[n++] = cosf(angle);
    }
    linear(n, s.H, p->w1, p->b1, q->x, q->a1);
    silu(s.H, q->a1, q->h1);
    linear(s.H, s.H, p->w2, p->b2, q->h1, q->a2);
    silu(s.H, q->a2, q->h2);
    linear(s.H, plx_field_outputs(s), p->w3, p->b3, q->h2, q->raw);
}

static float density(float raw) {
    return expf(fminf(fmaxf(raw, -12), 9));
}

static void field_fwd(plx_field_size s, const plx_field_tensors *p, plx_points points, float *values) {
    point q;
    for (int n = 0; n < s.N; n++)
        for (int m = points.start[n]; m < points.start[n + 1]; m++) {
            evaluate(s, p, n, points.coords + 5 * (size_t)m, &q);
            float *out = values + 4 * (size_t)m, gate = s.guided ? sigmoid(q.raw[4]) : 0;
            out[0] = density(q.raw[0]);
            for (int c = 0; c < 3; c++)
                out[1 + c] = (1 - gate) * sigmoid(q.raw[1 + c]) + (s.guided ? gate * q.rgba[c] : 0);
        }
}

/* dx += w^T dy, dw += dy x^T, db += dy */
static void linear_back(int I, int O, const float *w, const float *x, const float *dy, float *dx, float *dw,
                        float *db) {
    for (int i = 0; i < I; i++) dx[i] = 0;
    for (int o = 0; o < O; o++) {
        if (db) db[o] += dy[o];
        for (int i = 0; i < I; i++) {
            dx[i] += w[o * I + i] * dy[o];
            if (dw) dw[o * I + i] += dy[o] * x[i];
        }
    }
}

/* silu'(a) = s (1 + a (1 - s)), s = sigmoid(a) */
static void silu_back(int n, const float *a, float *d) {
    for (int i = 0; i < n; i++) {
        float s = sigmoid(a[i]);
        d[i] *= s * (1 + a[i] * (1 - s));
    }
}

static void field_bwd(plx_field_size s, const plx_field_tensors *p, plx_points points, const float *dvalues,
                      const plx_field_tensors *dp) {
    point q;
    int C = s.C, wide = plx_field_xy_channels(s);
    for (int n = 0; n < s.N; n++)
        for (int m = points.start[n]; m < points.start[n + 1]; m++) {
            evaluate(s, p, n, points.coords + 5 * (size_t)m, &q);
            const float *d = dvalues + 4 * (size_t)m;
            float draw[MAX_OUTPUTS], dh[MAX_HIDDEN], dg[MAX_HIDDEN], dx[MAX_INPUTS], drgba[4] = {0};
            float gate = s.guided ? sigmoid(q.raw[4]) : 0, dgate = 0;
            draw[0] = d[0] * density(q.raw[0]);
            for (int c = 0; c < 3; c++) {
                float colour = sigmoid(q.raw[1 + c]);
                draw[1 + c] = d[1 + c] * (1 - gate) * colour * (1 - colour);
                if (!s.guided) continue;
                dgate += d[1 + c] * (q.rgba[c] - colour);
                drgba[c] = d[1 + c] * gate;
            }
            if (s.guided) draw[4] = dgate * gate * (1 - gate);
            linear_back(s.H, plx_field_outputs(s), p->w3, q.h2, draw, dh, dp->w3, dp->b3);
            silu_back(s.H, q.a2, dh);
            linear_back(s.H, s.H, p->w2, q.h1, dh, dg, dp->w2, dp->b2);
            silu_back(s.H, q.a1, dg);
            linear_back(plx_field_inputs(s), s.H, p->w1, q.x, dg, dx, dp->w1, dp->b1);
            size_t o = (size_t)n;
            if (dp->xy) {
                float dxy[MAX_INPUTS];
                memcpy(dxy, dx, sizeof(float) * (size_t)C);
                if (s.guided) {
                    dxy[C] = -dx[3 * C + 4];
                    dxy[C + 1] = -dx[3 * C + 5];
                    for (int c = 0; c < 4; c++) dxy[C + 2 + c] = dx[3 * C + c] + drgba[c];
                }
                add_plane(dp->xy + o * (size_t)(s.xy[0] * s.xy[1] * wide), wide, q.xy, dxy);
            }
            if (dp->xz) add_plane(dp->xz + o * (size_t)(s.xz[0] * s.xz[1] * C), C, q.xz, dx + C);
            if (dp->yz) add_plane(dp->yz + o * (size_t)(s.yz[0] * s.yz[1] * C), C, q.yz, dx + 2 * C);
        }
}

/* ---- compositing: weight_i = T_i (1 - exp(-density_i length_i)), T_i = exp(-sum of those before) ------- */

static void composite_fwd(plx_rays rays, const float *values, float *out) {
    for (int r = 0; r < rays.R; r++) {
        double tau = 0, sum[5] = {0};
        for (int i = rays.start[r]; i < rays.start[r + 1]; i++) {
            const float *value = values + 4 * (size_t)i;
            double step = (double)value[0] * rays.length[i], weight = exp(-tau) * -expm1(-step);
            for (int c = 0; c < 3; c++) sum[c] += weight * value[1 + c];
            sum[3] += weight;
            sum[4] += weight * rays.t[i];
            tau += step;
        }
        for (int c = 0; c < 5; c++) out[5 * (size_t)r + (size_t)c] = (float)sum[c];
    }
}

/* With g_i = dL/dweight_i = dC.c_i + dO + dD t_i:  dL/ddensity_i = length_i (T_{i+1} g_i - sum_{j>i} weight_j
 * g_j), the sum being the whole ray's less what has been passed. */
static void composite_bwd(plx_rays rays, const float *values, const float *out, const float *dout,
                          float *dvalues) {
    for (int r = 0; r < rays.R; r++) {
        const float *d = dout + 5 * (size_t)r, *whole = out + 5 * (size_t)r;
        double tau = 0, rest = 0;
        for (int c = 0; c < 5; c++) rest += (double)d[c] * whole[c];
        for (int i = rays.start[r]; i < rays.start[r + 1]; i++) {
            const float *value = values + 4 * (size_t)i;
            double step = (double)value[0] * rays.length[i], weight = exp(-tau) * -expm1(-step);
            double g = (double)d[0] * value[1] + (double)d[1] * value[2] + (double)d[2] * value[3] + d[3] +
                       (double)d[4] * rays.t[i];
            tau += step;
            rest -= weight * g;
            dvalues[4 * (size_t)i] += (float)(rays.length[i] * (exp(-tau) * g - rest));
            for (int c = 0; c < 3; c++) dvalues[4 * (size_t)i + 1 + (size_t)c] += (float)(weight * d[c]);
        }
    }
}

/* ---- first-hit likelihood (density as hazard): hit: tau(free) - log(1 - exp(-tau(slab))); miss: tau ---- */

static void first_hit_fwd(plx_rays rays, const int *slab, const float *colour, const float *values,
                          float *out) {
    for (int r = 0; r < rays.R; r++) {
        double free_tau = 0, slab_tau = 0, error = 0;
        int end = rays.start[r + 1], first = end - slab[r];
        for (int i = rays.start[r]; i < end; i++) {
            const float *value = values + 4 * (size_t)i;
            double step = (double)value[0] * rays.length[i];
            if (i < first)
                free_tau += step;
            else
                slab_tau += step;
            for (int c = 0; i >= first && c < 3; c++) {
                double e = (double)value[1 + c] - colour[3 * (size_t)r + (size_t)c];
                error += e * e / slab[r];
            }
        }
        out[2 * (size_t)r] = (float)(free_tau - (slab[r] ? log(-expm1(-slab_tau)) : 0));
        out[2 * (size_t)r + 1] = (float)error;
    }
}

static void first_hit_bwd(plx_rays rays, const int *slab, const float *colour, const float *values,
                          const float *dout, float *dvalues) {
    for (int r = 0; r < rays.R; r++) {
        double slab_tau = 0, d0 = dout[2 * (size_t)r], d1 = dout[2 * (size_t)r + 1];
        int end = rays.start[r + 1], first = end - slab[r];
        for (int i = first; i < end; i++) slab_tau += (double)values[4 * (size_t)i] * rays.length[i];
        for (int i = rays.start[r]; i < end; i++) {
            const float *value = values + 4 * (size_t)i;
            float *d = dvalues + 4 * (size_t)i;
            d[0] += (float)(d0 * rays.length[i] * (i < first ? 1 : -1 / expm1(slab_tau)));
            for (int c = 0; i >= first && c < 3; c++)
                d[1 + c] +=
                    (float)(d1 * 2 * ((double)value[1 + c] - colour[3 * (size_t)r + (size_t)c]) / slab[r]);
        }
    }
}

void plx_kernels_field_ref(plx_kernels *table) {
    table->field_fwd = field_fwd;
    table->field_bwd = field_bwd;
    table->composite_fwd = composite_fwd;
    table->composite_bwd = composite_bwd;
    table->first_hit_fwd = first_hit_fwd;
    table->first_hit_bwd = first_hit_bwd;
}
