/* The plots of the page: how a metric falls with the azimuth from the input, how it is spread over objects, two methods object
 * by object, sweeps. */
#include <math.h>
#include <stdlib.h>

#include "tools/evaluation_html_parts.h"
#include "tools/evaluation_sweep.h"
#include "tools/parallax.h"
#include "tools/plot.h"

enum {
    LEFT = PLX_PANEL_LEFT,
    RIGHT = PLX_PANEL_WIDTH - PLX_PANEL_RIGHT,
    TOP = PLX_PANEL_TOP,
    BOTTOM = PLX_PANEL_HEIGHT - PLX_PANEL_BOTTOM
};

static void open_svg(FILE *out, const char *title, int height) {
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", PLX_PANEL_WIDTH, height);
    plx_svg_text(out, title);
    fputs("\">", out);
}

static double to_plot(double mean, int metric) {
    return plx_eval_kinds[metric].geometric ? exp(mean) : mean;
}

/* ---- by azimuth gap ------------------------------------------------------------------------------------------------- */

static plx_plot_point gap_point(const plx_eval_mean *bin, int gap) {
    double half = 1.96 * bin->error;
    return (plx_plot_point){(plx_eval_gap_limits[gap] + plx_eval_gap_limits[gap + 1]) / 2, bin->mean,
                            bin->mean - half, bin->mean + half};
}

static void put_gap_panel(FILE *out, const plx_eval_page *page, int metric, const plx_eval_mean *bins) {
    enum { ASIDE = 2 }; /* degrees, so that intervals do not hide each other */
    double low = INFINITY, high = -INFINITY;
    for (int k = 0; k < page->count * PLX_EVAL_GAPS; k++) {
        if (!isfinite(bins[k].mean)) continue;
        double half = isfinite(bins[k].error) ? 1.96 * bins[k].error : 0;
        low = fmin(low, bins[k].mean - half), high = fmax(high, bins[k].mean + half);
    }
    if (!(low <= high)) return;
    open_svg(out, plx_html_heading(page, metric), PLX_PANEL_HEIGHT);
    plx_panel panel =
        plx_panel_open(out, plx_html_heading(page, metric), (plx_axis){0, 180, LEFT, RIGHT, false},
                       plx_axis_around(low, high, BOTTOM, TOP));
    plx_panel_y_axis(&panel);
    for (int g = 0; g <= PLX_EVAL_GAPS; g++) {
        char degrees[16];
        snprintf(degrees, sizeof degrees, "%g", plx_eval_gap_limits[g]);
        plx_panel_x_mark(&panel, plx_eval_gap_limits[g], degrees);
    }
    plx_panel_x_label(&panel, "degrees of azimuth from the input");
    for (int i = 0; i < page->count; i++) {
        plx_plot_point points[PLX_EVAL_GAPS];
        for (int g = 0; g < PLX_EVAL_GAPS; g++) {
            points[g] = gap_point(&bins[i * PLX_EVAL_GAPS + g], g);
            points[g].x += ASIDE * (i - (page->count - 1) / 2.);
        }
        plx_panel_line(&panel, PLX_EVAL_GAPS, points, i);
    }
    fputs("</svg>\n", out);
}

static void put_gap_table(FILE *out, const plx_eval_page *page, int metric, const plx_eval_mean *bins) {
    fprintf(out, "<table><thead><tr><th scope=\"col\">%s</th>", plx_html_heading(page, metric));
    for (int g = 0; g < PLX_EVAL_GAPS; g++)
        fprintf(out, "<th scope=\"col\">%g–%g°</th>", plx_eval_gap_limits[g], plx_eval_gap_limits[g + 1]);
    fputs("</tr></thead><tbody>\n", out);
    for (int i = 0; i < page->count; i++) {
        const plx_eval_mean *own = bins + (size_t)i * PLX_EVAL_GAPS;
        bool any = false;
        for (int g = 0; g < PLX_EVAL_GAPS; g++) any = any || own[g].objects;
        if (!any) continue;
        fputs("<tr><th scope=\"row\">", out);
        plx_svg_text(out, page->results[i].method);
        fputs("</th>", out);
        for (int g = 0; g < PLX_EVAL_GAPS; g++) {
            fputs("<td><span>", out);
            plx_html_number(out, own[g].mean, metric);
            fputs("</span><small>± ", out);
            plx_html_number(out, own[g].error, metric);
            fputs("</small></td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

void plx_html_gap_plots(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    plx_eval_mean *bins = malloc((size_t)(page->count * PLX_EVAL_GAPS + 1) * sizeof *bins);
    if (!page->set->gaps || !bins) {
        free(bins);
        return;
    }
    fputs("<section id=\"gaps\"><h2>By azimuth from the input</h2>\n<p>Means over objects with ± 1.96 "
          "standard errors; the table has one "
          "standard error.</p>\n",
          out);
    plx_html_legend(out, page);
    for (int table = 0; table < 2; table++) {
        fputs(table ? "<details><summary>the same as tables</summary>\n<div class=\"grid\">\n"
                    : "<div class=\"grid\">\n",
              out);
        for (int m = 0; m < PLX_EVAL_METRICS; m++) {
            if (!plx_eval_kinds[m].by_gap || !n->measured[m]) continue;
            for (int i = 0; i < page->count; i++)
                for (int g = 0; g < PLX_EVAL_GAPS; g++)
                    bins[i * PLX_EVAL_GAPS + g] = plx_eval_average(
                        page->results[i].samples, page->results[i].count, (enum plx_eval_metric)m, g);
            (table ? put_gap_table : put_gap_panel)(out, page, m, bins);
        }
        fputs(table ? "</div></details></section>\n" : "</div>\n", out);
    }
    free(bins);
}

/* ---- over objects --------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The finite values, as they are plotted; returns how many. */
static int finite_values(double *out, const plx_eval_page *page, const plx_html_numbers *n, int method,
                         int metric) {
    const double *from = plx_html_objects(page, n, method, metric);
    int count = 0;
    for (int i = 0; i < page->set->count; i++)
        if (isfinite(from[i])) out[count++] = to_plot(from[i], metric);
    return count;
}

static double quantile(const double *sorted, int count, double p) {
    double at = p * (count - 1);
    int below = (int)at, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

enum { ROW = 34 };

/* A dot an object, and a box from the first to the third quartile with the median. */
static void put_distribution(FILE *out, const plx_eval_page *page, const plx_html_numbers *n, int method,
                             int metric, const plx_axis *x, int top, double *values) {
    const double *from = plx_html_objects(page, n, method, metric);
    int count = finite_values(values, page, n, method, metric);
    fprintf(out, "<g class=\"m%d\"><text class=\"name\" x=\"%d\" y=\"%d\">", method % PLX_PLOT_COLOURS, LEFT,
            top + 8);
    plx_svg_text(out, page->results[method].method);
    fputs("</text>", out);
    for (int i = 0; i < page->set->count; i++) {
        if (!isfinite(from[i])) continue;
        fprintf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"><title>",
                plx_axis_place(x, to_plot(from[i], metric)), top + 15 + 12 * fmod(i * 0.6180339887, 1));
        plx_svg_text(out, page->set->ids[i]);
        fprintf(out, ": %.4g</title></circle>", to_plot(from[i], metric));
    }
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    double left = plx_axis_place(x, quantile(values, count, 0.25)),
           right = plx_axis_place(x, quantile(values, count, 0.75)),
           middle = plx_axis_place(x, quantile(values, count, 0.5));
    fprintf(out,
            "<rect class=\"box\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\"/><line class=\"median\" "
            "x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" "
            "y2=\"%d\"/></g>\n",
            left, top + 14, right - left, middle, middle, top + 12, top + 30);
}

void plx_html_distributions(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    static const enum plx_eval_metric shown[] = {PLX_EVAL_PSNR, PLX_EVAL_FLIP, PLX_EVAL_IOU};
    double *values = malloc((size_t)(page->set->count + 1) * sizeof *values);
    if (page->set->count < 3 || !values) {
        free(values);
        return;
    }
    fputs("<section id=\"distributions\"><h2>Over objects</h2>\n<p>A dot an object; the box holds the middle "
          "half, its line is the "
          "median.</p>\n<div class=\"grid\">\n",
          out);
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
        int metric = (int)shown[k], rows = 0;
        double low = INFINITY, high = -INFINITY;
        for (int i = 0; i < page->count; i++) {
            int count = finite_values(values, page, n, i, metric);
            rows += count > 0;
            for (int v = 0; v < count; v++) low = fmin(low, values[v]), high = fmax(high, values[v]);
        }
        if (!rows) continue;
        int bottom = TOP + rows * ROW, row = 0;
        plx_axis x = plx_axis_around(low, high, LEFT, RIGHT);
        open_svg(out, plx_html_heading(page, metric), bottom + 20);
        plx_panel panel =
            plx_panel_open(out, plx_html_heading(page, metric), x, (plx_axis){0, 1, bottom, TOP, false});
        plx_panel_x_axis(&panel);
        for (int i = 0; i < page->count; i++)
            if (finite_values(values, page, n, i, metric))
                put_distribution(out, page, n, i, metric, &x, TOP + ROW * row++, values);
        fputs("</svg>\n", out);
    }
    fputs("</div></section>\n", out);
    free(values);
}

/* ---- two methods ---------------------------------------------------------------------------------------------------- */

static void put_scatter(FILE *out, const plx_eval_page *page, const double *a, const double *b, int method,
                        int metric) {
    enum { SIDE = 300 };
    double low = INFINITY, high = -INFINITY;
    int above = 0, count = 0;
    for (int i = 0; i < page->set->count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) continue;
        low = fmin(low, fmin(a[i], b[i])), high = fmax(high, fmax(a[i], b[i]));
        above += b[i] > a[i], count++;
    }
    if (count < 2) return;
    char title[256], label[256];
    snprintf(title, sizeof title, "%.100s: higher on %d of %d", page->results[method].method, above, count);
    snprintf(label, sizeof label, "%.100s, %s", page->results[page->reference].method,
             plx_html_heading(page, metric));
    open_svg(out, title, SIDE);
    plx_panel panel = plx_panel_open(out, title, plx_axis_around(low, high, LEFT, RIGHT),
                                     plx_axis_around(low, high, SIDE - PLX_PANEL_BOTTOM, TOP));
    plx_panel_x_axis(&panel);
    plx_panel_y_axis(&panel);
    plx_panel_x_label(&panel, label);
    const double corner[] = {panel.x.low, panel.x.low}, other[] = {panel.x.high, panel.x.high};
    plx_panel_stroke(&panel, "equal", corner, other);
    fprintf(out, "<g class=\"m%d\">", method % PLX_PLOT_COLOURS);
    for (int i = 0; i < page->set->count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) continue;
        fprintf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>",
                plx_axis_place(&panel.x, a[i]), plx_axis_place(&panel.y, b[i]));
        plx_svg_text(out, page->set->ids[i]);
        fprintf(out, ": %.4g, %.4g</title></circle>\n", a[i], b[i]);
    }
    fputs("</g></svg>\n", out);
}

void plx_html_scatters(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    int metric = PLX_EVAL_PSNR, others = 0;
    for (int i = 0; i < page->count; i++)
        others +=
            i != page->reference && !isnan(n->means[(size_t)i * PLX_EVAL_METRICS + (size_t)metric].mean);
    if (!others || page->set->count < 2) return;
    fprintf(out, "<section id=\"pairs\"><h2>Object by object</h2>\n<p>%s of each object: across ",
            plx_html_heading(page, metric));
    plx_svg_text(out, page->results[page->reference].method);
    fputs(", up the other method. Above the diagonal the other is better.</p>\n<div class=\"grid\">\n", out);
    for (int i = 0; i < page->count; i++)
        if (i != page->reference)
            put_scatter(out, page, plx_html_objects(page, n, page->reference, metric),
                        plx_html_objects(page, n, i, metric), i, metric);
    fputs("</div></section>\n", out);
}

/* ---- sweeps --------------------------------------------------------------------------------------------------------- */

int plx_html_sweeps(FILE *out, const plx_eval_page *page) {
    const plx_eval_entrants *e = page->entrants;
    if (!e || !e->sweep_count) return PLX_OK;
    fputs("<section id=\"sweeps\"><h2>Sweeps</h2>\n<p>One number at a time, the others as they are: the "
          "difference from ",
          out);
    plx_svg_text(out, page->results[page->reference].method);
    fputs(" (dashed), object by object, with its 95 % interval.</p>\n", out);
    plx_html_legend(out, page);
    int status = PLX_OK;
    for (int i = 0; i < e->sweep_count && !status; i++) {
        fprintf(out, "<h3>%s</h3>\n<div class=\"grid\">\n",
                plx_eval_parameter_name(e->sweeps[i].setting.parameter));
        status = plx_eval_sweeps_panels(out, page->set, e, i, page->results, page->reference);
        fputs("</div>\n", out);
    }
    fputs("</section>\n", out);
    return status;
}
