/* Every op's backward against finite differences, on every table. For L = sum_i r_i y_i with random r, the
 * tape's dL/dx is compared with (L(x + h) - L(x - h)) / 2h for each element of each input. */
#include "tests/test.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/ops.h"

#include <setjmp.h>
#include <stdbool.h>

#define MAX_INPUTS 6
static const plx_rng rng = {17, 4};

typedef plx_tensor *(*op_fn)(plx_tape *t, plx_tensor **x);

typedef struct op_case {
    const char *op; /* as in ops.h, without plx_ */
    op_fn fn;
    int count; /* of inputs */
    struct {
        int ndim, shape[PLX_MAX_DIMENSIONS];
    } input[MAX_INPUTS];
} op_case;

static plx_tensor *conv2d(plx_tape *t, plx_tensor **x) {
    return plx_conv2d(t, x[0], x[1], x[2], 1);
}
static plx_tensor *conv2d_strided(plx_tape *t, plx_tensor **x) {
    return plx_conv2d(t, x[0], x[1], NULL, 2);
}
static plx_tensor *linear(plx_tape *t, plx_tensor **x) {
    return plx_linear(t, x[0], x[1], x[2]);
}
static plx_tensor *linear_no_bias(plx_tape *t, plx_tensor **x) {
    return plx_linear(t, x[0], x[1], NULL);
}
static plx_tensor *group_norm(plx_tape *t, plx_tensor **x) {
    return plx_group_norm(t, x[0], x[1], x[2], 3, NULL, false);
}
static plx_tensor *group_norm_full(plx_tape *t, plx_tensor **x) {
    return plx_group_norm(t, x[0], x[1], x[2], 2, x[3], true);
}
static plx_tensor *silu(plx_tape *t, plx_tensor **x) {
    return plx_silu(t, x[0]);
}
static plx_tensor *sigmoid(plx_tape *t, plx_tensor **x) {
    return plx_sigmoid(t, x[0]);
}
static plx_tensor *add(plx_tape *t, plx_tensor **x) {
    return plx_add(t, x[0], x[1]);
}
static plx_tensor *add_itself(plx_tape *t, plx_tensor **x) {
    return plx_add(t, x[0], x[0]);
}
static plx_tensor *scale(plx_tape *t, plx_tensor **x) {
    return plx_scale(t, x[0], -1.7f);
}
static plx_tensor *scale_rows(plx_tape *t, plx_tensor **x) {
    const float factors[] = {0.7f, 0, -2};
    return plx_scale_rows(t, x[0], factors);
}
static plx_tensor *concat(plx_tape *t, plx_tensor **x) {
    return plx_concat(t, x[0], x[1]);
}
static plx_tensor *slice(plx_tape *t, plx_tensor **x) {
    return plx_slice(t, x[0], 1, 4);
}
static plx_tensor *reshape(plx_tape *t, plx_tensor **x) {
    return plx_silu(t, plx_reshape(t, x[0], PLX_SHAPE(6, 5)));
}
static plx_tensor *swap_hw(plx_tape *t, plx_tensor **x) {
    return plx_swap_hw(t, x[0]);
}
static plx_tensor *upsample2(plx_tape *t, plx_tensor **x) {
    return plx_upsample2(t, x[0]);
}
static plx_tensor *average_pool(plx_tape *t, plx_tensor **x) {
    return plx_average_pool(t, x[0], 2, 3);
}
static plx_tensor *space_to_depth(plx_tape *t, plx_tensor **x) {
    return plx_space_to_depth(t, x[0], 2);
}
static plx_tensor *depth_to_space(plx_tape *t, plx_tensor **x) {
    return plx_depth_to_space(t, x[0], 2);
}
static plx_tensor *attention(plx_tape *t, plx_tensor **x) {
    return plx_attention(t, x[0], x[1], x[2], 2);
}
/* The inputs are N(0,1) and h is 0.01: targets 9 and more away keep |x - y| off its kink. */
static const float target[6] = {9, -9, 12, -15, 10, 11}, weight[6] = {1, 0, 2, .5f, 3, 1};
static plx_tensor *loss_l1(plx_tape *t, plx_tensor **x) {
    return plx_loss_lp(t, x[0], target, weight, 1);
}
static plx_tensor *loss_l2(plx_tape *t, plx_tensor **x) {
    return plx_scale(t, plx_loss_lp(t, x[0], target, weight, 2), .1f);
}
static plx_tensor *loss_on(plx_tape *t, plx_tensor **x) {
    return plx_scale(t, plx_loss_lp_on(t, x[0], target, weight, 2), .1f);
}
static plx_tensor *loss_sum(plx_tape *t, plx_tensor **x) {
    plx_tensor *losses[2] = {plx_loss_lp(t, x[0], target, NULL, 1), plx_loss_lp(t, x[1], target, weight, 1)};
    return plx_loss_sum(t, 2, losses, (float[]){.5f, -2});
}

static const op_case cases[] = {
    {"conv2d", conv2d, 3, {{4, {2, 5, 4, 3}}, {4, {5, 3, 3, 3}}, {1, {5}}}},
    {"conv2d", conv2d_strided, 2, {{4, {2, 6, 4, 3}}, {4, {2, 3, 3, 3}}}},
    {"conv2d", conv2d, 3, {{4, {1, 3, 7, 4}}, {4, {3, 1, 1, 4}}, {1, {3}}}},
    {"linear", linear, 3, {{3, {2, 3, 5}}, {2, {4, 5}}, {1, {4}}}},
    {"linear", linear_no_bias, 2, {{2, {7, 3}}, {2, {2, 3}}}},
    {"group_norm", group_norm, 3, {{4, {2, 3, 2, 6}}, {1, {6}}, {1, {6}}}},
    {"group_norm", group_norm_full, 4, {{4, {2, 2, 3, 4}}, {1, {4}}, {1, {4}}, {2, {2, 8}}}},
    {"silu", silu, 1, {{2, {3, 7}}}},
    {"sigmoid", sigmoid, 1, {{2, {3, 7}}}},
    {"add", add, 2, {{2, {3, 5}}, {2, {3, 5}}}},
    {"add", add_itself, 1, {{2, {3, 5}}}},
    {"scale", scale, 1, {{2, {3, 5}}}},
    {"scale_rows", scale_rows, 1, {{3, {3, 2, 5}}}},
    {"concat", concat, 2, {{3, {2, 2, 3}}, {3, {2, 2, 5}}}},
    {"slice", slice, 1, {{2, {3, 5}}}},
    {"reshape", reshape, 1, {{3, {2, 3, 5}}}},
    {"swap_hw", swap_hw, 1, {{4, {2, 3, 4, 2}}}},
    {"upsample2", upsample2, 1, {{4, {2, 3, 2, 3}}}},
    {"average_pool", average_pool, 1, {{4, {2, 4, 6, 3}}}},
    {"space_to_depth", space_to_depth, 1, {{4, {2, 4, 6, 3}}}},
    {"depth_to_space", depth_to_space, 1, {{4, {2, 2, 3, 8}}}},
    {"attention", attention, 3, {{3, {2, 5, 6}}, {3, {2, 7, 6}}, {3, {2, 7, 6}}}},
    {"loss_lp", loss_l1, 1, {{2, {2, 3}}}},
    {"loss_lp", loss_l2, 1, {{2, {2, 3}}}},
    {"loss_lp_on", loss_on, 1, {{2, {2, 3}}}},
    {"loss_sum", loss_sum, 2, {{2, {2, 3}}, {1, {6}}}},
};
static const int case_count = sizeof cases / sizeof *cases;

static size_t input_size(const op_case *c, int i) {
    size_t size = 1;
    for (int d = 0; d < c->input[i].ndim; d++) size *= (size_t)c->input[i].shape[d];
    return size;
}

static plx_tensor *apply(const op_case *c, plx_tape *t, float *const *values, plx_tensor **x) {
    for (int i = 0; i < c->count; i++)
        x[i] = plx_tape_input(t, c->input[i].ndim, c->input[i].shape, values[i], true);
    return c->fn(t, x);
}

static double loss_of(const op_case *c, plx_tape *t, float *const *values) {
    plx_tape_reset(t);
    plx_tensor *x[MAX_INPUTS], *y = apply(c, t, values, x);
    const float *seen = plx_tape_values(t, y);
    double sum = 0;
    for (size_t i = 0; i < plx_tensor_size(y); i++)
        sum += (double)plx_rng_normal(plx_rng_fork(rng, 99), i) * seen[i];
    return sum;
}

static void check(const op_case *c, plx_device device) {
    const double h = 0.01;
    /* Truncation is h^2/6 of a third derivative of order 1 to 10 (< 2e-4); float outputs add 1e-7 sqrt(sizes)
     * / h = 1e-4. */
    const double tolerance = 1e-3;
    plx_tape *tape, *plain;
    REQUIRE(plx_tape_create(&tape, device, 1 << 24, true) == 0, "%s", plx_error());
    REQUIRE(plx_tape_create(&plain, device, 1 << 24, false) == 0, "%s", plx_error());
    float *values[MAX_INPUTS] = {NULL};
    for (int i = 0; i < c->count; i++) {
        values[i] = malloc(input_size(c, i) * sizeof(float));
        plx_rng_fill_normal(plx_rng_fork(rng, (uint64_t)i), values[i], input_size(c, i));
    }
    const size_t stride =
        device.memory ? 3 : 1; /* elements; launches take their time where they are emulated */
    plx_tensor *x[MAX_INPUTS], *y = apply(c, tape, values, x);
    float dy[512];
    REQUIRE(plx_tensor_size(y) <= 512, "%s gives %zu numbers", c->op, plx_tensor_size(y));
    plx_rng_fill_normal(plx_rng_fork(rng, 99), dy, plx_tensor_size(y));
    plx_memory_write(device.memory, plx_tape_grad(tape, y), dy, plx_tensor_size(y) * sizeof *dy);
    plx_tape_backward(tape, NULL);
    for (int i = 0; i < c->count; i++) {
        const float *grad = plx_tape_read(tape, x[i]->grad, input_size(c, i) * sizeof *grad);
        double worst = 0, seen = 0, wanted = 0;
        for (size_t j = 0; j < input_size(c, i); j += stride) {
            const float old = values[i][j];
            values[i][j] = (float)(old + h);
            const double up = loss_of(c, plain, values), step_up = values[i][j];
            values[i][j] = (float)(old - h);
            const double down = loss_of(c, plain, values), step_down = values[i][j];
            values[i][j] = old;
            const double numeric = (up - down) / (step_up - step_down);
            const double error = fabs(numeric - grad[j]) / fmax(1, fabs(numeric));
            if (!(error <= worst)) worst = error, seen = grad[j], wanted = numeric;
        }
        EXPECT(worst < tolerance, "%s (case %d) on %s, input %d: gradient %g, by differences %g", c->op,
               (int)(c - cases), device.name, i, seen, wanted);
    }
    for (int i = 0; i < c->count; i++) free(values[i]);
    plx_tape_free(tape);
    plx_tape_free(plain);
}

static void check_all(const char *name) {
    plx_device device;
    REQUIRE(plx_device_open(&device, name) == 0, "%s", plx_error());
    for (int i = 0; i < case_count; i++) check(&cases[i], device);
}

TEST(grad, ref) {
    check_all("ref");
}
TEST(grad, cpu) {
    check_all("cpu");
}
TEST(grad, cuda) {
    if (!plx_device_cards()) SKIP("no CUDA card");
    check_all("cuda");
}

/* Every function that ops.h declares has a case above. The tests run in the repository's root. */
TEST(grad, every_op_is_listed) {
    FILE *file = fopen("nerf/tensor/ops.h", "r");
    if (!file) SKIP("nerf/tensor/ops.h is not here");
    char line[512], name[64];
    int found = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "plx_tensor *plx_%63[a-z0-9_](", name) != 1) continue;
        bool listed = false;
        for (int i = 0; i < case_count; i++) listed |= strcmp(cases[i].op, name) == 0;
        EXPECT(listed, "op %s has no gradient test", name);
        found++;
    }
    fclose(file);
    EXPECT(found >= 18, "%d ops found in ops.h", found); /* there were 18 when this was written */
}

/* Two paths from one tensor add up, a constant gets no gradient, and nothing is recorded while recording is
 * off. */
TEST(tape, gradients_add_over_paths) {
    plx_device device;
    REQUIRE(plx_device_open(&device, "ref") == 0, "%s", plx_error());
    plx_tape *t;
    REQUIRE(plx_tape_create(&t, device, 1 << 20, true) == 0, "%s", plx_error());
    const float one = 1;
    plx_tensor *x = plx_tape_input(t, PLX_SHAPE(1), &one, true);
    plx_tensor *constant = plx_tape_input(t, PLX_SHAPE(1), &one, false);
    plx_tensor *y = plx_add(t, plx_add(t, plx_scale(t, x, 3), plx_scale(t, x, 4)), constant);
    EXPECT(y->data[0] == 8, "y = %g", y->data[0]);
    plx_tape_backward(t, y);
    EXPECT(x->grad[0] == 7, "dy/dx = %g", x->grad[0]);
    EXPECT(!constant->grad, "the constant has a gradient");
    plx_tape_set_recording(t, false);
    EXPECT(!plx_wants_grad(plx_scale(t, x, 2)), "an op was recorded while not recording");
    plx_tape_free(t);
}

/* The second step uses the memory of the first. */
TEST(tape, second_step_takes_no_more_memory) {
    plx_device device;
    REQUIRE(plx_device_open(&device, "ref") == 0, "%s", plx_error());
    plx_tape *t;
    REQUIRE(plx_tape_create(&t, device, 1 << 20, true) == 0, "%s", plx_error());
    size_t peak[2];
    for (int step = 0; step < 2; step++) {
        const float data[4] = {1, 2, 3, 4};
        plx_tape_reset(t);
        plx_tensor *x = plx_tape_input(t, PLX_SHAPE(4), data, true);
        plx_tape_backward(t, plx_loss_lp(t, plx_silu(t, x), data, NULL, 2));
        peak[step] = plx_tape_peak_bytes(t);
    }
    EXPECT(peak[0] > 0 && peak[1] == peak[0], "peak %zu, then %zu bytes", peak[0], peak[1]);
    plx_tape_free(t);
}

static char check_line[512];
static jmp_buf check_jump;
static void catch_check(const char *line) {
    snprintf(check_line, sizeof check_line, "%s", line);
    longjmp(check_jump, 1);
}

/* A wrong shape stops with both shapes in the line. */
TEST(tape, wrong_shape_names_both) {
    plx_device device;
    REQUIRE(plx_device_open(&device, "ref") == 0, "%s", plx_error());
    plx_tape *t;
    REQUIRE(plx_tape_create(&t, device, 1 << 20, true) == 0, "%s", plx_error());
    const float data[12] = {0};
    plx_set_check_hook(catch_check);
    if (setjmp(check_jump) == 0)
        plx_linear(t, plx_tape_input(t, PLX_SHAPE(3, 4), data, false),
                   plx_tape_input(t, PLX_SHAPE(2, 3), data, true), NULL);
    plx_set_check_hook(NULL);
    EXPECT(strstr(check_line, "(3,4)") && strstr(check_line, "(2,3)"), "the line was '%s'", check_line);
    plx_tape_free(t);
}

TEST(tape, unknown_device_is_an_error) {
    plx_device device;
    EXPECT(plx_device_open(&device, "abacus") == PLX_ERROR_INPUT && strstr(plx_error(), "abacus"), "%s",
           plx_error());
}
