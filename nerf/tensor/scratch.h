/* The fast kernels' working memory: one block a thread that grows to the largest use and stays, so that a training step
 * after the first allocates nothing. A new call for the same slot ends the use of the last one. */
#ifndef PLX_SCRATCH_H
#define PLX_SCRATCH_H

#include <stddef.h>

enum {
    PLX_SCRATCH_CALL,
    PLX_SCRATCH_WORKER,
    PLX_SCRATCH_SLOTS
}; /* the caller's shared block; a worker's own */

float *plx_scratch(int slot, size_t floats); /* aligned to 64 bytes, uninitialised; aborts without memory */
size_t plx_scratch_grown(void);              /* how often any block has grown, over all threads */

#endif
