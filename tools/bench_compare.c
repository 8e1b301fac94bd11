#include "tools/bench_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 64 << 20 };
static const double least_noise = 0.01; /* two processes place their memory differently */

/* ---- reading ------------------------------------------------------------------------------------------------ */

static int read_bench(json_t **out, const char *path) {
    char *text;
    size_t size;
    json_error_t error;
    const char *format = NULL;
    int status = plx_file_read(&text, &size, path, MAX_BYTES);
    if (status) return status;
    *out = json_loadb(text, size, 0, &error);
    free(text);
    if (!*out) return plx_fail(PLX_ERROR_INPUT, "%s: line %d: %s", path, error.line, error.text);
    json_unpack(*out, "{s:s}", "format", &format);
    if (format && !strcmp(format, PLX_BENCH_FORMAT) && json_is_array(json_object_get(*out, "entries")))
        return PLX_OK;
    json_decref(*out);
    *out = NULL;
    return plx_fail(PLX_ERROR_INPUT, "%s: not a file of parallax bench (%s)", path, PLX_BENCH_FORMAT);
}

static int read_entry(plx_bench_entry *out, const json_t *json, const char *path) {
    const char *name;
    const json_t *runs;
    *out = (plx_bench_entry){0};
    if (json_unpack((json_t *)json, "{s:s, s:s, s:s, s:o}", "kind", &out->kind, "table", &out->table, "name",
                    &name, "runs_s", &runs) ||
        !json_is_array(runs) || !json_array_size(runs))
        return plx_fail(PLX_ERROR_INPUT, "%s: an entry without kind, table, name and runs_s", path);
    snprintf(out->name, sizeof out->name, "%s", name);
    for (size_t i = 0; i < json_array_size(runs) && i < PLX_TIMING_RUNS; i++) {
        double seconds = json_number_value(json_array_get(runs, i));
        if (!(seconds > 0)) return plx_fail(PLX_ERROR_INPUT, "%s: %s: a run of no time", path, name);
        out->timing.seconds[out->timing.runs++] = seconds;
    }
    qsort(out->timing.seconds, (size_t)out->timing.runs, sizeof(double), plx_ascending);
    return PLX_OK;
}

/* 1: found; 0: not there; < 0: an error. */
static int find_entry(plx_bench_entry *out, const json_t *entries, const plx_bench_entry *like,
                      const char *path) {
    for (size_t i = 0; i < json_array_size(entries); i++) {
        int status = read_entry(out, json_array_get(entries, i), path);
        if (status) return status;
        if (!strcmp(out->kind, like->kind) && !strcmp(out->table, like->table) &&
            !strcmp(out->name, like->name))
            return 1;
    }
    return 0;
}

/* ---- the comparison --------------------------------------------------------------------------------------------- */

typedef struct tally {
    int faster, slower, same, unknown, missing, failures;
    double log_sum, fail_over;
} tally;

static void compare_entry(FILE *out, const plx_bench_entry *a, const plx_bench_entry *b, tally *t) {
    double before = plx_timing_quantile(&a->timing, 0.5), now = plx_timing_quantile(&b->timing, 0.5);
    double ratio = now / before, noise = plx_timing_spread(&a->timing) + plx_timing_spread(&b->timing);
    const char *verdict = "same";
    if (noise < least_noise) noise = least_noise;
    t->log_sum += log(ratio);
    fprintf(out, "%-7s %-5s %-58s %11.4f %11.4f %8.3f", a->kind, a->table, a->name, 1e3 * before, 1e3 * now,
            ratio);
    if (isnan(noise)) {
        t->unknown++;
        fprintf(out, " %8s  too few runs to tell\n", "-");
        return;
    }
    if (fabs(log(ratio)) <= noise)
        t->same++;
    else if (ratio < 1)
        verdict = "faster", t->faster++;
    else {
        verdict = "slower", t->slower++;
        if (100 * (ratio - 1) > t->fail_over) t->failures++;
    }
    fprintf(out, " %6.1f %%  %s\n", 100 * noise, verdict);
}

static bool differ(const json_t *a, const json_t *b, const char *key) {
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return x && y && !json_equal(x, y);
}

/* What else may explain a difference. */
static void warn_of_differences(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"processor", "processors", "compiler", "libraries"};
    const json_t *x = json_object_get(a, "machine"), *y = json_object_get(b, "machine");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (differ(x, y, keys[i])) plx_warn("warning: the two files have other %s", keys[i]);
    if (differ(a, b, "threads")) plx_warn("warning: the two files have other numbers of threads");
}

static int compare_all(FILE *out, const json_t *a, const json_t *b, const char *a_path, const char *b_path,
                       tally *t) {
    const json_t *entries = json_object_get(a, "entries"), *others = json_object_get(b, "entries");
    fprintf(out, "%-7s %-5s %-58s %11s %11s %8s %8s\n", "", "", "", "A ms", "B ms", "B/A", "noise");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        plx_bench_entry before, now;
        int status = read_entry(&before, json_array_get(entries, i), a_path);
        if (status) return status;
        int found = find_entry(&now, others, &before, b_path);
        if (found < 0) return found;
        if (found)
            compare_entry(out, &before, &now, t);
        else
            t->missing++;
    }
    int found_in_both = (int)json_array_size(entries) - t->missing;
    t->missing += (int)json_array_size(others) - found_in_both;
    return PLX_OK;
}

int plx_bench_compare(FILE *out, const char *a_path, const char *b_path, double fail_over) {
    json_t *a = NULL, *b = NULL;
    tally t = {.fail_over = isnan(fail_over) ? INFINITY : fail_over};
    int status = read_bench(&a, a_path);
    if (!status) status = read_bench(&b, b_path);
    if (!status) status = compare_all(out, a, b, a_path, b_path, &t);
    if (!status) warn_of_differences(a, b);
    int compared = t.faster + t.slower + t.same + t.unknown;
    if (!status && !compared) status = plx_fail(PLX_ERROR_INPUT, "%s: has no entry of %s", b_path, a_path);
    if (!status) {
        fprintf(out, "\n%d faster, %d slower, %d the same within the noise, %d of too few runs", t.faster,
                t.slower, t.same, t.unknown);
        if (t.missing) fprintf(out, ", %d in one file only", t.missing);
        fprintf(out, "; geometric mean of B/A %.3f\n", exp(t.log_sum / compared));
    }
    if (!status && t.failures)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %d of %d entries slower by more than %g %% than in %s",
                          b_path, t.failures, compared, fail_over, a_path);
    json_decref(a);
    json_decref(b);
    return status;
}
