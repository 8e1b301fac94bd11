/* Ground truth of the default object set as work to be timed: objects are loaded and drawn as `dataset render` does it. */
#ifndef PLX_TOOLS_BENCH_DATA_H
#define PLX_TOOLS_BENCH_DATA_H

#include "tools/bench_time.h"

enum { PLX_BENCH_DATA_VIEWS = 24 }; /* of each object: `dataset render`'s default */
extern const char plx_bench_data_name[];

/* PLX_TIMING_RUNS objects evenly over the catalogue, each once: a run is an object's loading and all its views on one thread
 * while every other thread has an object too. rate: views a second of all threads, from first to last. */
int plx_bench_data_measure(plx_timing *out, double *rate, const char *catalogue, const char *data);

#endif
