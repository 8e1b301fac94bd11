/* The field's kernels, table `cpu`. Points go through in tiles that stay in the nearer caches; nothing is stored between
 * forward and backward: backward recomputes. Work is cut by problem size only, each part has its own gradient buffers,
 * and these are added in a fixed order: the same bits for any number of threads. */
#include "nerf/tensor/kernels.h"
#include "nerf/core/error.h"
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/kernels_field_planes.h"
#include "nerf/tensor/kernels_field_product.h"
#include "nerf/tensor/scratch.h"

#include <math.h>
#include <stdlib.h>

enum { TILE = PLX_TILE, MAX_CHANNELS = 64, MAX_WIDTH = 256, OUTPUTS = 5, PARTS = 4 };

/* ---- a tile of points: rows of TILE numbers -------------------------------------------------------------- */

typedef struct tile {
    plx_taps xy, xz, yz;
    _Alignas(64) float coords[5][TILE];    /* u v x y z */
    _Alignas(64) float out[OUTPUTS][TILE]; /* density, sigmoids of raw r g b and gate */
    float *x, *h1, *h2;                    /* (I,TILE) (H,TILE) (H,TILE) */
    float *slope1, *slope2;                /* (H,TILE) SiLU's, for backward */
} tile;

static size_t tile_floats(plx_field_size s) {
    return (size_t)(plx_field_inputs(s) + 4 * s.H) * TILE;
}

/* `at`: tile_floats, or without slopes as many less as they have. */
static void tile_place(tile *q, plx_field_size s, bool slopes, float *at) {
    const size_t hidden = (size_t)s.H * TILE;
    q->h1 = at, at += hidden;
    q->h2 = at, at += hidden;
    q->slope1 = slopes ? at : NULL, q->slope2 = slopes ? at + hidden : NULL;
    if (slopes) at += 2 * hidden;
    q->x = at;
}

static float *guidance(const tile *q, plx_field_size s) {
    return q->x + 3 * s.C * TILE; /* r g b a, z - front, z - back */
}

static void check_size(plx_field_size s) {
    PLX_CHECK(s.C % 16 == 0 && s.H % 16 == 0 && s.H <= MAX_WIDTH && plx_field_inputs(s) <= MAX_WIDTH &&
                  s.C <= MAX_CHANNELS,
              "field: %d plane channels, %d hidden, %d inputs", s.C, s.H, plx_field_inputs(s));
}

/* ---- forward ------------------------------------------------------------------------------------------------ */

/* sin and cos of pi z to 2e-7, by their series about the nearest half integer: z = n / 2 + r. */
static void sine_cosine(plx_vector z, plx_vector *sine, plx_vector *cosine) {
    const float magic = 12582912.0f; /* 1.5 2^23 */
    const plx_vector shifted = 2 * z + magic, r = z - (shifted - magic) * 0.5f, t = r * r;
    const plx_ivector n = (plx_ivector)shifted, odd = -(n & 1);
    const plx_vector s =
        r * ((((t * 0.0821458866f - 0.599264529f) * t + 2.55016404f) * t - 5.16771278f) * t + 3.14159265f);
    const plx_vector c = (((t * 0.235330630f - 1.33526277f) * t + 4.05871213f) * t - 4.93480220f) * t + 1;
    *sine = (plx_vector)((plx_ivector)plx_select(odd, c, s) ^ (n & 2) << 30);
    *cosine = (plx_vector)((plx_ivector)plx_select(odd, s, c) ^ ((n + 1) & 2) << 30);
}

/* u, v, z, and sin and cos of 2^k pi z, from row `row` of x on. */
static void encode(tile *q, int frequencies, float *row) {
    memcpy(row, q->coords[0], sizeof q->coords[0]);
    memcpy(row + TILE, q->coords[1], sizeof q->coords[1]);
    memcpy(row + 2 * TILE, q->coords[4], sizeof q->coords[4]);
    for (int p = 0; p < TILE; p += PLX_LANES) {
        plx_vector sine, cosine;
        sine_cosine(plx_load(q->coords[4] + p), &sine, &cosine);
        for (int f = 0; f < frequencies; f++) { /* angles double */
            plx_store(row + (3 + 2 * f) * TILE + p, sine);
            plx_store(row + (4 + 2 * f) * TILE + p, cosine);
            const plx_vector next = 2 * sine * cosine;
            cosine = 1 - 2 * sine * sine;
            sine = next;
        }
    }
}

/* Points that are not there are at the planes' middle. */
static void load_coords(tile *q, const float *coords, int count) {
    memset(q->coords, 0, sizeof q->coords);
    for (int m = 0; m < count; m++)
        for (int k = 0; k < 5; k++) q->coords[k][m] = coords[5 * m + k];
}

static void look_up(plx_field_size s, const plx_field_tensors *p, size_t object, tile *q) {
    const int C = s.C, wide = plx_field_xy_channels(s);
    const float *xy = p->xy + object * (size_t)(s.xy[0] * s.xy[1] * wide);
    const float *u = q->coords[0], *v = q->coords[1], *x = q->coords[2], *y = q->coords[3], *z = q->coords[4];
    plx_taps_find(&q->xy, s.xy, wide, v, u);
    plx_taps_find(&q->xz, s.xz, C, z, x);
    plx_taps_find(&q->yz, s.yz, C, y, z);
    plx_taps_read(&q->xy, xy, 0, C, q->x);
    plx_taps_read(&q->xz, p->xz + object * (size_t)(s.xz[0] * s.xz[1] * C), 0, C, q->x + C * TILE);
    plx_taps_read(&q->yz, p->yz + object * (size_t)(s.yz[0] * s.yz[1] * C), 0, C, q->x + 2 * C * TILE);
    float *next = guidance(q, s);
    if (s.guided) {
        _Alignas(64) float last[8][TILE]; /* two features, front, back, r g b a */
        plx_taps_read(&q->xy, xy, wide - 8, 8, last[0]);
        memcpy(next, last[4], sizeof(float) * 4 * TILE);
        for (int i = 0; i < TILE; i++) {
            next[4 * TILE + i] = z[i] - last[2][i];
            next[5 * TILE + i] = z[i] - last[3][i];
        }
        next += 6 * TILE;
    }
    encode(q, s.F, next);
}

/* y (outs,TILE) = b + w (outs,ins) x (ins,TILE) */
static plx_product layer(int outs, int ins, const float *w, const float *b, const float *x, float *y) {
    return (plx_product){.R = outs, .K = ins, .N = TILE, .w = {w, (size_t)ins, 1}, .x = x, .y = y, .bias = b};
}

static void decode(plx_field_size s, const plx_field_tensors *p, tile *q) {
    plx_product first = layer(s.H, plx_field_inputs(s), p->w1, p->b1, q->x, q->h1);
    plx_product second = layer(s.H, s.H, p->w2, p->b2, q->h1, q->h2);
    first.slope = q->slope1, second.slope = q->slope2;
    plx_product_run(PLX_BIAS_SILU, first);
    plx_product_run(PLX_BIAS_SILU, second);
    plx_product_run(PLX_BIAS, layer(plx_field_outputs(s), s.H, p->w3, p->b3, q->h2, q->out[0]));
    for (int i = 0; i < TILE; i += PLX_LANES) {
        const plx_vector raw = plx_load(q->out[0] + i);
        plx_store(q->out[0] + i, plx_exp(plx_min(plx_max(raw, plx_splat(-12)), plx_splat(9))));
        for (int o = 1; o < plx_field_outputs(s); o++)
            plx_store(q->out[o] + i, plx_sigmoid(plx_load(q->out[o] + i)));
    }
}

/* Points first .. first + count - 1 of an object. */
static void tile_forward(plx_field_size s, const plx_field_tensors *p, int object, const float *coords,
                         int count, tile *q) {
    load_coords(q, coords, count);
    look_up(s, p, (size_t)object, q);
    decode(s, p, q);
}

static void store_values(plx_field_size s, const tile *q, int count, float *values) {
    const float *rgb = guidance(q, s);
    for (int m = 0; m < count; m++) {
        const float gate = s.guided ? q->out[4][m] : 0;
        values[4 * m] = q->out[0][m];
        for (int c = 0; c < 3; c++)
            values[4 * m + 1 + c] = (1 - gate) * q->out[1 + c][m] + (s.guided ? gate * rgb[c * TILE + m] : 0);
    }
}

static void field_fwd(plx_field_size s, const plx_field_tensors *p, plx_points points, float *values) {
    check_size(s);
#pragma omp parallel
    {
        tile q;
        plx_flush_denormals();
        tile_place(&q, s, false, plx_scratch(PLX_SCRATCH_WORKER, tile_floats(s)));
        for (int n = 0; n < s.N; n++) {
            const int end = points.start[n + 1];
#pragma omp for schedule(static) nowait
            for (int first = points.start[n]; first < end; first += TILE) {
                const int count = end - first < TILE ? end - first : TILE;
                tile_forward(s, p, n, points.coords + 5 * (size_t)first, count, &q);
                store_values(s, &q, count, values + 4 * (size_t)first);
            }
        }
    }
}

/* ---- backward: a tile ------------------------------------------------------------------------------------------ */

/* The gradients of one part of the work. Weights of the hidden layers transposed; biases lane by lane. */
typedef struct part {
    float *w1, *w2, *w3; /* (I,H) (H,H) (O,H) */
    float *b1, *b2, *b3; /* (H,16) (H,16) (O,16) */
    float *xy, *xz, *yz; /* this part's object's planes: its own copy, or the output itself */
} part;

/* What backward needs of its own. */
typedef struct tile_gradient {
    _Alignas(64) float out[OUTPUTS][TILE]; /* of the raw outputs */
    _Alignas(64) float guidance[8][TILE];  /* front, back, r g b a; two rows of room */
    float *h1, *h2, *x;                    /* (H,TILE) (H,TILE) (3 C + 6, TILE) */
    float *turned;                         /* (TILE,H) */
} tile_gradient;

static void outputs_back(plx_field_size s, const tile *q, const float *dvalues, int count, tile_gradient *d) {
    const float *rgb = guidance(q, s);
    memset(d->out, 0, sizeof d->out);
    memset(d->guidance, 0, sizeof d->guidance);
    for (int m = 0; m < count; m++) {
        const float *dv = dvalues + 4 * m, gate = s.guided ? q->out[4][m] : 0;
        float dgate = 0;
        d->out[0][m] = dv[0] * q->out[0][m];
        for (int c = 0; c < 3; c++) {
            const float colour = q->out[1 + c][m];
            d->out[1 + c][m] = dv[1 + c] * (1 - gate) * colour * (1 - colour);
            if (!s.guided) continue;
            d->guidance[2 + c][m] = dv[1 + c] * gate;
            dgate += dv[1 + c] * (rgb[c * TILE + m] - colour);
        }
        d->out[4][m] = dgate * gate * (1 - gate);
    }
}

/* sums (rows,16) += y (rows,TILE), lane by lane */
static void add_lanes(int rows, const float *y, float *sums) {
    for (int r = 0; r < rows; r++) {
        plx_vector sum = plx_load(sums + r * PLX_LANES);
        for (int i = 0; i < TILE; i += PLX_LANES) sum += plx_load(y + r * TILE + i);
        plx_store(sums + r * PLX_LANES, sum);
    }
}

/* dw (rows,H) += left (rows,TILE) right (H,TILE)^T */
static void add_outer(int rows, int H, const float *left, const float *right, float *turned, float *dw) {
    plx_transpose(right, H, TILE, TILE, turned, (size_t)H);
    plx_product_run(PLX_ADD,
                    (plx_product){.R = rows, .K = TILE, .N = H, .w = {left, TILE, 1}, .x = turned, .y = dw});
}

/* y (ins,TILE) = w (outs,ins)^T x (outs,TILE), the first `rows` rows of it */
static plx_product layer_back(int rows, int ins, int outs, const float *w, const float *x, float *y) {
    return (plx_product){.R = rows, .K = outs, .N = TILE, .w = {w, 1, (size_t)ins}, .x = x, .y = y};
}

static void decode_back(plx_field_size s, const plx_field_tensors *p, const tile *q, tile_gradient *g,
                        const part *d) {
    const int H = s.H, I = plx_field_inputs(s), O = plx_field_outputs(s),
              planes = 3 * s.C + (s.guided ? 6 : 0);
    plx_product h2 = layer_back(H, H, O, p->w3, g->out[0], g->h2);
    plx_product h1 = layer_back(H, H, H, p->w2, g->h2, g->h1);
    h2.slope = q->slope2, h1.slope = q->slope1;
    plx_product_run(PLX_TIMES_SLOPE, h2);
    plx_product_run(PLX_TIMES_SLOPE, h1);
    plx_product_run(PLX_SUM, layer_back(planes, I, H, p->w1, g->h1, g->x));
    if (!d->w1) return;
    add_outer(O, H, g->out[0], q->h2, g->turned, d->w3);
    add_outer(H, H, q->h1, g->h2, g->turned, d->w2);
    add_outer(I, H, q->x, g->h1, g->turned, d->w1);
    add_lanes(O, g->out[0], d->b3);
    add_lanes(H, g->h2, d->b2);
    add_lanes(H, g->h1, d->b1);
}

static void look_up_back(plx_field_size s, const tile *q, int count, tile_gradient *g, const part *d) {
    const int C = s.C;
    if (d->xz) plx_taps_add(&q->xz, d->xz, 0, C, g->x + C * TILE, count);
    if (d->yz) plx_taps_add(&q->yz, d->yz, 0, C, g->x + 2 * C * TILE, count);
    if (!d->xy) return;
    plx_taps_add(&q->xy, d->xy, 0, C, g->x, count);
    if (!s.guided) return;
    const float *rgba = g->x + 3 * C * TILE, *behind = rgba + 4 * TILE;
    for (int i = 0; i < TILE; i++) {
        for (int k = 0; k < 4; k++) g->guidance[2 + k][i] += rgba[k * TILE + i];
        for (int k = 0; k < 2; k++) g->guidance[k][i] = -behind[k * TILE + i];
    }
    plx_taps_add(&q->xy, d->xy, C, 6, g->guidance[0], count);
}

/* ---- backward: the parts --------------------------------------------------------------------------------------- */

static void add_to(float *sum, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += x[i];
}

/* How backward is cut: few objects are cut further, and each such part then has planes of its own. */
typedef struct cutting {
    int cut, parts; /* parts an object, and in all */
    bool theta;
    size_t xy, xz, yz; /* floats of a plane */
    size_t size;       /* floats that a part owns */
} cutting;

static cutting cut_work(plx_field_size s, const plx_field_tensors *dp) {
    const size_t H = (size_t)s.H, I = (size_t)plx_field_inputs(s), C = (size_t)s.C;
    cutting c = {.cut = s.N >= PARTS ? 1 : (PARTS + s.N - 1) / s.N, .theta = dp->w1 != NULL};
    c.parts = s.N * c.cut;
    c.xy = (size_t)s.xy[0] * (size_t)s.xy[1] * (size_t)plx_field_xy_channels(s);
    c.xz = (size_t)s.xz[0] * (size_t)s.xz[1] * C;
    c.yz = (size_t)s.yz[0] * (size_t)s.yz[1] * C;
    const size_t weights = c.theta ? (I + H + OUTPUTS + 2 * PLX_LANES) * H + OUTPUTS * PLX_LANES : 0;
    const size_t planes = c.cut > 1 ? (dp->xy ? c.xy : 0) + (dp->xz ? c.xz : 0) + (dp->yz ? c.yz : 0) : 0;
    c.size = (weights + planes + PLX_LANES - 1) / PLX_LANES * PLX_LANES;
    return c;
}

/* Part i's gradients in its own floats at `at`, or in the output where it shares them with nobody. */
static part place_part(const cutting *c, plx_field_size s, const plx_field_tensors *dp, int i, float *at) {
    const size_t H = (size_t)s.H, I = (size_t)plx_field_inputs(s), n = (size_t)(i / c->cut);
    const bool own = c->cut > 1;
    part d = {0};
    if (c->theta) {
        d.w1 = at, at += I * H;
        d.w2 = at, at += H * H;
        d.w3 = at, at += OUTPUTS * H;
        d.b1 = at, at += H * PLX_LANES;
        d.b2 = at, at += H * PLX_LANES;
        d.b3 = at, at += OUTPUTS * PLX_LANES;
    }
    if (dp->xy) d.xy = own ? at : dp->xy + n * c->xy;
    if (dp->xy && own) at += c->xy;
    if (dp->xz) d.xz = own ? at : dp->xz + n * c->xz;
    if (dp->xz && own) at += c->xz;
    if (dp->yz) d.yz = own ? at : dp->yz + n * c->yz;
    return d;
}

static void run_part(plx_field_size s, const cutting *c, const plx_field_tensors *p, plx_points points,
                     const float *dvalues, int i, const part *d) {
    tile q;
    tile_gradient g;
    const size_t hidden = (size_t)s.H * TILE;
    float *own = plx_scratch(PLX_SCRATCH_WORKER, 2 * tile_floats(s));
    tile_place(&q, s, true, own);
    g.h1 = own + tile_floats(s), g.h2 = g.h1 + hidden, g.turned = g.h2 + hidden, g.x = g.turned + hidden;
    const int n = i / c->cut, begin = points.start[n], end = points.start[n + 1],
              tiles = (end - begin + TILE - 1) / TILE;
    const int from = (int)((long)tiles * (i % c->cut) / c->cut),
              to = (int)((long)tiles * (i % c->cut + 1) / c->cut);
    for (int t = from; t < to; t++) {
        const int first = begin + t * TILE, count = end - first < TILE ? end - first : TILE;
        tile_forward(s, p, n, points.coords + 5 * (size_t)first, count, &q);
        outputs_back(s, &q, dvalues + 4 * (size_t)first, count, &g);
        decode_back(s, p, &q, &g, d);
        look_up_back(s, &q, count, &g, d);
    }
}

static void add_transposed(float *sum, const float *x, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) sum[c * rows + r] += x[r * columns + c];
}

static void add_sums(float *sum, const float *lanes, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += plx_sum(plx_load(lanes + i * PLX_LANES));
}

static void add_weights(plx_field_size s, const part *d, const plx_field_tensors *dp) {
    const size_t H = (size_t)s.H, O = (size_t)plx_field_outputs(s);
    add_transposed(dp->w1, d->w1, (size_t)plx_field_inputs(s), H);
    add_transposed(dp->w2, d->w2, H, H);
    add_to(dp->w3, d->w3, O * H);
    add_sums(dp->b1, d->b1, H);
    add_sums(dp->b2, d->b2, H);
    add_sums(dp->b3, d->b3, O);
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
    check_size(s);
    const cutting c = cut_work(s, dp);
    const size_t table = ((size_t)c.parts * sizeof(part) / sizeof(float) + PLX_LANES) / PLX_LANES * PLX_LANES;
    float *scratch = plx_scratch(PLX_SCRATCH_CALL, table + c.size * (size_t)c.parts), *own = scratch + table;
    part *d = (part *)scratch;
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < c.parts; i++) {
        plx_flush_denormals();
        d[i] = place_part(&c, s, dp, i, memset(own + c.size * (size_t)i, 0, c.size * sizeof(float)));
        run_part(s, &c, p, points, dvalues, i, &d[i]);
    }
    for (int i = 0; i < c.parts && c.theta; i++) add_weights(s, &d[i], dp);
    for (int n = 0; n < s.N && c.cut > 1; n++) {
        const part *first = &d[n * c.cut];
        size_t object = (size_t)n;
        if (dp->xy) add_copies(dp->xy + object * c.xy, first->xy, c.cut, c.size, c.xy);
        if (dp->xz) add_copies(dp->xz + object * c.xz, first->xz, c.cut, c.size, c.xz);
        if (dp->yz) add_copies(dp->yz + object * c.yz, first->yz, c.cut, c.size, c.yz);
    }
}

void plx_kernels_field_cpu(plx_kernels *table) {
    table->field_fwd = field_fwd;
    table->field_bwd = field_bwd;
    plx_kernels_field_rays(table);
}
