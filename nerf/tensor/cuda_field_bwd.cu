/* The field, backward. A block recomputes its tile's forward pass, keeps SiLU's slopes in registers, and keeps the gradients of
 * the weights there too over all its tiles; blocks' sums are added in their order by a second kernel. The gradients of what
 * the planes gave go to memory, and from there into the planes as 64-bit integers, whose sums know no order. */
#include "nerf/tensor/cuda_field.h"

/* ---- the weights' gradients of a block, in memory ------------------------------------------------------------------- */

/* w1 (H,I) b1 (H) w2 (H,H) b2 (H) w3 (O,H) b3 (O) */
struct field_slab {
    float *w1, *b1, *w2, *b2, *w3, *b3;
};

template <class S> static __host__ __device__ constexpr int field_slab_floats(const S &s) {
    return s.H * (plx_cuda_inputs(s) + s.H + plx_cuda_outputs(s) + 2) + plx_cuda_outputs(s);
}

template <class S> static __device__ __forceinline__ field_slab field_slab_at(const S &s, float *at) {
    field_slab d;
    d.w1 = at;
    d.b1 = d.w1 + s.H * plx_cuda_inputs(s);
    d.w2 = d.b1 + s.H;
    d.b2 = d.w2 + s.H * s.H;
    d.w3 = d.b2 + s.H;
    d.b3 = d.w3 + plx_cuda_outputs(s) * s.H;
    return d;
}

/* The first tile writes, the others add. */
static __device__ __forceinline__ void field_put(float *to, float value, bool add) {
    *to = add ? *to + value : value;
}

/* ---- one block ------------------------------------------------------------------------------------------------------ */

/* Rows of d of a point, for the scatter: 32 bytes at a time. */
template <class S> static __host__ __device__ constexpr int field_dx_floats(const S &s) {
    return (plx_cuda_channels(s) + 7) / 8 * 8;
}

struct field_backward_arguments {
    plx_field_tensors p;
    const float *packed;
    plx_points points;
    const float *dvalues;
    float *slabs;   /* (blocks, field_slab_floats), NULL: the weights' gradients are not wanted */
    float *dx;      /* (M, field_dx_floats), NULL: the planes' are not */
    unsigned *most; /* bits of the largest |dx| */
};

/* From the raw outputs' column (see plx_cuda_activate) and the gradient of a point's values: those of the raw outputs
 * d (O,ROW), and rgb (3,ROW) becomes what the image's colours have of them. */
template <int ROW, class S>
static __device__ __forceinline__ void field_outputs_back(const S &s, const float out[5],
                                                          const float dvalue[4], float *rgb, float *d) {
    const float gate = out[4];
    float dgate = 0;
    d[0] = dvalue[0] * out[0];
#pragma unroll
    for (int c = 0; c < 3; c++) {
        const float colour = out[1 + c];
        d[(1 + c) * ROW] = dvalue[1 + c] * (1 - gate) * colour * (1 - colour);
        if (!s.guided) continue;
        dgate += dvalue[1 + c] * (rgb[c * ROW] - colour);
        rgb[c * ROW] = dvalue[1 + c] * gate;
    }
    if (s.guided) d[4 * ROW] = dgate * gate * (1 - gate);
}

/* sum over n points */
static __device__ __forceinline__ float field_dot(const float *a, const float *b, int n) {
    float sum = 0;
#pragma unroll 2
    for (int i = 0; i < n; i += 4) {
        const float4 x = *(const float4 *)(a + i), y = *(const float4 *)(b + i);
        sum += x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
    }
    return sum;
}
static __device__ __forceinline__ float field_total(const float *a, int n) {
    float sum = 0;
#pragma unroll 2
    for (int i = 0; i < n; i += 4) {
        const float4 x = *(const float4 *)(a + i);
        sum += x.x + x.y + x.z + x.w;
    }
    return sum;
}

/* The gradients that a thread holds in registers: of w1 and w2 those of its units and of the inputs p + P c, c < W1 and W2. The
 * inputs that this leaves over (LEFT), w3 and the biases: of unit t % H, from part t / H of each tile's points. */
template <int RO, int W1, int W2, int LEFT> struct field_sums {
    float w1[RO][W1], w2[RO][W2], left[LEFT + 1], w3[5], b1, b2, b3;

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int r = 0; r < RO; r++) {
#pragma unroll
            for (int c = 0; c < W1; c++) w1[r][c] = 0;
#pragma unroll
            for (int c = 0; c < W2; c++) w2[r][c] = 0;
        }
#pragma unroll
        for (int k = 0; k < LEFT; k++) left[k] = 0;
#pragma unroll
        for (int o = 0; o < 5; o++) w3[o] = 0;
        b1 = b2 = b3 = 0;
    }
};

/* ---- what a thread does with its outputs ------------------------------------------------------------------------------ */

/* a becomes silu(a), slope its derivative s (1 + a (1 - s)), s = sigmoid(a). */
template <int RO, int RP>
static __device__ __forceinline__ void field_silu(float (&a)[RO][RP], float (&slope)[RO][RP]) {
#pragma unroll
    for (int r = 0; r < RO; r++)
#pragma unroll
        for (int i = 0; i < RP; i++) {
            const float sigmoid = plx_cuda_sigmoid(a[r][i]);
            a[r][i] *= sigmoid;
            slope[r][i] = sigmoid + a[r][i] * (1 - sigmoid);
        }
}

/* slope (H,TP) becomes slope * w3^T d, d (O,TP) */
template <int RO, int RP, int TP>
static __device__ __forceinline__ void field_hidden_back(const plx_cuda_place<RO, RP, TP> &at,
                                                         float (&slope)[RO][RP], int O, int H,
                                                         const float *w3, const float *d) {
    float sum[RO][RP] = {};
    for (int o = 0; o < O; o++) {
        float a[RO], b[RP];
        plx_cuda_load(a, w3 + o * (H + 4) + 4 * at.j, 4 * at.J);
        plx_cuda_load(b, d + o * at.ROW + 4 * at.p, at.POINTS);
#pragma unroll
        for (int r = 0; r < RO; r++)
#pragma unroll
            for (int i = 0; i < RP; i++) sum[r][i] += a[r] * b[i];
    }
#pragma unroll
    for (int r = 0; r < RO; r++)
#pragma unroll
        for (int i = 0; i < RP; i++) slope[r][i] *= sum[r][i];
}

/* dw (H,K) in memory: left (H,TP) right (K,TP)^T is added, or written. */
template <int RO, int RP, int TP>
static __device__ __forceinline__ void field_outer_far(const plx_cuda_place<RO, RP, TP> &at, float *dw, int K,
                                                       const float *left, const float *right, bool add) {
    for (int first = 0; first < K; first += 4 * at.P) {
        float sum[RO][4] = {};
        at.template outer<4>(sum, first, K, left, right);
        for (int r = 0; r < RO; r++)
            for (int c = 0; c < 4; c++) {
                const int k = first + at.p + at.P * c;
                if (k < K) field_put(dw + (at.j + at.J * r) * K + k, sum[r][c], add);
            }
    }
}

/* Rows first + j + J r of dx, with what the colours have (3,TP) at rows 3 C ..; -> the bits of the largest. */
template <int RO, int RP, int TP, class S>
static __device__ __forceinline__ unsigned field_put_dx(const plx_cuda_place<RO, RP, TP> &at, const S &s,
                                                        float (&sum)[RO][RP], int first, const float *colours,
                                                        float *dx, int points) {
    unsigned largest = 0;
#pragma unroll
    for (int r = 0; r < RO; r++) {
        const int row = first + at.j + at.J * r, colour = row - 3 * s.C;
        if (row >= plx_cuda_channels(s)) continue;
#pragma unroll
        for (int i = 0; i < RP; i++) {
            const int m = 4 * at.p + i % 4 + at.POINTS * (i / 4);
            if (m >= points) continue;
            float value = sum[r][i];
            if (colour >= 0 && colour < 3) value += colours[colour * at.ROW + m];
            dx[(size_t)m * (size_t)field_dx_floats(s) + (size_t)row] = value;
            largest = max(largest, __float_as_uint(value) & 0x7fffffff);
        }
    }
    return largest;
}

/* ---- one block ------------------------------------------------------------------------------------------------------ */

/* What threads hold of one unit, in at most two parts, is added by way of x and written. */
template <class S, int RO, int W1, int W2, int LEFT>
static __device__ __forceinline__ void field_put_units(const S &s, const field_sums<RO, W1, W2, LEFT> &own,
                                                       int unit, bool second, int after, float *x,
                                                       const field_slab &slab) {
    const int H = s.H, I = plx_cuda_inputs(s), O = plx_cuda_outputs(s);
    float sums[8 + LEFT] = {own.b1, own.b2, own.b3, own.w3[0], own.w3[1], own.w3[2], own.w3[3], own.w3[4]};
#pragma unroll
    for (int k = 0; k < LEFT; k++) sums[8 + k] = own.left[k];
#pragma unroll
    for (int k = 0; k < 8 + LEFT; k++)
        if (second) x[k * H + unit] = sums[k];
    __syncthreads();
    if (second) return;
    if ((int)blockDim.x > H) {
#pragma unroll
        for (int k = 0; k < 8 + LEFT; k++) sums[k] += x[k * H + unit];
    }
    slab.b1[unit] = sums[0];
    slab.b2[unit] = sums[1];
    if (unit < O) slab.b3[unit] = sums[2];
#pragma unroll
    for (int o = 0; o < 5; o++)
        if (o < O) slab.w3[o * H + unit] = sums[3 + o];
#pragma unroll
    for (int k = 0; k < LEFT; k++) slab.w1[unit * I + after + k] = sums[8 + k];
}

/* `near`: weights are in shared memory and their gradients in registers, which takes sizes that the compiler knows, and planes
 * and values are read several floats at a time. Else the block's slab in memory is what it adds to. */
template <class S, int RO, int RP, int TP, bool near, int W1, int W2, int LEFT>
static __device__ __forceinline__ void field_backward_block(const S &s, const field_backward_arguments &a) {
    typedef plx_cuda_place<RO, RP, TP> place;
    constexpr int ROW = place::ROW, P = place::P;
    const int I = plx_cuda_inputs(s), O = plx_cuda_outputs(s), H = s.H, D = plx_cuda_channels(s);
    PLX_SHARED_DYNAMIC(float, shared);
    float *x = shared + (near ? plx_cuda_packed_floats(s) : 0), *h = x + plx_cuda_rows<RO>(s) * ROW,
          *d = h + H * ROW, *rgb = d + O * ROW;
    PLX_SHARED(unsigned, most, [1]);
    if (near) plx_cuda_copy(a.packed, shared, plx_cuda_packed_floats(s));
    if (threadIdx.x == 0) most[0] = 0;
    const plx_cuda_packed w = plx_cuda_unpack(s, near ? shared : a.packed);
    const place at(s);
    const int unit = (int)threadIdx.x % H, parts = (int)blockDim.x / H, points = TP / parts,
              part = (int)threadIdx.x / H * points;
    field_slab slab = {};
    if (a.slabs) slab = field_slab_at(s, a.slabs + (size_t)blockIdx.x * (size_t)field_slab_floats(s));
    field_sums<RO, W1, W2, LEFT> own;
    own.clear();
    unsigned largest = 0;

    for (int first = (int)blockIdx.x * TP; first < a.points.M; first += (int)gridDim.x * TP) {
        const bool later = first >= (int)gridDim.x * TP;
        float sum[RO][RP], slope1[RO][RP], slope2[RO][RP];
        plx_cuda_gather<TP, near>(s, a.p, a.points, first, x, s.guided ? rgb : nullptr);
        __syncthreads();
        at.product(sum, I, H, w.w1, w.b1, x);
        field_silu(sum, slope1);
        at.store(sum, h);
        __syncthreads();
        at.product(sum, H, H, w.w2, w.b2, h);
        field_silu(sum, slope2);
        at.outputs(sum, O, H, w.w3, x);
        __syncthreads();
        for (int i = (int)threadIdx.x; i < TP; i += (int)blockDim.x) {
            float out[5];
            plx_cuda_activate<ROW>(s, at.J, x + i, w.b3, out);
            float dvalue[4] = {0, 0, 0, 0};
            if (first + i < a.points.M) plx_cuda_texel<4, near>(dvalue, a.dvalues + 4 * (size_t)(first + i));
            field_outputs_back<ROW>(s, out, dvalue, rgb + i, d + i);
        }
        __syncthreads();
        at.store(sum, x); /* h2 */
        field_hidden_back(at, slope2, O, H, w.w3, d);
        __syncthreads();
        if (a.slabs) {
#pragma unroll
            for (int o = 0; o < 5; o++)
                if (o < O) own.w3[o] += field_dot(x + unit * ROW + part, d + o * ROW + part, points);
            if (unit < O) own.b3 += field_total(d + unit * ROW + part, points);
        }
        __syncthreads();
        at.store(slope2, x); /* d of layer 2 */
        __syncthreads();
        if (a.slabs) {
            if (near)
                at.template outer<W2>(own.w2, 0, H, x, h);
            else
                field_outer_far(at, slab.w2, H, x, h, later);
            own.b2 += field_total(x + unit * ROW + part, points);
        }
        at.transposed(sum, 0, H, H, w.w2, x);
#pragma unroll
        for (int r = 0; r < RO; r++)
#pragma unroll
            for (int i = 0; i < RP; i++) sum[r][i] *= slope1[r][i];
        __syncthreads();
        at.store(sum, h); /* d of layer 1 */
        if (a.slabs) plx_cuda_gather<TP, near>(s, a.p, a.points, first, x, nullptr);
        __syncthreads();
        if (a.slabs) {
            if (near)
                at.template outer<W1>(own.w1, 0, I, h, x);
            else
                field_outer_far(at, slab.w1, I, h, x, later);
#pragma unroll
            for (int k = 0; k < LEFT; k++)
                own.left[k] += field_dot(h + unit * ROW + part, x + (P * W1 + k) * ROW + part, points);
            own.b1 += field_total(h + unit * ROW + part, points);
        }
        for (int k = 0; a.dx && k < D; k += H) {
            at.transposed(sum, k, D, H, w.w1, h);
            largest = max(largest,
                          field_put_dx(at, s, sum, k, rgb, a.dx + (size_t)first * (size_t)field_dx_floats(s),
                                       a.points.M - first));
        }
        __syncthreads();
    }
    if (a.dx) atomicMax(most, largest);
    if (a.slabs) {
        if (near) {
#pragma unroll
            for (int r = 0; r < RO; r++) {
                const int row = at.j + at.J * r;
#pragma unroll
                for (int c = 0; c < W1; c++)
                    if (at.p + P * c < I) slab.w1[row * I + at.p + P * c] = own.w1[r][c];
#pragma unroll
                for (int c = 0; c < W2; c++) slab.w2[row * H + at.p + P * c] = own.w2[r][c];
            }
        }
        field_put_units(s, own, unit, part > 0, P * W1, x, slab);
    }
    __syncthreads();
    if (a.dx && threadIdx.x == 0) atomicMax(a.most, most[0]);
}

/* 2 H threads, all that the compiler needs to know */
template <class S>
static __global__ void __launch_bounds__(2 * S::H, 256 / (2 * S::H))
    field_backward(S s, field_backward_arguments a) {
    a.points = plx_cuda_counted(a.points, s.N);
    constexpr int W1 = S::I % 16 > 8 ? S::I / 16 + 1 : S::I / 16;
    constexpr int LEFT = S::I > 16 * W1 ? S::I - 16 * W1 : 0;
    field_backward_block<S, 8, 4, 64, true, W1, S::H / 16, LEFT>(s, a);
}

static __global__ void __launch_bounds__(256)
    field_backward_any(plx_field_size s, field_backward_arguments a) {
    a.points = plx_cuda_counted(a.points, s.N);
    field_backward_block<plx_field_size, 4, 4, 16, false, 1, 1, 0>(s, a);
}

/* ---- the blocks' sums ------------------------------------------------------------------------------------------------- */

enum { SUMS = 32, SEGMENTS = 8 }; /* numbers a block, and how many threads add up one */

/* Of the `blocks` that had a tile of `tile` points. */
static __global__ void __launch_bounds__(SUMS *SEGMENTS)
    field_add_slabs(plx_field_size s, int blocks, int tile, const int *start, const float *slabs,
                    plx_field_tensors dp) {
    PLX_SHARED(double, part, [SEGMENTS][SUMS]);
    const int lane = (int)threadIdx.x % SUMS, segment = (int)threadIdx.x / SUMS, count = field_slab_floats(s);
    int at = (int)blockIdx.x * SUMS + lane;
    double sum = 0;
    blocks = min(blocks, (start[s.N] + tile - 1) / tile);
    const int end = (segment + 1) * blocks / SEGMENTS;
    for (int b = segment * blocks / SEGMENTS; b < end && at < count; b++)
        sum += (double)slabs[(size_t)b * (size_t)count + (size_t)at];
    part[segment][lane] = sum;
    __syncthreads();
    if (segment || at >= count) return;
    for (int k = 1; k < SEGMENTS; k++) sum += part[k][lane];
    const int I = plx_cuda_inputs(s), O = plx_cuda_outputs(s), H = s.H;
    const int sizes[6] = {H * I, H, H * H, H, O * H, O};
    float *const to[6] = {dp.w1, dp.b1, dp.w2, dp.b2, dp.w3, dp.b3};
    for (int k = 0; k < 6; at -= sizes[k++]) {
        if (at >= sizes[k]) continue;
        if (to[k]) to[k][at] += (float)sum;
        return;
    }
}

/* ---- the planes, as 64-bit integers ----------------------------------------------------------------------------------- */

static __global__ void field_clear(size_t count, unsigned long long *x) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] = 0;
}

/* The exponent e of the unit 2^-e: M numbers of at most `most` each, which are not Inf or NaN, have a sum below 2^62. */
static __device__ __forceinline__ int field_exponent(unsigned most, int M) {
    const int e = 62 - ((int)(most >> 23) - 126) - (32 - __clz(M));
    return e < 126 ? e : 126;
}
static __device__ __forceinline__ float field_power(int e) {
    return __int_as_float((127 + e) << 23);
}
static __device__ __forceinline__ bool field_finite(unsigned bits) {
    return bits < 0x7f800000;
}

struct field_planes {
    unsigned long long *xy, *xz, *yz; /* NULL: not wanted */
};

/* A thread a channel of a point's dx. */
static __global__ void field_scatter(plx_field_size s, plx_points points, const float *dx,
                                     const unsigned *most, field_planes planes) {
    const int D = plx_cuda_channels(s), C = s.C;
    const size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x, m = at / (size_t)D;
    int c = (int)(at % (size_t)D);
    if (m >= (size_t)points.start[s.N] || !field_finite(*most)) return;
    float d = dx[m * (size_t)field_dx_floats(s) + (size_t)c];
    if (d == 0) return;
    float q[5];
    plx_cuda_coords(points, (int)m, q);
    const int object = plx_cuda_object_of(points.start, s.N, (int)m);
    int channels = C;
    plx_cuda_taps t;
    unsigned long long *to;
    if (c < C || c >= 3 * C) {
        t = plx_cuda_taps_at(s.xy, q[1], q[0]);
        channels = C + (s.guided ? 6 : 0);
        to = planes.xy ? planes.xy + plx_cuda_plane(object, s.xy, channels) : nullptr;
        if (c >= 3 * C + 4) /* front, back */
            c -= 2 * C + 4, d = -d;
        else if (c >= 3 * C) /* r g b a */
            c -= 2 * C - 2;
    } else if (c < 2 * C) {
        t = plx_cuda_taps_at(s.xz, q[4], q[2]);
        to = planes.xz ? planes.xz + plx_cuda_plane(object, s.xz, C) : nullptr;
        c -= C;
    } else {
        t = plx_cuda_taps_at(s.yz, q[3], q[4]);
        to = planes.yz ? planes.yz + plx_cuda_plane(object, s.yz, C) : nullptr;
        c -= 2 * C;
    }
    if (!to) return;
    const float unit = field_power(field_exponent(*most, points.M));
    for (int k = 0; k < 4; k++) {
        const int texel = t.first + (k % 2 ? t.right : 0) + (k / 2 ? t.down : 0);
        const long long value = __float2ll_rn(d * t.weight[k] * unit);
        atomicAdd(to + (size_t)texel * (size_t)channels + (size_t)c, (unsigned long long)value);
    }
}

/* grad += sums; NaN everywhere where a gradient was not finite */
static __global__ void field_add_plane(size_t count, const unsigned long long *sums, const unsigned *most,
                                       int M, float *grad) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    if (field_finite(*most))
        grad[i] += (float)(long long)sums[i] * field_power(-field_exponent(*most, M));
    else
        grad[i] = __int_as_float(0x7fffffff);
}

/* ---- the launches ------------------------------------------------------------------------------------------------------- */

enum { THREADS = 256 };

/* How the scratch memory is divided; floats, by 64. */
struct field_scratch {
    float *packed, *slabs, *dx;
    unsigned *most;
    unsigned long long *planes; /* xy, xz, yz; then `most` */
    size_t xy, xz, yz;          /* numbers of each */
};

static size_t field_by_64(size_t floats) {
    return (floats + 63) / 64 * 64;
}

static field_scratch field_divide(plx_field_size s, int M, unsigned blocks) {
    field_scratch d;
    const size_t N = (size_t)s.N, C = (size_t)s.C;
    d.xy = N * (size_t)(s.xy[0] * s.xy[1]) * (size_t)plx_field_xy_channels(s);
    d.xz = N * (size_t)(s.xz[0] * s.xz[1]) * C;
    d.yz = N * (size_t)(s.yz[0] * s.yz[1]) * C;
    const size_t packed = field_by_64((size_t)plx_cuda_packed_floats(s)),
                 slabs = field_by_64((size_t)blocks * (size_t)field_slab_floats(s)),
                 dx = field_by_64((size_t)M * (size_t)field_dx_floats(s));
    d.packed = plx_cuda_scratch(PLX_CUDA_FIELD, packed + slabs + dx + 2 * (d.xy + d.xz + d.yz + 1));
    d.slabs = d.packed + packed;
    d.dx = d.slabs + slabs;
    d.planes = (unsigned long long *)(d.dx + dx);
    d.most = (unsigned *)(d.planes + d.xy + d.xz + d.yz);
    return d;
}

static void field_add_planes(plx_field_size s, plx_points points, const field_scratch &scratch,
                             const plx_field_tensors *dp) {
    unsigned long long *xy = scratch.planes, *xz = xy + scratch.xy, *yz = xz + scratch.xz;
    const field_planes planes = {dp->xy ? xy : nullptr, dp->xz ? xz : nullptr, dp->yz ? yz : nullptr};
    const size_t channels = (size_t)points.M * (size_t)plx_cuda_channels(s);
    const float *dx = scratch.dx;
    const unsigned *most = scratch.most;
    PLX_LAUNCH(field_scatter, plx_cuda_blocks(channels, THREADS), THREADS, 0, s, points, dx, most, planes);
    const struct {
        const unsigned long long *sums;
        size_t count;
        float *grad;
    } each[3] = {{xy, scratch.xy, dp->xy}, {xz, scratch.xz, dp->xz}, {yz, scratch.yz, dp->yz}};
    for (const auto &plane : each)
        if (plane.grad)
            PLX_LAUNCH(field_add_plane, plx_cuda_blocks(plane.count, THREADS), THREADS, 0, plane.count,
                       plane.sums, most, points.M, plane.grad);
}

/* Bytes of a block's shared memory, `weights` floats of it for weights. */
template <int RO, int TP, class S> static size_t field_shared(const S &s, int weights) {
    return sizeof(float) *
           ((size_t)weights + (size_t)(plx_cuda_rows<RO>(s) + s.H + plx_cuda_outputs(s) + 3) * (TP + 4));
}

template <class S>
static bool field_is(plx_field_size size, const plx_field_tensors *p, const float *dvalues) {
    const S s(size);
    return S::is(size) && plx_cuda_field_wide(p, dvalues) &&
           field_shared<8, 64>(s, plx_cuda_packed_floats(s)) + 16 <= plx_cuda_shared_limit();
}

template <class S>
static void field_backward_fixed(plx_field_size size, const field_backward_arguments &a, unsigned blocks) {
    const S s(size);
    plx_cuda_field_pack(size, 8, &a.p, (float *)a.packed);
    PLX_LAUNCH(field_backward<S>, blocks, 2 * S::H, (field_shared<8, 64>(s, plx_cuda_packed_floats(s))), s,
               a);
}

extern "C" void plx_cuda_field_bwd(plx_field_size s, const plx_field_tensors *p, plx_points points,
                                   const float *dvalues, const plx_field_tensors *dp) {
    const bool model = field_is<plx_cuda_field_model>(s, p, dvalues),
               fit = field_is<plx_cuda_field_fit>(s, p, dvalues);
    const bool weights = dp->w1 || dp->b1 || dp->w2 || dp->b2 || dp->w3 || dp->b3,
               planes = dp->xy || dp->xz || dp->yz;
    if (points.M == 0 || !(weights || planes)) return;
    const int tile = model || fit ? 64 : 16;
    const unsigned blocks = plx_cuda_field_blocks(points.M, tile, 264);
    const field_scratch scratch = field_divide(s, points.M, blocks);
    const size_t sums = scratch.xy + scratch.xz + scratch.yz + 1;
    const field_backward_arguments a = {.p = *p,
                                        .packed = scratch.packed,
                                        .points = points,
                                        .dvalues = dvalues,
                                        .slabs = weights ? scratch.slabs : nullptr,
                                        .dx = planes ? scratch.dx : nullptr,
                                        .most = scratch.most};
    if (planes) PLX_LAUNCH(field_clear, plx_cuda_blocks(sums, THREADS), THREADS, 0, sums, scratch.planes);
    if (model)
        field_backward_fixed<plx_cuda_field_model>(s, a, blocks);
    else if (fit)
        field_backward_fixed<plx_cuda_field_fit>(s, a, blocks);
    else {
        plx_cuda_field_pack(s, 4, p, scratch.packed);
        PLX_LAUNCH(field_backward_any, blocks, s.H, (field_shared<4, 16>(s, 0)), s, a);
    }
    if (weights) {
        const plx_field_tensors d = *dp;
        const float *slabs = scratch.slabs;
        PLX_LAUNCH(field_add_slabs, plx_cuda_blocks((size_t)field_slab_floats(s), SUMS), SUMS * SEGMENTS, 0,
                   s, (int)blocks, tile, points.start, slabs, d);
    }
    if (planes) field_add_planes(s, points, scratch, dp);
}
