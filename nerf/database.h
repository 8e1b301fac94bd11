/* The latent store's tables of keys and values, on LMDB; latents.h has what a store promises. */
#ifndef PLX_NERF_DATABASE_H
#define PLX_NERF_DATABASE_H

#include "nerf/latent.h"

enum plx_table { /* the first are enum plx_latent_part, and PLX_TABLE_OBJECTS too is keyed by plx_latent_key */
                 PLX_TABLE_OBJECTS = PLX_PARTS,
                 PLX_TABLE_DECODERS,
                 PLX_TABLE_STORE,
                 PLX_TABLES
};
const char *plx_table_name(int table); /* "planes", "states", ... */

/* Values lie in the store itself, until the transaction writes or ends. out->data is NULL if there is none. */
int plx_table_get(plx_bytes *out, plx_transaction *t, int table, plx_bytes key);
/* A new value of `size` bytes, which the caller writes before the next call. */
int plx_table_reserve(void **out, plx_transaction *t, int table, plx_bytes key, size_t size);
int plx_table_erase(plx_transaction *t, int table, plx_bytes key); /* or nothing, where there is none */

/* Calls `visit` with each entry from the first key at or behind `from`, in order, until it returns something else than
 * PLX_WALK_ON; PLX_WALK_ERASE removes the entry and goes on. */
enum { PLX_WALK_ON = 0, PLX_WALK_END = 1, PLX_WALK_ERASE = 2 }; /* or a negative plx_status */
typedef int (*plx_table_fn)(plx_bytes key, plx_bytes value, void *user);
int plx_table_walk(plx_transaction *t, int table, plx_bytes from, plx_table_fn visit, void *user);

const char *plx_transaction_folder(const plx_transaction *t);
bool plx_transaction_writes(const plx_transaction *t);
void plx_transaction_spoil(
    plx_transaction *t); /* something was written in part: it can no longer be committed */

#endif
