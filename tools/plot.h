/* Panels of plots in SVG: axes with round steps, marks, lines with intervals. In a page its style sheet has the classes that are used
 * here; a file of its own begins with plx_svg_open. */
#ifndef PLX_TOOLS_PLOT_H
#define PLX_TOOLS_PLOT_H

#include <stdbool.h>
#include <stdio.h>

/* Units of the drawing: a panel, and the margins of the plot within. */
enum {
    PLX_PANEL_WIDTH = 340,
    PLX_PANEL_HEIGHT = 240,
    PLX_PANEL_LEFT = 50,
    PLX_PANEL_RIGHT = 14,
    PLX_PANEL_TOP = 28,
    PLX_PANEL_BOTTOM = 40
};
enum { PLX_PLOT_COLOURS = 8 }; /* classes m0 .. m7 */

typedef struct plx_axis {
    double low, high; /* values at the ends; above 0 if logarithmic */
    int from, to;     /* units there */
    bool logarithmic;
} plx_axis;

/* A linear one with room around what was seen; never flat. */
plx_axis plx_axis_around(double low, double high, int from, int to);
double plx_axis_place(const plx_axis *axis, double value);

typedef struct plx_panel {
    FILE *out;
    plx_axis x, y; /* y.from is the bottom */
} plx_panel;

/* A panel of the whole size; the title stands above it. Within <svg viewBox="0 0 PLX_PANEL_WIDTH PLX_PANEL_HEIGHT"> or moved
 * by <g transform>. */
plx_panel plx_panel_open(FILE *out, const char *title, plx_axis x, plx_axis y);

/* A grid line with its label. */
void plx_panel_x_mark(const plx_panel *panel, double at, const char *label);
void plx_panel_y_mark(const plx_panel *panel, double at, const char *label);
/* At multiples of 1, 2 or 5 times a power of ten, five at most; if logarithmic, at 1 and 3 times each power of ten. */
void plx_panel_x_axis(const plx_panel *panel);
void plx_panel_y_axis(const plx_panel *panel);
void plx_panel_x_label(const plx_panel *panel, const char *text);

/* A line that is neither data nor grid, of a class: "equal", "fit"; values at its ends. */
void plx_panel_stroke(const plx_panel *panel, const char *class_name, const double from[2],
                      const double to[2]);

typedef struct plx_plot_point {
    double x, y, low, high; /* y not finite: left out; low, high not finite: no interval */
} plx_plot_point;

/* Points, the line through them, their intervals, in colour `colour` modulo PLX_PLOT_COLOURS. */
void plx_panel_line(const plx_panel *panel, int count, const plx_plot_point *points, int colour);

void plx_svg_text(FILE *out, const char *text);      /* escaped */
void plx_svg_open(FILE *out, int width, int height); /* with the classes, on white */
void plx_svg_move(FILE *out, int across, int down);  /* what follows, until </g> */
void plx_svg_key(FILE *out, int x, int y, int colour,
                 const char *name); /* of a legend; colour -1: the line "equal" */

#endif
