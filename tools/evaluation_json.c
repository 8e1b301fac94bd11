/* The results of an evaluation in files: JSON, CSV. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_report.h"
#include "tools/parallax.h"

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void set_number(json_t *to, const char *name, const char *ending, double value) {
    char key[64];
    snprintf(key, sizeof key, "%s%s", name, ending);
    json_object_set_new(to, key, number(value));
}

/* ---- means ------------------------------------------------------------------------------------------------------------ */

/* Of the views in a bin, or (-1) of all, and then with intervals. */
static int set_metrics(json_t *to, const plx_eval_set *set, const plx_eval_result *r, int gap,
                       double *means) {
    int objects = 0, views = 0;
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        enum plx_eval_metric metric = (enum plx_eval_metric)m;
        const char *name = plx_eval_kinds[m].name;
        if (gap >= 0 && plx_eval_kinds[m].of_object) continue;
        int missing = plx_eval_object_means(r->samples, r->count, metric, set->count, means);
        plx_eval_mean mean = plx_eval_average(r->samples, r->count, metric, gap);
        if (!plx_eval_average(r->samples, r->count, metric, -1).objects) continue;
        set_number(to, name, "", mean.mean);
        set_number(to, name, "_std", mean.deviation);
        set_number(to, name, "_error", mean.error);
        if (mean.objects > objects) objects = mean.objects;
        if (mean.views > views) views = mean.views;
        if (gap >= 0) continue;
        plx_eval_interval interval;
        int status = plx_eval_mean_interval(&interval, means, set->count, metric);
        if (status) return status;
        set_number(to, name, "_low", interval.low);
        set_number(to, name, "_high", interval.high);
        char key[64];
        snprintf(key, sizeof key, "%s_missing", name);
        if (missing) json_object_set_new(to, key, json_integer(missing));
    }
    json_object_set_new(to, "objects", json_integer(objects));
    json_object_set_new(to, "views", json_integer(views));
    return PLX_OK;
}

static int set_gaps(json_t *to, const plx_eval_set *set, const plx_eval_result *r, double *means) {
    json_t *by_gap = json_object();
    int status = PLX_OK;
    for (int g = 0; g < PLX_EVAL_GAPS && !status; g++) {
        char name[32];
        json_t *bin = json_object();
        status = set_metrics(bin, set, r, g, means);
        snprintf(name, sizeof name, "%g-%g", plx_eval_gap_limits[g], plx_eval_gap_limits[g + 1]);
        json_object_set_new(by_gap, name, bin);
    }
    json_object_set_new(to, "by_gap", by_gap);
    return status;
}

static int set_classes(json_t *to, const plx_eval_set *set, const plx_eval_result *r, double *means) {
    const char **names;
    json_t *by_class = json_object();
    int classes, status = plx_eval_classes(&names, &classes, set);
    for (int k = 0; k < classes && !status; k++) {
        plx_eval_result part;
        json_t *one = json_object();
        status = plx_eval_of_class(&part, set, r, names[k]);
        if (!status) status = set_metrics(one, set, &part, -1, means);
        free(part.samples);
        json_object_set_new(by_class, names[k], one);
    }
    free(names);
    json_object_set_new(to, "by_class", by_class);
    return status;
}

/* ---- objects, pairs ---------------------------------------------------------------------------------------------------- */

static json_t *list_objects(const plx_eval_set *set, const plx_eval_result *r, double *means) {
    json_t *list = json_array();
    for (int i = 0; i < set->count; i++) {
        json_t *one = json_pack("{s:s}", "object", set->ids[i]);
        if (set->classes) json_object_set_new(one, "class", json_string(set->classes[i]));
        json_array_append_new(list, one);
    }
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        plx_eval_object_means(r->samples, r->count, (enum plx_eval_metric)m, set->count, means);
        for (int i = 0; i < set->count; i++) {
            double value = plx_eval_kinds[m].geometric ? exp(means[i]) : means[i];
            if (!isnan(value))
                json_object_set_new(json_array_get(list, (size_t)i), plx_eval_kinds[m].name, number(value));
        }
    }
    return list;
}

static int set_pair(json_t *to, const plx_eval_set *set, const plx_eval_result *a, const plx_eval_result *b,
                    double *means) {
    json_t *pair = json_object();
    double *others = means + set->count;
    int status = PLX_OK;
    for (int m = 0; m < PLX_EVAL_METRICS && !status; m++) {
        enum plx_eval_metric metric = (enum plx_eval_metric)m;
        plx_eval_interval interval;
        plx_eval_object_means(a->samples, a->count, metric, set->count, means);
        plx_eval_object_means(b->samples, b->count, metric, set->count, others);
        status = plx_eval_paired_interval(&interval, means, others, set->count, metric);
        if (status || !interval.objects) continue;
        json_object_set_new(pair, plx_eval_kinds[m].name,
                            json_pack("{s:o, s:o, s:o, s:i}",
                                      plx_eval_kinds[m].geometric ? "ratio" : "difference",
                                      number(interval.mean), "low", number(interval.low), "high",
                                      number(interval.high), "objects", interval.objects));
    }
    json_object_set_new(to, b->method, pair);
    return status;
}

json_t *plx_eval_json(const plx_eval_set *set, int count, const plx_eval_result *results, int which,
                      const char *experiment, const char *checkpoint) {
    const plx_eval_result *r = &results[which];
    json_t *values = json_object(), *paired = json_object();
    double *means = malloc(2 * (size_t)(set->count + 1) * sizeof *means);
    int status = means ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    if (!status) status = set_metrics(values, set, r, -1, means);
    json_object_set_new(values, "lpips", json_null());
    json_object_set_new(values, "fid", json_null());
    if (set->scales) json_object_set_new(values, "ms_ssim_scales", json_integer(set->scales));
    if (!status && set->gaps) status = set_gaps(values, set, r, means);
    if (!status && set->classes) status = set_classes(values, set, r, means);
    for (int i = 0; i < count && !status; i++)
        if (i != which) status = set_pair(paired, set, r, &results[i], means);
    json_t *out = json_pack("{s:s, s:s, s:s, s:o, s:o}", "experiment_name", experiment, "method_name",
                            r->method, "checkpoint", checkpoint, "results", values, "paired", paired);
    if (!status) json_object_set_new(out, "objects", list_objects(set, r, means));
    free(means);
    if (!status) return out;
    json_decref(out);
    return NULL;
}

int plx_eval_json_save(const char *path, const json_t *json) {
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    int status = text ? plx_file_write(path, text, strlen(text))
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    free(text);
    return status;
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------ */

/* An object's own metric that no method has, such as consistency that was not asked for, has no column. */
static bool has_column(int metric, int count, const plx_eval_result *results) {
    if (!plx_eval_kinds[metric].of_object) return true;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < results[i].count; k++)
            if (!isnan(results[i].samples[k].values[metric])) return true;
    return false;
}

static void print_line(FILE *out, const plx_eval_set *set, const plx_eval_result *r, int k, int view,
                       const bool *columns) {
    const plx_eval_sample *s = &r->samples[k];
    fprintf(out, "%s,%s,%s,", r->method, set->ids[s->object], set->classes ? set->classes[s->object] : "");
    if (r->views)
        fprintf(out, "%s,", r->views[k]);
    else
        fprintf(out, "%d,", view);
    if (set->gaps) fprintf(out, "%.2f", s->gap);
    for (int m = 0; m < PLX_EVAL_METRICS; m++)
        if (columns[m]) fprintf(out, isnan(s->values[m]) ? "," : ",%.6g", s->values[m]);
    fprintf(out, "\n");
}

int plx_eval_csv(const char *path, const plx_eval_set *set, int count, const plx_eval_result *results) {
    plx_writer writer;
    bool columns[PLX_EVAL_METRICS];
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    fprintf(writer.file, "method,object,class,view,gap");
    for (int m = 0; m < PLX_EVAL_METRICS; m++) {
        columns[m] = has_column(m, count, results);
        if (columns[m]) fprintf(writer.file, ",%s", plx_eval_kinds[m].name);
    }
    fprintf(writer.file, "\n");
    for (int i = 0; i < count; i++)
        for (int k = 0, view = 1; k < results[i].count; k++, view++) {
            if (k && results[i].samples[k].object != results[i].samples[k - 1].object) view = 1;
            print_line(writer.file, set, &results[i], k, view, columns);
        }
    return plx_writer_commit(&writer);
}
