/* Bootstrap intervals (Efron 1979, percentile method) of means over objects: objects, not views, are what a data set is a
 * sample of. */
#include <math.h>
#include <stdlib.h>

#include "tools/evaluation.h"
#include "tools/parallax.h"

enum { BOOTSTRAP_SEED = 1, BOOTSTRAP_STREAM = 0x626f6f74 /* "boot" */ };

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which the share p of sorted[0 .. count-1] lies, interpolated between neighbours. */
static double quantile(const double *sorted, int count, double p) {
    double at = p * (count - 1);
    int below = (int)at, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

static double resampled_mean(const double *values, int count, uint64_t resample) {
    plx_rng rng = plx_rng_fork((plx_rng){BOOTSTRAP_SEED, BOOTSTRAP_STREAM}, resample);
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[plx_rng_below(rng, (uint64_t)i, (uint32_t)count)];
    return sum / count;
}

int plx_eval_bootstrap(plx_eval_interval *out, const double *values, int count) {
    *out = (plx_eval_interval){NAN, NAN, NAN, 0};
    double *present = malloc(((size_t)count + PLX_EVAL_RESAMPLES) * sizeof *present), sum = 0;
    if (!present) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    double *means = present + count;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (!isnan(values[i])) sum += present[n++] = values[i];
    out->objects = n;
    if (n) out->mean = sum / n;
    if (n > 1 && isfinite(sum)) {
#pragma omp parallel for schedule(static)
        for (int r = 0; r < PLX_EVAL_RESAMPLES; r++) means[r] = resampled_mean(present, n, (uint64_t)r);
        qsort(means, PLX_EVAL_RESAMPLES, sizeof *means, compare_doubles);
        out->low = quantile(means, PLX_EVAL_RESAMPLES, 0.025);
        out->high = quantile(means, PLX_EVAL_RESAMPLES, 0.975);
    }
    free(present);
    return PLX_OK;
}

static void from_scale(plx_eval_interval *interval, enum plx_eval_metric metric) {
    if (!plx_eval_kinds[metric].geometric) return;
    interval->mean = exp(interval->mean);
    interval->low = exp(interval->low);
    interval->high = exp(interval->high);
}

int plx_eval_mean_interval(plx_eval_interval *out, const double *means, int objects,
                           enum plx_eval_metric metric) {
    int status = plx_eval_bootstrap(out, means, objects);
    if (!status) from_scale(out, metric);
    return status;
}

int plx_eval_paired_interval(plx_eval_interval *out, const double *a, const double *b, int objects,
                             enum plx_eval_metric metric) {
    double *difference = malloc((size_t)(objects + 1) * sizeof *difference);
    if (!difference) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    /* Infinite on both sides (two equal images) is no difference that a number could tell: NAN, left out. */
    for (int i = 0; i < objects; i++) difference[i] = a[i] - b[i];
    int status = plx_eval_mean_interval(out, difference, objects, metric);
    free(difference);
    return status;
}
