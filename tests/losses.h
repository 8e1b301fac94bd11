/* What a training run says of its losses, step by step. */
#ifndef PLX_TESTS_LOSSES_H
#define PLX_TESTS_LOSSES_H

#include <stdlib.h>
#include <string.h>

#include "nerf/core/progress.h"

enum { LOSSES_MOST = 512 };

typedef struct losses {
    int count, stop_after;
    double value[LOSSES_MOST];
} losses;

/* A plx_progress_fn: the number at a note's end is the loss. Stops the run after `stop_after` steps, if not 0. */
static inline int watch(const plx_progress *p, void *user) {
    losses *l = user;
    const char *number = p->note ? strrchr(p->note, ' ') : NULL;
    if (number && l->count < LOSSES_MOST) l->value[l->count++] = atof(number);
    return l->stop_after && p->done >= l->stop_after;
}

#endif
