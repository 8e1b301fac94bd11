/* parallax dataset render: draws the default object set, or a part of it, as ShapeNet-SRN folders. */
#include "tools/parallax.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/dataset.h"
#include "tools/jobs.h"

/* ---- which objects: shared with `dataset sheet` ----------------------------------------------------------------- */

/* True if the comma-separated `words` is NULL or one of them is the object's class or in its id. */
static bool object_wanted(const plx_object *object, const char *words) {
    for (const char *word = words; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(word, ","), word);
        if (*text && (!strcmp(object->class_name, text) || strstr(object->id, text))) return true;
    }
    return !words;
}

int plx_select_objects(const plx_object ***out, int *count, const plx_catalogue *catalogue, int split,
                       const char *words) {
    *count = 0;
    *out = malloc(((size_t)catalogue->count + 1) * sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < catalogue->count; i++) {
        const plx_object *object = &catalogue->objects[i];
        if ((split == 0 || (int)object->split == split - 1) && object_wanted(object, words))
            (*out)[(*count)++] = object;
    }
    if (*count) return PLX_OK;
    free(*out);
    *out = NULL;
    return plx_fail(PLX_ERROR_INPUT, "no object of the catalogue is wanted%s%s", words ? ": --objects " : "",
                    words ? words : "");
}

/* ---- dataset render ----------------------------------------------------------------------------------------------- */

typedef struct render_values {
    const char *catalogue, *data, *output, *objects;
    int split, pattern, views, size, samples, variants;
    int64_t seed;
    bool geometry;
} render_values;

enum { PATTERN_DEFAULT, PATTERN_RANDOM, PATTERN_SPIRAL };

static const plx_option render_options[] = {
    {PLX_OPTION_TEXT, "output", 'o', offsetof(render_values, output), NULL, .word = "DIR",
     .help = "where to"},
    {PLX_OPTION_TEXT, "catalogue", 0, offsetof(render_values, catalogue), "datasets/objects.tsv",
     .word = "FILE", .help = "which objects there are"},
    {PLX_OPTION_TEXT, "data", 0, offsetof(render_values, data), "data", .word = "DIR",
     .help = "where `make data` put them"},
    {PLX_OPTION_CHOICE, "split", 0, offsetof(render_values, split), "all", .word = PLX_SPLIT_WORDS,
     .help = "which split"},
    {PLX_OPTION_TEXT, "objects", 0, offsetof(render_values, objects), NULL, .word = "WORD,...",
     .help = "only objects of such a class, or with it in their id"},
    {PLX_OPTION_CHOICE, "pattern", 0, offsetof(render_values, pattern), "default",
     .word = "default|srn-random|srn-spiral", .help = "where the cameras stand"},
    {PLX_OPTION_INT, "views", 0, offsetof(render_values, views), "0", 0, 100000,
     .help = "of each object; 0: 24, 50 and 251 by pattern"},
    {PLX_OPTION_INT, "size", 0, offsetof(render_values, size), "128", 1, 4096, .help = "pixels a side"},
    {PLX_OPTION_INT, "samples", 0, offsetof(render_values, samples), "16", 1, 1024,
     .help = "a pixel, a square number"},
    {PLX_OPTION_INT, "variants", 0, offsetof(render_values, variants), "1", 1, 1000,
     .help = "of each object, scaled and lit differently; the first is the object as it is"},
    {PLX_OPTION_INT64, "seed", 0, offsetof(render_values, seed), "1", 0, 9007199254740992.0,
     .help = "of the cameras"},
    {PLX_OPTION_FLAG, "geometry", 0, offsetof(render_values, geometry),
     .help = "depth and normals in EXR files beside"},
    {.type = PLX_OPTION_END}};

/* One object in one variant, to be drawn. */
typedef struct job {
    const plx_object *object;
    int variant;
    char folder[512], name[128];
} job;

static plx_camera camera_of(const render_values *values, const job *of, int index) {
    switch (values->pattern) {
    case PATTERN_RANDOM:
        return plx_srn_random_camera((uint64_t)values->seed, of->name, index, values->size);
    case PATTERN_SPIRAL:
        return plx_srn_spiral_camera(index, values->views, values->size);
    }
    return plx_default_camera((uint64_t)values->seed, of->name, index, values->size);
}

/* intrinsics.txt is written last: where it is, the object is complete. */
static bool is_complete(const job *of) {
    char path[1024];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s/intrinsics.txt", of->folder, of->name);
    return stat(path, &info) == 0;
}

static int render_object(const render_values *values, const job *of) {
    plx_scene *scene = NULL;
    plx_views views = {0};
    int status = plx_object_scene(&scene, of->object, values->data, of->variant);
    if (!status) status = plx_views_create(&views, values->views);
    plx_draw_options options = plx_draw_options_default();
    options.samples = values->samples;
    options.light = plx_object_light(of->object, of->variant);
    options.depth = options.normal = values->geometry;
    for (int i = 0; i < values->views && !status; i++) {
        views.views[i].camera = camera_of(values, of, i);
        status = plx_stop_requested() ? plx_fail(PLX_ERROR_CANCELLED, "stopped")
                                      : plx_scene_draw(scene, &views.views[i], &options);
    }
    plx_scene_free(scene);
    if (!status) {
        views.has_alpha = true;
        snprintf(views.name, sizeof views.name, "%s", of->name);
        status = plx_srn_save(of->folder, &views);
    }
    plx_views_free(&views);
    return status;
}

typedef struct rendering {
    const render_values *values;
    const job *jobs;
    int skipped;
} rendering;

static int render_job(int index, void *user) {
    rendering *r = user;
    if (!is_complete(&r->jobs[index])) return render_object(r->values, &r->jobs[index]);
#pragma omp atomic
    r->skipped++;
    return PLX_OK;
}

static int render_jobs(const render_values *values, const job *jobs, int count) {
    rendering r = {.values = values, .jobs = jobs};
    int status = plx_run_jobs("render", count, render_job, &r);
    if (!status && r.skipped) plx_note("%d of %d objects were there already", r.skipped, count);
    return status;
}

/* The folder's record: what its pictures depend on. A folder made otherwise is not added to. */
static int write_record(const render_values *values, const char *hash) {
    char path[1024];
    static const char *const patterns[] = {"default", "srn-random", "srn-spiral"};
    snprintf(path, sizeof path, "%s/dataset.json", values->output);
    json_t *record = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:b}", "catalogue_sha256", hash,
                               "pattern", patterns[values->pattern], "views", values->views, "size",
                               values->size, "samples", values->samples, "variants", values->variants, "seed",
                               (json_int_t)values->seed, "geometry", (int)values->geometry);
    if (!record) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    struct stat info;
    json_t *old = stat(path, &info) == 0 ? json_load_file(path, 0, NULL) : NULL;
    char *text = json_dumps(record, JSON_INDENT(1));
    int status = PLX_OK;
    if (old && !json_equal(old, record))
        status = plx_fail(PLX_ERROR_INPUT, "%s: this folder was made with other options; give another", path);
    else if (!old)
        status =
            text ? plx_file_write(path, text, strlen(text)) : plx_fail(PLX_ERROR_MEMORY, "out of memory");
    free(text);
    json_decref(old);
    json_decref(record);
    return status;
}

/* The licences ask for it: who made what, beside the pictures. */
static int write_credits(const render_values *values, const plx_object *const *objects, int count) {
    char path[1024];
    snprintf(path, sizeof path, "%s/credits.tsv", values->output);
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    fprintf(writer.file, "id\tname\tlicence\tcredit\n");
    for (int i = 0; i < count; i++)
        fprintf(writer.file, "%s\t%s\t%s\t%s\n", objects[i]->id, objects[i]->name, objects[i]->licence,
                objects[i]->credit);
    return plx_writer_commit(&writer);
}

static int make_jobs(job **out, const render_values *values, const plx_object *const *objects, int count) {
    *out = calloc((size_t)count * (size_t)values->variants, sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < count; i++)
        for (int v = 0; v < values->variants; v++) {
            job *made = &(*out)[i * values->variants + v];
            made->object = objects[i];
            made->variant = v;
            const char *split = plx_split_name(objects[i]->split);
            if (snprintf(made->folder, sizeof made->folder, "%s/%s", values->output, split) >=
                (int)sizeof made->folder)
                return plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", values->output);
            if (v)
                snprintf(made->name, sizeof made->name, "%.110s-v%d", objects[i]->id, v);
            else
                snprintf(made->name, sizeof made->name, "%s", objects[i]->id);
        }
    return PLX_OK;
}

static int run_render(const plx_run *run) {
    render_values *values = run->values;
    static const int own_views[] = {24, 50, 251};
    int side = 1;
    while (side * side < values->samples) side++;
    if (!values->output) return plx_fail(PLX_ERROR_USAGE, "dataset render: --output is missing");
    if (side * side != values->samples)
        return plx_fail(PLX_ERROR_USAGE, "--samples %d: is not a square number", values->samples);
    if (!values->views) values->views = own_views[values->pattern];

    plx_catalogue catalogue;
    const plx_object **objects = NULL;
    job *jobs = NULL;
    int count = 0, status = plx_catalogue_load(&catalogue, values->catalogue);
    if (status) return status;
    status = plx_select_objects(&objects, &count, &catalogue, values->split, values->objects);
    if (!status) status = plx_make_directories(values->output);
    if (!status) status = write_record(values, catalogue.hash);
    if (!status) status = write_credits(values, objects, count);
    if (!status) status = make_jobs(&jobs, values, objects, count);
    if (!status) status = render_jobs(values, jobs, count * values->variants);
    if (!status)
        plx_note("%s: %d objects of %d views", values->output, count * values->variants, values->views);
    free(jobs);
    free(objects);
    plx_catalogue_free(&catalogue);
    return status;
}

const plx_command plx_cmd_dataset_render = {.name = "dataset render",
                                            .summary = "draw the default object set as ShapeNet-SRN folders",
                                            .options = render_options,
                                            .values_size = sizeof(render_values),
                                            .run = run_render};
