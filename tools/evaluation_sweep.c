#include "tools/evaluation_sweep.h"

#include <math.h>
#include <stdlib.h>

#include "tools/parallax.h"
#include "tools/plot.h"

enum { PANELS = 5, SECONDS = PANELS - 1 }; /* four metrics, seconds */
static const enum plx_eval_metric shown[SECONDS] = {PLX_EVAL_PSNR, PLX_EVAL_FLIP, PLX_EVAL_SHARPNESS,
                                                    PLX_EVAL_SWD};

static const char *heading_of(int panel) {
    return panel == SECONDS ? "seconds an object" : plx_eval_kinds[shown[panel]].heading;
}

/* values[panel] of one result, or of what it differs by from another, object by object; seconds have no interval. */
static int summarise(plx_eval_interval *values, const plx_eval_set *set, const plx_eval_result *r,
                     const plx_eval_result *other) {
    double *means = malloc(2 * ((size_t)set->count + 1) * sizeof *means), *others = means + set->count;
    int status = means ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int p = 0; p < SECONDS && !status; p++) {
        plx_eval_object_means(r->samples, r->count, shown[p], set->count, means);
        if (other) plx_eval_object_means(other->samples, other->count, shown[p], set->count, others);
        status = other ? plx_eval_paired_interval(&values[p], means, others, set->count, shown[p])
                       : plx_eval_mean_interval(&values[p], means, set->count, shown[p]);
    }
    values[SECONDS] = (plx_eval_interval){r->seconds, NAN, NAN, set->count};
    free(means);
    return status;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static int print_line(FILE *out, const plx_eval_set *set, const char *method, double value,
                      const plx_eval_result *r) {
    plx_eval_interval values[PANELS];
    int status = summarise(values, set, r, NULL);
    if (status) return status;
    fprintf(out, "%-12s %8g", method, value);
    for (int p = 0; p < SECONDS; p++) {
        int decimals = plx_eval_kinds[shown[p]].decimals;
        char text[96];
        snprintf(text, sizeof text, isnan(values[p].low) ? "%.*f" : "%.*f [%.*f, %.*f]", decimals,
                 values[p].mean, decimals, values[p].low, decimals, values[p].high);
        fprintf(out, " %24s", text);
    }
    fprintf(out, " %18.2f\n", r->seconds);
    return PLX_OK;
}

int plx_eval_sweeps_print(FILE *out, const plx_eval_set *set, const plx_eval_entrants *e,
                          const plx_eval_result *results) {
    int status = PLX_OK;
    for (int i = 0; i < e->sweep_count; i++) {
        const plx_eval_sweep *s = &e->sweeps[i];
        fprintf(out, "\n%-12s %8s", "sweep", plx_eval_parameter_name(s->setting.parameter));
        for (int p = 0; p < PANELS; p++) fprintf(out, p < SECONDS ? " %24s" : " %18s", heading_of(p));
        fprintf(out, "\n");
        for (int m = 0; m < s->methods; m++)
            for (int k = 0; k < s->setting.count && !status; k++)
                status = print_line(out, set, e->list[s->plain[m]].name, s->setting.values[k],
                                    &results[s->entrant[m][k]]);
    }
    return status;
}

/* ---- the picture ---------------------------------------------------------------------------------------------------- */

/* values[panel][method][value] of one sweep; with a reference the metrics are what they differ by from its. */
typedef struct numbers {
    plx_eval_interval values[PANELS][PLX_EVAL_SWEPT][PLX_EVAL_VALUES];
    const char *reference; /* its name, or NULL */
    double level[PANELS];  /* of the reference: no difference, its seconds; NAN without one */
} numbers;

static int collect(numbers *n, const plx_eval_set *set, const plx_eval_sweep *s,
                   const plx_eval_result *results, int reference) {
    const plx_eval_result *other = reference < 0 ? NULL : &results[reference];
    plx_eval_interval of[PANELS];
    int status = PLX_OK;
    n->reference = other ? other->method : NULL;
    for (int p = 0; p < SECONDS; p++) n->level[p] = !other ? NAN : plx_eval_kinds[shown[p]].geometric ? 1 : 0;
    n->level[SECONDS] = other ? other->seconds : NAN;
    for (int m = 0; m < s->methods && !status; m++)
        for (int k = 0; k < s->setting.count && !status; k++) {
            status = summarise(of, set, &results[s->entrant[m][k]], other);
            for (int p = 0; p < PANELS; p++) n->values[p][m][k] = of[p];
        }
    return status;
}

static void widen(double range[2], const plx_eval_interval *v) {
    double ends[] = {v->mean, v->low, v->high};
    for (int i = 0; i < 3; i++)
        if (isfinite(ends[i])) range[0] = fmin(range[0], ends[i]), range[1] = fmax(range[1], ends[i]);
}

/* Values stand at equal distances, as they were given. */
static void draw_panel(FILE *out, int column, const plx_eval_sweep *s, const numbers *n) {
    const plx_eval_setting *setting = &s->setting;
    double range[] = {INFINITY, -INFINITY}, reference = n->level[column];
    bool geometric = column < SECONDS && plx_eval_kinds[shown[column]].geometric;
    char title[128];
    snprintf(title, sizeof title, column == SECONDS || !n->reference ? "%s" : "%s %s %s", heading_of(column),
             geometric ? "over" : "minus", n->reference);
    for (int m = 0; m < s->methods; m++)
        for (int k = 0; k < setting->count; k++) widen(range, &n->values[column][m][k]);
    widen(range, &(plx_eval_interval){reference, NAN, NAN, 0});
    if (!(range[0] <= range[1])) range[0] = range[1] = 0; /* nothing was measured */
    plx_axis x = {-0.5, setting->count - 0.5, PLX_PANEL_LEFT, PLX_PANEL_WIDTH - PLX_PANEL_RIGHT, false};
    plx_panel panel = plx_panel_open(
        out, title, x,
        plx_axis_around(range[0], range[1], PLX_PANEL_HEIGHT - PLX_PANEL_BOTTOM, PLX_PANEL_TOP));
    plx_panel_y_axis(&panel);
    for (int k = 0; k < setting->count; k++) {
        char value[32];
        snprintf(value, sizeof value, "%g", setting->values[k]);
        plx_panel_x_mark(&panel, k, value);
    }
    plx_panel_x_label(&panel, plx_eval_parameter_name(setting->parameter));
    if (isfinite(reference))
        plx_panel_stroke(&panel, "equal", (double[]){x.low, reference}, (double[]){x.high, reference});
    for (int m = 0; m < s->methods; m++) {
        plx_plot_point points[PLX_EVAL_VALUES];
        double aside = 0.06 * (m - (s->methods - 1) / 2.); /* so that intervals do not hide each other */
        for (int k = 0; k < setting->count; k++) {
            const plx_eval_interval *v = &n->values[column][m][k];
            points[k] = (plx_plot_point){k + aside, v->mean, v->low, v->high};
        }
        plx_panel_line(&panel, setting->count, points, s->plain[m]);
    }
}

static void draw_legend(FILE *out, const plx_eval_entrants *e, int reference) {
    int x = PLX_PANEL_LEFT;
    bool swept[PLX_EVAL_ENTRANTS] = {false};
    for (int i = 0; i < e->sweep_count; i++)
        for (int m = 0; m < e->sweeps[i].methods; m++) swept[e->sweeps[i].plain[m]] = true;
    for (int i = 0; i < e->plain; i++) {
        if (!swept[i] && i != reference) continue;
        plx_svg_key(out, x, 18, swept[i] ? i : -1, e->list[i].name);
        x += 130;
    }
}

/* ---- against time ----------------------------------------------------------------------------------------------------- */

/* Entrants that are compared as they are and cost time, in the order of the table: each method's qualities are neighbours. */
typedef struct timed {
    int count;
    int entrant[PLX_EVAL_ENTRANTS];
    plx_eval_interval values[PLX_EVAL_ENTRANTS][PANELS];
} timed;

enum { LEAST_MILLISECONDS = 50 }; /* what takes less is no prediction */

static int collect_timed(timed *t, const plx_eval_set *set, const plx_eval_entrants *e,
                         const plx_eval_result *results) {
    int status = PLX_OK;
    t->count = 0;
    for (int i = 0; i < e->plain && !status; i++) {
        if (e->list[i].method->silhouette_only || results[i].seconds < LEAST_MILLISECONDS / 1000.) continue;
        t->entrant[t->count] = i;
        status = summarise(t->values[t->count++], set, &results[i], NULL);
    }
    return status;
}

/* A line a method, through its qualities. */
static void draw_timed(FILE *out, int column, const timed *t, const plx_eval_entrants *e) {
    double range[] = {INFINITY, -INFINITY}, times[] = {INFINITY, 0};
    for (int i = 0; i < t->count; i++) {
        double seconds = t->values[i][SECONDS].mean;
        widen(range, &t->values[i][column]);
        times[0] = fmin(times[0], seconds), times[1] = fmax(times[1], seconds);
    }
    if (!(range[0] <= range[1])) range[0] = range[1] = 0, times[0] = times[1] = 1;
    plx_axis x = {times[0] / 1.5, times[1] * 1.5, PLX_PANEL_LEFT, PLX_PANEL_WIDTH - PLX_PANEL_RIGHT, true};
    plx_axis y = plx_axis_around(range[0], range[1], PLX_PANEL_HEIGHT - PLX_PANEL_BOTTOM, PLX_PANEL_TOP);
    plx_panel panel = plx_panel_open(out, heading_of(column), x, y);
    plx_panel_y_axis(&panel);
    plx_panel_x_axis(&panel);
    plx_panel_x_label(&panel, heading_of(SECONDS));
    for (int from = 0, to; from < t->count; from = to) {
        plx_plot_point points[PLX_EVAL_ENTRANTS];
        const plx_eval_entrant *first = &e->list[t->entrant[from]];
        for (to = from; to < t->count; to++) {
            const plx_eval_entrant *next = &e->list[t->entrant[to]];
            const plx_eval_interval *v = &t->values[to][column];
            if (next->method != first->method || next->means.model != first->means.model) break;
            points[to - from] = (plx_plot_point){t->values[to][SECONDS].mean, v->mean, v->low, v->high};
        }
        plx_panel_line(&panel, to - from, points, t->entrant[from]);
    }
}

static void draw_timed_legend(FILE *out, const timed *t, const plx_eval_entrants *e) {
    const plx_eval_method *last = NULL;
    int x = PLX_PANEL_LEFT;
    for (int i = 0; i < t->count; i++) {
        const plx_eval_entrant *entrant = &e->list[t->entrant[i]];
        bool compared = entrant->method->has == 0; /* of --compare: under its own name */
        if (!compared && entrant->method == last) continue;
        last = entrant->method;
        plx_svg_key(out, x, 18, t->entrant[i], compared ? entrant->name : entrant->method->name);
        x += 130;
    }
}

enum { LEGEND = 26 };

int plx_eval_time_plot(const char *path, const plx_eval_set *set, const plx_eval_entrants *e,
                       const plx_eval_result *results) {
    plx_writer writer = {0};
    timed *t = malloc(sizeof *t);
    int status =
        t ? collect_timed(t, set, e, results) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status) status = plx_writer_open(&writer, path);
    if (!status) {
        plx_svg_open(writer.file, SECONDS * PLX_PANEL_WIDTH, LEGEND + PLX_PANEL_HEIGHT);
        draw_timed_legend(writer.file, t, e);
        for (int p = 0; p < SECONDS; p++) {
            plx_svg_move(writer.file, p * PLX_PANEL_WIDTH, LEGEND);
            draw_timed(writer.file, p, t, e);
            fputs("</g>\n", writer.file);
        }
        fputs("</svg>\n", writer.file);
        status = plx_writer_commit(&writer);
    }
    plx_writer_abort(&writer);
    free(t);
    return status;
}

/* ---- the file of the sweeps ------------------------------------------------------------------------------------------- */

/* Few sweeps have a row each, more a column each: a page is wide, but not that wide. */
static int draw_file(FILE *out, numbers *n, const plx_eval_set *set, const plx_eval_entrants *e,
                     const plx_eval_result *results, int reference) {
    bool columns = e->sweep_count > 2;
    int across = columns ? e->sweep_count : PANELS, down = columns ? PANELS : e->sweep_count, status = PLX_OK;
    plx_svg_open(out, across * PLX_PANEL_WIDTH, LEGEND + down * PLX_PANEL_HEIGHT);
    draw_legend(out, e, reference);
    for (int i = 0; i < e->sweep_count && !status; i++) {
        status = collect(n, set, &e->sweeps[i], results, reference);
        for (int p = 0; p < PANELS && !status; p++) {
            plx_svg_move(out, (columns ? i : p) * PLX_PANEL_WIDTH,
                         LEGEND + (columns ? p : i) * PLX_PANEL_HEIGHT);
            draw_panel(out, p, &e->sweeps[i], n);
            fputs("</g>\n", out);
        }
    }
    fputs("</svg>\n", out);
    return status;
}

int plx_eval_sweeps_plot(const char *path, const plx_eval_set *set, const plx_eval_entrants *e,
                         const plx_eval_result *results, int reference) {
    plx_writer writer = {0};
    numbers *n = malloc(sizeof *n);
    int status = n ? plx_writer_open(&writer, path) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status) status = draw_file(writer.file, n, set, e, results, reference);
    if (!status) status = plx_writer_commit(&writer);
    plx_writer_abort(&writer);
    free(n);
    return status;
}

/* ---- in a page -------------------------------------------------------------------------------------------------------- */

int plx_eval_sweeps_panels(FILE *out, const plx_eval_set *set, const plx_eval_entrants *e, int sweep,
                           const plx_eval_result *results, int reference) {
    numbers *n = malloc(sizeof *n);
    int status = n ? collect(n, set, &e->sweeps[sweep], results, reference)
                   : plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    for (int p = 0; p < PANELS && !status; p++) {
        fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s by %s\">", PLX_PANEL_WIDTH,
                PLX_PANEL_HEIGHT, heading_of(p), plx_eval_parameter_name(e->sweeps[sweep].setting.parameter));
        draw_panel(out, p, &e->sweeps[sweep], n);
        fputs("</svg>\n", out);
    }
    free(n);
    return status;
}
