#include "nerf/core/arena.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "nerf/core/error.h"

struct plx_arena {
    char *base;
    size_t capacity, used, peak; /* bytes */
};

int plx_arena_create(plx_arena **out, size_t capacity) {
    *out = NULL;
    PLX_CHECK(capacity > 0 && capacity <= SIZE_MAX - PLX_ARENA_ALIGN, "arena: capacity of %zu bytes",
              capacity);
    capacity = (capacity + PLX_ARENA_ALIGN - 1) / PLX_ARENA_ALIGN * PLX_ARENA_ALIGN;
    plx_arena *arena = calloc(1, sizeof *arena);
    if (!arena) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    void *base =
        mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        free(arena);
        return plx_fail(PLX_ERROR_MEMORY, "cannot reserve %zu bytes of address space: %s", capacity,
                        strerror(errno));
    }
    arena->base = base;
    arena->capacity = capacity;
    *out = arena;
    return PLX_OK;
}

void plx_arena_free(plx_arena *arena) {
    if (!arena) return;
    munmap(arena->base, arena->capacity);
    free(arena);
}

void *plx_arena_alloc(plx_arena *arena, size_t bytes) {
    size_t room = arena->capacity - arena->used;
    PLX_CHECK(bytes <= room, "arena: %zu bytes wanted, %zu of %zu left", bytes, room, arena->capacity);
    void *memory = arena->base + arena->used;
    /* The capacity is a multiple of the alignment, so rounding up stays within it. */
    arena->used += (bytes + PLX_ARENA_ALIGN - 1) / PLX_ARENA_ALIGN * PLX_ARENA_ALIGN;
    if (arena->used > arena->peak) arena->peak = arena->used;
    return memory;
}

void *plx_arena_zalloc(plx_arena *arena, size_t bytes) {
    return memset(plx_arena_alloc(arena, bytes), 0, bytes);
}

size_t plx_arena_mark(const plx_arena *arena) {
    return arena->used;
}

void plx_arena_release(plx_arena *arena, size_t mark) {
    PLX_CHECK(mark <= arena->used, "arena: release to %zu, beyond the %zu in use", mark, arena->used);
    arena->used = mark;
}

size_t plx_arena_peak(const plx_arena *arena) {
    return arena->peak;
}
