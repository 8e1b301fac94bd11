/* What the field's kernels on CUDA share: how weights lie, the planes' lookup, and products in registers. A block takes a
 * tile of TP points through lookup and MLP. Activations lie in shared memory as rows of TP points, TP + 4 floats apart; thread
 * (j, p) of J x P, J = H / RO and P = TP / RP, holds the outputs j + J r, r < RO, of RP of its points. */
#ifndef PLX_CUDA_FIELD_H
#define PLX_CUDA_FIELD_H

#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_launch.h"

/* Sizes that the compiler knows; plx_field_size has those that it does not. */
template <int C_, int F_, int H_, int guided_> struct plx_cuda_field_size {
    static constexpr int C = C_, F = F_, H = H_, guided = guided_, I = 3 * C + (guided ? 6 : 0) + 3 + 2 * F;
    int N, xy[2], xz[2], yz[2];

    explicit plx_cuda_field_size(const plx_field_size &s)
        : N(s.N), xy{s.xy[0], s.xy[1]}, xz{s.xz[0], s.xz[1]}, yz{s.yz[0], s.yz[1]} {}
    static bool is(const plx_field_size &s) {
        return s.C == C && s.F == F && s.H == H && !s.guided == !guided;
    }
};
typedef plx_cuda_field_size<16, 4, 64, 1> plx_cuda_field_model; /* the model's */
typedef plx_cuda_field_size<16, 4, 32, 0> plx_cuda_field_fit;   /* a fit's */

template <class S> static __host__ __device__ constexpr int plx_cuda_inputs(const S &s) {
    return 3 * s.C + (s.guided ? 6 : 0) + 3 + 2 * s.F;
}
template <class S> static __host__ __device__ constexpr int plx_cuda_outputs(const S &s) {
    return s.guided ? 5 : 4;
}
/* Channels of all planes: the first of the inputs. */
template <class S> static __host__ __device__ constexpr int plx_cuda_channels(const S &s) {
    return 3 * s.C + (s.guided ? 6 : 0);
}

/* ---- weights, packed -------------------------------------------------------------------------------------------------
 * w1^T (I,H) w2^T (H,H) w3 (O,H) b1 (H) b2 (H), rows H + 4 floats apart, and b3 (8). What belongs to hidden unit
 * j + J r is at 4 (J (r / 4) + j) + r % 4 of its row: four a time for thread j, and rows of neighbouring threads lie in other
 * banks. */

template <class S> static __host__ __device__ constexpr int plx_cuda_packed_floats(const S &s) {
    return (plx_cuda_inputs(s) + s.H + plx_cuda_outputs(s) + 2) * (s.H + 4) + 8;
}

static __host__ __device__ inline int plx_cuda_unit(int place, int J) {
    return place / 4 % J + J * (place / (4 * J) * 4 + place % 4);
}

/* Whether planes and values can be read several floats at a time. */
static inline bool plx_cuda_field_wide(const plx_field_tensors *p, const float *values) {
    return (((size_t)p->xy | (size_t)p->xz | (size_t)p->yz | (size_t)values) & 15) == 0;
}

/* Launches the packing for threads of RO outputs; `packed`: plx_cuda_packed_floats, the device's. */
void plx_cuda_field_pack(plx_field_size s, int RO, const plx_field_tensors *p, float *packed);

struct plx_cuda_packed {
    const float *w1, *w2, *w3, *b1, *b2, *b3;
};
template <class S>
static __device__ __forceinline__ plx_cuda_packed plx_cuda_unpack(const S &s, const float *packed) {
    const int row = s.H + 4;
    plx_cuda_packed w;
    w.w1 = packed;
    w.w2 = w.w1 + plx_cuda_inputs(s) * row;
    w.w3 = w.w2 + s.H * row;
    w.b1 = w.w3 + plx_cuda_outputs(s) * row;
    w.b2 = w.b1 + row;
    w.b3 = w.b2 + row;
    return w;
}

/* A block's copy in shared memory. */
static __device__ inline void plx_cuda_copy(const float *from, float *to, int count) {
    for (int i = 4 * (int)threadIdx.x; i < count; i += 4 * (int)blockDim.x)
        *(float4 *)(to + i) = *(const float4 *)(from + i);
}

/* Blocks at most, fixed, so that sums do not depend on the card: `most` is 2 or 3 on each of an H100's 132 processors. Few
 * under emulation, for each to have several tiles. */
static inline unsigned plx_cuda_field_blocks(int M, int TP, unsigned most) {
    const unsigned tiles = plx_cuda_blocks((size_t)M, (size_t)TP);
#ifdef PLX_CUDA_EMULATION
    most = 3;
#endif
    return tiles < most ? tiles : most;
}

/* ---- planes ------------------------------------------------------------------------------------------------------- */

/* Texel centres at half integers, border padding. */
struct plx_cuda_taps {
    int first, right, down; /* texels: row * columns + column, and the steps to the neighbours */
    float weight[4];        /* of first, right, down, both */
};

static __device__ __forceinline__ plx_cuda_taps plx_cuda_taps_at(const int size[2], float row, float column) {
    float y = (row + 1) * 0.5f * (float)size[0] - 0.5f, x = (column + 1) * 0.5f * (float)size[1] - 0.5f;
    y = fminf(fmaxf(y, 0), (float)(size[0] - 1));
    x = fminf(fmaxf(x, 0), (float)(size[1] - 1));
    const int y0 = (int)y, x0 = (int)x;
    const float fy = y - (float)y0, fx = x - (float)x0;
    plx_cuda_taps t;
    t.first = y0 * size[1] + x0;
    t.right = x0 + 1 < size[1];
    t.down = y0 + 1 < size[0] ? size[1] : 0;
    t.weight[0] = (1 - fy) * (1 - fx);
    t.weight[1] = (1 - fy) * fx;
    t.weight[2] = fy * (1 - fx);
    t.weight[3] = fy * fx;
    return t;
}

/* COUNT floats; `wide`: COUNT times 4 bytes are what the address is a multiple of. */
template <int COUNT, bool wide>
static __device__ __forceinline__ void plx_cuda_texel(float (&to)[COUNT], const float *from) {
    if (!wide) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) to[i] = from[i];
    } else if (COUNT == 4) {
        const float4 v = *(const float4 *)from;
        to[0] = v.x, to[1] = v.y, to[COUNT - 2] = v.z, to[COUNT - 1] = v.w;
    } else {
        const float2 v = *(const float2 *)from;
        to[0] = v.x, to[1] = v.y;
    }
}

/* `plane`: the channels wanted of its first texel, `channels` a texel. */
template <int COUNT, bool wide>
static __device__ __forceinline__ void plx_cuda_read(float (&to)[COUNT], const plx_cuda_taps &t,
                                                     const float *plane, int channels) {
    const float *at = plane + (size_t)t.first * (size_t)channels, *below = at + t.down * channels;
    float a[COUNT], b[COUNT], c[COUNT], d[COUNT];
    plx_cuda_texel<COUNT, wide>(a, at);
    plx_cuda_texel<COUNT, wide>(b, at + t.right * channels);
    plx_cuda_texel<COUNT, wide>(c, below);
    plx_cuda_texel<COUNT, wide>(d, below + t.right * channels);
    const float *w = t.weight;
#pragma unroll
    for (int i = 0; i < COUNT; i++) to[i] = w[0] * a[i] + w[1] * b[i] + w[2] * c[i] + w[3] * d[i];
}

/* sin and cos of pi x, |x| < 2^20, to 2e-7: their series about the nearest half integer, x = n / 2 + r. */
static __device__ __forceinline__ void plx_cuda_sine_cosine(float x, float *sine, float *cosine) {
    const float magic = 12582912.0f; /* 1.5 2^23 */
    const float shifted = 2 * x + magic, r = x - (shifted - magic) * 0.5f, t = r * r;
    const int n = __float_as_int(shifted);
    const float s =
        r * ((((t * 0.0821458866f - 0.599264529f) * t + 2.55016404f) * t - 5.16771278f) * t + 3.14159265f);
    const float c = (((t * 0.235330630f - 1.33526277f) * t + 4.05871213f) * t - 4.93480220f) * t + 1;
    const float a = n & 1 ? c : s, b = n & 1 ? s : c;
    *sine = n & 2 ? -a : a;
    *cosine = (n + 1) & 2 ? -b : b;
}

/* The object of point m. */
static __device__ __forceinline__ int plx_cuda_object_of(const int *start, int N, int m) {
    int low = 0, high = N;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (start[middle] <= m)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The points of N objects, as many as there are. */
static __device__ __forceinline__ plx_points plx_cuda_counted(plx_points points, int N) {
    points.M = points.start[N];
    return points;
}

/* Coordinates of point m; beyond the last one the planes' middle. */
static __device__ __forceinline__ void plx_cuda_coords(const plx_points &points, int m, float q[5]) {
    for (int k = 0; k < 5; k++) q[k] = m < points.M ? points.coords[5 * (size_t)m + (size_t)k] : 0;
}

/* Where an object's planes begin: a value of a plane of `size`, `channels` a texel. */
static __device__ __forceinline__ size_t plx_cuda_plane(int object, const int size[2], int channels) {
    return (size_t)object * (size_t)(size[0] * size[1]) * (size_t)channels;
}

/* The inputs of points first .. first + TP - 1 into x (I, TP + 4), and unless NULL the image's r g b at them into rgb
 * (3, TP + 4): four threads a point, each a quarter of the channels. */
template <int TP, bool wide, class S>
static __device__ __forceinline__ void plx_cuda_gather(const S &s, const plx_field_tensors &p,
                                                       const plx_points &points, int first, float *x,
                                                       float *rgb) {
    constexpr int ROW = TP + 4;
    const int quarter = (int)threadIdx.x % 4, C = s.C, channels = C + (s.guided ? 6 : 0);
    for (int i = (int)threadIdx.x / 4; i < TP; i += (int)blockDim.x / 4) {
        float q[5];
        plx_cuda_coords(points, first + i, q);
        const float u = q[0], v = q[1], z = q[4];
        const int object = plx_cuda_object_of(points.start, s.N, first + i);
        const plx_cuda_taps txy = plx_cuda_taps_at(s.xy, v, u), txz = plx_cuda_taps_at(s.xz, z, q[2]),
                            tyz = plx_cuda_taps_at(s.yz, q[3], z);
        const float *xy = p.xy + plx_cuda_plane(object, s.xy, channels);
        const float *xz = p.xz + plx_cuda_plane(object, s.xz, C),
                    *yz = p.yz + plx_cuda_plane(object, s.yz, C);
        float *to = x + i;
#pragma unroll(wide ? 4 : 1)
        for (int step = 0; step < C; step += 16) {
            const int c = step + 4 * quarter;
            float a[4], b[4];
            plx_cuda_read<4, wide>(a, txz, xz + c, C);
            plx_cuda_read<4, wide>(b, tyz, yz + c, C);
#pragma unroll
            for (int k = 0; k < 4; k++) to[(C + c + k) * ROW] = a[k], to[(2 * C + c + k) * ROW] = b[k];
        }
#pragma unroll(wide ? 4 : 1)
        for (int step = 0; step < channels; step += 8) {
            const int c = step + 2 * quarter;
            if (c >= channels) continue;
            float a[2];
            plx_cuda_read<2, wide>(a, txy, xy + c, channels);
            int row = c;
            if (c == C) /* front, back */
                row = 3 * C + 4, a[0] = z - a[0], a[1] = z - a[1];
            else if (c > C) /* r, g; b, a */
                row = 2 * C + c - 2;
            to[row * ROW] = a[0], to[(row + 1) * ROW] = a[1];
            if (c <= C || !rgb) continue;
            rgb[(c - C - 2) * ROW + i] = a[0];
            if (c == C + 2) rgb[ROW + i] = a[1];
        }
        float *rest = to + plx_cuda_channels(s) * ROW;
        if (quarter == 0) rest[0] = u, rest[ROW] = v, rest[2 * ROW] = z;
#pragma unroll(wide ? 4 : 1)
        for (int step = 0; step < s.F; step += 4) {
            const int k = step + quarter;
            if (k >= s.F) continue;
            plx_cuda_sine_cosine((float)(1 << k) * z, rest + (3 + 2 * k) * ROW, rest + (4 + 2 * k) * ROW);
        }
    }
}

/* ---- outputs ------------------------------------------------------------------------------------------------------ */

static __device__ __forceinline__ float plx_cuda_sigmoid(float x) {
    return __fdividef(1, 1 + __expf(-x));
}

/* Rows of shared memory that hold the inputs, the hidden units, or what each thread adds to the outputs. */
template <int RO, class S> static __host__ __device__ constexpr int plx_cuda_rows(const S &s) {
    const int sums = plx_cuda_outputs(s) * (s.H / RO), most = sums > s.H ? sums : s.H;
    return most > plx_cuda_inputs(s) ? most : plx_cuda_inputs(s);
}

/* Of a point: density, sigmoids of raw r g b, gate (unguided: 0), from its column of sums (O J, TP + 4). */
template <int ROW, class S>
static __device__ __forceinline__ void plx_cuda_activate(const S &s, int J, const float *sums,
                                                         const float *b3, float out[5]) {
#pragma unroll
    for (int o = 0; o < 5; o++) {
        if (o >= plx_cuda_outputs(s)) {
            out[o] = 0;
            continue;
        }
        float raw = b3[o];
        for (int j = 0; j < J; j++) raw += sums[(o * J + j) * ROW];
        out[o] = o ? plx_cuda_sigmoid(raw) : expf(raw < -12 ? -12 : raw > 9 ? 9 : raw);
    }
}

/* ---- products ----------------------------------------------------------------------------------------------------- */

/* to[i] = from[i / 4 * step + i % 4] */
template <int COUNT>
static __device__ __forceinline__ void plx_cuda_load(float (&to)[COUNT], const float *from, int step) {
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) {
        const float4 v = *(const float4 *)(from + i / 4 * step);
        to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
    }
}
template <int COUNT>
static __device__ __forceinline__ void plx_cuda_store(float *to, int step, const float (&from)[COUNT]) {
#pragma unroll
    for (int i = 0; i < COUNT; i += 4)
        *(float4 *)(to + i / 4 * step) = make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]);
}

/* A thread's place. Its points are 4 p + i % 4 + 4 P (i / 4), i < RP. */
template <int RO, int RP, int TP> struct plx_cuda_place {
    static constexpr int ROW = TP + 4, P = TP / RP, POINTS = 4 * P;
    int J, j, p;

    template <class S>
    __device__ __forceinline__ explicit plx_cuda_place(const S &s)
        : J(s.H / RO), j((int)threadIdx.x % (s.H / RO)), p((int)threadIdx.x / (s.H / RO)) {}

    /* sum[r][i] = bias + sum over k < K of w (K,H)[k][unit r] x (K,TP)[k][point i] */
    __device__ __forceinline__ void product(float (&sum)[RO][RP], int K, int H, const float *w,
                                            const float *bias, const float *x) const {
        float a[RO], b[RP];
        plx_cuda_load(a, bias + 4 * j, 4 * J);
#pragma unroll
        for (int r = 0; r < RO; r++)
#pragma unroll
            for (int i = 0; i < RP; i++) sum[r][i] = a[r];
        w += 4 * j, x += 4 * p;
#pragma unroll 4
        for (int k = 0; k < K; k++, w += H + 4, x += ROW) {
            plx_cuda_load(a, w, 4 * J);
            plx_cuda_load(b, x, POINTS);
#pragma unroll
            for (int r = 0; r < RO; r++)
#pragma unroll
                for (int i = 0; i < RP; i++) sum[r][i] += a[r] * b[i];
        }
    }

    /* sum[r][i] = sum over units o of w (K,H)[first + j + J r][o] d (H,TP)[o][point i]; rows from K on mean nothing */
    __device__ __forceinline__ void transposed(float (&sum)[RO][RP], int first, int K, int H, const float *w,
                                               const float *d) const {
#pragma unroll
        for (int r = 0; r < RO; r++)
#pragma unroll
            for (int i = 0; i < RP; i++) sum[r][i] = 0;
        d += 4 * p;
#pragma unroll 1
        for (int place = 0; place < H; place += 4) {
            float b[4][RP];
            const float *row = d + plx_cuda_unit(place, J) * ROW;
#pragma unroll
            for (int o = 0; o < 4; o++) plx_cuda_load(b[o], row + o * J * ROW, POINTS);
#pragma unroll
            for (int r = 0; r < RO; r++) {
                const int k = first + j + J * r;
                float a[4];
                plx_cuda_load(a, w + (k < K ? k : K - 1) * (H + 4) + place, 0);
#pragma unroll
                for (int o = 0; o < 4; o++)
#pragma unroll
                    for (int i = 0; i < RP; i++) sum[r][i] += a[o] * b[o][i];
            }
        }
    }

    /* Each thread's part of w3 (O,H) h, h (H,TP) in registers: sums (O J, TP). */
    __device__ __forceinline__ void outputs(const float (&h)[RO][RP], int O, int H, const float *w3,
                                            float *sums) const {
        for (int o = 0; o < O; o++) {
            float a[RO], sum[RP];
            plx_cuda_load(a, w3 + o * (H + 4) + 4 * j, 4 * J);
#pragma unroll
            for (int i = 0; i < RP; i++) {
                sum[i] = 0;
#pragma unroll
                for (int r = 0; r < RO; r++) sum[i] += a[r] * h[r][i];
            }
            plx_cuda_store(sums + (o * J + j) * ROW + 4 * p, POINTS, sum);
        }
    }

    /* sum[r][c] += sum over the tile's points of left (H,TP)[unit r] right (K,TP)[first + p + P c]; rows from K on mean
     * nothing */
    template <int COLUMNS>
    __device__ __forceinline__ void outer(float (&sum)[RO][COLUMNS], int first, int K, const float *left,
                                          const float *right) const {
#pragma unroll 1
        for (int i = 0; i < TP; i += 4) {
            float b[COLUMNS][4];
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                const int k = first + p + P * c;
                plx_cuda_load(b[c], right + (k < K ? k : K - 1) * ROW + i, 0);
            }
#pragma unroll
            for (int r = 0; r < RO; r++) {
                float a[4];
                plx_cuda_load(a, left + (j + J * r) * ROW + i, 0);
#pragma unroll
                for (int c = 0; c < COLUMNS; c++)
#pragma unroll
                    for (int q = 0; q < 4; q++) sum[r][c] += a[q] * b[c][q];
            }
        }
    }

    /* x (H,TP) = sum */
    __device__ __forceinline__ void store(const float (&sum)[RO][RP], float *x) const {
#pragma unroll
        for (int r = 0; r < RO; r++) plx_cuda_store(x + (j + J * r) * ROW + 4 * p, POINTS, sum[r]);
    }
};

#endif
