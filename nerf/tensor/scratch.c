#define _GNU_SOURCE /* madvise */
#include "nerf/tensor/scratch.h"
#include "nerf/core/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

typedef struct blocks {
    float *block[PLX_SCRATCH_SLOTS];
    size_t floats[PLX_SCRATCH_SLOTS];
} blocks;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local blocks *mine;
static atomic_size_t grown;

static void free_blocks(void *at) {
    blocks *b = at;
    for (int slot = 0; slot < PLX_SCRATCH_SLOTS; slot++) free(b->block[slot]);
    free(b);
}

static void make_key(void) {
    pthread_key_create(&key, free_blocks);
}

float *plx_scratch(int slot, size_t floats) {
    if (!mine) {
        pthread_once(&once, make_key);
        mine = calloc(1, sizeof *mine);
        PLX_CHECK(mine, "no memory for the kernels");
        pthread_setspecific(key, mine);
    }
    if (floats > mine->floats[slot]) {
        free(mine->block[slot]);
        mine->floats[slot] = (floats + floats / 8 + 1023) / 1024 * 1024;
        mine->block[slot] = aligned_alloc(2 << 20, (mine->floats[slot] * sizeof(float) + (2 << 20) - 1) /
                                                       (2 << 20) * (2 << 20));
        if (mine->block[slot]) madvise(mine->block[slot], mine->floats[slot] * sizeof(float), MADV_HUGEPAGE);
        PLX_CHECK(mine->block[slot], "no memory for the kernels: %zu floats", floats);
        atomic_fetch_add(&grown, 1);
    }
    return mine->block[slot];
}

size_t plx_scratch_grown(void) {
    return atomic_load(&grown);
}
