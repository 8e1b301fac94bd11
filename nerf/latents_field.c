/* Fields and scene files in the latent store, both by way of a scene file's tensors and metadata (store.c). */
#define _GNU_SOURCE /* asprintf */
#include "nerf/field.h"
#include "nerf/latents.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nerf/tensor/blocks.h"

enum { MAX_HISTORY = 16384, MAX_DECODER = 64 /* tensors */ };

plx_latent_note plx_latent_note_default(void) {
    return (plx_latent_note){.as = -1, .thumbnail = 64};
}

/* What a put needs in memory beside the latent, which points into it. */
typedef struct scene {
    plx_latent latent;
    float *planes[PLX_LATENT_PLANES], *decoder, *state;
    unsigned char *thumbnail;
    char *layout, *rules, *history;
    bool half; /* the planes, where they come from */
} scene;

static void free_scene(scene *s) {
    for (int i = 0; i < PLX_LATENT_PLANES; i++) free(s->planes[i]);
    free(s->decoder);
    free(s->state);
    free(s->thumbnail);
    free(s->layout);
    free(s->rules);
    free(s->history);
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static const char *behind(const char *name, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) ? NULL : name + length;
}

static int take_plane(scene *s, const plx_checkpoint *checkpoint, int index) {
    const char *tensor = plx_checkpoint_name(checkpoint, index), *name = behind(tensor, "planes.");
    plx_latent_plane *p = &s->latent.plane[s->latent.planes];
    int ndim, shape[PLX_MAX_DIMENSIONS];
    int status = plx_checkpoint_shape(checkpoint, tensor, &ndim, shape);
    if (status) return status;
    if (s->latent.planes == PLX_LATENT_PLANES || strlen(name) >= sizeof p->name || ndim != 4 || shape[0] != 1)
        return plx_fail(PLX_ERROR_INPUT, "tensor '%s' is no plane of a latent", tensor);
    strcpy(p->name, name);
    p->rows = shape[1];
    p->columns = shape[2];
    p->channels = shape[3];
    float *texels = malloc(sizeof *texels * (size_t)shape[1] * (size_t)shape[2] * (size_t)shape[3] + 1);
    p->texels = s->planes[s->latent.planes++] = texels;
    if (!texels) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    s->half = strcmp(plx_checkpoint_dtype(checkpoint, index), "F16") == 0;
    return plx_checkpoint_read(checkpoint, tensor, ndim, shape, texels);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds a tensor's numbers behind those of the decoder so far, and its shape to the layout. */
static int take_weights(scene *s, const plx_checkpoint *checkpoint, const char *tensor, json_t *layout) {
    int ndim, shape[PLX_MAX_DIMENSIONS];
    size_t numbers = 1;
    json_t *sizes = json_array();
    int status = plx_checkpoint_shape(checkpoint, tensor, &ndim, shape);
    for (int i = 0; i < ndim && !status; i++) {
        numbers *= (size_t)shape[i];
        json_array_append_new(sizes, json_integer(shape[i]));
    }
    json_object_set_new(layout, behind(tensor, "decoder."), sizes);
    if (status) return status;
    float *more = realloc(s->decoder, sizeof *more * (s->latent.decoder_numbers + numbers + 1));
    if (!more) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    s->latent.decoder = s->decoder = more;
    status = plx_checkpoint_read(checkpoint, tensor, ndim, shape, more + s->latent.decoder_numbers);
    s->latent.decoder_numbers += numbers;
    return status;
}

static int take_tensors(scene *s, const plx_checkpoint *checkpoint) {
    const char *weights[MAX_DECODER];
    int count = 0, status = PLX_OK;
    for (int i = 0; i < plx_checkpoint_count(checkpoint) && !status; i++) {
        const char *tensor = plx_checkpoint_name(checkpoint, i);
        if (behind(tensor, "planes."))
            status = take_plane(s, checkpoint, i);
        else if (behind(tensor, "decoder.") && count < MAX_DECODER)
            weights[count++] = tensor;
        else
            status = plx_fail(PLX_ERROR_INPUT, "tensor '%s' is neither a plane nor the decoder's", tensor);
    }
    if (status) return status;
    qsort(weights, (size_t)count, sizeof *weights,
          compare_names); /* one order, so that equal decoders are kept once */
    json_t *layout = json_object();
    for (int i = 0; i < count && !status; i++) status = take_weights(s, checkpoint, weights[i], layout);
    s->latent.decoder_layout = s->layout = json_dumps(layout, JSON_COMPACT);
    json_decref(layout);
    if (!status && !s->layout) status = plx_fail(PLX_ERROR_MEMORY, "out of memory");
    return status;
}

/* ---- texts, thumbnail, state --------------------------------------------------------------------------- */

static const char *const beside_rules[] = {"class", "source", "history"}; /* keys in a file's metadata */

static int take_rules(scene *s, const plx_checkpoint *checkpoint) {
    char *all = plx_checkpoint_metadata(checkpoint);
    json_t *rules = all ? json_loads(all, 0, NULL) : NULL;
    for (int i = 0; i < 3; i++) json_object_del(rules, beside_rules[i]);
    s->latent.rules = s->rules = json_dumps(rules, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(rules);
    free(all);
    return s->rules ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "out of memory");
}

/* The first that says something. */
static const char *first_of(const char *a, const char *b, const char *c) {
    return a ? a : b && *b ? b : c ? c : "";
}

static int take_texts(scene *s, const plx_checkpoint *checkpoint, const plx_latent *old,
                      const plx_latent_note *note) {
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    s->latent.class_name =
        first_of(note->class_name, plx_checkpoint_get(checkpoint, "class"), old->class_name);
    s->latent.source = first_of(note->source, plx_checkpoint_get(checkpoint, "source"), old->source);
    const char *before = first_of(NULL, plx_checkpoint_get(checkpoint, "history"), old->history);
    while (strlen(before) > MAX_HISTORY) { /* the oldest lines go */
        const char *end = strchr(before, '\n');
        before = end ? end + 1 : "";
    }
    if (asprintf(&s->history, "%s%s %s\n", before, when, note->what ? note->what : "put") < 0) {
        s->history = NULL;
        return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    }
    s->latent.history = s->history;
    return PLX_OK;
}

static int take_thumbnail(scene *s, plx_field *field, int size) {
    plx_view view = {.camera = plx_camera_orbit(0.5f, 0.35f,
                                                PLX_DEFAULT_DISTANCE / PLX_SCENE_RADIUS * field->frame.radius,
                                                PLX_DEFAULT_FOV, size, size)};
    plx_camera input;
    if (plx_field_input_camera(field, &input)) view.camera = plx_camera_resize(&input, size, size);
    plx_render_options options = plx_render_options_default();
    int status = plx_field_render(field, &view, &options);
    size_t numbers = 4 * (size_t)size * (size_t)size;
    if (!status && !(s->thumbnail = malloc(numbers))) status = plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < numbers && !status; i++) {
        float value = view.colour.data[i];
        s->thumbnail[i] = (unsigned char)(255 * (value < 0 ? 0 : value > 1 ? 1 : value) + 0.5f);
    }
    plx_image_free(&view.colour);
    if (status) return status;
    s->latent.thumbnail = s->thumbnail;
    s->latent.thumbnail_height = s->latent.thumbnail_width = size;
    return PLX_OK;
}

static int take_state(scene *s, const plx_field *field) {
    const plx_params *p = field->params;
    if (!p->m) return PLX_OK;
    s->state = malloc(2 * p->block * sizeof *s->state);
    if (!s->state) return plx_fail(PLX_ERROR_MEMORY, "no memory for the optimiser's state");
    plx_memory_read(p->device.memory, s->state, p->m, p->block * sizeof *s->state);
    plx_memory_read(p->device.memory, s->state + p->block, p->v, p->block * sizeof *s->state);
    s->latent.steps = field->optimiser.step;
    s->latent.state_numbers = p->block;
    s->latent.m = s->state;
    s->latent.v = s->state + p->block;
    return PLX_OK;
}

/* ---- putting ------------------------------------------------------------------------------------------- */

static int put_checkpoint(plx_transaction *t, const char *id, const plx_checkpoint *checkpoint,
                          plx_field *field, const plx_latent_note *note) {
    scene s = {.latent.id = id};
    plx_latent old = {0};
    int status = PLX_OK;
    if (plx_latent_exists(t, id)) status = plx_latent_get(&old, t, id);
    if (!status) status = take_tensors(&s, checkpoint);
    if (!status) status = take_rules(&s, checkpoint);
    if (!status) status = take_texts(&s, checkpoint, &old, note);
    if (!status && note->thumbnail) status = take_thumbnail(&s, field, note->thumbnail);
    if (!status && note->state) status = take_state(&s, field);
    int as = note->as >= 0 ? note->as : s.half ? PLX_LATENT_F16 : PLX_LATENT_F32;
    if (!status) status = plx_latent_put(t, &s.latent, (enum plx_latent_type)as);
    free_scene(&s);
    return status;
}

int plx_latent_put_field(plx_transaction *t, const char *id, plx_field *field, const plx_latent_note *note) {
    plx_checkpoint *checkpoint;
    int status = plx_checkpoint_create(&checkpoint);
    if (status) return status;
    status = plx_field_to_checkpoint(checkpoint, field, false);
    if (!status) status = put_checkpoint(t, id, checkpoint, field, note);
    plx_checkpoint_free(checkpoint);
    return status;
}

int plx_latent_put_file(plx_transaction *t, const char *id, const char *path, const plx_latent_note *note) {
    plx_checkpoint *checkpoint;
    plx_field *field = NULL;
    int status = plx_checkpoint_load(&checkpoint, path);
    if (status) return status;
    status =
        plx_field_from_checkpoint(&field, checkpoint, path, false); /* so that only whole scenes come in */
    if (!status) status = put_checkpoint(t, id, checkpoint, field, note);
    plx_field_free(field);
    plx_checkpoint_free(checkpoint);
    return status;
}

/* ---- getting ------------------------------------------------------------------------------------------- */

static int give_plane(plx_checkpoint *checkpoint, const plx_latent *latent, int i) {
    const plx_latent_plane *p = &latent->plane[i];
    char name[32];
    snprintf(name, sizeof name, "planes.%s", p->name);
    float *texels = malloc(sizeof *texels * (size_t)p->rows * (size_t)p->columns * (size_t)p->channels + 1);
    if (!texels) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    plx_latent_decode(latent, i, texels);
    int status = plx_checkpoint_put(checkpoint, name, 4, (int[]){1, p->rows, p->columns, p->channels}, texels,
                                    latent->type == PLX_LATENT_F16);
    free(texels);
    return status;
}

/* One tensor of the layout, whose numbers begin at *at. */
static int give_weights(plx_checkpoint *checkpoint, const plx_latent *latent, const char *name,
                        const json_t *sizes, size_t *at) {
    char tensor[96];
    int shape[PLX_MAX_DIMENSIONS], ndim = (int)json_array_size(sizes);
    size_t numbers = 1, left = latent->decoder_numbers - *at;
    bool good = json_is_array(sizes) && json_array_size(sizes) <= PLX_MAX_DIMENSIONS &&
                snprintf(tensor, sizeof tensor, "decoder.%s", name) < (int)sizeof tensor;
    for (int i = 0; i < ndim && good; i++) {
        json_int_t size = json_integer_value(json_array_get(sizes, (size_t)i));
        good = size > 0 && size <= 1 << 20 && (numbers *= (size_t)size) <= left;
        shape[i] = (int)size;
    }
    if (!good) return plx_fail(PLX_ERROR_INPUT, "the decoder's layout does not fit its numbers");
    *at += numbers;
    return plx_checkpoint_put(checkpoint, tensor, ndim, shape, latent->decoder + (*at - numbers), false);
}

static int give_decoder(plx_checkpoint *checkpoint, const plx_latent *latent) {
    if (!latent->decoder_numbers) return PLX_OK;
    json_t *layout = json_loads(latent->decoder_layout, JSON_REJECT_DUPLICATES, NULL), *sizes;
    const char *name;
    size_t at = 0;
    int status = layout ? PLX_OK : plx_fail(PLX_ERROR_INPUT, "the decoder's layout is not JSON");
    json_object_foreach(layout, name, sizes) if (!status) status =
        give_weights(checkpoint, latent, name, sizes, &at);
    json_decref(layout);
    return status;
}

static int give_texts(plx_checkpoint *checkpoint, const plx_latent *latent) {
    const char *texts[] = {latent->class_name, latent->source, latent->history};
    int status = plx_checkpoint_set_metadata(checkpoint, latent->rules);
    for (int i = 0; i < 3 && !status; i++)
        if (*texts[i]) status = plx_checkpoint_set(checkpoint, beside_rules[i], texts[i]);
    return status;
}

/* An object as a scene file's tensors and metadata. */
static int get_checkpoint(plx_checkpoint **out, const plx_latent *latent, const char *where) {
    *out = NULL;
    if (!*latent->rules)
        return plx_fail(PLX_ERROR_INPUT, "%s: has planes, but no frame and rules: it is not a whole scene",
                        where);
    int status = plx_checkpoint_create(out);
    if (status) return status;
    for (int i = 0; i < latent->planes && !status; i++) status = give_plane(*out, latent, i);
    if (!status) status = give_decoder(*out, latent);
    if (!status) status = give_texts(*out, latent);
    if (!status) return PLX_OK;
    plx_checkpoint_free(*out);
    *out = NULL;
    return plx_fail_in(status, where);
}

static int restore_state(plx_field *field, const plx_latent *latent) {
    plx_params *p = field->params;
    if (!latent->state_numbers) return PLX_OK;
    if (latent->state_numbers != p->block)
        return plx_fail(PLX_ERROR_INPUT, "the optimiser's state is that of another field");
    plx_memory_write(p->device.memory, p->m, latent->m, p->block * sizeof *p->m);
    plx_memory_write(p->device.memory, p->v, latent->v, p->block * sizeof *p->v);
    field->optimiser.step = latent->steps;
    return PLX_OK;
}

int plx_latent_get_field(plx_field **out, plx_transaction *t, const char *id, bool train) {
    plx_latent latent;
    plx_checkpoint *checkpoint = NULL;
    *out = NULL;
    int status = plx_latent_get(&latent, t, id);
    if (!status) status = get_checkpoint(&checkpoint, &latent, id);
    if (!status) status = plx_field_from_checkpoint(out, checkpoint, id, train);
    plx_checkpoint_free(checkpoint);
    if (!status && train) status = restore_state(*out, &latent);
    if (!status) return PLX_OK;
    plx_field_free(*out);
    *out = NULL;
    return status;
}

int plx_latent_get_file(plx_transaction *t, const char *id, const char *path) {
    plx_latent latent;
    plx_checkpoint *checkpoint = NULL;
    int status = plx_latent_get(&latent, t, id);
    if (!status) status = get_checkpoint(&checkpoint, &latent, id);
    if (!status) status = plx_checkpoint_save(checkpoint, path);
    plx_checkpoint_free(checkpoint);
    return status;
}
