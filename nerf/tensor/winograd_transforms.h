/* The one-dimensional transforms of Winograd's F(4,3), a register of channels at a time.
 *
 * A tile is 4 outputs from 6 inputs: y = A^T ((G w) (B^T x)). Polynomials are evaluated at 0, +-a, +-b and infinity with
 * a = 1/sqrt 2, b = sqrt 2: in float the rounding errors are four times smaller than with the usual 1 and 2 (measured in
 * two dimensions over 128 channels of unit variance: 7e-6 at most; direct 1e-6). The rows of B^T are the coefficients of
 * M(x) / (x - p), M(x) = x (x^2 - a^2)(x^2 - b^2), G's are p^k / prod (p - q) over the other points q, A^T's are p^k. */
#ifndef PLX_WINOGRAD_TRANSFORMS_H
#define PLX_WINOGRAD_TRANSFORMS_H

#include "nerf/tensor/simd.h"

typedef plx_vector plx_lanes;

#define PLX_WA 0.70710678118654752f /* a; a^2 = 1/2 */
#define PLX_WB 1.41421356237309505f /* b; b^2 = 2, ab = 1 */
#define PLX_WNA (-2.0f / 3)         /* 1 / (2 a^2 (a^2 - b^2)) */
#define PLX_WNB (1.0f / 6)          /* 1 / (2 b^2 (b^2 - a^2)) */

/* B^T: 6 -> 6 */
static inline void plx_wino_input(const plx_lanes *x, plx_lanes *out) {
    const plx_lanes even_a = x[4] - 2 * x[2], odd_a = PLX_WA * (x[3] - 2 * x[1]);
    const plx_lanes even_b = x[4] - 0.5f * x[2], odd_b = PLX_WB * (x[3] - 0.5f * x[1]);
    out[0] = x[0] - 2.5f * x[2] + x[4];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = x[1] - 2.5f * x[3] + x[5];
}

/* A^T: 6 -> 4 */
static inline void plx_wino_output(const plx_lanes *m, plx_lanes *out) {
    const plx_lanes sum_a = m[1] + m[2], diff_a = PLX_WA * (m[1] - m[2]);
    const plx_lanes sum_b = m[3] + m[4], diff_b = PLX_WB * (m[3] - m[4]);
    out[0] = m[0] + sum_a + sum_b;
    out[1] = diff_a + diff_b;
    out[2] = 0.5f * sum_a + 2 * sum_b;
    out[3] = 0.5f * diff_a + 2 * diff_b + m[5];
}

/* A: 4 -> 6, of output gradients */
static inline void plx_wino_output_gradient(const plx_lanes *y, plx_lanes *out) {
    const plx_lanes even_a = y[0] + 0.5f * y[2], odd_a = PLX_WA * (y[1] + 0.5f * y[3]);
    const plx_lanes even_b = y[0] + 2 * y[2], odd_b = PLX_WB * (y[1] + 2 * y[3]);
    out[0] = y[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = y[3];
}

/* G: 3 -> 6 */
static inline void plx_wino_weight(const plx_lanes *w, plx_lanes *out) {
    const plx_lanes even_a = PLX_WNA * (w[0] + 0.5f * w[2]), odd_a = (PLX_WNA * PLX_WA) * w[1];
    const plx_lanes even_b = PLX_WNB * (w[0] + 2 * w[2]), odd_b = (PLX_WNB * PLX_WB) * w[1];
    out[0] = w[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = w[2];
}

/* G^T: 6 -> 3, of weight gradients */
static inline void plx_wino_weight_gradient(const plx_lanes *u, plx_lanes *out) {
    const plx_lanes sum_a = PLX_WNA * (u[1] + u[2]), diff_a = (PLX_WNA * PLX_WA) * (u[1] - u[2]);
    const plx_lanes sum_b = PLX_WNB * (u[3] + u[4]), diff_b = (PLX_WNB * PLX_WB) * (u[3] - u[4]);
    out[0] = u[0] + sum_a + sum_b;
    out[1] = diff_a + diff_b;
    out[2] = 0.5f * sum_a + 2 * sum_b + u[5];
}

/* Both dimensions: from x from, element k given by load(k), to x to, element k taken by store(k, value). Unrolled, so
 * that all but the values between the two passes stay in registers. */
#define PLX_WINO_2D(transform, from, to, load, store)                                                      \
    do {                                                                                                   \
        plx_lanes half_[(to) * (from)];                                                                    \
        _Pragma("GCC unroll 6") for (int c_ = 0; c_ < (from); c_++) {                                      \
            plx_lanes in_[from], out_[to];                                                                 \
            _Pragma("GCC unroll 6") for (int r_ = 0; r_ < (from); r_++) in_[r_] = load(r_ * (from) + c_);  \
            transform(in_, out_);                                                                          \
            _Pragma("GCC unroll 6") for (int r_ = 0; r_ < (to); r_++) half_[r_ * (from) + c_] = out_[r_];  \
        }                                                                                                  \
        _Pragma("GCC unroll 6") for (int r_ = 0; r_ < (to); r_++) {                                        \
            plx_lanes in_[from], out_[to];                                                                 \
            _Pragma("GCC unroll 6") for (int c_ = 0; c_ < (from); c_++) in_[c_] = half_[r_ * (from) + c_]; \
            transform(in_, out_);                                                                          \
            _Pragma("GCC unroll 6") for (int c_ = 0; c_ < (to); c_++) {                                    \
                store(r_ *(to) + c_, out_[c_]);                                                            \
            }                                                                                              \
        }                                                                                                  \
    } while (0)

#endif
