/* Distillation's oracle test on a real field: fitted to blurred views of a chequered ball, it is refined with a
 * denoiser that returns the true views, and judged on views that neither saw. */
#include "tests/test.h"
#include "diffusion/distill.h"
#include "nerf/field.h"

enum { VIEWS = 8, SEEN_SIDE = 24, PIXELS = SEEN_SIDE * SEEN_SIDE, RAYS = 384, HELD_OUT = 3 };

/* The colour over white and opacity of a ball of radius 0.4, in eight squares; 4 x 4 rays a pixel. */
static void ball_pixel(const plx_camera *camera, int i, int j, float rgba[4]) {
    memset(rgba, 0, 4 * sizeof *rgba);
    for (int s = 0; s < 16; s++) {
        float origin[3], direction[3], point[3], t0, t1, colour[3] = {1, 1, 1};
        plx_camera_ray(camera, (float)j + (float)(s % 4) / 4 + 0.125f, (float)i + (float)(s / 4) / 4 + 0.125f,
                       origin, direction);
        bool hit = plx_ray_sphere(origin, direction, 0.4f, &t0, &t1);
        if (hit) {
            for (int k = 0; k < 3; k++) point[k] = origin[k] + t0 * direction[k];
            int meridian = (int)floor(atan2(point[1], point[0]) / (M_PI / 4)),
                band = (int)floorf(point[2] / 0.2f);
            bool odd = (meridian + band) & 1;
            colour[0] = odd ? 0.9f : 0.1f, colour[1] = 0.3f, colour[2] = odd ? 0.1f : 0.8f;
        }
        for (int c = 0; c < 3; c++) rgba[c] += colour[c] / 16;
        rgba[3] += (float)hit / 16;
    }
}

static void ball_view(const plx_camera *camera, float *rgba) {
    for (int i = 0; i < camera->height; i++)
        for (int j = 0; j < camera->width; j++) ball_pixel(camera, i, j, rgba + 4 * (i * camera->width + j));
}

static void blur(float *rgba, int radius) {
    static float before[PIXELS * 4];
    memcpy(before, rgba, sizeof before);
    for (int p = 0; p < PIXELS * 4; p++) {
        int i = p / 4 / SEEN_SIDE, j = p / 4 % SEEN_SIDE, count = 0;
        float sum = 0;
        for (int y = i - radius; y <= i + radius; y++)
            for (int x = j - radius; x <= j + radius; x++)
                if (y >= 0 && x >= 0 && y < SEEN_SIDE && x < SEEN_SIDE)
                    sum += before[(y * SEEN_SIDE + x) * 4 + p % 4], count++;
        rgba[p] = sum / (float)count;
    }
}

typedef struct ball_bench {
    plx_camera cameras[VIEWS];
    float truth[VIEWS * PIXELS * 4], blurred[VIEWS * PIXELS * 4];
    plx_view input;
    plx_field *field;
} ball_bench;

static int fit_blurred(ball_bench *b, int steps) {
    static plx_ray_target targets[RAYS];
    plx_step_options options = plx_step_options_default();
    options.rate = 2e-2f, options.decoder_rate = 0.5f, options.coarse = 24, options.fine = 8;
    int status = PLX_OK;
    for (int step = 0; step < steps && !status; step++) {
        for (int r = 0; r < RAYS; r++) {
            plx_rng rng = plx_rng_fork((plx_rng){5, 5}, (uint64_t)(step * RAYS + r));
            int v = (int)plx_rng_below(rng, 0, VIEWS), p = (int)plx_rng_below(rng, 1, PIXELS);
            const float *rgba = b->blurred + 4 * (v * PIXELS + p);
            plx_camera_ray(&b->cameras[v], (float)(p % SEEN_SIDE) + 0.5f, (float)(p / SEEN_SIDE) + 0.5f,
                           targets[r].origin, targets[r].direction);
            memcpy(targets[r].colour, rgba, sizeof targets[r].colour);
            targets[r].opacity = rgba[3], targets[r].weight = 1;
        }
        status = plx_field_step(b->field, RAYS, targets, &options, 9, NULL);
    }
    return status;
}

static int bench_make(ball_bench *b) {
    plx_field_size size = {.N = 1, .C = 16, .F = 2, .H = 32, .xy = {16, 16}, .xz = {16, 16}, .yz = {16, 16}};
    memset(b, 0, sizeof *b);
    b->input.camera = plx_camera_orbit(0, 0.35f, 1.3f, PLX_DEFAULT_FOV, SEEN_SIDE, SEEN_SIDE);
    int status = plx_image_create(&b->input.colour, SEEN_SIDE, SEEN_SIDE, 4);
    if (status) return status;
    ball_view(&b->input.camera, b->input.colour.data);
    for (int p = 0; p < PIXELS; p++) { /* straight colours: where there is none, any will do */
        float *rgba = b->input.colour.data + 4 * p;
        for (int c = 0; c < 3; c++) rgba[c] = rgba[3] > 0 ? (rgba[c] - 1 + rgba[3]) / rgba[3] : 0;
    }
    plx_distill_cameras(b->cameras, VIEWS, &b->input.camera, SEEN_SIDE, 3);
    for (int v = 0; v < VIEWS; v++) ball_view(&b->cameras[v], b->truth + v * PIXELS * 4);
    memcpy(b->blurred, b->truth, sizeof b->truth);
    for (int v = 0; v < VIEWS; v++) blur(b->blurred + v * PIXELS * 4, 3);
    plx_frame frame = plx_frame_make(PLX_FRAME_WORLD, &b->input.camera, PLX_SCENE_RADIUS);
    status = plx_field_create(&b->field, size, frame, 3, true);
    return status ? status : fit_blurred(b, 100);
}

static int oracle(plx_noise_level level, bool unconditional, const float *z, const float *condition,
                  float *x0, void *user) {
    const ball_bench *b = user;
    (void)level, (void)unconditional, (void)z, (void)condition;
    for (int p = 0; p < VIEWS * PIXELS; p++)
        for (int c = 0; c < 3; c++) x0[p * 3 + c] = 2 * b->truth[p * 4 + c] - 1;
    return 0;
}

/* Over views between the virtual ones, dB. */
static double held_out_psnr(plx_field *field) {
    static float truth[PIXELS * 4], seen[PIXELS * 4];
    plx_distill_field as_field = plx_distill_field_of(field);
    double sum = 0;
    for (int v = 0; v < HELD_OUT; v++) {
        plx_camera camera = plx_camera_orbit(0.7f + 2.1f * (float)v, 0.2f + 0.2f * (float)v, 1.3f,
                                             PLX_DEFAULT_FOV, SEEN_SIDE, SEEN_SIDE);
        ball_view(&camera, truth);
        if (as_field.render(field, 1, &camera, seen)) return NAN;
        for (int p = 0; p < PIXELS; p++)
            for (int c = 0; c < 3; c++) {
                double d = seen[4 * p + c] - truth[4 * p + c];
                sum += d * d / (PIXELS * 3 * HELD_OUT);
            }
    }
    return -10 * log10(sum);
}

TEST(distill, oracle_gains_5_db_on_a_blurred_field) {
    static ball_bench b;
    for (int mode = 0; mode < 2; mode++) {
        REQUIRE(bench_make(&b) == 0, "%s", plx_error());
        plx_distill_options o = mode ? plx_distill_options_blend() : plx_distill_options_paper();
        o.steps = 8, o.field_steps = 10, o.final_steps = 40, o.rays = RAYS;
        o.step.coarse = 24, o.step.fine = 8, o.step.rate = 2e-2f;
        plx_distill_field field = plx_distill_field_of(b.field);
        plx_distill_denoiser denoiser = {{PLX_SCHEDULE_COSINE, 0}, 3, oracle, &b};
        plx_distill_views views = {VIEWS, b.cameras, &b.input};
        double before = held_out_psnr(b.field);
        REQUIRE(plx_distill(&field, &denoiser, &views, &o, NULL, NULL, NULL) == 0, "%s", plx_error());
        double gain = held_out_psnr(b.field) - before;
        EXPECT(gain >= 5, "%s: %.2f dB, gained %.2f", mode ? "blend" : "paper", before, gain);
        plx_field_free(b.field);
        plx_image_free(&b.input.colour);
    }
}
