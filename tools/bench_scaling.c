#include "tools/bench_scaling.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "tools/bench_power.h"

/* ---- the series --------------------------------------------------------------------------------------------- */

static int open_view_size(plx_workload *out, plx_bench_object *object, int size) {
    return plx_stage_view(out, object, size, 96);
}
static int open_view_samples(plx_workload *out, plx_bench_object *object, int samples) {
    return plx_stage_view(out, object, 128, samples);
}
static int open_field_rays(plx_workload *out, plx_bench_object *object, int rays) {
    return plx_stage_field_step(out, object, rays, 16, 16);
}
static int open_field_samples(plx_workload *out, plx_bench_object *object, int samples) {
    return plx_stage_field_step(out, object, 1024, samples, 0);
}
static int open_draw(plx_workload *out, plx_bench_object *object, int size) {
    return plx_stage_draw(out, object, size, 1);
}
static int open_refine(plx_workload *out, plx_bench_object *object, int views) {
    return plx_stage_refine(out, object, views, 4);
}

static int open_denoiser(plx_workload *out, bool train, int batch, int size, int width) {
    plx_network_options o = {
        .part = PLX_NETWORK_DENOISER, .train = train, .batch = batch, .size = size, .width = width};
    return plx_network_workload(out, &o);
}
static int open_unet_size(plx_workload *out, plx_bench_object *object, int size) {
    (void)object;
    return open_denoiser(out, false, 1, size, 48);
}
static int open_unet_batch(plx_workload *out, plx_bench_object *object, int batch) {
    (void)object;
    return open_denoiser(out, true, batch, 64, 48);
}
static int open_unet_width(plx_workload *out, plx_bench_object *object, int width) {
    (void)object;
    return open_denoiser(out, true, 2, 64, width);
}
static int open_encoder_size(plx_workload *out, plx_bench_object *object, int size) {
    (void)object;
    plx_network_options o = {.part = PLX_NETWORK_ENCODER, .batch = 1, .size = size, .width = 64};
    return plx_network_workload(out, &o);
}

/* At so many threads; the caller puts their number back. */
static int open_unet_threads(plx_workload *out, plx_bench_object *object, int threads) {
    omp_set_num_threads(threads);
    return open_unet_batch(out, object, 8);
}
static int open_view_threads(plx_workload *out, plx_bench_object *object, int threads) {
    omp_set_num_threads(threads);
    return open_view_size(out, object, 128);
}
static int open_field_threads(plx_workload *out, plx_bench_object *object, int threads) {
    omp_set_num_threads(threads);
    return open_field_rays(out, object, 1024);
}

enum variable { PIXELS, SAMPLES, RAYS, VIEWS, BATCH, CHANNELS, THREADS };
static const char *const variable_names[] = {"pixels", "samples",  "rays",   "views",
                                             "batch",  "channels", "threads"};

typedef struct series {
    const char *stage;
    enum variable variable;
    int (*open)(plx_workload *out, plx_bench_object *object, int at);
    int at[PLX_POWER_POINTS]; /* PIXELS: sides of the image; THREADS: 1, 2, 4, ... as many as there are */
} series;

static const series list[] = {{"view", PIXELS, open_view_size, {64, 96, 128, 192, 256}},
                              {"view", SAMPLES, open_view_samples, {32, 64, 128, 256}},
                              {"field-train", RAYS, open_field_rays, {256, 512, 1024, 2048, 4096}},
                              {"field-train", SAMPLES, open_field_samples, {8, 16, 32, 64}},
                              {"unet-infer", PIXELS, open_unet_size, {32, 64, 96, 128}},
                              {"unet-train", BATCH, open_unet_batch, {1, 2, 4, 8}},
                              {"unet-train", CHANNELS, open_unet_width, {16, 32, 48, 64, 96}},
                              {"encoder-infer", PIXELS, open_encoder_size, {32, 64, 96, 128}},
                              {"refine", VIEWS, open_refine, {2, 4, 8, 16}},
                              {"data-draw", PIXELS, open_draw, {32, 64, 128, 256}},
                              {"unet-train", THREADS, open_unet_threads, {0}},
                              {"view", THREADS, open_view_threads, {0}},
                              {"field-train", THREADS, open_field_threads, {0}}};
enum { SERIES = sizeof list / sizeof *list };

int plx_scaling_count(void) {
    return SERIES;
}

void plx_scaling_name(int index, char name[96]) {
    snprintf(name, 96, "%s against %s", list[index].stage, variable_names[list[index].variable]);
}

/* Fills `at`; returns how many. */
static int points_of(const series *s, int at[PLX_POWER_POINTS]) {
    int count = 0, all = omp_get_max_threads();
    if (s->variable != THREADS) {
        for (; count < PLX_POWER_POINTS && s->at[count]; count++) at[count] = s->at[count];
        return count;
    }
    for (int t = 1; t < all && count < PLX_POWER_POINTS - 1; t *= 2) at[count++] = t;
    at[count++] = all;
    return count;
}

/* ---- measuring ---------------------------------------------------------------------------------------------------- */

static json_t *point_json(double x, const plx_timing *t, const char *name) {
    json_t *seconds = json_array();
    for (int i = 0; i < t->runs; i++) json_array_append_new(seconds, json_real(t->seconds[i]));
    return json_pack("{s:s, s:f, s:f, s:f, s:o}", "name", name, "x", x, "median_s",
                     plx_timing_quantile(t, 0.5), "minimum_s", t->seconds[0], "runs_s", seconds);
}

static int measure_point(plx_power *power, json_t *points, const series *s, int at, plx_timing_plan plan,
                         plx_bench_object *object) {
    plx_workload work = {0};
    plx_timing timing;
    int threads = omp_get_max_threads();
    double x = s->variable == PIXELS ? (double)at * at : at;
    int status = s->open(&work, object, at);
    if (!status) status = plx_timing_measure(&timing, &work, plan);
    plx_progress_end();
    if (!status) {
        power->x[power->count] = x;
        power->y[power->count++] = plx_timing_quantile(&timing, 0.5);
        json_array_append_new(points, point_json(x, &timing, work.name));
        printf("  %-44s %8.0f %-8s %12.4f ms\n", work.name, x, variable_names[s->variable],
               1e3 * plx_timing_quantile(&timing, 0.5));
        fflush(stdout);
    }
    plx_workload_free(&work);
    omp_set_num_threads(threads);
    return status;
}

/* Prints the points and the exponents; appends the series to `out`. */
static int measure_series(plx_power *power, json_t *out, const series *s, plx_timing_plan plan,
                          plx_bench_object *object) {
    int at[PLX_POWER_POINTS], count = points_of(s, at), status = PLX_OK;
    json_t *points = json_array();
    for (int i = 0; i < count && !status; i++) status = measure_point(power, points, s, at[i], plan, object);
    if (status || power->count < 2) {
        json_decref(points);
        return status;
    }
    plx_power_fit(power);
    double last = plx_power_last_exponent(power);
    json_array_append_new(out, json_pack("{s:s, s:s, s:f, s:f, s:f, s:o}", "stage", s->stage, "variable",
                                         variable_names[s->variable], "exponent", power->exponent,
                                         "last_exponent", last, "factor_s", power->factor, "points", points));
    printf("%s: exponent %.2f, between the last two %.2f\n", power->title, power->exponent, last);
    return PLX_OK;
}

int plx_scaling_run(json_t **out, const bool *wanted, plx_timing_plan plan, plx_bench_object *object,
                    const char *svg) {
    static char titles[SERIES][96];
    plx_power powers[SERIES];
    int used = 0, status = PLX_OK;
    *out = json_array();
    for (int i = 0; i < SERIES && !status; i++) {
        if (!wanted[i]) continue;
        plx_scaling_name(i, titles[i]);
        powers[used] = (plx_power){.title = titles[i],
                                   .x_label = variable_names[list[i].variable],
                                   .reference = list[i].variable == THREADS    ? -1
                                                : list[i].variable == CHANNELS ? 2
                                                                               : 1};
        status = measure_series(&powers[used], *out, &list[i], plan, object);
        if (powers[used].count >= 2) used++; /* one thread alone is no series */
    }
    if (!status && svg && used) status = plx_powers_save(svg, used, powers);
    return status;
}
