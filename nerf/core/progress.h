/* Progress of long work: a callback with the user's pointer last. Work stops, with PLX_ERROR_CANCELLED, when
 * it returns non-zero. */
#ifndef PLX_CORE_PROGRESS_H
#define PLX_CORE_PROGRESS_H

#include <stdint.h>

typedef struct plx_progress {
    const char *stage; /* "render", "train", ... */
    int64_t done, total;
    const char *note; /* NULL, or a short figure such as "loss 0.0123" */
} plx_progress;

typedef int (*plx_progress_fn)(const plx_progress *progress, void *user);

/* Calls fn if it is not NULL; returns its answer. */
int plx_progress_report(plx_progress_fn fn, void *user, const char *stage, int64_t done, int64_t total,
                        const char *note);

double plx_now(void); /* seconds, monotonic */

#endif
