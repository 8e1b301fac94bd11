/* What a benchmark measured: a line for each entry, one JSON file, and the comparison of two such files. */
#ifndef PLX_TOOLS_BENCH_REPORT_H
#define PLX_TOOLS_BENCH_REPORT_H

#include "tools/bench_probe.h"
#include "tools/bench_time.h"

typedef struct plx_bench_entry {
    const char *kind, *table; /* "kernel", "stage", "scaling"; "ref", "cpu", "cuda" */
    char name[96];
    double flops, bytes; /* of one run; 0: not stated */
    plx_timing timing;
    double ref_seconds; /* table ref's median at the same size; 0: not measured */
} plx_bench_entry;

typedef struct plx_bench {
    plx_peaks peaks, card; /* card: of table cuda; threads 0: none was measured */
    int count;
    plx_bench_entry *entries; /* owned */
} plx_bench;

#define PLX_BENCH_FORMAT "parallax-bench-1"

int plx_bench_add(plx_bench *bench, const plx_bench_entry *entry);
void plx_bench_free(plx_bench *bench);

void plx_bench_print_peaks(FILE *out, const plx_peaks *peaks);
void plx_bench_print_heading(FILE *out, const char *kind);
void plx_bench_print_entry(FILE *out, const plx_bench_entry *entry, const plx_bench *bench);

/* The machine, versions, options, peaks and entries with the time of every run, in ascending order; `scaling` (taken
 * over) may be NULL. Atomic. */
int plx_bench_save(const plx_bench *bench, const plx_run *run, json_t *scaling, const char *path);

/* Prints ratio and verdict of every entry that both files hold. Noise is the sum of both spreads (quartiles over median),
 * at least 1 %. With `fail_over` (percent; NAN: never) an entry of `b` that is slower than in `a` by more than that, and
 * beyond the noise, is an error. */
int plx_bench_compare(FILE *out, const char *a, const char *b, double fail_over);

#endif
