/* Sixteen floats at a time, by the compilers' vector extensions: AVX-512, or two AVX registers. */
#ifndef PLX_SIMD_H
#define PLX_SIMD_H

#include <stdint.h>
#include <string.h>

typedef float plx_f16 __attribute__((vector_size(64)));
typedef int32_t plx_i16 __attribute__((vector_size(64)));

/* How many vectors of outputs, and rows, a matrix block keeps in registers. */
#ifdef __AVX512F__
enum { PLX_BLOCK_VECTORS = 4, PLX_BLOCK_ROWS = 4 };
#else
enum { PLX_BLOCK_VECTORS = 2, PLX_BLOCK_ROWS = 2 };
#endif

static inline plx_f16 plx_load(const float *p) {
    plx_f16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void plx_store(float *p, plx_f16 v) {
    memcpy(p, &v, sizeof v);
}

static inline plx_f16 plx_splat(float x) {
    return x - (plx_f16){0};
}

static inline plx_f16 plx_min(plx_f16 a, plx_f16 b) {
    plx_i16 m = a < b;
    return (plx_f16)(((plx_i16)a & m) | ((plx_i16)b & ~m));
}

static inline plx_f16 plx_max(plx_f16 a, plx_f16 b) {
    return -plx_min(-a, -b);
}

/* e^x, relative error below 3e-7 for |x| <= 87, clamped there: 2^n p(r), r = x - n ln 2, p of degree 6. */
static inline plx_f16 plx_exp(plx_f16 x) {
    x = plx_max(plx_splat(-87), plx_min(plx_splat(87), x)); /* x last: NaN goes through */
    const float magic = 12582912.0f;                        /* 1.5 2^23: adding it rounds to an integer */
    plx_f16 n = (x * 1.44269504f + magic) - magic;
    plx_f16 r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    plx_f16 p =
        ((((r * (1 / 720.0f) + 1 / 120.0f) * r + 1 / 24.0f) * r + 1 / 6.0f) * r + 0.5f) * r * r + r + 1;
    plx_i16 e = (__builtin_convertvector(n, plx_i16) + 127) << 23;
    return p * (plx_f16)e;
}

static inline plx_f16 plx_sigmoid16(plx_f16 x) {
    return 1 / (1 + plx_exp(-x));
}

#endif
