/* parallax dataset check: what would spoil training on a data set. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/dataset.h"
#include "tools/dataset_check.h"
#include "tools/jobs.h"

#define SHOWN 10 /* findings of one sort that the text names */

typedef struct check_values {
    const char *json;
} check_values;

static const plx_option options[] = {{PLX_OPTION_TEXT, "json", 0, offsetof(check_values, json), NULL,
                                      .word = "FILE", .help = "the report with all findings"},
                                     {.type = PLX_OPTION_END}};

typedef struct checking {
    const plx_dataset *dataset;
    plx_seen_object *objects;
    plx_findings findings;
} checking;

/* Of an object that was checked a few views stay, for their hashes. */
static void keep_some(plx_seen_object *object) {
    int count = object->count < PLX_CHECK_HASHES ? object->count : PLX_CHECK_HASHES;
    for (int i = 0; i < count; i++) object->views[i] = object->views[i * object->count / count];
    plx_seen_view *less = count ? realloc(object->views, (size_t)count * sizeof *less) : NULL;
    if (less) object->views = less;
    object->count = count;
}

static int check_object(int index, void *user) {
    checking *c = user;
    plx_seen_object *object = &c->objects[index];
    int status = plx_check_views(object, &c->findings, c->dataset, index);
    if (status) return status;
    plx_check_shape(object, &c->findings, index);
    keep_some(object);
    return PLX_OK;
}

/* Counts and sizes: what most objects have is expected of all. */
static void check_counts(checking *c) {
    int count = plx_dataset_count(c->dataset), odd = 0, usual = plx_dataset_view_count(c->dataset, count / 2);
    for (int i = 0; i < count; i++) odd += plx_dataset_view_count(c->dataset, i) != usual;
    if (odd && strcmp(plx_dataset_kind(c->dataset), "transforms"))
        plx_find(&c->findings, false, "counts", -1, -1, "%d of %d objects do not have %d views", odd, count,
                 usual);
    for (int i = 0; i < count; i++)
        for (int v = 1; v < c->objects[i].count; v++) {
            const plx_camera *a = &c->objects[i].views[0].camera, *b = &c->objects[i].views[v].camera;
            if (a->width == b->width && a->height == b->height) continue;
            plx_find(&c->findings, false, "sizes", i, -1, "pictures of %dx%d and of %dx%d", a->width,
                     a->height, b->width, b->height);
            break;
        }
}

/* ---- the report ---------------------------------------------------------------------------------------------------- */

static json_t *finding_json(const checking *c, const plx_finding *f) {
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o}", "severity", f->error ? "error" : "warning", "check", f->what, "object",
        f->object >= 0 ? plx_json_text(plx_dataset_name(c->dataset, f->object)) : json_null(), "view",
        f->view >= 0 ? json_integer(f->view) : json_null(), "text", plx_json_text(f->text));
}

static int write_json(const checking *c, const char *path, const char *file, int errors) {
    json_t *list = json_array();
    int64_t views = 0;
    for (int i = 0; i < plx_dataset_count(c->dataset); i++) views += plx_dataset_view_count(c->dataset, i);
    for (int i = 0; i < c->findings.count; i++)
        json_array_append_new(list, finding_json(c, &c->findings.list[i]));
    json_t *root = json_pack("{s:o, s:s, s:i, s:I, s:i, s:i, s:o}", "path", plx_json_text(path), "kind",
                             plx_dataset_kind(c->dataset), "objects", plx_dataset_count(c->dataset), "views",
                             (json_int_t)views, "errors", errors, "warnings", c->findings.count - errors,
                             "findings", list);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    int status = text ? plx_file_write(file, text, strlen(text))
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", file);
    free(text);
    json_decref(root);
    return status;
}

/* How many findings before this one are of its sort. */
static int place_in_sort(const plx_findings *findings, int index) {
    const plx_finding *f = &findings->list[index];
    int before = 0;
    for (int i = 0; i < index && before <= SHOWN; i++)
        before += findings->list[i].error == f->error && !strcmp(findings->list[i].what, f->what);
    return before;
}

static void print_text(const checking *c, const char *path, int errors) {
    for (int i = 0; i < c->findings.count; i++) {
        const plx_finding *f = &c->findings.list[i];
        int place = place_in_sort(&c->findings, i);
        if (place > SHOWN) continue;
        printf("%-8s%-12s", f->error ? "error" : "warning", f->what);
        if (place == SHOWN) {
            printf("and more\n");
            continue;
        }
        if (f->object >= 0) printf("%s", plx_dataset_name(c->dataset, f->object));
        if (f->view >= 0) printf(", view %d", f->view);
        printf("%s%s\n", f->object >= 0 ? ": " : "", f->text);
    }
    printf("%s: %s, %d objects: %d errors, %d warnings\n", path, plx_dataset_kind(c->dataset),
           plx_dataset_count(c->dataset), errors, c->findings.count - errors);
}

static int run_check(const plx_run *run) {
    const check_values *values = run->values;
    const char *path = run->arguments[0];
    plx_dataset *dataset;
    int status = plx_dataset_open(&dataset, path), errors = 0;
    if (status) return status;
    int count = plx_dataset_count(dataset);
    checking c = {.dataset = dataset, .objects = calloc((size_t)count, sizeof *c.objects)};
    if (!c.objects) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status) status = plx_run_jobs("check", count, check_object, &c);
    if (!status) {
        check_counts(&c);
        status = plx_check_twins(c.objects, &c.findings, dataset);
    }
    if (!status) status = plx_findings_sort(&c.findings);
    for (int i = 0; i < c.findings.count && !status; i++) errors += c.findings.list[i].error;
    if (!status && values->json) status = write_json(&c, path, values->json, errors);
    if (!status) print_text(&c, path, errors);
    if (!status && errors)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %d things that would spoil training", path, errors);
    for (int i = 0; c.objects && i < count; i++) plx_seen_free(&c.objects[i]);
    free(c.objects);
    plx_findings_free(&c.findings);
    plx_dataset_free(dataset);
    return status;
}

const plx_command plx_cmd_dataset_check = {.name = "dataset check",
                                           .arguments = "DIR",
                                           .summary = "what would spoil training on a data set: exit code 1",
                                           .min_arguments = 1,
                                           .max_arguments = 1,
                                           .options = options,
                                           .values_size = sizeof(check_values),
                                           .run = run_check};
