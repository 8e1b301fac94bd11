#include "tools/plot.h"

#include <math.h>

/* ---- axes ----------------------------------------------------------------------------------------------------------- */

enum { STEPS = 5 };

/* 1, 2 or 5 times a power of ten: at most STEPS of them in the range. */
static double step_of(double range) {
    double step = pow(10, floor(log10(range / STEPS)));
    return range / step <= STEPS         ? step
           : range / (2 * step) <= STEPS ? 2 * step
           : range / (5 * step) <= STEPS ? 5 * step
                                         : 10 * step;
}

plx_axis plx_axis_around(double low, double high, int from, int to) {
    double room = fmax(0.06 * (high - low), 1e-3 * fmax(1, fabs(high)));
    return (plx_axis){.low = low - room, .high = high + room, .from = from, .to = to};
}

double plx_axis_place(const plx_axis *a, double value) {
    double share =
        a->logarithmic ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
    return a->from + share * (a->to - a->from);
}

/* ---- panels --------------------------------------------------------------------------------------------------------- */

void plx_svg_text(FILE *out, const char *text) {
    for (; *text; text++) switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
}

static void put_text(FILE *out, const char *class_name, double x, double y, const char *text) {
    fprintf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class_name, x, y);
    plx_svg_text(out, text);
    fputs("</text>\n", out);
}

plx_panel plx_panel_open(FILE *out, const char *title, plx_axis x, plx_axis y) {
    put_text(out, "title", 4, 14, title);
    return (plx_panel){out, x, y};
}

static void put_line(FILE *out, const char *class_name, double x1, double y1, double x2, double y2) {
    fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class_name, x1, y1,
            x2, y2);
}

void plx_panel_x_mark(const plx_panel *p, double at, const char *label) {
    double x = plx_axis_place(&p->x, at);
    put_line(p->out, "grid", x, p->y.to, x, p->y.from);
    put_text(p->out, "middle", x, p->y.from + 14, label);
}

void plx_panel_y_mark(const plx_panel *p, double at, const char *label) {
    double y = plx_axis_place(&p->y, at);
    put_line(p->out, "grid", p->x.from, y, p->x.to, y);
    put_text(p->out, "end", p->x.from - 6, y + 4, label);
}

typedef void (*mark_fn)(const plx_panel *, double, const char *);

static void mark_value(const plx_panel *p, mark_fn mark, double value) {
    char label[32];
    snprintf(label, sizeof label, "%g", value + 0.0); /* no -0 */
    mark(p, value, label);
}

static void mark_decades(const plx_panel *p, const plx_axis *a, mark_fn mark) {
    for (double power = floor(log10(a->low)); power <= log10(a->high); power++)
        for (int digit = 1; digit <= 3; digit += 2) {
            double value = digit * pow(10, power);
            if (value > a->low && value < a->high) mark_value(p, mark, value);
        }
}

static void mark_steps(const plx_panel *p, const plx_axis *a, mark_fn mark) {
    double step = step_of(a->high - a->low);
    if (a->logarithmic)
        mark_decades(p, a, mark);
    else
        for (double k = ceil(a->low / step); k * step <= a->high; k++) mark_value(p, mark, k * step);
}

void plx_panel_x_axis(const plx_panel *p) {
    mark_steps(p, &p->x, plx_panel_x_mark);
}

void plx_panel_y_axis(const plx_panel *p) {
    mark_steps(p, &p->y, plx_panel_y_mark);
}

void plx_panel_x_label(const plx_panel *p, const char *text) {
    put_text(p->out, "middle", (p->x.from + p->x.to) / 2., p->y.from + 32, text);
}

void plx_panel_stroke(const plx_panel *p, const char *class_name, const double from[2], const double to[2]) {
    put_line(p->out, class_name, plx_axis_place(&p->x, from[0]), plx_axis_place(&p->y, from[1]),
             plx_axis_place(&p->x, to[0]), plx_axis_place(&p->y, to[1]));
}

void plx_panel_line(const plx_panel *p, int count, const plx_plot_point *points, int colour) {
    fprintf(p->out, "<g class=\"m%d\"><polyline points=\"", colour % PLX_PLOT_COLOURS);
    for (int i = 0; i < count; i++)
        if (isfinite(points[i].y))
            fprintf(p->out, "%.1f,%.1f ", plx_axis_place(&p->x, points[i].x),
                    plx_axis_place(&p->y, points[i].y));
    fputs("\"/>", p->out);
    for (int i = 0; i < count; i++) {
        const plx_plot_point *at = &points[i];
        if (!isfinite(at->y)) continue;
        if (isfinite(at->low) && isfinite(at->high))
            plx_panel_stroke(p, "bar", (double[]){at->x, at->low}, (double[]){at->x, at->high});
        fprintf(p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", plx_axis_place(&p->x, at->x),
                plx_axis_place(&p->y, at->y));
    }
    fputs("</g>\n", p->out);
}

/* ---- files of their own: the page's style sheet has the same classes, and dark colours -------------------------------- */

void plx_svg_open(FILE *out, int width, int height) {
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
        "<style>text{font:11px sans-serif;fill:#63666e}.title{font-size:13px;font-weight:bold;fill:#1c1d21}"
        ".end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#dcdcd6}"
        ".equal{stroke:#63666e;stroke-dasharray:4 3}"
        ".m0{color:#8a8d96}.m1{color:#a8761a}.m2{color:#2467c9}.m3{color:#c4561c}.m4{color:#17805f}"
        ".m5{color:#a4388a}.m6{color:#6b52c8}.m7{color:#32808f}"
        "polyline{fill:none;stroke:currentColor;stroke-width:1.6;opacity:.8}"
        ".bar{stroke:currentColor;stroke-width:1.6}circle{fill:currentColor}</style>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        width, height, width, height);
}

void plx_svg_move(FILE *out, int across, int down) {
    fprintf(out, "<g transform=\"translate(%d %d)\">\n", across, down);
}

void plx_svg_key(FILE *out, int x, int y, int colour, const char *name) {
    if (colour < 0)
        put_line(out, "equal", x, y - 4, x + 22, y - 4);
    else
        fprintf(out, "<g class=\"m%d\"><circle cx=\"%d\" cy=\"%d\" r=\"4\"/></g>", colour % PLX_PLOT_COLOURS,
                x + 11, y - 4);
    put_text(out, "name", x + 28, y, name);
}
