/* Measured costs as log-log plots with their fitted power laws, in one SVG file. */
#ifndef PLX_TOOLS_PLOT_H
#define PLX_TOOLS_PLOT_H

enum { PLX_PLOT_POINTS = 8 };

typedef struct plx_plot {
    const char *title, *x_label;
    int count;
    double x[PLX_PLOT_POINTS], y[PLX_PLOT_POINTS]; /* above 0; y in seconds, x ascending */
    double exponent, factor;                       /* y = factor x^exponent */
    double reference;                              /* exponent of the thin line through the first point */
} plx_plot;

/* Least squares in log y = log factor + exponent log x, over at least two different x. */
void plx_plot_fit(plx_plot *plot);
/* The exponent between the last two points. */
double plx_plot_last_exponent(const plx_plot *plot);

/* A panel each, in rows of three. Atomic. */
int plx_plots_save(const char *path, int count, const plx_plot *plots);

#endif
