/* The U-Net and the denoiser on it: shapes, gradients against finite differences, what may and may not matter to the
 * output, and that a small one learns. */
#include "tests/test.h"
#include "diffusion/config.h"
#include "diffusion/denoiser.h"

static plx_unet_config small_unet(void) {
    return (plx_unet_config){
        .in_channels = 3,
        .out_channels = 2,
        .width = 8,
        .levels = 2,
        .multiplier = {1, 2},
        .blocks = 1,
        .attention = {false, true},
        .heads = 2,
        .patch = 2,
        .embedding = 6,
        .context = 5,
    };
}

/* Everything is away from its initial zeros and ones, so that no path is hidden by them. */
static void perturb(plx_params *params, float size) {
    for (int i = 0; i < plx_params_count(params); i++) {
        plx_tensor *x = &plx_params_at(params, i)->tensor;
        for (size_t k = 0; k < plx_tensor_size(x); k++)
            x->data[k] += size * plx_rng_normal((plx_rng){9, (uint64_t)i}, k);
    }
}

typedef struct small_net {
    plx_unet_config config;
    plx_params *params;
    plx_tape *tape;
    float x[2 * 8 * 8 * 3], embedding[2 * 6], context[2 * 3 * 5];
} small_net;

static int small_net_make(small_net *net) {
    plx_device device;
    *net = (small_net){.config = small_unet()};
    int status = plx_device_open(&device, "cpu");
    if (!status) status = plx_params_create(&net->params);
    if (!status) status = plx_unet_declare(net->params, "net", &net->config);
    if (!status) status = plx_params_allocate(net->params, 3, true);
    if (!status) status = plx_tape_create(&net->tape, device, (size_t)1 << 32, true);
    plx_rng_fill_normal((plx_rng){1, 1}, net->x, sizeof net->x / sizeof *net->x);
    plx_rng_fill_normal((plx_rng){1, 2}, net->embedding, sizeof net->embedding / sizeof(float));
    plx_rng_fill_normal((plx_rng){1, 3}, net->context, sizeof net->context / sizeof(float));
    return status;
}

static void small_net_free(small_net *net) {
    plx_params_free(net->params);
    plx_tape_free(net->tape);
}

static plx_tensor *small_net_run(small_net *net, plx_tensor **features) {
    plx_tape_reset(net->tape);
    plx_unet_inputs in = {plx_tape_input(net->tape, PLX_SHAPE(2, 8, 8, 3), net->x, false),
                          plx_tape_input(net->tape, PLX_SHAPE(2, 6), net->embedding, false),
                          plx_tape_input(net->tape, PLX_SHAPE(2, 3, 5), net->context, false)};
    return plx_unet_forward(net->tape, net->params, "net", &net->config, &in, features);
}

TEST(unet, shapes_of_output_and_features) {
    small_net net;
    REQUIRE(small_net_make(&net) == 0, "%s", plx_error());
    plx_tensor *features[2], *y = small_net_run(&net, features);
    EXPECT(y->ndim == 4 && y->shape[0] == 2 && y->shape[1] == 8 && y->shape[2] == 8 && y->shape[3] == 2,
           "output");
    EXPECT(features[0]->shape[1] == 2 && features[0]->shape[3] == 16, "coarsest: %d, %d",
           features[0]->shape[1], features[0]->shape[3]);
    EXPECT(features[1]->shape[1] == 4 && features[1]->shape[3] == 8, "finest: %d, %d", features[1]->shape[1],
           features[1]->shape[3]);
    small_net_free(&net);
}

TEST(unet, every_parameter_is_used) {
    small_net net;
    REQUIRE(small_net_make(&net) == 0, "%s", plx_error());
    perturb(net.params, 0.1f);
    float zeros[2 * 8 * 8 * 2] = {0};
    plx_tensor *y = small_net_run(&net, NULL);
    plx_params_zero_grad(net.params);
    plx_tape_backward(net.tape, plx_loss_lp(net.tape, y, zeros, NULL, 2));
    for (int i = 0; i < plx_params_count(net.params); i++) {
        plx_param *p = plx_params_at(net.params, i);
        size_t size = plx_tensor_size(&p->tensor), zeros_seen = 0;
        for (size_t k = 0; k < size; k++) zeros_seen += p->tensor.grad[k] == 0;
        /* A float may happen to round to 0, a row of a matrix not. The keys' bias adds one number to all of a row's
         * scores, which a softmax does not see: its gradient is rounding noise, and often exactly 0. */
        const bool keys = strstr(p->name, "qkv.bias") || strstr(p->name, "cross_kv.bias");
        EXPECT(zeros_seen * (keys ? 2 : 100) <= size, "%s: %zu of %zu have no gradient", p->name, zeros_seen,
               size);
    }
    small_net_free(&net);
}

static double loss_of(small_net *net, const float *target, bool backward) {
    plx_tensor *loss = plx_loss_lp(net->tape, small_net_run(net, NULL), target, NULL, 2);
    double value = loss->data[0];
    if (backward) plx_tape_backward(net->tape, loss);
    return value;
}

static void move(plx_params *params, int direction, float step) {
    for (int i = 0; i < plx_params_count(params); i++) {
        plx_tensor *x = &plx_params_at(params, i)->tensor;
        for (size_t k = 0; k < plx_tensor_size(x); k++)
            x->data[k] += step * plx_rng_normal((plx_rng){(uint64_t)direction, (uint64_t)i}, k);
    }
}

TEST(unet, gradient_along_random_directions) {
    small_net net;
    REQUIRE(small_net_make(&net) == 0, "%s", plx_error());
    perturb(net.params, 0.1f);
    float target[2 * 8 * 8 * 2];
    plx_rng_fill_normal((plx_rng){2, 2}, target, sizeof target / sizeof *target);
    plx_params_zero_grad(net.params);
    loss_of(&net, target, true);
    for (int direction = 100; direction < 104; direction++) {
        double expected = 0;
        for (int i = 0; i < plx_params_count(net.params); i++) {
            plx_tensor *x = &plx_params_at(net.params, i)->tensor;
            for (size_t k = 0; k < plx_tensor_size(x); k++)
                expected += x->grad[k] * plx_rng_normal((plx_rng){(uint64_t)direction, (uint64_t)i}, k);
        }
        const float h = 1e-3f;
        move(net.params, direction, h);
        double above = loss_of(&net, target, false);
        move(net.params, direction, -2 * h);
        double below = loss_of(&net, target, false);
        move(net.params, direction, h);
        double seen = (above - below) / (2 * h);
        /* The loss is a float of order 1, 1e-7 off: 1e-7 / 2h = 5e-5; curvature h^2 L''' is of that order too. */
        EXPECT(fabs(seen - expected) < 3e-3 * fabs(expected) + 5e-4, "direction %d: %g, by differences %g",
               direction, expected, seen);
    }
    small_net_free(&net);
}

TEST(unet, zero_output_starts_at_zero) {
    plx_params *params;
    plx_tape *tape;
    plx_device device;
    plx_unet_config config = plx_unet_config_default();
    config.zero_output = true;
    REQUIRE(!plx_device_open(&device, "cpu") && !plx_params_create(&params) &&
                !plx_tape_create(&tape, device, (size_t)1 << 32, false),
            "%s", plx_error());
    REQUIRE(!plx_unet_declare(params, "net", &config) && !plx_params_allocate(params, 1, false), "%s",
            plx_error());
    float x[16 * 16 * 3];
    plx_rng_fill_normal((plx_rng){1, 1}, x, 16 * 16 * 3);
    plx_unet_inputs in = {plx_tape_input(tape, PLX_SHAPE(1, 16, 16, 3), x, false), NULL, NULL};
    plx_tensor *y = plx_unet_forward(tape, params, "net", &config, &in, NULL);
    for (size_t i = 0; i < plx_tensor_size(y); i++) EXPECT(y->data[i] == 0, "y[%zu] = %g", i, y->data[i]);
    plx_params_free(params);
    plx_tape_free(tape);
}

TEST(unet, refuses_a_bad_configuration) {
    plx_unet_config good = plx_unet_config_default(), bad = good;
    EXPECT(plx_unet_config_check(&good) == 0, "%s", plx_error());
    bad.levels = 0;
    EXPECT(plx_unet_config_check(&bad) == PLX_ERROR_INPUT, "0 levels");
    bad = good, bad.heads = 5;
    EXPECT(plx_unet_config_check(&bad) == PLX_ERROR_INPUT, "192 channels for 5 heads");
    bad = good, bad.patch = 3;
    EXPECT(plx_unet_config_check(&bad) == PLX_ERROR_INPUT, "patch 3");
    bad = good, bad.multiplier[1] = -2;
    EXPECT(plx_unet_config_check(&bad) == PLX_ERROR_INPUT, "multiplier -2");
}

/* ---- denoiser ------------------------------------------------------------------------------------------------ */

typedef struct small_denoiser {
    plx_denoiser denoiser;
    plx_params *params;
    plx_tape *tape;
} small_denoiser;

static plx_denoiser_config small_config(int patch) {
    plx_denoiser_config config = plx_denoiser_config_default();
    config.view_channels = 4;
    config.input_concat = true;
    config.unet.width = 16;
    config.unet.patch = patch;
    config.unet.levels = 2;
    config.unet.multiplier[1] = 1;
    config.unet.blocks = 1;
    config.unet.embedding = 16;
    config.unet.context = 6;
    return config;
}

static int small_denoiser_make(small_denoiser *d, int patch) {
    plx_device device;
    *d = (small_denoiser){0};
    plx_denoiser_config config = small_config(patch);
    int status = plx_device_open(&device, "cpu");
    if (!status) status = plx_params_create(&d->params);
    if (!status) status = plx_denoiser_declare(d->params, "denoiser", &config);
    if (!status) status = plx_params_allocate(d->params, 5, true);
    if (!status) status = plx_tape_create(&d->tape, device, (size_t)1 << 32, true);
    d->denoiser = (plx_denoiser){config, d->params, "denoiser"};
    return status;
}

static void small_denoiser_free(small_denoiser *d) {
    plx_params_free(d->params);
    plx_tape_free(d->tape);
}

enum { SIDE = 8, VIEWS = 5, TOKENS = 3, VALUES = VIEWS * SIDE * SIDE * 4 };

TEST(denoiser, views_together_or_alone_give_the_same) {
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 2) == 0, "%s", plx_error());
    perturb(d.params, 0.1f);
    static float z[VALUES], render[VALUES], together[VALUES], alone[VALUES];
    float input[SIDE * SIDE * 4], context[TOKENS * 6];
    plx_rng_fill_normal((plx_rng){1, 1}, z, VALUES);
    plx_rng_fill_uniform((plx_rng){1, 2}, render, VALUES);
    plx_rng_fill_uniform((plx_rng){1, 3}, input, SIDE * SIDE * 4);
    plx_rng_fill_normal((plx_rng){1, 4}, context, TOKENS * 6);
    plx_noise_level level = plx_schedule_at(d.denoiser.config.schedule, 0.5);
    plx_denoiser_views v = {&d.denoiser, d.tape,  VIEWS,  SIDE,  SIDE, render,
                            input,       context, TOKENS, false, false};
    REQUIRE(plx_denoiser_denoise(level, false, z, together, VALUES, &v) == 0, "%s", plx_error());
    v.count = 1;
    for (int i = 0; i < VIEWS; i++) {
        v.render = render + i * (VALUES / VIEWS);
        REQUIRE(plx_denoiser_denoise(level, false, z + i * (VALUES / VIEWS), alone + i * (VALUES / VIEWS),
                                     VALUES / VIEWS, &v) == 0,
                "%s", plx_error());
    }
    double worst = 0;
    for (int i = 0; i < VALUES; i++) worst = fmax(worst, fabs(together[i] - alone[i]));
    /* the same sums, perhaps in another order for another batch: rounding of order-1 floats over ~20 layers */
    EXPECT(worst < 1e-4, "differ by %g", worst);
    small_denoiser_free(&d);
}

/* A fresh network says 0: of v, x0 = alpha z; of eps, x0 = z / alpha. */
TEST(denoiser, its_output_is_read_as_its_prediction) {
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 2) == 0, "%s", plx_error());
    static float z[VALUES / VIEWS], render[VALUES / VIEWS], x0[VALUES / VIEWS];
    float input[SIDE * SIDE * 4] = {0}, context[TOKENS * 6] = {0};
    plx_rng_fill_normal((plx_rng){1, 1}, z, VALUES / VIEWS);
    plx_noise_level level = plx_schedule_at(d.denoiser.config.schedule, 0.5);
    plx_denoiser_views v = {&d.denoiser, d.tape, 1, SIDE, SIDE, render, input, context, TOKENS, false, false};
    for (int i = 0; i < 2; i++) {
        d.denoiser.config.prediction = i ? PLX_PREDICT_EPS : PLX_PREDICT_V;
        REQUIRE(plx_denoiser_denoise(level, false, z, x0, VALUES / VIEWS, &v) == 0, "%s", plx_error());
        double factor = i ? 1 / level.alpha : level.alpha;
        for (int k = 0; k < VALUES / VIEWS; k++) /* a float's rounding */
            EXPECT(fabs(x0[k] - factor * z[k]) <= 1e-6 * (1 + fabs(factor * z[k])), "%g of %g", x0[k], z[k]);
    }
    small_denoiser_free(&d);
}

TEST(denoiser, dropped_conditions_do_not_matter_and_kept_ones_do) {
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 2) == 0, "%s", plx_error());
    perturb(d.params, 0.1f);
    enum { SIZE = SIDE * SIDE * 4 };
    float z[SIZE], a[SIZE], b[SIZE], input[SIZE], x_a[SIZE], x_b[SIZE], context[2][TOKENS * 6];
    plx_rng_fill_normal((plx_rng){1, 1}, z, SIZE);
    plx_rng_fill_uniform((plx_rng){1, 2}, a, SIZE);
    plx_rng_fill_uniform((plx_rng){1, 3}, b, SIZE);
    plx_rng_fill_uniform((plx_rng){1, 4}, input, SIZE);
    plx_rng_fill_normal((plx_rng){1, 5}, context[0], 2 * TOKENS * 6);
    plx_noise_level level = plx_schedule_at(d.denoiser.config.schedule, 0.5);
    const struct {
        const char *what;
        const float *render, *context;
        bool unconditional, keep_render, same;
    } cases[] = {
        {"another render", b, context[0], false, false, false},
        {"another context", a, context[1], false, false, false},
        {"another render, dropped", b, context[0], true, false, true},
        {"another context, dropped", a, context[1], true, true, true},
        {"another render, input alone dropped", b, context[0], true, true, false},
    };
    for (int i = 0; i < 5; i++) {
        plx_denoiser_views v = {&d.denoiser,          d.tape, 1, SIDE, SIDE, a, input, context[0], TOKENS,
                                cases[i].keep_render, false};
        plx_denoiser_denoise(level, cases[i].unconditional, z, x_a, SIZE, &v);
        v.render = cases[i].render, v.context = cases[i].context;
        plx_denoiser_denoise(level, cases[i].unconditional, z, x_b, SIZE, &v);
        EXPECT(!memcmp(x_a, x_b, sizeof x_a) == cases[i].same, "%s: %s", cases[i].what,
               cases[i].same ? "it matters" : "it does not matter");
    }
    small_denoiser_free(&d);
}

/* The mean loss of a denoiser that returns nothing is E v^2 = alpha^2 + sigma^2 E x0^2: the target's power. */
TEST(denoiser, untrained_loss_is_the_targets_power) {
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 2) == 0, "%s", plx_error());
    static float views[VALUES], zeros[VALUES];
    for (int i = 0; i < VALUES; i++) views[i] = 0.5f;
    for (int given = 1; given < 10; given += 4) {
        plx_tape_reset(d.tape);
        double t[VIEWS];
        for (int n = 0; n < VIEWS; n++) t[n] = given / 10.0;
        plx_denoiser_batch batch = {views,
                                    plx_tape_input(d.tape, PLX_SHAPE(VIEWS, SIDE, SIDE, 4), zeros, false),
                                    plx_tape_input(d.tape, PLX_SHAPE(VIEWS, SIDE, SIDE, 4), zeros, false),
                                    plx_tape_input(d.tape, PLX_SHAPE(VIEWS, TOKENS, 6), zeros, false), t};
        plx_denoiser_training training = plx_denoiser_training_default();
        plx_tensor *loss = plx_denoiser_loss(d.tape, &d.denoiser, &training, &batch, (plx_rng){1, 7});
        plx_noise_level l = plx_schedule_at(d.denoiser.config.schedule, t[0]);
        double expected = l.alpha * l.alpha + l.sigma * l.sigma * 0.25;
        /* 1280 normal draws: relative deviation sqrt(2/1280) = 4 %, four times that */
        EXPECT(fabs(loss->data[0] / expected - 1) < 0.16, "t %g: %g, not %g", t[0], loss->data[0], expected);
    }
    small_denoiser_free(&d);
}

/* The loss of the first `N` of two fixed views. */
static double loss_at(small_denoiser *d, int N, const double *t, const plx_denoiser_training *training,
                      const float *render, const float *context) {
    static float views[2 * SIDE * SIDE * 4];
    plx_rng_fill_uniform((plx_rng){4, 4}, views, 2 * SIDE * SIDE * 4);
    plx_tape_reset(d->tape);
    plx_denoiser_batch batch = {views, plx_tape_input(d->tape, PLX_SHAPE(N, SIDE, SIDE, 4), render, false),
                                plx_tape_input(d->tape, PLX_SHAPE(N, SIDE, SIDE, 4), views, false),
                                plx_tape_input(d->tape, PLX_SHAPE(N, TOKENS, 6), context, false), t};
    return plx_denoiser_loss(d->tape, &d->denoiser, training, &batch, (plx_rng){1, 7})->data[0];
}

TEST(denoiser, each_view_has_its_own_level) {
    /* (l0(a) + l1(b))/2 - (l0(b) + l1(b))/2 = (l0(a) - l0(b))/2 */
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 2) == 0, "%s", plx_error());
    perturb(d.params, 0.1f);
    static float zeros[2 * SIDE * SIDE * 4];
    plx_denoiser_training training = plx_denoiser_training_default();
    training.drop_input = training.drop_render = 0;
    double ab[] = {0.2, 0.9}, bb[] = {0.9, 0.9};
    double left = loss_at(&d, 2, ab, &training, zeros, zeros) - loss_at(&d, 2, bb, &training, zeros, zeros);
    double right = loss_at(&d, 1, ab, &training, zeros, zeros) - loss_at(&d, 1, bb, &training, zeros, zeros);
    EXPECT(fabs(left - right / 2) < 1e-5 && fabs(left) > 1e-3, "%g and %g", left,
           right / 2); /* float losses */
    small_denoiser_free(&d);
}

TEST(denoiser, training_drops_what_it_is_told_to) {
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 2) == 0, "%s", plx_error());
    perturb(d.params, 0.1f);
    static float zeros[2 * SIDE * SIDE * 4], ones[2 * SIDE * SIDE * 4];
    for (int i = 0; i < 2 * SIDE * SIDE * 4; i++) ones[i] = 1;
    const double t[] = {0.2, 0.9};
    for (int k = 0; k < 4; k++) {
        plx_denoiser_training training = plx_denoiser_training_default();
        training.drop_render = k & 1, training.drop_input = k >> 1;
        double plain = loss_at(&d, 2, t, &training, zeros, zeros);
        bool render_matters = loss_at(&d, 2, t, &training, ones, zeros) != plain;
        bool context_matters = loss_at(&d, 2, t, &training, zeros, ones) != plain;
        EXPECT(render_matters == !(k & 1), "drop %d: the render matters: %d", k, render_matters);
        EXPECT(context_matters == !(k >> 1), "drop %d: the context matters: %d", k, context_matters);
    }
    small_denoiser_free(&d);
}

TEST(denoiser, learns_to_read_its_render) {
    small_denoiser d;
    REQUIRE(small_denoiser_make(&d, 1) == 0, "%s", plx_error());
    static float views[VALUES], context[VIEWS * TOKENS * 6];
    plx_optimiser optimiser = plx_optimiser_default();
    plx_denoiser_training training = plx_denoiser_training_default();
    double first = 0, last = 0;
    enum { STEPS = 200 };
    for (int step = 0; step < STEPS; step++) {
        plx_rng rng = plx_rng_fork((plx_rng){3, 3}, (uint64_t)step);
        plx_rng_fill_uniform(rng, views, VALUES);
        for (int i = 0; i < VALUES; i++)
            views[i] = views[i] < 0.5f ? -1 : 1; /* every step other views: no cue but the render */
        plx_tape_reset(d.tape);
        plx_denoiser_batch batch = {
            views, plx_tape_input(d.tape, PLX_SHAPE(VIEWS, SIDE, SIDE, 4), views, false),
            plx_tape_input(d.tape, PLX_SHAPE(VIEWS, SIDE, SIDE, 4), views, false),
            plx_tape_input(d.tape, PLX_SHAPE(VIEWS, TOKENS, 6), context, false), NULL};
        training.drop_render = training.drop_input = 0;
        plx_tensor *loss = plx_denoiser_loss(d.tape, &d.denoiser, &training, &batch, plx_rng_fork(rng, 1));
        plx_params_zero_grad(d.params);
        plx_tape_backward(d.tape, loss);
        REQUIRE(plx_optimiser_step(&optimiser, d.params, 4e-3f, NULL) == 0, "%s", plx_error());
        if (step < 10) first += loss->data[0] / 10;
        if (step >= STEPS - 10) last += loss->data[0] / 10;
    }
    /* Without the render the best estimate, x0 = tanh(alpha z / sigma^2), leaves 0.65 (by simulation). */
    EXPECT(first > 0.5 && last < 0.3, "loss %g -> %g", first, last);
    small_denoiser_free(&d);
}

TEST(denoiser, configuration_survives_json) {
    plx_denoiser_config config = small_config(2), read;
    config.prediction = PLX_PREDICT_EPS, config.schedule = (plx_schedule){PLX_SCHEDULE_LINEAR, 500};
    char *text = NULL, *again = NULL;
    REQUIRE(plx_denoiser_config_write(&config, &text) == 0, "%s", plx_error());
    REQUIRE(plx_denoiser_config_read(&read, text) == 0, "%s: %s", plx_error(), text);
    plx_denoiser_config_write(&read, &again);
    EXPECT(!strcmp(text, again), "%s became %s", text, again);
    EXPECT(read.prediction == PLX_PREDICT_EPS && read.schedule.steps == 500 && read.unet.context == 6, "%s",
           again);
    free(text), free(again);
    const char *bad[] = {"{}", "[1]", "not json", "{\"view_channels\":3}",
                         "{\"view_channels\":3,\"render_channels\":99999999999}"};
    for (int i = 0; i < 5; i++)
        EXPECT(plx_denoiser_config_read(&read, bad[i]) == PLX_ERROR_INPUT && plx_error()[0], "%s was read",
               bad[i]);
}

TEST(denoiser, default_size_is_what_its_header_says) {
    plx_params *params;
    plx_denoiser_config config = plx_denoiser_config_default();
    REQUIRE(!plx_params_create(&params) && !plx_denoiser_declare(params, "denoiser", &config) &&
                !plx_params_allocate(params, 1, false),
            "%s", plx_error());
    double millions = (double)plx_params_size(params) * 1e-6;
    EXPECT(millions > 5.35 && millions < 5.45, "%g M parameters",
           millions); /* two digits, as printed there */
    plx_params_free(params);
}
