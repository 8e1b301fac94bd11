/* Every kernel of the table under test against `ref`: odd sizes, guards around every array, gradients that add, gradients that
 * are not wanted. The products of matrices and convolutions are in test_kernels_products.c, the field's in test_kernels_field.c. */
#include "tests/kernel_check.h"

/* ---- norm ---------------------------------------------------------------------------------------------------- */

TESTED(norm_fwd)
TESTED(norm_bwd)

TEST(kernels, norm) {
    static const plx_norm_size sizes[] = {{1, 1, 2, 1, false, false},    {2, 35, 6, 3, true, false},
                                          {3, 64, 16, 4, true, false},   {2, 65, 40, 8, false, false},
                                          {1, 300, 33, 11, true, false}, {5, 16, 96, 32, true, false},
                                          {2, 130, 64, 1, true, false}};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const plx_norm_size s = sizes[c];
        const size_t xs = (size_t)s.N * s.P * s.C, C = (size_t)s.C, N = (size_t)s.N, stats = 2 * N * s.groups;
        float *x = array(xs, 1);
        for (size_t i = 0; i < xs; i++) x[i] = 3 + 2 * x[i]; /* a mean that is not 0 */
        const float *gamma = array(C, 2), *beta = array(C, 3), *film = array(2 * N * C, 4),
                    *dy = array(xs, 5);
        for (int some = 0; some < 4; some++) {
            const bool scaled = some & 1, wanted = some & 2;
            PAIR(y, xs, 6);
            PAIR(mr, stats, 7);
            PAIR(dx, xs, 8);
            PAIR(dg, C, 9);
            PAIR(db, C, 10);
            PAIR(df, 2 * N * C, 11);
            ON_BOTH({
                k->norm_fwd(s, x, gamma, beta, scaled ? film : NULL, mr[out], y[out]);
                k->norm_bwd(s, x, gamma, beta, scaled ? film : NULL, mr[0], dy, wanted ? NULL : dx[out],
                            wanted ? dg[out] : NULL, wanted ? NULL : db[out], scaled ? df[out] : NULL);
            })
            /* A group of two numbers can lie close together: rstd up to 300 multiplies the rounding of x. */
            const double tolerance = s.P * s.C / s.groups < 4 ? 1e-4 : 5e-6;
            expect_close("norm statistics", mr[1], mr[0], stats, tolerance);
            expect_close("norm y", y[1], y[0], xs, tolerance);
            expect_close("norm dx", dx[1], dx[0], xs, tolerance);
            const plx_norm_size again = {s.N, s.P, s.C, s.groups, s.silu, true};
            float *y2 = array(xs, 12);
            tested_table()->norm_fwd(again, x, gamma, beta, scaled ? film : NULL, mr[1], y2);
            EXPECT(memcmp(y[1], y2, xs * sizeof(float)) == 0, "norm y: other bits from known statistics");
            expect_close("norm dgamma", dg[1], dg[0], C, tolerance);
            expect_close("norm dbeta", db[1], db[0], C, tolerance);
            expect_close("norm dscale_shift", df[1], df[0], 2 * N * C, tolerance);
        }
        free_arrays();
    }
}

/* ---- element by element -------------------------------------------------------------------------------------- */

TESTED(silu_fwd)
TESTED(silu_bwd)
TESTED(sigmoid_fwd)
TESTED(sigmoid_bwd)
TESTED(axpy)

TEST(kernels, pointwise) {
    static const size_t sizes[] = {1, 15, 16, 17, 4097, 40001};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const size_t n = sizes[c];
        float *x = array(n, 1);
        for (size_t i = 0; i < n; i++) x[i] *= i % 7 == 0 ? 40 : 3; /* far out too */
        const float *dy = array(n, 2);
        PAIR(silu, n, 3);
        PAIR(dsilu, n, 4);
        PAIR(sigmoid, n, 5);
        PAIR(dsigmoid, n, 6);
        PAIR(sum, n, 7);
        ON_BOTH({
            k->silu_fwd(n, x, silu[out]);
            k->silu_bwd(n, x, dy, dsilu[out]);
            k->sigmoid_fwd(n, x, sigmoid[out]);
            k->sigmoid_bwd(n, sigmoid[0], dy, dsigmoid[out]);
            k->axpy(n, -0.3f, x, sum[out]);
        })
        /* e^x is good to 3e-7 (simd.h), a few operations follow */
        expect_close("silu", silu[1], silu[0], n, 1e-6);
        expect_close("silu dx", dsilu[1], dsilu[0], n, 1e-6);
        expect_close("sigmoid", sigmoid[1], sigmoid[0], n, 1e-6);
        expect_close("sigmoid dx", dsigmoid[1], dsigmoid[0], n, 1e-6);
        expect_close("axpy", sum[1], sum[0], n, 1e-6);
        free_arrays();
    }
}

/* A number that is none goes through: it must stop the run at the loss, not vanish on the way. */
TEST(kernels, nan_passes_through) {
    float *x = array(3, 1), *y = array(3, 2);
    x[1] = NAN, x[2] = -INFINITY;
    tested_table()->silu_fwd(3, x, y);
    EXPECT(isnan(y[1]), "silu(NaN) = %g", y[1]);
    tested_table()->sigmoid_fwd(3, x, y);
    EXPECT(isnan(y[1]) && y[2] >= 0 && y[2] < 1e-37f, "sigmoid(NaN) = %g, sigmoid(-inf) = %g", y[1], y[2]);
    free_arrays();
}

/* ---- attention ----------------------------------------------------------------------------------------------- */

TESTED(attention_fwd)
TESTED(attention_bwd)

TEST(kernels, attention) {
    static const plx_attention_size sizes[] = {{1, 1, 1, 1, 1},     {2, 5, 7, 2, 3},     {3, 16, 16, 4, 8},
                                               {1, 9, 66, 2, 37},   {2, 65, 129, 1, 16}, {1, 5, 70, 1, 70},
                                               {1, 130, 300, 2, 32}};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const plx_attention_size s = sizes[c];
        const size_t qs = (size_t)s.N * s.Q * s.heads * s.d, ks = (size_t)s.N * s.K * s.heads * s.d,
                     ls = (size_t)s.N * s.heads * s.Q;
        float *q = array(qs, 1), *key = array(ks, 2);
        for (size_t i = 0; i < ks; i++) key[i] *= 3; /* sharp rows, whose maximum rises from block to block */
        const float *v = array(ks, 3), *dy = array(qs, 4);
        for (int wanted = c < 3 ? 0 : 2; wanted < 8;
             wanted += c < 3 ? 1 : 5) { /* some, or all at the large sizes */
            PAIR(y, qs, 5);
            PAIR(lse, ls, 6);
            PAIR(dq, qs, 7);
            PAIR(dk, ks, 8);
            PAIR(dv, ks, 9);
            ON_BOTH({
                k->attention_fwd(s, q, key, v, lse[out], y[out]);
                k->attention_bwd(s, q, key, v, lse[0], y[0], dy, wanted & 1 ? dq[out] : NULL,
                                 wanted & 2 ? dk[out] : NULL, wanted & 4 ? dv[out] : NULL);
            })
            /* scores of order 10 are exponents: their rounding, 1e-6, is relative in P */
            expect_close("attention y", y[1], y[0], qs, 1e-5);
            expect_close("attention lse", lse[1], lse[0], ls, 1e-6);
            expect_close("attention dq", dq[1], dq[0], qs, 1e-5);
            expect_close("attention dk", dk[1], dk[0], ks, 1e-5);
            expect_close("attention dv", dv[1], dv[0], ks, 1e-5);
        }
        free_arrays();
    }
}

/* ---- moves: exact, but for sums of up to 12 floats ----------------------------------------------------------- */

TESTED(concat_fwd)
TESTED(concat_bwd)
TESTED(slice_fwd)
TESTED(slice_bwd)

TEST(kernels, rows) {
    static const struct {
        size_t M;
        int A, B;
    } sizes[] = {{1, 1, 1}, {7, 3, 18}, {700, 33, 20}};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const size_t M = sizes[c].M, A = (size_t)sizes[c].A, B = (size_t)sizes[c].B, C = A + B;
        const float *a = array(M * A, 1), *b = array(M * B, 2), *x = array(M * C, 3);
        for (int some = 0; some < 4; some++) {
            PAIR(y, M * C, 4);
            PAIR(da, M * A, 5);
            PAIR(db, M * B, 6);
            PAIR(part, M * B, 7);
            PAIR(dx, M * C, 8);
            ON_BOTH({
                k->concat_fwd(M, (int)A, (int)B, a, b, y[out]);
                k->concat_bwd(M, (int)A, (int)B, x, some & 1 ? da[out] : NULL, some & 2 ? db[out] : NULL);
                k->slice_fwd(M, (int)C, (int)A, (int)C, x, part[out]);
                k->slice_bwd(M, (int)C, (int)A, (int)C, b, dx[out]);
            })
            expect_close("concat", y[1], y[0], M * C, 0);
            expect_close("concat da", da[1], da[0], M * A, 0);
            expect_close("concat db", db[1], db[0], M * B, 0);
            expect_close("slice", part[1], part[0], M * B, 0);
            expect_close("slice dx", dx[1], dx[0], M * C, 0);
        }
        free_arrays();
    }
}

TESTED(swap_hw_fwd)
TESTED(swap_hw_bwd)
TESTED(upsample2_fwd)
TESTED(upsample2_bwd)
TESTED(pool_fwd)
TESTED(pool_bwd)
TESTED(space_to_depth_fwd)
TESTED(space_to_depth_bwd)
TESTED(depth_to_space_fwd)
TESTED(depth_to_space_bwd)

TEST(kernels, pixels) {
    static const int sizes[][4] = {{1, 2, 3, 4}, {2, 4, 6, 12}, {3, 12, 6, 20}, {2, 24, 36, 36}};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const int N = sizes[c][0], H = sizes[c][1], W = sizes[c][2], C = sizes[c][3];
        const size_t n = (size_t)N * H * W * C;
        const float *x = array(4 * n, 1);
        PAIR(swap, n, 2);
        PAIR(dswap, n, 3);
        PAIR(up, 4 * n, 4);
        PAIR(dup, n, 5);
        PAIR(pool, n / 6, 6);
        PAIR(dpool, n, 7);
        PAIR(to_depth, n, 8);
        PAIR(dto_depth, n, 9);
        PAIR(to_space, n, 10);
        PAIR(dto_space, n, 11);
        const int r = c == 0 ? 1 : 2;
        ON_BOTH({
            k->swap_hw_fwd(N, H, W, C, x, swap[out]);
            k->swap_hw_bwd(N, H, W, C, x, dswap[out]);
            k->upsample2_fwd(N, H, W, C, x, up[out]);
            k->upsample2_bwd(N, H, W, C, x, dup[out]);
            k->pool_fwd(N, H, W, C, 2, 3, x, pool[out]);
            k->pool_bwd(N, H, W, C, 2, 3, x, dpool[out]);
            k->space_to_depth_fwd(N, H, W, C, r, x, to_depth[out]);
            k->space_to_depth_bwd(N, H, W, C, r, x, dto_depth[out]);
            k->depth_to_space_fwd(N, H, W, C, 2, x, to_space[out]);
            k->depth_to_space_bwd(N, H, W, C, 2, x, dto_space[out]);
        })
        expect_close("swap_hw", swap[1], swap[0], n, 0);
        expect_close("swap_hw dx", dswap[1], dswap[0], n, 0);
        expect_close("upsample2", up[1], up[0], 4 * n, 0);
        expect_close("upsample2 dx", dup[1], dup[0], n, 1e-6);
        expect_close("pool", pool[1], pool[0], n / 6, 1e-6);
        expect_close("pool dx", dpool[1], dpool[0], n, 1e-6);
        expect_close("space_to_depth", to_depth[1], to_depth[0], n, 0);
        expect_close("space_to_depth dx", dto_depth[1], dto_depth[0], n, 0);
        expect_close("depth_to_space", to_space[1], to_space[0], n, 0);
        expect_close("depth_to_space dx", dto_space[1], dto_space[0], n, 0);
        free_arrays();
    }
}
