#include "tools/bench_budget.h"

#include <string.h>

/* The makers' figures. */
typedef struct card {
    const char *name;
    double flops, products, bytes; /* a second; `products`: of convolutions and matrix products */
} card;

static const card cards[] = {{"H100, f32", 67e12, 67e12, 3.35e12},
                             {"H100, tf32", 67e12, 494e12, 3.35e12},
                             {"RTX 4060 laptop, f32", 15e12, 15e12, 256e9}};
enum { CARDS = sizeof cards / sizeof *cards };

static void print_time(FILE *out, const card *c, const plx_workload *work) {
    bool product = !strncmp(work->name, "conv_", 5) || !strncmp(work->name, "linear_", 7);
    double compute = work->flops / (product ? c->products : c->flops), memory = work->bytes / c->bytes;
    fprintf(out, " %.3g %c |", 1e6 * (compute > memory ? compute : memory), compute > memory ? 'f' : 'b');
}

int plx_bench_budget(FILE *out, const char *filter) {
    int rows = 0;
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        char name[96], full[112];
        plx_kernel_workload_name(i, name);
        snprintf(full, sizeof full, "kernel %s", name);
        if (filter && !strstr(full, filter)) continue;
        plx_workload work;
        int status = plx_kernel_workload(&work, "cpu", i);
        if (status) return status;
        if (!rows++) {
            fprintf(out, "| kernel | MFLOP | MB |");
            for (int c = 0; c < CARDS; c++) fprintf(out, " %s, µs |", cards[c].name);
            fprintf(out, "\n|---|---|---|");
            for (int c = 0; c < CARDS; c++) fprintf(out, "---|");
            fprintf(out, "\n");
        }
        fprintf(out, "| %s | %.4g | %.3g |", name, 1e-6 * work.flops, 1e-6 * work.bytes);
        for (int c = 0; c < CARDS; c++) print_time(out, &cards[c], &work);
        fprintf(out, "\n");
        plx_workload_free(&work);
    }
    return rows ? PLX_OK : plx_fail(PLX_ERROR_USAGE, "bench: no kernel has '%s' in its name", filter);
}
