/* plx_rng's numbers for processors and cards alike: Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011. */
#ifndef PLX_CORE_PHILOX_H
#define PLX_CORE_PHILOX_H

#include <math.h>
#include <Random123/philox.h>

#include "nerf/core/rng.h"

/* Numbers come four to a block. The counter is (block, stream), the key is the seed; the block's top bits
 * keep apart what the same (seed, stream, index) gives as an integer, as a normal number and as a child
 * stream. */
enum { PLX_DOMAIN_INTEGER = 0, PLX_DOMAIN_NORMAL = 1, PLX_DOMAIN_FORK = 2 };

static inline R123_CUDA_DEVICE philox4x32_ctr_t plx_philox_block(plx_rng rng, uint64_t block,
                                                                 uint64_t domain) {
    block ^= domain << 62;
    philox4x32_ctr_t counter = {
        {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)rng.stream, (uint32_t)(rng.stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)}};
    return philox4x32(counter, key);
}

static inline R123_CUDA_DEVICE uint32_t plx_philox_u32(plx_rng rng, uint64_t index) {
    return plx_philox_block(rng, index >> 2, PLX_DOMAIN_INTEGER).v[index & 3];
}

static inline R123_CUDA_DEVICE float plx_philox_to_uniform(uint32_t bits) {
    return (float)(bits >> 8) * 0x1p-24f;
}

static inline R123_CUDA_DEVICE float plx_philox_uniform(plx_rng rng, uint64_t index) {
    return plx_philox_to_uniform(plx_philox_u32(rng, index));
}

/* Box-Muller on one block: two pairs of uniforms in (0,1) give two pairs of normals. The 32-bit grid ends the
 * tails at sqrt(2 ln 2^33) = 6.76. */
static inline R123_CUDA_DEVICE void plx_philox_normals(plx_rng rng, uint64_t block, float out[4]) {
    philox4x32_ctr_t bits = plx_philox_block(rng, block, PLX_DOMAIN_NORMAL);
    for (int pair = 0; pair < 2; pair++) {
        double radius = sqrt(-2 * log((bits.v[2 * pair] + 0.5) * 0x1p-32));
        double angle = 2 * M_PI * ((bits.v[2 * pair + 1] + 0.5) * 0x1p-32);
        out[2 * pair] = (float)(radius * cos(angle));
        out[2 * pair + 1] = (float)(radius * sin(angle));
    }
}

static inline R123_CUDA_DEVICE float plx_philox_normal(plx_rng rng, uint64_t index) {
    float four[4];
    plx_philox_normals(rng, index >> 2, four);
    return four[index & 3];
}

#endif
