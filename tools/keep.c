#define _GNU_SOURCE /* asprintf */
#include "tools/keep.h"

#include <stdlib.h>

char *plx_keep_what(const plx_run *run) {
    json_t *record = plx_run_record(run), *given = json_object();
    json_t *options = json_object_get(record, "options");
    for (const plx_option *o = run->command->options; o->type != PLX_OPTION_END; o++)
        if (plx_run_given(run, o->name)) json_object_set(given, o->name, json_object_get(options, o->name));
    char *text = json_dumps(given, JSON_COMPACT), *what = NULL;
    if (text && asprintf(&what, "parallax %s %s %s", PLX_VERSION, run->command->name, text) < 0) what = NULL;
    free(text);
    json_decref(given);
    json_decref(record);
    return what;
}

int plx_keep_open(plx_latents **out, const char *folder) {
    *out = NULL;
    if (!folder) return PLX_OK;
    plx_latents_options options = plx_latents_options_default();
    options.write = true;
    return plx_latents_open(out, folder, &options);
}

int plx_keep_field(plx_latents *latents, const char *id, plx_field *field, const char *class_name,
                   const char *source, const plx_run *run) {
    if (!latents) return PLX_OK;
    plx_transaction *t;
    plx_latent_note note = plx_latent_note_default();
    char *what = plx_keep_what(run);
    note.as = PLX_LATENT_F16;
    note.class_name = class_name;
    note.source = source;
    note.what = what;
    int status = plx_transaction_begin(&t, latents, true);
    if (!status) status = plx_latent_put_field(t, id, field, &note);
    if (!status)
        status = plx_transaction_commit(t);
    else
        plx_transaction_free(t);
    free(what);
    return status;
}
