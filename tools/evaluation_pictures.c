/* A folder of pictures without truth as an evaluation's protocol: the input is the one target, a path is scored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_folder.h"
#include "tools/evaluation_protocol.h"
#include "tools/output.h"
#include "tools/parallax.h"

typedef struct source {
    plx_eval_pictures_options options;
    plx_eval_folder folder;
    char **files; /* (count) the folder's */
} source;

/* As `reconstruct` frames it; twice where the model estimates the elevation. */
static int prepare(plx_view *out, const plx_image *image, const char *path, int size,
                   const plx_eval_pictures_options *o) {
    plx_input_options options = plx_input_options_default();
    char warning[256];
    int status = PLX_OK;
    if (o->model) {
        plx_view look = {0};
        status = plx_input_prepare(&look, image, path, &options, o->size, warning);
        if (!status) status = plx_model_elevation(o->model, &look, &options.elevation);
        plx_image_free(&look.colour);
    }
    if (!status) status = plx_input_prepare(out, image, path, &options, size, warning);
    if (!status && *warning) plx_note("%s", warning);
    return status;
}

static int load(const plx_eval_protocol *p, int index, plx_eval_case *out) {
    const source *s = p->source;
    char path[PLX_OUTPUT_PATH];
    plx_image image = {0};
    *out = (plx_eval_case){.views.has_alpha = true};
    int status = plx_output_join(path, s->folder.path, s->files[index]);
    if (!status) status = plx_image_load(&image, path);
    if (!status) status = plx_eval_case_extend(out, 1, s->options.path);
    plx_view *views = out->views.views;
    if (!status) status = prepare(&out->input, &image, path, p->size, &s->options);
    if (!status) status = prepare(&views[0], &image, path, p->width, &s->options);
    if (!status) {
        views[1].camera = views[0].camera;
        status = plx_image_copy(&views[1].colour, &views[0].colour);
    }
    plx_image_free(&image);
    if (status) plx_eval_case_free(out);
    return status;
}

static void close_source(plx_eval_protocol *p) {
    source *s = p->source;
    plx_eval_folder_free(&s->folder);
    free(s->files);
    free(s);
}

static int describe(plx_eval_protocol *p, source *s) {
    const plx_eval_pictures_options *o = &s->options;
    const plx_eval_pictures *all = &s->folder.objects[0];
    s->files = calloc((size_t)p->count, sizeof *s->files);
    if (!s->files) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    for (int i = 0; i < p->count; i++) {
        s->files[i] = all->files[plx_eval_evenly(i, p->count, all->count)];
        p->ids[i] = s->files[i];
        p->targets[i] = 1;
    }
    p->size = o->size;
    p->width = p->height = PLX_EVAL_PICTURES_SIZE;
    snprintf(p->name, sizeof p->name, "pictures-%d", p->width);
    snprintf(p->title, sizeof p->title, "pictures of %.160s, the input against itself", o->data);
    p->record =
        json_pack("{s:s, s:s}", "data", o->data, "elevation_of_input", o->model ? "estimated" : "20 degrees");
    return p->record ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
}

int plx_eval_pictures_open(plx_eval_protocol *out, const plx_eval_pictures_options *options) {
    source *s = calloc(1, sizeof *s);
    *out = (plx_eval_protocol){.load = load, .close = close_source, .source = s};
    if (!s) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
    s->options = *options;
    plx_eval_choice all = {0};
    int status = plx_eval_folder_open(&s->folder, options->data, &all);
    if (!status && (s->folder.count != 1 || strcmp(s->folder.objects[0].name, ".") != 0))
        status = plx_fail(PLX_ERROR_INPUT, "%s: the pictures are to lie in the folder itself", options->data);
    int files = status ? 0 : s->folder.objects[0].count;
    int count = options->objects && options->objects < files ? options->objects : files;
    if (!status) status = plx_eval_protocol_allocate(out, count, false);
    if (!status) status = describe(out, s);
    if (status) plx_eval_protocol_close(out);
    return status;
}
