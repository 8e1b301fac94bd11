/* Arenas: one reserved range of addresses, bump allocation, freed by mark and release. */
#ifndef PLX_CORE_ARENA_H
#define PLX_CORE_ARENA_H

#include <stddef.h>

#define PLX_ARENA_ALIGN 64 /* bytes; every allocation starts on a cache line */

typedef struct plx_arena plx_arena;

/* Reserves `capacity` bytes of address space (committed by the system page by page as they are touched). */
int plx_arena_create(plx_arena **out, size_t capacity);
void plx_arena_free(plx_arena *arena);

/* Uninitialised / zeroed memory, aligned to PLX_ARENA_ALIGN; aborts by PLX_CHECK past the capacity: the
 * capacity is address space, so it is set far above any use. */
void *plx_arena_alloc(plx_arena *arena, size_t bytes);
void *plx_arena_zalloc(plx_arena *arena, size_t bytes);

size_t plx_arena_mark(const plx_arena *arena);
void plx_arena_release(plx_arena *arena, size_t mark);
size_t plx_arena_peak(const plx_arena *arena); /* most bytes ever in use at once */

#endif
