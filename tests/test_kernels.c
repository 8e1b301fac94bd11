/* Every kernel of table `cpu` against `ref`: odd sizes, guards around every array, gradients that add, gradients that are not
 * wanted; and the same bits on 1 and 2 threads. */
#include "tests/kernel_check.h"

#include "nerf/tensor/ops.h"
#include "nerf/tensor/scratch.h"

#include <malloc.h>
#include <omp.h>
#include <stdint.h>

/* ---- arrays with guards -------------------------------------------------------------------------------------- */

enum { GUARD = 64, MAX_ARRAYS = 512 };
static const uint32_t guard_bits = 0x7fc0dead; /* a NaN */

static struct {
    float *base;
    size_t count;
} arrays[MAX_ARRAYS];
static int array_count;

static float *new_array(size_t count) {
    float *base = malloc((count + 2 * GUARD) * sizeof *base);
    if (!base || array_count == MAX_ARRAYS) abort();
    for (size_t i = 0; i < count + 2 * GUARD; i++) memcpy(base + i, &guard_bits, sizeof *base);
    arrays[array_count].base = base;
    arrays[array_count++].count = count;
    return base + GUARD;
}

float *array(size_t count, unsigned stream) {
    float *a = new_array(count);
    plx_rng_fill_normal((plx_rng){77, stream}, a, count);
    return a;
}

float *array_copy(const float *from, size_t count) {
    return memcpy(new_array(count), from, count * sizeof(float));
}

void free_arrays(void) {
    for (int k = 0; k < array_count; k++) {
        for (size_t i = 0; i < GUARD; i++) {
            const float *before = arrays[k].base + i, *behind = arrays[k].base + GUARD + arrays[k].count + i;
            EXPECT(memcmp(before, &guard_bits, 4) == 0, "array %d, %zu before its start was written", k,
                   GUARD - i);
            EXPECT(memcmp(behind, &guard_bits, 4) == 0, "array %d, %zu behind its end was written", k, i);
        }
        free(arrays[k].base);
    }
    array_count = 0;
}

void expect_close(const char *what, const float *seen, const float *ref, size_t count, double tolerance) {
    double largest = 1, worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(ref[i]));
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)seen[i] - ref[i]);
        if (!(error <= worst)) worst = error, where = i; /* NaN too */
    }
    EXPECT(worst <= tolerance * largest, "%s: element %zu of %zu is %.9g, ref %.9g (largest %g)", what, where,
           count, seen[where], ref[where], largest);
}

const plx_kernels *table(const char *name) {
    plx_device device;
    if (plx_device_open(&device, name) < 0) {
        test_fail(__FILE__, __LINE__, name, "%s", plx_error());
        abort();
    }
    return device.kernels;
}

static const char *tested[256];
static int tested_count;

void kernel_is_tested(const char *kernel) {
    tested[tested_count++] = kernel;
}

TEST(kernels, every_kernel_is_tested) {
    static const char *const names[] = {
#define NAME(name, arguments) #name,
        PLX_KERNEL_LIST(NAME)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool found = false;
        for (int k = 0; k < tested_count; k++) found |= strcmp(tested[k], names[i]) == 0;
        EXPECT(found, "kernel %s has no test", names[i]);
    }
}

/* ---- a run on both tables ------------------------------------------------------------------------------------ */

/* Sums of n terms of order 1 in float: 6e-8 sqrt(n) each way, and order of n once; 2e-6 is ten times that for n = 1000. */
#define SUMS 2e-6
/* Winograd's transforms: 7e-6 was measured over 128 channels of unit variance (winograd_transforms.h). */
#define WINOGRAD 2e-5

/* Runs the statement with k = the table, out = 0 for ref and 1 for cpu. */
#define ON_BOTH(statement)                                 \
    for (int out = 0; out < 2; out++) {                    \
        const plx_kernels *k = table(out ? "cpu" : "ref"); \
        statement;                                         \
    }

/* Two equal arrays, for the results of ref and cpu. */
#define PAIR(name, count, stream)   \
    float *name[2];                 \
    name[0] = array(count, stream); \
    name[1] = array_copy(name[0], count)

/* ---- convolution --------------------------------------------------------------------------------------------- */

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

static bool winograd(plx_conv_size s) {
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
            table("cpu")->conv_bwd(s, x, w, dy, of_x ? dx1 : NULL, of_w ? dw1 : NULL, of_b ? db1 : NULL);
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
            table("cpu")->norm_fwd(again, x, gamma, beta, scaled ? film : NULL, mr[1], y2);
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
    const float x[3] = {1, NAN, -INFINITY};
    float y[3];
    table("cpu")->silu_fwd(3, x, y);
    EXPECT(isnan(y[1]), "silu(NaN) = %g", y[1]);
    table("cpu")->sigmoid_fwd(3, x, y);
    EXPECT(isnan(y[1]) && y[2] >= 0 && y[2] < 1e-37f, "sigmoid(NaN) = %g, sigmoid(-inf) = %g", y[1], y[2]);
}

/* ---- attention ----------------------------------------------------------------------------------------------- */

TESTED(attention_fwd)
TESTED(attention_bwd)

TEST(kernels, attention) {
    static const plx_attention_size sizes[] = {
        {1, 1, 1, 1, 1}, {2, 5, 7, 2, 3}, {1, 65, 129, 3, 16}, {2, 130, 300, 2, 32}, {3, 16, 16, 4, 8}};
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const plx_attention_size s = sizes[c];
        const size_t qs = (size_t)s.N * s.Q * s.heads * s.d, ks = (size_t)s.N * s.K * s.heads * s.d,
                     ls = (size_t)s.N * s.heads * s.Q;
        float *q = array(qs, 1), *key = array(ks, 2);
        for (size_t i = 0; i < ks; i++) key[i] *= 3; /* sharp rows, whose maximum rises from block to block */
        const float *v = array(ks, 3), *dy = array(qs, 4);
        for (int wanted = 0; wanted < 8; wanted++) {
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

/* ---- the same bits on 1, 2 and 3 threads --------------------------------------------------------------------- */

typedef struct results {
    float *data[16];
    size_t count[16];
    int used;
} results;

static float *result(results *r, size_t count, unsigned stream) {
    r->count[r->used] = count;
    return r->data[r->used++] = array(count, stream);
}

/* Large enough that the work is shared. Denormal numbers are among the inputs. */
static results run_all(int threads) {
    results r = {.used = 0};
    omp_set_num_threads(threads);
    const plx_kernels *k = table("cpu");
    static const plx_conv_size convs[] = {
        {5, 16, 16, 32, 64, 3, 1}, {3, 8, 8, 20, 24, 3, 2}, {4, 8, 8, 96, 40, 1, 1}};
    for (size_t c = 0; c < sizeof convs / sizeof *convs; c++) {
        const plx_conv_size s = convs[c];
        const size_t xs = (size_t)(s.N * s.H * s.W * s.I), ws = (size_t)(s.O * s.K * s.K * s.I);
        const size_t ys = (size_t)(s.N * (s.H / s.stride) * (s.W / s.stride) * s.O);
        float *x = array(xs, 1), *w = array(ws, 2), *b = array((size_t)s.O, 3);
        for (size_t i = 0; i < xs; i += 3) x[i] *= 1e-39f;
        float *y = result(&r, ys, 4), *dx = result(&r, xs, 5), *dw = result(&r, ws, 6),
              *db = result(&r, (size_t)s.O, 7);
        k->conv_fwd(s, x, w, b, y);
        k->conv_bwd(s, x, w, y, dx, dw, db);
    }
    const plx_norm_size ns = {3, 400, 48, 6, true, false};
    const size_t n = (size_t)ns.N * ns.P * ns.C;
    float *x = array(n, 1), *gamma = array(48, 2), *beta = array(48, 3), *mr = array(36, 4),
          *y = result(&r, n, 5);
    k->norm_fwd(ns, x, gamma, beta, NULL, mr, y);
    k->norm_bwd(ns, x, gamma, beta, NULL, mr, y, result(&r, n, 6), gamma, beta, NULL);
    const plx_attention_size as = {2, 200, 200, 2, 32};
    const size_t an = 2 * 200 * 64;
    float *q = array(an, 1), *lse = array(800, 2);
    float *ay = result(&r, an, 3), *dq = result(&r, an, 4);
    k->attention_fwd(as, q, q, q, lse, ay);
    k->attention_bwd(as, q, q, q, lse, ay, ay, dq, dq, dq);
    return r;
}

TEST(kernels, same_bits_on_any_number_of_threads) {
    const int threads = omp_get_max_threads();
    const results one = run_all(1);
    for (int t = 2; t <= 3; t++) {
        const results other = run_all(t);
        for (int i = 0; i < one.used; i++)
            EXPECT(memcmp(one.data[i], other.data[i], one.count[i] * sizeof(float)) == 0,
                   "result %d differs between 1 and %d threads", i, t);
    }
    omp_set_num_threads(threads);
    free_arrays();
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

/* A small network forward and backward. */
static void one_step(plx_tape *t, float *const *parameters) {
    static float image[2 * 16 * 16 * 32], target[2 * 8 * 8 * 32];
    plx_tape_reset(t);
    plx_tensor *w3 = plx_tape_input(t, PLX_SHAPE(32, 3, 3, 32), parameters[0], true);
    plx_tensor *w5 = plx_tape_input(t, PLX_SHAPE(33, 5, 5, 32), parameters[0], true);
    plx_tensor *w1 = plx_tape_input(t, PLX_SHAPE(32, 33), parameters[0], true);
    plx_tensor *gamma = plx_tape_input(t, PLX_SHAPE(32), parameters[1], true);
    plx_tensor *x = plx_conv2d(t, plx_tape_input(t, PLX_SHAPE(2, 16, 16, 32), image, false), w3, gamma, 1);
    x = plx_group_norm(t, x, gamma, gamma, 8, NULL, true);
    x = plx_conv2d(t, plx_conv2d(t, x, w3, NULL, 2), w5, NULL, 1);
    x = plx_linear(t, x, w1, gamma);
    plx_tensor *tokens = plx_reshape(t, x, PLX_SHAPE(2, 64, 32));
    plx_tape_backward(t, plx_loss_lp(t, plx_attention(t, tokens, tokens, tokens, 2), target, NULL, 2));
}

/* After the first step the tape's arena, the kernels' scratch and the heap stay as they are. */
TEST(kernels, second_step_allocates_nothing) {
    plx_device device;
    plx_tape *t;
    REQUIRE(plx_device_open(&device, "cpu") == 0, "%s", plx_error());
    REQUIRE(plx_tape_create(&t, device, 1 << 26, true) == 0, "%s", plx_error());
    float *const parameters[2] = {array(33 * 25 * 32, 1), array(32, 2)};
    one_step(t, parameters);
    one_step(t, parameters); /* the C library's own lists settle */
    const size_t arena = plx_tape_peak_bytes(t), scratch = plx_scratch_grown(), heap = mallinfo2().uordblks;
    for (int step = 0; step < 3; step++) one_step(t, parameters);
    EXPECT(plx_tape_peak_bytes(t) == arena, "the tape's arena grew from %zu to %zu bytes", arena,
           plx_tape_peak_bytes(t));
    EXPECT(plx_scratch_grown() == scratch, "scratch grew %zu times", plx_scratch_grown() - scratch);
#ifndef __SANITIZE_ADDRESS__ /* whose heap is not the C library's */
    EXPECT(mallinfo2().uordblks == heap, "the heap grew from %zu to %zu bytes", heap,
           (size_t)mallinfo2().uordblks);
#endif
    (void)heap;
    plx_tape_free(t);
    free_arrays();
}
