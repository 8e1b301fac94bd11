/* Winograd's convolution F(4x4,3x3) (Lavin & Gray 2016) on nhwc.
 *
 * With U = G w G^T and X = B^T x B for a tile of 6x6 inputs, the 4x4 outputs are A^T (sum_i U X) A: sums over channels
 * are 36 matrix products, one for each element k of 6x6. Gradients of inputs are the same convolution with the
 * weights turned and their channels exchanged. Gradients of weights: with Y = A dy A^T, dU = sum_tiles Y X and
 * dw = G^T dU G.
 *
 * Outputs of many tiles: a thread takes a block of them through transforms and products inside its own cache; of few: it
 * takes all of them, and a block of output channels. Weight gradients: all tiles of a chunk are transformed, then a
 * thread takes a block of channels through sums over tiles and the transform. Blocks and chunks follow from the
 * problem's size, and no sum is split among threads. */
#include "nerf/tensor/winograd.h"
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/scratch.h"
#include "nerf/tensor/winograd_transforms.h"

typedef plx_lanes lanes;
typedef lanes lanes_unaligned __attribute__((aligned(4), may_alias));

/* A product's inner block has ROWS rows of PANEL outputs (a last panel may have 16), in 16 registers or in 12. */
enum { LANES = PLX_LANES, PANEL = 2 * LANES, ROWS = LANES == 16 ? 8 : 6 };

enum {
    TILES = LANES == 16 ? 16 : 24,            /* of a thread's block, at most: 2 ROWS times a number */
    FEW = 64,                                 /* tiles: below, threads share output channels, not tiles */
    OUT = 16,                                 /* output channels of a block of weight gradients */
    CACHED = 4 << 20,                         /* bytes; larger arrays are written past the cache */
    CHUNK_BYTES = (LANES == 16 ? 8 : 2) << 20 /* of transformed tiles, in weight gradients */
};

static inline lanes load(const float *p) {
    return *(const lanes_unaligned *)p;
}

static inline void store(float *p, lanes v) {
    *(lanes_unaligned *)p = v;
}

static inline void stream(float *p, lanes v, bool past_cache) {
#ifdef __AVX512F__
    if (past_cache) {
        _mm512_stream_ps(p, (__m512)v);
        return;
    }
#endif
    (void)past_cache;
    store(p, v);
}

static inline void stream_end(void) {
#ifdef __AVX512F__
    _mm_sfence();
#endif
}

/* ---- channels: counted in 16s, the last of them partly there -------------------------------------------------- */

static inline int whole(int channels) {
    return (channels + 15) / 16 * 16;
}

/* The first `count` of LANES channels, and zeros. */
static inline lanes load_part(const float *p, int count) {
    if (count >= LANES) return load(p);
    float all[LANES] = {0};
    for (int c = 0; c < count; c++) all[c] = p[c];
    return load(all);
}

static inline void store_part(float *p, lanes v, int count) {
    if (count >= LANES) {
        store(p, v);
        return;
    }
    for (int c = 0; c < count; c++) p[c] = v[c];
}

/* ---- the products' inner blocks ----------------------------------------------------------------------------- */

/* C (rows, vectors of LANES) = sum_k A_rk B_k, A_rk = A[r row + k step]. rows, vectors: constants. */
static inline __attribute__((always_inline)) void block(int rows, int vectors, size_t K, const float *A,
                                                        size_t row, size_t step, const float *B, size_t ldb,
                                                        float *C, size_t ldc) {
    lanes c[ROWS][PANEL / LANES] = {0};
    for (size_t k = 0; k < K; k++) {
        lanes b[PANEL / LANES];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) b[v] = load(B + k * ldb + (size_t)(v * LANES));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const lanes a = A[(size_t)r * row + k * step] - (lanes){0};
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) c[r][v] += a * b[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) store(C + (size_t)r * ldc + v * LANES, c[r][v]);
}

/* C (ROWS,width) = A (ROWS,K) B (K,width); width: PANEL or 16 */
static inline void product(int width, size_t K, const float *A, size_t lda, const float *B, float *C,
                           size_t ldc) {
    if (width == PANEL)
        block(ROWS, PANEL / LANES, K, A, lda, 1, B, PANEL, C, ldc);
    else
        block(ROWS, 16 / LANES, K, A, lda, 1, B, 16, C, ldc);
}

/* C (OUT,width) = A^T B over T tiles, A's rows OUT apart, B's and C's PANEL apart */
static inline void outer(int width, size_t T, const float *A, const float *B, float *C) {
    const int whole_blocks = OUT - OUT % ROWS;
    for (int r = 0; r < whole_blocks; r += ROWS)
        if (width == PANEL)
            block(ROWS, PANEL / LANES, T, A + r, 1, OUT, B, PANEL, C + r * PANEL, PANEL);
        else
            block(ROWS, 16 / LANES, T, A + r, 1, OUT, B, PANEL, C + r * PANEL, PANEL);
    if (whole_blocks < OUT)
        block(OUT - whole_blocks, PANEL / LANES, T, A + whole_blocks, 1, OUT, B, PANEL,
              C + whole_blocks * PANEL, PANEL);
}

/* ---- tiles -------------------------------------------------------------------------------------------------- */

typedef struct image {
    int N, H, W;
    size_t across, down, tiles; /* tiles of a row, rows of tiles, of all samples */
} image;

typedef struct tile {
    int n, y, x; /* sample; top left output pixel */
} tile;

static image image_of(plx_conv_size s) {
    image m = {s.N, s.H, s.W, (size_t)(s.W + 3) / 4, (size_t)(s.H + 3) / 4, 0};
    m.tiles = (size_t)s.N * m.across * m.down;
    return m;
}

static tile tile_at(image m, size_t t) {
    return (tile){(int)(t / (m.across * m.down)), 4 * (int)(t / m.across % m.down), 4 * (int)(t % m.across)};
}

/* Where the pixels of a tile are: 6x6 inputs (from = -1) or 4x4 outputs (from = 0). Pixels outside the image are read
 * as zeros: their mask makes every channel the first of `zeros`. */
typedef struct window {
    const float *pixel[36];
    size_t mask[36];
} window;

static void place_window(window *p, image m, tile t, int from, int size, const float *data, int C) {
    static const float zeros[16] = {0};
    for (int r = 0; r < size; r++)
        for (int c = 0; c < size; c++) {
            const int y = t.y + from + r, x = t.x + from + c;
            const bool inside = y >= 0 && y < m.H && x >= 0 && x < m.W;
            p->pixel[r * size + c] = inside ? data + (((size_t)t.n * m.H + y) * m.W + x) * (size_t)C : zeros;
            p->mask[r * size + c] = inside ? ~(size_t)0 : 0;
        }
}

static inline lanes window_load(const window *p, int k, int channel, int count) {
    return load_part(p->pixel[k] + ((size_t)channel & p->mask[k]), count);
}

/* X (36,...) of one tile, elements k `stride` apart, channel c at to[c]. */
static void transform_input(image m, size_t t, const float *x, int C, float *to, size_t stride) {
    window p;
    place_window(&p, m, tile_at(m, t), -1, 6, x, C);
    for (int c = 0; c < whole(C); c += LANES) {
#define LOAD(k) window_load(&p, k, c, C - c)
#define STORE(k, v) store(to + (size_t)(k)*stride + c, v)
        PLX_WINO_2D(plx_wino_input, 6, 6, LOAD, STORE);
#undef LOAD
#undef STORE
    }
}

/* y = A^T Y A + b, or y += it, for channels begin .. end-1; Y begins with the first of them. */
static void transform_output(image m, size_t t, const float *Y, size_t stride, int begin, int end,
                             const float *b, bool adds, float *y, int C) {
    const tile p = tile_at(m, t);
    const int rows = m.H - p.y < 4 ? m.H - p.y : 4, columns = m.W - p.x < 4 ? m.W - p.x : 4;
    float *corner = y + (((size_t)p.n * m.H + p.y) * m.W + p.x) * (size_t)C;
    for (int o = begin; o < end; o += LANES) {
        lanes out[16];
#define LOAD(k) load(Y + (size_t)(k)*stride + (o - begin))
#define STORE(k, v) out[k] = v
        PLX_WINO_2D(plx_wino_output, 6, 4, LOAD, STORE);
#undef LOAD
#undef STORE
        const lanes bias = b ? load_part(b + o, C - o) : (lanes){0};
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) {
                float *at = corner + ((size_t)r * m.W + c) * (size_t)C + o;
                store_part(at, (adds ? load_part(at, C - o) : bias) + out[4 * r + c], C - o);
            }
    }
}

/* ---- outputs and input gradients ---------------------------------------------------------------------------- */

/* U as panels (36, O/32, I, 32), in the order of reading; the last of O = 16 (mod 32) is (I, 16). I, O: whole. The 36
 * parts are so many floats apart: 16 more than their size keep them off the same cache sets. */
static inline size_t part_step(int I, int O) {
    return (size_t)I * (size_t)O + 16;
}

static inline int panel_width(int O, int o) {
    return O - o / PANEL * PANEL < PANEL ? 16 : PANEL;
}

static inline float *panel_at(float *U, int I, int O, int o, int i) {
    const int first = o / PANEL * PANEL;
    return U + (size_t)first * (size_t)I + (size_t)(i * panel_width(O, o) + o % PANEL);
}

/* Rows i and i + step exchange their blocks of `step` lanes off the diagonal. */
#define EXCHANGE(v, step, low, high)                              \
    for (int i_ = 0; i_ < LANES; i_++) {                          \
        if (i_ & (step)) continue;                                \
        const lanes a_ = (v)[i_], b_ = (v)[i_ + (step)];          \
        (v)[i_] = __builtin_shufflevector(a_, b_, low);           \
        (v)[i_ + (step)] = __builtin_shufflevector(a_, b_, high); \
    }
#ifdef __AVX512F__
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#else
#define LOW1 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH1 1, 9, 3, 11, 5, 13, 7, 15
#define LOW2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH4 4, 5, 6, 7, 12, 13, 14, 15
#endif

/* v (LANES,LANES) transposed */
static inline void transpose(lanes *v) {
    EXCHANGE(v, 1, LOW1, HIGH1)
    EXCHANGE(v, 2, LOW2, HIGH2)
    EXCHANGE(v, 4, LOW4, HIGH4)
#ifdef __AVX512F__
    EXCHANGE(v, 8, LOW8, HIGH8)
#endif
}

/* U of LANES outputs from o and inputs from i, from w (O,3,3,I): input i + r at to[r width], parts `step` apart. */
static void transform_weights(plx_conv_size s, const float *w, int o, int i, float *to, int width,
                              size_t step, bool past_cache) {
    lanes taps[9][LANES] = {0}; /* [tap][i] over outputs */
    for (int k = 0; k < 9; k++) {
        for (int r = 0; r < LANES && o + r < s.O; r++)
            taps[k][r] = load_part(w + ((size_t)(o + r) * 9 + (size_t)k) * (size_t)s.I + i, s.I - i);
        transpose(taps[k]);
    }
    for (int r = 0; r < LANES; r++) {
        float *at = to + r * width;
#define LOAD(k) taps[k][r]
#define STORE(k, v) stream(at + (size_t)(k)*step, v, past_cache)
        PLX_WINO_2D(plx_wino_weight, 3, 6, LOAD, STORE);
#undef LOAD
#undef STORE
    }
}

/* The same for the input gradients' convolution: s.I output gradients (w's O) to s.O inputs (w's I), taps turned. */
static void transform_turned_weights(plx_conv_size s, const float *w, int o, int i, float *to, int width,
                                     size_t step, bool past_cache) {
    for (int r = 0; r < LANES; r++) {
        const float *from = w + (size_t)(i + r) * 9 * (size_t)s.O + o;
        const int count = i + r < s.I ? s.O - o : 0;
        float *at = to + r * width;
#define LOAD(k) load_part(from + (size_t)(8 - (k)) * (size_t)s.O, count)
#define STORE(k, v) stream(at + (size_t)(k)*step, v, past_cache)
        PLX_WINO_2D(plx_wino_weight, 3, 6, LOAD, STORE);
#undef LOAD
#undef STORE
    }
}

/* One convolution: y = x * w + b, or y += x * w; `turned`: with the weights of the other direction. */
typedef struct operands {
    const float *x, *w, *b;
    float *y;
    bool turned, adds;
} operands;

static void transform_weights_of(const operands *p, plx_conv_size s, int o, int i, float *to, int width,
                                 size_t step, bool past_cache) {
    (p->turned ? transform_turned_weights : transform_weights)(s, p->w, o, i, to, width, step, past_cache);
}

/* Tiles begin .. end-1 (16 at most) through both transforms and the 36 products. Rows up to whole blocks of 8 are
 * computed from whatever is there, and not used. */
static void convolve_tiles(plx_conv_size s, image m, size_t begin, size_t end, const operands *p,
                           const float *U) {
    /* 16 floats more keep the 36 parts off the same cache sets */
    const int width = whole(s.I), outputs = whole(s.O);
    const size_t I = (size_t)width, O = (size_t)outputs, sx = TILES * I + 16, sy = TILES * O + 16;
    float *X = plx_scratch(PLX_SCRATCH_WORKER, 36 * (sx + sy)), *Y = X + 36 * sx;
    for (size_t t = begin; t < end; t++) transform_input(m, t, p->x, s.I, X + (t - begin) * I, sx);
    for (size_t k = 0; k < 36; k++)
        for (size_t o = 0; o < O; o += PANEL)
            for (size_t row = 0; row < end - begin; row += ROWS)
                product(O - o < PANEL ? 16 : PANEL, I, X + k * sx + row * I, I,
                        U + k * part_step(width, outputs) + o * I, Y + k * sy + row * O + o, O);
    for (size_t t = begin; t < end; t++)
        transform_output(m, t, Y + (t - begin) * O, sy, 0, outputs, p->b, p->adds, p->y, s.O);
}

/* Many tiles: the weights are transformed first, then a thread takes a block of tiles. */
static void convolve_many(plx_conv_size s, image m, const operands *p) {
    const int I = whole(s.I), O = whole(s.O);
    const size_t step = part_step(I, O), block = m.tiles >= 4 * TILES ? TILES : TILES / 2;
    const bool past_cache = 36 * step * sizeof(float) > CACHED;
    float *U = plx_scratch(PLX_SCRATCH_CALL, 36 * step);
#pragma omp parallel
    {
        plx_flush_denormals();
#pragma omp for collapse(2) schedule(static) nowait
        for (int o = 0; o < O; o += LANES)
            for (int i = 0; i < I; i += LANES)
                transform_weights_of(p, s, o, i, panel_at(U, I, O, o, i), panel_width(O, o), step,
                                     past_cache);
        stream_end();
#pragma omp barrier
#pragma omp for schedule(dynamic, 1)
        for (size_t t = 0; t < m.tiles; t += block)
            convolve_tiles(s, m, t, t + block < m.tiles ? t + block : m.tiles, p, U);
    }
}

/* Outputs o .. o+15 of all tiles, X being transformed. */
static void convolve_outputs(plx_conv_size s, image m, int o, const operands *p, const float *X, size_t sx) {
    const int width = whole(s.I);
    const size_t I = (size_t)width, step = part_step(width, 16), sy = (m.tiles + ROWS) * 16;
    float *U = plx_scratch(PLX_SCRATCH_WORKER, 36 * (step + sy)), *Y = U + 36 * step;
    for (int c = 0; c < 16; c += LANES)
        for (int i = 0; i < width; i += LANES)
            transform_weights_of(p, s, o + c, i, U + i * 16 + c, 16, step, false);
    for (size_t k = 0; k < 36; k++)
        for (size_t row = 0; row < m.tiles; row += ROWS)
            product(16, I, X + k * sx + row * I, I, U + k * step, Y + k * sy + row * 16, 16);
    for (size_t t = 0; t < m.tiles; t++)
        transform_output(m, t, Y + t * 16, sy, o, o + 16, p->b, p->adds, p->y, s.O);
}

/* Few tiles: all of them are transformed first, then a thread takes a block of outputs with their weights, which stay in
 * its cache. */
static void convolve_few(plx_conv_size s, image m, const operands *p) {
    const size_t I = (size_t)whole(s.I), sx = (m.tiles + ROWS) * I + 16;
    float *X = plx_scratch(PLX_SCRATCH_CALL, 36 * sx);
#pragma omp parallel
    {
        plx_flush_denormals();
#pragma omp for schedule(static)
        for (size_t t = 0; t < m.tiles; t++) transform_input(m, t, p->x, s.I, X + t * I, sx);
#pragma omp for schedule(static)
        for (int o = 0; o < whole(s.O); o += 16) convolve_outputs(s, m, o, p, X, sx);
    }
}

static void convolve(plx_conv_size s, const operands *p) {
    const image m = image_of(s);
    (m.tiles < FEW ? convolve_few : convolve_many)(s, m, p);
}

bool plx_winograd_fits(plx_conv_size s) {
    return s.K == 3 && s.stride == 1 && s.H >= 4 && s.W >= 4 &&
           2 * whole(s.I) * whole(s.O) <= 3 * s.I * s.O; /* at most a third for nothing */
}

void plx_winograd_fwd(plx_conv_size s, const float *x, const float *w, const float *b, float *y) {
    convolve(s, &(operands){.x = x, .w = w, .b = b, .y = y});
}

void plx_winograd_bwd_x(plx_conv_size s, const float *w, const float *dy, float *dx) {
    const int I = s.I;
    s.I = s.O;
    s.O = I;
    convolve(s, &(operands){.x = dy, .w = w, .y = dx, .turned = true, .adds = true});
}

/* ---- weight gradients --------------------------------------------------------------------------------------- */

/* The transformed tiles of a chunk: X (I/32 and up, 36, T, 32) and Y (O/16, 36, T, 16), parts a little apart for the cache. */
typedef struct chunk {
    size_t begin, end;
    size_t sx, sy; /* floats between elements k */
    float *X, *Y;
    bool past_cache;
} chunk;

static void transform_chunk(plx_conv_size s, image m, const chunk *q, const float *x, const float *dy) {
#pragma omp for schedule(static) nowait
    for (size_t t = q->begin; t < q->end; t++) {
        window p;
        place_window(&p, m, tile_at(m, t), -1, 6, x, s.I);
        for (int i = 0; i < whole(s.I); i += LANES) {
            float *to =
                q->X + (size_t)(i / PANEL) * 36 * q->sx + (t - q->begin) * PANEL + (size_t)(i % PANEL);
#define LOAD(k) window_load(&p, k, i, s.I - i)
#define STORE(k, v) stream(to + (size_t)(k)*q->sx, v, q->past_cache)
            PLX_WINO_2D(plx_wino_input, 6, 6, LOAD, STORE);
#undef LOAD
#undef STORE
        }
    }
#pragma omp for schedule(static) nowait
    for (size_t t = q->begin; t < q->end; t++) {
        window p;
        place_window(&p, m, tile_at(m, t), 0, 4, dy, s.O);
        for (int o = 0; o < whole(s.O); o += LANES) {
            float *to = q->Y + (size_t)(o / OUT) * 36 * q->sy + (t - q->begin) * OUT + (size_t)(o % OUT);
#define LOAD(k) window_load(&p, k, o, s.O - o)
#define STORE(k, v) stream(to + (size_t)(k)*q->sy, v, q->past_cache)
            PLX_WINO_2D(plx_wino_output_gradient, 4, 6, LOAD, STORE);
#undef LOAD
#undef STORE
        }
    }
    stream_end();
#pragma omp barrier
}

/* dw += G^T (Y^T X) G for 16 output and 32 input channels, or the 16 that are left. */
static void add_weight_block(plx_conv_size s, const chunk *q, int o, int i, float *dw) {
    enum { STRIDE = OUT * PANEL + 16 };
    const float *X = q->X + (size_t)(i / PANEL) * 36 * q->sx, *Y = q->Y + (size_t)(o / OUT) * 36 * q->sy;
    float *dU = plx_scratch(PLX_SCRATCH_WORKER, 36 * STRIDE);
    const int width = whole(s.I) - i < PANEL ? 16 : PANEL, rows = s.O - o < OUT ? s.O - o : OUT;
    for (size_t k = 0; k < 36; k++)
        outer(width, q->end - q->begin, Y + k * q->sy, X + k * q->sx, dU + k * STRIDE);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < width; c += LANES) {
            const float *from = dU + (size_t)(r * PANEL + c);
            float *to = dw + (size_t)(o + r) * 9 * (size_t)s.I + i + c;
            const int count = s.I - i - c;
#define LOAD(k) load(from + (size_t)(k)*STRIDE)
#define STORE(k, v)                             \
    float *at = to + (size_t)(k) * (size_t)s.I; \
    store_part(at, load_part(at, count) + v, count)
            PLX_WINO_2D(plx_wino_weight_gradient, 6, 3, LOAD, STORE);
#undef LOAD
#undef STORE
        }
}

void plx_winograd_bwd_w(plx_conv_size s, const float *x, const float *dy, float *dw) {
    const image m = image_of(s);
    const size_t tile_bytes = 36 * sizeof(float) * (size_t)(s.I + s.O);
    const size_t chunks = (m.tiles * tile_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    const size_t T = (m.tiles + chunks - 1) / chunks;
    chunk q = {.sx = T * PANEL + 80, .sy = T * OUT + 80, .past_cache = T * tile_bytes > CACHED};
    const size_t sizes[2] = {(size_t)((s.I + PANEL - 1) / PANEL) * 36 * q.sx,
                             (size_t)(whole(s.O) / OUT) * 36 * q.sy};
    q.X = plx_scratch(PLX_SCRATCH_CALL, sizes[0] + sizes[1]);
    q.Y = q.X + sizes[0];
#pragma omp parallel firstprivate(q)
    {
        plx_flush_denormals();
        for (q.begin = 0; q.begin < m.tiles; q.begin += T) {
            q.end = q.begin + T < m.tiles ? q.begin + T : m.tiles;
            transform_chunk(s, m, &q, x, dy);
#pragma omp for collapse(2) schedule(dynamic, 2)
            for (int i = 0; i < s.I; i += PANEL)
                for (int o = 0; o < s.O; o += OUT) add_weight_block(s, &q, o, i, dw);
        }
    }
}
