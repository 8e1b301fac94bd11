/* parallax bench: every kernel is timed, at sizes that the models really use; its arithmetic and verdicts; and no step or
 * render takes memory after the first. */
#include "tests/test.h"
#include "diffusion/model.h"
#include "nerf/core/file.h"
#include "nerf/field.h"
#include "nerf/tensor/flops.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/scratch.h"
#include "nerf/workload_kernels.h"
#include "tools/bench_report.h"
#include "tools/bench_stages.h"
#include "tools/bench_power.h"

#include <malloc.h>
#include <stdatomic.h>

/* ---- every kernel ----------------------------------------------------------------------------------------------- */

static int cases_of(const char *kernel) {
    int count = 0;
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        plx_kernel_case c;
        plx_kernel_workload_case(i, &c);
        count += !strcmp(c.kernel, kernel);
    }
    return count;
}

TEST(bench, times_every_kernel) {
#define PLX_KERNEL_TIMED(name, arguments) EXPECT(cases_of(#name), "no size of kernel %s is timed", #name);
    PLX_KERNEL_LIST(PLX_KERNEL_TIMED)
#undef PLX_KERNEL_TIMED
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        plx_workload work, ref;
        REQUIRE(!plx_kernel_workload(&work, "cpu", i), "%s", plx_error());
        EXPECT(work.run(work.state) == PLX_OK && work.bytes > 0 && work.flops >= 0, "%s: %g bytes", work.name,
               work.bytes);
        REQUIRE(!plx_kernel_workload(&ref, "ref", i), "%s", plx_error());
        EXPECT(!strcmp(work.name, ref.name) && work.bytes == ref.bytes, "%s, %s", work.name, ref.name);
        if (ref.flops == 0 && ref.bytes < 4e6) EXPECT(ref.run(ref.state) == PLX_OK, "%s", ref.name);
        plx_workload_free(&work);
        plx_workload_free(&ref);
    }
    plx_workload none;
    EXPECT(plx_kernel_workload(&none, "abacus", 0) == PLX_ERROR_INPUT, "a device abacus");
    plx_workload_free(&none);
}

/* ---- at the models' sizes: kernels that only write down what they are asked ---------------------------------------- */

enum { MAX_CALLS = 1024 };
static plx_kernel_case calls[MAX_CALLS];
static int call_count;

#define CALL(name, ...)                                                                               \
    do {                                                                                              \
        if (call_count < MAX_CALLS) calls[call_count++] = (plx_kernel_case){name, "", {__VA_ARGS__}}; \
    } while (0)

static void note_conv(plx_conv_size s, const float *x, const float *w, const float *b, float *y) {
    (void)x, (void)w, (void)b, (void)y;
    CALL("conv", s.N, s.H, s.W, s.I, s.O, s.K, s.stride);
}
static void note_linear(size_t M, int I, int O, const float *x, const float *w, const float *b, float *y) {
    (void)x, (void)w, (void)b, (void)y;
    CALL("linear", (int)M, I, O);
}
static void note_norm(plx_norm_size s, const float *x, const float *gamma, const float *beta,
                      const float *scale_shift, float *mean_rstd, float *y) {
    (void)x, (void)gamma, (void)beta, (void)mean_rstd, (void)y;
    CALL("norm", s.N, s.P, s.C, s.groups, scale_shift != NULL);
}
static void note_silu(size_t n, const float *x, float *y) {
    (void)x, (void)y;
    CALL("silu", (int)n);
}
static void note_axpy(size_t n, float a, const float *x, float *y) {
    (void)a, (void)x, (void)y;
    CALL("axpy", (int)n);
}
static void note_attention(plx_attention_size s, const float *q, const float *k, const float *v, float *lse,
                           float *y) {
    (void)q, (void)k, (void)v, (void)lse, (void)y;
    CALL("attention", s.N, s.Q, s.K, s.heads, s.d);
}
static void note_concat(size_t M, int A, int B, const float *a, const float *b, float *y) {
    (void)a, (void)b, (void)y;
    CALL("concat", (int)M, A, B);
}
static void note_slice(size_t M, int C, int begin, int end, const float *x, float *y) {
    (void)x, (void)y;
    CALL("slice", (int)M, C, begin, end);
}
static void note_swap_hw(int N, int H, int W, int C, const float *x, float *y) {
    (void)x, (void)y;
    CALL("swap_hw", N, H, W, C);
}
static void note_upsample2(int N, int H, int W, int C, const float *x, float *y) {
    (void)x, (void)y;
    CALL("upsample2", N, H, W, C);
}
static void note_pool(int N, int H, int W, int C, int kh, int kw, const float *x, float *y) {
    (void)x, (void)y;
    CALL("pool", N, H, W, C, kh, kw);
}
static void note_space_to_depth(int N, int H, int W, int C, int r, const float *x, float *y) {
    (void)x, (void)y;
    CALL("space_to_depth", N, H, W, C, r);
}
static void note_depth_to_space(int N, int H, int W, int C, int r, const float *x, float *y) {
    (void)x, (void)y;
    CALL("depth_to_space", N, H, W, C, r);
}

static const plx_kernels noting = {.conv_fwd = note_conv,
                                   .linear_fwd = note_linear,
                                   .norm_fwd = note_norm,
                                   .silu_fwd = note_silu,
                                   .axpy = note_axpy,
                                   .attention_fwd = note_attention,
                                   .concat_fwd = note_concat,
                                   .slice_fwd = note_slice,
                                   .swap_hw_fwd = note_swap_hw,
                                   .upsample2_fwd = note_upsample2,
                                   .pool_fwd = note_pool,
                                   .space_to_depth_fwd = note_space_to_depth,
                                   .depth_to_space_fwd = note_depth_to_space};

/* The encoder and the denoiser, as trained, on 8 images of 64x64 pixels that hold nothing. */
static int note_models(void) {
    enum { N = 8, SIZE = 64 };
    plx_model_config config = plx_model_config_default();
    plx_train_options training = plx_train_options_default(PLX_STAGE_JOINT);
    config.encoder.unet.width = training.width;
    config.denoiser.unet.width = training.denoiser_width;
    config.denoiser.unet.context = plx_encoder_features(&config.encoder);
    plx_model *model = NULL;
    plx_tape *tape = NULL;
    static float rgba[N * SIZE * SIZE * 4];
    static plx_encoder_pose poses[N];
    int status = plx_model_create(&model, &config, 1, false);
    if (!status)
        status = plx_tape_create(&tape, (plx_device){&noting, "noting", NULL}, (size_t)4 << 30, false);
    if (!status) {
        plx_encoding e = plx_model_encode(tape, model, N, SIZE, rgba, poses);
        plx_denoiser denoiser = plx_model_denoiser(model);
        plx_noise_level levels[N];
        for (int n = 0; n < N; n++) levels[n] = plx_schedule_at(config.denoiser.schedule, 0.5);
        const int *f = e.features->shape;
        plx_denoiser_inputs inputs = {
            .z = plx_tape_input(tape, PLX_SHAPE(N, SIZE, SIZE, config.denoiser.view_channels), rgba, false),
            .levels = levels,
            .render = plx_tape_input(tape, PLX_SHAPE(N, SIZE, SIZE, 4), rgba, false),
            .context = plx_reshape(tape, e.features, PLX_SHAPE(N, f[1] * f[2], f[3]))};
        plx_denoiser_forward(tape, &denoiser, &inputs);
    }
    plx_tape_free(tape);
    plx_model_free(model);
    return status;
}

/* "conv_bwd" is of the family "conv". */
static bool is_called(const plx_kernel_case *c) {
    size_t length = strlen(c->kernel);
    if (length > 4 && (!strcmp(c->kernel + length - 4, "_fwd") || !strcmp(c->kernel + length - 4, "_bwd")))
        length -= 4;
    for (int i = 0; i < call_count; i++)
        if (!strncmp(calls[i].kernel, c->kernel, length) && !calls[i].kernel[length] &&
            !memcmp(calls[i].n, c->n, sizeof c->n))
            return true;
    return false;
}

/* Kernels that no network calls: fields, rays, losses and the optimiser do. */
static bool is_no_networks(const char *kernel) {
#define NAME(name, arguments) #name,
    static const char *const names[] = {PLX_FIELD_KERNEL_LIST(NAME) PLX_RAYS_KERNEL_LIST(NAME)
                                            PLX_TRAIN_KERNEL_LIST(NAME) "sigmoid_fwd",
                                        "sigmoid_bwd"};
#undef NAME
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(kernel, names[i])) return true;
    return false;
}

TEST(bench, sizes_are_the_models_own) {
    call_count = 0;
    REQUIRE(note_models() == PLX_OK, "%s", plx_error());
    REQUIRE(call_count > 100 && call_count < MAX_CALLS, "%d calls", call_count);
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        plx_kernel_case c;
        char name[96];
        plx_kernel_workload_case(i, &c);
        plx_kernel_workload_name(i, name);
        if (is_no_networks(c.kernel)) continue;
        EXPECT(is_called(&c), "no model calls %s", name);
    }
}

/* ---- operations and peaks ----------------------------------------------------------------------------------------- */

TEST(bench, counts_operations) {
    /* 2 images of 4x6 pixels at stride 2: 12 outputs of 5 channels, each 9 x 3 multiply-adds. */
    EXPECT(plx_flops_conv((plx_conv_size){2, 4, 6, 3, 5, 3, 2}) == 2 * 12 * 5 * 27, "convolution");
    EXPECT(plx_flops_linear(7, 3, 5) == 210, "product");
    /* 3 queries, 4 keys of 8 numbers, 2 heads: 2 (3 x 8 x 4) 2, twice. */
    EXPECT(plx_flops_attention((plx_attention_size){1, 3, 4, 2, 8}) == 2 * 2 * 96 * 2, "attention");
    plx_workload one = {0}, two = {0}, train = {0};
    plx_network_options o = {.part = PLX_NETWORK_DENOISER, .batch = 1, .size = 32, .width = 16};
    REQUIRE(!plx_network_workload(&one, &o), "%s", plx_error());
    o.batch = 2;
    REQUIRE(!plx_network_workload(&two, &o), "%s", plx_error());
    o.train = true;
    REQUIRE(!plx_network_workload(&train, &o), "%s", plx_error());
    EXPECT(one.flops > 0 && two.flops == 2 * one.flops, "%g for one image, %g for two", one.flops, two.flops);
    /* Two gradients as dear as the forward; the input's is not wanted, attention's backward is 2.5 times its forward. */
    EXPECT(train.flops > 2.8 * two.flops && train.flops < 3 * two.flops, "%g forward, %g in training",
           two.flops, train.flops);
    EXPECT(!strcmp(train.name, "unet-train batch 2, 32x32, width 16"), "'%s'", train.name);
    EXPECT(train.run(train.state) == PLX_OK, "%s", plx_error());
    o.size = 40;
    plx_workload none;
    EXPECT(plx_network_workload(&none, &o) == PLX_ERROR_INPUT, "40 is no multiple of 32");
    plx_workload_free(&one), plx_workload_free(&two), plx_workload_free(&train);
}

TEST(bench, bound_is_the_slower_of_the_two_peaks) {
    const plx_peaks peaks = {
        .threads = 2, .flops = {60, 100}, .sets = 2, .set_bytes = {1000, 1e6}, .bandwidth = {50, 10}};
    const char *bound;
    EXPECT(plx_peaks_bound(&peaks, 200, 50, &bound) == 2 && *bound == 'f', "computing");
    EXPECT(plx_peaks_bound(&peaks, 200, 1000, &bound) == 20 && *bound == 'b', "moving, in the cache");
    EXPECT(plx_peaks_bound(&peaks, 200, 2000, &bound) == 200 && *bound == 'b', "moving, in memory");
    EXPECT(plx_peaks_bound(&peaks, 200, 1e9, &bound) == 1e8, "moving, beyond the last set");
    EXPECT(plx_peaks_bound(&peaks, 0, 0, &bound) == 0 && !bound, "neither");
}

/* ---- timing ------------------------------------------------------------------------------------------------------- */

static int count_run(void *state) {
    int *left = state;
    for (double began = plx_now(); plx_now() - began < 0.001;) continue; /* a millisecond, never less */
    return --*left < 0 ? plx_fail(PLX_ERROR_NUMERIC, "the work failed") : PLX_OK;
}

/* The row of a kernel: its operations and bytes, and for three cards the time and its bound. */
static void budget_row(const char *text, const char *kernel, double *flops, double *bytes, double us[3],
                       char bound[3]) {
    const char *row = strstr(text, kernel);
    REQUIRE(row && sscanf(strchr(row + 1, '|'), "| %lf | %lf | %lf %c | %lf %c | %lf %c |", flops, bytes,
                          &us[0], &bound[0], &us[1], &bound[1], &us[2], &bound[2]) == 8,
            "no %s in: %s", kernel, text);
}

TEST(bench, budget_is_what_a_card_allows) {
    const char *text;
    double flops, bytes, us[3]; /* MFLOP, MB */
    char bound[3];
    REQUIRE(test_run_parallax_output("bench --budget", &text) == 0, "exit");
    budget_row(text, "| field_fwd N8 ", &flops, &bytes, us, bound);
    const plx_field_size s = {.N = 8, .C = 16, .F = 4, .H = 64, .guided = 1};
    EXPECT(fabs(flops * 1e6 / (plx_flops_field(s) * 8 * 16384) - 1) < 1e-3, "field: %g MFLOP", flops);
    EXPECT(!memcmp(bound, "fff", 3) && fabs(us[0] / (flops / 67) - 1) < 5e-3 && us[1] == us[0] &&
               fabs(us[2] / (flops / 15) - 1) < 5e-3,
           "field: %g %g %g", us[0], us[1], us[2]);
    budget_row(text, "| composite_bwd ", &flops, &bytes, us, bound);
    EXPECT(!memcmp(bound, "bbb", 3) && fabs(us[0] / (bytes / 3.35) - 1) < 5e-3 &&
               fabs(us[2] / (bytes / 0.256) - 1) < 5e-3,
           "composite: %g MB, %g %g", bytes, us[0], us[2]);
    budget_row(text, "| conv_fwd N8 H32 W32 I128 O64 K3 s1 ", &flops, &bytes, us, bound);
    EXPECT(bound[0] == 'f' && fabs(us[0] / (flops / 67) - 1) < 5e-3 &&
               fabs(us[1] / fmax(flops / 494, bytes / 3.35) - 1) < 5e-3,
           "conv: %g MFLOP, %g %g", flops, us[0], us[1]);
    EXPECT(test_run_parallax("bench --budget --quick", &text) == 2 && strstr(text, "--budget"), "%s", text);
    EXPECT(test_run_parallax("bench --budget --filter abacus", &text) == 2 && strstr(text, "abacus"), "%s",
           text);
}

TEST(bench, times_as_often_as_it_says) {
    int left = 1000000;
    const plx_workload work = {.name = "wait", .run = count_run, .state = &left};
    plx_timing t;
    REQUIRE(!plx_timing_measure(&t, &work, (plx_timing_plan){4, 3, 60}), "%s", plx_error());
    EXPECT(t.runs == 4 && t.repetitions >= 1 && t.repetitions <= 5, "%d runs of %d", t.runs, t.repetitions);
    EXPECT(t.seconds[0] >= 0.001 && t.seconds[0] <= t.seconds[3], "%g to %g s", t.seconds[0], t.seconds[3]);
    left = 1000000;
    REQUIRE(!plx_timing_measure(&t, &work, (plx_timing_plan){9, 1, 0}), "%s", plx_error());
    EXPECT(t.runs == 1 && left == 999999, "past the limit: %d runs, %d calls", t.runs, 1000000 - left);
    left = 3; /* the fourth call fails */
    EXPECT(plx_timing_measure(&t, &work, (plx_timing_plan){20, 3, 60}) == PLX_ERROR_NUMERIC,
           "a failure was lost");
    const plx_timing known = {.runs = 5, .seconds = {1, 2, 3, 5, 9}};
    EXPECT(plx_timing_quantile(&known, 0) == 1 && plx_timing_quantile(&known, 0.5) == 3 &&
               plx_timing_quantile(&known, 0.75) == 5 && plx_timing_quantile(&known, 0.625) == 4 &&
               plx_timing_quantile(&known, 1) == 9,
           "quantiles");
    EXPECT(plx_timing_spread(&known) == 1, "(5 - 2) / 3, not %g", plx_timing_spread(&known));
    const plx_timing few = {.runs = 2, .seconds = {1, 2}};
    EXPECT(isnan(plx_timing_spread(&few)), "two runs have a spread");
}

/* ---- comparison --------------------------------------------------------------------------------------------------- */

/* A file with these entries, up to the NULL. */
static const char *bench_file(const char *name, const char *const *entries) {
    char text[4096] = "{\"format\": \"parallax-bench-1\", \"threads\": 2, \"entries\": [";
    for (int i = 0; entries[i]; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "", entries[i]);
    }
    strcat(text, "]}");
    const char *path = test_file(name);
    if (plx_file_write(path, text, strlen(text))) abort();
    return path;
}

#define ENTRY(name, runs) \
    "{\"kind\": \"stage\", \"table\": \"cpu\", \"name\": \"" name "\", \"runs_s\": " runs "}"

/* What a line of the text that begins with `name` ends with. */
static bool says(const char *text, const char *name, const char *verdict) {
    const char *line = strstr(text, name);
    size_t length = line ? strcspn(line, "\n") : 0, end = strlen(verdict);
    return length > end && !memcmp(line + length - end, verdict, end);
}

TEST(bench, compares_beyond_the_noise) {
    static const char *const before[] = {ENTRY("quiet", "[1.00, 1.00, 1.00, 1.01]"),
                                         ENTRY("noisy", "[1.0, 1.1, 1.2, 1.3]"),
                                         ENTRY("gain", "[2, 2, 2]"),
                                         ENTRY("single", "[1]"),
                                         ENTRY("gone", "[1, 1, 1]"),
                                         NULL};
    static const char *const now[] = {ENTRY("quiet", "[1.10, 1.10, 1.10, 1.11]"),
                                      ENTRY("noisy", "[1.1, 1.2, 1.3, 1.4]"),
                                      ENTRY("gain", "[1, 1, 1]"),
                                      ENTRY("single", "[2]"),
                                      ENTRY("new", "[1, 1, 1]"),
                                      NULL};
    const char *a = bench_file("a.json", before), *b = bench_file("b.json", now);
    char arguments[1024];
    const char *text;
    snprintf(arguments, sizeof arguments, "bench --compare %s %s", a, b);
    EXPECT(test_run_parallax_output(arguments, &text) == 0, "exit");
    EXPECT(says(text, "quiet", "slower") && says(text, "noisy", "same") && says(text, "gain", "faster") &&
               says(text, "single", "too few runs to tell"),
           "%s", text);
    EXPECT(strstr(text,
                  "1 faster, 1 slower, 1 the same within the noise, 1 of too few runs, 2 in one file only"),
           "%s", text);
    snprintf(arguments, sizeof arguments, "bench --compare --fail-over 20 %s %s", a, b); /* slower by 10 % */
    EXPECT(test_run_parallax(arguments, &text) == 0, "%s", text);
    snprintf(arguments, sizeof arguments, "bench --compare --fail-over 5 %s %s", a, b);
    EXPECT(test_run_parallax(arguments, &text) == 1 && strstr(text, "1 of 4 entries slower by more than 5 %"),
           "%s", text);
}

static void expect_refused(const char *arguments, int code, const char *why) {
    const char *said;
    int got = test_run_parallax(arguments, &said);
    EXPECT(got == code && strstr(said, why) && strchr(said, '\n') == said + strlen(said) - 1,
           "%s: exit %d, '%s'", arguments, got, said);
}

TEST(bench, refuses_what_it_cannot_compare) {
    char arguments[1024];
    char good[256];
    snprintf(good, sizeof good, "%s",
             bench_file("good.json", (const char *const[]){ENTRY("x", "[1, 1, 1]"), NULL}));
    static const char *const bad[][2] = {
        {"{", "line 1"},
        {"[]", "not a file of parallax bench"},
        {"{\"format\": \"parallax-bench-0\", \"entries\": []}", "not a file of"},
        {"{\"format\": \"parallax-bench-1\"}", "not a file of"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = test_file("bad.json");
        if (plx_file_write(path, bad[i][0], strlen(bad[i][0]))) abort();
        snprintf(arguments, sizeof arguments, "bench --compare %s %s", good, path);
        expect_refused(arguments, 1, bad[i][1]);
        expect_refused(arguments, 1, path);
    }
    static const char *const entries[][2] = {{"1", "an entry without"},
                                             {ENTRY("x", "[]"), "an entry without"},
                                             {ENTRY("x", "[0]"), "a run of no time"},
                                             {ENTRY("y", "[1]"), "has no entry of"}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        snprintf(arguments, sizeof arguments, "bench --compare %s %s", good,
                 bench_file("bad.json", (const char *const[]){entries[i][0], NULL}));
        expect_refused(arguments, 1, entries[i][1]);
    }
    snprintf(arguments, sizeof arguments, "bench --compare %s", good);
    expect_refused(arguments, 2, "two files");
    snprintf(arguments, sizeof arguments, "bench %s %s", good, good);
    expect_refused(arguments, 2, "is for --compare");
    expect_refused("bench --fail-over 3", 2, "goes with --compare");
    expect_refused("bench --filter nothing_is_called_so", 2, "nothing has 'nothing_is_called_so'");
}

/* What it measures, it can read again. */
TEST(bench, its_file_compares_with_itself) {
    char arguments[1024];
    const char *text, *path = test_file("run.json");
    snprintf(arguments, sizeof arguments,
             "bench --table cpu --filter 'kernel silu' --runs 3 --threads 1 -o %s", path);
    EXPECT(test_run_parallax_output(arguments, &text) == 0 && strstr(text, "silu_fwd n65536"), "%s", text);
    snprintf(arguments, sizeof arguments, "bench --compare %s %s", path, path);
    EXPECT(test_run_parallax_output(arguments, &text) == 0, "%s", text);
    EXPECT(strstr(text, "0 faster, 0 slower, 2 the same") && strstr(text, "B/A 1.000"), "%s", text);
}

/* ---- stages ------------------------------------------------------------------------------------------------------- */

/* The names in the list are those that the work gives itself; the networks' cost too much to make here. */
TEST(bench, stages_are_what_their_names_say) {
    char model[4096];
    plx_bench_object object = {.model_path = model};
    REQUIRE(!plx_model_path(model, sizeof model, NULL), "%s", plx_error());
    for (int i = 0; i < plx_stage_count(); i++) {
        char name[96];
        plx_stage_name(i, true, name);
        if (!strncmp(name, "unet", 4) || !strncmp(name, "encoder", 7)) continue;
        plx_workload work;
        REQUIRE(!plx_stage_open(&work, i, true, &object), "%s: %s", name, plx_error());
        EXPECT(!strcmp(work.name, name), "'%s' is '%s'", name, work.name);
        if (strncmp(name, "refine", 6)) EXPECT(work.run(work.state) == PLX_OK, "%s: %s", name, plx_error());
        plx_workload_free(&work);
    }
    plx_bench_object_free(&object);
}

/* ---- scaling ------------------------------------------------------------------------------------------------------ */

TEST(bench, fits_power_laws) {
    plx_power p = {.count = 4, .x = {1, 2, 4, 8}};
    for (int i = 0; i < 4; i++) p.y[i] = 3e-3 * pow(p.x[i], 1.5);
    plx_power_fit(&p);
    /* Sums of four logarithms in double. */
    EXPECT(fabs(p.exponent - 1.5) < 1e-12 && fabs(p.factor - 3e-3) < 1e-14, "%g x^%g", p.factor, p.exponent);
    EXPECT(fabs(plx_power_last_exponent(&p) - 1.5) < 1e-12, "%g", plx_power_last_exponent(&p));
    /* log2 y = 0, 0, 3 at log2 x = 0, 1, 2: slope 3/2, mean 1 at 1; the last step has 3. */
    plx_power q = {.count = 3, .x = {1, 2, 4}, .y = {1, 1, 8}};
    plx_power_fit(&q);
    EXPECT(fabs(q.exponent - 1.5) < 1e-12 && fabs(q.factor - pow(2, -0.5)) < 1e-12, "%g x^%g", q.factor,
           q.exponent);
    EXPECT(fabs(plx_power_last_exponent(&q) - 3) < 1e-12, "%g", plx_power_last_exponent(&q));
}

static int occurrences(const char *text, const char *of) {
    int count = 0;
    while ((text = strstr(text, of))) text++, count++;
    return count;
}

TEST(bench, scaling_writes_table_file_and_plot) {
    char arguments[1024], *data;
    const char *text, *path = test_file("scaling.json");
    size_t size;
    snprintf(arguments, sizeof arguments, "bench --scaling --runs 1 --filter data-draw -o %s", path);
    EXPECT(test_run_parallax_output(arguments, &text) == 0 &&
               strstr(text, "data-draw against pixels: exponent"),
           "%s", text);
    json_t *json = json_load_file(path, 0, NULL);
    const json_t *series = json_array_get(json_object_get(json, "scaling"), 0);
    double exponent = json_number_value(json_object_get(series, "exponent"));
    /* Cost is proportional to pixels, but for what a view costs by itself; wide, for a machine that is not quiet. */
    EXPECT(exponent > 0.1 && exponent < 2, "%g", exponent);
    EXPECT(json_array_size(json_object_get(series, "points")) == 4, "points");
    json_decref(json);
    REQUIRE(!plx_file_read(&data, &size, test_file("scaling.svg"), 1 << 20), "%s", plx_error());
    EXPECT(!strncmp(data, "<svg", 4) && occurrences(data, "<circle") == 4 &&
               !strcmp(data + size - 7, "</svg>\n") && !strstr(data, "nan") && !strstr(data, "inf"),
           "%s", data);
    free(data);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* The linker leads our own code's calls of malloc and its kin here (Makefile); oneDNN's are its own, and short-lived. */
static atomic_long allocations;
#define COUNTED(name, parameters, ...)     \
    void *__real_##name parameters;        \
    void *__wrap_##name parameters;        \
    void *__wrap_##name parameters {       \
        atomic_fetch_add(&allocations, 1); \
        return __real_##name(__VA_ARGS__); \
    }
COUNTED(malloc, (size_t size), size)
COUNTED(calloc, (size_t count, size_t size), count, size)
COUNTED(realloc, (void *memory, size_t size), memory, size)
COUNTED(aligned_alloc, (size_t alignment, size_t size), alignment, size)

/* After two runs of the work, three more allocate so often each, and leave heap and scratch as they are. */
static void expect_steady(plx_workload *work, long expected) {
    for (int i = 0; i < 2; i++) EXPECT(work->run(work->state) == PLX_OK, "%s: %s", work->name, plx_error());
    const size_t scratch = plx_scratch_grown();
    const struct mallinfo2 before = mallinfo2();
    const long first = allocations;
    for (int i = 0; i < 3; i++) work->run(work->state);
    EXPECT(allocations - first == 3 * expected, "%s: %ld allocations, %ld expected", work->name,
           allocations - first, 3 * expected);
    const struct mallinfo2 after = mallinfo2();
    EXPECT(plx_scratch_grown() == scratch, "%s: scratch grew %zu times", work->name,
           plx_scratch_grown() - scratch);
#ifndef __SANITIZE_ADDRESS__ /* whose heap is not the C library's */
    EXPECT(after.uordblks == before.uordblks && after.hblkhd == before.hblkhd,
           "%s: the heap grew by %zd bytes", work->name,
           (ssize_t)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd));
#endif
    (void)before, (void)after;
    plx_workload_free(work);
}

TEST(bench, training_steps_and_renders_take_no_more_memory) {
    plx_workload work;
    for (int encoder = 0; encoder < 2; encoder++) {
        plx_network_options o = {.part = encoder ? PLX_NETWORK_ENCODER : PLX_NETWORK_DENOISER,
                                 .train = true,
                                 .batch = 2,
                                 .size = 32,
                                 .width = 16};
        REQUIRE(!plx_network_workload(&work, &o), "%s", plx_error());
        expect_steady(&work, 0);
    }
    char model[4096];
    plx_bench_object object = {.model_path = model};
    REQUIRE(!plx_model_path(model, sizeof model, NULL), "%s", plx_error());
    REQUIRE(!plx_stage_view(&work, &object, 32, 48), "%s", plx_error());
    expect_steady(&work, 1); /* the image it gives */
    REQUIRE(!plx_stage_draw(&work, &object, 32, 2), "%s", plx_error());
    expect_steady(&work, 4); /* two views' images */
    REQUIRE(!plx_stage_field_step(&work, &object, 64, 8, 8), "%s", plx_error());
    expect_steady(&work, 0);
    plx_bench_object_free(&object);
}
