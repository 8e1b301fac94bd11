/* Random numbers as a function: value = f(seed, stream, index), Philox 4x32-10 (Random123). There is no state
 * and no global generator, so results depend neither on the order of calls nor on the number of threads. */
#ifndef PLX_CORE_RNG_H
#define PLX_CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct plx_rng {
    uint64_t seed;   /* the run's */
    uint64_t stream; /* what the numbers are for: mix identifiers with plx_rng_stream */
} plx_rng;

/* A child generator: an independent stream named by `id` (a step, an object, a purpose). */
plx_rng plx_rng_fork(plx_rng rng, uint64_t id);

uint32_t plx_rng_u32(plx_rng rng, uint64_t index);
float plx_rng_uniform(plx_rng rng, uint64_t index);               /* [0,1), 24 bits */
float plx_rng_normal(plx_rng rng, uint64_t index);                /* N(0,1), Box-Muller, computed in double */
uint32_t plx_rng_below(plx_rng rng, uint64_t index, uint32_t n);  /* {0..n-1}; n > 0 */
void plx_rng_fill_uniform(plx_rng rng, float *out, size_t count); /* out[i] = plx_rng_uniform(rng, i) */
void plx_rng_fill_normal(plx_rng rng, float *out, size_t count);  /* out[i] = plx_rng_normal(rng, i) */

#endif
