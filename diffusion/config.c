#include "diffusion/config.h"

#include <limits.h>
#include <string.h>

static const char *const prediction_names[] = {"v", "eps", "x0"};
static const char *const schedule_names[] = {"cosine", "linear"};

const char *plx_prediction_name(enum plx_prediction prediction) {
    return prediction_names[prediction];
}

/* Which of the names; -1: none. */
static int index_of(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (!strcmp(name, names[i])) return i;
    return -1;
}

int plx_prediction_of(const char *name) {
    return index_of(name, prediction_names, 3);
}

static int read_int(int *out, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < INT_MIN || number > INT_MAX)
        return plx_fail(PLX_ERROR_INPUT, "configuration: \"%s\" is not a whole number", key);
    *out = (int)number;
    return PLX_OK;
}

static int read_bool(bool *out, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return plx_fail(PLX_ERROR_INPUT, "configuration: \"%s\" is not true or false", key);
    *out = json_is_true(value);
    return PLX_OK;
}

static int read_name(int *out, const json_t *object, const char *key, const char *const *names, int count) {
    const char *text = json_string_value(json_object_get(object, key));
    int index = text ? index_of(text, names, count) : -1;
    if (index < 0)
        return plx_fail(PLX_ERROR_INPUT, "configuration: \"%s\" is \"%s\"", key, text ? text : "no string");
    *out = index;
    return PLX_OK;
}

/* One entry a level in each of the two lists, which give the number of levels. */
static int read_levels(plx_unet_config *out, const json_t *object) {
    const json_t *multiplier = json_object_get(object, "multiplier");
    const json_t *attention = json_object_get(object, "attention");
    size_t levels = json_array_size(multiplier);
    if (!json_is_array(multiplier) || levels < 1 || levels > PLX_UNET_MAX_LEVELS ||
        json_array_size(attention) != levels)
        return plx_fail(PLX_ERROR_INPUT,
                        "configuration: \"multiplier\" and \"attention\" are not lists of levels");
    out->levels = (int)levels;
    for (size_t l = 0; l < levels; l++) {
        json_int_t number = json_integer_value(json_array_get(multiplier, l));
        const json_t *flag = json_array_get(attention, l);
        if (number < 1 || number > INT_MAX || !json_is_boolean(flag))
            return plx_fail(PLX_ERROR_INPUT, "configuration: level %zu", l);
        out->multiplier[l] = (int)number;
        out->attention[l] = json_is_true(flag);
    }
    return PLX_OK;
}

/* Everything but the channels in and out, which a denoiser derives. */
static json_t *unet_json(const plx_unet_config *c) {
    json_t *multiplier = json_array(), *attention = json_array();
    for (int l = 0; l < c->levels; l++) {
        json_array_append_new(multiplier, json_integer(c->multiplier[l]));
        json_array_append_new(attention, json_boolean(c->attention[l]));
    }
    return json_pack("{s:i s:o s:o s:i s:i s:i s:i s:i s:b}", "width", c->width, "multiplier", multiplier,
                     "attention", attention, "blocks", c->blocks, "heads", c->heads, "patch", c->patch,
                     "embedding", c->embedding, "context", c->context, "zero_output", c->zero_output);
}

json_t *plx_unet_config_json(const plx_unet_config *c) {
    json_t *json = unet_json(c);
    json_object_set_new(json, "in_channels", json_integer(c->in_channels));
    json_object_set_new(json, "out_channels", json_integer(c->out_channels));
    return json;
}

static int read_unet(plx_unet_config *out, const json_t *json) {
    int status = read_int(&out->width, json, "width");
    if (!status) status = read_int(&out->blocks, json, "blocks");
    if (!status) status = read_int(&out->heads, json, "heads");
    if (!status) status = read_int(&out->patch, json, "patch");
    if (!status) status = read_int(&out->embedding, json, "embedding");
    if (!status) status = read_int(&out->context, json, "context");
    if (!status) status = read_bool(&out->zero_output, json, "zero_output");
    return status ? status : read_levels(out, json);
}

int plx_unet_config_from_json(plx_unet_config *out, const json_t *json) {
    plx_unet_config config = {0};
    int status = read_unet(&config, json);
    if (!status) status = read_int(&config.in_channels, json, "in_channels");
    if (!status) status = read_int(&config.out_channels, json, "out_channels");
    if (!status) status = plx_unet_config_check(&config);
    if (!status) *out = config;
    return status;
}

json_t *plx_denoiser_config_json(const plx_denoiser_config *c) {
    return json_pack("{s:i s:i s:b s:s s:s s:i s:o}", "view_channels", c->view_channels, "render_channels",
                     c->render_channels, "input_concat", c->input_concat, "prediction",
                     prediction_names[c->prediction], "schedule", schedule_names[c->schedule.kind], "steps",
                     c->schedule.steps, "unet", unet_json(&c->unet));
}

int plx_denoiser_config_from_json(plx_denoiser_config *out, const json_t *json) {
    plx_denoiser_config config = {0};
    int prediction = 0, schedule = 0;
    int status = read_int(&config.view_channels, json, "view_channels");
    if (!status) status = read_int(&config.render_channels, json, "render_channels");
    if (!status) status = read_bool(&config.input_concat, json, "input_concat");
    if (!status) status = read_name(&prediction, json, "prediction", prediction_names, 3);
    if (!status) status = read_name(&schedule, json, "schedule", schedule_names, 2);
    if (!status) status = read_int(&config.schedule.steps, json, "steps");
    if (!status) status = read_unet(&config.unet, json_object_get(json, "unet"));
    config.prediction = (enum plx_prediction)prediction;
    config.schedule.kind = (enum plx_schedule_kind)schedule;
    if (!status) status = plx_denoiser_config_check(&config);
    if (!status) *out = config;
    return status;
}

int plx_denoiser_config_write(const plx_denoiser_config *config, char **text) {
    json_t *json = plx_denoiser_config_json(config);
    *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *text ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "no memory for a configuration");
}

int plx_denoiser_config_read(plx_denoiser_config *out, const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json) return plx_fail(PLX_ERROR_INPUT, "configuration: %s", error.text);
    int status = plx_denoiser_config_from_json(out, json);
    json_decref(json);
    return status;
}
