/* The plots of the page: how a metric falls with the azimuth from the input, how it is spread over objects, and two methods object
 * by object. */
#include <math.h>
#include <stdlib.h>

#include "tools/evaluation_html_parts.h"
#include "tools/parallax.h"

/* Units of the drawing: a panel, and the margins of its plot within. */
enum { WIDTH = 340, HEIGHT = 240, LEFT = 46, RIGHT = 14, TOP = 26, BOTTOM = 38, TICKS = 5 };

typedef struct axis {
    double low, high; /* values at the ends */
    int from, to;     /* units */
} axis;

static double place(const axis *a, double value) {
    return a->from + (value - a->low) / (a->high - a->low) * (a->to - a->from);
}

/* 1, 2 or 5 times a power of ten: at most TICKS of them in the range. */
static double step_of(double range) {
    double step = pow(10, floor(log10(range / TICKS)));
    return range / step <= TICKS         ? step
           : range / (2 * step) <= TICKS ? 2 * step
           : range / (5 * step) <= TICKS ? 5 * step
                                         : 10 * step;
}

/* Room around what was seen; never flat. */
static axis axis_of(double low, double high, int from, int to) {
    double room = fmax(0.06 * (high - low), 1e-3 * fmax(1, fabs(high)));
    return (axis){low - room, high + room, from, to};
}

static void open_panel(FILE *out, const char *title, int height) {
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, height);
    plx_html_text(out, title);
    fprintf(out, "\"><text class=\"title\" x=\"%d\" y=\"14\">", 4);
    plx_html_text(out, title);
    fputs("</text>\n", out);
}

static void put_y_axis(FILE *out, const axis *y) {
    double step = step_of(y->high - y->low);
    for (double value = ceil(y->low / step) * step; value <= y->high; value += step)
        fprintf(
            out,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"end\" x=\"%d\" "
            "y=\"%.1f\">%g</text>\n",
            LEFT, WIDTH - RIGHT, place(y, value), place(y, value), LEFT - 6, place(y, value) + 4,
            round(value / step) * step + 0.0);
}

static void put_x_axis(FILE *out, const axis *x, int top, int bottom) {
    double step = step_of(x->high - x->low);
    for (double value = ceil(x->low / step) * step; value <= x->high; value += step)
        fprintf(out,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text class=\"middle\" "
                "x=\"%.1f\" "
                "y=\"%d\">%g</text>\n",
                place(x, value), place(x, value), top, bottom, place(x, value), bottom + 14,
                round(value / step) * step + 0.0);
}

static double to_plot(double mean, int metric) {
    return plx_eval_kinds[metric].geometric ? exp(mean) : mean;
}

/* ---- by azimuth gap ------------------------------------------------------------------------------------------------- */

static void put_gap_line(FILE *out, const plx_eval_mean *bins, int method, const axis *x, const axis *y) {
    fprintf(out, "<g class=\"m%d\"><polyline points=\"", method % PLX_HTML_COLOURS);
    for (int g = 0; g < PLX_EVAL_GAPS; g++)
        if (isfinite(bins[g].mean))
            fprintf(out, "%.1f,%.1f ",
                    place(x, (plx_eval_gap_limits[g] + plx_eval_gap_limits[g + 1]) / 2) + 3 * method,
                    place(y, bins[g].mean));
    fputs("\"/>", out);
    for (int g = 0; g < PLX_EVAL_GAPS; g++) {
        if (!isfinite(bins[g].mean)) continue;
        double across = place(x, (plx_eval_gap_limits[g] + plx_eval_gap_limits[g + 1]) / 2) + 3 * method;
        double half = isfinite(bins[g].error) ? 1.96 * bins[g].error : 0;
        fprintf(out,
                "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/><circle cx=\"%.1f\" cy=\"%.1f\" "
                "r=\"3\"/>",
                across, across, place(y, bins[g].mean - half), place(y, bins[g].mean + half), across,
                place(y, bins[g].mean));
    }
    fputs("</g>\n", out);
}

static void put_gap_panel(FILE *out, const plx_eval_page *page, int metric, const plx_eval_mean *bins) {
    double low = INFINITY, high = -INFINITY;
    for (int k = 0; k < page->count * PLX_EVAL_GAPS; k++) {
        if (!isfinite(bins[k].mean)) continue;
        double half = isfinite(bins[k].error) ? 1.96 * bins[k].error : 0;
        low = fmin(low, bins[k].mean - half), high = fmax(high, bins[k].mean + half);
    }
    if (!(low <= high)) return;
    axis x = {0, 180, LEFT, WIDTH - RIGHT}, y = axis_of(low, high, HEIGHT - BOTTOM, TOP);
    open_panel(out, plx_html_heading(page, metric), HEIGHT);
    put_y_axis(out, &y);
    for (int g = 0; g <= PLX_EVAL_GAPS; g++)
        fprintf(out,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text class=\"middle\" "
                "x=\"%.1f\" y=\"%d\">%g</text>\n",
                place(&x, plx_eval_gap_limits[g]), place(&x, plx_eval_gap_limits[g]), TOP, HEIGHT - BOTTOM,
                place(&x, plx_eval_gap_limits[g]), HEIGHT - BOTTOM + 14, plx_eval_gap_limits[g]);
    fprintf(out, "<text class=\"middle\" x=\"%d\" y=\"%d\">degrees of azimuth from the input</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6);
    for (int i = 0; i < page->count; i++) put_gap_line(out, bins + (size_t)i * PLX_EVAL_GAPS, i, &x, &y);
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
        plx_html_text(out, page->results[i].method);
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
                             int metric, const axis *x, int top, double *values) {
    const double *from = plx_html_objects(page, n, method, metric);
    int count = finite_values(values, page, n, method, metric);
    fprintf(out, "<g class=\"m%d\"><text class=\"name\" x=\"%d\" y=\"%d\">", method % PLX_HTML_COLOURS, LEFT,
            top + 8);
    plx_html_text(out, page->results[method].method);
    fputs("</text>", out);
    for (int i = 0; i < page->set->count; i++) {
        if (!isfinite(from[i])) continue;
        fprintf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"><title>",
                place(x, to_plot(from[i], metric)), top + 15 + 12 * fmod(i * 0.6180339887, 1));
        plx_html_text(out, page->set->ids[i]);
        fprintf(out, ": %.4g</title></circle>", to_plot(from[i], metric));
    }
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    double left = place(x, quantile(values, count, 0.25)), right = place(x, quantile(values, count, 0.75)),
           middle = place(x, quantile(values, count, 0.5));
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
        axis x = axis_of(low, high, LEFT, WIDTH - RIGHT);
        open_panel(out, plx_html_heading(page, metric), bottom + 20);
        put_x_axis(out, &x, TOP, bottom);
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
    axis x = axis_of(low, high, LEFT, WIDTH - RIGHT), y = axis_of(low, high, SIDE - BOTTOM, TOP);
    char title[256];
    snprintf(title, sizeof title, "%.100s: higher on %d of %d", page->results[method].method, above, count);
    open_panel(out, title, SIDE);
    put_x_axis(out, &x, TOP, SIDE - BOTTOM);
    put_y_axis(out, &y);
    fprintf(out, "<line class=\"equal\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, SIDE - BOTTOM,
            WIDTH - RIGHT, TOP);
    fprintf(out, "<text class=\"middle\" x=\"%d\" y=\"%d\">", (LEFT + WIDTH - RIGHT) / 2, SIDE - 6);
    plx_html_text(out, page->results[page->reference].method);
    fprintf(out, ", %s</text>\n<g class=\"m%d\">", plx_html_heading(page, metric), method % PLX_HTML_COLOURS);
    for (int i = 0; i < page->set->count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) continue;
        fprintf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>", place(&x, a[i]),
                place(&y, b[i]));
        plx_html_text(out, page->set->ids[i]);
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
    plx_html_text(out, page->results[page->reference].method);
    fputs(", up the other method. Above the diagonal the other is better.</p>\n<div class=\"grid\">\n", out);
    for (int i = 0; i < page->count; i++)
        if (i != page->reference)
            put_scatter(out, page, plx_html_objects(page, n, page->reference, metric),
                        plx_html_objects(page, n, i, metric), i, metric);
    fputs("</div></section>\n", out);
}
