#include "tools/bench_report.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tools/machine.h"

int plx_bench_add(plx_bench *bench, const plx_bench_entry *entry) {
    plx_bench_entry *more = realloc(bench->entries, sizeof *more * (size_t)(bench->count + 1));
    if (!more) return plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    bench->entries = more;
    more[bench->count++] = *entry;
    return PLX_OK;
}

void plx_bench_free(plx_bench *bench) {
    free(bench->entries);
    *bench = (plx_bench){0};
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

static void print_threads(FILE *out, const plx_peaks *peaks) {
    fprintf(out, "multiply-adds:");
    for (int t = 0; t < peaks->threads; t++)
        if (peaks->flops[t] > 0)
            fprintf(out, " %.0f GFLOP/s on %d thread%s%s", peaks->flops[t] / 1e9, t + 1, t ? "s" : "",
                    t + 1 < peaks->threads ? "," : "\n");
}

void plx_bench_print_peaks(FILE *out, const plx_peaks *peaks) {
    if (peaks->products > 0)
        fprintf(out, "card: multiply-adds %.0f GFLOP/s, products of matrices %.0f GFLOP/s\ncard: ",
                peaks->flops[0] / 1e9, peaks->products / 1e9);
    else
        print_threads(out, peaks);
    fprintf(out, "memory (a = b + f c):");
    for (int i = 0; i < peaks->sets; i++)
        fprintf(out, " %.0f GB/s in %.3g MB%s", peaks->bandwidth[i] / 1e9, peaks->set_bytes[i] / 1e6,
                i + 1 < peaks->sets ? "," : "\n");
}

/* The least time that the peaks of where it ran allow; convolutions and matrix products, and the networks that are made of them, at
 * a card's rate of products. */
static double least_time(const plx_bench *bench, const plx_bench_entry *e, const char **bound) {
    static const char *const made_of_products[] = {"conv_", "linear_", "unet-", "encoder-"};
    plx_peaks peaks = strcmp(e->table, "cuda") ? bench->peaks : bench->card;
    for (int i = 0; i < 4; i++)
        if (!strncmp(e->name, made_of_products[i], strlen(made_of_products[i])))
            peaks.flops[peaks.threads - 1] = fmax(peaks.flops[peaks.threads - 1], peaks.products);
    return plx_peaks_bound(&peaks, e->flops, e->bytes, bound);
}

void plx_bench_print_heading(FILE *out, const char *kind) {
    fprintf(out, "\n%-58s %-5s %11s %11s %7s %8s %7s %6s %9s\n", kind, "table", "median ms", "minimum ms",
            "spread", "GFLOP/s", "GB/s", "peak", "to ref");
}

static void print_rate(FILE *out, int width, double amount, double seconds) {
    if (amount > 0)
        fprintf(out, " %*.1f", width, amount / seconds / 1e9);
    else
        fprintf(out, " %*s", width, "-");
}

void plx_bench_print_entry(FILE *out, const plx_bench_entry *e, const plx_bench *bench) {
    const char *bound;
    double median = plx_timing_quantile(&e->timing, 0.5), spread = plx_timing_spread(&e->timing);
    double best = least_time(bench, e, &bound);
    fprintf(out, "%-58s %-5s %11.4f %11.4f", e->name, e->table, 1e3 * median, 1e3 * e->timing.seconds[0]);
    if (isnan(spread))
        fprintf(out, " %7s", "one run");
    else
        fprintf(out, " %5.1f %%", 100 * spread);
    print_rate(out, 8, e->flops, median);
    print_rate(out, 7, e->bytes, median);
    if (bound)
        fprintf(out, " %3.0f %%%c", 100 * best / median, *bound);
    else
        fprintf(out, " %6s", "-");
    if (e->ref_seconds > 0)
        fprintf(out, " %8.1fx\n", e->ref_seconds / median);
    else
        fprintf(out, " %9s\n", "-");
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

static void add_library(const char *file, void *libraries) {
    json_array_append_new(libraries, json_string(file));
}

static json_t *machine_json(void) {
    char processor[256];
    struct utsname system;
    json_t *libraries = json_array();
    plx_machine_processor(processor, sizeof processor);
    plx_machine_libraries(add_library, libraries);
    if (uname(&system)) snprintf(system.release, sizeof system.release, "unknown");
    return json_pack("{s:s, s:s, s:I, s:[I,I,I], s:I, s:s, s:s, s:s, s:o}", "processor", processor, "devices",
                     plx_device_names(), "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
                     "cache_bytes", (json_int_t)plx_machine_cache(1), (json_int_t)plx_machine_cache(2),
                     (json_int_t)plx_machine_cache(3), "memory_bytes", (json_int_t)plx_machine_memory(),
                     "system", system.release, "parallax", PLX_VERSION, "compiler", __VERSION__, "libraries",
                     libraries);
}

static json_t *entry_json(const plx_bench_entry *e, const plx_bench *bench) {
    const char *bound;
    double median = plx_timing_quantile(&e->timing, 0.5);
    double best = least_time(bench, e, &bound);
    json_t *seconds = json_array();
    for (int i = 0; i < e->timing.runs; i++) json_array_append_new(seconds, json_real(e->timing.seconds[i]));
    json_t *json = json_pack("{s:s, s:s, s:s, s:f, s:f, s:i, s:o}", "kind", e->kind, "table", e->table,
                             "name", e->name, "median_s", median, "minimum_s", e->timing.seconds[0],
                             "repetitions", e->timing.repetitions, "runs_s", seconds);
    if (e->flops > 0) {
        json_object_set_new(json, "flops", json_real(e->flops));
        json_object_set_new(json, "gflops", json_real(e->flops / median / 1e9));
    }
    if (e->bytes > 0) {
        json_object_set_new(json, "bytes", json_real(e->bytes));
        json_object_set_new(json, "gbytes_per_second", json_real(e->bytes / median / 1e9));
    }
    if (bound) {
        json_object_set_new(json, "peak_percent", json_real(100 * best / median));
        json_object_set_new(json, "bound", json_string(bound));
    }
    if (e->ref_seconds > 0) json_object_set_new(json, "ratio_to_ref", json_real(e->ref_seconds / median));
    return json;
}

int plx_bench_save(const plx_bench *bench, const plx_run *run, json_t *scaling, const char *path) {
    char date[32];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    json_t *entries = json_array();
    for (int i = 0; i < bench->count; i++)
        json_array_append_new(entries, entry_json(&bench->entries[i], bench));
    json_t *json = json_pack("{s:s, s:s, s:o, s:i, s:o, s:o, s:o*, s:o, s:o*}", "format", PLX_BENCH_FORMAT,
                             "date", date, "machine", machine_json(), "threads", omp_get_max_threads(), "run",
                             plx_run_record(run), "peaks", plx_peaks_json(&bench->peaks), "card_peaks",
                             bench->card.threads ? plx_peaks_json(&bench->card) : NULL, "entries", entries,
                             "scaling", scaling);
    char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    int status = text ? plx_file_write(path, text, strlen(text))
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    free(text);
    json_decref(json);
    return status;
}
