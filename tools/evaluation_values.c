#include "tools/evaluation_values.h"

#include "tools/consistency_report.h"
#include "tools/evaluation_methods.h"
#include "tools/path_options.h"

#define AT(member) offsetof(plx_eval_values, member)

const plx_option plx_eval_options[] = {
    {PLX_OPTION_CHOICE, "protocol", 0, AT(protocol), "objects", .word = "objects|srn|zero123|pictures",
     .help =
         "the default set's objects; a posed data set with source view 64 (srn) or 0 (zero123); pictures"},
    {PLX_OPTION_TEXT, "data", 0, AT(data), "data", .word = "DIR",
     .help = "where make data put the objects; the data set; the folder of pictures"},
    {PLX_OPTION_TEXT, "model", 0, AT(model), NULL, .word = "FILE",
     .help = "weights (default: the shipped model)"},
    {PLX_OPTION_SET, "methods", 0, AT(methods), "copy,extruded,feedforward", .word = PLX_EVAL_METHOD_WORDS,
     .help = "what is measured; paper and blend are the two refinements and take minutes an object"},
    {PLX_OPTION_LIST, "compare", 0, AT(compare), NULL, .word = "NAME=FILE",
     .help = "also the feed-forward field of another model, called NAME; may be given several times"},
    {PLX_OPTION_SET, "quality", 0, AT(qualities), "default", .word = PLX_QUALITY_WORDS,
     .help = "of paper and blend, as reconstruct's; several are compared, as blend-fast, blend, blend-best"},
    {PLX_OPTION_LIST, "set", 0, AT(set), NULL, .word = "NAME=VALUE",
     .help = "a number of paper, blend or views, such as gamma=0.25; likewise"},
    {PLX_OPTION_LIST, "sweep", 0, AT(sweep), NULL, .word = "NAME=V,...",
     .help =
         "those methods at each of these values, such as steps=5,10,25,50; likewise, one number at a time"},
    {PLX_OPTION_TEXT, "plot", 0, AT(plot), NULL, .word = "FILE.svg", .help = "of the sweeps"},
    {PLX_OPTION_TEXT, "time-plot", 0, AT(time_plot), NULL, .word = "FILE.svg",
     .help = "quality against seconds an object, a line a method through its qualities"},
    {PLX_OPTION_CHOICE, "split", 0, AT(split), "test", .word = "test|validation", .help = "which objects"},
    {PLX_OPTION_INT, "objects", 0, AT(objects), "0", 0, 1e6,
     .help = "so many, evenly over those there are; 0 = all"},
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
    {PLX_OPTION_TEXT, "sources", 0, AT(sources), NULL, .word = "VIEW,...",
     .help = "srn, zero123: views that are no targets, such as 64,104; the first is the input"},
    {PLX_OPTION_TEXT, "only", 0, AT(only), NULL, .word = "VIEW,...",
     .help = "srn, zero123: only these are targets; quick: SRN's list of eleven"},
    {PLX_OPTION_SET, "consistency", 0, AT(consistency), NULL, .word = PLX_SCORE_WORDS,
     .help = "3D consistency of each method's views, and of the true ones"},
    {PLX_OPTION_TEXT, "path", 0, AT(path), NULL, .word = "orbit|turntable|spiral|FILE.json",
     .help = "where those views stand (default: orbit; the targets of srn and zero123)"},
    {PLX_OPTION_INT, "path-views", 0, AT(path_views), "24", 2, 1000, .help = "along a built-in path"},
    {PLX_OPTION_INT, "field-steps", 0, AT(field_steps), "400", 1, 1000000,
     .help = "of the fit of the consistency's field, part of the score"},
    {PLX_OPTION_TEXT, "json", 0, AT(json), NULL, .word = "FILE",
     .help =
         "results in the shape of ns-eval's, one for each method; FILE.partial while it runs, to go on from"},
    {PLX_OPTION_TEXT, "csv", 0, AT(csv), NULL, .word = "FILE", .help = "one line for each view"},
    {PLX_OPTION_TEXT, "report", 0, AT(report), NULL, .word = "FILE.html",
     .help = "one page with all tables, plots, and pictures and turntables of three objects"},
    {PLX_OPTION_TEXT, "sheet", 0, AT(sheet), NULL, .word = "FILE.png",
     .help = "rows: objects; columns: input, then truth and each method for three views"},
    {PLX_OPTION_INT, "rows", 0, AT(rows), "12", 1, 1000, .help = "objects on the sheet"},
    {.type = PLX_OPTION_END}};

static int make_path(plx_path *out, const plx_eval_values *v, int size) {
    plx_path_options o = plx_path_options_default();
    if (v->path && plx_path_is_file(v->path)) return plx_path_load(out, v->path, 0, size, size);
    if (v->path) o.kind = v->path;
    o.frames = v->path_views;
    o.width = o.height = size;
    return plx_path_make(out, &o);
}

static int open_posed(plx_eval_protocol *out, const plx_path *path, const plx_eval_values *v, int size) {
    plx_eval_posed_options o = {.data = v->data,
                                .sources = v->sources                    ? v->sources
                                           : v->protocol == PLX_EVAL_SRN ? "64"
                                                                         : "0",
                                .only = v->only,
                                .objects = v->objects,
                                .size = size,
                                .crop = v->input == PLX_EVAL_INPUT_AUTO,
                                .path = path->count ? path : NULL};
    return plx_eval_posed_open(out, &o);
}

static int open_objects(plx_eval_protocol *out, const plx_path *path, const plx_eval_values *v, int size) {
    plx_eval_objects_options o = {.catalogue = v->catalogue,
                                  .data = v->data,
                                  .split = v->split ? PLX_VALIDATION : PLX_TEST,
                                  .licence = v->licence,
                                  .objects = v->objects,
                                  .size = size,
                                  .crop = v->input == PLX_EVAL_INPUT_AUTO,
                                  .path = path->count ? path : NULL};
    return plx_eval_objects_open(out, &o);
}

static int open_pictures(plx_eval_protocol *out, const plx_path *path, const plx_eval_values *v,
                         const plx_model *model, int size) {
    plx_eval_pictures_options o = {.data = v->data,
                                   .model = model,
                                   .objects = v->objects,
                                   .size = size,
                                   .path = path->count ? path : NULL};
    return plx_eval_pictures_open(out, &o);
}

int plx_eval_protocol_open(plx_eval_protocol *out, plx_path *path, const plx_eval_values *v,
                           const plx_model *model, int size) {
    bool posed = v->protocol == PLX_EVAL_SRN || v->protocol == PLX_EVAL_ZERO123;
    bool pictures = v->protocol == PLX_EVAL_PICTURES;
    *path = (plx_path){0};
    int status = v->consistency && (!posed || v->path)
                     ? make_path(path, v, pictures ? PLX_EVAL_PICTURES_SIZE : size)
                     : PLX_OK;
    if (status) return status;
    return posed      ? open_posed(out, path, v, size)
           : pictures ? open_pictures(out, path, v, model, size)
                      : open_objects(out, path, v, size);
}
