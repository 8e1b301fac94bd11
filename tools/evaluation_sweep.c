#include "tools/evaluation_sweep.h"

#include <math.h>
#include <stdlib.h>

#include "tools/parallax.h"

enum { PANELS = 5, SECONDS = PANELS - 1 }; /* four metrics, seconds */
static const enum plx_eval_metric shown[SECONDS] = {PLX_EVAL_PSNR, PLX_EVAL_FLIP, PLX_EVAL_SHARPNESS,
                                                    PLX_EVAL_SWD};

static const char *heading_of(int panel) {
    return panel == SECONDS ? "seconds an object" : plx_eval_kinds[shown[panel]].heading;
}

/* values[panel]; seconds have no interval. */
static int summarise(plx_eval_interval *values, const plx_eval_set *set, const plx_eval_result *r) {
    double *means = malloc(((size_t)set->count + 1) * sizeof *means);
    int status = means ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int p = 0; p < SECONDS && !status; p++) {
        plx_eval_object_means(r->samples, r->count, shown[p], set->count, means);
        status = plx_eval_mean_interval(&values[p], means, set->count, shown[p]);
    }
    values[SECONDS] = (plx_eval_interval){r->seconds, NAN, NAN, set->count};
    free(means);
    return status;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static int print_line(FILE *out, const plx_eval_set *set, const char *method, double value,
                      const plx_eval_result *r) {
    plx_eval_interval values[PANELS];
    int status = summarise(values, set, r);
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

/* Pixels: a panel, and the margins of its plot within. */
enum { WIDTH = 270, HEIGHT = 210, LEFT = 52, RIGHT = 12, TOP = 30, BOTTOM = 44, LEGEND = 26 };
static const char *const colours[] = {"#1665c0", "#c0392b", "#2e8b57", "#8e5ba6"};
enum { COLOURS = sizeof colours / sizeof *colours };

typedef struct panel {
    FILE *out;
    int left, top, count; /* values across */
    double low, high;     /* of the axis */
} panel;

/* Values stand at equal distances, as they were given. */
static double across(const panel *p, int k) {
    return p->left + LEFT + (k + 0.5) / p->count * (WIDTH - LEFT - RIGHT);
}

static double down(const panel *p, double y) {
    return p->top + HEIGHT - BOTTOM - (y - p->low) / (p->high - p->low) * (HEIGHT - TOP - BOTTOM);
}

static void widen(panel *p, const plx_eval_interval *v) {
    double ends[] = {v->mean, v->low, v->high};
    for (int i = 0; i < 3; i++)
        if (isfinite(ends[i])) p->low = fmin(p->low, ends[i]), p->high = fmax(p->high, ends[i]);
}

/* A round step, 1, 2 or 5 times a power of ten, that cuts the axis into three to eight. */
static double step_of(double span) {
    double power = pow(10, floor(log10(span / 3)));
    double left = span / 3 / power;
    return power * (left >= 5 ? 5 : left >= 2 ? 2 : 1);
}

static void draw_axes(const panel *p, const plx_eval_sweep *s, const char *heading) {
    int bottom = p->top + HEIGHT - BOTTOM;
    double step = step_of(p->high - p->low);
    fprintf(p->out, "<text x='%d' y='%d' class='title'>%s</text>\n", p->left + LEFT, p->top + 18, heading);
    for (double y = ceil(p->low / step) * step; y <= p->high; y += step)
        fprintf(p->out,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='grid'/><text x='%d' y='%.1f' "
                "class='end'>%g</text>\n",
                p->left + LEFT, p->left + WIDTH - RIGHT, down(p, y), down(p, y), p->left + LEFT - 5,
                down(p, y) + 4, fabs(y) < step / 2 ? 0 : y);
    for (int k = 0; k < s->setting.count; k++)
        fprintf(p->out, "<text x='%.1f' y='%d' class='middle'>%g</text>\n", across(p, k), bottom + 15,
                s->setting.values[k]);
    fprintf(p->out, "<text x='%d' y='%d' class='middle'>%s</text>\n", p->left + (LEFT + WIDTH - RIGHT) / 2,
            bottom + 31, plx_eval_parameter_name(s->setting.parameter));
}

static void draw_method(const panel *p, const plx_eval_interval *values, const char *colour) {
    fprintf(p->out, "<polyline fill='none' stroke='%s' stroke-width='1.5' points='", colour);
    for (int k = 0; k < p->count; k++)
        if (isfinite(values[k].mean)) fprintf(p->out, "%.1f,%.1f ", across(p, k), down(p, values[k].mean));
    fprintf(p->out, "'/>\n");
    for (int k = 0; k < p->count; k++) {
        if (!isfinite(values[k].mean)) continue;
        if (isfinite(values[k].low) && isfinite(values[k].high))
            fprintf(p->out, "<line x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' stroke='%s'/>\n", across(p, k),
                    across(p, k), down(p, values[k].low), down(p, values[k].high), colour);
        fprintf(p->out, "<circle cx='%.1f' cy='%.1f' r='3.5' fill='%s'/>\n", across(p, k),
                down(p, values[k].mean), colour);
    }
}

/* values[panel][method][value] of one sweep, reference[panel]. */
typedef struct numbers {
    plx_eval_interval values[PANELS][PLX_EVAL_METHODS][PLX_EVAL_VALUES], reference[PANELS];
} numbers;

static int collect(numbers *n, const plx_eval_set *set, const plx_eval_sweep *s,
                   const plx_eval_result *results, int reference) {
    plx_eval_interval of[PANELS];
    int status = PLX_OK;
    for (int p = 0; p < PANELS; p++) n->reference[p] = (plx_eval_interval){NAN, NAN, NAN, 0};
    if (reference >= 0) status = summarise(n->reference, set, &results[reference]);
    for (int m = 0; m < s->methods && !status; m++)
        for (int k = 0; k < s->setting.count && !status; k++) {
            status = summarise(of, set, &results[s->entrant[m][k]]);
            for (int p = 0; p < PANELS; p++) n->values[p][m][k] = of[p];
        }
    return status;
}

static void draw_panel(FILE *out, int row, int column, const plx_eval_sweep *s, const numbers *n) {
    panel p = {.out = out,
               .left = column * WIDTH,
               .top = LEGEND + row * HEIGHT,
               .count = s->setting.count,
               .low = INFINITY,
               .high = -INFINITY};
    for (int m = 0; m < s->methods; m++)
        for (int k = 0; k < p.count; k++) widen(&p, &n->values[column][m][k]);
    widen(&p, &(plx_eval_interval){n->reference[column].mean, NAN, NAN, 0});
    if (!(p.low <= p.high)) p.low = p.high = 0; /* nothing was measured */
    double room = fmax(0.06 * (p.high - p.low), 1e-3 * fmax(1, fabs(p.high)));
    p.low -= room, p.high += room;
    draw_axes(&p, s, heading_of(column));
    double y = down(&p, n->reference[column].mean);
    if (isfinite(y))
        fprintf(out, "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='reference'/>\n", p.left + LEFT,
                p.left + WIDTH - RIGHT, y, y);
    for (int m = 0; m < s->methods; m++)
        draw_method(&p, n->values[column][m], colours[s->plain[m] % COLOURS]);
}

static void draw_legend(FILE *out, const plx_eval_entrants *e, int reference) {
    int x = LEFT;
    bool swept[PLX_EVAL_ENTRANTS] = {false};
    for (int i = 0; i < e->sweep_count; i++)
        for (int m = 0; m < e->sweeps[i].methods; m++) swept[e->sweeps[i].plain[m]] = true;
    for (int i = 0; i < e->plain; i++) {
        if (!swept[i] && i != reference) continue;
        fprintf(out, "<line x1='%d' x2='%d' y1='14' y2='14' ", x, x + 22);
        if (swept[i])
            fprintf(out, "stroke='%s' stroke-width='2'/>", colours[i % COLOURS]);
        else
            fprintf(out, "class='reference'/>");
        fprintf(out, "<text x='%d' y='18'>%s</text>\n", x + 28, e->list[i].name);
        x += 130;
    }
}

int plx_eval_sweeps_plot(const char *path, const plx_eval_set *set, const plx_eval_entrants *e,
                         const plx_eval_result *results, int reference) {
    plx_writer writer;
    numbers *n = malloc(sizeof *n);
    if (!n) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    int status = plx_writer_open(&writer, path);
    if (status) {
        free(n);
        return status;
    }
    int width = PANELS * WIDTH, height = LEGEND + e->sweep_count * HEIGHT;
    fprintf(
        writer.file,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d'>\n"
        "<style>text{font:11px sans-serif;fill:#444}.title{font-weight:bold;fill:#111}.end{text-anchor:end}"
        ".middle{text-anchor:middle}.grid{stroke:#e2e2e2}.reference{stroke:#777;stroke-dasharray:4 3}"
        "</style>\n<rect width='100%%' height='100%%' fill='white'/>\n",
        width, height, width, height);
    draw_legend(writer.file, e, reference);
    for (int i = 0; i < e->sweep_count && !status; i++) {
        status = collect(n, set, &e->sweeps[i], results, reference);
        for (int p = 0; p < PANELS && !status; p++) draw_panel(writer.file, i, p, &e->sweeps[i], n);
    }
    fprintf(writer.file, "</svg>\n");
    free(n);
    if (!status) return plx_writer_commit(&writer);
    plx_writer_abort(&writer);
    return status;
}
