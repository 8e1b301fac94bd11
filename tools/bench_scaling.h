/* How the cost of stages grows with resolution, samples, rays, views, batch, channels and threads. */
#ifndef PLX_TOOLS_BENCH_SCALING_H
#define PLX_TOOLS_BENCH_SCALING_H

#include "tools/bench_stages.h"
#include "tools/bench_time.h"

int plx_scaling_count(void);
/* "view against pixels" */
void plx_scaling_name(int index, char name[96]);

/* Measures one after the other those with `wanted[i]`, printing a line for each point; *out receives a JSON array (a
 * new reference). `svg` is the file of the plots, or NULL. */
int plx_scaling_run(json_t **out, const bool *wanted, plx_timing_plan plan, plx_bench_object *object,
                    const char *svg);

#endif
