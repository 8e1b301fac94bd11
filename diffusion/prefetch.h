/* Batches made ahead of time by one thread, in order, while the caller computes on the last one. */
#ifndef PLX_PREFETCH_H
#define PLX_PREFETCH_H

#include "diffusion/diffusion.h"

typedef struct plx_prefetch plx_prefetch;

/* Batches for steps first .. last-1, `batch` items each. */
int plx_prefetch_start(plx_prefetch **out, const plx_train_options *options, int64_t first, int64_t last,
                       plx_batch_fn fn, void *user);
/* The next step's items, (batch), valid until the next call. An error of the callback comes out here. */
int plx_prefetch_next(plx_prefetch *prefetch, plx_views **items);
/* Seconds that plx_prefetch_next has waited so far: what the data cost the caller. */
double plx_prefetch_waited(const plx_prefetch *prefetch);
void plx_prefetch_stop(plx_prefetch *prefetch);

#endif
