/* The bytes of an object in the store (latents.h): its key, and the parts that are its values. Numbers are little-endian.
 *
 *   key        hash of the id (8 bytes, big-endian: keys sort by it), the id, 0
 *   record     plx_latent_record, then class, source, history, rules, each with a 0
 *   planes     planes_head, scales, texels; parts begin at multiples of 64 bytes
 *   state      steps (8 bytes), count (8), m, v
 *   thumbnail  height (4), width (4), RGBA
 *   decoder    length of the layout (4), count (4), layout, 0, zeros up to a multiple of 16, numbers; its key is its hash */
#ifndef PLX_NERF_LATENT_H
#define PLX_NERF_LATENT_H

#include "nerf/latents.h"

enum { PLX_LATENT_KEY = 8 + PLX_LATENT_ID + 1 }; /* bytes, at most */

typedef struct plx_bytes {
    const void *data;
    size_t size;
} plx_bytes;

void plx_bytes_digest(plx_bytes bytes, unsigned char digest[16]); /* 128 bits: the name of a decoder */

/* Size of the key; PLX_ERROR_INPUT for what is no id. */
int plx_latent_key(unsigned char key[PLX_LATENT_KEY], const char *id);

enum plx_latent_part { PLX_PART_PLANES, PLX_PART_STATE, PLX_PART_THUMBNAIL, PLX_PARTS };

/* Every part is encoded from the latent into `size` bytes, as plx_latent_part_size says (0: there is none), and found
 * again in them; PLX_ERROR_INPUT for bytes that are no such part. */
size_t plx_latent_part_size(const plx_latent *latent, enum plx_latent_part part, enum plx_latent_type as);
void plx_latent_part_encode(void *out, const plx_latent *latent, enum plx_latent_part part,
                            enum plx_latent_type as);
int plx_latent_part_parse(plx_latent *out, enum plx_latent_part part, plx_bytes bytes);

/* That a put can be done: sizes, names, finite numbers within the type's range. */
int plx_latent_validate(const plx_latent *latent, enum plx_latent_type as);

typedef struct plx_latent_record {
    uint64_t check[PLX_PARTS],
        check_texts;          /* plx_content_hash of the parts, and of what follows the record */
    uint64_t size[PLX_PARTS]; /* bytes; 0: there is none */
    unsigned char decoder[16];
    int64_t written;
} plx_latent_record;

enum { PLX_LATENT_TEXTS = 4 };
size_t plx_latent_texts_size(const plx_latent *latent);
void plx_latent_texts_encode(char *out, const plx_latent *latent);
int plx_latent_texts_parse(plx_latent *out, plx_bytes bytes);

size_t plx_decoder_size(const plx_latent *latent); /* bytes */
void plx_decoder_encode(void *out, const plx_latent *latent);
int plx_decoder_parse(plx_latent *out, plx_bytes bytes);

#endif
