/* Safetensors: u64 header length, JSON header, data (formats.md). Read whole, under a cap; written
 * atomically. */
#include "nerf/core/file.h"
#include "nerf/tensor/blocks.h"
#include "nerf/tensor/half.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)4 << 30)     /* bytes */
#define MAX_HEADER ((size_t)100000000) /* bytes; the format's own limit */

typedef struct entry {
    char *name; /* owned */
    const char *dtype;
    int ndim, shape[PLX_MAX_DIMENSIONS];
    const char *data; /* in `own`, or in the file that was read */
    char *own;        /* NULL, or freed with the entry */
    size_t bytes;
} entry;

struct plx_checkpoint {
    entry *entries;
    int count, capacity;
    json_t *metadata; /* object of strings */
    char *path;       /* for error lines */
    char *file;       /* NULL, or what was read */
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {{"F32", 4}, {"F16", 2}, {"F64", 8}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
              {"I8", 1},  {"U8", 1},  {"U16", 2}, {"U32", 4},  {"U64", 8}, {"BOOL", 1}};

static int dtype_index(const char *name) {
    for (int i = 0; i < (int)(sizeof dtypes / sizeof *dtypes); i++)
        if (strcmp(dtypes[i].name, name) == 0) return i;
    return -1;
}

static size_t dtype_size(const char *name) {
    return dtypes[dtype_index(name)].size;
}

int plx_checkpoint_create(plx_checkpoint **out) {
    *out = calloc(1, sizeof **out);
    if (*out) (*out)->metadata = json_object();
    if (*out && (*out)->metadata) return PLX_OK;
    free(*out);
    *out = NULL;
    return plx_fail(PLX_ERROR_MEMORY, "no memory for a checkpoint");
}

void plx_checkpoint_free(plx_checkpoint *checkpoint) {
    if (!checkpoint) return;
    for (int i = 0; i < checkpoint->count; i++) {
        free(checkpoint->entries[i].name);
        free(checkpoint->entries[i].own);
    }
    free(checkpoint->entries);
    json_decref(checkpoint->metadata);
    free(checkpoint->path);
    free(checkpoint->file);
    free(checkpoint);
}

static const char *path_of(const plx_checkpoint *checkpoint) {
    return checkpoint->path ? checkpoint->path : "checkpoint";
}

static const entry *find(const plx_checkpoint *checkpoint, const char *name) {
    for (int i = 0; i < checkpoint->count; i++)
        if (strcmp(checkpoint->entries[i].name, name) == 0) return &checkpoint->entries[i];
    return NULL;
}

/* A new entry at the end, with its name; NULL without memory. */
static entry *append(plx_checkpoint *checkpoint, const char *name) {
    if (checkpoint->count == checkpoint->capacity) {
        int capacity = checkpoint->capacity ? 2 * checkpoint->capacity : 64;
        entry *entries = realloc(checkpoint->entries, (size_t)capacity * sizeof *entries);
        if (!entries) return NULL;
        checkpoint->entries = entries;
        checkpoint->capacity = capacity;
    }
    entry *e = &checkpoint->entries[checkpoint->count];
    *e = (entry){.name = strdup(name)};
    if (!e->name) return NULL;
    checkpoint->count++;
    return e;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* A size or offset: an integer that is not negative. */
static bool json_size(const json_t *value, size_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

/* One tensor of the header; `data` has `size` bytes. */
static int parse_entry(entry *e, const json_t *value, const char *data, size_t size, const char *path) {
    const json_t *dtype = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!json_is_object(value) || json_object_size(value) != 3 || !json_is_string(dtype) ||
        !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return plx_fail(PLX_ERROR_INPUT, "%s: tensor '%s' is not {dtype, shape, data_offsets}", path,
                        e->name);
    const int index = dtype_index(json_string_value(dtype));
    if (index < 0)
        return plx_fail(PLX_ERROR_SUPPORT, "%s: tensor '%s' is of an unknown type '%s'", path, e->name,
                        json_string_value(dtype));
    e->dtype = dtypes[index].name;
    if (json_array_size(shape) > PLX_MAX_DIMENSIONS)
        return plx_fail(PLX_ERROR_SUPPORT, "%s: tensor '%s' has %zu dimensions, the most is %d", path,
                        e->name, json_array_size(shape), PLX_MAX_DIMENSIONS);
    e->ndim = (int)json_array_size(shape);
    size_t wanted = dtypes[index].size, begin, end;
    for (int i = 0; i < e->ndim; i++) {
        size_t length;
        if (!json_size(json_array_get(shape, (size_t)i), &length) || length > INT_MAX ||
            __builtin_mul_overflow(wanted, length, &wanted))
            return plx_fail(PLX_ERROR_INPUT, "%s: tensor '%s' has a shape that cannot be", path, e->name);
        e->shape[i] = (int)length;
    }
    if (!json_size(json_array_get(offsets, 0), &begin) || !json_size(json_array_get(offsets, 1), &end) ||
        begin > end || end > size)
        return plx_fail(PLX_ERROR_INPUT, "%s: tensor '%s' lies outside the file's %zu bytes of data", path,
                        e->name, size);
    if (end - begin != wanted)
        return plx_fail(PLX_ERROR_INPUT, "%s: tensor '%s' has %zu bytes where its shape needs %zu", path,
                        e->name, end - begin, wanted);
    e->data = data + begin;
    e->bytes = wanted;
    return PLX_OK;
}

static int compare_places(const void *a, const void *b) {
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors cover the data from first to last byte, side by side. */
static int check_cover(const plx_checkpoint *checkpoint, const char *data, size_t size) {
    const entry **order = malloc(((size_t)checkpoint->count + 1) * sizeof *order);
    if (!order) return plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path_of(checkpoint));
    for (int i = 0; i < checkpoint->count; i++) order[i] = &checkpoint->entries[i];
    qsort(order, (size_t)checkpoint->count, sizeof *order, compare_places);
    int status = PLX_OK;
    size_t at = 0;
    for (int i = 0; i < checkpoint->count && status == PLX_OK; i++) {
        if (order[i]->data != data + at)
            status = plx_fail(PLX_ERROR_INPUT, "%s: a hole or an overlap before tensor '%s'",
                              path_of(checkpoint), order[i]->name);
        at += order[i]->bytes;
    }
    free(order);
    if (status == PLX_OK && at != size)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %zu bytes at the end belong to no tensor",
                          path_of(checkpoint), size - at);
    return status;
}

static int parse_metadata(plx_checkpoint *checkpoint, json_t *value) {
    const char *key;
    json_t *text;
    bool strings = json_is_object(value);
    if (strings) json_object_foreach(value, key, text) strings = strings && json_is_string(text);
    if (!strings)
        return plx_fail(PLX_ERROR_INPUT, "%s: __metadata__ is not an object of strings", path_of(checkpoint));
    if (json_object_update(checkpoint->metadata, value) < 0)
        return plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path_of(checkpoint));
    return PLX_OK;
}

static int parse_header(plx_checkpoint *checkpoint, json_t *header, const char *data, size_t size) {
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        int status;
        if (strcmp(name, "__metadata__") == 0) {
            status = parse_metadata(checkpoint, value);
        } else {
            entry *e = append(checkpoint, name);
            if (!e) return plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path_of(checkpoint));
            status = parse_entry(e, value, data, size, path_of(checkpoint));
        }
        if (status < 0) return status;
    }
    return check_cover(checkpoint, data, size);
}

static int parse_file(plx_checkpoint *checkpoint, size_t size) {
    const char *path = path_of(checkpoint);
    uint64_t length = 0;
    if (size < 8) return plx_fail(PLX_ERROR_INPUT, "%s: %zu bytes are no safetensors file", path, size);
    for (int i = 0; i < 8; i++) length |= (uint64_t)(unsigned char)checkpoint->file[i] << (8 * i);
    if (length > MAX_HEADER || length > size - 8)
        return plx_fail(PLX_ERROR_INPUT,
                        "%s: a header of %llu bytes in a file of %zu: cut short, or no safetensors file",
                        path, (unsigned long long)length, size);
    if (length == 0 || checkpoint->file[8] != '{')
        return plx_fail(PLX_ERROR_INPUT, "%s: the header is not a JSON object", path);
    json_error_t error;
    json_t *header = json_loadb(checkpoint->file + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!header)
        return plx_fail(PLX_ERROR_INPUT, "%s: header, byte %d: %s", path, error.position, error.text);
    int status = parse_header(checkpoint, header, checkpoint->file + 8 + length, size - 8 - (size_t)length);
    json_decref(header);
    return status;
}

int plx_checkpoint_load(plx_checkpoint **out, const char *path) {
    plx_checkpoint *checkpoint;
    size_t size;
    *out = NULL;
    int status = plx_checkpoint_create(&checkpoint);
    if (status < 0) return status;
    checkpoint->path = strdup(path);
    status = checkpoint->path ? plx_file_read(&checkpoint->file, &size, path, MAX_FILE)
                              : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path);
    if (status == PLX_OK) status = parse_file(checkpoint, size);
    if (status == PLX_OK)
        *out = checkpoint;
    else
        plx_checkpoint_free(checkpoint);
    return status;
}

int plx_checkpoint_count(const plx_checkpoint *checkpoint) {
    return checkpoint->count;
}

const char *plx_checkpoint_name(const plx_checkpoint *checkpoint, int index) {
    PLX_CHECK(index >= 0 && index < checkpoint->count, "tensor %d of %d", index, checkpoint->count);
    return checkpoint->entries[index].name;
}

const char *plx_checkpoint_dtype(const plx_checkpoint *checkpoint, int index) {
    PLX_CHECK(index >= 0 && index < checkpoint->count, "tensor %d of %d", index, checkpoint->count);
    return checkpoint->entries[index].dtype;
}

const char *plx_checkpoint_get(const plx_checkpoint *checkpoint, const char *key) {
    return json_string_value(json_object_get(checkpoint->metadata, key));
}

int plx_checkpoint_shape(const plx_checkpoint *checkpoint, const char *name, int *ndim, int *shape) {
    const entry *e = find(checkpoint, name);
    if (!e) return plx_fail(PLX_ERROR_INPUT, "%s: there is no tensor '%s'", path_of(checkpoint), name);
    *ndim = e->ndim;
    memcpy(shape, e->shape, (size_t)e->ndim * sizeof *shape);
    return PLX_OK;
}

int plx_checkpoint_read(const plx_checkpoint *checkpoint, const char *name, int ndim, const int *shape,
                        float *out) {
    const entry *e = find(checkpoint, name);
    const char *path = path_of(checkpoint);
    if (!e) return plx_fail(PLX_ERROR_INPUT, "%s: there is no tensor '%s'", path, name);
    if (e->ndim != ndim || memcmp(e->shape, shape, (size_t)ndim * sizeof *shape) != 0)
        return plx_fail(PLX_ERROR_INPUT, "%s: tensor '%s' does not have the shape that is needed", path,
                        name);
    const bool half = strcmp(e->dtype, "F16") == 0;
    if (!half && strcmp(e->dtype, "F32") != 0)
        return plx_fail(PLX_ERROR_SUPPORT, "%s: tensor '%s' is %s, neither F32 nor F16", path, name,
                        e->dtype);
    const size_t count = e->bytes / (half ? 2 : 4);
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        if (half)
            memcpy(&bits, e->data + 2 * i, 2), out[i] = plx_half_to_float(bits);
        else
            memcpy(&out[i], e->data + 4 * i, 4);
        finite = finite && isfinite(out[i]);
    }
    if (!finite) return plx_fail(PLX_ERROR_NUMERIC, "%s: tensor '%s' holds NaN or Inf", path, name);
    return PLX_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

int plx_checkpoint_put(plx_checkpoint *checkpoint, const char *name, int ndim, const int *shape,
                       const float *data, bool half) {
    PLX_CHECK(!find(checkpoint, name), "a checkpoint has two tensors '%s'", name);
    PLX_CHECK(ndim >= 0 && ndim <= PLX_MAX_DIMENSIONS, "tensor '%s': %d dimensions", name, ndim);
    size_t count = 1;
    for (int i = 0; i < ndim; i++) count *= (size_t)shape[i];
    const size_t size = half ? 2 : 4;
    char *own = malloc(count * size + 1);
    if (!own) return plx_fail(PLX_ERROR_MEMORY, "no memory for tensor '%s'", name);
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        const uint16_t bits = half ? plx_half_from_float(data[i]) : 0;
        finite = finite && isfinite(data[i]) && (bits & 0x7c00) != 0x7c00;
        if (half)
            memcpy(own + 2 * i, &bits, 2);
        else
            memcpy(own + 4 * i, &data[i], 4);
    }
    entry *e = finite ? append(checkpoint, name) : NULL;
    if (!e) {
        free(own);
        if (finite) return plx_fail(PLX_ERROR_MEMORY, "no memory for tensor '%s'", name);
        return plx_fail(PLX_ERROR_NUMERIC, "tensor '%s' holds NaN, Inf%s", name,
                        half ? " or more than half can" : "");
    }
    e->dtype = half ? "F16" : "F32";
    e->ndim = ndim;
    memcpy(e->shape, shape, (size_t)ndim * sizeof *shape);
    e->data = e->own = own;
    e->bytes = count * size;
    return PLX_OK;
}

int plx_checkpoint_set(plx_checkpoint *checkpoint, const char *key, const char *value) {
    if (json_object_set_new(checkpoint->metadata, key, json_string(value)) < 0)
        return plx_fail(PLX_ERROR_INPUT, "metadata '%s' is not UTF-8", key);
    return PLX_OK;
}

char *plx_checkpoint_metadata(const plx_checkpoint *checkpoint) {
    return json_dumps(checkpoint->metadata, JSON_COMPACT | JSON_SORT_KEYS);
}

int plx_checkpoint_set_metadata(plx_checkpoint *checkpoint, const char *json) {
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    int status = parse_metadata(checkpoint, value);
    json_decref(value);
    return status;
}

/* By alignment, widest first, then by name. */
static int compare_order(const void *a, const void *b) {
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    const size_t p = dtype_size(x->dtype), q = dtype_size(y->dtype);
    if (p != q) return p > q ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The header as text, padded with spaces to a multiple of 8 bytes; NULL if a name is not UTF-8 or memory
 * ends. */
static char *header_text(const plx_checkpoint *checkpoint, entry *const *order, size_t *length) {
    json_t *header = json_object();
    bool good = header != NULL;
    if (json_object_size(checkpoint->metadata) > 0)
        good = good && json_object_set(header, "__metadata__", checkpoint->metadata) == 0;
    json_int_t at = 0;
    for (int i = 0; good && i < checkpoint->count; i++) {
        const entry *e = order[i];
        json_t *shape = json_array();
        for (int k = 0; k < e->ndim; k++) json_array_append_new(shape, json_integer(e->shape[k]));
        json_t *value = json_pack("{s:s, s:o, s:[I,I]}", "dtype", e->dtype, "shape", shape, "data_offsets",
                                  at, at + (json_int_t)e->bytes);
        good = json_object_set_new(header, e->name, value) == 0;
        at += (json_int_t)e->bytes;
    }
    char *text = good ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!text) return NULL;
    *length = (strlen(text) + 7) / 8 * 8;
    char *padded = malloc(*length + 1);
    if (padded) {
        memset(padded, ' ', *length);
        memcpy(padded, text, strlen(text));
    }
    free(text);
    return padded;
}

static int write_file(const plx_checkpoint *checkpoint, entry *const *order, const char *header,
                      size_t length, const char *path) {
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status < 0) return status;
    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)length >> (8 * i));
    bool good = fwrite(size, 1, 8, writer.file) == 8 && fwrite(header, 1, length, writer.file) == length;
    for (int i = 0; good && i < checkpoint->count; i++)
        good = fwrite(order[i]->data, 1, order[i]->bytes, writer.file) == order[i]->bytes;
    if (good) return plx_writer_commit(&writer);
    status = plx_fail(PLX_ERROR_IO, "%s: cannot be written: %m", path);
    plx_writer_abort(&writer);
    return status;
}

int plx_checkpoint_save(const plx_checkpoint *checkpoint, const char *path) {
    entry **order = malloc(((size_t)checkpoint->count + 1) * sizeof *order);
    if (!order) return plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path);
    for (int i = 0; i < checkpoint->count; i++) order[i] = &checkpoint->entries[i];
    qsort(order, (size_t)checkpoint->count, sizeof *order, compare_order);
    size_t length;
    char *header = header_text(checkpoint, order, &length);
    int status = !header ? plx_fail(PLX_ERROR_INPUT, "%s: the header cannot be made as JSON", path)
                 : length > MAX_HEADER ? plx_fail(PLX_ERROR_INPUT, "%s: the header is too long", path)
                                       : write_file(checkpoint, order, header, length, path);
    free(header);
    free(order);
    return status;
}
