#include "nerf/core/progress.h"

#include <stddef.h>
#include <time.h>

int plx_progress_report(plx_progress_fn fn, void *user, const char *stage, int64_t done, int64_t total,
                        const char *note) {
    if (!fn) return 0;
    plx_progress progress = {stage, done, total, note};
    return fn(&progress, user);
}

double plx_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
