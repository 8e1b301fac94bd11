/* .npy: "\x93NUMPY", version, header length, a Python dictionary {'descr', 'fortran_order', 'shape'}, then the values
 * (NumPy Enhancement Proposal 1). */
#include "datasets/npy.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"

#define HEADER_MAX 65536 /* bytes */
#define FILE_MAX (8 * PLX_NPY_MAX + HEADER_MAX)

typedef struct layout {
    char kind; /* f, i, u or b */
    size_t size;
    bool big_endian, fortran;
} layout;

/* ---- the header ---------------------------------------------------------------------------------------------------- */

static bool take(const char **at, const char *token) {
    *at += strspn(*at, " \t\n");
    size_t length = strlen(token);
    if (strncmp(*at, token, length)) return false;
    *at += length;
    return true;
}

/* 'text' or "text", without escapes. */
static bool take_string(const char **at, char *out, size_t capacity) {
    *at += strspn(*at, " \t\n");
    char quote = **at;
    if (quote != '\'' && quote != '"') return false;
    size_t length = strcspn(*at + 1, quote == '"' ? "\"\\" : "'\\");
    if (length >= capacity || (*at)[1 + length] != quote) return false;
    memcpy(out, *at + 1, length);
    out[length] = 0;
    *at += length + 2;
    return true;
}

static int read_type(layout *out, const char **at) {
    char text[16];
    if (!take_string(at, text, sizeof text))
        return plx_fail(PLX_ERROR_SUPPORT, "arrays of records are not read");
    if (strchr(text, 'O'))
        return plx_fail(PLX_ERROR_SUPPORT, "an object array: it holds Python code and is not read");
    const char *at_type = text;
    if (strchr("<>|=", *at_type)) at_type++;
    out->big_endian = text[0] == '>';
    out->kind = *at_type;
    out->size = at_type[0] && at_type[1] && !at_type[2] ? (size_t)(at_type[1] - '0') : 0;
    bool whole = out->size == 1 || out->size == 2 || out->size == 4 || out->size == 8;
    if (whole && ((out->kind == 'f' && out->size > 1) || out->kind == 'i' || out->kind == 'u' ||
                  (out->kind == 'b' && out->size == 1)))
        return PLX_OK;
    return plx_fail(PLX_ERROR_SUPPORT, "values of type '%s' are not read", text);
}

/* (3, 4), (3,) or (); their product, at most PLX_NPY_MAX, is the count. */
static int read_shape(plx_npy *out, const char **at) {
    bool right = take(at, "(");
    out->dims = 0;
    out->count = 1;
    while (right && !take(at, ")")) {
        *at += strspn(*at, " ");
        char *end;
        unsigned long long side = strtoull(*at, &end, 10);
        if (end == *at || **at < '0' || **at > '9' || out->dims == PLX_NPY_DIMS) {
            right = false;
            break;
        }
        if (side > PLX_NPY_MAX || (side && out->count > PLX_NPY_MAX / side))
            return plx_fail(PLX_ERROR_MEMORY, "more than %zu values", PLX_NPY_MAX);
        out->shape[out->dims++] = (size_t)side;
        out->count *= (size_t)side;
        *at = end;
        if (!take(at, ",")) {
            right = take(at, ")");
            break;
        }
    }
    return right ? PLX_OK : plx_fail(PLX_ERROR_INPUT, "no array: its shape is not a list of sizes");
}

static int read_header(plx_npy *out, layout *of, const char *at) {
    unsigned seen = 0;
    if (!take(&at, "{")) return plx_fail(PLX_ERROR_INPUT, "no array: the header is no dictionary");
    while (!take(&at, "}")) {
        char key[32];
        int status = PLX_OK;
        if (!take_string(&at, key, sizeof key) || !take(&at, ":"))
            return plx_fail(PLX_ERROR_INPUT, "no array: the header is damaged");
        if (!strcmp(key, "descr")) {
            status = read_type(of, &at);
            seen |= 1;
        } else if (!strcmp(key, "shape")) {
            status = read_shape(out, &at);
            seen |= 2;
        } else if (!strcmp(key, "fortran_order")) {
            of->fortran = take(&at, "True");
            if (!of->fortran && !take(&at, "False"))
                status = plx_fail(PLX_ERROR_INPUT, "fortran_order is no truth");
            seen |= 4;
        } else
            status = plx_fail(PLX_ERROR_INPUT, "no array: '%s' in the header", key);
        if (status) return status;
        if (!take(&at, ",") && *at != '}' && *at != ' ')
            return plx_fail(PLX_ERROR_INPUT, "no array: the header is damaged");
    }
    return seen == 7 ? PLX_OK
                     : plx_fail(PLX_ERROR_INPUT, "no array: the header lacks descr, shape or fortran_order");
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 31  ? (fraction ? NAN : INFINITY)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

static double read_value(const uint8_t *from, const layout *of) {
    uint64_t bits = 0;
    for (size_t i = 0; i < of->size; i++)
        bits |= (uint64_t)from[i] << 8 * (of->big_endian ? of->size - 1 - i : i);
    if (of->kind == 'f' && of->size == 2) return half_value((uint16_t)bits);
    if (of->kind == 'f' && of->size == 4) {
        uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof value);
        return (double)value;
    }
    if (of->kind == 'f') {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    if (of->kind != 'i') return (double)bits;
    int spare = 64 - 8 * (int)of->size;
    return (double)((int64_t)(bits << spare) >> spare); /* the sign spread */
}

/* Where value i of the C order lies in the file. */
static size_t place_of(size_t i, const plx_npy *array, bool fortran) {
    if (!fortran) return i;
    size_t place = 0, stride = array->count;
    for (int d = array->dims - 1; d >= 0;
         d--) { /* the last index runs fastest in C order, slowest in Fortran's */
        stride /= array->shape[d];
        place += i % array->shape[d] * stride;
        i /= array->shape[d];
    }
    return place;
}

int plx_npy_parse(plx_npy *out, const void *data, size_t size) {
    const uint8_t *bytes = data;
    *out = (plx_npy){0};
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6)) return plx_fail(PLX_ERROR_INPUT, "not a NumPy array");
    if (bytes[6] < 1 || bytes[6] > 3)
        return plx_fail(PLX_ERROR_SUPPORT, "format version %d of .npy is not read", bytes[6]);
    size_t start = bytes[6] == 1 ? 10 : 12, length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (start == 12) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > HEADER_MAX || length > size - start)
        return plx_fail(PLX_ERROR_INPUT, "no array: a header of %zu bytes in %zu", length, size);
    char *header = strndup((const char *)bytes + start, length);
    if (!header) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    layout of = {0};
    int status = read_header(out, &of, header);
    free(header);
    size_t rest = size - start - length;
    if (!status && rest != out->count * of.size)
        status = plx_fail(PLX_ERROR_INPUT, "%zu bytes of values, not %zu", rest, out->count * of.size);
    if (!status && !(out->values = malloc(out->count * sizeof *out->values + 1)))
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for %zu values", out->count);
    for (size_t i = 0; !status && i < out->count; i++)
        out->values[i] = read_value(bytes + start + length + of.size * place_of(i, out, of.fortran), &of);
    if (status) *out = (plx_npy){0};
    return status;
}

int plx_npy_load(plx_npy *out, const char *path) {
    char *data;
    size_t size;
    *out = (plx_npy){0};
    int status = plx_file_read(&data, &size, path, FILE_MAX);
    if (status) return status;
    status = plx_npy_parse(out, data, size);
    free(data);
    return status ? plx_fail_in(status, path) : PLX_OK;
}

void plx_npy_free(plx_npy *array) {
    free(array->values);
    *array = (plx_npy){0};
}
