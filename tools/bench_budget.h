/* What a graphics card should allow: from the kernels' operations and bytes, without a card. */
#ifndef PLX_BENCH_BUDGET_H
#define PLX_BENCH_BUDGET_H

#include <stdio.h>

#include "tools/parallax.h"

/* A Markdown table: the kernels' sizes with `filter` (NULL: all) in "kernel NAME", and the least time for each. */
int plx_bench_budget(FILE *out, const char *filter);

#endif
