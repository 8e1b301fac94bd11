/* Values moved about: a thread an element of what is written, or four channels of it (T), so that whole lines are written. */
#include "nerf/tensor/cuda_device.h"
#include "nerf/tensor/cuda_kernels.h"

enum { THREADS = 256 };

/* The T that thread writes, or one past the end. */
static __device__ __forceinline__ size_t own(void) {
    return (size_t)blockIdx.x * THREADS + threadIdx.x;
}

/* A launch of kernel<T> over n floats in rows of C: T = float4 where rows and arrays allow. C and c stand for channels in Ts. */
#define OVER(kernel, n, fours, ...)                                                                      \
    do {                                                                                                 \
        const size_t all = (n);                                                                          \
        if (all == 0) break;                                                                             \
        if (fours)                                                                                       \
            PLX_LAUNCH((kernel<float4>), plx_cuda_blocks(all / 4, THREADS), THREADS, 0, all / 4, 4,      \
                       __VA_ARGS__);                                                                     \
        else                                                                                             \
            PLX_LAUNCH((kernel<float>), plx_cuda_blocks(all, THREADS), THREADS, 0, all, 1, __VA_ARGS__); \
    } while (0)

template <class T> static __device__ __forceinline__ void add(float *to, size_t i, T value) {
    ((T *)to)[i] = plx_add(((const T *)to)[i], value);
}
template <class T> static __device__ __forceinline__ T at(const float *from, size_t i) {
    return ((const T *)from)[i];
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* Over y (M,A+B). */
template <class T>
static __global__ __launch_bounds__(THREADS) void concat_forward(size_t n, unsigned width, unsigned A,
                                                                 unsigned B, const float *a, const float *b,
                                                                 float *y) {
    const size_t i = own();
    if (i >= n) return;
    A /= width, B /= width;
    size_t m = i;
    const unsigned c = plx_take(&m, A + B);
    ((T *)y)[i] = c < A ? at<T>(a, m * A + c) : at<T>(b, m * B + (c - A));
}

template <class T>
static __global__ __launch_bounds__(THREADS) void concat_backward(size_t n, unsigned width, unsigned A,
                                                                  unsigned B, const float *dy, float *da,
                                                                  float *db) {
    const size_t i = own();
    if (i >= n) return;
    A /= width, B /= width;
    size_t m = i;
    const unsigned c = plx_take(&m, A + B);
    if (c < A) {
        if (da) add(da, m * A + c, at<T>(dy, i));
    } else if (db)
        add(db, m * B + (c - A), at<T>(dy, i));
}

/* Over the part (M,end-begin). */
template <class T>
static __global__ __launch_bounds__(THREADS) void slice_forward(size_t n, unsigned width, unsigned C,
                                                                unsigned begin, unsigned part, const float *x,
                                                                float *y) {
    const size_t i = own();
    if (i >= n) return;
    size_t m = i;
    const unsigned c = plx_take(&m, part / width);
    ((T *)y)[i] = at<T>(x, (m * C + begin) / width + c);
}

template <class T>
static __global__ __launch_bounds__(THREADS) void slice_backward(size_t n, unsigned width, unsigned C,
                                                                 unsigned begin, unsigned part,
                                                                 const float *dy, float *dx) {
    const size_t i = own();
    if (i >= n) return;
    size_t m = i;
    const unsigned c = plx_take(&m, part / width);
    add(dx, (m * C + begin) / width + c, at<T>(dy, i));
}

void plx_cuda_concat_fwd(size_t M, int A, int B, const float *a, const float *b, float *y) {
    const bool fours = A % 4 == 0 && plx_cuda_fours((size_t)B, a, b, y);
    OVER(concat_forward, M * (size_t)(A + B), fours, (unsigned)A, (unsigned)B, a, b, y);
}

void plx_cuda_concat_bwd(size_t M, int A, int B, const float *dy, float *da, float *db) {
    const bool fours = A % 4 == 0 && plx_cuda_fours((size_t)B, dy, da, db);
    OVER(concat_backward, M * (size_t)(A + B), fours, (unsigned)A, (unsigned)B, dy, da, db);
}

void plx_cuda_slice_fwd(size_t M, int C, int begin, int end, const float *x, float *y) {
    const bool fours = C % 4 == 0 && begin % 4 == 0 && plx_cuda_fours((size_t)end, x, y);
    OVER(slice_forward, M * (size_t)(end - begin), fours, (unsigned)C, (unsigned)begin,
         (unsigned)(end - begin), x, y);
}

void plx_cuda_slice_bwd(size_t M, int C, int begin, int end, const float *dy, float *dx) {
    const bool fours = C % 4 == 0 && begin % 4 == 0 && plx_cuda_fours((size_t)end, dy, dx);
    OVER(slice_backward, M * (size_t)(end - begin), fours, (unsigned)C, (unsigned)begin,
         (unsigned)(end - begin), dy, dx);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* Element i of (N,H,W,C), and back. */
struct place {
    unsigned n, h, w, c;
};

static __device__ __forceinline__ place place_of(size_t i, unsigned H, unsigned W, unsigned C) {
    place p;
    p.c = plx_take(&i, C);
    p.w = plx_take(&i, W);
    p.h = plx_take(&i, H);
    p.n = (unsigned)i;
    return p;
}

static __device__ __forceinline__ size_t at4(unsigned n, unsigned h, unsigned w, unsigned c, unsigned H,
                                             unsigned W, unsigned C) {
    return (((size_t)n * H + h) * W + w) * C + c;
}

/* to (N,H,W,C) (+)= from (N,W,H,C) */
template <class T>
static __device__ __forceinline__ size_t swapped(size_t i, unsigned H, unsigned W, unsigned C) {
    const place p = place_of(i, H, W, C);
    return at4(p.n, p.w, p.h, p.c, W, H, C);
}

template <class T>
static __global__ __launch_bounds__(THREADS) void swap_hw_forward(size_t n, unsigned width, unsigned H,
                                                                  unsigned W, unsigned C, const float *from,
                                                                  float *to) {
    const size_t i = own();
    if (i < n) ((T *)to)[i] = at<T>(from, swapped<T>(i, H, W, C / width));
}

template <class T>
static __global__ __launch_bounds__(THREADS) void swap_hw_backward(size_t n, unsigned width, unsigned H,
                                                                   unsigned W, unsigned C, const float *from,
                                                                   float *to) {
    const size_t i = own();
    if (i < n) add(to, i, at<T>(from, swapped<T>(i, H, W, C / width)));
}

static size_t size4(int N, int H, int W, int C) {
    return (size_t)N * (size_t)H * (size_t)W * (size_t)C;
}

void plx_cuda_swap_hw_fwd(int N, int H, int W, int C, const float *x, float *y) {
    OVER(swap_hw_forward, size4(N, H, W, C), plx_cuda_fours((size_t)C, x, y), (unsigned)W, (unsigned)H,
         (unsigned)C, x, y);
}

void plx_cuda_swap_hw_bwd(int N, int H, int W, int C, const float *dy, float *dx) {
    OVER(swap_hw_backward, size4(N, H, W, C), plx_cuda_fours((size_t)C, dy, dx), (unsigned)H, (unsigned)W,
         (unsigned)C, dy, dx);
}

/* Over x, which is read once and written four times. */
template <class T>
static __global__ __launch_bounds__(THREADS) void upsample2_forward(size_t n, unsigned width, unsigned H,
                                                                    unsigned W, unsigned C, const float *x,
                                                                    float *y) {
    const size_t i = own();
    if (i >= n) return;
    C /= width;
    const place p = place_of(i, H, W, C);
    const size_t top = at4(p.n, 2 * p.h, 2 * p.w, p.c, 2 * H, 2 * W, C), bottom = top + (size_t)2 * W * C;
    const T value = at<T>(x, i);
    T *out = (T *)y;
    out[top] = out[top + C] = out[bottom] = out[bottom + C] = value;
}

template <class T>
static __global__ __launch_bounds__(THREADS) void upsample2_backward(size_t n, unsigned width, unsigned H,
                                                                     unsigned W, unsigned C, const float *dy,
                                                                     float *dx) {
    const size_t i = own();
    if (i >= n) return;
    C /= width;
    const place p = place_of(i, H, W, C);
    const size_t top = at4(p.n, 2 * p.h, 2 * p.w, p.c, 2 * H, 2 * W, C), bottom = top + (size_t)2 * W * C;
    add(dx, i,
        plx_add(plx_add(at<T>(dy, top), at<T>(dy, top + C)),
                plx_add(at<T>(dy, bottom), at<T>(dy, bottom + C))));
}

void plx_cuda_upsample2_fwd(int N, int H, int W, int C, const float *x, float *y) {
    OVER(upsample2_forward, size4(N, H, W, C), plx_cuda_fours((size_t)C, x, y), (unsigned)H, (unsigned)W,
         (unsigned)C, x, y);
}

void plx_cuda_upsample2_bwd(int N, int H, int W, int C, const float *dy, float *dx) {
    OVER(upsample2_backward, size4(N, H, W, C), plx_cuda_fours((size_t)C, dy, dx), (unsigned)H, (unsigned)W,
         (unsigned)C, dy, dx);
}

/* Over y (N,H/kh,W/kw,C); H, W of x. */
template <class T>
static __global__ __launch_bounds__(THREADS) void pool_forward(size_t n, unsigned width, unsigned H,
                                                               unsigned W, unsigned C, unsigned kh,
                                                               unsigned kw, const float *x, float *y) {
    const size_t i = own();
    if (i >= n) return;
    C /= width;
    const place p = place_of(i, H / kh, W / kw, C);
    size_t from = at4(p.n, p.h * kh, p.w * kw, p.c, H, W, C);
    T sum = plx_scale(0, at<T>(x, from));
    for (unsigned k = 0; k < kh; k++, from += (size_t)W * C)
#pragma unroll 1
        for (unsigned j = 0; j < kw; j++) sum = plx_add(sum, at<T>(x, from + (size_t)j * C));
    ((T *)y)[i] = plx_scale(1 / ((float)kh * (float)kw), sum);
}

/* Over dx (N,H,W,C). */
template <class T>
static __global__ __launch_bounds__(THREADS) void pool_backward(size_t n, unsigned width, unsigned H,
                                                                unsigned W, unsigned C, unsigned kh,
                                                                unsigned kw, const float *dy, float *dx) {
    const size_t i = own();
    if (i >= n) return;
    C /= width;
    const place p = place_of(i, H, W, C);
    const size_t from = at4(p.n, p.h / kh, p.w / kw, p.c, H / kh, W / kw, C);
    add(dx, i, plx_scale(1 / ((float)kh * (float)kw), at<T>(dy, from)));
}

void plx_cuda_pool_fwd(int N, int H, int W, int C, int kh, int kw, const float *x, float *y) {
    OVER(pool_forward, size4(N, H / kh, W / kw, C), plx_cuda_fours((size_t)C, x, y), (unsigned)H, (unsigned)W,
         (unsigned)C, (unsigned)kh, (unsigned)kw, x, y);
}

void plx_cuda_pool_bwd(int N, int H, int W, int C, int kh, int kw, const float *dy, float *dx) {
    OVER(pool_backward, size4(N, H, W, C), plx_cuda_fours((size_t)C, dy, dx), (unsigned)H, (unsigned)W,
         (unsigned)C, (unsigned)kh, (unsigned)kw, dy, dx);
}

/* ---- pixels to channels and back ------------------------------------------------------------------------------ */

/* Where element (h,w,c) of the wide (H,W,C) is in the deep (H/r,W/r,r*r*C): channel (h % r * r + w % r) C + c. */
static __device__ __forceinline__ size_t deep_of(size_t i, unsigned H, unsigned W, unsigned C, unsigned r) {
    const place p = place_of(i, H, W, C);
    return at4(p.n, p.h / r, p.w / r, (p.h % r * r + p.w % r) * C + p.c, H / r, W / r, r * r * C);
}

/* And back: i of the deep. H, W, C are still the wide's. */
static __device__ __forceinline__ size_t wide_of(size_t i, unsigned H, unsigned W, unsigned C, unsigned r) {
    const unsigned c = plx_take(&i, C), dw = plx_take(&i, r), dh = plx_take(&i, r);
    const unsigned w = plx_take(&i, W / r), h = plx_take(&i, H / r);
    return at4((unsigned)i, h * r + dh, w * r + dw, c, H, W, C);
}

/* DEEP: the array that is written is the deep one. */
template <class T, bool DEEP, bool ADD>
static __device__ __forceinline__ void shuffle(size_t n, unsigned width, unsigned H, unsigned W, unsigned C,
                                               unsigned r, const float *from, float *to) {
    const size_t i = own();
    if (i >= n) return;
    const T value = at<T>(from, DEEP ? wide_of(i, H, W, C / width, r) : deep_of(i, H, W, C / width, r));
    if (ADD)
        add(to, i, value);
    else
        ((T *)to)[i] = value;
}

#define SHUFFLE(name, deep, add)                                                                             \
    template <class T>                                                                                       \
    static __global__ __launch_bounds__(THREADS) void name(size_t n, unsigned width, unsigned H, unsigned W, \
                                                           unsigned C, unsigned r, const float *from,        \
                                                           float *to) {                                      \
        shuffle<T, deep, add>(n, width, H, W, C, r, from, to);                                               \
    }
SHUFFLE(space_to_depth_forward, true, false)
SHUFFLE(space_to_depth_backward, false, true)
SHUFFLE(depth_to_space_forward, false, false)
SHUFFLE(depth_to_space_backward, true, true)

void plx_cuda_space_to_depth_fwd(int N, int H, int W, int C, int r, const float *x, float *y) {
    OVER(space_to_depth_forward, size4(N, H, W, C), plx_cuda_fours((size_t)C, x, y), (unsigned)H, (unsigned)W,
         (unsigned)C, (unsigned)r, x, y);
}

void plx_cuda_space_to_depth_bwd(int N, int H, int W, int C, int r, const float *dy, float *dx) {
    OVER(space_to_depth_backward, size4(N, H, W, C), plx_cuda_fours((size_t)C, dy, dx), (unsigned)H,
         (unsigned)W, (unsigned)C, (unsigned)r, dy, dx);
}

/* x is the deep one here. */
void plx_cuda_depth_to_space_fwd(int N, int H, int W, int C, int r, const float *x, float *y) {
    OVER(depth_to_space_forward, size4(N, H, W, C), plx_cuda_fours((size_t)(C / (r * r)), x, y),
         (unsigned)(H * r), (unsigned)(W * r), (unsigned)(C / (r * r)), (unsigned)r, x, y);
}

void plx_cuda_depth_to_space_bwd(int N, int H, int W, int C, int r, const float *dy, float *dx) {
    OVER(depth_to_space_backward, size4(N, H, W, C), plx_cuda_fours((size_t)(C / (r * r)), dy, dx),
         (unsigned)(H * r), (unsigned)(W * r), (unsigned)(C / (r * r)), (unsigned)r, dy, dx);
}
