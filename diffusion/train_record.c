#include "diffusion/train_record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

const char *plx_train_stage_name(enum plx_train_stage stage) {
    static const char *const names[] = {"geometry", "colour", "denoiser", "joint"};
    return names[stage];
}

const char *plx_train_condition_name(enum plx_train_condition condition) {
    static const char *const names[] = {"blurred", "own", "two-fold"};
    return names[condition];
}

static json_t *stages_of(const json_t *record) {
    json_t *stages = json_object_get(record, "stages");
    return json_is_array(stages) ? stages : NULL;
}

static int set_record(plx_model *m, const json_t *record) {
    char *text = json_dumps(record, JSON_REAL_PRECISION(6));
    if (!text) return plx_fail(PLX_ERROR_MEMORY, "record: out of memory");
    free(m->record);
    m->record = text;
    return PLX_OK;
}

static json_t *entry_of(const plx_train_options *o, int64_t steps, double best) {
    json_t *entry = json_pack("{s:s, s:I, s:I, s:i, s:i, s:i, s:f, s:I, s:f}", "stage",
                              plx_train_stage_name(o->stage), "steps", (json_int_t)steps, "of",
                              (json_int_t)o->steps, "batch", o->batch, "size", o->size, "targets", o->targets,
                              "rate", (double)o->rate, "seed", (json_int_t)o->seed, "validation_psnr", best);
    if (o->stage >= PLX_STAGE_DENOISER) {
        json_object_set_new(entry, "condition", json_string(plx_train_condition_name(o->condition)));
        if (o->condition == PLX_TRAIN_CONDITION_TWO_FOLD)
            json_object_set_new(entry, "fold_models",
                                json_pack("[s, s]", o->fold_models[0], o->fold_models[1]));
    }
    if (o->fold >= 0) json_object_set_new(entry, "fold", json_integer(o->fold));
    if (o->photometric) json_object_set_new(entry, "photometric", json_true());
    if (steps < o->steps) json_object_set_new(entry, "open", json_true());
    return entry;
}

int plx_record_stage(plx_model *m, const plx_train_options *o, int64_t steps, double best) {
    json_t *record = m->record ? json_loads(m->record, 0, NULL) : json_object();
    if (!json_is_object(record)) {
        json_decref(record);
        record = json_object();
    }
    if (o->record) {
        json_t *given = json_loads(o->record, 0, NULL);
        if (json_is_object(given)) json_object_update(record, given);
        json_decref(given);
    }
    if (!stages_of(record)) json_object_set_new(record, "stages", json_array());
    json_t *stages = stages_of(record), *last = json_array_get(stages, json_array_size(stages) - 1);
    if (json_is_true(json_object_get(last, "open"))) json_array_remove(stages, json_array_size(stages) - 1);
    json_array_append_new(stages, entry_of(o, steps, best));
    int status = set_record(m, record);
    json_decref(record);
    return status;
}

int plx_record_close(plx_model *m) {
    json_t *record = m->record ? json_loads(m->record, 0, NULL) : NULL, *entry;
    size_t i;
    if (!record) return PLX_OK;
    json_array_foreach(stages_of(record), i, entry) json_object_del(entry, "open");
    int status = set_record(m, record);
    json_decref(record);
    return status;
}

/* 0, 1; -1: both. */
static int fold_of_entry(const json_t *entry) {
    const json_t *fold = json_object_get(entry, "fold");
    json_int_t value = json_is_integer(fold) ? json_integer_value(fold) : -1;
    return value == 0 || value == 1 ? (int)value : -1;
}

int plx_record_half(const plx_model *m) {
    json_t *record = m->record ? json_loads(m->record, 0, NULL) : NULL, *entry;
    size_t i;
    bool seen[2] = {false, false};
    json_array_foreach(stages_of(record), i, entry) {
        const char *stage = json_string_value(json_object_get(entry, "stage"));
        if (stage && !strcmp(stage, plx_train_stage_name(PLX_STAGE_DENOISER)))
            continue; /* the field stands still */
        int fold = fold_of_entry(entry);
        seen[0] |= fold != 1;
        seen[1] |= fold != 0;
    }
    json_decref(record);
    return seen[0] == seen[1] ? -1 : seen[1];
}

int plx_record_last_fold(const char *text) {
    json_t *record = json_loads(text, 0, NULL), *stages = stages_of(record);
    int fold = stages ? fold_of_entry(json_array_get(stages, json_array_size(stages) - 1)) : -1;
    json_decref(record);
    return fold;
}
