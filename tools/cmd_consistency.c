/* parallax consistency: are generated views with poses views of one object? */
#include "tools/consistency_report.h"
#include "tools/field_depth.h"
#include "tools/parallax.h"
#include "tools/path_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct consistency_values {
    const char *object, *geometry, *thresholds, *json;
    unsigned scores;
    int input, up, steps, rays, resolution, neighbours, matches;
    float share, radius, ratio, tolerance;
    int64_t seed;
} consistency_values;

#define AT(member) offsetof(consistency_values, member)

static const plx_option options[] = {
    {PLX_OPTION_SET, "scores", 0, AT(scores), "field,tsed,reprojection,variance", .word = PLX_SCORE_WORDS,
     .help = "which to make"},
    {PLX_OPTION_TEXT, "json", 0, AT(json), NULL, .word = "FILE",
     .help = "all numbers, and what was asked for"},
    {PLX_OPTION_TEXT, "object", 0, AT(object), NULL, .word = "NAME",
     .help = "one object of several (default: all)"},
    {PLX_OPTION_INT, "input", 0, AT(input), "-1", -1, 1000000,
     .help = "the view that is the true input picture: always fitted, never measured; -1: none"},
    {PLX_OPTION_TEXT, "geometry", 0, AT(geometry), NULL, .word = "WHAT",
     .help =
         "depth for reprojection and variance: a mesh, a scene (.safetensors), a data set of the same poses "
         "(default: the views' own, or that of the field score's field)"},
    {PLX_OPTION_CHOICE, "up", 0, AT(up), "y", .word = "y|z", .help = "the mesh's up axis"},
    {PLX_OPTION_FLOAT, "tolerance", 0, AT(tolerance), "1", 0, 100, .open = true,
     .help = "of depth, in pixels' footprints"},
    {PLX_OPTION_FLOAT, "share", 0, AT(share), "0.8", 0, 1, .open = true,
     .help = "of the views, that the field is fitted to"},
    {PLX_OPTION_INT, "steps", 0, AT(steps), "400", 1, 10000000, .help = "of the fit"},
    {PLX_OPTION_INT, "rays", 0, AT(rays), "1024", 1, 65536, .help = "a step"},
    {PLX_OPTION_INT, "resolution", 0, AT(resolution), "64", 2, 1024, .help = "texels a side of a plane"},
    {PLX_OPTION_FLOAT, "radius", 0, AT(radius), NULL, 0, 1000, .open = true,
     .help = "of the sphere about the origin that holds the object (default: from the cameras)"},
    {PLX_OPTION_INT64, "seed", 0, AT(seed), "1", .help = "of the split and the fit"},
    {PLX_OPTION_TEXT, "thresholds", 0, AT(thresholds), "0.5,1,1.5,2,4", .word = "PX,...",
     .help = "of TSED, up to 8"},
    {PLX_OPTION_INT, "matches", 0, AT(matches), "10", 1, 100000, .help = "that a consistent pair has (TSED)"},
    {PLX_OPTION_FLOAT, "ratio", 0, AT(ratio), "0.8", 0, 1, .open = true, .help = "Lowe's (TSED)"},
    {PLX_OPTION_INT, "neighbours", 0, AT(neighbours), "2", 0, 100000,
     .help = "nearest cameras that a view is paired with (TSED); 0: all"},
    {.type = PLX_OPTION_END}};

enum { NEEDS_DEPTH = PLX_SCORE_REPROJECTION | PLX_SCORE_VARIANCE };

/* ---- what was asked for --------------------------------------------------------------------------------------- */

static int parse_thresholds(plx_tsed_options *o, const char *text) {
    o->thresholds = 0;
    for (const char *at = text;; at++) {
        char *end;
        float limit = strtof(at, &end);
        if (end == at || !(limit > 0 && limit < 1e4f) || (*end && *end != ',') ||
            o->thresholds == PLX_TSED_THRESHOLDS)
            return plx_fail(PLX_ERROR_USAGE, "--thresholds: '%s' is no list of 1 to %d numbers of pixels",
                            text, PLX_TSED_THRESHOLDS);
        o->threshold[o->thresholds++] = limit;
        if (!*end) return PLX_OK;
        at = end;
    }
}

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

/* Where depth comes from. */
typedef struct geometry {
    enum { OWN, MESH, SCENE, DATASET } kind;
    plx_scene *mesh;
    plx_field *field;
    plx_dataset *dataset;
} geometry;

static void geometry_close(geometry *g) {
    plx_scene_free(g->mesh);
    plx_field_free(g->field);
    plx_dataset_free(g->dataset);
}

static bool ends_in(const char *path, const char *ending) {
    size_t size = strlen(path), own = strlen(ending);
    return size >= own && !strcasecmp(path + size - own, ending);
}

static int geometry_open(geometry *g, const consistency_values *v) {
    struct stat info;
    plx_mesh *mesh;
    *g = (geometry){.kind = OWN};
    if (!v->geometry) return PLX_OK;
    if (ends_in(v->geometry, ".safetensors")) {
        g->kind = SCENE;
        return plx_field_load(&g->field, v->geometry, false);
    }
    if (plx_path_is_file(v->geometry) || (!stat(v->geometry, &info) && S_ISDIR(info.st_mode))) {
        g->kind = DATASET;
        return plx_dataset_open(&g->dataset, v->geometry);
    }
    g->kind = MESH;
    plx_mesh_options o = plx_mesh_options_default();
    o.up = v->up ? 'z' : 'y';
    int status = plx_mesh_load(&mesh, v->geometry, &o);
    return status ? status : plx_scene_create(&g->mesh, mesh);
}

static int depth_from_mesh(plx_views *views, const plx_scene *mesh) {
    plx_draw_options o = plx_draw_options_default();
    o.colour = false, o.depth = true;
    int status = PLX_OK;
    for (int i = 0; i < views->count && !status; i++) {
        plx_view drawn = {.camera = views->views[i].camera};
        status = plx_scene_draw(mesh, &drawn, &o);
        plx_image_free(&views->views[i].depth);
        views->views[i].depth = drawn.depth;
    }
    return status;
}

/* Poses in files carry at least six digits; lengths are of order 1. */
static bool same_camera(const plx_camera *a, const plx_camera *b) {
    float worst = fmaxf(fmaxf(fabsf(a->fx - b->fx), fabsf(a->fy - b->fy)),
                        fmaxf(fabsf(a->cx - b->cx), fabsf(a->cy - b->cy)));
    if (a->width != b->width || a->height != b->height || worst > 1e-2f) return false;
    for (int k = 0; k < 12; k++)
        if (fabsf(a->c2w[k] - b->c2w[k]) > 1e-3f) return false;
    return true;
}

/* Takes the depth of the view with the same camera. */
static int depth_from_views(plx_views *views, plx_views *source, const char *path) {
    for (int i = 0; i < views->count; i++) {
        int match = 0;
        while (match < source->count && !same_camera(&views->views[i].camera, &source->views[match].camera))
            match++;
        if (match == source->count)
            return plx_fail(PLX_ERROR_INPUT, "%s: no view of %s has the pose and size of view %d", path,
                            source->name, i);
        if (!source->views[match].depth.data)
            return plx_fail(PLX_ERROR_INPUT, "%s: view %d of %s has no depth", path, match, source->name);
        plx_image_free(&views->views[i].depth);
        int status = plx_image_copy(&views->views[i].depth, &source->views[match].depth);
        if (status) return status;
    }
    return PLX_OK;
}

static int find_object(const plx_dataset *dataset, const char *path, const char *name, int *out) {
    *out = plx_dataset_find(dataset, name);
    return *out < 0 ? plx_fail(PLX_ERROR_INPUT, "%s: there is no object '%s'", path, name) : PLX_OK;
}

static int depth_from_dataset(plx_views *views, const plx_dataset *dataset, const char *path) {
    plx_views source = {0};
    int object = 0, status = PLX_OK;
    if (plx_dataset_count(dataset) > 1) status = find_object(dataset, path, views->name, &object);
    if (!status) status = plx_dataset_load(dataset, object, NULL, 0, &source);
    if (!status) status = depth_from_views(views, &source, path);
    plx_views_free(&source);
    return status;
}

static bool have_depth(const plx_views *views) {
    for (int i = 0; i < views->count; i++)
        if (!views->views[i].depth.data) return false;
    return true;
}

/* ---- one object -------------------------------------------------------------------------------------------------- */

typedef struct job {
    const consistency_values *values;
    plx_tsed_options tsed;
    plx_surface_options surface;
    geometry geometry;
    bool fitted_depth; /* of some object: the views had none, and the field gave it */
    int count;
    plx_consistency_record *records;
} job;

/* The field score; `field` gets the field. The input's view leaves the others for the time of it. */
static int score_field(const job *j, plx_consistency_record *record, plx_views *views, plx_field **field) {
    const consistency_values *v = j->values;
    plx_field_score_options o = plx_field_score_options_default();
    o.share = v->share;
    o.fit.steps = v->steps, o.fit.rays = v->rays, o.fit.resolution = v->resolution;
    o.fit.radius = isnan(v->radius) ? plx_fit_radius(views) : v->radius;
    o.fit.seed = (uint64_t)v->seed;
    if (v->input < 0)
        return plx_field_score_views(&record->field, field, views, NULL, &o, plx_show_progress, NULL);
    if (v->input >= views->count)
        return plx_fail(PLX_ERROR_INPUT, "%s: has %d views, no view %d", views->name, views->count, v->input);
    plx_views others = *views;
    plx_view last = views->views[views->count - 1], input = views->views[v->input];
    others.count--;
    others.views[v->input] = last; /* the input goes last, out of the count */
    others.views[others.count] = input;
    int status = plx_field_score_views(&record->field, field, &others, &input, &o, plx_show_progress, NULL);
    others.views[v->input] = input;
    others.views[others.count] = last;
    return status;
}

/* `fitted`: for views without depth of their own. */
static int find_depth(const job *j, plx_views *views, plx_field *fitted) {
    const geometry *g = &j->geometry;
    if (g->kind == MESH) return depth_from_mesh(views, g->mesh);
    if (g->kind == DATASET) return depth_from_dataset(views, g->dataset, j->values->geometry);
    if (g->kind == SCENE) return plx_field_depth(views, g->field);
    return fitted ? plx_field_depth(views, fitted) : PLX_OK;
}

static int score_object(job *j, plx_consistency_record *record, plx_views *views) {
    unsigned scores = j->values->scores;
    plx_field *fitted = NULL;
    int status = PLX_OK;
    bool depth = scores & NEEDS_DEPTH, fit_depth = depth && j->geometry.kind == OWN && !have_depth(views);
    snprintf(record->name, sizeof record->name, "%s", views->name);
    record->views = views->count;
    j->fitted_depth |= fit_depth;
    if ((scores & PLX_SCORE_FIELD) || fit_depth) status = score_field(j, record, views, &fitted);
    if (!status && (scores & PLX_SCORE_TSED)) status = plx_tsed_score(&record->tsed, views, &j->tsed);
    if (!status && depth) status = find_depth(j, views, fit_depth ? fitted : NULL);
    if (!status && (scores & PLX_SCORE_REPROJECTION))
        status = plx_reprojection_score(&record->reprojection, views, &j->surface);
    if (!status && (scores & PLX_SCORE_VARIANCE))
        status = plx_surface_variance_score(&record->variance, views, &j->surface);
    plx_field_free(fitted);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int score_all(job *j, const plx_dataset *dataset, const char *path) {
    int count = plx_dataset_count(dataset), first = 0, last = count - 1, status = PLX_OK;
    if (j->values->object) {
        status = find_object(dataset, path, j->values->object, &first);
        last = first;
    }
    if (!status && j->geometry.kind != DATASET && j->values->geometry && last > first)
        status = plx_fail(PLX_ERROR_INPUT, "%s: one --geometry for %d objects: choose one by --object", path,
                          count);
    j->records = calloc((size_t)count, sizeof *j->records);
    if (!status && !j->records)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %d objects", path, count);
    for (int i = first; i <= last && !status; i++) {
        plx_views views = {0};
        status = plx_dataset_load(dataset, i, NULL, 0, &views);
        if (!status) status = score_object(j, &j->records[j->count], &views);
        if (!status) j->count++;
        plx_views_free(&views);
    }
    return status;
}

static const char *depth_source(const job *j) {
    if (!(j->values->scores & NEEDS_DEPTH)) return NULL;
    if (j->values->geometry) return j->values->geometry;
    return j->fitted_depth ? "of the fields that were fitted to the views" : "the views' own";
}

static int save_json(const plx_consistency_report *report, const plx_run *run, const char *path) {
    json_t *json = plx_consistency_json(report);
    json_object_set_new(json, "run", plx_run_record(run));
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    int status =
        text ? plx_file_write(path, text, strlen(text)) : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path);
    free(text);
    json_decref(json);
    return status;
}

static int run_consistency(const plx_run *run) {
    const consistency_values *v = run->values;
    const char *path = run->arguments[0];
    plx_dataset *dataset = NULL;
    job j = {.values = v, .tsed = plx_tsed_options_default(), .surface = plx_surface_options_default()};
    j.tsed.neighbours = v->neighbours, j.tsed.least_matches = v->matches, j.tsed.ratio = v->ratio;
    j.surface.tolerance = v->tolerance;
    int status = parse_thresholds(&j.tsed, v->thresholds);
    if (!status) status = plx_dataset_open(&dataset, path);
    if (!status) status = geometry_open(&j.geometry, v);
    if (!status) status = score_all(&j, dataset, path);
    plx_progress_end();
    plx_consistency_report report = {.scores = v->scores,
                                     .geometry = depth_source(&j),
                                     .tsed = &j.tsed,
                                     .count = j.count,
                                     .records = j.records};
    if (!status && v->json) status = save_json(&report, run, v->json);
    if (!status) plx_consistency_print(&report, stdout);
    free(j.records);
    geometry_close(&j.geometry);
    plx_dataset_free(dataset);
    return status;
}

const plx_command plx_cmd_consistency = {
    .name = "consistency",
    .arguments = "DATA",
    .summary = "are generated views with poses views of one object? SRN or transforms.json",
    .min_arguments = 1,
    .max_arguments = 1,
    .computes = true,
    .options = options,
    .values_size = sizeof(consistency_values),
    .run = run_consistency};
