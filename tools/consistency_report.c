#include "tools/consistency_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- values by name ------------------------------------------------------------------------------------------------- */

enum { MAX_VALUES = 16 + PLX_TSED_THRESHOLDS };

typedef struct value {
    unsigned score;
    char name[32], title[16]; /* in JSON; in the table, empty: not shown */
    int width, digits;
    double number;
} value;

static value number(unsigned score, const char *name, const char *title, int width, int digits, double x) {
    value v = {.score = score, .width = width, .digits = digits, .number = x};
    snprintf(v.name, sizeof v.name, "%s", name);
    snprintf(v.title, sizeof v.title, "%s", title);
    return v;
}

static int thresholds(value *out, const plx_consistency_record *r, const plx_tsed_options *options) {
    for (int t = 0; t < options->thresholds; t++) {
        char name[32], title[16];
        snprintf(name, sizeof name, "tsed_%g", (double)options->threshold[t]);
        snprintf(title, sizeof title, "@%gpx", (double)options->threshold[t]);
        out[t] = number(PLX_SCORE_TSED, name, title, 7, 3, r->tsed.consistent[t]);
    }
    return options->thresholds;
}

/* All values of an object, of the scores that were made, in the table's order. */
static int values_of(value out[MAX_VALUES], const plx_consistency_report *report,
                     const plx_consistency_record *r) {
    enum {
        FIELD = PLX_SCORE_FIELD,
        TSED = PLX_SCORE_TSED,
        WARP = PLX_SCORE_REPROJECTION,
        SPREAD = PLX_SCORE_VARIANCE
    };
    int n = 0, kept = 0;
    value all[MAX_VALUES];
    all[n++] = number(FIELD, "field_psnr", "PSNR", 7, 2, r->field.psnr);
    all[n++] = number(FIELD, "field_ssim", "SSIM", 7, 3, r->field.ssim);
    all[n++] = number(FIELD, "field_flip", "FLIP", 7, 3, r->field.flip);
    all[n++] = number(FIELD, "field_fitted", "", 0, 0, r->field.fitted);
    all[n++] = number(FIELD, "field_held", "", 0, 0, r->field.held);
    all[n++] = number(TSED, "tsed_pairs", "pairs", 6, 0, r->tsed.pairs);
    all[n++] = number(TSED, "tsed_matched", "", 0, 0, r->tsed.matched);
    all[n++] = number(TSED, "tsed_matches", "matches", 8, 1, r->tsed.matches);
    all[n++] = number(TSED, "tsed_median", "px", 7, 2, r->tsed.median);
    n += thresholds(all + n, r, report->tsed);
    all[n++] = number(WARP, "reprojection_rms", "RMS", 8, 4, r->reprojection.rms);
    all[n++] = number(WARP, "reprojection_absolute", "", 0, 0, r->reprojection.absolute);
    all[n++] = number(WARP, "reprojection_coverage", "shared", 7, 3, r->reprojection.coverage);
    all[n++] = number(SPREAD, "variance_deviation", "spread", 8, 4, r->variance.deviation);
    all[n++] = number(SPREAD, "variance_views", "", 0, 0, r->variance.views);
    all[n++] = number(SPREAD, "variance_coverage", "seen", 7, 3, r->variance.coverage);
    for (int i = 0; i < n; i++)
        if (report->scores & all[i].score) out[kept++] = all[i];
    return kept;
}

/* Means over the objects that have the number; NAN if none has. */
static int means_of(value out[MAX_VALUES], const plx_consistency_report *report) {
    int n = values_of(out, report, &report->records[0]);
    for (int i = 0; i < n; i++) {
        double sum = 0;
        int count = 0;
        for (int r = 0; r < report->count; r++) {
            value own[MAX_VALUES];
            values_of(own, report, &report->records[r]);
            if (isnan(own[i].number)) continue;
            sum += own[i].number;
            count++;
        }
        out[i].number = count ? sum / count : NAN;
    }
    return n;
}

/* ---- table ------------------------------------------------------------------------------------------------------------ */

static void print_row(const char *name, int views, const value *values, int count, FILE *out) {
    fprintf(out, "%-24.24s %5d", name, views);
    for (int i = 0; i < count; i++) {
        if (!values[i].title[0]) continue;
        if (isnan(values[i].number))
            fprintf(out, "%*s", values[i].width, "-");
        else
            fprintf(out, "%*.*f", values[i].width, values[i].digits, values[i].number);
    }
    fprintf(out, "\n");
}

/* A line that names each score over its columns. */
static void print_heads(const value *values, int count, FILE *out) {
    static const char *const names[] = {"field", "TSED", "reprojection", "variance"};
    fprintf(out, "%-24s %5s", "", "");
    for (int i = 0; i < count;) {
        int width = 0, score = 0, from = i;
        for (; i < count && values[i].score == values[from].score; i++)
            width += values[i].title[0] ? values[i].width : 0;
        while (1u << score < values[from].score) score++;
        fprintf(out, "%*s", width, names[score]);
    }
    fprintf(out, "\n%-24s %5s", "", "views");
    for (int i = 0; i < count; i++)
        if (values[i].title[0]) fprintf(out, "%*s", values[i].width, values[i].title);
    fprintf(out, "\n");
}

void plx_consistency_print(const plx_consistency_report *report, FILE *out) {
    value values[MAX_VALUES];
    int views = 0;
    if (!report->count) return;
    for (int r = 0; r < report->count; r++) {
        int count = values_of(values, report, &report->records[r]);
        if (!r) print_heads(values, count, out);
        print_row(report->records[r].name, report->records[r].views, values, count, out);
        views += report->records[r].views;
    }
    if (report->count > 1) print_row("mean", views / report->count, values, means_of(values, report), out);
    if (report->geometry) fprintf(out, "depth: %s\n", report->geometry);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------- */

static json_t *json_of(const value *values, int count) {
    json_t *object = json_object();
    for (int i = 0; i < count; i++)
        json_object_set_new(object, values[i].name,
                            isfinite(values[i].number) ? json_real(values[i].number) : json_null());
    return object;
}

json_t *plx_consistency_json(const plx_consistency_report *report) {
    value values[MAX_VALUES];
    json_t *objects = json_array(), *limits = json_array();
    for (int r = 0; r < report->count; r++) {
        json_t *object = json_of(values, values_of(values, report, &report->records[r]));
        json_object_set_new(object, "name", json_string(report->records[r].name));
        json_object_set_new(object, "views", json_integer(report->records[r].views));
        json_array_append_new(objects, object);
    }
    for (int t = 0; t < report->tsed->thresholds; t++)
        json_array_append_new(limits, json_real((double)report->tsed->threshold[t]));
    json_t *means = report->count ? json_of(values, means_of(values, report)) : json_object();
    return json_pack("{s:o, s:o, s:s?, s:o}", "results", means, "objects", objects, "geometry",
                     report->geometry, "tsed_thresholds", limits);
}
