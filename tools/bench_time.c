#include "tools/bench_time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/card.h"

static const double run_seconds =
    0.005; /* at least, for each run: the clock's own error is then below 1e-4 */

int plx_ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run_often(const plx_workload *work, int repetitions, double *seconds) {
    if (plx_stop_requested()) return plx_fail(PLX_ERROR_CANCELLED, "stopped");
    double began = plx_now();
    for (int i = 0; i < repetitions; i++) {
        int status = work->run(work->state);
        if (status) return status;
    }
    int status = plx_card_wait();
    if (status) return status;
    *seconds = (plx_now() - began) / repetitions;
    return PLX_OK;
}

int plx_timing_measure(plx_timing *out, const plx_workload *work, plx_timing_plan plan) {
    *out = (plx_timing){.repetitions = 1};
    double began = plx_now(), once = 0;
    int status = run_often(work, 1, &once);
    if (status) return status;
    if (once > plan.limit)
        out->seconds[out->runs++] = once;
    else if (once < run_seconds) { /* the first time is not the rule; nor is a wait a part of many runs */
        status = run_often(work, strcmp(plx_device_used(), "cuda") ? 1 : 32, &once);
        out->repetitions = (int)fmin(ceil(run_seconds / fmax(once, 1e-8)), 1e6);
    }
    while (!status && out->runs < plan.runs && out->runs < PLX_TIMING_RUNS &&
           (out->runs < plan.least || plx_now() - began < plan.limit)) {
        status = run_often(work, out->repetitions, &out->seconds[out->runs]);
        out->runs += !status;
    }
    qsort(out->seconds, (size_t)out->runs, sizeof *out->seconds, plx_ascending);
    return status;
}

double plx_timing_quantile(const plx_timing *t, double q) {
    double at = q * (t->runs - 1), whole = floor(at);
    int i = (int)whole;
    return i + 1 < t->runs ? t->seconds[i] + (at - whole) * (t->seconds[i + 1] - t->seconds[i])
                           : t->seconds[i];
}

double plx_timing_spread(const plx_timing *t) {
    if (t->runs < 3) return NAN;
    return (plx_timing_quantile(t, 0.75) - plx_timing_quantile(t, 0.25)) / plx_timing_quantile(t, 0.5);
}
