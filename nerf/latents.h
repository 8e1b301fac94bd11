/* The triplane latent store: object id -> a whole scene, in one LMDB database that many processes read and one writes. Public.
 *
 *     #include "nerf/latents.h"
 *     #include <stdio.h>
 *     #include <string.h>
 *     // example FOLDER: a triplane of 3 planes of 32x32 texels, 8 channels, kept as 8-bit numbers, and read.
 *     int main(int count, char **words) {
 *         static float texels[3][32 * 32 * 8], back[3 * 32 * 32 * 8];
 *         plx_latent latent = {.id = "chair", .class_name = "seat", .planes = 3};
 *         for (int i = 0; i < 3; i++) {
 *             latent.plane[i] = (plx_latent_plane){.rows = 32, .columns = 32, .channels = 8, .texels = texels[i]};
 *             strcpy(latent.plane[i].name, i == 0 ? "xy" : i == 1 ? "xz" : "yz");
 *             texels[i][100] = 1 + i;
 *         }
 *         plx_latents_options options = plx_latents_options_default();
 *         plx_latents *latents = NULL;
 *         plx_transaction *write = NULL, *read = NULL;
 *         options.write = true;
 *         int status = plx_latents_open(&latents, count > 1 ? words[1] : "latents", &options);
 *         if (!status) status = plx_transaction_begin(&write, latents, true);
 *         if (!status) status = plx_latent_put(write, &latent, PLX_LATENT_Q8);
 *         if (!status) status = plx_transaction_commit(write); // all that was put, or nothing
 *         if (!status) status = plx_transaction_begin(&read, latents, false);
 *         if (!status) status = plx_latents_read(read, 1, (const char *[]){"chair"}, 3 * 32 * 32 * 8, back);
 *         if (!status) printf("%g %g\n", (double)back[100], (double)back[32 * 32 * 8 + 100]);
 *         else fprintf(stderr, "%s\n", plx_error());
 *         plx_transaction_free(read);
 *         plx_latents_free(latents);
 *         return status ? 1 : 0;
 *     }
 *
 * Objects are sorted by a hash of their id: a random order that every process sees alike, in which shard k of n is one
 * range. A write transaction is kept whole or not at all, whenever its process dies; readers see what was there when they
 * began. A store is trusted: the checksums find damaged objects, but LMDB does not check its own pages. */
#ifndef PLX_NERF_LATENTS_H
#define PLX_NERF_LATENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nerf/core/error.h"
#include "nerf/nerf.h"

/* ---- a store ------------------------------------------------------------------------------------------- */

typedef struct plx_latents plx_latents;

/* write: makes the store if it is not there; one that nothing was committed to is gone again when it is freed. Default false:
 * it must be there, and is only read. map: bytes of address space reserved for it, what it can grow to. Default 16 TiB; less
 * where the system gives less. */
typedef struct plx_latents_options {
    bool write;
    uint64_t map;
} plx_latents_options;

plx_latents_options plx_latents_options_default(void);

/* Opens a store once in a process; any thread may use it. A store of another version, a folder that is none and a file cut
 * short are errors. Not to be used in a child after fork(). */
int plx_latents_open(plx_latents **out, const char *folder, const plx_latents_options *options);
void plx_latents_free(plx_latents *latents); /* after its transactions */

typedef struct plx_latents_info {
    int64_t objects, decoders;
    int64_t used, free; /* bytes of the file that hold something, and that wait for the next objects */
    int64_t map;        /* bytes it can grow to */
    int readers;        /* open read transactions of all processes */
} plx_latents_info;

int plx_latents_describe(plx_latents_info *out, plx_latents *latents);

/* A compact copy, as of now, into a folder that is not there yet; others may write meanwhile. */
int plx_latents_copy(plx_latents *latents, const char *folder);

/* ---- transactions -------------------------------------------------------------------------------------- */

typedef struct plx_transaction plx_transaction;

/* To read: a snapshot, of which a process may hold several; pages that it sees are not used again until it ends. To write:
 * one at a time of all processes and threads; waits for the one before, also if that process was killed. A transaction is
 * used by one thread at a time, one that writes by the thread that began it. */
int plx_transaction_begin(plx_transaction **out, plx_latents *latents, bool write);
/* Everything since the beginning, durable; or, with an error, nothing. Frees the transaction either way. */
int plx_transaction_commit(plx_transaction *transaction);
void plx_transaction_free(plx_transaction *transaction); /* without commit: as if it had not been */

/* ---- objects ------------------------------------------------------------------------------------------- */

/* How texels are kept: floats, IEEE halves, or 8-bit integers times a scale for each channel of a plane. */
enum plx_latent_type { PLX_LATENT_F32, PLX_LATENT_F16, PLX_LATENT_Q8, PLX_LATENT_TYPES };
const char *plx_latent_type_name(enum plx_latent_type type); /* "f32", "f16", "q8" */

enum { PLX_LATENT_PLANES = 4 /* at most */, PLX_LATENT_ID = 200 /* bytes of an id, at most */ };

typedef struct plx_latent_plane {
    char name[16];
    int rows, columns, channels;
    const void *texels; /* (rows, columns, channels) float, uint16_t or int8_t; 16-byte aligned in a store */
    const float *scale; /* (channels) of Q8: value = scale * texel, texel from -127 to 127; else NULL */
} plx_latent_plane;

/* An object. What plx_latent_get fills in lies in the store itself, mapped into memory: it is valid until its transaction
 * writes or ends. */
typedef struct plx_latent {
    const char *id; /* a file's name: no '/', no control characters, no '.' in front */
    enum plx_latent_type type;
    int planes;
    plx_latent_plane plane[PLX_LATENT_PLANES];

    const char *class_name, *source; /* "" (or NULL in a put): unknown */
    const char *history;             /* a line a write, oldest first */
    const char *rules; /* JSON object of strings, as in a scene file: frame, activation, padding, step */

    /* The decoder, kept once for all objects that have the same. To put: its numbers, or the hash of one that is there, or
     * neither (hash 0). */
    unsigned char decoder_hash[16]; /* XXH3, 128 bits */
    const char *decoder_layout;     /* JSON: {name: shape}, in the order of the numbers */
    const float *decoder;           /* (decoder_numbers) */
    size_t decoder_numbers;

    int thumbnail_height, thumbnail_width; /* 0: none */
    const unsigned char *thumbnail;        /* (H,W,4) straight RGBA, encoded */

    /* The optimiser's: Adam's moments of numbers that the writer knows; 0 numbers: none. */
    int64_t steps;
    size_t state_numbers;
    const float *m, *v; /* (state_numbers) */

    int64_t written; /* seconds since 1970; set by put */
} plx_latent;

size_t plx_latent_numbers(const plx_latent *latent);                     /* texels' numbers of all planes */
void plx_latent_decode(const plx_latent *latent, int plane, float *out); /* (rows, columns, channels) */

/* PLX_ERROR_INPUT for what cannot be an id. */
int plx_latent_check_id(const char *id);
/* Whether there is such an object. */
bool plx_latent_exists(plx_transaction *transaction, const char *id);
/* PLX_ERROR_INPUT if there is none of this id, or it is damaged; checksums are plx_latent_check's. */
int plx_latent_get(plx_latent *out, plx_transaction *transaction, const char *id);
/* Adds or replaces the object; texels are float, or of the type `as` already. NaN, Inf and what the type cannot hold are
 * refused, and the transaction goes on without it. After any other error it can only be freed. */
int plx_latent_put(plx_transaction *transaction, const plx_latent *latent, enum plx_latent_type as);
int plx_latent_remove(plx_transaction *transaction, const char *id);
/* Reads all of it and compares the checksums. */
int plx_latent_check(plx_transaction *transaction, const char *id);

/* The ids of shard `shard` of `shards`, in the store's order; free(*ids). They are valid as a plx_latent's pointers are. */
int plx_latents_ids(const char ***ids, int64_t *count, plx_transaction *transaction, int shard, int shards);

/* Texels of `count` objects as floats, out (count, numbers), plane behind plane: a training batch. PLX_ERROR_INPUT names
 * an object that is not there or has another size. All threads. */
int plx_latents_read(plx_transaction *transaction, int count, const char *const *ids, size_t numbers,
                     float *out);

/* Removes decoders that no object has any more. */
int plx_latents_collect(plx_transaction *transaction, int64_t *removed);

/* XXH3, 64 bits, of any bytes: by which contents are told apart here. */
uint64_t plx_content_hash(const void *data, size_t size);

/* ---- fields and scene files ---------------------------------------------------------------------------- */

typedef struct plx_latent_note {
    int as; /* enum plx_latent_type, or -1: as they are (a field's are floats). Default -1 */
    const char *class_name, *source; /* NULL: as the file or the object that is replaced has them */
    const char *what; /* for the history, behind the time, such as the command that made it; NULL: "put" */
    int thumbnail;    /* pixels a side, drawn from the input's camera or an orbit; 0: none. Default 64 */
    bool state;       /* of the optimiser, too, of a field made for training. Default false */
} plx_latent_note;

plx_latent_note plx_latent_note_default(void);

int plx_latent_put_field(plx_transaction *transaction, const char *id, plx_field *field,
                         const plx_latent_note *note);
/* train: with the optimiser's state, if it was put. */
int plx_latent_get_field(plx_field **out, plx_transaction *transaction, const char *id, bool train);

/* From and to a scene file (plx_field_save's, with class, source and history in its metadata). */
int plx_latent_put_file(plx_transaction *transaction, const char *id, const char *path,
                        const plx_latent_note *note);
int plx_latent_get_file(plx_transaction *transaction, const char *id, const char *path);

#endif
