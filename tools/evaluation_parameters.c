#include "tools/evaluation_parameters.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tools/parallax.h"

enum type { DOUBLE, FLOAT, INT, FLAG };

typedef struct parameter {
    const char *name;
    enum type type;
    double min, max;
    size_t refine, sampling; /* offsets into plx_eval_numbers; NONE: has no such number */
} parameter;

#define NONE ((size_t)-1)
#define REFINE(member) offsetof(plx_eval_numbers, refine.member)
#define SAMPLING(member) offsetof(plx_eval_numbers, sampling.member)

static const parameter parameters[] = {
    {"gamma", DOUBLE, 0, 1e6, REFINE(distill.gamma), NONE},
    {"steps", INT, 1, 1000, REFINE(distill.steps), SAMPLING(steps)},
    {"views", INT, 1, 1024, REFINE(views), NONE},
    {"field-steps", INT, 0, 1e6, REFINE(distill.field_steps), NONE}, /* N */
    {"rays", INT, 8, 1e6, REFINE(distill.rays), NONE},               /* B */
    {"final-steps", INT, 0, 1e6, REFINE(distill.final_steps), NONE},
    {"t-max", DOUBLE, 0.02, 1, REFINE(distill.t_max), NONE},
    {"guidance-t", DOUBLE, 0, 1, REFINE(distill.guidance_t), NONE},
    {"guidance", DOUBLE, 0, 100, REFINE(distill.classifier_guidance), SAMPLING(classifier_guidance)},
    {"eta", DOUBLE, 0, 1, NONE, SAMPLING(eta)},
    {"condition", INT, 0, 1, REFINE(distill.condition), NONE}, /* plx_distill_condition */
    {"clamp", FLAG, 0, 1, REFINE(distill.clamp), NONE},
    {"input-fraction", DOUBLE, 0.125, 1, REFINE(distill.input_fraction), NONE},
    {"object-fraction", DOUBLE, 0, 0.99, REFINE(distill.object_fraction), NONE},
    {"rate", FLOAT, 0, 1, REFINE(distill.step.rate), NONE},
    {"decoder-rate", FLOAT, 0, 10, REFINE(distill.step.decoder_rate), NONE},
    {"opacity-weight", FLOAT, 0, 100, REFINE(distill.step.opacity_weight), NONE},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };
_Static_assert(sizeof(enum plx_distill_condition) == sizeof(int), "read and written as INT");

/* ---- values --------------------------------------------------------------------------------------------------------- */

static double read_number(const plx_eval_numbers *numbers, size_t offset, enum type type) {
    const char *at = (const char *)numbers + offset;
    switch (type) {
    case DOUBLE:
        return *(const double *)(const void *)at;
    case FLOAT:
        return (double)*(const float *)(const void *)at;
    case INT:
        return *(const int *)(const void *)at;
    case FLAG:
        return *(const bool *)at;
    }
    return NAN;
}

static void write_number(plx_eval_numbers *numbers, size_t offset, enum type type, double value) {
    char *at = (char *)numbers + offset;
    switch (type) {
    case DOUBLE:
        *(double *)(void *)at = value;
        break;
    case FLOAT:
        *(float *)(void *)at = (float)value;
        break;
    case INT:
        *(int *)(void *)at = (int)value;
        break;
    case FLAG:
        *(bool *)at = value != 0;
        break;
    }
}

static size_t offset_of(int which, unsigned has) {
    if (has & PLX_EVAL_REFINES && parameters[which].refine != NONE) return parameters[which].refine;
    return has & PLX_EVAL_SAMPLES ? parameters[which].sampling : NONE;
}

const char *plx_eval_parameter_name(int which) {
    return parameters[which].name;
}

bool plx_eval_parameter_of(int which, unsigned has) {
    return offset_of(which, has) != NONE;
}

double plx_eval_parameter_get(const plx_eval_numbers *numbers, int which, unsigned has) {
    size_t offset = offset_of(which, has);
    return offset == NONE ? NAN : read_number(numbers, offset, parameters[which].type);
}

json_t *plx_eval_parameters_json(const plx_eval_numbers *numbers, unsigned has) {
    json_t *out = json_object();
    for (int i = 0; i < PARAMETERS; i++)
        if (plx_eval_parameter_of(i, has))
            json_object_set_new(out, parameters[i].name, json_real(plx_eval_parameter_get(numbers, i, has)));
    return out;
}

void plx_eval_parameter_set(plx_eval_numbers *numbers, int which, double value) {
    const parameter *p = &parameters[which];
    if (p->refine != NONE) write_number(numbers, p->refine, p->type, value);
    if (p->sampling != NONE) write_number(numbers, p->sampling, p->type, value);
}

/* ---- as text -------------------------------------------------------------------------------------------------------- */

static int unknown(const char *option, const char *text) {
    char names[512] = "";
    size_t at = 0;
    for (int i = 0; i < PARAMETERS && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", parameters[i].name);
    return plx_fail(PLX_ERROR_USAGE, "--%s %s: not NAME=VALUE with one of %s", option, text, names);
}

static int find(const char *text, size_t length) {
    for (int i = 0; i < PARAMETERS; i++)
        if (strlen(parameters[i].name) == length && !strncmp(text, parameters[i].name, length)) return i;
    return -1;
}

int plx_eval_setting_parse(plx_eval_setting *out, const char *option, const char *text, int most) {
    size_t length = strcspn(text, "=");
    *out = (plx_eval_setting){.parameter = find(text, length)};
    if (out->parameter < 0 || !text[length]) return unknown(option, text);
    const parameter *p = &parameters[out->parameter];
    const char *at = text + length;
    while (*at) {
        char *end;
        double value = strtod(++at, &end);
        if (end == at || (*end && *end != ','))
            return plx_fail(PLX_ERROR_USAGE, "--%s %s: '%s' is no list of numbers", option, text, at);
        if (!(value >= p->min && value <= p->max))
            return plx_fail(PLX_ERROR_USAGE, "--%s %s: %s is from %g to %g", option, text, p->name, p->min,
                            p->max);
        if ((p->type == INT || p->type == FLAG) && value != floor(value))
            return plx_fail(PLX_ERROR_USAGE, "--%s %s: %s is a whole number", option, text, p->name);
        for (int i = 0; i < out->count; i++)
            if (out->values[i] == value)
                return plx_fail(PLX_ERROR_USAGE, "--%s %s: %g stands twice", option, text, value);
        if (out->count == most)
            return plx_fail(PLX_ERROR_USAGE, "--%s %s: at most %d value%s", option, text, most,
                            most == 1 ? "" : "s");
        out->values[out->count++] = value;
        at = end;
    }
    return PLX_OK;
}

int plx_eval_settings_parse(plx_eval_setting out[PLX_EVAL_VALUES], const plx_list *texts) {
    int status = PLX_OK;
    if (texts->count > PLX_EVAL_VALUES)
        return plx_fail(PLX_ERROR_USAGE, "--set: at most %d times", PLX_EVAL_VALUES);
    for (int i = 0; i < texts->count && !status; i++)
        status = plx_eval_setting_parse(&out[i], "set", texts->items[i], 1);
    return status;
}
