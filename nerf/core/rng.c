/* Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#include "nerf/core/rng.h"

#include <math.h>
#include <Random123/philox.h>

#include "nerf/core/error.h"

/* Numbers come four to a block. The counter is (block, stream), the key is the seed; the block's top bits
 * keep apart what the same (seed, stream, index) gives as an integer, as a normal number and as a child
 * stream. */
enum { DOMAIN_INTEGER = 0, DOMAIN_NORMAL = 1, DOMAIN_FORK = 2 };

static philox4x32_ctr_t philox_block(plx_rng rng, uint64_t block, uint64_t domain) {
    block ^= domain << 62;
    philox4x32_ctr_t counter = {
        {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)rng.stream, (uint32_t)(rng.stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)}};
    return philox4x32(counter, key);
}

plx_rng plx_rng_fork(plx_rng rng, uint64_t id) {
    philox4x32_ctr_t mixed = philox_block(rng, id, DOMAIN_FORK);
    return (plx_rng){rng.seed, mixed.v[0] | (uint64_t)mixed.v[1] << 32};
}

uint32_t plx_rng_u32(plx_rng rng, uint64_t index) {
    return philox_block(rng, index >> 2, DOMAIN_INTEGER).v[index & 3];
}

static float to_uniform(uint32_t bits) {
    return (float)(bits >> 8) * 0x1p-24f;
}

float plx_rng_uniform(plx_rng rng, uint64_t index) {
    return to_uniform(plx_rng_u32(rng, index));
}

/* Box-Muller on one block: two pairs of uniforms in (0,1) give two pairs of normals. The 32-bit grid ends the
 * tails at sqrt(2 ln 2^33) = 6.76. */
static void normal_block(plx_rng rng, uint64_t block, float out[4]) {
    philox4x32_ctr_t bits = philox_block(rng, block, DOMAIN_NORMAL);
    for (int pair = 0; pair < 2; pair++) {
        double radius = sqrt(-2 * log((bits.v[2 * pair] + 0.5) * 0x1p-32));
        double angle = 2 * M_PI * ((bits.v[2 * pair + 1] + 0.5) * 0x1p-32);
        out[2 * pair] = (float)(radius * cos(angle));
        out[2 * pair + 1] = (float)(radius * sin(angle));
    }
}

float plx_rng_normal(plx_rng rng, uint64_t index) {
    float four[4];
    normal_block(rng, index >> 2, four);
    return four[index & 3];
}

/* The high word of a product: uneven by at most n / 2^32. */
uint32_t plx_rng_below(plx_rng rng, uint64_t index, uint32_t n) {
    PLX_CHECK(n > 0, "rng: no number is below 0");
    return (uint32_t)((uint64_t)plx_rng_u32(rng, index) * n >> 32);
}

#define PARALLEL_FROM 65536 /* numbers; below, starting the threads costs more */

void plx_rng_fill_uniform(plx_rng rng, float *out, size_t count) {
#pragma omp parallel for schedule(static) if (count >= PARALLEL_FROM)
    for (size_t block = 0; block < (count + 3) / 4; block++) {
        philox4x32_ctr_t bits = philox_block(rng, block, DOMAIN_INTEGER);
        for (size_t i = 4 * block; i < 4 * block + 4 && i < count; i++) out[i] = to_uniform(bits.v[i & 3]);
    }
}

void plx_rng_fill_normal(plx_rng rng, float *out, size_t count) {
#pragma omp parallel for schedule(static) if (count >= PARALLEL_FROM)
    for (size_t block = 0; block < (count + 3) / 4; block++) {
        float four[4];
        normal_block(rng, block, four);
        for (size_t i = 4 * block; i < 4 * block + 4 && i < count; i++) out[i] = four[i & 3];
    }
}
