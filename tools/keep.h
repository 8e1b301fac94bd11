/* Results kept in a latent store: what --store DIR of reconstruct, fit and train does. */
#ifndef PLX_TOOLS_KEEP_H
#define PLX_TOOLS_KEEP_H

#include "tools/parallax.h"

#define PLX_KEEP_OPTION(offset_of_text)                                                            \
    {                                                                                              \
        PLX_OPTION_TEXT, "store", 0, offset_of_text, NULL,                                         \
            .word = "FOLDER", .help = "keep the result in this latent store, too (parallax store)" \
    }

/* Opens the store to write, before the work begins; *out stays NULL for a NULL folder. */
int plx_keep_open(plx_latents **out, const char *folder);

/* Puts the field in, as halves, and says so; nothing without a store. The history names the run's command and options. */
int plx_keep_field(plx_latents *latents, const char *id, plx_field *field, const char *class_name,
                   const char *source, const plx_run *run);

/* "parallax VERSION COMMAND {options that were given}"; malloc'ed, NULL without memory. */
char *plx_keep_what(const plx_run *run);

#endif
