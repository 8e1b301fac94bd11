#include "tools/bench_power.h"

#include <math.h>
#include <stdio.h>

#include "tools/parallax.h"
#include "tools/plot.h"

/* ---- the fit -------------------------------------------------------------------------------------------------- */

void plx_power_fit(plx_power *p) {
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

double plx_power_last_exponent(const plx_power *p) {
    int n = p->count;
    return log(p->y[n - 1] / p->y[n - 2]) / log(p->x[n - 1] / p->x[n - 2]);
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

enum { COLUMNS = 3, COLOUR = 2 /* of the points and their law */ };

/* At least a factor of 4 from bottom to top, so that a flat line looks flat. */
static plx_axis seconds_axis(const plx_power *p) {
    double low = INFINITY, high = 0;
    for (int i = 0; i < p->count; i++) low = fmin(low, p->y[i]), high = fmax(high, p->y[i]);
    double room = fmax(exp(0.2), sqrt(4 * low / high));
    return (plx_axis){low / room, high * room, PLX_PANEL_HEIGHT - PLX_PANEL_BOTTOM, PLX_PANEL_TOP, true};
}

static void write_seconds(char out[24], double seconds) {
    if (seconds < 1e-3)
        snprintf(out, 24, "%g us", round(seconds * 1e9) / 1e3);
    else if (seconds < 1)
        snprintf(out, 24, "%g ms", round(seconds * 1e6) / 1e3);
    else
        snprintf(out, 24, "%g s", round(seconds * 1e3) / 1e3);
}

/* At 1, 2 and 5 times the powers of ten. */
static void draw_seconds(const plx_panel *panel) {
    static const double steps[] = {1, 2, 5};
    for (int power = -9; power < 6; power++)
        for (int k = 0; k < 3; k++) {
            double y = steps[k] * pow(10, power);
            char text[24];
            if (y < panel->y.low || y > panel->y.high) continue;
            write_seconds(text, y);
            plx_panel_y_mark(panel, y, text);
        }
}

/* y = factor x^exponent between the first and the last x, cut at the axes. */
static void draw_power(const plx_panel *panel, const plx_power *p, double factor, double exponent,
                       const char *class_name) {
    double from = p->x[0], to = p->x[p->count - 1], ends[] = {panel->y.low, panel->y.high};
    for (int end = 0; end < 2 && exponent != 0; end++) {
        double limit = pow(ends[end] / factor, 1 / exponent); /* where it meets the bottom, the top */
        if ((exponent > 0) == (end == 1))
            to = fmin(to, limit);
        else
            from = fmax(from, limit);
    }
    if (from < to)
        plx_panel_stroke(panel, class_name, (double[]){from, factor * pow(from, exponent)},
                         (double[]){to, factor * pow(to, exponent)});
}

static void draw_panel(FILE *out, const plx_power *p) {
    char label[128], value[32];
    plx_axis x = {p->x[0] / exp(0.1), p->x[p->count - 1] * exp(0.1), PLX_PANEL_LEFT,
                  PLX_PANEL_WIDTH - PLX_PANEL_RIGHT, true};
    plx_panel panel = plx_panel_open(out, p->title, x, seconds_axis(p));
    draw_seconds(&panel);
    for (int i = 0; i < p->count; i++) {
        snprintf(value, sizeof value, "%.0f", p->x[i]);
        plx_panel_x_mark(&panel, p->x[i], value);
    }
    snprintf(label, sizeof label, "%.60s; exponent %.2f (dashed: %g)", p->x_label, p->exponent, p->reference);
    plx_panel_x_label(&panel, label);
    draw_power(&panel, p, p->y[0] / pow(p->x[0], p->reference), p->reference, "equal");
    fprintf(out, "<g class=\"m%d\">", COLOUR);
    draw_power(&panel, p, p->factor, p->exponent, "bar");
    for (int i = 0; i < p->count; i++)
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", plx_axis_place(&panel.x, p->x[i]),
                plx_axis_place(&panel.y, p->y[i]));
    fputs("</g>\n", out);
}

int plx_powers_save(const char *path, int count, const plx_power *powers) {
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    plx_svg_open(writer.file, COLUMNS * PLX_PANEL_WIDTH, (count + COLUMNS - 1) / COLUMNS * PLX_PANEL_HEIGHT);
    for (int i = 0; i < count; i++) {
        plx_svg_move(writer.file, i % COLUMNS * PLX_PANEL_WIDTH, i / COLUMNS * PLX_PANEL_HEIGHT);
        draw_panel(writer.file, &powers[i]);
        fputs("</g>\n", writer.file);
    }
    fputs("</svg>\n", writer.file);
    return plx_writer_commit(&writer);
}
