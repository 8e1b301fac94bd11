/* Losses and the optimiser of the table under test against `ref`; what they are to mean is in test_kernels_step.c. */
#include "tests/kernel_check.h"

TESTED(noise_views)
TESTED(lp_fwd)
TESTED(lp_bwd)
TESTED(loss_sum_fwd)
TESTED(loss_sum_bwd)
TESTED(gradient_norm)
TESTED(adamw)

static double *double_array(size_t count) {
    return bytes_array(NULL, count * sizeof(double));
}

static void expect_double(const char *what, double seen, double ref) {
    /* sums in double, in other orders */
    EXPECT(fabs(seen / ref - 1) < 1e-12 || seen == ref, "%s is %.17g, ref %.17g", what, seen, ref);
}

TEST(kernels, losses) {
    static const size_t sizes[] = {1, 37, 4097, 20001};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const size_t n = sizes[c];
        float *weight = array(n, 3);
        for (size_t i = 0; i < n; i++) weight[i] = i % 5 ? fabsf(weight[i]) : 0;
        const float *x = array(n, 1), *y = array(n, 2), *dloss = array(1, 4);
        for (int some = 0; some < 4; some++) {
            const int p = 1 + some % 2;
            const float *w = some / 2 ? weight : NULL;
            double *sum[2] = {double_array(1), double_array(1)};
            PAIR(loss, 1, 5);
            PAIR(dx, n, 6);
            ON_BOTH({
                k->lp_fwd(n, p, x, y, w, sum[out], loss[out]);
                k->lp_bwd(n, p, x, y, w, sum[0], dloss, dx[out]);
            })
            expect_double("the sum of weights", *sum[1], *sum[0]);
            expect_close("loss", loss[1], loss[0], 1, 1e-7);
            expect_close("loss dx", dx[1], dx[0], n, 1e-7);
        }
        float *a = array(1, 7), *b = array(1, 8);
        PAIR(sum, 1, 9);
        PAIR(da, 1, 10);
        ON_BOTH({
            k->loss_sum_fwd((plx_loss_terms){3, {a, b, a}, {0.5f, -2, 3}}, sum[out]);
            k->loss_sum_bwd((plx_loss_terms){3, {da[out], NULL, da[out]}, {0.5f, -2, 3}}, dloss);
        })
        expect_close("sum of losses", sum[1], sum[0], 1, 1e-7);
        expect_close("sum of losses, da", da[1], da[0], 1, 1e-7);
        free_arrays();
    }
}

/* Views of an odd number of values, each with another target. Normal numbers differ by the last bits of sin, cos and log in double;
 * host and card round sums alike. */
TEST(kernels, views_with_noise) {
    enum { N = 4, EACH = 1021 };
    plx_noising levels[N];
    memset(levels, 0, sizeof levels);
    for (int n = 0; n < N; n++)
        levels[n] =
            (plx_noising){0.9 - 0.2 * n, 0.3 + 0.2 * n, (enum plx_noise_target)(n % 3), 0.5f * (float)n};
    const plx_noising *noise = bytes_array(levels, sizeof levels);
    const float *views = array(N * EACH, 1);
    PAIR(z, N * EACH, 2);
    PAIR(target, N * EACH, 3);
    PAIR(weight, N * EACH, 4);
    ON_BOTH(k->noise_views(N, EACH, noise, (plx_rng){5, 6}, views, z[out], target[out], weight[out]))
    expect_close("z", z[1], z[0], N * EACH, 1e-7);
    expect_close("target", target[1], target[0], N * EACH, 1e-7);
    expect_close("weight", weight[1], weight[0], N * EACH, 0);
    for (int i = 0; i < N * EACH; i += 17) {
        const plx_noising l = levels[i / EACH];
        const double x = views[i], eps = plx_rng_normal((plx_rng){5, 6}, (uint64_t)i);
        const double wanted = l.target == PLX_TARGET_V       ? l.alpha * eps - l.sigma * x
                              : l.target == PLX_TARGET_NOISE ? eps
                                                             : x;
        EXPECT(fabs(z[1][i] - (l.alpha * x + l.sigma * eps)) < 1e-6 && fabs(target[1][i] - wanted) < 1e-6,
               "value %d: z %g, target %g", i, z[1][i], target[1][i]);
    }
    free_arrays();
}

/* Chunks of odd sizes, one frozen, one empty; steps without and with clipping, then one with an infinite gradient. */
TEST(kernels, optimiser) {
    enum { N = 7001, CHUNKS = 5 };
    const plx_chunk all[CHUNKS] = {
        {0, 3001, 1, 0.1f}, {3001, 3001, 1, 0}, {3001, 4000, 0, 0}, {4000, 4001, 2, 0}, {4001, N, 0.5f, 0}};
    const plx_chunk *chunk = bytes_array(all, sizeof all);
    float *grad = array(N, 2);
    PAIR(m, N, 3);
    PAIR(v, N, 4);
    PAIR(value, N, 5);
    PAIR(ema, N, 6);
    double *sums[2] = {double_array(CHUNKS), double_array(CHUNKS)};
    double *norm[2] = {double_array(2), double_array(2)};
    for (int out = 0; out < 2; out++) {
        norm[out][1] = 0;
        for (size_t i = 0; i < N; i++) v[out][i] = fabsf(v[out][i]);
    }
    for (int step = 0; step < 4; step++) {
        const plx_adamw a = {0.01f, 0.9f, 0.99f, 1e-8f, 0.9f, (float)(step % 2), 1.5f, 1.2f};
        if (step == 2) grad[5000] = INFINITY;
        ON_BOTH({
            k->gradient_norm(CHUNKS, chunk, grad, sums[out], norm[out]);
            k->adamw(a, CHUNKS, chunk, norm[out], grad, m[out], v[out], value[out], ema[out]);
        })
        expect_double("the norm", norm[1][0], norm[0][0]);
        EXPECT(norm[1][1] == (step >= 2), "step %d: failed is %g", step, norm[1][1]);
        for (int k = 0; k < CHUNKS; k++) expect_double("a chunk's sum", sums[1][k], sums[0][k]);
        if (step == 2) grad[5000] = 1; /* it stays failed */
        expect_close("m", m[1], m[0], N, 1e-6);
        expect_close("v", v[1], v[0], N, 1e-6);
        expect_close("value", value[1], value[0], N, 1e-6);
        expect_close("ema", ema[1], ema[0], N, 1e-6);
    }
    free_arrays();
}
