#include "nerf/core/philox.h"

#include "nerf/core/error.h"

plx_rng plx_rng_fork(plx_rng rng, uint64_t id) {
    philox4x32_ctr_t mixed = plx_philox_block(rng, id, PLX_DOMAIN_FORK);
    return (plx_rng){rng.seed, mixed.v[0] | (uint64_t)mixed.v[1] << 32};
}

uint32_t plx_rng_u32(plx_rng rng, uint64_t index) {
    return plx_philox_u32(rng, index);
}

float plx_rng_uniform(plx_rng rng, uint64_t index) {
    return plx_philox_uniform(rng, index);
}

float plx_rng_normal(plx_rng rng, uint64_t index) {
    return plx_philox_normal(rng, index);
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
        philox4x32_ctr_t bits = plx_philox_block(rng, block, PLX_DOMAIN_INTEGER);
        for (size_t i = 4 * block; i < 4 * block + 4 && i < count; i++)
            out[i] = plx_philox_to_uniform(bits.v[i & 3]);
    }
}

void plx_rng_fill_normal(plx_rng rng, float *out, size_t count) {
#pragma omp parallel for schedule(static) if (count >= PARALLEL_FROM)
    for (size_t block = 0; block < (count + 3) / 4; block++) {
        float four[4];
        plx_philox_normals(rng, block, four);
        for (size_t i = 4 * block; i < 4 * block + 4 && i < count; i++) out[i] = four[i & 3];
    }
}
