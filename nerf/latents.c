/* The latent store's objects: what stands where in its tables. */
#include "nerf/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Puts "store: object: " before the error line. */
static int fail_at(const plx_transaction *t, const char *id, int status) {
    char where[4096];
    snprintf(where, sizeof where, "%s: %s", plx_transaction_folder(t), id);
    return plx_fail_in(status, where);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* An object's entry in the table of objects; `bytes` are the texts behind the record. */
static int get_record(plx_latent_record *record, plx_bytes *texts, plx_transaction *t, plx_bytes key) {
    plx_bytes bytes;
    int status = plx_table_get(&bytes, t, PLX_TABLE_OBJECTS, key);
    if (status) return status;
    if (!bytes.data) return plx_fail(PLX_ERROR_INPUT, "there is no such object");
    if (bytes.size < sizeof *record) return plx_fail(PLX_ERROR_INPUT, "the record is cut short");
    memcpy(record, bytes.data, sizeof *record);
    *texts = (plx_bytes){(const char *)bytes.data + sizeof *record, bytes.size - sizeof *record};
    return PLX_OK;
}

static bool has_decoder(const unsigned char hash[16]) {
    static const unsigned char none[16];
    return memcmp(hash, none, 16) != 0;
}

static int get_decoder(plx_latent *out, plx_transaction *t, bool check) {
    plx_bytes bytes;
    unsigned char digest[16];
    int status = plx_table_get(&bytes, t, PLX_TABLE_DECODERS, (plx_bytes){out->decoder_hash, 16});
    if (status) return status;
    if (!bytes.data) return plx_fail(PLX_ERROR_INPUT, "its decoder is not there");
    status = plx_decoder_parse(out, bytes);
    if (status || !check) return status;
    plx_bytes_digest(bytes, digest);
    if (!memcmp(digest, out->decoder_hash, 16)) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "the checksum of its decoder is wrong");
}

static int get_part(plx_latent *out, plx_transaction *t, plx_bytes key, const plx_latent_record *record,
                    enum plx_latent_part part, bool check) {
    plx_bytes bytes;
    if (!record->size[part]) return PLX_OK;
    int status = plx_table_get(&bytes, t, (int)part, key);
    if (status) return status;
    if (bytes.size != record->size[part])
        return plx_fail(PLX_ERROR_INPUT, "its %s: %zu bytes of %llu", plx_table_name((int)part), bytes.size,
                        (unsigned long long)record->size[part]);
    if (check && plx_content_hash(bytes.data, bytes.size) != record->check[part])
        return plx_fail(PLX_ERROR_INPUT, "the checksum of its %s is wrong", plx_table_name((int)part));
    return plx_latent_part_parse(out, part, bytes);
}

static int get_all(plx_latent *out, plx_transaction *t, plx_bytes key, bool check) {
    plx_latent_record record;
    plx_bytes texts;
    int status = get_record(&record, &texts, t, key);
    if (!status && check && plx_content_hash(texts.data, texts.size) != record.check_texts)
        status = plx_fail(PLX_ERROR_INPUT, "the checksum of its texts is wrong");
    if (!status) status = plx_latent_texts_parse(out, texts);
    for (int part = 0; part < PLX_PARTS && !status; part++)
        status = get_part(out, t, key, &record, part, check);
    if (status) return status;
    out->written = record.written;
    memcpy(out->decoder_hash, record.decoder, 16);
    return has_decoder(record.decoder) ? get_decoder(out, t, check) : PLX_OK;
}

static int get_latent(plx_latent *out, plx_transaction *t, const char *id, bool check) {
    unsigned char key[PLX_LATENT_KEY];
    *out = (plx_latent){.id = id};
    int size = plx_latent_key(key, id);
    if (size < 0) return plx_fail_in(size, plx_transaction_folder(t));
    int status = get_all(out, t, (plx_bytes){key, (size_t)size}, check);
    return status ? fail_at(t, id, status) : PLX_OK;
}

int plx_latent_get(plx_latent *out, plx_transaction *t, const char *id) {
    return get_latent(out, t, id, false);
}

int plx_latent_check(plx_transaction *t, const char *id) {
    plx_latent latent;
    return get_latent(&latent, t, id, true);
}

bool plx_latent_exists(plx_transaction *t, const char *id) {
    unsigned char key[PLX_LATENT_KEY];
    plx_bytes bytes;
    int size = plx_latent_key(key, id);
    return size > 0 && !plx_table_get(&bytes, t, PLX_TABLE_OBJECTS, (plx_bytes){key, (size_t)size}) &&
           bytes.data;
}

int plx_latents_read(plx_transaction *t, int count, const char *const *ids, size_t numbers, float *out) {
    plx_latent *latents = calloc((size_t)count + 1, sizeof *latents);
    int status = latents ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "no memory for %d latents", count);
    for (int i = 0; i < count && !status; i++) {
        status = plx_latent_get(&latents[i], t, ids[i]);
        size_t own = plx_latent_numbers(&latents[i]);
        if (!status && own != numbers)
            status = fail_at(t, ids[i],
                             plx_fail(PLX_ERROR_INPUT, "has %zu numbers where %zu are wanted", own, numbers));
    }
    if (!status) {
#pragma omp parallel for schedule(static)
        for (int i = 0; i < count; i++) {
            float *to = out + (size_t)i * numbers;
            for (int k = 0; k < latents[i].planes; k++) {
                const plx_latent_plane *p = &latents[i].plane[k];
                plx_latent_decode(&latents[i], k, to);
                to += (size_t)p->rows * (size_t)p->columns * (size_t)p->channels;
            }
        }
    }
    free(latents);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static int put_part(plx_transaction *t, plx_bytes key, const plx_latent *latent, enum plx_latent_type as,
                    enum plx_latent_part part, plx_latent_record *record) {
    size_t size = plx_latent_part_size(latent, part, as);
    void *data;
    record->size[part] = size;
    if (!size) return plx_table_erase(t, (int)part, key);
    int status = plx_table_reserve(&data, t, (int)part, key, size);
    if (status) return status;
    plx_latent_part_encode(data, latent, part, as);
    record->check[part] = plx_content_hash(data, size);
    return PLX_OK;
}

/* Under its hash; one that is there already is compared. */
static int put_decoder_bytes(plx_transaction *t, plx_bytes bytes, unsigned char hash[16]) {
    plx_bytes there;
    void *data;
    plx_bytes_digest(bytes, hash);
    const plx_bytes key = {hash, 16};
    int status = plx_table_get(&there, t, PLX_TABLE_DECODERS, key);
    if (!status && there.data) {
        if (there.size == bytes.size && !memcmp(there.data, bytes.data, bytes.size)) return PLX_OK;
        return plx_fail(PLX_ERROR_INPUT, "another decoder of the same hash, or a damaged one, is there");
    }
    if (!status) status = plx_table_reserve(&data, t, PLX_TABLE_DECODERS, key, bytes.size);
    if (!status) memcpy(data, bytes.data, bytes.size);
    return status;
}

static int put_decoder(plx_transaction *t, const plx_latent *latent, unsigned char hash[16]) {
    plx_bytes there;
    memcpy(hash, latent->decoder_hash, 16);
    if (!latent->decoder_numbers) {
        int status =
            has_decoder(hash) ? plx_table_get(&there, t, PLX_TABLE_DECODERS, (plx_bytes){hash, 16}) : PLX_OK;
        if (!status && has_decoder(hash) && !there.data)
            status = plx_fail(PLX_ERROR_INPUT, "there is no decoder of that hash");
        return status;
    }
    size_t size = plx_decoder_size(latent);
    void *data = malloc(size);
    if (!data) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    plx_decoder_encode(data, latent);
    int status = put_decoder_bytes(t, (plx_bytes){data, size}, hash);
    free(data);
    return status;
}

static int put_record(plx_transaction *t, plx_bytes key, const plx_latent *latent,
                      plx_latent_record *record) {
    size_t size = plx_latent_texts_size(latent);
    char *texts = malloc(size);
    if (!texts) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    plx_latent_texts_encode(texts, latent); /* aside: they may lie in what is replaced */
    record->check_texts = plx_content_hash(texts, size);
    record->written = (int64_t)time(NULL);
    void *data;
    int status = plx_table_reserve(&data, t, PLX_TABLE_OBJECTS, key, sizeof *record + size);
    if (!status) {
        memcpy(data, record, sizeof *record);
        memcpy((char *)data + sizeof *record, texts, size);
    }
    free(texts);
    return status;
}

int plx_latent_put(plx_transaction *t, const plx_latent *latent, enum plx_latent_type as) {
    PLX_CHECK(plx_transaction_writes(t), "a put in a transaction that reads");
    unsigned char name[PLX_LATENT_KEY];
    plx_latent_record record = {.written = 0};
    int status = plx_latent_validate(latent, as);
    if (status) return plx_fail_in(status, plx_transaction_folder(t));
    const plx_bytes key = {name, (size_t)plx_latent_key(name, latent->id)};
    status = put_decoder(t, latent, record.decoder);
    for (int part = 0; part < PLX_PARTS && !status; part++)
        status = put_part(t, key, latent, as, part, &record);
    if (!status) status = put_record(t, key, latent, &record);
    if (!status) return PLX_OK;
    plx_transaction_spoil(t);
    return fail_at(t, latent->id, status);
}

int plx_latent_remove(plx_transaction *t, const char *id) {
    PLX_CHECK(plx_transaction_writes(t), "a removal in a transaction that reads");
    unsigned char name[PLX_LATENT_KEY];
    int size = plx_latent_key(name, id), status = PLX_OK;
    if (size < 0) return plx_fail_in(size, plx_transaction_folder(t));
    if (!plx_latent_exists(t, id))
        return fail_at(t, id, plx_fail(PLX_ERROR_INPUT, "there is no such object"));
    for (int table = 0; table <= PLX_TABLE_OBJECTS && !status; table++)
        status = plx_table_erase(t, table, (plx_bytes){name, (size_t)size});
    if (status) plx_transaction_spoil(t);
    return status;
}

/* ---- all objects --------------------------------------------------------------------------------------- */

typedef struct id_list {
    const char **ids;
    int64_t count, capacity;
    int shard, shards;
} id_list;

/* Shard k of n has the hashes h with floor(h n / 2^64) = k. */
static int shard_of(const unsigned char *key, int shards) {
    uint64_t hash = 0;
    for (int i = 0; i < 8; i++) hash = hash << 8 | key[i];
    return (int)((unsigned __int128)hash * (unsigned)shards >> 64);
}

static int list_id(plx_bytes key, plx_bytes value, void *user) {
    id_list *list = user;
    const char *id = (const char *)key.data + 8;
    (void)value;
    if (key.size < 10 || id[key.size - 9]) return plx_fail(PLX_ERROR_INPUT, "is damaged: a key that is none");
    if (shard_of(key.data, list->shards) != list->shard) return PLX_WALK_END;
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 1024;
        const char **ids = realloc(list->ids, (size_t)capacity * sizeof *ids);
        if (!ids) return plx_fail(PLX_ERROR_MEMORY, "no memory for its ids");
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return PLX_WALK_ON;
}

int plx_latents_ids(const char ***ids, int64_t *count, plx_transaction *t, int shard, int shards) {
    PLX_CHECK(shards > 0 && shard >= 0 && shard < shards, "shard %d of %d", shard, shards);
    id_list list = {.shard = shard, .shards = shards};
    const uint64_t low =
        (uint64_t)((((unsigned __int128)shard << 64) + (unsigned)shards - 1) / (unsigned)shards);
    unsigned char first[8];
    for (int i = 0; i < 8; i++) first[i] = (unsigned char)(low >> (56 - 8 * i));
    int status = plx_table_walk(t, PLX_TABLE_OBJECTS, (plx_bytes){first, 8}, list_id, &list);
    if (status) {
        free(list.ids);
        list = (id_list){.ids = NULL};
        status = plx_fail_in(status, plx_transaction_folder(t));
    }
    *ids = list.ids;
    *count = list.count;
    return status;
}

typedef struct decoder_list {
    unsigned char *hashes; /* (count,16), sorted before the sweep */
    size_t count;
    int64_t removed;
} decoder_list;

static int compare_hashes(const void *a, const void *b) {
    return memcmp(a, b, 16);
}

static int sweep_decoder(plx_bytes key, plx_bytes value, void *user) {
    decoder_list *list = user;
    (void)value;
    if (key.size == 16 && bsearch(key.data, list->hashes, list->count, 16, compare_hashes))
        return PLX_WALK_ON;
    list->removed++;
    return PLX_WALK_ERASE;
}

/* The decoders' hashes of all objects. */
static int mark_decoders(decoder_list *list, plx_transaction *t) {
    const char **ids;
    int64_t count;
    int status = plx_latents_ids(&ids, &count, t, 0, 1);
    if (status) return status;
    list->hashes = malloc(16 * ((size_t)count + 1));
    if (!list->hashes) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", plx_transaction_folder(t));
    for (int64_t i = 0; i < count && !status; i++) {
        unsigned char key[PLX_LATENT_KEY];
        plx_latent_record record;
        plx_bytes texts;
        status = get_record(&record, &texts, t, (plx_bytes){key, (size_t)plx_latent_key(key, ids[i])});
        if (!status) memcpy(list->hashes + 16 * list->count++, record.decoder, 16);
    }
    free(ids);
    return status;
}

int plx_latents_collect(plx_transaction *t, int64_t *removed) {
    PLX_CHECK(plx_transaction_writes(t), "a collection in a transaction that reads");
    decoder_list list = {.hashes = NULL};
    int status = mark_decoders(&list, t);
    if (!status) {
        qsort(list.hashes, list.count, 16, compare_hashes);
        status = plx_table_walk(t, PLX_TABLE_DECODERS, (plx_bytes){NULL, 0}, sweep_decoder, &list);
        if (status) plx_transaction_spoil(t);
    }
    *removed = list.removed;
    free(list.hashes);
    return status;
}
