/* Measured costs against a size: fitted power laws, and their log-log plots. */
#ifndef PLX_TOOLS_BENCH_POWER_H
#define PLX_TOOLS_BENCH_POWER_H

enum { PLX_POWER_POINTS = 8 };

typedef struct plx_power {
    const char *title, *x_label;
    int count;
    double x[PLX_POWER_POINTS], y[PLX_POWER_POINTS]; /* above 0; y in seconds, x ascending */
    double exponent, factor;                         /* y = factor x^exponent */
    double reference;                                /* exponent of the dashed line through the first point */
} plx_power;

/* Least squares in log y = log factor + exponent log x, over at least two different x. */
void plx_power_fit(plx_power *power);
/* The exponent between the last two points. */
double plx_power_last_exponent(const plx_power *power);

/* One SVG file, a panel each, in rows of three. Atomic. */
int plx_powers_save(const char *path, int count, const plx_power *powers);

#endif
