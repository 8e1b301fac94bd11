#include "tools/evaluation_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/parallax.h"

enum { CELL = 26 }; /* characters */

/* ---- classes -------------------------------------------------------------------------------------------------------- */

int plx_eval_classes(const char ***names, int *count, const plx_eval_set *set) {
    *count = 0;
    *names = malloc((size_t)(set->count + 1) * sizeof **names);
    if (!*names) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; set->classes && i < set->count; i++) {
        bool known = false;
        for (int k = 0; k < *count; k++) known = known || !strcmp((*names)[k], set->classes[i]);
        if (!known) (*names)[(*count)++] = set->classes[i];
    }
    return PLX_OK;
}

int plx_eval_of_class(plx_eval_result *out, const plx_eval_set *set, const plx_eval_result *result,
                      const char *class_name) {
    *out = *result;
    out->count = 0;
    out->views = NULL;
    out->samples = malloc((size_t)(result->count + 1) * sizeof *out->samples);
    if (!out->samples) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int k = 0; k < result->count; k++)
        if (!strcmp(set->classes[result->samples[k].object], class_name))
            out->samples[out->count++] = result->samples[k];
    return PLX_OK;
}

/* ---- cells ---------------------------------------------------------------------------------------------------------- */

static void print_heading(FILE *out, const char *title, int count, const plx_eval_result *results) {
    fprintf(out, "\n%-14s", title);
    for (int i = 0; i < count; i++) fprintf(out, " %*s", CELL, results[i].method);
    fprintf(out, "\n");
}

static void interval_text(char *text, size_t size, const plx_eval_interval *i, int decimals, bool sign,
                          bool decided) {
    if (!i->objects)
        snprintf(text, size, "-");
    else if (isnan(i->low))
        snprintf(text, size, sign ? "%+.*f" : "%.*f", decimals, i->mean);
    else
        snprintf(text, size, sign ? "%+.*f [%+.*f, %+.*f]%s" : "%.*f [%.*f, %.*f]%s", decimals, i->mean,
                 decimals, i->low, decimals, i->high, decided ? " *" : "");
}

static void print_error_cell(FILE *out, const plx_eval_result *r, int metric, int gap) {
    plx_eval_mean m = plx_eval_average(r->samples, r->count, (enum plx_eval_metric)metric, gap);
    int decimals = plx_eval_kinds[metric].decimals;
    char text[64] = "-";
    if (m.objects > 1 && isfinite(m.error))
        snprintf(text, sizeof text, "%.*f +-%.*f", decimals, m.mean, decimals, m.error);
    else if (m.objects)
        snprintf(text, sizeof text, "%.*f", decimals, m.mean);
    fprintf(out, " %15s", text);
}

static bool is_measured(const plx_eval_result *r, int metric) {
    return plx_eval_average(r->samples, r->count, (enum plx_eval_metric)metric, -1).objects > 0;
}

static bool any_measured(int count, const plx_eval_result *results, int metric) {
    for (int i = 0; i < count; i++)
        if (is_measured(&results[i], metric)) return true;
    return false;
}

static const char *heading_of(const plx_eval_set *set, int metric) {
    static const char *const few[] = {"MS-SSIM", "MS-SSIM /1", "MS-SSIM /2", "MS-SSIM /3", "MS-SSIM /4"};
    bool marked = metric == PLX_EVAL_MS_SSIM && set->scales < PLX_MS_SSIM_SCALES;
    return marked ? few[set->scales] : plx_eval_kinds[metric].heading;
}

/* ---- the main table --------------------------------------------------------------------------------------------------- */

static int print_means(FILE *out, const plx_eval_set *set, int count, const plx_eval_result *results,
                       double *means) {
    print_heading(out, "all views", count, results);
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        enum plx_eval_metric metric = (enum plx_eval_metric)m;
        if (!any_measured(count, results, m)) continue;
        fprintf(out, "%-14s", heading_of(set, m));
        for (int i = 0; i < count; i++) {
            plx_eval_interval interval;
            char text[96];
            plx_eval_object_means(results[i].samples, results[i].count, metric, set->count, means);
            int status = plx_eval_mean_interval(&interval, means, set->count, metric);
            if (status) return status;
            interval_text(text, sizeof text, &interval, plx_eval_kinds[m].decimals, false, false);
            fprintf(out, " %*s", CELL, text);
        }
        fprintf(out, "\n");
    }
    for (int k = 0; k < 2; k++) {
        fprintf(out, "%-14s", k ? "FID" : "LPIPS");
        for (int i = 0; i < count; i++) fprintf(out, " %*s", CELL, "n/a");
        fprintf(out, "\n");
    }
    return PLX_OK;
}

static void print_missing(FILE *out, const plx_eval_set *set, int count, const plx_eval_result *results,
                          double *means) {
    for (int i = 0; i < count; i++)
        for (int m = 0; m < PLX_EVAL_METRICS; m++) {
            int missing = plx_eval_object_means(results[i].samples, results[i].count, (enum plx_eval_metric)m,
                                                set->count, means);
            int of = plx_eval_kinds[m].of_object ? set->count : results[i].count;
            if (missing && missing < of)
                fprintf(out, "%s, %s: %d of %d %s have none\n", results[i].method, plx_eval_kinds[m].name,
                        missing, of, plx_eval_kinds[m].of_object ? "objects" : "views");
        }
}

/* ---- paired differences ------------------------------------------------------------------------------------------------ */

static int print_difference(FILE *out, const plx_eval_set *set, const plx_eval_result *result,
                            const plx_eval_result *reference, enum plx_eval_metric metric, double *means) {
    plx_eval_interval interval;
    char text[96];
    double *others = means + set->count;
    bool geometric = plx_eval_kinds[metric].geometric;
    plx_eval_object_means(result->samples, result->count, metric, set->count, means);
    plx_eval_object_means(reference->samples, reference->count, metric, set->count, others);
    int status = plx_eval_paired_interval(&interval, means, others, set->count, metric);
    double none = geometric ? 1 : 0;
    bool decided = interval.low > none || interval.high < none;
    interval_text(text, sizeof text, &interval, plx_eval_kinds[metric].decimals, !geometric, decided);
    fprintf(out, " %*s", CELL, text);
    return status;
}

static int print_paired(FILE *out, const plx_eval_set *set, int count, const plx_eval_result *results,
                        int reference, double *means) {
    if (count < 2) return PLX_OK;
    fprintf(out,
            "\nminus %s, object by object (sharpness: ratio); * the interval leaves out no difference\n%-14s",
            results[reference].method, "");
    for (int i = 0; i < count; i++)
        if (i != reference) fprintf(out, " %*s", CELL, results[i].method);
    fprintf(out, "\n");
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        if (!is_measured(&results[reference], m)) continue;
        fprintf(out, "%-14s", heading_of(set, m));
        for (int i = 0; i < count; i++) {
            if (i == reference) continue;
            int status =
                print_difference(out, set, &results[i], &results[reference], (enum plx_eval_metric)m, means);
            if (status) return status;
        }
        fprintf(out, "\n");
    }
    return PLX_OK;
}

/* ---- by gap and by class ------------------------------------------------------------------------------------------------ */

static void print_gaps(FILE *out, int count, const plx_eval_result *results) {
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        if (!plx_eval_kinds[m].by_gap || !any_measured(count, results, m)) continue;
        fprintf(out, "\n%-12s", plx_eval_kinds[m].heading);
        for (int g = 0; g < PLX_EVAL_GAPS; g++) {
            char text[32];
            snprintf(text, sizeof text, "%g-%g deg", plx_eval_gap_limits[g], plx_eval_gap_limits[g + 1]);
            fprintf(out, " %15s", text);
        }
        fprintf(out, "\n");
        for (int i = 0; i < count; i++) {
            if (!is_measured(&results[i], m)) continue;
            fprintf(out, "%-12s", results[i].method);
            for (int g = 0; g < PLX_EVAL_GAPS; g++) print_error_cell(out, &results[i], m, g);
            fprintf(out, "\n");
        }
    }
}

static int print_classes(FILE *out, const plx_eval_set *set, int count, const plx_eval_result *results) {
    const char **names;
    int classes, status = plx_eval_classes(&names, &classes, set);
    if (!status && classes > 1) {
        fprintf(out, "\n%-22s", "PSNR dB by class");
        for (int i = 0; i < count; i++) fprintf(out, " %15s", results[i].method);
        fprintf(out, "\n");
    }
    for (int k = 0; k < classes && classes > 1 && !status; k++) {
        int objects = 0;
        for (int i = 0; i < set->count; i++) objects += !strcmp(set->classes[i], names[k]);
        fprintf(out, "%-16s %5d", names[k], objects);
        for (int i = 0; i < count && !status; i++) {
            plx_eval_result part;
            if ((status = plx_eval_of_class(&part, set, &results[i], names[k]))) break;
            print_error_cell(out, &part, PLX_EVAL_PSNR, -1);
            free(part.samples);
        }
        fprintf(out, "\n");
    }
    free(names);
    return status;
}

int plx_eval_print(FILE *out, const plx_eval_set *set, int count, const plx_eval_result *results,
                   int reference) {
    double *means = malloc(2 * (size_t)(set->count + 1) * sizeof *means);
    int status = means ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    if (!status) status = print_means(out, set, count, results, means);
    if (!status) print_missing(out, set, count, results, means);
    if (!status) status = print_paired(out, set, count, results, reference, means);
    if (!status && set->gaps) print_gaps(out, count, results);
    if (!status && set->classes) status = print_classes(out, set, count, results);
    free(means);
    return status;
}
