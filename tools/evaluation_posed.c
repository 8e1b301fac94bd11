/* Data sets of posed views as an evaluation's protocol: SRN's (source view 64), zero123's (source view 0). */
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_protocol.h"
#include "tools/parallax.h"

static const char quick[] = "0,24,49,74,99,124,149,174,199,224,249"; /* SRN's (formats.md) */

typedef struct source {
    plx_eval_posed_options options;
    plx_dataset *dataset;
    int *objects; /* (count) which of the data set's */
    int *views;   /* (count) of each object, by index: the input, then the targets */
    int count;
    char *names; /* what ids and classes point into, where names have folders */
} source;

/* ---- which views ----------------------------------------------------------------------------------------------------- */

/* 64 for "000064.png"; views whose files have no such names are counted from 0. */
static int number_of(const plx_dataset *dataset, int object, int view) {
    const char *name = plx_dataset_view_name(dataset, object, view);
    size_t digits = strspn(name, "0123456789");
    return digits && digits < 10 && (!name[digits] || name[digits] == '.') ? atoi(name) : view;
}

static int find_view(const plx_dataset *dataset, long number) {
    for (int k = 0; k < plx_dataset_view_count(dataset, 0); k++)
        if (number_of(dataset, 0, k) == number) return k;
    return -1;
}

/* "64,104" -> flags of those views; *first: the view 64. */
static int read_views(bool *flags, int *first, const plx_dataset *dataset, const char *option,
                      const char *list, const char *path) {
    for (const char *at = list;; at++) {
        char *end;
        long number = strtol(at, &end, 10);
        if (!isdigit((unsigned char)*at) || (*end && *end != ','))
            return plx_fail(PLX_ERROR_USAGE, "%s: '%s' is no list of numbers of views", option, list);
        int view = find_view(dataset, number);
        if (view < 0)
            return plx_fail(PLX_ERROR_INPUT, "%s: %s has no view %.*s", path, plx_dataset_name(dataset, 0),
                            (int)(end - at), at);
        if (at == list) *first = view;
        flags[view] = true;
        if (!*end) return PLX_OK;
        at = end;
    }
}

/* The input, then the targets in their order. */
static int choose_views(source *s) {
    const plx_eval_posed_options *o = &s->options;
    const char *only = o->only && !strcmp(o->only, "quick") ? quick : o->only;
    int input = 0, ignored, count = plx_dataset_view_count(s->dataset, 0), status;
    bool *taken = calloc(2 * (size_t)count + 2, sizeof *taken), *chosen = taken ? taken + count : NULL;
    s->views = malloc(((size_t)count + 1) * sizeof *s->views);
    if (taken && s->views)
        status = read_views(taken, &input, s->dataset, "--sources", o->sources, o->data);
    else
        status = plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    if (!status && only) status = read_views(chosen, &ignored, s->dataset, "--only", only, o->data);
    if (!status) s->views[s->count++] = input;
    for (int k = 0; k < count && !status; k++)
        if (!taken[k] && (!only || chosen[k])) s->views[s->count++] = k;
    if (!status && s->count < 2)
        status = plx_fail(PLX_ERROR_INPUT, "%s: no view is left as a target", o->data);
    free(taken);
    return status;
}

/* Every object has the views of the first, by their names. */
static int check_views(const plx_dataset *dataset, const char *path) {
    const char *first = plx_dataset_name(dataset, 0);
    int views = plx_dataset_view_count(dataset, 0);
    for (int i = 1; i < plx_dataset_count(dataset); i++) {
        const char *object = plx_dataset_name(dataset, i);
        int own = plx_dataset_view_count(dataset, i);
        for (int k = 0; k < views || k < own; k++) {
            int a = k < views ? number_of(dataset, 0, k) : INT_MAX;
            int b = k < own ? number_of(dataset, i, k) : INT_MAX;
            if (a != b)
                return plx_fail(PLX_ERROR_INPUT, "%s: %s has no view %d, which %s has", path,
                                a < b ? object : first, a < b ? a : b, a < b ? first : object);
        }
    }
    return PLX_OK;
}

/* ---- one object -------------------------------------------------------------------------------------------------------- */

/* Whether some ray of a coarse grid over the picture meets the model's sphere. */
static bool sees_sphere(const plx_camera *camera) {
    enum { GRID = 16 };
    for (int i = 0; i < GRID * GRID; i++) {
        float origin[3], direction[3], near, far;
        plx_camera_ray(camera, ((float)(i % GRID) + 0.5f) / GRID * (float)camera->width,
                       ((float)(i / GRID) + 0.5f) / GRID * (float)camera->height, origin, direction);
        if (plx_ray_sphere(origin, direction, PLX_SCENE_RADIUS, &near, &far)) return true;
    }
    return false;
}

/* View `number` of the data, in its place. */
static int check_view(const plx_eval_protocol *p, const plx_view *view, const char *object, int number) {
    if (view->camera.width != p->width || view->camera.height != p->height)
        return plx_fail(PLX_ERROR_INPUT, "%s: view %d has %dx%d pixels, not %dx%d as the others", object,
                        number, view->camera.width, view->camera.height, p->width, p->height);
    if (!plx_image_is_finite(&view->colour))
        return plx_fail(PLX_ERROR_INPUT, "%s: view %d has pixels that are no numbers", object, number);
    if (!plx_image_is_finite(&view->depth))
        return plx_fail(PLX_ERROR_INPUT, "%s: the depth of view %d has pixels that are no numbers", object,
                        number);
    if (!sees_sphere(&view->camera))
        return plx_fail(PLX_ERROR_INPUT,
                        "%s: view %d does not see what the input is of: their poses have no common centre",
                        object, number);
    return PLX_OK;
}

static void scale_view(plx_view *view, float scale) {
    size_t depths = (size_t)view->depth.height * (size_t)view->depth.width * (size_t)view->depth.channels;
    for (int row = 0; row < 3; row++) view->camera.c2w[4 * row + 3] *= scale;
    for (size_t i = 0; view->depth.data && i < depths; i++) view->depth.data[i] *= scale;
}

/* So that the input's camera stands at the distance from the origin that the model knows. */
static int scale_views(plx_views *views, const char *object) {
    float at[3];
    plx_camera_position(&views->views[0].camera, at);
    float distance = sqrtf(at[0] * at[0] + at[1] * at[1] + at[2] * at[2]);
    if (!(distance > 1e-6f))
        return plx_fail(PLX_ERROR_INPUT, "%s: the input's camera is at the origin", object);
    for (int k = 0; k < views->count; k++) scale_view(&views->views[k], PLX_DEFAULT_DISTANCE / distance);
    return PLX_OK;
}

/* *picture loses its background; what methods get has its true camera, or one that is turned to the object. */
static int prepare_input(plx_view *out, plx_view *picture, const char *name,
                         const plx_eval_posed_options *o) {
    plx_input_options options = plx_input_options_default();
    plx_view matted = {0};
    char warning[256];
    options.crop = false;
    int side = picture->colour.width;
    if (picture->colour.height != side)
        return plx_fail(PLX_ERROR_INPUT, "%s: the input has %dx%d pixels, and the model takes squares", name,
                        side, picture->colour.height);
    int status = plx_input_prepare(&matted, &picture->colour, name, &options, side, warning);
    if (status) return status;
    if (*warning) plx_note("%s", warning);
    plx_image_free(&picture->colour);
    picture->colour = matted.colour;
    if (o->crop) return plx_input_crop(out, picture, o->size, options.fill);
    out->camera = plx_camera_resize(&picture->camera, o->size, o->size);
    return plx_image_resize(&out->colour, &picture->colour, o->size, o->size);
}

static int load(const plx_eval_protocol *p, int index, plx_eval_case *out) {
    const source *s = p->source;
    char input[512];
    const char *object = plx_dataset_name(s->dataset, s->objects[index]);
    *out = (plx_eval_case){.scored = 1};
    snprintf(input, sizeof input, "%s view %d", object, number_of(s->dataset, 0, s->views[0]));
    int status = plx_dataset_load(s->dataset, s->objects[index], s->views, s->count, &out->views);
    if (!status) status = scale_views(&out->views, object);
    for (int k = 0; k < s->count && !status; k++)
        status = check_view(p, &out->views.views[k], object,
                            number_of(s->dataset, s->objects[index], s->views[k]));
    if (!status) status = prepare_input(&out->input, &out->views.views[0], input, &s->options);
    if (!status) status = plx_eval_case_extend(out, s->count - 1, s->options.path);
    for (int k = s->count; k < out->views.count && !status; k++) /* the path's */
        out->views.views[k].camera = plx_camera_resize(&out->views.views[k].camera, p->width, p->height);
    if (status) plx_eval_case_free(out);
    return status;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static void close_source(plx_eval_protocol *p) {
    source *s = p->source;
    plx_dataset_free(s->dataset);
    free(s->objects);
    free(s->views);
    free(s->names);
    free(s);
}

static int choose_objects(source *s, int *count) {
    int all = plx_dataset_count(s->dataset);
    *count = s->options.objects && s->options.objects < all ? s->options.objects : all;
    s->objects = malloc((size_t)*count * sizeof *s->objects);
    if (!s->objects) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int k = 0; k < *count; k++) s->objects[k] = plx_eval_evenly(k, *count, all);
    return PLX_OK;
}

/* "cars_test/1a2b" is 1a2b of the class cars_test, where all names are so. */
static int name_objects(plx_eval_protocol *p, source *s) {
    size_t size = 1;
    bool folders = true;
    for (int i = 0; i < p->count; i++) {
        const char *name = plx_dataset_name(s->dataset, s->objects[i]);
        size += strlen(name) + 1;
        folders = folders && strchr(name, '/');
    }
    char *at = s->names = malloc(size);
    if (folders) p->classes = calloc((size_t)p->count, sizeof *p->classes);
    if (!s->names || (folders && !p->classes)) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < p->count; i++) {
        p->ids[i] = strcpy(at, plx_dataset_name(s->dataset, s->objects[i]));
        at += strlen(at) + 1;
        if (!folders) continue;
        char *slash = strrchr((char *)(uintptr_t)p->ids[i], '/');
        *slash = 0;
        p->classes[i] = p->ids[i];
        p->ids[i] = slash + 1;
    }
    return PLX_OK;
}

/* The size of all pictures is that of the first object's input. */
static int describe(plx_eval_protocol *p, source *s) {
    const plx_eval_posed_options *o = &s->options;
    plx_views first;
    int status = plx_dataset_load(s->dataset, s->objects[0], s->views, 1, &first);
    if (status) return status;
    p->width = first.views[0].camera.width, p->height = first.views[0].camera.height;
    plx_views_free(&first);
    p->size = o->size;
    p->gaps = true;
    p->true_path = !o->path;
    for (int i = 0; i < p->count; i++) p->targets[i] = s->count - 1;
    snprintf(p->name, sizeof p->name, "%s-%d", plx_dataset_kind(s->dataset), p->width);
    snprintf(p->title, sizeof p->title, "objects of %.160s (%s), input view %d%s", o->data,
             plx_dataset_kind(s->dataset), number_of(s->dataset, 0, s->views[0]),
             strchr(o->sources, ',') ? " alone of the views " : "");
    size_t used = strlen(p->title);
    if (strchr(o->sources, ',')) snprintf(p->title + used, sizeof p->title - used, "%s", o->sources);
    p->record = json_pack("{s:s, s:s, s:s, s:s?, s:b, s:f}", "data", o->data, "kind",
                          plx_dataset_kind(s->dataset), "sources", o->sources, "only", o->only, "input",
                          o->crop, "input_distance", (double)PLX_DEFAULT_DISTANCE);
    return p->record ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
}

int plx_eval_posed_open(plx_eval_protocol *out, const plx_eval_posed_options *options) {
    source *s = calloc(1, sizeof *s);
    int count = 0;
    *out = (plx_eval_protocol){.load = load, .close = close_source, .source = s};
    if (!s) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    s->options = *options;
    int status = plx_dataset_open(&s->dataset, options->data);
    if (!status) status = check_views(s->dataset, options->data);
    if (!status) status = choose_views(s);
    if (!status) status = choose_objects(s, &count);
    if (!status) status = plx_eval_protocol_allocate(out, count, false);
    if (!status) status = name_objects(out, s);
    if (!status) status = describe(out, s);
    if (status) plx_eval_protocol_close(out);
    return status;
}
