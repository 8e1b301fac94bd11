/* parallax eval: the model on objects it was not trained on, by the protocol of datasets.h: one input view, eight targets. */
#include "tools/parallax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_report.h"

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
enum { TARGETS = PLX_PROTOCOL_TARGETS, SHEET_TARGETS = 3, PICTURE_SIZE = 256, PATH_SIZE = 4096 };

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
     .help = "results in the shape of ns-eval's, one for each method"},
    {PLX_OPTION_TEXT, "csv", 0, AT(csv), NULL, .word = "FILE", .help = "one line for each view"},
    {PLX_OPTION_TEXT, "sheet", 0, AT(sheet), NULL, .word = "FILE.png",
     .help = "rows: objects; columns: input, then truth and each method for three views"},
    {PLX_OPTION_INT, "rows", 0, AT(rows), "12", 1, 1000, .help = "objects on the sheet"},
    {.type = PLX_OPTION_END}};

/* ---- the state ------------------------------------------------------------------------------------------------------ */

typedef struct evaluation {
    const eval_values *values;
    plx_catalogue catalogue;
    const plx_object **objects; /* (count) */
    int count;
    plx_model *model; /* NULL when no method needs one */
    char model_path[PATH_SIZE];
    int size;                         /* pixels */
    plx_eval_result results[METHODS]; /* of those that were asked for */
    enum method methods[METHODS];
    int method_count;
    plx_image sheet;
    int rows; /* of it */
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

static int start(evaluation *e, const eval_values *v) {
    e->values = v;
    e->size = 64;
    unsigned need_model = 1u << FEEDFORWARD | 1u << PAPER | 1u << BLEND;
    int columns = 1, status = plx_catalogue_load(&e->catalogue, v->catalogue);
    if (!status) status = select_objects(e);
    if (!status && v->methods & need_model) {
        status = plx_model_path(e->model_path, sizeof e->model_path, v->model);
        if (!status) status = plx_model_load(&e->model, e->model_path);
        if (!status) e->size = plx_model_size(e->model);
    }
    for (int m = 0; m < METHODS && !status; m++) {
        if (!(v->methods & 1u << m)) continue;
        plx_eval_result *r = &e->results[e->method_count];
        r->method = method_names[m];
        r->samples = calloc((size_t)e->count * TARGETS, sizeof *r->samples);
        if (!r->samples) status = plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
        if (drawn_on_sheet((enum method)m)) columns += SHEET_TARGETS;
        e->methods[e->method_count++] = (enum method)m;
    }
    columns += SHEET_TARGETS;
    e->rows = v->rows < e->count ? v->rows : e->count;
    if (!status && v->sheet) status = plx_image_create(&e->sheet, e->rows * e->size, columns * e->size, 3);
    for (int i = 0; i < (e->sheet.data ? e->sheet.height * e->sheet.width * 3 : 0); i++) e->sheet.data[i] = 1;
    return status;
}

static void finish(evaluation *e) {
    for (int m = 0; m < e->method_count; m++) free(e->results[m].samples);
    plx_model_free(e->model);
    plx_catalogue_free(&e->catalogue);
    plx_image_free(&e->sheet);
    free(e->objects);
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

/* The target views as the method has them, (size,size,4) each. */
static int predict(plx_image out[TARGETS], const evaluation *e, enum method method, const plx_view *input,
                   const plx_views *views) {
    plx_render_options o = plx_render_options_default();
    plx_field *field = NULL;
    o.samples = e->values->samples;
    int status = method >= FEEDFORWARD ? make_field(&field, e, method, input) : PLX_OK;
    for (int k = 0; k < TARGETS && !status; k++) {
        plx_view view = {.camera = views->views[1 + k].camera};
        if (method == COPY)
            status = plx_image_copy(&out[k], &views->views[0].colour);
        else if (method == EXTRUDED)
            status = plx_eval_extrude(&out[k], &views->views[0], &view.camera);
        else {
            status = plx_field_render(field, &view, &o);
            out[k] = view.colour;
        }
    }
    plx_field_free(field);
    return status;
}

/* ---- the contact sheet ---------------------------------------------------------------------------------------------- */

static void paste(evaluation *e, const plx_image *rgba, int row, int column) {
    plx_image flat = {0};
    if (e->sheet.data && row < e->rows && !plx_image_over(&flat, rgba, 1))
        plx_image_paste(&e->sheet, &flat, row * e->size, column * e->size);
    plx_image_free(&flat);
}

/* The targets whose azimuth is nearest to 30, 90 and 150 degrees from the input's, each once. */
static void sheet_targets(int out[SHEET_TARGETS], const plx_views *views) {
    for (int s = 0; s < SHEET_TARGETS; s++) {
        double nearest = INFINITY;
        for (int k = 0; k < TARGETS; k++) {
            bool taken = false;
            for (int before = 0; before < s; before++) taken |= out[before] == k;
            double gap = plx_camera_azimuth_gap(&views->views[0].camera, &views->views[1 + k].camera);
            double away = fabs(gap - (30 + 60 * s));
            if (taken || away >= nearest) continue;
            nearest = away;
            out[s] = k;
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

static int evaluate_method(evaluation *e, int index, int object, const plx_view *input,
                           const plx_views *views, int column) {
    enum method method = e->methods[index];
    plx_eval_result *r = &e->results[index];
    plx_image predicted[TARGETS] = {{0}};
    double begun = plx_now();
    int status = predict(predicted, e, method, input, views), shown[SHEET_TARGETS];
    r->seconds += (plx_now() - begun) / e->count;
    for (int k = 0; k < TARGETS && !status; k++) {
        plx_eval_sample *s = &r->samples[r->count++];
        s->object = object;
        s->gap = plx_camera_azimuth_gap(&views->views[0].camera, &views->views[1 + k].camera);
        status = plx_eval_measure(s, &views->views[1 + k], &predicted[k], method == EXTRUDED);
    }
    sheet_targets(shown, views);
    int step = (e->sheet.width / e->size - 1) / SHEET_TARGETS; /* columns of one view */
    for (int s = 0; s < SHEET_TARGETS && !status && drawn_on_sheet(method); s++)
        paste(e, &predicted[shown[s]], object, column + s * step);
    for (int k = 0; k < TARGETS; k++) plx_image_free(&predicted[k]);
    return status;
}

static int evaluate_object(evaluation *e, int index) {
    const plx_object *object = e->objects[index];
    plx_views views = {0};
    plx_view cropped = {0};
    int shown[SHEET_TARGETS], column = 2;
    int status = plx_protocol_views(&views, object, e->values->data, e->size);
    if (!status && e->values->input == INPUT_AUTO)
        status = cropped_input(&cropped, e, object, &views.views[0].camera);
    if (!status) {
        const plx_view *input = cropped.colour.data ? &cropped : &views.views[0];
        int step = (e->sheet.width / e->size - 1) / SHEET_TARGETS;
        sheet_targets(shown, &views);
        paste(e, &input->colour, index, 0);
        for (int s = 0; s < SHEET_TARGETS; s++)
            paste(e, &views.views[1 + shown[s]].colour, index, 1 + s * step);
        for (int m = 0; m < e->method_count && !status; m++) {
            status = evaluate_method(e, m, index, input, &views, column);
            column += drawn_on_sheet(e->methods[m]);
            if (!status && plx_stop_requested()) status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
        }
    }
    plx_views_free(&views);
    plx_image_free(&cropped.colour);
    return status;
}

static int write_json(const evaluation *e, const plx_run *run) {
    char name[128];
    snprintf(name, sizeof name, "%s-%d", e->values->split ? "validation" : "test", e->size);
    json_t *all = json_array();
    for (int m = 0; m < e->method_count; m++) {
        json_t *one = plx_eval_json(&e->results[m], name, e->model_path);
        json_object_set_new(one, "seconds_per_object", json_real(e->results[m].seconds));
        json_object_set_new(one, "catalogue_sha256", json_string(e->catalogue.hash));
        json_object_set_new(one, "run", plx_run_record(run));
        json_array_append_new(all, one);
    }
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    int status = text ? plx_file_write(e->values->json, text, strlen(text))
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", e->values->json);
    free(text);
    json_decref(all);
    return status;
}

static int write_csv(const evaluation *e) {
    const char **ids = malloc((size_t)e->count * sizeof *ids);
    if (!ids) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < e->count; i++) ids[i] = e->objects[i]->id;
    int status = plx_eval_csv(e->values->csv, e->method_count, e->results, ids);
    free(ids);
    return status;
}

static void report(const evaluation *e) {
    plx_progress_end();
    printf("%d objects of the %s split, %dx%d, %d views each%s%s\n", e->count,
           e->values->split ? "validation" : "test", e->size, e->size, TARGETS, *e->model_path ? "; " : "",
           e->model_path);
    printf("mean over an object's views, then over objects, +- its standard error\n\n");
    plx_eval_print(stdout, e->method_count, e->results);
    printf("\nseconds an object:");
    for (int m = 0; m < e->method_count; m++) printf(" %s %.2f", e->results[m].method, e->results[m].seconds);
    printf("\n");
}

static int run_eval(const plx_run *run) {
    evaluation e = {0};
    int status = start(&e, run->values);
    for (int i = 0; i < e.count && !status; i++) {
        status = evaluate_object(&e, i);
        if (!status && plx_progress_report(plx_show_progress, NULL, "eval", i + 1, e.count, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    if (!status) report(&e);
    if (!status && e.values->json) status = write_json(&e, run);
    if (!status && e.values->csv) status = write_csv(&e);
    if (!status && e.values->sheet) status = plx_png_save(e.values->sheet, &e.sheet);
    finish(&e);
    return status;
}

const plx_command plx_cmd_eval = {.name = "eval",
                                  .arguments = "",
                                  .summary = "measure a model on the test objects",
                                  .options = options,
                                  .values_size = sizeof(eval_values),
                                  .run = run_eval};
