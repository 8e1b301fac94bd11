/* Floats by the vector: the processor's widest, by the compilers' vector extensions. (Of wider ones gcc takes comparisons
 * apart, lane by lane.) */
#ifndef PLX_SIMD_H
#define PLX_SIMD_H

#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
enum { PLX_LANES = 16 };
#else
enum { PLX_LANES = 8 };
#endif
typedef float plx_vector __attribute__((vector_size(4 * PLX_LANES)));
typedef int32_t plx_ivector __attribute__((vector_size(4 * PLX_LANES)));

/* Anywhere in an array of floats. */
typedef float plx_vector_unaligned __attribute__((vector_size(4 * PLX_LANES), aligned(4), may_alias));

static inline plx_vector plx_load(const float *p) {
    return *(const plx_vector_unaligned *)p;
}

static inline void plx_store(float *p, plx_vector v) {
    *(plx_vector_unaligned *)p = v;
}

static inline plx_vector plx_splat(float x) {
    return x - (plx_vector){0};
}

/* Keeps v in its register: gcc would read it from memory again at each use. */
#ifdef __AVX512F__
#define PLX_KEEP(v) __asm__("" : "+v"(v))
#else
#define PLX_KEEP(v) ((void)(v))
#endif

/* Lanes of a where the mask (all bits set, or none) is set, else of b. */
static inline plx_vector plx_select(plx_ivector mask, plx_vector a, plx_vector b) {
    return (plx_vector)(((plx_ivector)a & mask) | ((plx_ivector)b & ~mask));
}

/* The second argument where one of the two is NaN. */
static inline plx_vector plx_min(plx_vector a, plx_vector b) {
#if defined __AVX512F__
    return (plx_vector)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined __AVX2__
    return (plx_vector)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return plx_select(a < b, a, b);
#endif
}

static inline plx_vector plx_max(plx_vector a, plx_vector b) {
#if defined __AVX512F__
    return (plx_vector)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined __AVX2__
    return (plx_vector)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return plx_select(a > b, a, b);
#endif
}

static inline float plx_sum(plx_vector v) {
    float sum = 0;
    for (int i = 0; i < PLX_LANES; i++) sum += v[i];
    return sum;
}

/* x[i] = e^x[i], relative error below 4e-7 for |x| <= 87, clamped there: 2^n p(r), r = x - n ln 2, p the polynomial of
 * degree 5 of the least relative error, 7.6e-8. Step by step for all of them: one's steps wait for each other. */
static inline __attribute__((always_inline)) void plx_exps(plx_vector *x, int count) {
    const float magic = 12582912.0f; /* 1.5 2^23: adding it leaves the nearest integer in the low bits */
    plx_vector n[8], p[8];
#define EACH for (int i = 0; i < count; i++)
    EACH x[i] = plx_max(plx_splat(-87), plx_min(plx_splat(87), x[i])); /* x last: NaN goes through */
    EACH n[i] = x[i] * 1.44269504f + magic;
    EACH x[i] -= (n[i] - magic) * 0.693147181f;
    EACH p[i] = x[i] * 0.00829761934f + 0.0419156292f;
    EACH p[i] = p[i] * x[i] + 0.166675765f;
    EACH p[i] = p[i] * x[i] + 0.499988927f;
    EACH p[i] = p[i] * x[i] + 0.999999691f;
    EACH p[i] = p[i] * x[i] + 1.00000007f;
    EACH x[i] = p[i] * (plx_vector)(((plx_ivector)n[i] + 127) << 23);
#undef EACH
}

static inline plx_vector plx_exp(plx_vector x) {
    plx_exps(&x, 1);
    return x;
}

/* 1 / x, relative error below 2e-7, for x in [1,2^126]. */
static inline plx_vector plx_reciprocal(plx_vector x) {
#ifdef __AVX512F__
    plx_vector y = (plx_vector)_mm512_rcp14_ps((__m512)x);
    return y * (2 - x * y);
#else
    return 1 / x; /* elsewhere as fast beside products as an estimate and Newton's step */
#endif
}

/* x[i] = 1 / (1 + e^-x[i]) */
static inline __attribute__((always_inline)) void plx_sigmoids(plx_vector *x, int count) {
    for (int i = 0; i < count; i++) x[i] = -x[i];
    plx_exps(x, count);
    for (int i = 0; i < count; i++) x[i] = plx_reciprocal(1 + x[i]);
}

static inline plx_vector plx_sigmoid(plx_vector x) {
    plx_sigmoids(&x, 1);
    return x;
}

#endif
