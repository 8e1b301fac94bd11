/* Group norm, scale-shift and SiLU; the formulas stand in kernels_cpu_norm.c.
 *
 * A block has a tile of 32 channels and a chunk of pixels of one sample: 8 threads a row of the tile when they read four
 * channels (T = float4), else 32. Forward: sums of every chunk and channel, then each group's statistics from them in double,
 * then the values; x is read twice. Backward: S1 and S2 of every chunk and channel, then those of the groups in double, then dx;
 * x and dy are read twice. All sums have a fixed order. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_kernels.h"

enum {
    THREADS = 256,
    TILE = 32,   /* channels */
    CHUNK = 256, /* pixels */
    WARPS = THREADS / 32
};

struct sizes {
    int N, P, C, groups, chunks;
    bool silu;
};

static sizes sizes_of(plx_norm_size s) {
    return {s.N, s.P, s.C, s.groups, (s.P + CHUNK - 1) / CHUNK, s.silu};
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* T as an array of its channels. */
template <class T> struct lanes;
template <> struct lanes<float> {
    enum { WIDTH = 1 };
    float v[1];
    static __device__ __forceinline__ lanes load(const float *p) {
        return {{*p}};
    }
    __device__ __forceinline__ void store(float *p) const {
        *p = v[0];
    }
};
template <> struct lanes<float4> {
    enum { WIDTH = 4 };
    float v[4];
    static __device__ __forceinline__ lanes load(const float *p) {
        const float4 x = *(const float4 *)p;
        return {{x.x, x.y, x.z, x.w}};
    }
    __device__ __forceinline__ void store(float *p) const {
        *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    }
};

/* A thread's channels c .. c+WIDTH-1 of sample n, and its pixels begin, begin + ROWS, ... below end. */
template <class T> struct tile {
    enum { WIDTH = lanes<T>::WIDTH, COLUMNS = TILE / WIDTH, ROWS = THREADS / COLUMNS };
    int n, chunk, c, row, begin, end;
    bool inside; /* the channels exist */

    __device__ __forceinline__ tile(const sizes &s) {
        n = blockIdx.z;
        chunk = blockIdx.y;
        c = (int)(blockIdx.x * TILE + threadIdx.x % COLUMNS * WIDTH);
        row = (int)(threadIdx.x / COLUMNS);
        inside = c < s.C;
        begin = chunk * CHUNK + row;
        end = min(s.P, (chunk + 1) * CHUNK);
    }
    __device__ __forceinline__ size_t at(const sizes &s, int pixel) const {
        return ((size_t)n * s.P + pixel) * s.C + c;
    }
};

/* What a channel's values go through: u = a (x - mean) + b. */
template <class T> struct affine {
    float a[lanes<T>::WIDTH], b[lanes<T>::WIDTH], mean[lanes<T>::WIDTH], rstd[lanes<T>::WIDTH];
};

template <class T>
static __device__ __forceinline__ affine<T> affine_of(const sizes &s, const tile<T> &t, const float *gamma,
                                                      const float *beta, const float *scale_shift,
                                                      const float *mean_rstd) {
    affine<T> f;
    const int D = s.C / s.groups;
    for (int k = 0; k < tile<T>::WIDTH; k++) {
        const int c = t.c + k;
        const float *saved = mean_rstd + 2 * ((size_t)t.n * s.groups + c / D);
        const float scale = scale_shift ? 1 + scale_shift[(size_t)t.n * 2 * s.C + c] : 1;
        const float shift = scale_shift ? scale_shift[(size_t)t.n * 2 * s.C + s.C + c] : 0;
        f.mean[k] = saved[0];
        f.rstd[k] = saved[1];
        f.a[k] = saved[1] * gamma[c] * scale;
        f.b[k] = beta[c] * scale + shift;
    }
    return f;
}

/* Sums of `first` and `second` over the block's rows, in order; the first row's threads get them. */
template <class T>
static __device__ __forceinline__ void over_rows(const tile<T> &t, lanes<T> *first, lanes<T> *second) {
    enum { WIDTH = tile<T>::WIDTH, ROWS = tile<T>::ROWS };
    PLX_SHARED(float, sums, [2][ROWS][TILE]);
    const int column = (int)(threadIdx.x % tile<T>::COLUMNS) * WIDTH;
    for (int k = 0; k < WIDTH; k++) {
        sums[0][t.row][column + k] = first->v[k];
        sums[1][t.row][column + k] = second->v[k];
    }
    for (int half = ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t.row < half)
            for (int k = 0; k < WIDTH; k++) {
                sums[0][t.row][column + k] += sums[0][t.row + half][column + k];
                sums[1][t.row][column + k] += sums[1][t.row + half][column + k];
            }
    }
    for (int k = 0; k < WIDTH && t.row == 0; k++) {
        first->v[k] = sums[0][0][column + k];
        second->v[k] = sums[1][0][column + k];
    }
}

#define GRID(s) dim3((unsigned)((s).C + TILE - 1) / TILE, (unsigned)(s).chunks, (unsigned)(s).N)
#define OVER_TILES(kernel, fours, s, ...)                                    \
    do {                                                                     \
        if (fours)                                                           \
            PLX_LAUNCH(kernel<float4>, GRID(s), THREADS, 0, s, __VA_ARGS__); \
        else                                                                 \
            PLX_LAUNCH(kernel<float>, GRID(s), THREADS, 0, s, __VA_ARGS__);  \
    } while (0)

/* ---- forward ------------------------------------------------------------------------------------------------------- */

/* mean and squares (N,chunks,C): of each chunk and channel its mean and its sum of squared deviations from that. They are taken
 * from the chunk's first pixel, so that the squares do not cancel. */
template <class T>
static __global__ __launch_bounds__(THREADS) void norm_chunks(sizes s, const float *x, float *mean,
                                                              float *squares) {
    const tile<T> t(s);
    lanes<T> first = {}, sum = {}, square = {};
    if (t.inside) {
        first = lanes<T>::load(x + t.at(s, t.chunk * CHUNK));
        for (int p = t.begin; p < t.end; p += tile<T>::ROWS) {
            const lanes<T> value = lanes<T>::load(x + t.at(s, p));
            for (int k = 0; k < tile<T>::WIDTH; k++) {
                const float d = value.v[k] - first.v[k];
                sum.v[k] += d;
                square.v[k] += d * d;
            }
        }
    }
    over_rows(t, &sum, &square);
    if (!t.inside || t.row > 0) return;
    const float share = 1 / (float)(t.end - t.chunk * CHUNK);
    for (int k = 0; k < tile<T>::WIDTH; k++) {
        square.v[k] = fmaxf(square.v[k] - sum.v[k] * sum.v[k] * share, 0);
        sum.v[k] = first.v[k] + sum.v[k] * share;
    }
    const size_t to = ((size_t)t.n * s.chunks + t.chunk) * s.C + t.c;
    sum.store(mean + to);
    square.store(squares + to);
}

/* mean_rstd (N,groups,2), a warp a group: Chan, Golub & LeVeque 1979. */
static __global__ __launch_bounds__(THREADS) void norm_groups(sizes s, const float *mean,
                                                              const float *squares, float *mean_rstd) {
    const int group = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)(threadIdx.x % 32);
    if (group >= s.N * s.groups) return; /* the whole warp */
    const int D = s.C / s.groups, n = group / s.groups, c = group % s.groups * D;
    const size_t base = (size_t)n * s.chunks * s.C + c;
    double sum = 0, deviations = 0;
    for (int i = lane; i < s.chunks * D; i += 32) {
        const int chunk = i / D, count = min(CHUNK, s.P - chunk * CHUNK);
        sum += (double)mean[base + (size_t)chunk * s.C + i % D] * count;
    }
    const double all = (double)s.P * D, centre = plx_warp_sum(sum) / all;
    for (int i = lane; i < s.chunks * D; i += 32) {
        const int chunk = i / D, count = min(CHUNK, s.P - chunk * CHUNK);
        const size_t at = base + (size_t)chunk * s.C + i % D;
        const double d = mean[at] - centre;
        deviations += squares[at] + count * d * d;
    }
    deviations = plx_warp_sum(deviations);
    if (lane) return;
    mean_rstd[2 * group] = (float)centre;
    mean_rstd[2 * group + 1] = (float)(1 / sqrt(deviations / all + 1e-5));
}

template <class T>
static __global__ __launch_bounds__(THREADS) void norm_values(sizes s, const float *x, const float *gamma,
                                                              const float *beta, const float *scale_shift,
                                                              const float *mean_rstd, float *y) {
    const tile<T> t(s);
    if (!t.inside) return;
    const affine<T> f = affine_of(s, t, gamma, beta, scale_shift, mean_rstd);
    for (int p = t.begin; p < t.end; p += tile<T>::ROWS) {
        lanes<T> value = lanes<T>::load(x + t.at(s, p));
        for (int k = 0; k < tile<T>::WIDTH; k++) {
            const float u = f.a[k] * (value.v[k] - f.mean[k]) + f.b[k];
            value.v[k] = s.silu ? u * plx_sigmoid(u) : u;
        }
        value.store(y + t.at(s, p));
    }
}

void plx_cuda_norm_fwd(plx_norm_size size, const float *x, const float *gamma, const float *beta,
                       const float *scale_shift, float *mean_rstd, float *y) {
    const sizes s = sizes_of(size);
    const bool fours = plx_cuda_fours((size_t)s.C, x, y);
    if (!size.known) {
        const size_t sums = (size_t)s.N * (size_t)s.chunks * (size_t)s.C;
        float *const mean = plx_cuda_scratch(PLX_CUDA_NORM, 2 * sums), *const squares = mean + sums;
        OVER_TILES(norm_chunks, fours, s, x, mean, squares);
        PLX_LAUNCH(norm_groups, plx_cuda_blocks((size_t)s.N * (size_t)s.groups, WARPS), THREADS, 0, s, mean,
                   squares, mean_rstd);
    }
    OVER_TILES(norm_values, fours, s, x, gamma, beta, scale_shift, mean_rstd, y);
}

/* ---- backward ------------------------------------------------------------------------------------------------------ */

/* dL/du from dL/dy */
static __device__ __forceinline__ float through_silu(bool silu, float dy, float u) {
    if (!silu) return dy;
    const float q = plx_sigmoid(u);
    return dy * q * (1 + u * (1 - q));
}

/* first and second (N,chunks,C): of each chunk and channel S1 = sum du and S2 = sum du xhat. */
template <class T>
static __global__ __launch_bounds__(THREADS) void norm_chunk_gradients(
    sizes s, const float *x, const float *dy, const float *gamma, const float *beta, const float *scale_shift,
    const float *mean_rstd, float *first, float *second) {
    const tile<T> t(s);
    lanes<T> s1 = {}, s2 = {};
    if (t.inside) {
        const affine<T> f = affine_of(s, t, gamma, beta, scale_shift, mean_rstd);
        for (int p = t.begin; p < t.end; p += tile<T>::ROWS) {
            const lanes<T> value = lanes<T>::load(x + t.at(s, p)), dvalue = lanes<T>::load(dy + t.at(s, p));
            for (int k = 0; k < tile<T>::WIDTH; k++) {
                const float d = value.v[k] - f.mean[k];
                const float du = through_silu(s.silu, dvalue.v[k], f.a[k] * d + f.b[k]);
                s1.v[k] += du;
                s2.v[k] += du * (d * f.rstd[k]);
            }
        }
    }
    over_rows(t, &s1, &s2);
    if (!t.inside || t.row > 0) return;
    const size_t to = ((size_t)t.n * s.chunks + t.chunk) * s.C + t.c;
    s1.store(first + to);
    s2.store(second + to);
}

/* A warp a group: channels (N,C,2) get S1 and S2, means (N,groups,2) those of g du and g du xhat, g = gamma (1 + scale). */
static __global__ __launch_bounds__(THREADS) void norm_group_gradients(
    sizes s, const float *first, const float *second, const float *gamma, const float *beta,
    const float *scale_shift, double *channels, float *means, float *dscale_shift) {
    const int group = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)(threadIdx.x % 32);
    if (group >= s.N * s.groups) return;
    const int D = s.C / s.groups, n = group / s.groups;
    double m1 = 0, m2 = 0;
    for (int k = lane; k < D; k += 32) {
        const int c = group % s.groups * D + k;
        const size_t from = (size_t)n * s.chunks * s.C + c;
        double s1 = 0, s2 = 0;
        for (int chunk = 0; chunk < s.chunks; chunk++) {
            s1 += first[from + (size_t)chunk * s.C];
            s2 += second[from + (size_t)chunk * s.C];
        }
        const size_t row = (size_t)n * 2 * s.C + c;
        const double factor = gamma[c] * (1.0 + (scale_shift ? scale_shift[row] : 0));
        m1 += factor * s1;
        m2 += factor * s2;
        channels[2 * ((size_t)n * s.C + c)] = s1;
        channels[2 * ((size_t)n * s.C + c) + 1] = s2;
        if (dscale_shift) {
            dscale_shift[row] += (float)(gamma[c] * s2 + beta[c] * s1);
            dscale_shift[row + s.C] += (float)s1;
        }
    }
    m1 = plx_warp_sum(m1);
    m2 = plx_warp_sum(m2);
    if (lane) return;
    means[2 * group] = (float)(m1 / ((double)s.P * D));
    means[2 * group + 1] = (float)(m2 / ((double)s.P * D));
}

/* A thread a channel: over the samples in order. */
static __global__ __launch_bounds__(THREADS) void norm_parameter_gradients(sizes s, const double *channels,
                                                                           const float *scale_shift,
                                                                           float *dgamma, float *dbeta) {
    const int c = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (c >= s.C) return;
    double g = 0, b = 0;
    for (int n = 0; n < s.N; n++) {
        const double *sums = channels + 2 * ((size_t)n * s.C + c);
        const double factor = 1.0 + (scale_shift ? scale_shift[(size_t)n * 2 * s.C + c] : 0);
        b += factor * sums[0];
        g += factor * sums[1];
    }
    if (dgamma) dgamma[c] += (float)g;
    if (dbeta) dbeta[c] += (float)b;
}

template <class T>
static __global__ __launch_bounds__(THREADS) void norm_input_gradients(
    sizes s, const float *x, const float *dy, const float *gamma, const float *beta, const float *scale_shift,
    const float *mean_rstd, const float *means, float *dx) {
    const tile<T> t(s);
    if (!t.inside) return;
    const affine<T> f = affine_of(s, t, gamma, beta, scale_shift, mean_rstd);
    float m1[tile<T>::WIDTH], m2[tile<T>::WIDTH];
    for (int k = 0; k < tile<T>::WIDTH; k++) {
        const float *of = means + 2 * ((size_t)t.n * s.groups + (t.c + k) / (s.C / s.groups));
        m1[k] = f.rstd[k] * of[0];
        m2[k] = f.rstd[k] * f.rstd[k] * of[1];
    }
    for (int p = t.begin; p < t.end; p += tile<T>::ROWS) {
        const size_t at = t.at(s, p);
        const lanes<T> value = lanes<T>::load(x + at), dvalue = lanes<T>::load(dy + at);
        lanes<T> sum = lanes<T>::load(dx + at);
        for (int k = 0; k < tile<T>::WIDTH; k++) {
            const float d = value.v[k] - f.mean[k];
            const float du = through_silu(s.silu, dvalue.v[k], f.a[k] * d + f.b[k]);
            sum.v[k] += f.a[k] * du - m1[k] - d * m2[k];
        }
        sum.store(dx + at);
    }
}

void plx_cuda_norm_bwd(plx_norm_size size, const float *x, const float *gamma, const float *beta,
                       const float *scale_shift, const float *mean_rstd, const float *dy, float *dx,
                       float *dgamma, float *dbeta, float *dscale_shift) {
    const sizes s = sizes_of(size);
    const size_t all = (size_t)s.N * (size_t)s.C, sums = all * (size_t)s.chunks;
    const size_t groups = (size_t)s.N * (size_t)s.groups;
    double *const channels = (double *)plx_cuda_scratch(PLX_CUDA_NORM, 4 * all + 2 * sums + 2 * groups);
    float *const first = (float *)(channels + 2 * all), *const second = first + sums;
    float *const means = second + sums;
    OVER_TILES(norm_chunk_gradients, plx_cuda_fours((size_t)s.C, x, dy), s, x, dy, gamma, beta, scale_shift,
               mean_rstd, first, second);
    PLX_LAUNCH(norm_group_gradients, plx_cuda_blocks(groups, WARPS), THREADS, 0, s, first, second, gamma,
               beta, scale_shift, channels, means, dscale_shift);
    if (dgamma || dbeta)
        PLX_LAUNCH(norm_parameter_gradients, plx_cuda_blocks((size_t)s.C, THREADS), THREADS, 0, s, channels,
                   scale_shift, dgamma, dbeta);
    if (dx)
        OVER_TILES(norm_input_gradients, plx_cuda_fours((size_t)s.C, x, dy, dx), s, x, dy, gamma, beta,
                   scale_shift, mean_rstd, means, dx);
}
