/* Sixteen floats at a time, by the compilers' vector extensions: AVX-512, or two AVX registers. */
#ifndef PLX_SIMD_H
#define PLX_SIMD_H

#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef float plx_f16 __attribute__((vector_size(64)));
typedef int32_t plx_i16 __attribute__((vector_size(64)));

/* How many vectors of outputs, and rows, a matrix block keeps in registers. */
#ifdef __AVX512F__
enum { PLX_BLOCK_VECTORS = 4, PLX_BLOCK_ROWS = 4 };
#else
enum { PLX_BLOCK_VECTORS = 2, PLX_BLOCK_ROWS = 2 };
#endif

/* Anywhere in an array of floats. */
typedef float plx_f16_unaligned __attribute__((vector_size(64), aligned(4), may_alias));

static inline plx_f16 plx_load(const float *p) {
    return *(const plx_f16_unaligned *)p;
}

static inline void plx_store(float *p, plx_f16 v) {
    *(plx_f16_unaligned *)p = v;
}

static inline plx_f16 plx_splat(float x) {
    return x - (plx_f16){0};
}

/* Keeps v in its register: gcc would read it from memory again at each use. */
#ifdef __AVX512F__
#define PLX_KEEP(v) __asm__("" : "+v"(v))
#else
#define PLX_KEEP(v) ((void)(v))
#endif

/* Lanes of a where the mask (all bits set, or none) is set, else of b. */
static inline plx_f16 plx_select(plx_i16 mask, plx_f16 a, plx_f16 b) {
    return (plx_f16)(((plx_i16)a & mask) | ((plx_i16)b & ~mask));
}

/* The second argument where one of the two is NaN. */
static inline plx_f16 plx_min(plx_f16 a, plx_f16 b) {
#ifdef __AVX512F__
    return (plx_f16)_mm512_min_ps((__m512)a, (__m512)b);
#else
    return plx_select(a < b, a, b);
#endif
}

static inline plx_f16 plx_max(plx_f16 a, plx_f16 b) {
#ifdef __AVX512F__
    return (plx_f16)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return plx_select(a > b, a, b);
#endif
}

static inline float plx_sum(plx_f16 v) {
    float sum = 0;
    for (int i = 0; i < 16; i++) sum += v[i];
    return sum;
}

/* e^x, relative error below 4e-7 for |x| <= 87, clamped there: 2^n p(r), r = x - n ln 2, p the polynomial of degree 5 of
 * the least relative error, 7.6e-8. */
static inline plx_f16 plx_exp(plx_f16 x) {
    x = plx_max(plx_splat(-87), plx_min(plx_splat(87), x)); /* x last: NaN goes through */
    const float magic = 12582912.0f; /* 1.5 2^23: adding it leaves the nearest integer in the low bits */
    plx_f16 n = x * 1.44269504f + magic, r = x - (n - magic) * 0.693147181f;
    plx_f16 p =
        ((((r * 0.00829761934f + 0.0419156292f) * r + 0.166675765f) * r + 0.499988927f) * r + 0.999999691f) *
            r +
        1.00000007f;
    return p * (plx_f16)(((plx_i16)n + 127) << 23);
}

/* 1 / x, relative error below 2e-7, for x in [1,2^126]. */
static inline plx_f16 plx_reciprocal(plx_f16 x) {
#ifdef __AVX512F__
    plx_f16 y = (plx_f16)_mm512_rcp14_ps((__m512)x);
    return y * (2 - x * y);
#else
    return 1 / x;
#endif
}

static inline plx_f16 plx_sigmoid16(plx_f16 x) {
    return plx_reciprocal(1 + plx_exp(-x));
}

#endif
