/* The field's kernels, table `cpu`. Points go through in tiles that stay in the first-level cache; nothing is
 * stored between forward and backward: backward recomputes. Work is cut by problem size only, each part has
 * its own gradient buffers, and these are added in a fixed order: the same bits for any number of threads. */
#include "nerf/tensor/kernels.h"
#include "nerf/core/error.h"
#include "nerf/tensor/scratch.h"
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/simd.h"

#include <math.h>
#include <stdlib.h>

enum { TILE = 32, MAX_WIDTH = 256, LANES = 16, PARTS = 4 };

/* ---- small matrix blocks ------------------------------------------------------------------------------- */

/* y (V vectors from column o of `rows` rows) = b + x (.,I) w (I,ldw); x and y are tiles with row strides. */
static inline __attribute__((always_inline)) void product_block(int rows, int V, int I, const float *x,
                                                                int ldx, const float *w, int ldw,
                                                                const float *b, float *y, int ldy) {
    plx_f16 sum[PLX_BLOCK_ROWS][PLX_BLOCK_VECTORS];
    for (int p = 0; p < rows; p++)
        for (int v = 0; v < V; v++) sum[p][v] = b ? plx_load(b + v * LANES) : (plx_f16){0};
    for (int i = 0; i < I; i++) {
        plx_f16 wi[PLX_BLOCK_VECTORS];
        for (int v = 0; v < V; v++) wi[v] = plx_load(w + (size_t)i * (size_t)ldw + v * LANES);
        for (int p = 0; p < rows; p++)
            for (int v = 0; v < V; v++) sum[p][v] += x[p * ldx + i] * wi[v];
    }
    for (int p = 0; p < rows; p++)
        for (int v = 0; v < V; v++) plx_store(y + p * ldy + v * LANES, sum[p][v]);
}

/* y (TILE,O) = b + x (TILE,I) w (I,O); O a multiple of 16. */
static void product(int I, int O, const float *x, int ldx, const float *w, const float *b, float *y,
                    int ldy) {
    for (int p = 0; p < TILE; p += PLX_BLOCK_ROWS) {
        const float *xp = x + p * ldx;
        float *yp = y + p * ldy;
        int o = 0;
        for (; o + PLX_BLOCK_VECTORS * LANES <= O; o += PLX_BLOCK_VECTORS * LANES)
            product_block(PLX_BLOCK_ROWS, PLX_BLOCK_VECTORS, I, xp, ldx, w + o, O, b ? b + o : NULL, yp + o,
                          ldy);
        for (; o < O; o += LANES)
            product_block(PLX_BLOCK_ROWS, 1, I, xp, ldx, w + o, O, b ? b + o : NULL, yp + o, ldy);
    }
}

static inline __attribute__((always_inline)) void outer_block(int V, const float *dy, int ldy, const float *x,
                                                              int ldx, float *dw, int ldw) {
    plx_f16 sum[PLX_BLOCK_ROWS][PLX_BLOCK_VECTORS];
    for (int o = 0; o < PLX_BLOCK_ROWS; o++)
        for (int v = 0; v < V; v++) sum[o][v] = plx_load(dw + o * ldw + v * LANES);
    for (int p = 0; p < TILE; p++) {
        plx_f16 xi[PLX_BLOCK_VECTORS];
        for (int v = 0; v < V; v++) xi[v] = plx_load(x + p * ldx + v * LANES);
        for (int o = 0; o < PLX_BLOCK_ROWS; o++)
            for (int v = 0; v < V; v++) sum[o][v] += dy[p * ldy + o] * xi[v];
    }
    for (int o = 0; o < PLX_BLOCK_ROWS; o++)
        for (int v = 0; v < V; v++) plx_store(dw + o * ldw + v * LANES, sum[o][v]);
}

/* dw (O,I) += dy (TILE,O)^T x (TILE,I); I a multiple of 16, O of the block's rows. */
static void outer(int I, int O, const float *dy, int ldy, const float *x, int ldx, float *dw) {
    for (int o = 0; o < O; o += PLX_BLOCK_ROWS) {
        int i = 0;
        for (; i + PLX_BLOCK_VECTORS * LANES <= I; i += PLX_BLOCK_VECTORS * LANES)
            outer_block(PLX_BLOCK_VECTORS, dy + o, ldy, x + i, ldx, dw + o * I + i, I);
        for (; i < I; i += LANES) outer_block(1, dy + o, ldy, x + i, ldx, dw + o * I + i, I);
    }
}

/* ---- weights, padded to whole vectors ------------------------------------------------------------------ */

typedef struct weights {
    plx_field_size s;
    int I, IP, O;        /* inputs, padded to 16; outputs (padded to 16 as well) */
    float *t1, *t2, *t3; /* transposed: (I,H) (H,H) (H,16) */
    float *w1, *w2, *w3; /* (H,IP) (H,H) (16,H) */
    float *b1, *b2, *b3; /* (H) (H) (16) */
} weights;

static int padded(int count) {
    return (count + LANES - 1) / LANES * LANES;
}

static size_t weights_floats(plx_field_size s) {
    size_t H = (size_t)s.H, IP = (size_t)padded(plx_field_inputs(s));
    return 2 * IP * H + 2 * H * H + 2 * LANES * H + 2 * H + LANES;
}

/* `at`: weights_floats, aligned. */
static weights weights_pack(plx_field_size s, const plx_field_tensors *p, float *at) {
    weights k = {.s = s, .I = plx_field_inputs(s), .O = plx_field_outputs(s)};
    k.IP = padded(k.I);
    PLX_CHECK(s.C % LANES == 0 && s.H % LANES == 0 && s.H <= MAX_WIDTH && k.IP <= MAX_WIDTH && s.C <= 64,
              "field: %d plane channels, %d hidden, %d inputs", s.C, s.H, k.I);
    size_t H = (size_t)s.H, IP = (size_t)k.IP;
    memset(at, 0, weights_floats(s) * sizeof(float));
    k.t1 = at, at += IP * H;
    k.w1 = at, at += IP * H;
    k.t2 = at, at += H * H;
    k.w2 = at, at += H * H;
    k.t3 = at, at += LANES * H;
    k.w3 = at, at += LANES * H;
    k.b1 = at, at += H;
    k.b2 = at, at += H;
    k.b3 = at;
    for (size_t o = 0; o < H; o++) {
        for (size_t i = 0; i < (size_t)k.I; i++)
            k.t1[i * H + o] = k.w1[o * IP + i] = p->w1[o * (size_t)k.I + i];
        for (size_t i = 0; i < H; i++) k.t2[i * H + o] = k.w2[o * H + i] = p->w2[o * H + i];
    }
    for (size_t o = 0; o < (size_t)k.O; o++)
        for (size_t i = 0; i < H; i++) k.t3[i * LANES + o] = k.w3[o * H + i] = p->w3[o * H + i];
    memcpy(k.b1, p->b1, H * sizeof(float));
    memcpy(k.b2, p->b2, H * sizeof(float));
    memcpy(k.b3, p->b3, (size_t)k.O * sizeof(float));
    return k;
}

/* ---- plane lookup -------------------------------------------------------------------------------------- */

typedef struct tap {
    size_t offset[4]; /* of the texel's first channel */
    float weight[4];
} tap;

static inline tap bilinear(const int size[2], int channels, float row, float column) {
    float y = (row + 1) * 0.5f * (float)size[0] - 0.5f, x = (column + 1) * 0.5f * (float)size[1] - 0.5f;
    y = fminf(fmaxf(y, 0), (float)(size[0] - 1));
    x = fminf(fmaxf(x, 0), (float)(size[1] - 1));
    int y0 = (int)y, x0 = (int)x;
    size_t columns = (size_t)size[1], wide = (size_t)channels;
    size_t down = y0 + 1 < size[0] ? columns * wide : 0, right = x0 + 1 < size[1] ? wide : 0;
    size_t first = ((size_t)y0 * columns + (size_t)x0) * wide;
    float fy = y - (float)y0, fx = x - (float)x0;
    return (tap){{first, first + right, first + down, first + down + right},
                 {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx}};
}

static inline void read_plane(const float *plane, int C, const tap *at, float *out) {
    for (int c = 0; c < C; c += LANES) {
        plx_f16 sum = at->weight[0] * plx_load(plane + at->offset[0] + c);
        for (int k = 1; k < 4; k++) sum += at->weight[k] * plx_load(plane + at->offset[k] + c);
        plx_store(out + c, sum);
    }
}

static inline void add_plane(float *dplane, int C, const tap *at, const float *dout) {
    for (int c = 0; c < C; c += LANES) {
        plx_f16 d = plx_load(dout + c);
        for (int k = 0; k < 4; k++) {
            float *texel = dplane + at->offset[k] + c;
            plx_store(texel, plx_load(texel) + at->weight[k] * d);
        }
    }
}

/* ---- a tile of points ---------------------------------------------------------------------------------- */

typedef struct tile {
    tap xy[TILE], xz[TILE], yz[TILE];
    float rgba[TILE][4];
    _Alignas(64) float x[TILE * MAX_WIDTH]; /* row stride IP */
    _Alignas(64) float a1[TILE * MAX_WIDTH], h1[TILE * MAX_WIDTH], a2[TILE * MAX_WIDTH], h2[TILE * MAX_WIDTH];
    _Alignas(64) float raw[TILE * LANES];
} tile;

static void look_up(const weights *k, const plx_field_tensors *p, size_t object, const float *coords,
                    int count, tile *q) {
    plx_field_size s = k->s;
    int C = s.C, wide = plx_field_xy_channels(s);
    const float *xy = p->xy + object * (size_t)(s.xy[0] * s.xy[1] * wide);
    const float *xz = p->xz + object * (size_t)(s.xz[0] * s.xz[1] * C);
    const float *yz = p->yz + object * (size_t)(s.yz[0] * s.yz[1] * C);
    for (int m = 0; m < TILE; m++) {
        float *x = q->x + m * k->IP;
        if (m >= count) {
            memset(x, 0, sizeof(float) * (size_t)k->IP);
            continue;
        }
        const float *at = coords + 5 * m;
        float z = at[4];
        q->xy[m] = bilinear(s.xy, wide, at[1], at[0]);
        q->xz[m] = bilinear(s.xz, C, z, at[2]);
        q->yz[m] = bilinear(s.yz, C, at[3], z);
        read_plane(xy, C, &q->xy[m], x);
        read_plane(xz, C, &q->xz[m], x + C);
        read_plane(yz, C, &q->yz[m], x + 2 * C);
        int n = 3 * C;
        if (s.guided) {
            float extra[6] = {0};
            for (int t = 0; t < 4; t++)
                for (int c = 0; c < 6; c++)
                    extra[c] += q->xy[m].weight[t] * xy[q->xy[m].offset[t] + (size_t)(C + c)];
            memcpy(q->rgba[m], extra + 2, sizeof q->rgba[m]);
            memcpy(x + n, extra + 2, sizeof q->rgba[m]);
            x[n + 4] = z - extra[0];
            x[n + 5] = z - extra[1];
            n += 6;
        }
        x[n++] = at[0];
        x[n++] = at[1];
        x[n++] = z;
        float sine = sinf((float)M_PI * z), cosine = cosf((float)M_PI * z);
        for (int f = 0; f < s.F; f++) { /* angles double */
            x[n++] = sine;
            x[n++] = cosine;
            float next = 2 * sine * cosine;
            cosine = 1 - 2 * sine * sine;
            sine = next;
        }
        for (; n < k->IP; n++) x[n] = 0;
    }
}

static void silu(int n, const float *a, float *h) {
    for (int i = 0; i < n; i += LANES) {
        plx_f16 x = plx_load(a + i);
        plx_store(h + i, x * plx_sigmoid16(x));
    }
}

static void silu_back(int n, const float *a, float *d) {
    for (int i = 0; i < n; i += LANES) {
        plx_f16 x = plx_load(a + i), s = plx_sigmoid16(x);
        plx_store(d + i, plx_load(d + i) * s * (1 + x * (1 - s)));
    }
}

static void decode(const weights *k, tile *q) {
    int H = k->s.H;
    product(k->IP, H, q->x, k->IP, k->t1, k->b1, q->a1, H);
    silu(TILE * H, q->a1, q->h1);
    product(H, H, q->h1, H, k->t2, k->b2, q->a2, H);
    silu(TILE * H, q->a2, q->h2);
    product(H, LANES, q->h2, H, k->t3, k->b3, q->raw, LANES);
}

static plx_f16 clamp_raw(plx_f16 raw) {
    return plx_min(plx_max(raw, plx_splat(-12)), plx_splat(9));
}

/* Lane 0 of a raw row is the density's, 1 to 3 the colour's, 4 the gate's. */
static void activate(const float *raw, bool guided, const float *rgba, float *value) {
    plx_f16 x = plx_load(raw), s = plx_sigmoid16(x);
    value[0] = plx_exp(clamp_raw(x))[0];
    float gate = guided ? s[4] : 0;
    for (int c = 0; c < 3; c++) value[1 + c] = (1 - gate) * s[1 + c] + (guided ? gate * rgba[c] : 0);
}

static void activate_back(const float *raw, bool guided, const float *rgba, const float *dvalue, float *draw,
                          float *drgba) {
    plx_f16 x = plx_load(raw), s = plx_sigmoid16(x);
    float gate = guided ? s[4] : 0, dgate = 0;
    plx_store(draw, (plx_f16){0});
    draw[0] = dvalue[0] * plx_exp(clamp_raw(x))[0];
    for (int c = 0; c < 3; c++) {
        draw[1 + c] = dvalue[1 + c] * (1 - gate) * s[1 + c] * (1 - s[1 + c]);
        drgba[c] = dvalue[1 + c] * gate;
        if (guided) dgate += dvalue[1 + c] * (rgba[c] - s[1 + c]);
    }
    draw[4] = dgate * gate * (1 - gate);
}

static void field_fwd(plx_field_size s, const plx_field_tensors *p, plx_points points, float *values) {
    weights k = weights_pack(s, p, plx_scratch(PLX_SCRATCH_CALL, weights_floats(s)));
    for (int n = 0; n < s.N; n++) {
        int begin = points.start[n], end = points.start[n + 1];
#pragma omp parallel
        {
            tile q;
            plx_flush_denormals();
#pragma omp for schedule(static)
            for (int first = begin; first < end; first += TILE) {
                int count = end - first < TILE ? end - first : TILE;
                look_up(&k, p, (size_t)n, points.coords + 5 * (size_t)first, count, &q);
                decode(&k, &q);
                for (int m = 0; m < count; m++)
                    activate(q.raw + m * LANES, s.guided, q.rgba[m], values + 4 * (size_t)(first + m));
            }
        }
    }
}

/* ---- backward
 * ---------------------------------------------------------------------------------------------------------
 */

/* The gradients of one part of the work. */
typedef struct part {
    float *w1, *w2, *w3, *b1, *b2, *b3; /* padded as in `weights` */
    float *xy, *xz, *yz;                /* this part's object's planes: its own copy, or the output itself */
} part;

static void tile_back(const weights *k, const float *dvalues, int count, tile *q, const part *d) {
    plx_field_size s = k->s;
    int H = s.H, C = s.C;
    _Alignas(64) float draw[TILE * LANES], dh[TILE * MAX_WIDTH], dg[TILE * MAX_WIDTH], dx[TILE * MAX_WIDTH];
    float drgba[TILE][4] = {{0}};
    for (int m = 0; m < TILE; m++) {
        if (m < count)
            activate_back(q->raw + m * LANES, s.guided, q->rgba[m], dvalues + 4 * m, draw + m * LANES,
                          drgba[m]);
        else
            plx_store(draw + m * LANES, (plx_f16){0});
    }
    product(LANES, H, draw, LANES, k->w3, NULL, dh, H);
    silu_back(TILE * H, q->a2, dh);
    product(H, H, dh, H, k->w2, NULL, dg, H);
    silu_back(TILE * H, q->a1, dg);
    product(H, k->IP, dg, H, k->w1, NULL, dx, k->IP);
    if (d->w1) {
        outer(H, LANES, draw, LANES, q->h2, H, d->w3);
        outer(H, H, dh, H, q->h1, H, d->w2);
        outer(k->IP, H, dg, H, q->x, k->IP, d->w1);
        for (int m = 0; m < count; m++) {
            plx_store(d->b3, plx_load(d->b3) + plx_load(draw + m * LANES));
            for (int o = 0; o < H; o += LANES) {
                plx_store(d->b2 + o, plx_load(d->b2 + o) + plx_load(dh + m * H + o));
                plx_store(d->b1 + o, plx_load(d->b1 + o) + plx_load(dg + m * H + o));
            }
        }
    }
    for (int m = 0; m < count; m++) {
        const float *g = dx + m * k->IP;
        if (d->xz) add_plane(d->xz, C, &q->xz[m], g + C);
        if (d->yz) add_plane(d->yz, C, &q->yz[m], g + 2 * C);
        if (!d->xy) continue;
        add_plane(d->xy, C, &q->xy[m], g);
        if (!s.guided) continue;
        const float extra[6] = {-g[3 * C + 4],
                                -g[3 * C + 5],
                                g[3 * C] + drgba[m][0],
                                g[3 * C + 1] + drgba[m][1],
                                g[3 * C + 2] + drgba[m][2],
                                g[3 * C + 3]};
        for (int t = 0; t < 4; t++)
            for (int c = 0; c < 6; c++)
                d->xy[q->xy[m].offset[t] + (size_t)(C + c)] += q->xy[m].weight[t] * extra[c];
    }
}

static void add_to(float *sum, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += x[i];
}

static void add_rows(float *sum, const float *x, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++) add_to(sum + r * columns, x + r * stride, columns);
}

/* How backward is cut: few objects are cut further, and each such part then has planes of its own. */
typedef struct cutting {
    int cut, parts; /* parts an object, and in all */
    bool theta;
    size_t xy, xz, yz;    /* floats of a plane */
    size_t weights, size; /* floats of a part's weights, and of all that it owns */
} cutting;

static cutting cut_work(plx_field_size s, const plx_field_tensors *dp) {
    size_t H = (size_t)s.H, IP = (size_t)padded(plx_field_inputs(s)), C = (size_t)s.C;
    cutting c = {.cut = s.N >= PARTS ? 1 : (PARTS + s.N - 1) / s.N, .theta = dp->w1 != NULL};
    c.parts = s.N * c.cut;
    c.xy = (size_t)s.xy[0] * (size_t)s.xy[1] * (size_t)plx_field_xy_channels(s);
    c.xz = (size_t)s.xz[0] * (size_t)s.xz[1] * C;
    c.yz = (size_t)s.yz[0] * (size_t)s.yz[1] * C;
    c.weights = c.theta ? IP * H + H * H + LANES * H + 2 * H + LANES : 0;
    size_t planes = c.cut > 1 ? (dp->xy ? c.xy : 0) + (dp->xz ? c.xz : 0) + (dp->yz ? c.yz : 0) : 0;
    c.size = (c.weights + planes + LANES - 1) / LANES * LANES;
    return c;
}

/* Part i's gradients in its own floats at `at`, or in the output where it shares them with nobody. */
static part place_part(const cutting *c, const weights *k, const plx_field_tensors *dp, int i, float *at) {
    size_t H = (size_t)k->s.H, IP = (size_t)k->IP, n = (size_t)(i / c->cut);
    bool own = c->cut > 1;
    part d = {0};
    if (c->theta) {
        d.w1 = at, at += IP * H;
        d.w2 = at, at += H * H;
        d.w3 = at, at += LANES * H;
        d.b1 = at, at += H;
        d.b2 = at, at += H;
        d.b3 = at, at += LANES;
    }
    if (dp->xy) d.xy = own ? at : dp->xy + n * c->xy;
    if (dp->xy && own) at += c->xy;
    if (dp->xz) d.xz = own ? at : dp->xz + n * c->xz;
    if (dp->xz && own) at += c->xz;
    if (dp->yz) d.yz = own ? at : dp->yz + n * c->yz;
    return d;
}

static void run_part(const weights *k, const cutting *c, const plx_field_tensors *p, plx_points points,
                     const float *dvalues, int i, const part *d) {
    tile q;
    int n = i / c->cut, begin = points.start[n], tiles = (points.start[n + 1] - begin + TILE - 1) / TILE;
    int from = (int)((long)tiles * (i % c->cut) / c->cut),
        to = (int)((long)tiles * (i % c->cut + 1) / c->cut);
    for (int t = from; t < to; t++) {
        int first = begin + t * TILE, left = points.start[n + 1] - first, count = left < TILE ? left : TILE;
        look_up(k, p, (size_t)n, points.coords + 5 * (size_t)first, count, &q);
        decode(k, &q);
        tile_back(k, dvalues + 4 * (size_t)first, count, &q, d);
    }
}

static void add_weights(const weights *k, const part *d, const plx_field_tensors *dp) {
    size_t H = (size_t)k->s.H, I = (size_t)k->I, O = (size_t)k->O;
    add_rows(dp->w1, d->w1, H, I, (size_t)k->IP);
    add_to(dp->w2, d->w2, H * H);
    add_to(dp->w3, d->w3, O * H);
    add_to(dp->b1, d->b1, H);
    add_to(dp->b2, d->b2, H);
    add_to(dp->b3, d->b3, O);
}

/* sum += the `cut` copies of a plane that stand `stride` floats apart, in their order. */
static void add_copies(float *sum, const float *copies, int cut, size_t stride, size_t count) {
    const size_t run = 4096;
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < count; first += run) {
        size_t here = count - first < run ? count - first : run;
        for (int i = 0; i < cut; i++) add_to(sum + first, copies + (size_t)i * stride + first, here);
    }
}

static void field_bwd(plx_field_size s, const plx_field_tensors *p, plx_points points, const float *dvalues,
                      const plx_field_tensors *dp) {
    const cutting c = cut_work(s, dp);
    const size_t table = ((size_t)c.parts * sizeof(part) / sizeof(float) + LANES) / LANES * LANES;
    float *scratch = plx_scratch(PLX_SCRATCH_CALL, table + weights_floats(s) + c.size * (size_t)c.parts);
    float *own = scratch + table + weights_floats(s);
    part *d = (part *)scratch;
    const weights k = weights_pack(s, p, scratch + table);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < c.parts; i++) {
        plx_flush_denormals();
        d[i] = place_part(&c, &k, dp, i, memset(own + c.size * (size_t)i, 0, c.size * sizeof(float)));
        run_part(&k, &c, p, points, dvalues, i, &d[i]);
    }
    for (int i = 0; i < c.parts && c.theta; i++) add_weights(&k, &d[i], dp);
    for (int n = 0; n < s.N && c.cut > 1; n++) {
        const part *first = &d[n * c.cut];
        size_t object = (size_t)n;
        if (dp->xy) add_copies(dp->xy + object * c.xy, first->xy, c.cut, c.size, c.xy);
        if (dp->xz) add_copies(dp->xz + object * c.xz, first->xz, c.cut, c.size, c.xz);
        if (dp->yz) add_copies(dp->yz + object * c.yz, first->yz, c.cut, c.size, c.yz);
    }
}

/* ---- rays: the reference, in parallel over fixed runs of rays ------------------------------------------ */

enum { RAYS = 64 };

static plx_kernels ref;

static plx_rays run_of(plx_rays rays, int first) {
    rays.R = rays.R - first < RAYS ? rays.R - first : RAYS;
    rays.start += first;
    return rays;
}

static void composite_fwd(plx_rays rays, const float *values, float *out) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        ref.composite_fwd(run_of(rays, r), values, out + 5 * (size_t)r);
    }
}

static void composite_bwd(plx_rays rays, const float *values, const float *out, const float *dout,
                          float *dvalues) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        ref.composite_bwd(run_of(rays, r), values, out + 5 * (size_t)r, dout + 5 * (size_t)r, dvalues);
    }
}

static void first_hit_fwd(plx_rays rays, const int *slab, const float *colour, const float *values,
                          float *out) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        ref.first_hit_fwd(run_of(rays, r), slab + r, colour + 3 * (size_t)r, values, out + 2 * (size_t)r);
    }
}

static void first_hit_bwd(plx_rays rays, const int *slab, const float *colour, const float *values,
                          const float *dout, float *dvalues) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        ref.first_hit_bwd(run_of(rays, r), slab + r, colour + 3 * (size_t)r, values, dout + 2 * (size_t)r,
                          dvalues);
    }
}

void plx_kernels_field_cpu(plx_kernels *table) {
    plx_kernels_field_ref(&ref);
    table->field_fwd = field_fwd;
    table->field_bwd = field_bwd;
    table->composite_fwd = composite_fwd;
    table->composite_bwd = composite_bwd;
    table->first_hit_fwd = first_hit_fwd;
    table->first_hit_bwd = first_hit_bwd;
}
