/* parallax eval: the model on objects it was not trained on, by the protocol of datasets.h: one input view, eight targets. */
#include "tools/parallax.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/evaluation_journal.h"
#include "tools/evaluation_report.h"
#include "tools/evaluation_sheet.h"
#include "tools/evaluation_workers.h"

typedef struct eval_values {
    const char *model, *catalogue, *data, *licence, *json, *sheet, *csv;
    int split, objects, input, elevation, rows, samples;
    unsigned methods;
    int64_t seed;
} eval_values;

#define AT(member) offsetof(eval_values, member)
#define METHOD_WORDS "copy|extruded|feedforward|paper|blend"

enum method { COPY, EXTRUDED, FEEDFORWARD, PAPER, BLEND, METHODS };
static const char *const method_names[METHODS] = {"copy", "extruded", "feedforward", "paper", "blend"};
enum { INPUT_EXACT, INPUT_AUTO };
enum { ELEVATION_KNOWN, ELEVATION_UNKNOWN };
enum {
    TARGETS = PLX_PROTOCOL_TARGETS,
    SHEET_TARGETS = PLX_EVAL_SHEET_TARGETS,
    PICTURE_SIZE = 256,
    PATH_SIZE = 4096
};

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "model", 0, AT(model), NULL, .word = "FILE",
     .help = "weights (default: the shipped model)"},
    {PLX_OPTION_SET, "methods", 0, AT(methods), "copy,extruded,feedforward", .word = METHOD_WORDS,
     .help = "what is measured; paper and blend are the two refinements and take minutes an object"},
    {PLX_OPTION_CHOICE, "split", 0, AT(split), "test", .word = "test|validation", .help = "which objects"},
    {PLX_OPTION_INT, "objects", 0, AT(objects), "0", 0, 1e6,
     .help = "so many, evenly over the split; 0 = all"},
    {PLX_OPTION_TEXT, "licence", 0, AT(licence), NULL, .word = "WORD",
     .help = "only objects whose licence begins so, such as CC0"},
    {PLX_OPTION_CHOICE, "input", 0, AT(input), "exact", .word = "exact|auto",
     .help = "the input as the protocol frames it, or as reconstruct --crop auto does"},
    {PLX_OPTION_CHOICE, "elevation", 0, AT(elevation), "known", .word = "known|unknown",
     .help = "whether the model is told the input's elevation"},
    {PLX_OPTION_INT, "samples", 0, AT(samples), "96", 1, 4096, .help = "across the scene, a ray"},
    {PLX_OPTION_INT64, "seed", 0, AT(seed), "1", .help = "of the refinement"},
    {PLX_OPTION_TEXT, "catalogue", 0, AT(catalogue), "datasets/objects.tsv", .word = "FILE",
     .help = "which objects there are"},
    {PLX_OPTION_TEXT, "data", 0, AT(data), "data", .word = "DIR", .help = "where make data put them"},
    {PLX_OPTION_TEXT, "json", 0, AT(json), NULL, .word = "FILE",
     .help =
         "results in the shape of ns-eval's, one for each method; FILE.partial while it runs, to go on from"},
    {PLX_OPTION_TEXT, "csv", 0, AT(csv), NULL, .word = "FILE", .help = "one line for each view"},
    {PLX_OPTION_TEXT, "sheet", 0, AT(sheet), NULL, .word = "FILE.png",
     .help = "rows: objects; columns: input, then truth and each method for three views"},
    {PLX_OPTION_INT, "rows", 0, AT(rows), "12", 1, 1000, .help = "objects on the sheet"},
    {.type = PLX_OPTION_END}};

/* ---- the state ------------------------------------------------------------------------------------------------------ */

typedef struct evaluation {
    const eval_values *values;
    plx_catalogue catalogue;
    const plx_object **objects;  /* (count) */
    const char **ids, **classes; /* (count) theirs */
    int count;
    plx_model *model; /* NULL when no method needs one */
    char model_path[PATH_SIZE];
    int size, threads;                /* pixels; of the process */
    plx_eval_result results[METHODS]; /* of those that were asked for */
    enum method methods[METHODS];
    int method_count;
    plx_eval_journal journal;
    plx_eval_sheet sheet;
    int *pending; /* (pending_count) objects that are not whole */
    int pending_count;
    unsigned *done; /* (count) bit m: by methods[m] */
} evaluation;

static bool wanted(const eval_values *v, const plx_object *object) {
    enum plx_split split = v->split ? PLX_VALIDATION : PLX_TEST;
    return object->split == split &&
           (!v->licence || !strncmp(object->licence, v->licence, strlen(v->licence)));
}

/* The objects that are asked for, evenly over those that there are. */
static int select_objects(evaluation *e) {
    const plx_catalogue *c = &e->catalogue;
    int usable = 0, kept = 0;
    e->objects = malloc((size_t)(c->count + 1) * sizeof *e->objects);
    if (!e->objects) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < c->count; i++)
        if (wanted(e->values, &c->objects[i])) e->objects[usable++] = &c->objects[i];
    if (!usable)
        return plx_fail(PLX_ERROR_INPUT, "%s: no object of this split and licence", e->values->catalogue);
    int n = e->values->objects && e->values->objects < usable ? e->values->objects : usable;
    for (; kept < n; kept++) e->objects[kept] = e->objects[(int64_t)kept * usable / n];
    e->count = n;
    return PLX_OK;
}

static bool drawn_on_sheet(enum method method) {
    return method == FEEDFORWARD || method == PAPER || method == BLEND;
}

/* One thread here: the worker processes are forked before any OpenMP team is. */
static int load_model(evaluation *e) {
    unsigned need_model = 1u << FEEDFORWARD | 1u << PAPER | 1u << BLEND;
    e->size = 64;
    e->threads = omp_get_max_threads();
    if (!(e->values->methods & need_model)) return PLX_OK;
    omp_set_num_threads(1);
    int status = plx_model_path(e->model_path, sizeof e->model_path, e->values->model);
    if (!status) status = plx_model_load(&e->model, e->model_path);
    if (!status) e->size = plx_model_size(e->model);
    return status;
}

static int make_results(evaluation *e) {
    for (int m = 0; m < METHODS; m++) {
        if (!(e->values->methods & 1u << m)) continue;
        plx_eval_result *r = &e->results[e->method_count];
        r->method = method_names[m];
        r->samples = calloc((size_t)e->count * TARGETS, sizeof *r->samples);
        if (!r->samples) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
        e->methods[e->method_count++] = (enum method)m;
    }
    return PLX_OK;
}

/* All that a measurement depends on, its object and method aside. A model is known by its file's size and time. */
static json_t *settings_of(const evaluation *e) {
    const eval_values *v = e->values;
    struct stat info = {0};
    json_t *metrics = json_array();
    for (int m = 0; m < PLX_EVAL_METRICS; m++)
        json_array_append_new(metrics, json_string(plx_eval_kinds[m].name));
    if (*e->model_path) stat(e->model_path, &info);
    return json_pack("{s:s, s:o, s:s, s:s, s:[sII], s:b, s:b, s:i, s:I, s:i}", "version", PLX_VERSION,
                     "metrics", metrics, "catalogue", e->catalogue.hash, "data", v->data, "model",
                     e->model_path, (json_int_t)info.st_size, (json_int_t)info.st_mtime, "input",
                     v->input == INPUT_AUTO, "elevation", v->elevation == ELEVATION_KNOWN, "samples",
                     v->samples, "seed", (json_int_t)v->seed, "size", e->size);
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

static bool is_done(const evaluation *e, const json_t *entries, int object, int m) {
    plx_eval_sample samples[TARGETS];
    plx_eval_entry entry = {.method = e->results[m].method,
                            .object = e->objects[object]->id,
                            .count = TARGETS,
                            .samples = samples};
    if (!plx_eval_journal_find(entries, &entry)) return false;
    return !e->sheet.path || object >= e->sheet.rows || !drawn_on_sheet(e->methods[m]) ||
           (plx_eval_strip_exists(&e->sheet, entry.object, entry.method) &&
            plx_eval_strip_exists(&e->sheet, entry.object, "input"));
}

static int find_pending(evaluation *e) {
    json_t *entries;
    e->pending = malloc((size_t)e->count * sizeof *e->pending);
    e->done = calloc((size_t)e->count, sizeof *e->done);
    e->ids = malloc((size_t)e->count * sizeof *e->ids);
    e->classes = malloc((size_t)e->count * sizeof *e->classes);
    if (!e->pending || !e->done || !e->ids || !e->classes)
        return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    int status = plx_eval_journal_read(&e->journal, &entries);
    if (status) return status;
    for (int i = 0; i < e->count; i++) {
        e->ids[i] = e->objects[i]->id;
        e->classes[i] = e->objects[i]->class_name;
        for (int m = 0; m < e->method_count; m++)
            if (is_done(e, entries, i, m)) e->done[i] |= 1u << m;
        if (e->done[i] != (1u << e->method_count) - 1) e->pending[e->pending_count++] = i;
    }
    json_decref(entries);
    return PLX_OK;
}

static int start(evaluation *e, const eval_values *v) {
    e->values = v;
    int status = plx_catalogue_load(&e->catalogue, v->catalogue);
    if (!status) status = select_objects(e);
    if (!status) status = load_model(e);
    if (!status) status = make_results(e);
    if (!status) status = open_journal(e);
    if (!status)
        status = plx_eval_sheet_open(&e->sheet, v->sheet, e->size, v->rows < e->count ? v->rows : e->count);
    if (!status) status = find_pending(e);
    return status;
}

/* What was measured stays when something went wrong. */
static void finish(evaluation *e, bool whole) {
    bool kept = !whole && e->journal.path;
    if (kept && e->done) plx_note("%s: what is measured; the same command goes on from it", e->journal.path);
    plx_eval_sheet_close(&e->sheet, !kept);
    plx_eval_journal_close(&e->journal, !kept);
    for (int m = 0; m < e->method_count; m++) free(e->results[m].samples);
    plx_model_free(e->model);
    plx_catalogue_free(&e->catalogue);
    free(e->objects);
    free(e->ids);
    free(e->classes);
    free(e->pending);
    free(e->done);
}

/* ---- one object, one method ------------------------------------------------------------------------------------------ */

static int quiet_progress(const plx_progress *progress, void *user) {
    (void)progress, (void)user;
    return plx_stop_requested();
}

/* The input as `reconstruct --crop auto` frames it, from a picture of PICTURE_SIZE; the camera's true pose is kept, so
 * that what is measured is the framing alone. */
static int cropped_input(plx_view *out, const evaluation *e, const plx_object *object,
                         const plx_camera *camera) {
    plx_scene *scene = NULL;
    plx_draw_options o = plx_draw_options_default();
    plx_view picture = {.camera = plx_camera_resize(camera, PICTURE_SIZE, PICTURE_SIZE)};
    o.light = plx_object_light(object, 0);
    int status = plx_object_scene(&scene, object, e->values->data, 0);
    if (!status) status = plx_scene_draw(scene, &picture, &o);
    if (!status) status = plx_input_crop(out, &picture, e->size, plx_input_options_default().fill);
    plx_image_free(&picture.colour);
    plx_scene_free(scene);
    return status;
}

static int make_field(plx_field **out, const evaluation *e, enum method method, const plx_view *input) {
    bool known = e->values->elevation == ELEVATION_KNOWN;
    int status = plx_model_reconstruct(out, e->model, input, known, method != FEEDFORWARD);
    if (status || method == FEEDFORWARD) return status;
    plx_refine_options o = plx_refine_options_default(method == PAPER ? PLX_REFINE_PAPER : PLX_REFINE_BLEND);
    o.seed = (uint64_t)e->values->seed;
    return plx_field_refine(*out, e->model, input, known, &o, quiet_progress, NULL);
}

/* The target views as the method has them, (size,size,4) each, with depth where it has one. */
static int predict(plx_view out[TARGETS], const evaluation *e, enum method method, const plx_view *input,
                   const plx_views *views) {
    plx_render_options o = plx_render_options_default();
    plx_field *field = NULL;
    o.samples = e->values->samples;
    o.depth = true;
    int status = method >= FEEDFORWARD ? make_field(&field, e, method, input) : PLX_OK;
    for (int k = 0; k < TARGETS && !status; k++) {
        out[k].camera = views->views[1 + k].camera;
        if (method == COPY)
            status = plx_image_copy(&out[k].colour, &views->views[0].colour);
        else if (method == EXTRUDED)
            status = plx_eval_extrude(&out[k].colour, &views->views[0], &out[k].camera);
        else
            status = plx_field_render(field, &out[k], &o);
    }
    plx_field_free(field);
    return status;
}

/* ---- one object ------------------------------------------------------------------------------------------------------ */

static int save_strip(const evaluation *e, int object, enum method method, const plx_views *views,
                      const plx_view *predicted) {
    int shown[SHEET_TARGETS];
    const plx_image *pictures[SHEET_TARGETS];
    if (object >= e->sheet.rows || !drawn_on_sheet(method)) return PLX_OK;
    plx_eval_sheet_targets(shown, views);
    for (int s = 0; s < SHEET_TARGETS; s++) pictures[s] = &predicted[shown[s]].colour;
    return plx_eval_strip_save(&e->sheet, e->ids[object], method_names[method], SHEET_TARGETS, pictures);
}

static int save_truth(const evaluation *e, int object, const plx_view *input, const plx_views *views) {
    int shown[SHEET_TARGETS];
    const plx_image *pictures[1 + SHEET_TARGETS] = {&input->colour};
    if (object >= e->sheet.rows) return PLX_OK;
    plx_eval_sheet_targets(shown, views);
    for (int s = 0; s < SHEET_TARGETS; s++) pictures[1 + s] = &views->views[1 + shown[s]].colour;
    return plx_eval_strip_save(&e->sheet, e->ids[object], "input", 1 + SHEET_TARGETS, pictures);
}

static int evaluate_method(const evaluation *e, int m, int object, const plx_view *input,
                           const plx_views *views) {
    enum method method = e->methods[m];
    plx_view predicted[TARGETS];
    plx_eval_sample samples[TARGETS];
    plx_eval_entry entry = {
        .method = method_names[method], .object = e->ids[object], .count = TARGETS, .samples = samples};
    memset(predicted, 0, sizeof predicted);
    double begun = plx_now();
    int status = predict(predicted, e, method, input, views);
    entry.seconds = plx_now() - begun;
    for (int k = 0; k < TARGETS && !status; k++) {
        samples[k].gap = plx_camera_azimuth_gap(&views->views[0].camera, &views->views[1 + k].camera);
        status = plx_eval_measure(&samples[k], &views->views[1 + k], &predicted[k], method == EXTRUDED);
    }
    if (!status && method != EXTRUDED)
        status = plx_eval_measure_object(samples, TARGETS, &views->views[1], predicted);
    if (!status) status = save_strip(e, object, method, views, predicted);
    if (!status) status = plx_eval_journal_add(&e->journal, &entry);
    for (int k = 0; k < TARGETS; k++)
        plx_image_free(&predicted[k].colour), plx_image_free(&predicted[k].depth);
    return status;
}

/* Job `job` of those that are pending, possibly in a process of its own. */
static int evaluate_object(int job, void *user) {
    const evaluation *e = user;
    int index = e->pending[job];
    const plx_object *object = e->objects[index];
    plx_views views = {0};
    plx_view cropped = {0};
    int status = plx_protocol_views(&views, object, e->values->data, e->size);
    if (!status && e->values->input == INPUT_AUTO)
        status = cropped_input(&cropped, e, object, &views.views[0].camera);
    if (!status) {
        const plx_view *input = cropped.colour.data ? &cropped : &views.views[0];
        status = save_truth(e, index, input, &views);
        for (int m = 0; m < e->method_count && !status; m++) {
            if (!(e->done[index] >> m & 1)) status = evaluate_method(e, m, index, input, &views);
            if (!status && plx_stop_requested()) status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
        }
    }
    plx_views_free(&views);
    plx_image_free(&cropped.colour);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

/* The journal's entries, in the order of the objects. */
static int collect(evaluation *e) {
    json_t *entries;
    int status = plx_eval_journal_read(&e->journal, &entries);
    if (status) return status;
    for (int m = 0; m < e->method_count; m++) {
        plx_eval_result *r = &e->results[m];
        for (int i = 0; i < e->count && !status; i++) {
            plx_eval_entry entry = {
                .method = r->method, .object = e->ids[i], .count = TARGETS, .samples = &r->samples[r->count]};
            if (!plx_eval_journal_find(entries, &entry))
                status = plx_fail(PLX_ERROR_INPUT, "%s by %s was not measured", e->ids[i], r->method);
            for (int k = 0; k < TARGETS; k++) entry.samples[k].object = i;
            r->count += TARGETS;
            r->seconds += entry.seconds / e->count;
        }
    }
    json_decref(entries);
    return status;
}

static int write_sheet(const evaluation *e) {
    const char *names[METHODS];
    int count = 0;
    for (int m = 0; m < e->method_count; m++)
        if (drawn_on_sheet(e->methods[m])) names[count++] = e->results[m].method;
    return plx_eval_sheet_save(&e->sheet, e->ids, count, names);
}

static plx_eval_set set_of(const evaluation *e) {
    return (plx_eval_set){.count = e->count,
                          .ids = e->ids,
                          .classes = e->classes,
                          .scales = plx_ms_ssim_scales(e->size, e->size),
                          .gaps = true};
}

static int write_json(const evaluation *e, const plx_run *run) {
    char name[128];
    snprintf(name, sizeof name, "%s-%d", e->values->split ? "validation" : "test", e->size);
    plx_eval_set set = set_of(e);
    json_t *all = json_array();
    int status = PLX_OK;
    for (int m = 0; m < e->method_count && !status; m++) {
        json_t *one = plx_eval_json(&set, e->method_count, e->results, m, name, e->model_path);
        if (!one) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", e->values->json);
        json_object_set_new(one, "seconds_per_object", json_real(e->results[m].seconds));
        json_object_set_new(one, "catalogue_sha256", json_string(e->catalogue.hash));
        json_object_set_new(one, "run", plx_run_record(run));
        json_array_append_new(all, one);
    }
    if (!status) status = plx_eval_json_save(e->values->json, all);
    json_decref(all);
    return status;
}

static int report(const evaluation *e) {
    plx_eval_set set = set_of(e);
    int reference = 0;
    for (int m = 0; m < e->method_count; m++)
        if (e->methods[m] == FEEDFORWARD) reference = m;
    plx_progress_end();
    printf("%d objects of the %s split, %dx%d, %d views each%s%s\n", e->count,
           e->values->split ? "validation" : "test", e->size, e->size, TARGETS, *e->model_path ? "; " : "",
           e->model_path);
    printf("mean over an object's views, then over objects, [its 95 %% bootstrap interval] or +- its "
           "standard error\n");
    int status = plx_eval_print(stdout, &set, e->method_count, e->results, reference);
    printf("\nseconds an object:");
    for (int m = 0; m < e->method_count; m++) printf(" %s %.2f", e->results[m].method, e->results[m].seconds);
    printf("\n");
    return status;
}

static int run_eval(const plx_run *run) {
    evaluation e = {0};
    int status = start(&e, run->values);
    if (!status && e.pending_count < e.count)
        plx_note("%d of %d objects were measured already", e.count - e.pending_count, e.count);
    if (!status)
        status = plx_eval_share(e.pending_count, e.count - e.pending_count, e.threads, "eval",
                                evaluate_object, &e);
    if (!status) status = collect(&e);
    if (!status) status = report(&e);
    if (!status && e.values->json) status = write_json(&e, run);
    if (!status && e.values->csv) {
        plx_eval_set set = set_of(&e);
        status = plx_eval_csv(e.values->csv, &set, e.method_count, e.results);
    }
    if (!status) status = write_sheet(&e);
    finish(&e, !status);
    return status;
}

const plx_command plx_cmd_eval = {.name = "eval",
                                  .arguments = "",
                                  .summary = "measure a model on the test objects",
                                  .options = options,
                                  .values_size = sizeof(eval_values),
                                  .run = run_eval};
