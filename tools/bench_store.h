/* The latent store's puts and gets as work to be timed, each beside a plain copy of the same bytes. */
#ifndef PLX_TOOLS_BENCH_STORE_H
#define PLX_TOOLS_BENCH_STORE_H

#include "tools/parallax.h"

int plx_bench_store_count(void);
void plx_bench_store_name(int index, char name[96]);
/* In a folder of its own under $TMPDIR or /tmp, removed with the work. */
int plx_bench_store_open(plx_workload *out, int index);

#endif
