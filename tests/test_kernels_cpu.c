/* Table `cpu`: the same bits on 1, 2 and 3 threads, and no memory taken after the first step. */
#include "tests/kernel_check.h"

#include "nerf/tensor/ops.h"
#include "nerf/tensor/scratch.h"

#include <malloc.h>
#include <omp.h>

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
