/* A card's peaks as work to be timed. */
#include "nerf/card.h"

#include <stdio.h>
#include <stdlib.h>

#include "nerf/core/rng.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/probes.h"

typedef struct work {
    plx_device device;
    const plx_probes *probes;
    enum plx_probe probe;
    int times;
    size_t floats; /* of each of the three arrays; a product's side is n */
    int n;
    float *arrays; /* (3,floats) */
} work;

static int run(void *state) {
    const work *w = state;
    float *a = w->arrays, *b = a + w->floats, *c = b + w->floats;
    if (w->probe == PLX_PROBE_MULTIPLY_ADD)
        w->probes->multiply_add(w->times, a);
    else if (w->probe == PLX_PROBE_MEMORY)
        w->probes->triad(w->times, w->floats, b, c, a);
    else
        w->device.kernels->linear_fwd((size_t)w->n, w->n, w->n, b, c, NULL, a);
    return PLX_OK;
}

/* Numbers, not zeros, which a card multiplies with less power. */
static int fill(const work *w) {
    enum { BLOCK = 1 << 18 };
    float *block = malloc(sizeof(float) * BLOCK);
    if (!block) return plx_fail(PLX_ERROR_MEMORY, "probe: out of memory");
    plx_rng_fill_normal((plx_rng){1, 1}, block, BLOCK);
    for (size_t i = 0, count = 3 * w->floats; i < count; i += BLOCK)
        plx_memory_write(w->device.memory, w->arrays + i, block,
                         sizeof(float) * (count - i < BLOCK ? count - i : BLOCK));
    free(block);
    return PLX_OK;
}

static void free_work(void *state) {
    work *w = state;
    plx_memory_give(w->device.memory, w->arrays, 3 * w->floats * sizeof(float));
    free(w);
}

int plx_probe_workload(plx_workload *out, enum plx_probe probe, size_t size, int times) {
    *out = (plx_workload){0};
    work *w = calloc(1, sizeof *w);
    if (!w) return plx_fail(PLX_ERROR_MEMORY, "probe: out of memory");
    int status = plx_device_open(&w->device, NULL);
    w->probes = status ? NULL : plx_device_probes(&w->device);
    if (!status && !w->probes)
        status = plx_fail(PLX_ERROR_SUPPORT, "probe: device '%s' is no card", w->device.name);
    w->probe = probe, w->times = times, w->n = (int)size;
    w->floats = probe == PLX_PROBE_PRODUCT  ? size * size
                : probe == PLX_PROBE_MEMORY ? size / 3 / sizeof(float) / 64 * 64
                                            : 64;
    if (!status && !(w->arrays = plx_memory_take(w->device.memory, 3 * w->floats * sizeof(float))))
        status = plx_fail_in(PLX_ERROR_MEMORY, "probe");
    if (!status) status = fill(w);
    if (!status && probe == PLX_PROBE_MULTIPLY_ADD) { /* which also warms up */
        out->flops = w->probes->multiply_add(times, w->arrays);
        status = plx_memory_finish(w->device.memory);
    }
    if (status) {
        if (w->arrays) plx_memory_give(w->device.memory, w->arrays, 3 * w->floats * sizeof(float));
        free(w);
        return status;
    }
    if (probe == PLX_PROBE_MEMORY) out->bytes = 3.0 * sizeof(float) * (double)w->floats * times;
    if (probe == PLX_PROBE_PRODUCT) out->flops = 2.0 * (double)size * (double)size * (double)size;
    out->run = run, out->free = free_work, out->state = w;
    return PLX_OK;
}

size_t plx_card_cache(void) {
    plx_device device;
    const plx_probes *probes = plx_device_open(&device, NULL) ? NULL : plx_device_probes(&device);
    return probes ? probes->cache() : 0;
}

int plx_card_wait(void) {
    plx_device device;
    int status = plx_device_open(&device, NULL);
    return status ? status : plx_memory_finish(device.memory);
}
