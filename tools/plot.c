#include "tools/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/parallax.h"

/* ---- the fit -------------------------------------------------------------------------------------------------- */

void plx_plot_fit(plx_plot *p) {
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    for (int i = 0; i < p->count; i++) mean_x += log(p->x[i]) / p->count, mean_y += log(p->y[i]) / p->count;
    for (int i = 0; i < p->count; i++) {
        double dx = log(p->x[i]) - mean_x;
        xx += dx * dx;
        xy += dx * (log(p->y[i]) - mean_y);
    }
    p->exponent = xy / xx;
    p->factor = exp(mean_y - p->exponent * mean_x);
}

double plx_plot_last_exponent(const plx_plot *p) {
    int n = p->count;
    return log(p->y[n - 1] / p->y[n - 2]) / log(p->x[n - 1] / p->x[n - 2]);
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

/* Pixels: a panel, and the margins of its plot within. */
enum { COLUMNS = 3, WIDTH = 320, HEIGHT = 250, LEFT = 58, RIGHT = 18, TOP = 34, BOTTOM = 44 };

typedef struct axes {
    int left, top;     /* of the panel */
    double x[2], y[2]; /* ends, natural logarithms */
} axes;

static double across(const axes *a, double x) {
    return a->left + LEFT + (log(x) - a->x[0]) / (a->x[1] - a->x[0]) * (WIDTH - LEFT - RIGHT);
}

static double down(const axes *a, double y) {
    return a->top + HEIGHT - BOTTOM - (log(y) - a->y[0]) / (a->y[1] - a->y[0]) * (HEIGHT - TOP - BOTTOM);
}

static axes axes_of(const plx_plot *p, int index) {
    axes a = {.left = index % COLUMNS * WIDTH, .top = index / COLUMNS * HEIGHT, .y = {INFINITY, -INFINITY}};
    for (int i = 0; i < p->count; i++) {
        a.y[0] = fmin(a.y[0], log(p->y[i]));
        a.y[1] = fmax(a.y[1], log(p->y[i]));
    }
    a.x[0] = log(p->x[0]) - 0.1, a.x[1] = log(p->x[p->count - 1]) + 0.1;
    /* At least a factor of 4 from bottom to top, so that a flat line looks flat. */
    double room = fmax(0.2, (log(4) - (a.y[1] - a.y[0])) / 2);
    a.y[0] -= room, a.y[1] += room;
    return a;
}

static void write_seconds(char out[24], double seconds) {
    if (seconds < 1e-3)
        snprintf(out, 24, "%g us", round(seconds * 1e9) / 1e3);
    else if (seconds < 1)
        snprintf(out, 24, "%g ms", round(seconds * 1e6) / 1e3);
    else
        snprintf(out, 24, "%g s", round(seconds * 1e3) / 1e3);
}

/* Lines at 1, 2 and 5 times the powers of ten within the axis. */
static void draw_y_axis(FILE *out, const axes *a) {
    static const double steps[] = {1, 2, 5};
    for (int power = -9; power < 6; power++)
        for (int k = 0; k < 3; k++) {
            double y = steps[k] * pow(10, power);
            char text[24];
            if (log(y) < a->y[0] || log(y) > a->y[1]) continue;
            write_seconds(text, y);
            fprintf(out,
                    "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='grid'/><text x='%d' y='%.1f' "
                    "class='end'>%s</text>\n",
                    a->left + LEFT, a->left + WIDTH - RIGHT, down(a, y), down(a, y), a->left + LEFT - 5,
                    down(a, y) + 4, text);
        }
}

static void draw_x_axis(FILE *out, const axes *a, const plx_plot *p) {
    int bottom = a->top + HEIGHT - BOTTOM;
    for (int i = 0; i < p->count; i++)
        fprintf(out,
                "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' class='grid'/><text x='%.1f' y='%d' "
                "class='middle'>%.0f</text>\n",
                across(a, p->x[i]), across(a, p->x[i]), a->top + TOP, bottom, across(a, p->x[i]), bottom + 15,
                p->x[i]);
    fprintf(out, "<text x='%d' y='%d' class='middle'>%s</text>\n", a->left + (LEFT + WIDTH - RIGHT) / 2,
            bottom + 31, p->x_label);
}

/* y = factor x^exponent between the first and the last x, cut at the axes. */
static void draw_power(FILE *out, const axes *a, const plx_plot *p, double factor, double exponent,
                       const char *class) {
    double from = log(p->x[0]), to = log(p->x[p->count - 1]), base = log(factor);
    for (int end = 0; end < 2 && exponent != 0; end++) {
        double limit = (a->y[end] - base) / exponent; /* where it meets the bottom, the top */
        if ((exponent > 0) == (end == 1))
            to = fmin(to, limit);
        else
            from = fmax(from, limit);
    }
    if (from >= to) return;
    fprintf(out, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='%s'/>\n", across(a, exp(from)),
            down(a, exp(base + exponent * from)), across(a, exp(to)), down(a, exp(base + exponent * to)),
            class);
}

static void draw_panel(FILE *out, int index, const plx_plot *p) {
    axes a = axes_of(p, index);
    fprintf(out, "<text x='%d' y='%d' class='title'>%s</text>\n", a.left + LEFT, a.top + 14, p->title);
    fprintf(out, "<text x='%d' y='%d' class='exponent'>exponent %.2f (dashed: %g)</text>\n", a.left + LEFT,
            a.top + 28, p->exponent, p->reference);
    draw_y_axis(out, &a);
    draw_x_axis(out, &a, p);
    draw_power(out, &a, p, p->y[0] / pow(p->x[0], p->reference), p->reference, "reference");
    draw_power(out, &a, p, p->factor, p->exponent, "fit");
    for (int i = 0; i < p->count; i++)
        fprintf(out, "<circle cx='%.1f' cy='%.1f' r='3.5'/>\n", across(&a, p->x[i]), down(&a, p->y[i]));
}

int plx_plots_save(const char *path, int count, const plx_plot *plots) {
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    int width = COLUMNS * WIDTH, height = (count + COLUMNS - 1) / COLUMNS * HEIGHT;
    fprintf(
        writer.file,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d'>\n"
        "<style>text{font:11px sans-serif;fill:#444}.title{font-weight:bold;fill:#111}.exponent{fill:#1665c0}"
        ".end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#e2e2e2}"
        ".reference{stroke:#999;stroke-dasharray:4 "
        "3}.fit{stroke:#1665c0;stroke-width:1.5}circle{fill:#1665c0}"
        "</style>\n<rect width='100%%' height='100%%' fill='white'/>\n",
        width, height, width, height);
    for (int i = 0; i < count; i++) draw_panel(writer.file, i, &plots[i]);
    fprintf(writer.file, "</svg>\n");
    return plx_writer_commit(&writer);
}
