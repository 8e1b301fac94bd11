/* Timing of one piece of work: a warm-up, then several runs, each of as many repetitions as the clock needs. */
#ifndef PLX_TOOLS_BENCH_TIME_H
#define PLX_TOOLS_BENCH_TIME_H

#include "tools/parallax.h"

enum { PLX_TIMING_RUNS = 100 };

typedef struct plx_timing {
    int runs, repetitions;           /* of the work within a run */
    double seconds[PLX_TIMING_RUNS]; /* of the work once; ascending */
} plx_timing;

typedef struct plx_timing_plan {
    int runs, least; /* wanted; done even when they take longer than the limit */
    double limit;    /* seconds in all */
} plx_timing_plan;

/* A warm-up that passes the limit by itself counts as the first run. A card is given a run's repetitions
 * one after the other, and waited for once. */
int plx_timing_measure(plx_timing *out, const plx_workload *work, plx_timing_plan plan);

/* Two doubles for qsort. */
int plx_ascending(const void *a, const void *b);

/* Linear between the runs; q 0 is the minimum, 1/2 the median. */
double plx_timing_quantile(const plx_timing *timing, double q);

/* (third - first quartile) / median: the spread of the runs. NAN for fewer than 3, which say nothing of it. */
double plx_timing_spread(const plx_timing *timing);

#endif
