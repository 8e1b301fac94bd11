#include "nerf/tensor/pool.h"

#include <stdalign.h>
#include <stdlib.h>

#include "nerf/core/arena.h"
#include "nerf/core/error.h"

/* Stands before the memory. Holes are listed by address, and touch neither each other nor the end. */
typedef struct block {
    alignas(PLX_ARENA_ALIGN) size_t bytes; /* with this header */
    struct block *next;                    /* the next hole */
} block;

struct plx_pool {
    plx_arena *range;
    char *base;
    const plx_memory *memory;
    char *device;                           /* what is handed out; `base` where the memory is the host's */
    size_t capacity, used, peak, committed; /* bytes */
    block *holes;
};

int plx_pool_create(plx_pool **out, const plx_memory *memory, size_t capacity) {
    plx_pool *pool = *out = calloc(1, sizeof *pool);
    if (!pool) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    int status = plx_arena_create(&pool->range, capacity);
    if (status < 0) {
        free(pool);
        *out = NULL;
        return status;
    }
    pool->device = pool->base = plx_arena_alloc(pool->range, capacity);
    pool->capacity = capacity;
    pool->memory = memory;
    if (memory && (status = memory->reserve(&pool->device, capacity)) < 0) {
        plx_arena_free(pool->range);
        free(pool);
        *out = NULL;
    }
    return status;
}

void plx_pool_free(plx_pool *pool) {
    if (!pool) return;
    if (pool->memory) pool->memory->release(pool->device, pool->capacity);
    plx_arena_free(pool->range);
    free(pool);
}

static void commit(plx_pool *pool, const char *what) {
    if (!pool->memory || pool->used <= pool->committed) return;
    if (pool->memory->commit(pool->device, pool->used))
        pool->memory->fail(what);
    else
        pool->committed = pool->used;
}

static char *end_of(block *b) {
    return (char *)b + b->bytes;
}

static block *take_from_end(plx_pool *pool, const char *what, size_t bytes) {
    PLX_CHECK(bytes <= pool->capacity - pool->used, "pool: %zu bytes wanted, %zu of %zu left", bytes,
              pool->capacity - pool->used, pool->capacity);
    block *b = (block *)(pool->base + pool->used);
    pool->used += bytes;
    if (pool->used > pool->peak) pool->peak = pool->used;
    b->bytes = bytes;
    commit(pool, what);
    return b;
}

/* All of a hole, or its first part. */
static block *take_from_hole(block **hole, size_t bytes) {
    block *b = *hole;
    if (b->bytes == bytes) {
        *hole = b->next;
    } else {
        block *rest = (block *)((char *)b + bytes);
        *rest = (block){b->bytes - bytes, b->next};
        *hole = rest;
        b->bytes = bytes;
    }
    return b;
}

void *plx_pool_take(plx_pool *pool, const char *what, size_t bytes) {
    const size_t whole = (bytes + sizeof(block) + PLX_ARENA_ALIGN - 1) / PLX_ARENA_ALIGN * PLX_ARENA_ALIGN;
    block **hole = &pool->holes;
    while (*hole && (*hole)->bytes < whole) hole = &(*hole)->next;
    block *b = *hole ? take_from_hole(hole, whole) : take_from_end(pool, what, whole);
    return pool->device + ((char *)(b + 1) - pool->base);
}

void plx_pool_give(plx_pool *pool, void *memory) {
    block *b = (block *)(pool->base + ((char *)memory - pool->device)) - 1, *before = NULL,
          *after = pool->holes;
    while (after && after < b) before = after, after = after->next;
    b->next = after;
    if (after && end_of(b) == (char *)after) b->bytes += after->bytes, b->next = after->next;
    if (before && end_of(before) == (char *)b) {
        before->bytes += b->bytes, before->next = b->next;
        b = before;
    } else if (before) {
        before->next = b;
    } else {
        pool->holes = b;
    }
    if (end_of(b) != pool->base + pool->used) return;
    block **last = &pool->holes; /* a hole at the end is none */
    while (*last != b) last = &(*last)->next;
    *last = NULL;
    pool->used = (size_t)((char *)b - pool->base);
}

void plx_pool_reset(plx_pool *pool) {
    pool->holes = NULL;
    pool->used = 0;
}

size_t plx_pool_used(const plx_pool *pool) {
    return pool->used;
}
size_t plx_pool_peak(const plx_pool *pool) {
    return pool->peak;
}
