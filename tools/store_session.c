#include "tools/store_session.h"

int plx_store_begin(plx_store_session *s, const char *folder, bool write, bool make) {
    plx_latents_options options = plx_latents_options_default();
    options.write = write;
    if (write && !make) { /* only a put makes a store */
        int status = plx_latents_open(&s->latents, folder, &(plx_latents_options){false, options.map});
        plx_latents_free(s->latents);
        s->latents = NULL;
        if (status) return status;
    }
    int status = plx_latents_open(&s->latents, folder, &options);
    return status ? status : plx_transaction_begin(&s->t, s->latents, write);
}

int plx_store_end(plx_store_session *s, int status) {
    if (!status && s->t) {
        status = plx_transaction_commit(s->t);
        s->t = NULL;
    }
    plx_transaction_free(s->t);
    plx_latents_free(s->latents);
    return status;
}

int plx_store_progress(const char *stage, int64_t done, int64_t total) {
    return plx_progress_report(plx_show_progress, NULL, stage, done, total, NULL)
               ? plx_fail(PLX_ERROR_CANCELLED, "stopped")
               : PLX_OK;
}
