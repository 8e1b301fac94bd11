/* The tape's memory: what scopes let go, and the pool beneath. */
#include "tests/test.h"
#include "nerf/tensor/ops.h"
#include "nerf/tensor/pool.h"

#include <setjmp.h>

/* ---- pool --------------------------------------------------------------------------------------------------- */

enum { BLOCKS = 40 };

/* Blocks taken and given back at random keep their contents; when all are back the pool is as at first. */
TEST(pool, blocks_keep_apart) {
    plx_pool *pool;
    REQUIRE(plx_pool_create(&pool, NULL, 1 << 22) == 0, "%s", plx_error());
    unsigned char *block[BLOCKS] = {NULL};
    size_t bytes[BLOCKS];
    const plx_rng rng = {5, 5};
    for (uint64_t i = 0; i < 4000; i++) {
        const int k = (int)(plx_rng_uniform(rng, 2 * i) * BLOCKS);
        if (!block[k]) {
            bytes[k] = 1 + (size_t)(5000 * plx_rng_uniform(rng, 2 * i + 1));
            block[k] = plx_pool_take(pool, "a test", bytes[k]);
            EXPECT((uintptr_t)block[k] % 64 == 0, "block at %p", (void *)block[k]);
            memset(block[k], k + 1, bytes[k]);
            continue;
        }
        size_t other = 0;
        for (size_t b = 0; b < bytes[k]; b++) other += block[k][b] != k + 1;
        EXPECT(other == 0, "round %d: %zu bytes of a block have changed", (int)i, other);
        plx_pool_give(pool, block[k]);
        block[k] = NULL;
    }
    for (int k = 0; k < BLOCKS; k++)
        if (block[k]) plx_pool_give(pool, block[k]);
    EXPECT(plx_pool_used(pool) == 0, "%zu bytes in use", plx_pool_used(pool));
    /* 40 blocks of 2500 bytes on average; twice that for holes */
    EXPECT(plx_pool_peak(pool) < 2 * BLOCKS * 2500, "peak %zu", plx_pool_peak(pool));
    plx_pool_free(pool);
}

/* ---- scopes ------------------------------------------------------------------------------------------------- */

enum { INPUTS = 5 };
static const int shapes[INPUTS][4] = {
    {2, 8, 8, 16}, {16, 3, 3, 32}, {16, 1, 1, 1}, {16, 1, 1, 1}, {16, 3, 3, 16}};

typedef struct net_result {
    float loss, gradient[INPUTS][16 * 9 * 32];
    size_t peak;
} net_result;

/* A block of every op that runs again: concat, norm, SiLU, upsample; twice over one another. */
static plx_tensor *block(plx_tape *t, plx_tensor **x, plx_tensor *h, bool scoped) {
    const plx_scope scope = plx_tape_enter(t);
    h = plx_concat(t, h, plx_silu(t, h));
    h = plx_conv2d(t, h, x[1], x[2], 1);
    plx_tensor *deep = plx_group_norm(t, h, x[2], x[3], 4, NULL, true);
    deep = plx_conv2d(t, plx_upsample2(t, deep), x[4], NULL, 2);
    h = plx_add(t, h, plx_sigmoid(t, deep));
    return scoped ? plx_tape_leave(t, scope, h) : h;
}

static void run_net(net_result *r, bool scoped, bool record) {
    plx_device device;
    plx_tape *t;
    REQUIRE(plx_device_open(&device, "cpu") == 0, "%s", plx_error());
    REQUIRE(plx_tape_create(&t, device, 1 << 24, record) == 0, "%s", plx_error());
    plx_tensor *x[INPUTS];
    static float values[2 * 8 * 8 * 16 * 5], target[2 * 8 * 8 * 16];
    plx_rng_fill_normal((plx_rng){3, 1}, values, sizeof values / sizeof *values);
    for (int i = 0; i < INPUTS; i++)
        x[i] = plx_tape_input(t, i == 2 || i == 3 ? 1 : 4, shapes[i], values + 16 * i, true);
    plx_tensor *h = block(t, x, block(t, x, x[0], scoped), scoped);
    plx_tensor *loss = plx_loss_lp(t, h, target, NULL, 2);
    if (record) plx_tape_backward(t, loss);
    r->loss = loss->data[0];
    for (int i = 0; i < INPUTS && record; i++)
        memcpy(r->gradient[i], x[i]->grad, plx_tensor_size(x[i]) * sizeof(float));
    r->peak = plx_tape_peak_bytes(t);
    plx_tape_free(t);
}

/* What is computed again has the same bits as what would have been stored. */
TEST(tape, scopes_change_memory_and_no_bit) {
    static net_result plain, scoped;
    run_net(&plain, false, true);
    run_net(&scoped, true, true);
    EXPECT(plain.loss == scoped.loss, "loss %g, in scopes %g", plain.loss, scoped.loss);
    EXPECT(memcmp(plain.gradient, scoped.gradient, sizeof plain.gradient) == 0, "other gradients in scopes");
    /* A third of it is inputs, weights and their gradients, which stay. */
    EXPECT(scoped.peak < plain.peak * 3 / 4, "peak %zu bytes, in scopes %zu", plain.peak, scoped.peak);
}

/* At inference a scope leaves its result only: two blocks take the memory of one, and of one result. */
TEST(tape, scopes_without_recording_keep_the_result) {
    static net_result plain, scoped;
    run_net(&plain, false, false);
    run_net(&scoped, true, false);
    EXPECT(plain.loss == scoped.loss, "loss %g, in scopes %g", plain.loss, scoped.loss);
    EXPECT(scoped.peak < plain.peak * 7 / 10, "peak %zu bytes, in scopes %zu", plain.peak, scoped.peak);
}

static char line_seen[512];
static jmp_buf back;
static void catch_line(const char *line) {
    snprintf(line_seen, sizeof line_seen, "%s", line);
    longjmp(back, 1);
}

TEST(tape, what_was_let_go_is_refused) {
    plx_device device;
    plx_tape *t;
    REQUIRE(plx_device_open(&device, "ref") == 0, "%s", plx_error());
    REQUIRE(plx_tape_create(&t, device, 1 << 20, true) == 0, "%s", plx_error());
    const float values[4] = {1, 2, 3, 4};
    plx_tensor *x = plx_tape_input(t, PLX_SHAPE(4), values, true);
    const plx_scope scope = plx_tape_enter(t);
    plx_tensor *inner = plx_scale(t, x, 2);
    plx_tape_leave(t, scope, plx_scale(t, inner, 3));
    plx_set_check_hook(catch_line);
    if (setjmp(back) == 0) plx_silu(t, inner);
    plx_set_check_hook(NULL);
    EXPECT(strstr(line_seen, "silu of a scale that was let go"), "the line was '%s'", line_seen);
    plx_tape_free(t);
}
