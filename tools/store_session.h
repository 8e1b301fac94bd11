/* The store and a transaction in it, as every `store` command has them. */
#ifndef PLX_TOOLS_STORE_SESSION_H
#define PLX_TOOLS_STORE_SESSION_H

#include "tools/parallax.h"

typedef struct plx_store_session {
    plx_latents *latents;
    plx_transaction *t;
} plx_store_session;

/* make: a store that is not there is made. */
int plx_store_begin(plx_store_session *s, const char *folder, bool write, bool make);
/* Commits if `status` is good; closes. Returns `status`, or the commit's. */
int plx_store_end(plx_store_session *s, int status);
/* PLX_ERROR_CANCELLED once it is to stop. */
int plx_store_progress(const char *stage, int64_t done, int64_t total);

#endif
