/* Denormals as zero. The setting belongs to the thread: every worker makes it at the start of a parallel
 * region, or 1 and 2 threads would give different bits (and denormals are slow). */
#ifndef PLX_DENORMALS_H
#define PLX_DENORMALS_H

#if defined(__SSE2__)
#include <immintrin.h>
static inline void plx_flush_denormals(void) {
    _mm_setcsr(_mm_getcsr() | 0x8040); /* FTZ | DAZ */
}
#else
static inline void plx_flush_denormals(void) {}
#endif

#endif
