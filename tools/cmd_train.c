/* parallax train: one stage of the model, on the default object set drawn live from its meshes, or on a data set. */
#include "tools/keep.h"

#include <stdlib.h>
#include <string.h>

typedef struct train_values {
    const char *output, *data, *catalogue, *views, *init, *frame, *planes, *heads, *predict, *store,
        *fold_models;
    int stage, condition, fold, batch, size, denoiser_width, targets, warmup, variants, validate,
        validation_objects, overfit;
    int64_t steps, seed;
    float rate, save_minutes, condition_noise;
    bool local, photometric;
} train_values;

#define AT(member) offsetof(train_values, member)

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "FOLDER",
     .help = "run folder: state, model, log.jsonl, sheets; an unfinished run in it goes on"},
    {PLX_OPTION_CHOICE, "stage", 0, AT(stage), "geometry", .word = "geometry|colour|denoiser|joint",
     .help = "what is trained (README, Training)"},
    {PLX_OPTION_TEXT, "init", 0, AT(init), NULL, .word = "FILE",
     .help = "start from this model, fresh optimiser"},
    {PLX_OPTION_INT64, "steps", 0, AT(steps), "4000", 1, 1e9, .help = "optimiser steps of this stage in all"},
    {PLX_OPTION_INT, "batch", 0, AT(batch), "8", 1, 256, .help = "objects a step"},
    {PLX_OPTION_INT, "size", 0, AT(size), NULL, 0, 256, .help = "pixels (default 32 for geometry, else 64)"},
    {PLX_OPTION_INT, "targets", 0, AT(targets), NULL, 0, 64,
     .help = "target views an object (default by stage)"},
    {PLX_OPTION_FLOAT, "rate", 0, AT(rate), "4e-4", 0, 1, .help = "learning rate of encoder and denoiser"},
    {PLX_OPTION_INT, "warmup", 0, AT(warmup), "300", 0, 1e6, .help = "steps of linear warm-up"},
    {PLX_OPTION_INT64, "seed", 0, AT(seed), "1", .help = "of everything random"},
    {PLX_OPTION_TEXT, "frame", 0, AT(frame), "camera", .word = "camera|upright",
     .help = "axes of the side planes of a fresh model"},
    {PLX_OPTION_TEXT, "planes", 0, AT(planes), NULL, .word = "triplane|pixel",
     .help = "of a fresh model; pixel: the field reads the input's own plane alone (default triplane)"},
    {PLX_OPTION_TEXT, "heads", 0, AT(heads), NULL, .word = "pooled|skip",
     .help = "of a fresh model: a side plane's texel from a whole column or row of features, or from one "
             "(default pooled)"},
    {PLX_OPTION_FLAG, "photometric", 0, AT(photometric),
     .help = "colour, joint: pixels alone are compared, what depth tells is left out"},
    {PLX_OPTION_TEXT, "predict", 0, AT(predict), NULL, .word = "v|eps",
     .help = "of a fresh denoiser; a model with another gets a fresh one (default v)"},
    {PLX_OPTION_CHOICE, "condition", 0, AT(condition), "blurred", .word = "blurred|own|two-fold",
     .help =
         "the renders that the denoiser learns from: the field's own, disturbed or as they are; or by that "
         "of --fold-models which did not see the object"},
    {PLX_OPTION_CHOICE, "fold", 0, AT(fold), "all", .word = "all|0|1",
     .help = "learn from this half of the objects alone; variants of one stay together"},
    {PLX_OPTION_TEXT, "fold-models", 0, AT(fold_models), NULL, .word = "FILE,FILE",
     .help = "two-fold: models trained with --fold 0 and with --fold 1"},
    {PLX_OPTION_INT, "denoiser-width", 0, AT(denoiser_width), "48", 16, 512,
     .help = "of a fresh denoiser; a model with another gets a fresh one"},
    {PLX_OPTION_TEXT, "data", 0, AT(data), "data", .word = "DIR",
     .help = "where make data put the default set"},
    {PLX_OPTION_TEXT, "catalogue", 0, AT(catalogue), "datasets/objects.tsv", .word = "FILE",
     .help = "its objects; several files with commas"},
    {PLX_OPTION_FLAG, "local", 0, AT(local),
     .help = "also objects whose licence keeps a model of them from being given away; the model says so"},
    {PLX_OPTION_TEXT, "views", 0, AT(views), NULL, .word = "DIR",
     .help = "train on the views of this data set (SRN, transforms.json) instead"},
    {PLX_OPTION_INT, "variants", 0, AT(variants), "8", 1, 1000, .help = "scales and lights an object"},
    {PLX_OPTION_INT, "overfit", 0, AT(overfit), "0", 0, 1e6,
     .help = "only this many objects, which are validated as well: a check of the machinery"},
    {PLX_OPTION_INT, "validate", 0, AT(validate), "1000", 0, 1e9,
     .help = "steps between validations; 0 = never"},
    {PLX_OPTION_INT, "validation-objects", 0, AT(validation_objects), "24", 1, 10000, .help = "how many"},
    {PLX_OPTION_FLOAT, "save-minutes", 0, AT(save_minutes), "10", 0, 1e6, .help = "between saves"},
    {PLX_OPTION_FLOAT, "condition-noise", 0, AT(condition_noise), "1", 0, 10,
     .help = "strength of the blur, colour shift and noise of --condition blurred"},
    {PLX_OPTION_TEXT, "store", 0, AT(store), NULL, .word = "FOLDER",
     .help = "in the end, keep the fields of the validation objects in this latent store"},
    {.type = PLX_OPTION_END}};

/* ---- batches ---------------------------------------------------------------------------------------------------- */

typedef struct source {
    const train_values *values;
    plx_catalogue catalogue;
    int *chosen, count;    /* (count) what is trained on: numbers in the catalogue, or in the data set */
    plx_training_set *set; /* live meshes, or */
    plx_dataset *dataset;  /* views on disk */
} source;

static int live_batch(const plx_batch_request *request, plx_views *out, void *user) {
    const source *s = user;
    plx_sample_options o = plx_sample_options_default();
    o.seed = request->seed;
    o.step = (uint64_t)request->step;
    o.item = request->item;
    o.size = request->size;
    o.targets = request->targets;
    o.samples = 4;
    o.variants = s->values->variants;
    o.mirror = o.recolour = o.framing = !s->values->overfit;
    o.far_targets = true;
    int object;
    return plx_training_sample(s->set, &o, out, &object);
}

/* Any view as the input, others as targets; sizes must be the request's. */
static int dataset_batch(const plx_batch_request *request, plx_views *out, void *user) {
    const source *s = user;
    plx_rng rng = plx_rng_fork(plx_rng_fork((plx_rng){request->seed, 0x6473}, (uint64_t)request->step),
                               (uint64_t)request->item);
    int object = s->chosen[plx_rng_below(rng, 0, (uint32_t)s->count)], indices[65];
    int views = plx_dataset_view_count(s->dataset, object);
    for (int k = 0; k <= request->targets; k++)
        indices[k] = (int)plx_rng_below(rng, (uint64_t)(1 + k), (uint32_t)views);
    int status = plx_dataset_load(s->dataset, object, indices, request->targets + 1, out);
    for (int k = 0; !status && k < out->count; k++)
        if (out->views[k].colour.height != request->size || out->views[k].colour.width != request->size)
            status = plx_fail(PLX_ERROR_INPUT, "%s: views of %dx%d pixels, not --size %d",
                              plx_dataset_name(s->dataset, object), out->views[k].colour.width,
                              out->views[k].colour.height, request->size);
    return status;
}

static int save_sheet(const char *path, const plx_image *sheet, void *user) {
    (void)user;
    return plx_png_save(path, sheet);
}

/* Of the validation split, evenly over the catalogue; or (--overfit) what is trained on. */
static int validation_views(plx_validation *v, const source *s, int size) {
    const train_values *values = s->values;
    const plx_selection of = {PLX_VALIDATION, PLX_ALL_FOLDS, 0};
    int *indices = malloc(((size_t)s->catalogue.count + 1) * sizeof *indices), usable = 0, status = PLX_OK;
    if (indices && values->overfit)
        memcpy(indices, s->chosen, (size_t)(usable = s->count) * sizeof *indices);
    else if (indices)
        usable = plx_catalogue_select(&s->catalogue, &of, indices);
    int wanted = values->overfit || usable < values->validation_objects ? usable : values->validation_objects;
    plx_views *items = calloc((size_t)wanted + 1, sizeof *items);
    if (!indices || !items) status = plx_fail(PLX_ERROR_MEMORY, "validation: out of memory");
    for (v->objects = 0; v->objects < wanted && !status;) {
        int i = v->objects, at = (i * usable + wanted - 1) / wanted;
        status = plx_protocol_views(&items[i], &s->catalogue.objects[indices[at]], values->data, size);
        if (!status) v->objects++;
        plx_progress progress = {"validation views", v->objects, wanted, NULL};
        if (!status && plx_show_progress(&progress, NULL)) status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    free(indices);
    v->items = items;
    v->every = values->validate;
    v->sheet = save_sheet;
    return status;
}

/* Objects to train on that are neither CC0 nor CC-BY; *licence is the first one's. */
static int count_unfree(const source *s, const char **licence) {
    int count = 0;
    for (int i = s->count - 1; i >= 0; i--) {
        const plx_object *object = &s->catalogue.objects[s->chosen[i]];
        if (plx_object_is_free(object)) continue;
        *licence = object->licence;
        count++;
    }
    return count;
}

static int check_licences(const source *s) {
    const char *licence;
    int count = count_unfree(s, &licence);
    if (!count || s->values->local) return PLX_OK;
    return plx_fail(
        PLX_ERROR_INPUT,
        "%s: %d objects under %s: a model of them is not to be given away; --local trains one for here",
        s->values->catalogue, count, licence);
}

/* The half of a data set's object, by its name as its views have it. */
static int fold_of_name(const char *name) {
    char cut[sizeof((plx_views *)0)->name];
    snprintf(cut, sizeof cut, "%s", name);
    return plx_fold_of(cut);
}

/* Of a training sample, for the two-fold condition. */
static int fold_of(const char *name, void *user) {
    const source *s = user;
    for (int i = 0; !s->dataset && i < s->count; i++) {
        const plx_object *object = &s->catalogue.objects[s->chosen[i]];
        if (!strcmp(object->id, name)) return plx_fold_of(object->group);
    }
    return fold_of_name(name);
}

static int open_views(source *s) {
    const train_values *v = s->values;
    int status = plx_dataset_open(&s->dataset, v->views);
    if (status) return status;
    int count = plx_dataset_count(s->dataset);
    s->chosen = malloc((size_t)count * sizeof *s->chosen);
    if (!s->chosen) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", v->views);
    for (int i = 0; i < count; i++)
        if (!v->fold || fold_of_name(plx_dataset_name(s->dataset, i)) == v->fold - 1)
            s->chosen[s->count++] = i;
    return s->count
               ? PLX_OK
               : plx_fail(PLX_ERROR_INPUT, "%s: none of its objects is in half %d", v->views, v->fold - 1);
}

static int open_source(source *s) {
    const train_values *v = s->values;
    const plx_selection selection = {PLX_TRAIN, v->fold - 1 /* "all" is -1 */, v->overfit};
    if (v->views) return open_views(s);
    int status = plx_catalogue_load(&s->catalogue, v->catalogue);
    if (status) return status;
    s->chosen = malloc(((size_t)s->catalogue.count + 1) * sizeof *s->chosen);
    if (!s->chosen) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", v->catalogue);
    s->count = plx_catalogue_select(&s->catalogue, &selection, s->chosen);
    status = check_licences(s);
    return status
               ? status
               : plx_training_set_open(&s->set, &s->catalogue, &selection, v->data, plx_show_progress, NULL);
}

/* What goes into the model's own record. A model that goes on from a local one stays one: `local_only` is never removed. */
static char *record_text(const plx_run *run, const source *s) {
    json_t *record =
        json_pack("{s:o, s:s, s:s, s:s}", "command", plx_run_record(run), "data",
                  s->dataset ? plx_dataset_kind(s->dataset) : "default object set (sweethome3d-furniture)",
                  "catalogue_sha256", s->catalogue.hash, "credits",
                  s->dataset ? "the data set's own"
                             : "3D models of the Debian package sweethome3d-furniture, CC0 and CC-BY: "
                               "authors in datasets/objects.tsv");
    const char *licence;
    int unfree = s->dataset ? 0 : count_unfree(s, &licence);
    char line[256];
    snprintf(line, sizeof line, "trained on %d objects under %.40s", unfree, unfree ? licence : "");
    if (record && unfree) {
        json_object_set_new(record, "local_only", json_string(line));
        json_object_set_new(record, "data", json_string(s->values->catalogue));
        json_object_set_new(record, "credits", json_string("authors and licences in the catalogue"));
    }
    char *text = record ? json_dumps(record, 0) : NULL;
    json_decref(record);
    return text;
}

static const char *class_of(const source *s, const char *id) {
    for (int i = 0; i < s->catalogue.count; i++)
        if (!strcmp(s->catalogue.objects[i].id, id)) return s->catalogue.objects[i].class_name;
    return NULL;
}

/* The trained model's field of every validation object, from its input view. */
static int keep_validation(const plx_run *run, const source *s, plx_latents *latents,
                           const plx_validation *validation) {
    char path[4096];
    plx_model *model = NULL;
    snprintf(path, sizeof path, "%s/model.safetensors", s->values->output);
    int status = plx_model_load(&model, path);
    for (int i = 0; i < validation->objects && !status; i++) {
        const plx_views *object = &validation->items[i];
        plx_field *field = NULL;
        status = plx_model_reconstruct(&field, model, &object->views[0], true, false);
        if (!status)
            status = plx_keep_field(latents, object->name, field, class_of(s, object->name), path, run);
        plx_field_free(field);
        if (!status &&
            plx_progress_report(plx_show_progress, NULL, "store", i + 1, validation->objects, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    plx_model_free(model);
    return status;
}

/* --fold-models FILE,FILE into o->fold_models, in `text`, which is to be freed. */
static int take_fold_models(plx_train_options *o, char **text, const train_values *v) {
    bool two_fold = v->condition == PLX_TRAIN_CONDITION_TWO_FOLD;
    if (two_fold != (v->fold_models != NULL))
        return plx_fail(PLX_ERROR_USAGE, two_fold
                                             ? "train: --condition two-fold needs --fold-models FILE,FILE"
                                             : "train: --fold-models is for --condition two-fold");
    if (!two_fold) return PLX_OK;
    if (v->stage < PLX_STAGE_DENOISER)
        return plx_fail(PLX_ERROR_USAGE, "train: --condition two-fold is for --stage denoiser or joint");
    *text = strdup(v->fold_models);
    if (!*text) return plx_fail(PLX_ERROR_MEMORY, "train: out of memory");
    char *comma = strchr(*text, ',');
    if (!comma || comma == *text || !comma[1] || strchr(comma + 1, ','))
        return plx_fail(PLX_ERROR_USAGE, "train: --fold-models takes two files with a comma between them");
    *comma = 0;
    o->fold_models[0] = *text;
    o->fold_models[1] = comma + 1;
    o->fold_of = fold_of;
    return PLX_OK;
}

static int run_train(const plx_run *run) {
    const train_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "train: --output FOLDER is needed");
    if (v->photometric && v->stage != PLX_STAGE_COLOUR && v->stage != PLX_STAGE_JOINT)
        return plx_fail(PLX_ERROR_USAGE, "train: --photometric is for --stage colour or joint");
    source s = {.values = v};
    plx_train_options o = plx_train_options_default((enum plx_train_stage)v->stage);
    o.steps = v->steps;
    o.batch = v->batch;
    if (v->size) o.size = v->size;
    if (v->targets) o.targets = v->targets;
    o.rate = v->rate;
    o.warmup = v->warmup;
    o.seed = (uint64_t)v->seed;
    o.folder = v->output;
    o.init = v->init;
    o.frame = v->frame;
    o.planes = v->planes;
    o.heads = v->heads;
    o.predict = v->predict;
    o.photometric = v->photometric;
    o.condition = (enum plx_train_condition)v->condition;
    o.fold = v->fold - 1;
    o.denoiser_width = v->denoiser_width;
    o.save_seconds = v->save_minutes * 60;
    o.condition_noise = v->condition_noise;
    plx_validation validation = {0};
    plx_latents *latents = NULL;
    char *fold_models = NULL;
    int status = take_fold_models(&o, &fold_models, v);
    if (!status) status = open_source(&s);
    if (!status && s.set && v->validate) status = validation_views(&validation, &s, o.size);
    if (!status && v->store && !validation.objects)
        status =
            plx_fail(PLX_ERROR_USAGE, "train: --store keeps validation objects, of which there are none");
    if (!status) status = plx_keep_open(&latents, v->store);
    char *record = status ? NULL : record_text(run, &s);
    o.record = record;
    if (!status)
        status = plx_train(&o, s.set ? live_batch : dataset_batch, &s,
                           validation.objects ? &validation : NULL, plx_show_progress, NULL);
    if (!status && latents) status = keep_validation(run, &s, latents, &validation);
    plx_latents_free(latents);
    for (int i = 0; i < validation.objects; i++) plx_views_free((plx_views *)&validation.items[i]);
    free((void *)validation.items);
    free(record);
    free(fold_models);
    free(s.chosen);
    plx_training_set_free(s.set);
    plx_dataset_free(s.dataset);
    plx_catalogue_free(&s.catalogue);
    return status;
}

const plx_command plx_cmd_train = {.name = "train",
                                   .arguments = "",
                                   .summary = "train a stage of the model; resumes what is unfinished",
                                   .computes = true,
                                   .options = options,
                                   .values_size = sizeof(train_values),
                                   .run = run_train};
