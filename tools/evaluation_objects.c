/* The default object set as an evaluation's protocol. */
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_protocol.h"
#include "tools/parallax.h"

enum { PICTURE_SIZE = 256 }; /* pixels of the picture that is cropped */

typedef struct source {
    plx_eval_objects_options options;
    plx_catalogue catalogue;
    const plx_object **objects;
} source;

static bool wanted(const plx_eval_objects_options *o, const plx_object *object) {
    return object->split == o->split &&
           (!o->licence || !strncmp(object->licence, o->licence, strlen(o->licence)));
}

/* The objects that are asked for, evenly over those that there are. */
static int select_objects(source *s, int *count) {
    const plx_catalogue *c = &s->catalogue;
    int usable = 0;
    s->objects = malloc((size_t)(c->count + 1) * sizeof *s->objects);
    if (!s->objects) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < c->count; i++)
        if (wanted(&s->options, &c->objects[i])) s->objects[usable++] = &c->objects[i];
    if (!usable)
        return plx_fail(PLX_ERROR_INPUT, "%s: no object of this split and licence", s->options.catalogue);
    int n = s->options.objects && s->options.objects < usable ? s->options.objects : usable;
    for (int kept = 0; kept < n; kept++) s->objects[kept] = s->objects[plx_eval_evenly(kept, n, usable)];
    *count = n;
    return PLX_OK;
}

/* The input as `reconstruct --crop auto` frames it, from a picture of PICTURE_SIZE; the camera's true pose is kept, so
 * that what is measured is the framing alone. */
static int cropped_input(plx_view *out, const source *s, const plx_object *object, const plx_camera *camera) {
    plx_scene *scene = NULL;
    plx_draw_options o = plx_draw_options_default();
    plx_view picture = {.camera = plx_camera_resize(camera, PICTURE_SIZE, PICTURE_SIZE)};
    o.light = plx_object_light(object, 0);
    int status = plx_object_scene(&scene, object, s->options.data, 0);
    if (!status) status = plx_scene_draw(scene, &picture, &o);
    if (!status) status = plx_input_crop(out, &picture, s->options.size, plx_input_options_default().fill);
    plx_image_free(&picture.colour);
    plx_scene_free(scene);
    return status;
}

/* The path as plx_protocol_views draws the others. */
static int draw_path(plx_eval_case *of, const source *s, const plx_object *object) {
    plx_scene *scene = NULL;
    plx_draw_options o = plx_draw_options_default();
    o.samples = 16;
    o.depth = true;
    int status = plx_eval_case_extend(of, PLX_PROTOCOL_TARGETS, s->options.path);
    if (!status) status = plx_object_scene(&scene, object, s->options.data, 0);
    for (int k = of->scored; k < of->views.count && !status; k++)
        status = plx_scene_draw(scene, &of->views.views[k], &o);
    plx_scene_free(scene);
    return status;
}

static int load(const plx_eval_protocol *p, int index, plx_eval_case *out) {
    const source *s = p->source;
    const plx_object *object = s->objects[index];
    *out = (plx_eval_case){.targets = PLX_PROTOCOL_TARGETS, .scored = 1};
    int status = plx_protocol_views(&out->views, object, s->options.data, s->options.size);
    if (!status && s->options.path) status = draw_path(out, s, object);
    if (!status && s->options.crop) {
        status = cropped_input(&out->input, s, object, &out->views.views[0].camera);
    } else if (!status) {
        out->input.camera = out->views.views[0].camera;
        status = plx_image_copy(&out->input.colour, &out->views.views[0].colour);
    }
    if (status) plx_eval_case_free(out);
    return status;
}

static void close_source(plx_eval_protocol *p) {
    source *s = p->source;
    plx_catalogue_free(&s->catalogue);
    free(s->objects);
    free(s);
}

static int describe(plx_eval_protocol *p, const source *s) {
    const plx_eval_objects_options *o = &s->options;
    const char *split = plx_split_name(o->split);
    snprintf(p->name, sizeof p->name, "%s-%d", split, o->size);
    snprintf(p->title, sizeof p->title, "objects of the %s split", split);
    p->size = p->width = p->height = o->size;
    p->true_path = p->gaps = true;
    for (int i = 0; i < p->count; i++) {
        p->ids[i] = s->objects[i]->id;
        p->classes[i] = s->objects[i]->class_name;
        p->targets[i] = PLX_PROTOCOL_TARGETS;
    }
    p->record = json_pack("{s:s, s:s, s:b}", "catalogue_sha256", s->catalogue.hash, "data", o->data, "input",
                          o->crop);
    return p->record ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
}

int plx_eval_objects_open(plx_eval_protocol *out, const plx_eval_objects_options *options) {
    source *s = calloc(1, sizeof *s);
    int count = 0;
    *out = (plx_eval_protocol){.load = load, .close = close_source, .source = s};
    if (!s) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    s->options = *options;
    int status = plx_catalogue_load(&s->catalogue, options->catalogue);
    if (!status) status = select_objects(s, &count);
    if (!status) status = plx_eval_protocol_allocate(out, count, true);
    if (!status) status = describe(out, s);
    if (status) plx_eval_protocol_close(out);
    return status;
}
