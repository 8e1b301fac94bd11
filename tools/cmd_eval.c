/* parallax eval: the model on objects it was not trained on, by a protocol and by several methods. */
#include "tools/parallax.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tools/consistency_report.h"
#include "tools/evaluation_case.h"
#include "tools/evaluation_entrants.h"
#include "tools/evaluation_html.h"
#include "tools/evaluation_journal.h"
#include "tools/evaluation_report.h"
#include "tools/evaluation_sheet.h"
#include "tools/evaluation_sweep.h"
#include "tools/evaluation_values.h"
#include "tools/evaluation_workers.h"

enum { SHEET_TARGETS = PLX_EVAL_SHEET_TARGETS, PATH_SIZE = 4096 };

/* ---- the state ------------------------------------------------------------------------------------------------------ */

typedef struct evaluation {
    const plx_eval_values *values;
    plx_eval_protocol protocol;
    plx_path path; /* of the views that are scored; empty: the targets, or none */
    plx_eval_means means;
    char model_path[PATH_SIZE];
    int size, threads; /* pixels of the methods' input; of the process */
    plx_eval_compared compared[PLX_EVAL_MODELS];
    int compared_count;
    plx_eval_nearest nearest;
    plx_eval_entrants entrants;
    plx_eval_result results[PLX_EVAL_ENTRANTS]; /* of entrants.list */
    plx_eval_journal journal;
    plx_eval_sheet sheet;
    int *pending; /* (pending_count) objects that are not whole */
    int pending_count;
    uint64_t *done; /* (count) bit m: by entrants.list[m] */
} evaluation;

/* One thread here: the worker processes are forked before any OpenMP team is. */
static int load_model(evaluation *e) {
    unsigned needs = 0;
    for (int m = 0; m < PLX_EVAL_METHODS; m++)
        if (e->values->methods & 1u << m) needs |= plx_eval_methods[m].needs;
    e->size = 64;
    e->threads = omp_get_max_threads();
    if (!(needs & PLX_EVAL_NEEDS_MODEL)) return PLX_OK;
    omp_set_num_threads(1);
    int status = plx_model_path(e->model_path, sizeof e->model_path, e->values->model);
    if (!status) status = plx_model_load(&e->means.model, e->model_path);
    if (!status) e->size = plx_model_size(e->means.model);
    return status;
}

static int load_compared(evaluation *e) {
    int status = plx_eval_compared_parse(e->compared, &e->compared_count, &e->values->compare);
    for (int i = 0; i < e->compared_count && !status; i++) {
        plx_eval_compared *c = &e->compared[i];
        omp_set_num_threads(1);
        status = plx_model_load(&c->model, c->path);
        if (status) break;
        int size = plx_model_size(c->model);
        if (i == 0 && !e->means.model) e->size = size;
        if (size != e->size)
            status = plx_fail(PLX_ERROR_INPUT, "%s: a model of %d pixels, not %d", c->path, size, e->size);
    }
    return status;
}

/* With consistency the truth joins, where it has those views. */
static int choose_methods(evaluation *e) {
    unsigned methods = e->values->methods;
    if (e->values->consistency && e->protocol.true_path) methods |= 1u << PLX_EVAL_TRUTH;
    if (methods & 1u << PLX_EVAL_TRUTH && e->path.count && !e->protocol.true_path)
        return plx_fail(PLX_ERROR_USAGE, "--methods truth: there are no true pictures along the path");
    if (methods & 1u << PLX_EVAL_NEAREST && e->values->protocol != PLX_EVAL_OBJECTS)
        return plx_fail(PLX_ERROR_USAGE, "--methods nearest: only with --protocol objects");
    plx_eval_entrants_options o = {.methods = methods,
                                   .qualities = e->values->qualities,
                                   .means = e->means,
                                   .seed = (uint64_t)e->values->seed,
                                   .set = &e->values->set,
                                   .sweep = &e->values->sweep,
                                   .compared_count = e->compared_count,
                                   .compared = e->compared};
    return plx_eval_entrants_make(&e->entrants, &o);
}

static int make_results(evaluation *e) {
    size_t views = (size_t)plx_eval_targets_all(&e->protocol);
    for (int m = 0; m < e->entrants.count; m++) {
        plx_eval_result *r = &e->results[m];
        r->method = e->entrants.list[m].name;
        r->samples = calloc(views, sizeof *r->samples);
        if (!r->samples) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    }
    return PLX_OK;
}

/* A file is known by what is in it; "" and names of built-in paths by themselves. */
static json_t *file_of(const char *path) {
    char *data = NULL, hash[17] = "";
    size_t size = 0;
    struct stat info;
    if (*path && !stat(path, &info) && !plx_file_read(&data, &size, path, (size_t)1 << 32))
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)plx_content_hash(data, size));
    free(data);
    return json_pack("[ss]", path, hash);
}

/* All that a measurement depends on, its object and method aside. */
static json_t *settings_of(const evaluation *e) {
    const plx_eval_values *v = e->values;
    json_t *metrics = json_array();
    for (int m = 0; m < PLX_EVAL_METRICS; m++)
        json_array_append_new(metrics, json_string(plx_eval_kinds[m].name));
    json_t *settings = json_pack(
        "{s:s, s:o, s:o, s:b, s:i, s:I, s:i, s:i, s:o, s:i, s:i}", "version", PLX_VERSION, "metrics", metrics,
        "model", file_of(e->model_path), "elevation", v->elevation == PLX_EVAL_ELEVATION_KNOWN, "samples",
        v->samples, "seed", (json_int_t)v->seed, "size", e->size, "consistency", (int)v->consistency, "path",
        file_of(v->path ? v->path : ""), "path_views", e->path.count, "field_steps", v->field_steps);
    json_t *set = json_array(), *compared = json_array();
    for (int i = 0; i < v->set.count; i++) json_array_append_new(set, json_string(v->set.items[i]));
    for (int i = 0; i < e->compared_count; i++)
        json_array_append_new(compared, json_pack("[so]", e->compared[i].name, file_of(e->compared[i].path)));
    json_object_set_new(settings, "set", set);
    json_object_set_new(settings, "compared", compared);
    if (!settings || !json_object_update(settings, e->protocol.record)) return settings;
    json_decref(settings);
    return NULL;
}

/* Beside the JSON, else the CSV. */
static int open_journal(evaluation *e) {
    const char *beside = e->values->json ? e->values->json : e->values->csv;
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s.partial", beside ? beside : "") >= (int)sizeof path)
        return plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", beside);
    json_t *settings = settings_of(e);
    int status = settings ? plx_eval_journal_open(&e->journal, beside ? path : NULL, settings)
                          : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    json_decref(settings);
    return status;
}

/* A sweep is a plot, not pictures. */
static bool is_drawn(const plx_eval_entrant *entrant) {
    return entrant->method->drawn && entrant->sweep < 0;
}

static bool is_done(const evaluation *e, const json_t *entries, int object, int m, plx_eval_sample *samples) {
    const plx_eval_entrant *entrant = &e->entrants.list[m];
    plx_eval_entry entry = {.method = entrant->name,
                            .object = e->protocol.ids[object],
                            .count = e->protocol.targets[object],
                            .samples = samples};
    if (!plx_eval_journal_find(entries, &entry)) return false;
    return !e->sheet.path || object >= e->sheet.rows || !is_drawn(entrant) ||
           (plx_eval_strip_exists(&e->sheet, entry.object, entry.method) &&
            plx_eval_strip_exists(&e->sheet, entry.object, "input"));
}

static int find_pending(evaluation *e) {
    int count = e->protocol.count;
    json_t *entries = NULL;
    plx_eval_sample *samples = malloc((size_t)plx_eval_targets_max(&e->protocol) * sizeof *samples);
    e->pending = malloc((size_t)count * sizeof *e->pending);
    e->done = calloc((size_t)count, sizeof *e->done);
    int status = samples && e->pending && e->done ? plx_eval_journal_read(&e->journal, &entries)
                                                  : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < count && !status; i++) {
        int done = 0;
        for (int m = 0; m < e->entrants.count; m++)
            if (is_done(e, entries, i, m, samples)) e->done[i] |= UINT64_C(1) << m, done++;
        if (done < e->entrants.count) e->pending[e->pending_count++] = i;
    }
    json_decref(entries);
    free(samples);
    return status;
}

/* Of the objects that `nearest` has not been measured on. */
static int find_nearest(evaluation *e) {
    int which = -1, count = 0, status = PLX_OK;
    for (int m = 0; m < e->entrants.count; m++)
        if (e->entrants.list[m].method->needs & PLX_EVAL_NEEDS_NEAREST) which = m;
    if (which < 0) return PLX_OK;
    int *cases = malloc(((size_t)e->pending_count + 1) * sizeof *cases);
    if (!cases) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < e->pending_count; i++)
        if (!(e->done[e->pending[i]] >> which & 1)) cases[count++] = e->pending[i];
    plx_eval_nearest_options o = {.catalogue = e->values->catalogue,
                                  .data = e->values->data,
                                  .threads = e->threads,
                                  .count = count,
                                  .cases = cases};
    if (count) status = plx_eval_nearest_open(&e->nearest, &e->protocol, &o);
    free(cases);
    return status;
}

static int start(evaluation *e, const plx_eval_values *v) {
    e->values = v;
    e->means = (plx_eval_means){.elevation_known = v->elevation == PLX_EVAL_ELEVATION_KNOWN,
                                .samples = v->samples,
                                .nearest = &e->nearest};
    if (v->plot && !v->sweep.count) return plx_fail(PLX_ERROR_USAGE, "--plot: of a --sweep");
    int status = load_model(e);
    if (!status) status = load_compared(e);
    if (!status) status = plx_eval_protocol_open(&e->protocol, &e->path, v, e->means.model, e->size);
    if (!status) status = choose_methods(e);
    if (!status) status = make_results(e);
    if (!status) status = open_journal(e);
    int rows = v->rows < e->protocol.count ? v->rows : e->protocol.count;
    if (!status) status = plx_eval_sheet_open(&e->sheet, v->sheet, e->protocol.height, rows);
    if (!status) status = find_pending(e);
    if (!status) status = find_nearest(e);
    return status;
}

/* What was measured stays when something went wrong. */
static void finish(evaluation *e, bool whole) {
    bool kept = !whole && e->journal.path;
    if (kept && e->done) plx_note("%s: what is measured; the same command goes on from it", e->journal.path);
    plx_eval_sheet_close(&e->sheet, !kept);
    plx_eval_journal_close(&e->journal, !kept);
    for (int m = 0; m < e->entrants.count; m++) free(e->results[m].samples);
    for (int i = 0; i < e->compared_count; i++) plx_model_free(e->compared[i].model);
    plx_model_free(e->means.model);
    plx_eval_nearest_close(&e->nearest);
    plx_eval_protocol_close(&e->protocol);
    plx_path_free(&e->path);
    free(e->pending);
    free(e->done);
}

/* ---- one object ------------------------------------------------------------------------------------------------------ */

static int save_strip(const evaluation *e, const plx_eval_entrant *entrant, const plx_eval_case *of,
                      const plx_view *predicted) {
    int shown[SHEET_TARGETS];
    const plx_image *pictures[SHEET_TARGETS];
    if (of->index >= e->sheet.rows || !is_drawn(entrant)) return PLX_OK;
    plx_eval_sheet_targets(shown, of->views.views, of->targets);
    for (int s = 0; s < SHEET_TARGETS; s++) pictures[s] = &predicted[shown[s]].colour;
    return plx_eval_strip_save(&e->sheet, e->protocol.ids[of->index], entrant->name, SHEET_TARGETS, pictures);
}

static int save_truth(const evaluation *e, const plx_eval_case *of) {
    int shown[SHEET_TARGETS];
    const plx_image *pictures[1 + SHEET_TARGETS] = {&of->input.colour};
    if (of->index >= e->sheet.rows) return PLX_OK;
    plx_eval_sheet_targets(shown, of->views.views, of->targets);
    for (int s = 0; s < SHEET_TARGETS; s++) pictures[1 + s] = &of->views.views[1 + shown[s]].colour;
    return plx_eval_strip_save(&e->sheet, e->protocol.ids[of->index], "input", 1 + SHEET_TARGETS, pictures);
}

/* Of all threads of this process: what the work takes on one, whatever else the machine is at. */
static double processor_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

static int evaluate_entrant(const evaluation *e, const plx_eval_entrant *entrant, const plx_eval_case *of) {
    int count = of->views.count - 1;
    plx_view *predicted = calloc((size_t)count, sizeof *predicted);
    plx_eval_sample *samples = calloc((size_t)of->targets, sizeof *samples);
    plx_eval_entry entry = {.method = entrant->name,
                            .object = e->protocol.ids[of->index],
                            .count = of->targets,
                            .samples = samples};
    int status = predicted && samples ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    plx_eval_measuring measuring = {.silhouette_only = entrant->method->silhouette_only,
                                    .scores = e->values->consistency,
                                    .field_steps = e->values->field_steps};
    double begun = processor_seconds();
    for (int k = 0; k < count && !status; k++) predicted[k].camera = of->views.views[1 + k].camera;
    if (!status) status = entrant->method->predict(predicted, count, &entrant->means, of);
    entry.seconds = processor_seconds() - begun;
    if (!status) status = plx_eval_measure_case(&entry, &measuring, of, predicted);
    if (!status) status = save_strip(e, entrant, of, predicted);
    if (!status) status = plx_eval_journal_add(&e->journal, &entry);
    for (int k = 0; predicted && k < count; k++)
        plx_image_free(&predicted[k].colour), plx_image_free(&predicted[k].depth);
    free(predicted);
    free(samples);
    return status;
}

/* Job `job` of those that are pending, possibly in a process of its own. */
static int evaluate_object(int job, void *user) {
    const evaluation *e = user;
    int index = e->pending[job];
    plx_eval_case of;
    int status = e->protocol.load(&e->protocol, index, &of);
    if (status) return status;
    of.index = index;
    status = save_truth(e, &of);
    for (int m = 0; m < e->entrants.count && !status; m++) {
        if (!(e->done[index] >> m & 1)) status = evaluate_entrant(e, &e->entrants.list[m], &of);
        if (!status && plx_stop_requested()) status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    plx_eval_case_free(&of);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

/* The journal's entries, in the order of the objects. */
static int collect(evaluation *e) {
    const plx_eval_protocol *p = &e->protocol;
    json_t *entries;
    int status = plx_eval_journal_read(&e->journal, &entries);
    if (status) return status;
    for (int m = 0; m < e->entrants.count; m++) {
        plx_eval_result *r = &e->results[m];
        for (int i = 0; i < p->count && !status; i++) {
            plx_eval_entry entry = {.method = r->method,
                                    .object = p->ids[i],
                                    .count = p->targets[i],
                                    .samples = &r->samples[r->count]};
            if (!plx_eval_journal_find(entries, &entry))
                status = plx_fail(PLX_ERROR_INPUT, "%s by %s was not measured", p->ids[i], r->method);
            for (int k = 0; k < entry.count; k++) entry.samples[k].object = i;
            r->count += entry.count;
            r->seconds += entry.seconds / p->count;
        }
    }
    json_decref(entries);
    return status;
}

static int write_sheet(const evaluation *e) {
    const char *names[PLX_EVAL_ENTRANTS];
    int count = 0;
    for (int m = 0; m < e->entrants.count; m++)
        if (is_drawn(&e->entrants.list[m])) names[count++] = e->entrants.list[m].name;
    return plx_eval_sheet_save(&e->sheet, e->protocol.ids, count, names);
}

static plx_eval_set set_of(const evaluation *e) {
    const plx_eval_protocol *p = &e->protocol;
    return (plx_eval_set){.count = p->count,
                          .ids = p->ids,
                          .classes = p->classes,
                          .scales = plx_ms_ssim_scales(p->height, p->width),
                          .gaps = p->gaps};
}

/* Entrant m, paired with those that are compared as they are. */
static json_t *json_of(const evaluation *e, const plx_eval_set *set, int m) {
    plx_eval_result results[PLX_EVAL_ENTRANTS];
    const plx_eval_entrant *entrant = &e->entrants.list[m];
    int plain = e->entrants.plain, which = m < plain ? m : plain;
    const char *model = e->model_path;
    for (int i = 0; i < e->compared_count; i++)
        if (entrant->means.model == e->compared[i].model) model = e->compared[i].path;
    memcpy(results, e->results, (size_t)plain * sizeof *results);
    results[which] = e->results[m];
    json_t *out = plx_eval_json(set, m < plain ? plain : plain + 1, results, which, e->protocol.name, model);
    if (entrant->method->has)
        json_object_set_new(out, "parameters",
                            plx_eval_parameters_json(&entrant->means.numbers, entrant->method->has));
    if (entrant->sweep < 0) return out;
    const plx_eval_sweep *sweep = &e->entrants.sweeps[entrant->sweep];
    json_object_set_new(out, "swept",
                        json_pack("{s:s, s:s, s:f}", "method", entrant->method->name, "parameter",
                                  plx_eval_parameter_name(sweep->setting.parameter), "value",
                                  entrant->value));
    return out;
}

static int write_json(const evaluation *e, const plx_run *run) {
    plx_eval_set set = set_of(e);
    json_t *all = json_array();
    int status = PLX_OK;
    for (int m = 0; m < e->entrants.count && !status; m++) {
        json_t *one = json_of(e, &set, m);
        if (!one) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", e->values->json);
        json_object_set_new(one, "seconds_per_object", json_real(e->results[m].seconds));
        json_object_set(one, "protocol", e->protocol.record);
        json_object_set_new(one, "run", plx_run_record(run));
        json_array_append_new(all, one);
    }
    if (!status) status = plx_eval_json_save(e->values->json, all);
    json_decref(all);
    return status;
}

/* What the others are compared with, or -1. */
static int reference_of(const evaluation *e) {
    for (int m = 0; m < e->entrants.plain; m++)
        if (e->entrants.list[m].method->reference) return m;
    return -1;
}

/* The objects of the report are predicted once more, here and with all threads: which they are is known only now. */
static int write_page(const evaluation *e, const plx_run *run) {
    const plx_eval_protocol *p = &e->protocol;
    plx_eval_set set = set_of(e);
    plx_eval_example examples[PLX_EVAL_EXAMPLES] = {{0}};
    char title[512], lead[PATH_SIZE + 128];
    snprintf(title, sizeof title, "%d %s", p->count, p->title);
    const char *slash = strrchr(e->model_path, '/'), *model = slash ? slash + 1 : e->model_path;
    snprintf(lead, sizeof lead, "%dx%d pixels, %d views each, from one input view%s%s", p->width, p->height,
             plx_eval_targets_max(p), *model ? "; the model is " : "", model);
    int reference = reference_of(e);
    plx_eval_page page = {.title = title,
                          .lead = lead,
                          .set = &set,
                          .count = e->entrants.plain,
                          .results = e->results,
                          .entrants = &e->entrants,
                          .reference = reference < 0 ? 0 : reference,
                          .examples = examples};
    omp_set_num_threads(e->threads);
    int status = plx_eval_examples_choose(examples, &page.example_count, &set, &e->results[page.reference],
                                          e->entrants.plain);
    if (!status) status = plx_eval_examples_predict(page.example_count, examples, p, &e->entrants);
    json_t *record = plx_eval_page_record(run);
    json_object_set(record, "protocol", p->record);
    page.record = record;
    if (!status) status = plx_eval_html_save(e->values->report, &page);
    json_decref(record);
    for (int k = 0; k < page.example_count; k++) plx_eval_example_free(&examples[k], e->entrants.plain);
    return status;
}

static int report(const evaluation *e) {
    const plx_eval_protocol *p = &e->protocol;
    plx_eval_set set = set_of(e);
    int reference = reference_of(e);
    char scored[128];
    snprintf(scored, sizeof scored, "%d views along %.80s", e->path.count,
             e->values->path ? e->values->path : "orbit");
    plx_progress_end();
    printf("%d %s, %dx%d, %d views each%s%s\n", p->count, p->title, p->width, p->height,
           plx_eval_targets_max(p), *e->model_path ? "; " : "", e->model_path);
    if (e->values->consistency) printf("3D consistency: of %s\n", e->path.count ? scored : "the same views");
    printf("mean over an object's views, then over objects, [its 95 %% bootstrap interval] or +- its "
           "standard error\n");
    int status = plx_eval_print(stdout, &set, e->entrants.plain, e->results, reference < 0 ? 0 : reference);
    printf("\nseconds an object:");
    for (int m = 0; m < e->entrants.plain; m++)
        printf(" %s %.2f", e->results[m].method, e->results[m].seconds);
    printf("\n");
    return status ? status : plx_eval_sweeps_print(stdout, &set, &e->entrants, e->results);
}

static int run_eval(const plx_run *run) {
    evaluation e = {0};
    int status = start(&e, run->values), count = e.protocol.count;
    if (!status && e.pending_count < count)
        plx_note("%d of %d objects were measured already", count - e.pending_count, count);
    if (!status)
        status =
            plx_eval_share(e.pending_count, count - e.pending_count, e.threads, "eval", evaluate_object, &e);
    if (!status) status = collect(&e);
    if (!status) status = report(&e);
    if (!status && e.values->csv) {
        plx_eval_set set = set_of(&e);
        status = plx_eval_csv(e.values->csv, &set, e.entrants.count, e.results);
    }
    if (!status && e.values->plot) {
        plx_eval_set set = set_of(&e);
        status = plx_eval_sweeps_plot(e.values->plot, &set, &e.entrants, e.results, reference_of(&e));
    }
    if (!status && e.values->time_plot) {
        plx_eval_set set = set_of(&e);
        status = plx_eval_time_plot(e.values->time_plot, &set, &e.entrants, e.results);
    }
    if (!status) status = write_sheet(&e);
    if (!status && e.values->report) status = write_page(&e, run);
    if (!status && e.values->json) status = write_json(&e, run); /* last: where it is, the others are */
    finish(&e, !status);
    return status;
}

const plx_command plx_cmd_eval = {.name = "eval",
                                  .arguments = "",
                                  .summary = "measure a model on the test objects",
                                  .computes = true,
                                  .options = plx_eval_options,
                                  .values_size = sizeof(plx_eval_values),
                                  .run = run_eval};
