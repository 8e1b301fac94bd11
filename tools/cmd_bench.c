/* parallax bench: how fast this program is on this machine, against the machine's own peaks and against another run. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench_budget.h"
#include "tools/bench_data.h"
#include "tools/bench_report.h"
#include "tools/bench_scaling.h"
#include "tools/bench_stages.h"
#include "tools/bench_store.h"

typedef struct bench_values {
    const char *output, *filter, *model, *data, *catalogue;
    int runs;
    unsigned tables;
    float fail_over;
    bool quick, scaling, budget, compare;
} bench_values;

#define AT(member) offsetof(bench_values, member)

enum { TABLE_CPU, TABLE_REF, TABLE_CUDA, TABLES };
static const char *const tables[TABLES] = {"cpu", "ref", "cuda"};

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "FILE",
     .help = "everything measured, as JSON"},
    {PLX_OPTION_TEXT, "filter", 0, AT(filter), NULL, .word = "TEXT",
     .help = "only what has TEXT in \"KIND NAME\": conv_fwd, kernel, stage, view, store"},
    {PLX_OPTION_INT, "runs", 0, AT(runs), "10", 1, PLX_TIMING_RUNS, .help = "of each entry, after a warm-up"},
    {PLX_OPTION_SET, "table", 0, AT(tables), NULL, .word = "cpu|ref|cuda",
     .help = "kernel tables (default: cuda where it computes on a card, else cpu,ref)"},
    {PLX_OPTION_FLAG, "quick", 0, AT(quick),
     .help = "3 runs, and a refinement of 4 views and 5 noise levels"},
    {PLX_OPTION_FLAG, "scaling", 0, AT(scaling),
     .help =
         "how stages grow with their sizes instead: fitted exponents, and with -o FILE.json also FILE.svg"},
    {PLX_OPTION_FLAG, "budget", 0, AT(budget),
     .help = "measure nothing: the least time that an H100 and a laptop's RTX 4060 allow each kernel"},
    {PLX_OPTION_TEXT, "model", 0, AT(model), NULL, .word = "FILE",
     .help = "weights (default: the shipped model)"},
    {PLX_OPTION_TEXT, "data", 0, AT(data), NULL, .word = "DIR",
     .help = "also load and draw the objects that `make data` put there"},
    {PLX_OPTION_TEXT, "catalogue", 0, AT(catalogue), "datasets/objects.tsv", .word = "FILE",
     .help = "its objects"},
    {PLX_OPTION_FLAG, "compare", 0, AT(compare), .help = "compare two files of earlier runs, A then B"},
    {PLX_OPTION_FLOAT, "fail-over", 0, AT(fail_over), NULL, 0, 1e6, .word = "PERCENT",
     .help = "with --compare: exit 1 if an entry is slower by more, beyond the noise"},
    {.type = PLX_OPTION_END}};

typedef struct job {
    const bench_values *values;
    unsigned tables;
    plx_bench bench;
    plx_bench_object object;
    const char *headed; /* kind of the last heading */
} job;

static bool on_card(void) {
    return !strcmp(plx_device_used(), "cuda");
}

static bool wanted(const job *j, const char *kind, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s %s", kind, name);
    return !j->values->filter || strstr(full, j->values->filter);
}

/* `least` runs are done whatever they take. */
static plx_timing_plan plan(const job *j, int least, double limit) {
    int runs = j->values->quick && j->values->runs > 3 ? 3 : j->values->runs;
    return (plx_timing_plan){runs, least < runs ? least : runs, limit};
}

/* Measures the work, prints and keeps the entry; frees the work. */
static int measure(job *j, plx_workload *work, plx_bench_entry *entry, plx_timing_plan how) {
    entry->flops = work->flops;
    entry->bytes = work->bytes;
    snprintf(entry->name, sizeof entry->name, "%s", work->name);
    int status = plx_timing_measure(&entry->timing, work, how);
    plx_workload_free(work);
    plx_progress_end();
    if (!status) status = plx_bench_add(&j->bench, entry);
    if (status) return status;
    if (!j->headed || strcmp(j->headed, entry->kind)) plx_bench_print_heading(stdout, entry->kind);
    j->headed = entry->kind;
    plx_bench_print_entry(stdout, entry, &j->bench);
    fflush(stdout);
    return PLX_OK;
}

/* The reference first, once where it is slow; the ratio to it stands with the other tables. */
static int bench_kernel(job *j, int index) {
    static const int order[TABLES] = {TABLE_REF, TABLE_CPU, TABLE_CUDA};
    double ref_seconds = 0;
    for (int i = 0; i < TABLES; i++) {
        const int table = order[i];
        if (!(j->tables >> table & 1)) continue;
        plx_bench_entry entry = {.kind = "kernel", .table = tables[table]};
        if (table != TABLE_REF) entry.ref_seconds = ref_seconds;
        plx_workload work;
        int status = plx_kernel_workload(&work, table == TABLE_CUDA ? NULL : entry.table, index);
        if (!status) status = measure(j, &work, &entry, table == TABLE_REF ? plan(j, 1, 0.3) : plan(j, 3, 2));
        if (status) return status;
        if (table == TABLE_REF) ref_seconds = plx_timing_quantile(&entry.timing, 0.5);
    }
    return PLX_OK;
}

static int bench_kernels(job *j) {
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        char name[96];
        plx_kernel_workload_name(i, name);
        int status = wanted(j, "kernel", name) ? bench_kernel(j, i) : PLX_OK;
        if (status) return status;
    }
    return PLX_OK;
}

static int bench_stages(job *j) {
    for (int i = 0; i < plx_stage_count(); i++) {
        char name[96];
        plx_stage_name(i, j->values->quick, name);
        if (!wanted(j, "stage", name)) continue;
        plx_bench_entry entry = {.kind = "stage", .table = plx_stage_computes(i) ? plx_device_used() : "cpu"};
        plx_workload work;
        int status = plx_stage_open(&work, i, j->values->quick, &j->object);
        if (!status) status = measure(j, &work, &entry, plan(j, 3, 15));
        if (status) return status;
    }
    return PLX_OK;
}

static int bench_store(job *j) {
    for (int i = 0; i < plx_bench_store_count(); i++) {
        char name[96];
        plx_bench_store_name(i, name);
        if (!wanted(j, "store", name)) continue;
        plx_bench_entry entry = {.kind = "store", .table = "cpu"};
        plx_workload work;
        int status = plx_bench_store_open(&work, i);
        if (!status) status = measure(j, &work, &entry, plan(j, 3, 5));
        if (status) return status;
    }
    return PLX_OK;
}

static int bench_data(job *j) {
    if (!j->values->data || !wanted(j, "stage", plx_bench_data_name)) return PLX_OK;
    plx_bench_entry entry = {.kind = "stage", .table = "cpu"};
    double rate;
    snprintf(entry.name, sizeof entry.name, "%s", plx_bench_data_name);
    int status = plx_bench_data_measure(&entry.timing, &rate, j->values->catalogue, j->values->data);
    if (!status) status = plx_bench_add(&j->bench, &entry);
    if (status) return status;
    plx_bench_print_heading(stdout, entry.kind);
    plx_bench_print_entry(stdout, &entry, &j->bench);
    printf("%.0f views/s of the median object, loading included, on %d threads; %.0f of all\n",
           omp_get_max_threads() * PLX_BENCH_DATA_VIEWS / plx_timing_quantile(&entry.timing, 0.5),
           omp_get_max_threads(), rate);
    return PLX_OK;
}

/* How many entries the filter lets through. */
static int count_wanted(const job *j) {
    char name[96];
    int count = 0;
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        plx_kernel_workload_name(i, name);
        count += wanted(j, "kernel", name);
    }
    for (int i = 0; i < plx_stage_count(); i++) {
        plx_stage_name(i, j->values->quick, name);
        count += wanted(j, "stage", name);
    }
    for (int i = 0; i < plx_bench_store_count(); i++) {
        plx_bench_store_name(i, name);
        count += wanted(j, "store", name);
    }
    return count + (j->values->data && wanted(j, "stage", plx_bench_data_name));
}

/* "a/b.json" -> "a/b.svg"; NULL for NULL; *out is malloc'ed. */
static int svg_path(char **out, const char *json) {
    *out = NULL;
    if (!json) return PLX_OK;
    size_t length = strlen(json);
    if (length > 5 && !strcmp(json + length - 5, ".json")) length -= 5;
    *out = malloc(length + sizeof ".svg");
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", json);
    sprintf(*out, "%.*s.svg", (int)length, json);
    return PLX_OK;
}

static int run_scaling(job *j, const plx_run *run) {
    enum { MOST = 64 };
    bool chosen[MOST] = {false};
    int any = 0, count = plx_scaling_count();
    PLX_CHECK(count <= MOST, "bench: more than %d series", MOST);
    for (int i = 0; i < count; i++) {
        char name[96];
        plx_scaling_name(i, name);
        any += chosen[i] = wanted(j, "scaling", name);
    }
    if (!any) return plx_fail(PLX_ERROR_USAGE, "bench: nothing has '%s' in its name", j->values->filter);
    char *svg;
    json_t *scaling = NULL;
    int status = svg_path(&svg, j->values->output);
    if (!status) status = plx_scaling_run(&scaling, chosen, plan(j, 3, 3), &j->object, svg);
    if (!status && j->values->output) {
        status = plx_bench_save(&j->bench, run, scaling, j->values->output);
        scaling = NULL;
    }
    json_decref(scaling);
    free(svg);
    return status;
}

static int run_entries(job *j, const plx_run *run) {
    const bench_values *v = j->values;
    if (!count_wanted(j)) return plx_fail(PLX_ERROR_USAGE, "bench: nothing has '%s' in its name", v->filter);
    int status = plx_peaks_measure(&j->bench.peaks, omp_get_max_threads());
    if (!status) plx_bench_print_peaks(stdout, &j->bench.peaks);
    if (!status && on_card()) {
        status = plx_peaks_measure_card(&j->bench.card);
        if (!status) plx_bench_print_peaks(stdout, &j->bench.card);
    }
    if (!status) status = bench_kernels(j);
    if (!status) status = bench_stages(j);
    if (!status) status = bench_store(j);
    if (!status) status = bench_data(j);
    return !status && v->output ? plx_bench_save(&j->bench, run, NULL, v->output) : status;
}

static int run_benchmark(const plx_run *run) {
    const bench_values *v = run->values;
    char model[4096];
    job j = {.values = v, .tables = v->tables, .object.model_path = model};
    if (!v->tables) j.tables = on_card() ? 1u << TABLE_CUDA : 1u << TABLE_CPU | 1u << TABLE_REF;
    if (j.tables >> TABLE_CUDA & 1 && !on_card())
        return plx_fail(PLX_ERROR_SUPPORT, "bench: --table cuda computes on a card: %s", plx_device_names());
    int status = plx_model_path(model, sizeof model, v->model);
    if (!status) status = v->scaling ? run_scaling(&j, run) : run_entries(&j, run);
    plx_bench_object_free(&j.object);
    plx_bench_free(&j.bench);
    return status;
}

static int run_bench(const plx_run *run) {
    const bench_values *v = run->values;
    if (v->compare && run->count != 2)
        return plx_fail(PLX_ERROR_USAGE, "bench: --compare needs two files, A.json and B.json");
    if (!v->compare && run->count)
        return plx_fail(PLX_ERROR_USAGE, "bench: '%s' is for --compare A.json B.json", run->arguments[0]);
    if (!v->compare && !isnan(v->fail_over))
        return plx_fail(PLX_ERROR_USAGE, "bench: --fail-over goes with --compare");
    if (v->compare)
        return plx_bench_compare(stdout, run->arguments[0], run->arguments[1], (double)v->fail_over);
    if (v->budget && (v->output || v->scaling || v->quick))
        return plx_fail(PLX_ERROR_USAGE, "bench: --budget measures nothing and goes with --filter only");
    return v->budget ? plx_bench_budget(stdout, v->filter) : run_benchmark(run);
}

const plx_command plx_cmd_bench = {.name = "bench",
                                   .arguments = "[--compare A.json B.json]",
                                   .summary =
                                       "how fast kernels and stages are, against this machine's own peaks",
                                   .max_arguments = 2,
                                   .options = options,
                                   .values_size = sizeof(bench_values),
                                   .computes = true,
                                   .run = run_bench};
