#include "nerf/tensor/memory.h"

#include <stdlib.h>

#include "nerf/core/arena.h"

void *plx_memory_take(const plx_memory *m, size_t bytes) {
    if (!m) {
        size_t whole = (bytes + PLX_ARENA_ALIGN - 1) / PLX_ARENA_ALIGN * PLX_ARENA_ALIGN;
        void *block = aligned_alloc(PLX_ARENA_ALIGN, whole);
        return block ? memset(block, 0, bytes) : NULL;
    }
    char *block = NULL;
    if (m->reserve(&block, bytes)) return NULL;
    if (m->commit(block, bytes)) {
        m->release(block, bytes);
        return NULL;
    }
    m->zero(block, bytes);
    return block;
}

void plx_memory_give(const plx_memory *m, void *block, size_t bytes) {
    if (!m)
        free(block);
    else if (block)
        m->release(block, bytes);
}
