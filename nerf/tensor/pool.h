/* Memory that is given back in any order, in one reserved range of addresses: the first hole that fits is taken, so that
 * few pages are ever touched. In a device's memory what keeps the books stands on the host, at the same places of a range of
 * its own. */
#ifndef PLX_POOL_H
#define PLX_POOL_H

#include <stddef.h>

#include "nerf/tensor/memory.h"

typedef struct plx_pool plx_pool;

int plx_pool_create(plx_pool **out, const plx_memory *memory, size_t capacity); /* bytes of address space */
void plx_pool_free(plx_pool *pool);

/* Uninitialised memory, aligned to 64 bytes; aborts by PLX_CHECK past the capacity. Past what the device has it is an error of
 * `what`, which the device's memory keeps (plx_memory.fail), and there is nothing behind the addresses. */
void *plx_pool_take(plx_pool *pool, const char *what, size_t bytes);
void plx_pool_give(plx_pool *pool, void *memory);
void plx_pool_reset(plx_pool *pool); /* gives everything back */

size_t plx_pool_used(const plx_pool *pool); /* bytes up to the end of the last block taken */
size_t plx_pool_peak(const plx_pool *pool); /* the most ever */

#endif
