#include "tools/evaluation_entrants.h"

#include <ctype.h>
#include <string.h>

#include "tools/parallax.h"

/* ---- other models --------------------------------------------------------------------------------------------------- */

static int check_name(const char *text, size_t length) {
    bool good = length > 0 && length < sizeof((plx_eval_compared *)0)->name && text[length] == '=' &&
                text[length + 1];
    for (size_t i = 0; i < length; i++)
        good = good && (isalnum((unsigned char)text[i]) || strchr("-_.", text[i]));
    if (!good) return plx_fail(PLX_ERROR_USAGE, "--compare %s: not NAME=FILE", text);
    for (int m = 0; m < PLX_EVAL_METHODS; m++)
        if (strlen(plx_eval_methods[m].name) == length && !strncmp(text, plx_eval_methods[m].name, length))
            return plx_fail(PLX_ERROR_USAGE, "--compare %s: a method has that name", text);
    return PLX_OK;
}

int plx_eval_compared_parse(plx_eval_compared *out, int *count, const plx_list *texts) {
    *count = 0;
    if (texts->count > PLX_EVAL_MODELS)
        return plx_fail(PLX_ERROR_USAGE, "--compare: at most %d models", PLX_EVAL_MODELS);
    for (int i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        size_t length = strcspn(text, "=");
        int status = check_name(text, length);
        if (status) return status;
        out[i] = (plx_eval_compared){.path = text + length + 1};
        memcpy(out[i].name, text, length);
        for (int k = 0; k < i; k++)
            if (!strcmp(out[i].name, out[k].name))
                return plx_fail(PLX_ERROR_USAGE, "--compare %s: the name stands twice", text);
        *count = i + 1;
    }
    return PLX_OK;
}

/* ---- entrants ------------------------------------------------------------------------------------------------------- */

static int add(plx_eval_entrants *e, const plx_eval_entrant *entrant) {
    if (e->count == PLX_EVAL_ENTRANTS)
        return plx_fail(PLX_ERROR_USAGE, "eval: more than %d methods and values of sweeps",
                        PLX_EVAL_ENTRANTS);
    e->list[e->count++] = *entrant;
    return PLX_OK;
}

/* The method at a quality, with the numbers that --set gives. */
static plx_eval_entrant entrant_of(const plx_eval_method *method, enum plx_quality quality,
                                   const plx_eval_entrants_options *o, int settings,
                                   const plx_eval_setting *set) {
    static const char *const endings[PLX_QUALITIES] = {"-fast", "", "-best"};
    plx_eval_entrant out = {.method = method, .means = o->means, .sweep = -1};
    plx_eval_numbers *n = &out.means.numbers;
    snprintf(out.name, sizeof out.name, "%s%s", method->name, endings[quality]);
    *n = (plx_eval_numbers){plx_refine_options_of(method->mode, quality), plx_view_sampling_default()};
    n->refine.distill.seed = n->sampling.seed = o->seed;
    for (int i = 0; i < settings; i++) plx_eval_parameter_set(n, set[i].parameter, set[i].values[0]);
    return out;
}

static bool any_has(const plx_eval_entrants *e, int parameter) {
    for (int i = 0; i < e->plain; i++)
        if (plx_eval_parameter_of(parameter, e->list[i].method->has)) return true;
    return false;
}

static int add_plain(plx_eval_entrants *e, const plx_eval_entrants_options *o) {
    plx_eval_setting set[PLX_EVAL_VALUES];
    int status = plx_eval_settings_parse(set, o->set);
    for (int m = 0; m < PLX_EVAL_METHODS && !status; m++)
        for (int q = 0; q < PLX_QUALITIES && !status; q++) {
            const plx_eval_method *method = &plx_eval_methods[m];
            unsigned qualities = method->has & PLX_EVAL_REFINES ? o->qualities : 1u << PLX_QUALITY_DEFAULT;
            if (!(o->methods & 1u << m) || !(qualities & 1u << q)) continue;
            plx_eval_entrant entrant = entrant_of(method, (enum plx_quality)q, o, o->set->count, set);
            status = add(e, &entrant);
        }
    for (int i = 0; i < o->compared_count && !status; i++) {
        plx_eval_entrant entrant =
            entrant_of(&plx_eval_methods[PLX_EVAL_FEEDFORWARD], PLX_QUALITY_DEFAULT, o, 0, NULL);
        snprintf(entrant.name, sizeof entrant.name, "%s", o->compared[i].name);
        entrant.means.model = o->compared[i].model;
        status = add(e, &entrant);
    }
    e->plain = e->count;
    for (int i = 0; i < o->set->count && !status; i++)
        if (!any_has(e, set[i].parameter))
            status = plx_fail(PLX_ERROR_USAGE, "--set %s: none of --methods has it", o->set->items[i]);
    return status;
}

/* One method at each value; its own is not measured twice. */
static int sweep_method(plx_eval_entrants *e, int sweep, int plain) {
    plx_eval_sweep *s = &e->sweeps[sweep];
    const plx_eval_entrant *from = &e->list[plain];
    int parameter = s->setting.parameter, row = s->methods++, status = PLX_OK;
    double own = plx_eval_parameter_get(&from->means.numbers, parameter, from->method->has);
    s->plain[row] = plain;
    for (int k = 0; k < s->setting.count && !status; k++) {
        plx_eval_entrant entrant = *from;
        entrant.sweep = sweep;
        entrant.value = s->setting.values[k];
        s->entrant[row][k] = entrant.value == own ? plain : e->count;
        if (entrant.value == own) continue;
        plx_eval_parameter_set(&entrant.means.numbers, parameter, entrant.value);
        snprintf(entrant.name, sizeof entrant.name, "%.30s(%s=%g)", from->name,
                 plx_eval_parameter_name(parameter), entrant.value);
        status = add(e, &entrant);
    }
    return status;
}

static int add_sweep(plx_eval_entrants *e, const char *text) {
    if (e->sweep_count == PLX_EVAL_SWEEPS)
        return plx_fail(PLX_ERROR_USAGE, "--sweep: at most %d times", PLX_EVAL_SWEEPS);
    int sweep = e->sweep_count++;
    plx_eval_sweep *s = &e->sweeps[sweep];
    int status = plx_eval_setting_parse(&s->setting, "sweep", text, PLX_EVAL_VALUES);
    for (int i = 0; i < sweep && !status; i++)
        if (e->sweeps[i].setting.parameter == s->setting.parameter)
            status = plx_fail(PLX_ERROR_USAGE, "--sweep %s: a second sweep of it", text);
    for (int i = 0; i < e->plain && !status; i++)
        if (plx_eval_parameter_of(s->setting.parameter, e->list[i].method->has))
            status = sweep_method(e, sweep, i);
    if (!status && !s->methods)
        status = plx_fail(PLX_ERROR_USAGE, "--sweep %s: none of --methods has it", text);
    return status;
}

int plx_eval_entrants_make(plx_eval_entrants *out, const plx_eval_entrants_options *o) {
    *out = (plx_eval_entrants){0};
    int status = add_plain(out, o);
    for (int i = 0; i < o->sweep->count && !status; i++) status = add_sweep(out, o->sweep->items[i]);
    return status;
}
