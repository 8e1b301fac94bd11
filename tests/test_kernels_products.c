/* Convolutions and matrix products of the table under test against `ref`. */
#include "tests/kernel_check.h"

/* Winograd's transforms: 7e-6 was measured over 128 channels of unit variance (winograd_transforms.h). */
#define WINOGRAD 2e-5

TESTED(conv_fwd)
TESTED(conv_bwd)

static const plx_conv_size conv_sizes[] = {
    {1, 3, 5, 1, 1, 1, 1},    {2, 5, 7, 3, 5, 3, 1},     {3, 6, 4, 7, 2, 3, 2},
    {1, 4, 6, 5, 33, 5, 1},   {5, 8, 8, 17, 16, 3, 1},   {2, 4, 4, 16, 19, 3, 2},
    {3, 7, 9, 20, 12, 1, 1},  {2, 4, 4, 32, 64, 3, 1}, /* direct, Winograd for dw */
    {3, 8, 8, 32, 96, 3, 1},  {1, 9, 13, 64, 32, 3, 1},  {2, 16, 10, 32, 32, 3, 1},
    {7, 12, 8, 64, 64, 3, 1}, {2, 8, 8, 48, 48, 3, 1},   {3, 12, 9, 48, 80, 3, 1},
    {2, 8, 8, 16, 48, 3, 1},  {1, 16, 16, 96, 16, 3, 1}, {2, 16, 9, 24, 64, 3, 1},
    {3, 8, 8, 64, 84, 3, 1},  {1, 8, 12, 29, 43, 3, 1}, /* Winograd */
    {1, 1, 1, 32, 32, 3, 1},  {1, 2, 2, 4, 4, 3, 2},     {70, 2, 2, 4, 100, 1, 1},
    {2, 6, 6, 8, 8, 1, 2},
};

/* cuDNN may take such transforms, or Fourier's, for any kernel. */
static bool winograd(plx_conv_size s) {
    if (tested_table() != table("cpu")) return s.K > 1;
    return s.K == 3 && s.stride == 1 && s.I >= 16 && s.O >= 16;
}

TEST(kernels, conv) {
    for (size_t c = 0; c < sizeof conv_sizes / sizeof *conv_sizes; c++) {
        const plx_conv_size s = conv_sizes[c];
        const size_t xs = (size_t)(s.N * s.H * s.W * s.I), ws = (size_t)(s.O * s.K * s.K * s.I);
        const size_t ys = (size_t)(s.N * (s.H / s.stride) * (s.W / s.stride) * s.O);
        const float *x = array(xs, 1), *w = array(ws, 2), *b = array((size_t)s.O, 3), *dy = array(ys, 4);
        char what[128];
        snprintf(what, sizeof what, "conv %dx%dx%dx%d -> %d, K %d, stride %d", s.N, s.H, s.W, s.I, s.O, s.K,
                 s.stride);
        const double tolerance = winograd(s) ? WINOGRAD : SUMS;
        for (int bias = 0; bias < 2; bias++) {
            PAIR(y, ys, 5);
            ON_BOTH(k->conv_fwd(s, x, w, bias ? b : NULL, y[out]))
            expect_close(what, y[1], y[0], ys, tolerance);
        }
        const float *dx0 = array(xs, 6), *dw0 = array(ws, 7), *db0 = array((size_t)s.O, 8);
        float *dx = array_copy(dx0, xs), *dw = array_copy(dw0, ws), *db = array_copy(db0, (size_t)s.O);
        table("ref")->conv_bwd(s, x, w, dy, dx, dw, db);
        for (int wanted = 0; wanted < 8; wanted++) {
            const bool of_x = wanted & 1, of_w = wanted & 2, of_b = wanted & 4;
            float *dx1 = array_copy(dx0, xs), *dw1 = array_copy(dw0, ws), *db1 = array_copy(db0, (size_t)s.O);
            tested_table()->conv_bwd(s, x, w, dy, of_x ? dx1 : NULL, of_w ? dw1 : NULL, of_b ? db1 : NULL);
            expect_close(what, dx1, of_x ? dx : dx0, xs, tolerance);
            expect_close(what, dw1, of_w ? dw : dw0, ws, tolerance);
            expect_close(what, db1, of_b ? db : db0, (size_t)s.O, SUMS);
        }
        free_arrays();
    }
}

TESTED(linear_fwd)
TESTED(linear_bwd)

TEST(kernels, linear) {
    static const struct {
        size_t M;
        int I, O;
    } sizes[] = {{1, 1, 1}, {3, 5, 7}, {64, 33, 65}, {129, 20, 130}, {515, 16, 3}, {1, 200, 100}};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const size_t M = sizes[c].M, I = (size_t)sizes[c].I, O = (size_t)sizes[c].O;
        const float *x = array(M * I, 1), *w = array(O * I, 2), *b = array(O, 3), *dy = array(M * O, 4);
        for (int some = 0; some < 8; some++) {
            PAIR(y, M * O, 5);
            PAIR(dx, M * I, 6);
            PAIR(dw, O * I, 7);
            PAIR(db, O, 8);
            ON_BOTH({
                k->linear_fwd(M, (int)I, (int)O, x, w, some & 1 ? b : NULL, y[out]);
                k->linear_bwd(M, (int)I, (int)O, x, w, dy, some & 1 ? dx[out] : NULL,
                              some & 2 ? dw[out] : NULL, some & 4 ? db[out] : NULL);
            })
            expect_close("linear y", y[1], y[0], M * O, SUMS);
            expect_close("linear dx", dx[1], dx[0], M * I, SUMS);
            expect_close("linear dw", dw[1], dw[0], O * I, SUMS);
            expect_close("linear db", db[1], db[0], O, SUMS);
        }
        free_arrays();
    }
}
