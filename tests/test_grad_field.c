/* The field's ops backward against finite differences, on every table: for L = sum_i r_i y_i with random r, dL/dx
 * of the tape against (L(x + h) - L(x - h)) / 2h. */
#include "tests/test.h"
#include "nerf/field.h"
#include "nerf/occupancy.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/scratch.h"

#include <malloc.h>

static const plx_rng rng = {31, 8};

/* L of an output, in double; its weights are also the gradient that backward starts from. */
static double weigh(plx_tape *tape, plx_tensor *y, bool backward) {
    const size_t count = plx_tensor_size(y);
    const float *seen = plx_tape_values(tape, y);
    float *r = plx_arena_alloc(plx_tape_arena(tape), count * sizeof *r);
    double sum = 0;
    plx_rng_fill_normal(plx_rng_fork(rng, 99), r, count);
    for (size_t i = 0; i < count; i++) sum += (double)r[i] * seen[i];
    if (backward) plx_memory_write(plx_tape_memory(tape), plx_tape_grad(tape, y), r, count * sizeof *r);
    return sum;
}

typedef double (*loss_fn)(plx_tape *tape, void *user, bool backward);

/* Every `stride`-th element of x, whose gradient is `seen`, by differences of loss(). */
static void compare(const char *what, loss_fn loss, plx_tape *plain, void *user, float *x, const float *seen,
                    size_t count, size_t stride, double h, double tolerance) {
    double worst = 0, analytic = 0, numeric = 0;
    for (size_t i = 0; i < count; i += stride) {
        const float old = x[i];
        x[i] = (float)(old + h);
        double up = loss(plain, user, false), above = x[i];
        x[i] = (float)(old - h);
        double down = loss(plain, user, false), below = x[i];
        x[i] = old;
        double difference = (up - down) / (above - below);
        double error = fabs(difference - seen[i]) / fmax(1, fabs(difference));
        if (!(error <= worst)) worst = error, analytic = seen[i], numeric = difference;
    }
    EXPECT(worst < tolerance, "%s: gradient %g, by differences %g", what, analytic, numeric);
}

static plx_tape *new_tape(const char *device_name, bool record) {
    plx_device device;
    plx_tape *tape = NULL;
    int status = plx_device_open(&device, device_name);
    if (!status) status = plx_tape_create(&tape, device, 1 << 26, record);
    EXPECT(status == PLX_OK, "%s", plx_error());
    return tape;
}

/* ---- plane lookup + MLP -------------------------------------------------------------------------------------- */

enum { POINTS = 45 }; /* one tile and a part of another */

typedef struct field_case {
    plx_params *params;
    plx_field_operands operands;
    plx_points points;
} field_case;

static double field_loss(plx_tape *tape, void *user, bool backward) {
    field_case *c = user;
    plx_tape_reset(tape);
    double loss = weigh(tape, plx_field_evaluate(tape, &c->operands, c->points), backward);
    if (backward) plx_tape_backward(tape, NULL);
    return loss;
}

static void make_params(field_case *c, plx_field_size s) {
    int status = plx_params_create(&c->params);
    const int wide = plx_field_xy_channels(s);
    if (!status) status = plx_decoder_declare(c->params, "decoder", s, 1);
    if (!status) plx_params_add(c->params, "xy", PLX_SHAPE(s.N, s.xy[0], s.xy[1], wide), 0.5f, 0, 1, false);
    plx_params_add(c->params, "xz", PLX_SHAPE(s.N, s.xz[0], s.xz[1], s.C), 0.5f, 0, 1, false);
    plx_params_add(c->params, "yz", PLX_SHAPE(s.N, s.yz[0], s.yz[1], s.C), 0.5f, 0, 1, false);
    status = plx_params_allocate(c->params, 5, true);
    EXPECT(status == PLX_OK, "%s", plx_error());
    c->operands = plx_decoder_bind(c->params, "decoder", s);
    c->operands.xy = plx_params_get(c->params, "xy");
    c->operands.xz = plx_params_get(c->params, "xz");
    c->operands.yz = plx_params_get(c->params, "yz");
}

static void check_field(const char *device, int guided) {
    const plx_field_size s = {
        .N = 2, .C = 16, .F = 2, .H = 16, .guided = guided, .xy = {5, 4}, .xz = {3, 4}, .yz = {5, 3}};
    static float coordinates[5 * POINTS];
    static const int start[3] = {0, 34, POINTS};
    for (int i = 0; i < 5 * POINTS; i++) coordinates[i] = 2.2f * plx_rng_uniform(rng, (uint64_t)i) - 1.1f;
    field_case c = {.points = {start[2], start, coordinates}};
    make_params(&c, s);
    plx_tape *tape = new_tape(device, true), *plain = new_tape(device, false);
    field_loss(tape, &c, true);
    for (int i = 0; i < plx_params_count(c.params); i++) {
        plx_param *p = plx_params_at(c.params, i);
        size_t count = plx_tensor_size(&p->tensor), stride = count > 200 ? 7 : 1;
        /* h^2/6 of third derivatives of order 10 is 2e-4; outputs of order 1, rounded to 1e-7 and added over 45
         * points, give 1e-6 / 2h = 1e-4. */
        compare(p->name, field_loss, plain, &c, p->tensor.data, p->tensor.grad, count, stride, 0.01, 2e-3);
    }
    plx_tape_free(tape);
    plx_tape_free(plain);
    plx_params_free(c.params);
}

TEST(grad, field_on_ref) {
    check_field("ref", 0);
    check_field("ref", 1);
}
TEST(grad, field_on_cpu) {
    check_field("cpu", 0);
    check_field("cpu", 1);
}

/* ---- compositing and the first hit --------------------------------------------------------------------------- */

enum { RAYS = 5, SAMPLES = 17 };

typedef struct rays_case {
    plx_rays rays;
    float values[4 * SAMPLES];
    float gradient[4 * SAMPLES]; /* of the values, after backward */
    bool first_hit;
    float t[SAMPLES], length[SAMPLES];
} rays_case;

static const int ray_start[RAYS + 1] = {0, 6,  6,
                                        7, 13, SAMPLES}; /* one ray has none, one has a single sample */
static const int slab[RAYS] = {2, 0, 1, 0, 4};
static const float truth[3 * RAYS] = {.1f, .5f, .9f, 0, 0, 0, .3f, .3f, .3f, 0, 0, 0, 1, .2f, .6f};

static double rays_loss(plx_tape *tape, void *user, bool backward) {
    rays_case *c = user;
    plx_tape_reset(tape);
    plx_tensor *values = plx_tape_input(tape, PLX_SHAPE(SAMPLES, 4), c->values, true);
    const plx_rays rays = plx_samples_on(tape, c->rays).rays;
    plx_tensor *y = c->first_hit
                        ? plx_first_hit(tape, values, rays, plx_tape_constant(tape, slab, sizeof slab),
                                        plx_tape_constant(tape, truth, sizeof truth))
                        : plx_composite(tape, values, rays);
    double loss = weigh(tape, y, backward);
    if (!backward) return loss;
    plx_tape_backward(tape, NULL);
    memcpy(c->gradient, plx_tape_read(tape, values->grad, sizeof c->gradient), sizeof c->gradient);
    return loss;
}

static void check_rays(const char *device, bool first_hit) {
    rays_case c = {.first_hit = first_hit};
    for (int i = 0; i < SAMPLES; i++) {
        c.t[i] = 0.8f + 0.06f * (float)i;
        c.length[i] = 0.05f + 0.2f * plx_rng_uniform(rng, (uint64_t)i);
        c.values[4 * i] = 0.3f + 4 * plx_rng_uniform(rng, 100 + (uint64_t)i); /* densities away from 0 */
        for (int k = 1; k < 4; k++) c.values[4 * i + k] = plx_rng_uniform(rng, (uint64_t)(200 + 4 * i + k));
    }
    c.rays = (plx_rays){RAYS, SAMPLES, ray_start, c.t, c.length};
    plx_tape *tape = new_tape(device, true), *plain = new_tape(device, false);
    rays_loss(tape, &c, true);
    /* The third derivatives are of order length^3 but for log(1 - e^-tau) at small tau, of order 10: 1e-3. */
    compare(first_hit ? "first hit" : "composite", rays_loss, plain, &c, c.values, c.gradient, 4 * SAMPLES, 1,
            0.01, 1e-3);
    plx_tape_free(tape);
    plx_tape_free(plain);
}

TEST(grad, rays_on_ref) {
    check_rays("ref", false);
    check_rays("ref", true);
}
TEST(grad, rays_on_cpu) {
    check_rays("cpu", false);
    check_rays("cpu", true);
}
TEST(grad, rays_on_cuda) {
    if (!plx_device_cards()) SKIP("no CUDA card");
    check_rays("cuda", false);
    check_rays("cuda", true);
}

/* ---- the whole step ------------------------------------------------------------------------------------------ */

enum { TARGETS = 40 };

static plx_field *new_field(bool guided) {
    const plx_field_size s = {
        .N = 1, .C = 16, .F = 2, .H = 16, .guided = guided, .xy = {8, 8}, .xz = {6, 8}, .yz = {8, 6}};
    plx_field *field = NULL;
    plx_camera camera = plx_camera_orbit(0, 0.3f, 1.3f, PLX_DEFAULT_FOV, 8, 8);
    int status =
        plx_field_create(&field, s, plx_frame_make(PLX_FRAME_CAMERA, &camera, PLX_SCENE_RADIUS), 4, true);
    EXPECT(status == PLX_OK, "%s", plx_error());
    return field;
}

static void make_targets(plx_ray_target *targets) {
    for (int r = 0; r < TARGETS; r++) {
        plx_rng draw = {8, (uint64_t)r};
        plx_camera camera = plx_camera_orbit(6 * plx_rng_uniform(draw, 0), 0.2f, 1.3f, PLX_DEFAULT_FOV, 8, 8);
        targets[r] = (plx_ray_target){.weight = 0.5f + plx_rng_uniform(draw, 1),
                                      .opacity = r % 3 ? plx_rng_uniform(draw, 2) : -1};
        plx_camera_ray(&camera, 8 * plx_rng_uniform(draw, 3), 8 * plx_rng_uniform(draw, 4), targets[r].origin,
                       targets[r].direction);
        for (int k = 0; k < 3; k++) targets[r].colour[k] = plx_rng_uniform(draw, 5 + (uint64_t)k);
    }
}

/* The loss that a step sees at the parameters as they are: with a rate of 0 nothing moves. The step's number is
 * put back, so that the same samples are drawn. */
static double step_loss(plx_tape *tape, void *user, bool backward) {
    (void)tape, (void)backward;
    plx_field *field = user;
    plx_ray_target targets[TARGETS];
    plx_step_options options = plx_step_options_default();
    options.rate = 0;
    options.coarse = 20;
    options.fine = 0;
    make_targets(targets);
    double loss = NAN;
    field->optimiser.step = 0;
    int status = plx_field_step(field, TARGETS, targets, &options, 6, &loss);
    EXPECT(status == PLX_OK, "%s", plx_error());
    return loss * 100; /* gradients of order 1 */
}

TEST(grad, step_of_a_field) {
    plx_field *field = new_field(false);
    for (int i = 0; i < plx_params_count(field->params); i++) {
        plx_param *p = plx_params_at(field->params, i);
        size_t count = plx_tensor_size(&p->tensor), stride = count > 100 ? count / 17 : 1;
        static float gradient[4096];
        REQUIRE(count <= 4096, "%s has %zu elements", p->name, count);
        step_loss(NULL, field, true);
        for (size_t k = 0; k < count; k++) gradient[k] = 100 * p->tensor.grad[k];
        /* As for the field above; and rays of 20 samples in which the light is never used up. */
        compare(p->name, step_loss, NULL, field, p->tensor.data, gradient, count, stride, 0.01, 3e-3);
    }
    plx_field_free(field);
}

/* Sum over the planes of the mean squared difference of neighbours, as the equation stands. */
static double variation_of(const plx_field *field) {
    const plx_tensor *planes[3] = {field->operands.xy, field->operands.xz, field->operands.yz};
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        int H = planes[k]->shape[1], W = planes[k]->shape[2], wide = planes[k]->shape[3];
        double squares = 0;
        for (int i = 0; i < H; i++)
            for (int j = 0; j < W; j++)
                for (int c = 0; c < 16; c++) {
                    const float *x = planes[k]->data + (i * W + j) * wide + c;
                    if (i + 1 < H) squares += ((double)x[W * wide] - x[0]) * ((double)x[W * wide] - x[0]);
                    if (j + 1 < W) squares += ((double)x[wide] - x[0]) * ((double)x[wide] - x[0]);
                }
        sum += squares / (16 * ((H - 1) * W + H * (W - 1)));
    }
    return sum;
}

/* A quadratic: differences are exact but for rounding. */
TEST(grad, total_variation) {
    plx_field *field = new_field(false);
    plx_ray_target target = {.direction = {1, 0, 0}, .origin = {-1, 2, 0}}; /* misses the sphere */
    plx_step_options options = plx_step_options_default();
    options.rate = 0;
    options.total_variation = 3;
    REQUIRE(plx_field_step(field, 1, &target, &options, 6, NULL) == PLX_OK, "%s", plx_error());
    plx_tensor *planes[3] = {field->operands.xy, field->operands.xz, field->operands.yz};
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < plx_tensor_size(planes[k]); i += 5) {
            float old = planes[k]->data[i];
            planes[k]->data[i] = old + 0.5f;
            double up = variation_of(field);
            planes[k]->data[i] = old - 0.5f;
            double numeric = 3 * (up - variation_of(field));
            planes[k]->data[i] = old;
            EXPECT(fabs(numeric - planes[k]->grad[i]) < 1e-6, "plane %d, %zu: %g, by differences %g", k, i,
                   planes[k]->grad[i], numeric);
        }
    plx_field_free(field);
}

/* After two steps the field's arena, the kernels' scratch and the heap stay as they are. */
TEST(field, a_step_allocates_nothing) {
    plx_field *field = new_field(true);
    for (int step = 0; step < 2; step++) step_loss(NULL, field, true);
    const size_t arena = plx_tape_peak_bytes(field->tape), scratch = plx_scratch_grown();
    const size_t heap = mallinfo2().uordblks;
    for (int step = 0; step < 3; step++) step_loss(NULL, field, true);
    EXPECT(plx_tape_peak_bytes(field->tape) == arena, "the arena grew");
    EXPECT(plx_scratch_grown() == scratch, "scratch grew %zu times", plx_scratch_grown() - scratch);
#ifndef __SANITIZE_ADDRESS__ /* whose heap is not the C library's */
    EXPECT(mallinfo2().uordblks == heap, "the heap grew by %zd bytes",
           (ssize_t)(mallinfo2().uordblks - heap));
#endif
    (void)heap;
    plx_field_free(field);
}
