/* Distillation with oracles: the denoiser knows the truth, the field is an image per view that gradient steps move. */
#include "tests/test.h"
#include "diffusion/distill.h"
#include "diffusion/sampler.h"

enum { VIEWS = 4, SIDE = 16, PIXELS = SIDE * SIDE, SIZE = VIEWS * PIXELS * 3, INPUT_SIDE = 8 };

typedef struct picture_field {
    plx_camera cameras[VIEWS];
    float rgba[VIEWS * PIXELS * 4]; /* over white + opacity, [0,1] */
    int steps, input_rays, view_rays, background_rays, object_rays;
    double view_weight;
    plx_camera input;
} picture_field;

static int picture_render(void *user, int count, const plx_camera *cameras, float *rgba) {
    picture_field *f = user;
    (void)count, (void)cameras;
    memcpy(rgba, f->rgba, sizeof f->rgba);
    return 0;
}

static bool same_eye(const plx_camera *camera, const float origin[3]) {
    float eye[3];
    plx_camera_position(camera, eye);
    return fabsf(eye[0] - origin[0]) + fabsf(eye[1] - origin[1]) + fabsf(eye[2] - origin[2]) < 1e-4f;
}

static void move_pixel(picture_field *f, int view, const plx_ray_target *target) {
    float point[3], px, py, depth;
    for (int k = 0; k < 3; k++) point[k] = target->origin[k] + target->direction[k];
    if (!plx_camera_project(&f->cameras[view], point, &px, &py, &depth)) return;
    float *pixel = f->rgba + 4 * (view * PIXELS + (int)py * SIDE + (int)px);
    for (int c = 0; c < 3; c++) pixel[c] += 0.5f * (target->colour[c] - pixel[c]);
    if (target->opacity >= 0) pixel[3] += 0.5f * (target->opacity - pixel[3]);
}

static int picture_step(void *user, int rays, const plx_ray_target *targets, const plx_step_options *options,
                        uint64_t seed) {
    picture_field *f = user;
    (void)options, (void)seed;
    f->steps++;
    for (int r = 0; r < rays; r++) {
        if (same_eye(&f->input, targets[r].origin)) {
            f->input_rays++;
            continue;
        }
        f->view_rays++, f->view_weight += targets[r].weight;
        f->background_rays += targets[r].opacity == 0, f->object_rays += targets[r].opacity == 1;
        for (int v = 0; v < VIEWS; v++)
            if (same_eye(&f->cameras[v], targets[r].origin)) move_pixel(f, v, &targets[r]);
    }
    return 0;
}

typedef struct oracle {
    float truth[SIZE];                   /* [-1,1] */
    float condition[VIEWS * PIXELS * 4]; /* of the last call */
    bool returns_condition;
    int calls;
} oracle;

static int oracle_denoise(plx_noise_level level, bool unconditional, const float *z, const float *condition,
                          float *x0, void *user) {
    oracle *o = user;
    (void)level, (void)unconditional, (void)z;
    o->calls++;
    memcpy(o->condition, condition, sizeof o->condition);
    for (int p = 0; p < VIEWS * PIXELS; p++)
        for (int c = 0; c < 3; c++)
            x0[p * 3 + c] = o->returns_condition ? condition[p * 4 + c] : o->truth[p * 3 + c];
    return 0;
}

/* A coloured square on white in every view; the field begins with it blurred. */
typedef struct bench {
    picture_field pictures;
    oracle oracle;
    plx_view input;
    plx_distill_field field;
    plx_distill_denoiser denoiser;
    plx_distill_views views;
} bench;

static void blur(float *rgba) {
    static float before[PIXELS * 4];
    memcpy(before, rgba, sizeof before);
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int c = 0; c < 4; c++) {
                float sum = 0;
                for (int y = i - 3; y <= i + 3; y++)
                    for (int x = j - 3; x <= j + 3; x++)
                        sum += y < 0 || x < 0 || y >= SIDE || x >= SIDE ? (c < 3)
                                                                        : before[(y * SIDE + x) * 4 + c];
                rgba[(i * SIDE + j) * 4 + c] = sum / 49;
            }
}

static void bench_make(bench *b) {
    memset(b, 0, sizeof *b);
    b->input.camera = plx_camera_orbit(0, 0.3f, 1.3f, 0.9f, INPUT_SIDE, INPUT_SIDE);
    if (plx_image_create(&b->input.colour, INPUT_SIDE, INPUT_SIDE, 4)) abort();
    b->pictures.input = b->input.camera;
    plx_distill_cameras(b->pictures.cameras, VIEWS, &b->input.camera, SIDE, 7);
    for (int p = 0; p < VIEWS * PIXELS; p++) {
        int i = p % PIXELS / SIDE, j = p % SIDE, v = p / PIXELS;
        bool inside = i >= 4 && i < 12 && j >= 4 && j < 12;
        for (int c = 0; c < 3; c++)
            b->pictures.rgba[p * 4 + c] = inside ? ((i + j + v) % 3 == c ? 0.9f : 0.2f) : 1;
        b->pictures.rgba[p * 4 + 3] = inside;
        for (int c = 0; c < 3; c++) b->oracle.truth[p * 3 + c] = 2 * b->pictures.rgba[p * 4 + c] - 1;
    }
    for (int v = 0; v < VIEWS; v++) blur(b->pictures.rgba + v * PIXELS * 4);
    b->field = (plx_distill_field){picture_render, picture_step, &b->pictures};
    b->denoiser = (plx_distill_denoiser){{PLX_SCHEDULE_COSINE, 0}, 3, oracle_denoise, &b->oracle};
    b->views = (plx_distill_views){VIEWS, b->pictures.cameras, &b->input};
}

static double field_error(const bench *b) {
    double sum = 0;
    for (int p = 0; p < VIEWS * PIXELS; p++)
        for (int c = 0; c < 3; c++) {
            double d = b->pictures.rgba[p * 4 + c] - 0.5 * (b->oracle.truth[p * 3 + c] + 1);
            sum += d * d / SIZE;
        }
    return sum;
}

static int run(bench *b, const plx_distill_options *o, float *denoised) {
    return plx_distill(&b->field, &b->denoiser, &b->views, o, denoised, NULL, NULL);
}

TEST(distill, oracle_sharpens_a_blurred_field) {
    static bench b;
    for (int mode = 0; mode < 2; mode++)
        for (int condition = 0; condition < 2; condition++) {
            bench_make(&b);
            plx_distill_options o = mode ? plx_distill_options_blend() : plx_distill_options_paper();
            o.condition = (enum plx_distill_condition)condition;
            double before = field_error(&b);
            REQUIRE(run(&b, &o, NULL) == 0, "%s", plx_error());
            double gain = 10 * log10(before / field_error(&b));
            EXPECT(gain >= 5, "mode %d, condition %d: %.1f dB", mode, condition,
                   gain); /* nerfdiff.md's oracle test */
            plx_image_free(&b.input.colour);
        }
}

TEST(distill, without_guidance_views_are_the_denoisers) {
    static bench b;
    static float denoised[SIZE];
    bench_make(&b);
    plx_distill_options o = plx_distill_options_paper();
    o.gamma = 0, o.steps = 3;
    REQUIRE(run(&b, &o, denoised) == 0, "%s", plx_error());
    EXPECT(!memcmp(denoised, b.oracle.truth, sizeof denoised), "the views are not the oracle's");
    EXPECT(b.oracle.calls == 3, "%d calls", b.oracle.calls);
    plx_image_free(&b.input.colour);
}

TEST(distill, guidance_weight_is_the_papers) {
    /* One level, no field steps: x0 = D - w (reference - render), w = min(1, gamma sigma^2/alpha^2). */
    static bench b;
    static float denoised[SIZE];
    const struct {
        enum plx_distill_reference reference;
        double gamma, t, guidance_t;
    } cases[] = {{PLX_REFERENCE_DENOISED, 0.3, 0.5, 0.4},
                 {PLX_REFERENCE_DENOISED, 0.3, 0.3, 0.4},  /* below guidance_t: none */
                 {PLX_REFERENCE_DENOISED, 9.0, 0.8, 0.4},  /* w = 1: the render */
                 {PLX_REFERENCE_PREVIOUS, 0.3, 0.5, 0.0}}; /* I is the render: none */
    for (int k = 0; k < 4; k++) {
        bench_make(&b);
        plx_distill_options o = plx_distill_options_paper();
        o.reference = cases[k].reference, o.gamma = cases[k].gamma, o.guidance_t = cases[k].guidance_t;
        o.steps = 1, o.field_steps = o.final_steps = 0, o.t_max = o.t_min = cases[k].t;
        REQUIRE(run(&b, &o, denoised) == 0, "%s", plx_error());
        plx_noise_level l = plx_schedule_at(b.denoiser.schedule, cases[k].t);
        double w = fmin(1, o.gamma * l.sigma * l.sigma / (l.alpha * l.alpha)), worst = 0;
        if (cases[k].t <= cases[k].guidance_t || o.reference == PLX_REFERENCE_PREVIOUS) w = 0;
        for (int i = 0; i < SIZE; i++) {
            double render = 2.0 * b.pictures.rgba[i / 3 * 4 + i % 3] - 1;
            worst = fmax(worst, fabs(denoised[i] - ((1 - w) * b.oracle.truth[i] + w * render)));
        }
        EXPECT(worst < 1e-6, "case %d: off by %g", k, worst); /* floats of order 1 */
        plx_image_free(&b.input.colour);
    }
}

TEST(distill, guidance_pulls_back_from_the_previous_view) {
    /* Two levels of the same t: at the second, I is the oracle's view and x0 = D - w (D - render). */
    static bench b;
    static float denoised[SIZE];
    bench_make(&b);
    plx_distill_options o = plx_distill_options_paper();
    o.gamma = 0.3, o.steps = 2, o.field_steps = o.final_steps = 0, o.t_max = o.t_min = 0.5;
    REQUIRE(run(&b, &o, denoised) == 0, "%s", plx_error());
    plx_noise_level l = plx_schedule_at(b.denoiser.schedule, 0.5);
    double w = 0.3 * l.sigma * l.sigma / (l.alpha * l.alpha), worst = 0;
    for (int i = 0; i < SIZE; i++) {
        double D = b.oracle.truth[i], render = 2.0 * b.pictures.rgba[i / 3 * 4 + i % 3] - 1;
        worst = fmax(worst, fabs(denoised[i] - fmin(1, fmax(-1, D - w * (D - render)))));
    }
    EXPECT(worst < 1e-6, "off by %g", worst); /* floats of order 1 */
    plx_image_free(&b.input.colour);
}

TEST(distill, condition_is_initial_or_current) {
    static bench b;
    for (int current = 0; current < 2; current++) {
        bench_make(&b);
        static float initial[VIEWS * PIXELS * 4];
        memcpy(initial, b.pictures.rgba, sizeof initial);
        plx_distill_options o = plx_distill_options_paper();
        o.condition = current ? PLX_CONDITION_CURRENT : PLX_CONDITION_INITIAL;
        REQUIRE(run(&b, &o, NULL) == 0, "%s", plx_error());
        double from_initial = 0;
        for (int i = 0; i < VIEWS * PIXELS * 4; i++)
            from_initial = fmax(from_initial, fabs(b.oracle.condition[i] - (2 * initial[i] - 1)));
        EXPECT(current ? from_initial > 0.5 : from_initial == 0, "current %d: %g from the first render",
               current, from_initial);
        plx_image_free(&b.input.colour);
    }
}

TEST(distill, a_denoiser_that_adds_nothing_changes_nothing) {
    static bench b;
    bench_make(&b);
    b.oracle.returns_condition = true;
    static float before[VIEWS * PIXELS * 4];
    memcpy(before, b.pictures.rgba, sizeof before);
    plx_distill_options o = plx_distill_options_paper();
    REQUIRE(run(&b, &o, NULL) == 0, "%s", plx_error());
    double worst = 0;
    for (int p = 0; p < VIEWS * PIXELS; p++)
        for (int c = 0; c < 3; c++) worst = fmax(worst, fabs(b.pictures.rgba[p * 4 + c] - before[p * 4 + c]));
    EXPECT(worst < 1e-5, "colours moved by %g", worst); /* 2x - 1 and back in floats, many times */
    plx_image_free(&b.input.colour);
}

TEST(distill, rays_come_from_input_object_and_anywhere) {
    static bench b;
    bench_make(&b);
    plx_distill_options o = plx_distill_options_paper();
    o.steps = 20, o.field_steps = 10, o.final_steps = 0, o.rays = 64, o.input_fraction = 0.125;
    REQUIRE(run(&b, &o, NULL) == 0, "%s", plx_error());
    EXPECT(b.pictures.steps == 200, "%d steps", b.pictures.steps);
    EXPECT(b.pictures.input_rays * 8 == 200 * 64, "%d rays of the input", b.pictures.input_rays);
    /* Weighted draws sum to the plain mean: E weight = 1. 11200 draws of weights within [0,4]: .02, four times. */
    double mean = b.pictures.view_weight / b.pictures.view_rays;
    EXPECT(fabs(mean - 1) < 0.08, "mean weight %g", mean);
    EXPECT(b.pictures.background_rays > 0 && b.pictures.object_rays > 0, "%d background, %d object",
           b.pictures.background_rays, b.pictures.object_rays);
    plx_image_free(&b.input.colour);
}

TEST(distill, same_seed_same_field) {
    static bench a, b;
    plx_distill_options o = plx_distill_options_blend();
    bench_make(&a), bench_make(&b);
    run(&a, &o, NULL), run(&b, &o, NULL);
    EXPECT(!memcmp(a.pictures.rgba, b.pictures.rgba, sizeof a.pictures.rgba), "the fields differ");
    plx_image_free(&a.input.colour), plx_image_free(&b.input.colour);
}

static int stop_at_once(const plx_progress *progress, void *user) {
    (void)progress, (void)user;
    return 1;
}

TEST(distill, refuses_and_stops) {
    static bench b;
    bench_make(&b);
    plx_distill_options o = plx_distill_options_paper();
    o.input_fraction = 0.1;
    EXPECT(run(&b, &o, NULL) == PLX_ERROR_INPUT, "less than an eighth from the input");
    o = plx_distill_options_paper(), o.steps = 0;
    EXPECT(run(&b, &o, NULL) == PLX_ERROR_INPUT, "0 levels");
    o = plx_distill_options_paper();
    EXPECT(plx_distill(&b.field, &b.denoiser, &b.views, &o, NULL, stop_at_once, NULL) == PLX_ERROR_CANCELLED,
           "did not stop");
    EXPECT(b.oracle.calls == 1, "%d calls", b.oracle.calls);
    plx_image_free(&b.input.colour);
}

TEST(distill, cameras_surround_the_object) {
    plx_camera input = plx_camera_orbit(0.4f, 0.3f, 1.3f, 0.9f, 64, 64), cameras[24];
    plx_distill_cameras(cameras, 24, &input, 32, 5);
    int quarter[4] = {0};
    for (int i = 0; i < 24; i++) {
        float eye[3];
        plx_camera_position(&cameras[i], eye);
        double distance = sqrt(eye[0] * eye[0] + eye[1] * eye[1] + eye[2] * eye[2]);
        EXPECT(fabs(distance - 1.3) < 1e-5, "distance %g", distance); /* floats */
        float elevation = plx_camera_elevation(&cameras[i]);
        EXPECT(elevation > -0.053f && elevation < 1.05f, "elevation %g",
               elevation); /* -3 and 60 degrees, rounded */
        quarter[(int)floor((plx_camera_azimuth(&cameras[i]) + M_PI) / (M_PI / 2 + 1e-6))]++;
        EXPECT(cameras[i].width == 32 && cameras[i].height == 32, "size");
    }
    for (int q = 0; q < 4; q++) EXPECT(quarter[q] == 6, "%d cameras in a quarter", quarter[q]);
}
