/* parallax eval images: pictures that any program made, against the true ones of the same names. */
#include "tools/parallax.h"

#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_folder.h"
#include "tools/evaluation_html.h"
#include "tools/evaluation_report.h"

typedef struct images_values {
    const char *against, *other, *only, *except, *json, *csv, *report;
} images_values;

#define AT(member) offsetof(images_values, member)

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "against", 0, AT(against), NULL, .word = "DIR",
     .help = "the true pictures: a folder of the same names, or any data set that `dataset info` knows"},
    {PLX_OPTION_TEXT, "and", 0, AT(other), NULL, .word = "DIR",
     .help = "a second method, compared object by object"},
    {PLX_OPTION_TEXT, "only", 0, AT(only), NULL, .word = "VIEW,...",
     .help = "no other views, such as SRN's quick list 0,24,49,74,99,124,149,174,199,224,249"},
    {PLX_OPTION_TEXT, "except", 0, AT(except), NULL, .word = "VIEW,...",
     .help = "views that are left out everywhere, such as the inputs: 64,104"},
    {PLX_OPTION_TEXT, "json", 0, AT(json), NULL, .word = "FILE",
     .help = "results in the shape of ns-eval's, one for each method"},
    {PLX_OPTION_TEXT, "csv", 0, AT(csv), NULL, .word = "FILE", .help = "one line for each view"},
    {PLX_OPTION_TEXT, "report", 0, AT(report), NULL, .word = "FILE.html",
     .help = "one page with all tables, plots, and pictures of three objects"},
    {.type = PLX_OPTION_END}};

enum { METHODS_MAX = 2, PATH_SIZE = 4096 };
#define TOGETHER_MAX ((size_t)2 << 30) /* bytes of pictures of one object, for the metrics of all of them */

typedef struct comparison {
    plx_eval_folder truth, methods[METHODS_MAX];
    plx_eval_result results[METHODS_MAX];
    int method_count, views;              /* of all objects */
    const char **ids, **classes, **files; /* classes: NULL unless every object has one */
    int scales;                           /* of MS-SSIM: -1 before the first picture, 0 when they differ */
    bool large;                           /* some object is beyond TOGETHER_MAX */
} comparison;

/* ---- one object ------------------------------------------------------------------------------------------------------- */

typedef struct object_pair {
    const plx_eval_folder *truth, *method;
    int object;
} object_pair;

static int measure_view(plx_eval_sample *out, const object_pair *pair, int k, plx_view *truth,
                        plx_view *image) {
    int status = plx_eval_picture_load(&truth->colour, pair->truth, pair->object, k);
    if (!status) status = plx_eval_picture_load(&image->colour, pair->method, pair->object, k);
    if (status) return status;
    const plx_image *a = &truth->colour, *b = &image->colour;
    const plx_eval_pictures *truths = &pair->truth->objects[pair->object],
                            *images = &pair->method->objects[pair->object];
    if (a->height != b->height || a->width != b->width)
        return plx_fail(PLX_ERROR_INPUT, "%s/%s: %dx%d pixels, but %s%s%s has %dx%d", images->path,
                        images->files[k], b->width, b->height, truths->path, truths->views ? ": " : "/",
                        truths->views ? "its view" : truths->files[k], a->width, a->height);
    return plx_eval_measure(out, truth, image, false);
}

static size_t bytes_of(const plx_image *image) {
    return (size_t)image->height * (size_t)image->width * (size_t)image->channels * sizeof(float);
}

typedef struct failure {
    int status, view; /* the first view that failed */
    char line[1024];
} failure;

/* In all threads; the pictures stay in truth and image, (count) each. */
static int measure_views(plx_eval_sample *samples, const object_pair *pair, bool keep, plx_view *truth,
                         plx_view *image) {
    failure first = {0};
#pragma omp parallel for schedule(dynamic, 1)
    for (int k = 0; k < pair->truth->objects[pair->object].count; k++) {
        int status = measure_view(&samples[k], pair, k, &truth[k], &image[k]);
        if (!keep) plx_image_free(&truth[k].colour), plx_image_free(&image[k].colour);
        if (!status) continue;
#pragma omp critical(measure_views)
        if (!first.status || k < first.view) {
            first = (failure){.status = status, .view = k};
            snprintf(first.line, sizeof first.line, "%s", plx_error());
        }
    }
    return first.status ? plx_fail(first.status, "%s", first.line) : PLX_OK;
}

static void note_scales(comparison *c, int scales) {
    c->scales = c->scales < 0 || c->scales == scales ? scales : 0;
}

static int measure_object(comparison *c, int method, int object, plx_eval_sample *samples) {
    const object_pair pair = {&c->truth, &c->methods[method], object};
    int count = c->truth.objects[object].count;
    plx_image probe = {0};
    plx_view *truth = calloc(2 * (size_t)count, sizeof *truth), *image = truth ? truth + count : NULL;
    int status = truth ? plx_eval_picture_load(&probe, &c->truth, object, 0)
                       : plx_fail(PLX_ERROR_MEMORY, "eval images: out of memory");
    bool keep = bytes_of(&probe) * 2 * (size_t)count <= TOGETHER_MAX;
    if (!status) status = measure_views(samples, &pair, keep, truth, image);
    for (int k = 0; k < count && keep && !status; k++)
        note_scales(c, plx_ms_ssim_scales(truth[k].colour.height, truth[k].colour.width));
    if (!keep) note_scales(c, 0);
    c->large = c->large || !keep;
    if (!status && keep) status = plx_eval_measure_object(samples, count, truth, image);
    for (int k = 0; k < count; k++) samples[k].object = object;
    for (int k = 0; truth && k < 2 * count; k++) plx_image_free(&truth[k].colour);
    plx_image_free(&probe);
    free(truth);
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static int open_folders(comparison *c, const plx_run *run) {
    const images_values *v = run->values;
    const plx_eval_choice choice = {.only = v->only, .except = v->except};
    const char *paths[METHODS_MAX] = {run->arguments[0], v->other};
    int status = PLX_OK;
    for (int m = 0; m < METHODS_MAX && paths[m] && !status; m++) {
        status = plx_eval_folder_open(&c->methods[m], paths[m], &choice);
        if (!status) c->method_count++;
        if (!status && m) status = plx_eval_folder_match(&c->methods[m], &c->methods[0]);
    }
    if (!status) status = plx_eval_truth_open(&c->truth, v->against, &choice, &c->methods[0]);
    for (int i = 0; i < c->truth.count; i++) c->views += c->truth.objects[i].count;
    return status;
}

static int make_results(comparison *c) {
    int view = 0;
    c->scales = -1;
    c->ids = malloc((size_t)c->truth.count * sizeof *c->ids);
    c->classes = malloc((size_t)c->truth.count * sizeof *c->classes);
    c->files = malloc((size_t)c->views * sizeof *c->files);
    bool made = c->ids && c->classes && c->files, classed = true;
    for (int i = 0; i < c->truth.count && made; i++) {
        c->ids[i] = c->truth.objects[i].name;
        c->classes[i] = c->truth.objects[i].class_name;
        classed = classed && c->classes[i];
        for (int k = 0; k < c->truth.objects[i].count; k++) c->files[view++] = c->truth.objects[i].files[k];
    }
    if (!classed) {
        free(c->classes);
        c->classes = NULL;
    }
    for (int m = 0; m < c->method_count && made; m++) {
        c->results[m] = (plx_eval_result){.method = c->methods[m].path,
                                          .count = c->views,
                                          .samples = calloc((size_t)c->views, sizeof *c->results[m].samples),
                                          .views = c->files,
                                          .seconds = NAN};
        made = c->results[m].samples != NULL;
    }
    return made ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval images: out of memory");
}

static int measure(comparison *c) {
    int status = PLX_OK, done = 0;
    for (int m = 0; m < c->method_count; m++)
        for (int i = 0, view = 0; i < c->truth.count && !status; view += c->truth.objects[i++].count) {
            status = measure_object(c, m, i, &c->results[m].samples[view]);
            if (!status && plx_progress_report(plx_show_progress, NULL, "eval images", ++done,
                                               c->method_count * c->truth.count, NULL))
                status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
        }
    if (!status && c->large) plx_note("pictures of more than 2 GB an object: no sliced Wasserstein distance");
    return status;
}

static int report(const comparison *c, const plx_eval_set *set) {
    plx_progress_end();
    printf("%d %s, %d views, against %s\n", set->count, set->count > 1 ? "objects" : "object", c->views,
           c->truth.path);
    printf("mean over an object's views, then over objects%s\n",
           set->count > 1 ? ", [its 95 % bootstrap interval]" : "; one object: no interval");
    return plx_eval_print(stdout, set, c->method_count, c->results, 0);
}

static int write_json(const comparison *c, const plx_eval_set *set, const plx_run *run) {
    const images_values *v = run->values;
    json_t *all = json_array();
    int status = PLX_OK;
    for (int m = 0; m < c->method_count && !status; m++) {
        json_t *one = plx_eval_json(set, c->method_count, c->results, m, v->against, "");
        if (!one) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", v->json);
        json_object_set_new(one, "run", plx_run_record(run));
        json_array_append_new(all, one);
    }
    if (!status) status = plx_eval_json_save(v->json, all);
    json_decref(all);
    return status;
}

static int load_flat(plx_image *out, const plx_eval_folder *folder, int object, int k) {
    plx_image picture = {0};
    int status = plx_eval_picture_load(&picture, folder, object, k);
    if (!status) status = plx_eval_example_picture(out, &picture);
    plx_image_free(&picture);
    return status;
}

static int load_example(const comparison *c, plx_eval_example *e) {
    int status = PLX_OK;
    for (int k = 0; k < e->count && !status; k++) {
        status = load_flat(&e->truth[k], &c->truth, e->object, e->views[k]);
        for (int m = 0; m < c->method_count && !status; m++)
            status = load_flat(&e->shown[m].views[k], &c->methods[m], e->object, e->views[k]);
    }
    return status;
}

static int write_page(const comparison *c, const plx_eval_set *set, const plx_run *run) {
    const images_values *v = run->values;
    plx_eval_example examples[PLX_EVAL_EXAMPLES] = {{0}};
    char lead[PATH_SIZE + 128];
    snprintf(lead, sizeof lead, "%d %s, %d views, against %s", set->count,
             set->count > 1 ? "objects" : "object", c->views, c->truth.path);
    plx_eval_page page = {.title = "Pictures against the true ones",
                          .lead = lead,
                          .set = set,
                          .count = c->method_count,
                          .results = c->results,
                          .examples = examples,
                          .record = plx_eval_page_record(run)};
    int status =
        plx_eval_examples_choose(examples, &page.example_count, set, &c->results[0], c->method_count);
    for (int k = 0; k < page.example_count && !status; k++) status = load_example(c, &examples[k]);
    if (!status) status = plx_eval_html_save(v->report, &page);
    json_decref((json_t *)(uintptr_t)page.record);
    for (int k = 0; k < page.example_count; k++) plx_eval_example_free(&examples[k], c->method_count);
    return status;
}

static int run_images(const plx_run *run) {
    const images_values *v = run->values;
    if (!v->against) return plx_fail(PLX_ERROR_USAGE, "eval images: --against is missing");
    comparison c = {0};
    /* Memory of one picture serves the next: taken from the system and given back each time, it costs a tenth of the whole. */
    mallopt(M_MMAP_THRESHOLD, INT_MAX);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    int status = open_folders(&c, run);
    if (!status) status = make_results(&c);
    if (!status) status = measure(&c);
    plx_eval_set set = {
        .count = c.truth.count, .ids = c.ids, .classes = c.classes, .scales = c.scales < 0 ? 0 : c.scales};
    if (!status) status = report(&c, &set);
    if (!status && v->json) status = write_json(&c, &set, run);
    if (!status && v->csv) status = plx_eval_csv(v->csv, &set, c.method_count, c.results);
    if (!status && v->report) status = write_page(&c, &set, run);
    for (int m = 0; m < METHODS_MAX; m++) {
        plx_eval_folder_free(&c.methods[m]);
        free(c.results[m].samples);
    }
    plx_eval_folder_free(&c.truth);
    free(c.ids);
    free(c.classes);
    free(c.files);
    return status;
}

const plx_command plx_cmd_eval_images = {.name = "eval images",
                                         .arguments = "DIR",
                                         .summary =
                                             "measure pictures against the true ones of the same names",
                                         .min_arguments = 1,
                                         .max_arguments = 1,
                                         .options = options,
                                         .values_size = sizeof(images_values),
                                         .run = run_images};
