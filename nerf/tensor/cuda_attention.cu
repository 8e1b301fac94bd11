/* Attention by tiles of 64 queries and 64 keys of one head; the matrix of scores is never whole (Dao et al. 2022, alg. 1 and 4).
 *
 * A block's 256 threads stand as 16 x 16, each with 4 x 4 of a tile's scores. Scores come from chunks of 32 channels in shared
 * memory; a block writes a slice of D channels of its rows, D = 16, 32 or 64 (heads wider than 64 take several blocks, which
 * compute the scores again). Backward: one kernel has a block for a tile of queries and gives dq, the other one for a tile of keys and
 * gives dk and dv: each sum has one owner and a fixed order. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_kernels.h"

enum {
    THREADS = 256,
    ROWS = 64,     /* of a tile, of queries and of keys */
    CHANNELS = 32, /* of a chunk */
    PITCH = ROWS + 4,
    CHUNK_FLOATS = CHANNELS * PITCH,
    SCORE_FLOATS = ROWS * PITCH
};

/* One head of one sample: rows are `step` floats apart, so that row i starts at i * step. */
struct head {
    int Q, K, d;
    size_t step, q_at, k_at; /* where the head starts in q, y and in k, v */
    size_t row_at;           /* in lse (N,heads,Q) */
    float scale;
};

static __device__ __forceinline__ head head_of(plx_attention_size s, unsigned block) {
    const unsigned n = block / (unsigned)s.heads, h = block % (unsigned)s.heads;
    head a;
    a.Q = s.Q, a.K = s.K, a.d = s.d;
    a.step = (size_t)s.heads * s.d;
    a.q_at = (size_t)n * s.Q * a.step + (size_t)h * s.d;
    a.k_at = (size_t)n * s.K * a.step + (size_t)h * s.d;
    a.row_at = (size_t)block * s.Q;
    a.scale = rsqrtf((float)s.d);
    return a;
}

/* Channels c .. c+3 of a row, 0 from channel `channels` on. */
static __device__ __forceinline__ float4 four_channels(const float *row, int c, int channels, bool fours) {
    if (fours && c + 4 <= channels) return *(const float4 *)(row + c);
    return make_float4(c < channels ? row[c] : 0, c + 1 < channels ? row[c + 1] : 0,
                       c + 2 < channels ? row[c + 2] : 0, c + 3 < channels ? row[c + 3] : 0);
}

/* to[c][row] (PITCH floats a channel): channels c0 .. c0+31 of up to 64 rows, 0 beyond. */
static __device__ __forceinline__ void load_chunk(float *to, const float *from, size_t step, int rows, int c0,
                                                  int d, bool fours) {
    for (int i = (int)threadIdx.x; i < ROWS * CHANNELS / 4; i += THREADS) {
        const int row = i / (CHANNELS / 4), c = i % (CHANNELS / 4) * 4;
        float4 v = make_float4(0, 0, 0, 0);
        if (row < rows) v = four_channels(from + (size_t)row * step, c0 + c, d, fours);
        to[(c + 0) * PITCH + row] = v.x;
        to[(c + 1) * PITCH + row] = v.y;
        to[(c + 2) * PITCH + row] = v.z;
        to[(c + 3) * PITCH + row] = v.w;
    }
}

/* to[row][c], D channels a row: channels c0 .. c0+D-1. */
template <int D>
static __device__ __forceinline__ void load_rows(float *to, const float *from, size_t step, int rows, int c0,
                                                 int d, bool fours) {
    for (int i = (int)threadIdx.x; i < ROWS * D / 4; i += THREADS) {
        const int row = i / (D / 4), c = i % (D / 4) * 4;
        float4 v = make_float4(0, 0, 0, 0);
        if (row < rows) v = four_channels(from + (size_t)row * step, c0 + c, d, fours);
        *(float4 *)(to + row * D + c) = v;
    }
}

/* A thread's part of a tile: rows 4 ty .. +3, columns 4 tx .. +3. */
struct part {
    float v[4][4];
};

/* part += sum over a chunk's channels of a[c][row] b[c][column] */
static __device__ __forceinline__ void outer(part *s, const float *a, const float *b) {
    const int tx = (int)(threadIdx.x % 16) * 4, ty = (int)(threadIdx.x / 16) * 4;
#pragma unroll 8
    for (int c = 0; c < CHANNELS; c++) {
        const float4 u = *(const float4 *)(a + c * PITCH + ty), w = *(const float4 *)(b + c * PITCH + tx);
        const float rows[4] = {u.x, u.y, u.z, u.w}, columns[4] = {w.x, w.y, w.z, w.w};
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) s->v[i][j] += rows[i] * columns[j];
    }
}

/* Products of rows of a and b over all d channels; chunks pass through `left` and `right`. */
static __device__ __forceinline__ part products(const float *a, int a_rows, const float *b, int b_rows,
                                                size_t step, int d, bool fours, float *left, float *right) {
    part s = {};
    for (int c = 0; c < d; c += CHANNELS) {
        __syncthreads(); /* the chunks before are no longer read */
        load_chunk(left, a, step, a_rows, c, d, fours);
        load_chunk(right, b, step, b_rows, c, d, fours);
        __syncthreads();
        outer(&s, left, right);
    }
    return s;
}

/* to[column][row] = part */
static __device__ __forceinline__ void put(float *to, const part *s) {
    const int tx = (int)(threadIdx.x % 16) * 4, ty = (int)(threadIdx.x / 16) * 4;
    for (int j = 0; j < 4; j++)
        *(float4 *)(to + (tx + j) * PITCH + ty) = make_float4(s->v[0][j], s->v[1][j], s->v[2][j], s->v[3][j]);
}

/* A thread's part of the result: rows 4 ty .. +3, D / 16 channels from tx D / 16 on. */
template <int D> struct slice { float v[4][D / 16]; };

/* slice += sum over the columns j of scores[j][row] rows[j][channel] */
template <int D>
static __device__ __forceinline__ void gather(slice<D> *out, const float *scores, const float *rows) {
    enum { W = D / 16 };
    const int tx = (int)(threadIdx.x % 16) * W, ty = (int)(threadIdx.x / 16) * 4;
#pragma unroll 4
    for (int j = 0; j < ROWS; j++) {
        const float4 p = *(const float4 *)(scores + j * PITCH + ty);
        const float of[4] = {p.x, p.y, p.z, p.w};
        for (int c = 0; c < W; c++) {
            const float v = rows[j * D + tx + c];
            for (int i = 0; i < 4; i++) out->v[i][c] += of[i] * v;
        }
    }
}

template <int D>
static __device__ __forceinline__ void add_to(float *to, const slice<D> *out, size_t step, int rows, int c0,
                                              int d) {
    enum { W = D / 16 };
    const int tx = c0 + (int)(threadIdx.x % 16) * W, ty = (int)(threadIdx.x / 16) * 4;
    for (int i = 0; i < 4 && ty + i < rows; i++)
        for (int c = 0; c < W && tx + c < d; c++) to[(size_t)(ty + i) * step + tx + c] += out->v[i][c];
}

/* Over the 16 threads that share rows: they are neighbours in a warp. */
static __device__ __forceinline__ float row_max(float x) {
    for (int by = 8; by > 0; by /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, by));
    return x;
}
static __device__ __forceinline__ float row_sum(float x) {
    for (int by = 8; by > 0; by /= 2) x += __shfl_xor_sync(0xffffffffu, x, by);
    return x;
}

#define SHARED_FLOATS(D) (2 * CHUNK_FLOATS + SCORE_FLOATS + ROWS * (D))

/* ---- forward ------------------------------------------------------------------------------------------------------- */

template <int D>
static __global__ __launch_bounds__(THREADS) void attention_forward(plx_attention_size s, bool fours,
                                                                    const float *q, const float *k,
                                                                    const float *v, float *lse, float *y) {
    enum { W = D / 16 };
    PLX_SHARED_DYNAMIC(float, left);
    float *const right = left + CHUNK_FLOATS, *const scores = right + CHUNK_FLOATS;
    float *const values = scores + SCORE_FLOATS;
    const head a = head_of(s, blockIdx.y);
    const int first = (int)blockIdx.x * ROWS, rows = min(ROWS, a.Q - first), c0 = (int)blockIdx.z * D;
    const int tx = (int)(threadIdx.x % 16), ty = (int)(threadIdx.x / 16) * 4;
    const float *const qs = q + a.q_at + (size_t)first * a.step;
    float top[4], sum[4]; /* running maximum and sum of a row's exponentials */
    slice<D> out = {};
    for (int i = 0; i < 4; i++) top[i] = -INFINITY, sum[i] = 0;
    for (int key = 0; key < a.K; key += ROWS) {
        const int keys = min(ROWS, a.K - key);
        const size_t at = a.k_at + (size_t)key * a.step;
        part p = products(qs, rows, k + at, keys, a.step, a.d, fours, left, right);
        load_rows<D>(values, v + at, a.step, keys, c0, a.d, fours);
        for (int i = 0; i < 4; i++) {
            float most = -INFINITY, part_sum = 0;
            for (int j = 0; j < 4; j++) {
                p.v[i][j] = 4 * tx + j < keys ? a.scale * p.v[i][j] : -INFINITY;
                most = fmaxf(most, p.v[i][j]);
            }
            const float risen = fmaxf(top[i], row_max(most)), keep = expf(top[i] - risen);
            for (int j = 0; j < 4; j++) part_sum += p.v[i][j] = expf(p.v[i][j] - risen);
            sum[i] = keep * sum[i] + row_sum(part_sum);
            top[i] = risen;
            for (int c = 0; c < W; c++) out.v[i][c] *= keep;
        }
        put(scores, &p);
        __syncthreads();
        gather(&out, scores, values);
    }
    for (int i = 0; i < 4 && ty + i < rows; i++) {
        for (int c = 0; c < W && c0 + tx * W + c < a.d; c++)
            y[a.q_at + (size_t)(first + ty + i) * a.step + c0 + tx * W + c] = out.v[i][c] / sum[i];
        if (tx == 0 && blockIdx.z == 0) lse[a.row_at + first + ty + i] = top[i] + logf(sum[i]);
    }
}

/* kernel<D> for `rows` rows of every head of s, D the least that holds d channels, or 64. */
#define OVER_HEADS(kernel, s, rows, ...)                                                                   \
    do {                                                                                                   \
        const unsigned tiles = plx_cuda_blocks((size_t)(rows), ROWS), heads = (unsigned)(s).N * (s).heads; \
        const dim3 grid(tiles, heads, plx_cuda_blocks((size_t)(s).d, 64));                                 \
        if ((s).d <= 16)                                                                                   \
            PLX_LAUNCH(kernel<16>, grid, THREADS, SHARED_FLOATS(16) * sizeof(float), s, __VA_ARGS__);      \
        else if ((s).d <= 32)                                                                              \
            PLX_LAUNCH(kernel<32>, grid, THREADS, SHARED_FLOATS(32) * sizeof(float), s, __VA_ARGS__);      \
        else                                                                                               \
            PLX_LAUNCH(kernel<64>, grid, THREADS, SHARED_FLOATS(64) * sizeof(float), s, __VA_ARGS__);      \
    } while (0)

void plx_cuda_attention_fwd(plx_attention_size s, const float *q, const float *k, const float *v, float *lse,
                            float *y) {
    const bool fours = plx_cuda_fours((size_t)s.d, q, k, v);
    OVER_HEADS(attention_forward, s, s.Q, fours, q, k, v, lse, y);
}

/* ---- backward: the formula stands in op_attention.c ------------------------------------------------------------ */

/* drow (N,heads,Q) = sum over a head's channels of dy y: a warp a row. */
static __global__ __launch_bounds__(THREADS) void attention_rows(plx_attention_size s, const float *y,
                                                                 const float *dy, float *drow) {
    const size_t row = (size_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32;
    if (row >= (size_t)s.N * s.heads * s.Q) return; /* the whole warp */
    size_t n = row;
    const unsigned i = plx_take(&n, (unsigned)s.Q), h = plx_take(&n, (unsigned)s.heads);
    const size_t at = ((n * s.Q + i) * s.heads + h) * s.d;
    float sum = 0;
    for (int c = (int)(threadIdx.x % 32); c < s.d; c += 32) sum += dy[at + c] * y[at + c];
    sum = plx_warp_sum(sum);
    if (threadIdx.x % 32 == 0) drow[row] = sum;
}

/* A block for a tile of queries: dq += s dS k. */
template <int D>
static __global__
__launch_bounds__(THREADS) void attention_query_gradients(plx_attention_size s, bool fours, const float *q,
                                                          const float *k, const float *v, const float *lse,
                                                          const float *drow, const float *dy, float *dq) {
    PLX_SHARED_DYNAMIC(float, left);
    float *const right = left + CHUNK_FLOATS, *const scores = right + CHUNK_FLOATS;
    float *const values = scores + SCORE_FLOATS;
    const head a = head_of(s, blockIdx.y);
    const int first = (int)blockIdx.x * ROWS, rows = min(ROWS, a.Q - first), c0 = (int)blockIdx.z * D;
    const int tx = (int)(threadIdx.x % 16) * 4, ty = (int)(threadIdx.x / 16) * 4;
    const size_t own = a.q_at + (size_t)first * a.step;
    float top[4], of_row[4];
    for (int i = 0; i < 4; i++) {
        const bool inside = ty + i < rows;
        top[i] = inside ? lse[a.row_at + first + ty + i] : 0;
        of_row[i] = inside ? drow[a.row_at + first + ty + i] : 0;
    }
    slice<D> out = {};
    for (int key = 0; key < a.K; key += ROWS) {
        const int keys = min(ROWS, a.K - key);
        const size_t at = a.k_at + (size_t)key * a.step;
        const part p = products(q + own, rows, k + at, keys, a.step, a.d, fours, left, right);
        part ds = products(dy + own, rows, v + at, keys, a.step, a.d, fours, left, right);
        load_rows<D>(values, k + at, a.step, keys, c0, a.d, fours);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                ds.v[i][j] = tx + j < keys
                                 ? a.scale * expf(a.scale * p.v[i][j] - top[i]) * (ds.v[i][j] - of_row[i])
                                 : 0;
        put(scores, &ds);
        __syncthreads();
        gather(&out, scores, values);
    }
    add_to<D>(dq + own, &out, a.step, rows, c0, a.d);
}

/* A block for a tile of keys: dv += P^T dy, dk += s dS^T q. Rows are keys, columns are queries. */
template <int D>
static __global__ __launch_bounds__(THREADS) void attention_key_gradients(plx_attention_size s, bool fours,
                                                                          const float *q, const float *k,
                                                                          const float *v, const float *lse,
                                                                          const float *drow, const float *dy,
                                                                          float *dk, float *dv) {
    PLX_SHARED_DYNAMIC(float, left);
    float *const right = left + CHUNK_FLOATS, *const scores = right + CHUNK_FLOATS;
    float *const values = scores + SCORE_FLOATS;
    const head a = head_of(s, blockIdx.y);
    const int first = (int)blockIdx.x * ROWS, rows = min(ROWS, a.K - first), c0 = (int)blockIdx.z * D;
    const int tx = (int)(threadIdx.x % 16) * 4;
    const size_t own = a.k_at + (size_t)first * a.step;
    slice<D> of_k = {}, of_v = {};
    for (int query = 0; query < a.Q; query += ROWS) {
        const int queries = min(ROWS, a.Q - query);
        const size_t at = a.q_at + (size_t)query * a.step, row_at = a.row_at + query + tx;
        part p = products(k + own, rows, q + at, queries, a.step, a.d, fours, left, right);
        for (int j = 0; j < 4; j++) {
            const float top = tx + j < queries ? lse[row_at + j] : INFINITY; /* then P = 0 */
            for (int i = 0; i < 4; i++) p.v[i][j] = expf(a.scale * p.v[i][j] - top);
        }
        if (dv) {
            load_rows<D>(values, dy + at, a.step, queries, c0, a.d, fours);
            put(scores, &p);
            __syncthreads();
            gather(&of_v, scores, values);
        }
        if (dk) {
            part ds = products(v + own, rows, dy + at, queries, a.step, a.d, fours, left, right);
            load_rows<D>(values, q + at, a.step, queries, c0, a.d, fours); /* products waited for gather */
            for (int j = 0; j < 4; j++) {
                const float of_row = tx + j < queries ? drow[row_at + j] : 0;
                for (int i = 0; i < 4; i++) ds.v[i][j] = a.scale * p.v[i][j] * (ds.v[i][j] - of_row);
            }
            put(scores, &ds);
            __syncthreads();
            gather(&of_k, scores, values);
        }
    }
    if (dk) add_to<D>(dk + own, &of_k, a.step, rows, c0, a.d);
    if (dv) add_to<D>(dv + own, &of_v, a.step, rows, c0, a.d);
}

void plx_cuda_attention_bwd(plx_attention_size s, const float *q, const float *k, const float *v,
                            const float *lse, const float *y, const float *dy, float *dq, float *dk,
                            float *dv) {
    const size_t rows = (size_t)s.N * (size_t)s.heads * (size_t)s.Q;
    const bool fours = plx_cuda_fours((size_t)s.d, q, k, v) && plx_cuda_fours(0, dy);
    float *const drow = plx_cuda_scratch(PLX_CUDA_ATTENTION, rows);
    if (dq || dk) PLX_LAUNCH(attention_rows, plx_cuda_blocks(rows, THREADS / 32), THREADS, 0, s, y, dy, drow);
    if (dq) OVER_HEADS(attention_query_gradients, s, s.Q, fours, q, k, v, lse, drow, dy, dq);
    if (dk || dv) OVER_HEADS(attention_key_gradients, s, s.K, fours, q, k, v, lse, drow, dy, dk, dv);
}
