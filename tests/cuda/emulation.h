/* CUDA's language for plain C++: what the kernels in nerf/tensor/cuda_*.cu use of it, so that g++ -include of this file compiles
 * them and a launch runs them here. A block's threads are fibers that change at barriers and shuffles only; emulation_order says in
 * which order threads and blocks run: a race shows as other results in another order. What the hardware leaves undefined is an
 * error, or NaN: threads of a block at different barriers, one that has left before a barrier, shared memory before it is
 * written. No atomics on floats: their sum would depend on the order. */
#ifndef PLX_CUDA_EMULATION
#define PLX_CUDA_EMULATION

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <functional>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

/* Of numbers and enumerators; of a number and NaN it is the number. */
template <class A, class B> static inline auto min(A a, B b) {
    typedef decltype(a + b) T;
    return (T)a < (T)b || b != b ? (T)a : (T)b;
}
template <class A, class B> static inline auto max(A a, B b) {
    typedef decltype(a + b) T;
    return (T)a > (T)b || b != b ? (T)a : (T)b;
}

/* ---- types ----------------------------------------------------------------------------------------------------- */

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
typedef struct emulation_stream *cudaStream_t;

#define EMULATION_VECTORS(type, name)                                       \
    struct alignas(2 * sizeof(type)) name##2 {                              \
        type x, y;                                                          \
    };                                                                      \
    struct name##3 {                                                        \
        type x, y, z;                                                       \
    };                                                                      \
    struct alignas(4 * sizeof(type) > 16 ? 16 : 4 * sizeof(type)) name##4 { \
        type x, y, z, w;                                                    \
    };                                                                      \
    static inline name##2 make_##name##2(type x, type y) {                  \
        return {x, y};                                                      \
    }                                                                       \
    static inline name##3 make_##name##3(type x, type y, type z) {          \
        return {x, y, z};                                                   \
    }                                                                       \
    static inline name##4 make_##name##4(type x, type y, type z, type w) {  \
        return {x, y, z, w};                                                \
    }
EMULATION_VECTORS(float, float)
EMULATION_VECTORS(int, int)
EMULATION_VECTORS(unsigned, uint)
EMULATION_VECTORS(double, double)

/* ---- where a thread stands ------------------------------------------------------------------------------------- */

extern dim3 threadIdx, blockIdx, blockDim, gridDim;
enum { warpSize = 32 };

/* ---- launches -------------------------------------------------------------------------------------------------- */

enum { EMULATION_ORDERS = 6 };
extern int emulation_order; /* 0 .. EMULATION_ORDERS-1: forward, backward, warp by warp, and drawn */
extern size_t
    emulation_shared_limit; /* bytes of a block's shared memory; at first 64 KiB, what every card from sm_75 on has */
extern void (*emulation_launching)(const char *kernel); /* called before every launch */
extern void (*emulation_launched)(const char *kernel);  /* called behind every launch */

void emulation_launch(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                      const std::function<void()> &thread);

/* A block's memory: the first thread that asks makes it, NaN everywhere; it goes with the block. */
void *emulation_shared(const void *key, size_t bytes);
void *emulation_shared_dynamic(void);

#define PLX_SHARED(type, name, dimensions) \
    typedef type name##_type dimensions;   \
    static const char name##_key = 0;      \
    name##_type &name = *(name##_type *)emulation_shared(&name##_key, sizeof(name##_type))
#define PLX_SHARED_DYNAMIC(type, name) type *const name = (type *)emulation_shared_dynamic()

/* ---- barriers and shuffles ------------------------------------------------------------------------------------- */

#define EMULATION_TEXT(x) #x
#define EMULATION_LINE(x) EMULATION_TEXT(x)
#define EMULATION_SITE __FILE__ ":" EMULATION_LINE(__LINE__)

void emulation_barrier(const char *site);
int emulation_barrier_count(const char *site, bool one); /* threads that brought one */
/* Brings `bytes` of value to the warp's meeting; copies out the lane `from`'s (-1: nothing). */
void emulation_meet(const char *site, unsigned mask, int from, const void *value, void *out, size_t bytes);
unsigned emulation_ballot(const char *site, unsigned mask, bool vote);
int emulation_lane(void);

template <class T> static T emulation_exchange(const char *site, unsigned mask, T value, int from) {
    T out;
    emulation_meet(site, mask, from, &value, &out, sizeof value);
    return out;
}
/* The lane that a shuffle reads within `width`: the own one beyond its ends. */
static inline int emulation_within(int from, int width) {
    const int lane = emulation_lane(), base = lane / width * width;
    return from >= base && from < base + width ? from : lane;
}

#define __syncthreads() emulation_barrier(EMULATION_SITE)
#define __syncthreads_count(x) emulation_barrier_count(EMULATION_SITE, x)
#define __syncthreads_or(x) (emulation_barrier_count(EMULATION_SITE, x) > 0)
#define __syncwarp(...) emulation_meet(EMULATION_SITE, emulation_mask(__VA_ARGS__), -1, nullptr, nullptr, 0)
#define __shfl_sync(mask, value, ...) emulation_shfl(EMULATION_SITE, mask, value, __VA_ARGS__)
#define __shfl_down_sync(mask, value, ...) emulation_shfl_down(EMULATION_SITE, mask, value, __VA_ARGS__)
#define __shfl_up_sync(mask, value, ...) emulation_shfl_up(EMULATION_SITE, mask, value, __VA_ARGS__)
#define __shfl_xor_sync(mask, value, ...) emulation_shfl_xor(EMULATION_SITE, mask, value, __VA_ARGS__)
#define __ballot_sync(mask, x) emulation_ballot(EMULATION_SITE, mask, x)
#define __any_sync(mask, x) (emulation_ballot(EMULATION_SITE, mask, x) != 0)
#define __all_sync(mask, x) (emulation_ballot(EMULATION_SITE, mask, !(x)) == 0)

static inline unsigned emulation_mask(unsigned mask = 0xffffffffu) {
    return mask;
}
template <class T> static T emulation_shfl(const char *site, unsigned mask, T v, int lane, int width = 32) {
    return emulation_exchange(site, mask, v, emulation_lane() / width * width + lane % width);
}
template <class T>
static T emulation_shfl_down(const char *site, unsigned mask, T v, unsigned by, int width = 32) {
    return emulation_exchange(site, mask, v, emulation_within(emulation_lane() + (int)by, width));
}
template <class T>
static T emulation_shfl_up(const char *site, unsigned mask, T v, unsigned by, int width = 32) {
    return emulation_exchange(site, mask, v, emulation_within(emulation_lane() - (int)by, width));
}
template <class T> static T emulation_shfl_xor(const char *site, unsigned mask, T v, int by, int width = 32) {
    return emulation_exchange(site, mask, v, emulation_within(emulation_lane() ^ by, width));
}

/* ---- atomics: on integers; fibers change at barriers only, so plain operations are atomic ----------------------- */

#define EMULATION_ATOMICS(T)                          \
    static inline T atomicAdd(T *p, T v) {            \
        const T old = *p;                             \
        *p = (T)(old + v);                            \
        return old;                                   \
    }                                                 \
    static inline T atomicMax(T *p, T v) {            \
        const T old = *p;                             \
        *p = max(old, v);                             \
        return old;                                   \
    }                                                 \
    static inline T atomicMin(T *p, T v) {            \
        const T old = *p;                             \
        *p = min(old, v);                             \
        return old;                                   \
    }                                                 \
    static inline T atomicOr(T *p, T v) {             \
        const T old = *p;                             \
        *p = old | v;                                 \
        return old;                                   \
    }                                                 \
    static inline T atomicExch(T *p, T v) {           \
        const T old = *p;                             \
        *p = v;                                       \
        return old;                                   \
    }                                                 \
    static inline T atomicCAS(T *p, T compare, T v) { \
        const T old = *p;                             \
        if (old == compare) *p = v;                   \
        return old;                                   \
    }
EMULATION_ATOMICS(int)
EMULATION_ATOMICS(unsigned)
EMULATION_ATOMICS(unsigned long long)

static inline void __threadfence(void) {}

/* ---- arithmetic ------------------------------------------------------------------------------------------------- */

/* (the C library has names of its own for these) */
#define __expf expf
#define __logf logf
#define __powf powf
#define __sinf sinf
#define __cosf cosf

template <class T> static inline T __ldg(const T *p) {
    return *p;
}
static inline float rsqrtf(float x) {
    return 1 / sqrtf(x);
}
static inline double rsqrt(double x) {
    return 1 / sqrt(x);
}
static inline float __fdividef(float a, float b) {
    return a / b;
}
static inline float __fdiv_rn(float a, float b) {
    return a / b;
}
static inline float __fsqrt_rn(float x) {
    return sqrtf(x);
}
static inline float __saturatef(float x) {
    return fminf(fmaxf(x, 0), 1);
}
static inline float sinpif(float x) {
    return (float)sin(M_PI * fmod((double)x, 2));
}
static inline float cospif(float x) {
    return (float)cos(M_PI * fmod((double)x, 2));
}
static inline void sincospif(float x, float *s, float *c) {
    *s = sinpif(x), *c = cospif(x);
}
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)(((uint64_t)a * b) >> 32);
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
static inline float __int_as_float(int i) {
    float f;
    memcpy(&f, &i, sizeof f);
    return f;
}
static inline int __float_as_int(float f) {
    int i;
    memcpy(&i, &f, sizeof i);
    return i;
}
static inline float __uint_as_float(unsigned i) {
    return __int_as_float((int)i);
}
static inline unsigned __float_as_uint(float f) {
    return (unsigned)__float_as_int(f);
}
static inline long long __float2ll_rn(float x) {
    return llrintf(x);
}
static inline long long __double2ll_rn(double x) {
    return llrint(x);
}
static inline int __float2int_rn(float x) {
    return (int)lrintf(x);
}
static inline int __float2int_rd(float x) {
    return (int)floorf(x);
}

#endif
