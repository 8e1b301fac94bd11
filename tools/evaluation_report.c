#include "tools/parallax.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_report.h"

static const char *const headings[PLX_EVAL_METRICS] = {"PSNR dB", "SSIM", "FLIP", "IoU", "sharpness"};
static const int decimals[PLX_EVAL_METRICS] = {2, 3, 3, 3, 2};

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void print_cell(FILE *out, const plx_eval_result *r, int metric, int gap) {
    plx_eval_mean m = plx_eval_average(r->samples, r->count, (enum plx_eval_metric)metric, gap);
    char text[64] = "-";
    if (m.objects && m.objects > 1)
        snprintf(text, sizeof text, "%.*f +-%.*f", decimals[metric], m.mean, decimals[metric], m.error);
    else if (m.objects)
        snprintf(text, sizeof text, "%.*f", decimals[metric], m.mean);
    fprintf(out, " %15s", text);
}

static bool is_measured(const plx_eval_result *r, int metric) {
    return plx_eval_average(r->samples, r->count, (enum plx_eval_metric)metric, -1).objects > 0;
}

void plx_eval_print(FILE *out, int count, const plx_eval_result *results) {
    fprintf(out, "%-12s", "all views");
    for (int m = 0; m < PLX_EVAL_METRICS; m++) fprintf(out, " %15s", headings[m]);
    fprintf(out, "\n");
    for (int i = 0; i < count; i++) {
        fprintf(out, "%-12s", results[i].method);
        for (int m = 0; m < PLX_EVAL_METRICS; m++) print_cell(out, &results[i], m, -1);
        fprintf(out, "\n");
    }
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        fprintf(out, "\n%-12s", headings[m]);
        for (int g = 0; g < PLX_EVAL_GAPS; g++) {
            char text[32];
            snprintf(text, sizeof text, "%g-%g deg", plx_eval_gap_limits[g], plx_eval_gap_limits[g + 1]);
            fprintf(out, " %15s", text);
        }
        fprintf(out, "\n");
        for (int i = 0; i < count; i++) {
            if (!is_measured(&results[i], m)) continue;
            fprintf(out, "%-12s", results[i].method);
            for (int g = 0; g < PLX_EVAL_GAPS; g++) print_cell(out, &results[i], m, g);
            fprintf(out, "\n");
        }
    }
}

/* ---- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void set_metrics(json_t *to, const plx_eval_result *r, int gap) {
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        plx_eval_mean mean = plx_eval_average(r->samples, r->count, (enum plx_eval_metric)m, gap);
        char name[32];
        if (!is_measured(r, m)) continue;
        json_object_set_new(to, plx_eval_metric_names[m], number(mean.mean));
        snprintf(name, sizeof name, "%s_std", plx_eval_metric_names[m]);
        json_object_set_new(to, name, number(mean.deviation));
        snprintf(name, sizeof name, "%s_error", plx_eval_metric_names[m]);
        json_object_set_new(to, name, number(mean.error));
    }
    plx_eval_mean iou = plx_eval_average(r->samples, r->count, PLX_EVAL_IOU, gap);
    json_object_set_new(to, "objects", json_integer(iou.objects));
    json_object_set_new(to, "views", json_integer(iou.views));
}

json_t *plx_eval_json(const plx_eval_result *r, const char *experiment, const char *checkpoint) {
    json_t *results = json_object(), *by_gap = json_object();
    set_metrics(results, r, -1);
    for (int g = 0; g < PLX_EVAL_GAPS; g++) {
        char name[32];
        json_t *bin = json_object();
        set_metrics(bin, r, g);
        snprintf(name, sizeof name, "%g-%g", plx_eval_gap_limits[g], plx_eval_gap_limits[g + 1]);
        json_object_set_new(by_gap, name, bin);
    }
    json_object_set_new(results, "by_gap", by_gap);
    return json_pack("{s:s, s:s, s:s, s:o}", "experiment_name", experiment, "method_name", r->method,
                     "checkpoint", checkpoint, "results", results);
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------ */

int plx_eval_csv(const char *path, int count, const plx_eval_result *results, const char *const *ids) {
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    fprintf(writer.file, "method,object,view,gap");
    for (int m = 0; m < PLX_EVAL_METRICS; m++) fprintf(writer.file, ",%s", plx_eval_metric_names[m]);
    fprintf(writer.file, "\n");
    for (int i = 0; i < count; i++)
        for (int k = 0, view = 1; k < results[i].count; k++, view++) {
            const plx_eval_sample *s = &results[i].samples[k];
            if (k && s->object != s[-1].object) view = 1;
            fprintf(writer.file, "%s,%s,%d,%.2f", results[i].method, ids[s->object], view, s->gap);
            for (int m = 0; m < PLX_EVAL_METRICS; m++)
                fprintf(writer.file, isnan(s->values[m]) ? "," : ",%.6g", s->values[m]);
            fprintf(writer.file, "\n");
        }
    return plx_writer_commit(&writer);
}
