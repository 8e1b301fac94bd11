#include "nerf/latent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "nerf/tensor/half.h"

enum {
    ALIGN = 64,
    LEAST = 4096 /* bytes of a part: LMDB then gives it pages of its own, which are aligned */
};
enum { MAX_SIDE = 4096, MAX_CHANNELS = 4096 };
static const size_t most_texels = (size_t)1 << 28; /* numbers of a plane: 1 GiB as floats */

static size_t round_up(size_t size, size_t to) {
    return (size + to - 1) / to * to;
}

uint64_t plx_content_hash(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

void plx_bytes_digest(plx_bytes bytes, unsigned char digest[16]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data, bytes.size));
    memcpy(digest, canonical.digest, 16);
}

int plx_latent_key(unsigned char key[PLX_LATENT_KEY], const char *id) {
    size_t length = strlen(id);
    bool good = length > 0 && length <= PLX_LATENT_ID && id[0] != '.';
    for (size_t i = 0; i < length && good; i++)
        good = (unsigned char)id[i] >= 32 && id[i] != 127 && id[i] != '/';
    if (!good)
        return plx_fail(PLX_ERROR_INPUT,
                        "'%.*s%s': an id is a file's name of 1 to %d bytes, without '/' and no '.' in front",
                        length > 60 ? 60 : (int)length, id, length > 60 ? "..." : "", PLX_LATENT_ID);
    uint64_t hash = XXH3_64bits(id, length);
    for (int i = 0; i < 8; i++) key[i] = (unsigned char)(hash >> (56 - 8 * i));
    memcpy(key + 8, id, length + 1);
    return (int)(8 + length + 1);
}

int plx_latent_check_id(const char *id) {
    unsigned char key[PLX_LATENT_KEY];
    int size = plx_latent_key(key, id);
    return size < 0 ? size : PLX_OK;
}

/* ---- planes -------------------------------------------------------------------------------------------- */

typedef struct planes_head {
    uint32_t type, planes;
    struct {
        char name[16];
        int32_t rows, columns, channels, zero;
        uint64_t scale, texels; /* where they begin, bytes from the head's first */
    } plane[PLX_LATENT_PLANES];
} planes_head;

static const size_t texel_size[PLX_LATENT_TYPES] = {4, 2, 1};

const char *plx_latent_type_name(enum plx_latent_type type) {
    static const char *const names[PLX_LATENT_TYPES] = {"f32", "f16", "q8"};
    return names[type];
}

static size_t plane_numbers(const plx_latent_plane *p) {
    return (size_t)p->rows * (size_t)p->columns * (size_t)p->channels;
}

size_t plx_latent_numbers(const plx_latent *latent) {
    size_t numbers = 0;
    for (int i = 0; i < latent->planes; i++) numbers += plane_numbers(&latent->plane[i]);
    return numbers;
}

/* Fills the head in for planes of these sizes and gives the size of the part. */
static size_t lay_out(planes_head *head, const plx_latent *latent, enum plx_latent_type as) {
    *head = (planes_head){.type = as, .planes = (uint32_t)latent->planes};
    size_t at = round_up(sizeof *head, ALIGN);
    for (int i = 0; i < latent->planes; i++) {
        const plx_latent_plane *p = &latent->plane[i];
        memcpy(head->plane[i].name, p->name, strlen(p->name));
        head->plane[i].rows = p->rows;
        head->plane[i].columns = p->columns;
        head->plane[i].channels = p->channels;
        if (as == PLX_LATENT_Q8) {
            head->plane[i].scale = at;
            at += round_up((size_t)p->channels * sizeof(float), ALIGN);
        }
        head->plane[i].texels = at;
        at += round_up(plane_numbers(p) * texel_size[as], ALIGN);
    }
    return at < LEAST ? LEAST : at;
}

static bool plane_possible(const char name[16], int rows, int columns, int channels) {
    return memchr(name, 0, 16) && *name && rows > 0 && rows <= MAX_SIDE && columns > 0 &&
           columns <= MAX_SIDE && channels > 0 && channels <= MAX_CHANNELS &&
           (size_t)rows * (size_t)columns <= most_texels / (size_t)channels;
}

static int parse_planes(plx_latent *out, plx_bytes bytes) {
    static const char bad[] = "the planes are not what they should be";
    planes_head head, expected;
    if (bytes.size < sizeof head) return plx_fail(PLX_ERROR_INPUT, "%s", bad);
    memcpy(&head, bytes.data, sizeof head);
    if (head.type >= PLX_LATENT_TYPES || head.planes > PLX_LATENT_PLANES)
        return plx_fail(PLX_ERROR_INPUT, "%s", bad);
    out->type = head.type;
    out->planes = (int)head.planes;
    for (int i = 0; i < out->planes; i++) {
        plx_latent_plane *p = &out->plane[i];
        memcpy(p->name, head.plane[i].name, sizeof p->name);
        p->rows = head.plane[i].rows;
        p->columns = head.plane[i].columns;
        p->channels = head.plane[i].channels;
        if (!plane_possible(p->name, p->rows, p->columns, p->channels))
            return plx_fail(PLX_ERROR_INPUT, "%s", bad);
    }
    /* There is one layout for planes of given sizes, so that no offset needs to be believed. */
    if (lay_out(&expected, out, out->type) != bytes.size || memcmp(&head, &expected, sizeof head))
        return plx_fail(PLX_ERROR_INPUT, "%s", bad);
    for (int i = 0; i < out->planes; i++) {
        const char *base = bytes.data;
        out->plane[i].texels = base + head.plane[i].texels;
        out->plane[i].scale = out->type == PLX_LATENT_Q8 ? (const float *)(base + head.plane[i].scale) : NULL;
    }
    return PLX_OK;
}

/* ---- texels: float, half, 8-bit ------------------------------------------------------------------------ */

static void to_half(uint16_t *out, const float *in, size_t count) {
    size_t i = 0;
#ifdef __F16C__ /* the same bits as half.h's: neither looks at the processor's modes */
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128(
            (__m128i *)(out + i),
            _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#endif
    for (; i < count; i++) out[i] = plx_half_from_float(in[i]);
}

static void from_half(float *out, const uint16_t *in, size_t count) {
    size_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
#endif
    for (; i < count; i++) out[i] = plx_half_to_float(in[i]);
}

/* scale[c] = max |value| / 127; texel = value / scale[c], to nearest. */
static void to_bytes(float *scale, int8_t *out, const float *in, size_t texels, int channels) {
    for (int c = 0; c < channels; c++) scale[c] = 0;
    for (size_t i = 0; i < texels; i++)
        for (int c = 0; c < channels; c++) {
            float size = fabsf(in[i * (size_t)channels + (size_t)c]);
            scale[c] = size > scale[c] ? size : scale[c];
        }
    for (int c = 0; c < channels; c++) scale[c] /= 127;
    for (size_t i = 0; i < texels; i++)
        for (int c = 0; c < channels; c++) {
            size_t k = i * (size_t)channels + (size_t)c;
            float value = scale[c] > 0 ? rintf(in[k] / scale[c]) : 0;
            /* A scale that is a subnormal number has lost digits. */
            out[k] = (int8_t)(value > 127 ? 127 : value < -127 ? -127 : value);
        }
}

static void from_bytes(float *out, const float *scale, const int8_t *in, size_t texels, int channels) {
    for (size_t i = 0; i < texels; i++)
        for (int c = 0; c < channels; c++)
            out[i * (size_t)channels + (size_t)c] = scale[c] * (float)in[i * (size_t)channels + (size_t)c];
}

void plx_latent_decode(const plx_latent *latent, int plane, float *out) {
    PLX_CHECK(plane >= 0 && plane < latent->planes, "plane %d of %d", plane, latent->planes);
    const plx_latent_plane *p = &latent->plane[plane];
    size_t numbers = plane_numbers(p);
    if (latent->type == PLX_LATENT_F32)
        memcpy(out, p->texels, numbers * sizeof *out);
    else if (latent->type == PLX_LATENT_F16)
        from_half(out, p->texels, numbers);
    else
        from_bytes(out, p->scale, p->texels, (size_t)p->rows * (size_t)p->columns, p->channels);
}

static void encode_planes(char *out, const plx_latent *latent, enum plx_latent_type as) {
    planes_head head;
    size_t size = lay_out(&head, latent, as), at = sizeof head;
    memcpy(out, &head, sizeof head);
    for (int i = 0; i < latent->planes; i++) {
        const plx_latent_plane *p = &latent->plane[i];
        size_t numbers = plane_numbers(p), begin = head.plane[i].texels;
        float *scale = (float *)(out + head.plane[i].scale);
        memset(out + at, 0, begin - at); /* what lies between, the scales too */
        if (latent->type == as) {
            memcpy(out + begin, p->texels, numbers * texel_size[as]);
            if (as == PLX_LATENT_Q8) memcpy(scale, p->scale, (size_t)p->channels * sizeof *scale);
        } else if (as == PLX_LATENT_F16)
            to_half((uint16_t *)(out + begin), p->texels, numbers);
        else
            to_bytes(scale, (int8_t *)(out + begin), p->texels, (size_t)p->rows * (size_t)p->columns,
                     p->channels);
        at = begin + numbers * texel_size[as];
    }
    memset(out + at, 0, size - at);
}

/* Every number below `limit` in size; false for NaN too: its bits, without the sign, are above infinity's. */
static bool all_below(const float *in, size_t count, float limit) {
    uint32_t most = 0, bound;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&bound, &limit, sizeof bound);
    return most < bound;
}

static bool all_finite(const float *in, size_t count) {
    return all_below(in, count, INFINITY);
}

/* Halves without NaN and Inf: their exponent is not all ones. */
static bool halves_finite(const uint16_t *in, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((in[i] & 0x7c00) == 0x7c00) return false;
    return true;
}

static int validate_plane(const plx_latent *latent, int i, enum plx_latent_type as) {
    const plx_latent_plane *p = &latent->plane[i];
    if (!plane_possible(p->name, p->rows, p->columns, p->channels))
        return plx_fail(PLX_ERROR_INPUT, "%s: plane %d is %dx%dx%d: none that can be", latent->id, i, p->rows,
                        p->columns, p->channels);
    bool good = true;
    if (latent->type == PLX_LATENT_F32)
        good = all_below(p->texels, plane_numbers(p), as == PLX_LATENT_F16 ? 65519.99f : INFINITY);
    else if (latent->type == PLX_LATENT_F16)
        good = halves_finite(p->texels, plane_numbers(p));
    else
        good = all_finite(p->scale, (size_t)p->channels);
    if (!good)
        return plx_fail(PLX_ERROR_NUMERIC, "%s: plane '%s' holds NaN, Inf%s", latent->id, p->name,
                        as == PLX_LATENT_F16 ? " or more than half can" : "");
    return PLX_OK;
}

int plx_latent_validate(const plx_latent *latent, enum plx_latent_type as) {
    unsigned char key[PLX_LATENT_KEY];
    int status = plx_latent_key(key, latent->id);
    if (status < 0) return status;
    PLX_CHECK(latent->type == as || latent->type == PLX_LATENT_F32, "texels are %s, not to be kept as %s",
              plx_latent_type_name(latent->type), plx_latent_type_name(as));
    PLX_CHECK(latent->planes >= 0 && latent->planes <= PLX_LATENT_PLANES, "%d planes", latent->planes);
    for (int i = 0; i < latent->planes; i++)
        if ((status = validate_plane(latent, i, as))) return status;
    if (!all_finite(latent->decoder, latent->decoder_numbers))
        return plx_fail(PLX_ERROR_NUMERIC, "%s: the decoder holds NaN or Inf", latent->id);
    if (!all_finite(latent->m, latent->state_numbers) || !all_finite(latent->v, latent->state_numbers))
        return plx_fail(PLX_ERROR_NUMERIC, "%s: the optimiser's state holds NaN or Inf", latent->id);
    int height = latent->thumbnail_height, width = latent->thumbnail_width;
    if (height && (height < 0 || height > MAX_SIDE || width < 1 || width > MAX_SIDE))
        return plx_fail(PLX_ERROR_INPUT, "%s: a thumbnail of %dx%d", latent->id, width, height);
    return PLX_OK;
}

/* ---- state and thumbnail ------------------------------------------------------------------------------- */

typedef struct state_head {
    int64_t steps;
    uint64_t numbers;
} state_head;

static size_t state_bytes(uint64_t numbers) {
    size_t size = sizeof(state_head) + 2 * (size_t)numbers * sizeof(float);
    return size < LEAST ? LEAST : size;
}

static void encode_state(char *out, const plx_latent *latent) {
    state_head head = {latent->steps, latent->state_numbers};
    size_t block = latent->state_numbers * sizeof(float), used = sizeof head + 2 * block;
    memcpy(out, &head, sizeof head);
    memcpy(out + sizeof head, latent->m, block);
    memcpy(out + sizeof head + block, latent->v, block);
    memset(out + used, 0, state_bytes(latent->state_numbers) - used);
}

static int parse_state(plx_latent *out, plx_bytes bytes) {
    state_head head = {0};
    if (bytes.size >= sizeof head) memcpy(&head, bytes.data, sizeof head);
    if (head.numbers > bytes.size / 8 || state_bytes(head.numbers) != bytes.size)
        return plx_fail(PLX_ERROR_INPUT, "the optimiser's state is not what it should be");
    out->steps = head.steps;
    out->state_numbers = (size_t)head.numbers;
    out->m = (const float *)((const char *)bytes.data + sizeof head);
    out->v = out->m + head.numbers;
    return PLX_OK;
}

static size_t thumbnail_bytes(const plx_latent *latent) {
    return 8 + 4 * (size_t)latent->thumbnail_height * (size_t)latent->thumbnail_width;
}

static void encode_thumbnail(char *out, const plx_latent *latent) {
    const int32_t size[2] = {latent->thumbnail_height, latent->thumbnail_width};
    memcpy(out, size, sizeof size);
    memcpy(out + 8, latent->thumbnail, thumbnail_bytes(latent) - 8);
}

static int parse_thumbnail(plx_latent *out, plx_bytes bytes) {
    int32_t size[2] = {0};
    if (bytes.size >= 8) memcpy(size, bytes.data, 8);
    out->thumbnail_height = size[0];
    out->thumbnail_width = size[1];
    out->thumbnail = (const unsigned char *)bytes.data + 8;
    if (size[0] > 0 && size[0] <= MAX_SIDE && size[1] > 0 && size[1] <= MAX_SIDE &&
        thumbnail_bytes(out) == bytes.size)
        return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "the thumbnail is not what it should be");
}

/* ---- parts --------------------------------------------------------------------------------------------- */

size_t plx_latent_part_size(const plx_latent *latent, enum plx_latent_part part, enum plx_latent_type as) {
    planes_head head;
    if (part == PLX_PART_PLANES) return lay_out(&head, latent, as);
    if (part == PLX_PART_STATE) return latent->state_numbers ? state_bytes(latent->state_numbers) : 0;
    return latent->thumbnail_height ? thumbnail_bytes(latent) : 0;
}

void plx_latent_part_encode(void *out, const plx_latent *latent, enum plx_latent_part part,
                            enum plx_latent_type as) {
    if (part == PLX_PART_PLANES)
        encode_planes(out, latent, as);
    else if (part == PLX_PART_STATE)
        encode_state(out, latent);
    else
        encode_thumbnail(out, latent);
}

int plx_latent_part_parse(plx_latent *out, enum plx_latent_part part, plx_bytes bytes) {
    if (part == PLX_PART_PLANES) return parse_planes(out, bytes);
    return part == PLX_PART_STATE ? parse_state(out, bytes) : parse_thumbnail(out, bytes);
}

/* ---- texts and decoder --------------------------------------------------------------------------------- */

static const char *text_of(const plx_latent *latent, int i) {
    const char *texts[PLX_LATENT_TEXTS] = {latent->class_name, latent->source, latent->history,
                                           latent->rules};
    return texts[i] ? texts[i] : "";
}

size_t plx_latent_texts_size(const plx_latent *latent) {
    size_t size = 0;
    for (int i = 0; i < PLX_LATENT_TEXTS; i++) size += strlen(text_of(latent, i)) + 1;
    return size;
}

void plx_latent_texts_encode(char *out, const plx_latent *latent) {
    for (int i = 0; i < PLX_LATENT_TEXTS; i++) out = stpcpy(out, text_of(latent, i)) + 1;
}

int plx_latent_texts_parse(plx_latent *out, plx_bytes bytes) {
    const char **texts[PLX_LATENT_TEXTS] = {&out->class_name, &out->source, &out->history, &out->rules};
    const char *at = bytes.data, *end = at + bytes.size;
    for (int i = 0; i < PLX_LATENT_TEXTS; i++) {
        const char *stop = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        if (!stop) return plx_fail(PLX_ERROR_INPUT, "the texts are not what they should be");
        *texts[i] = at;
        at = stop + 1;
    }
    return PLX_OK;
}

static size_t numbers_begin(size_t layout) {
    return round_up(8 + layout + 1, 16);
}

static size_t decoder_bytes(size_t layout, size_t numbers) {
    size_t size = numbers_begin(layout) + numbers * sizeof(float);
    return size < LEAST ? LEAST : size;
}

size_t plx_decoder_size(const plx_latent *latent) {
    return decoder_bytes(strlen(latent->decoder_layout ? latent->decoder_layout : ""),
                         latent->decoder_numbers);
}

void plx_decoder_encode(void *out, const plx_latent *latent) {
    const char *layout = latent->decoder_layout ? latent->decoder_layout : "";
    const uint32_t head[2] = {(uint32_t)strlen(layout), (uint32_t)latent->decoder_numbers};
    memset(out, 0, plx_decoder_size(latent));
    memcpy(out, head, sizeof head);
    memcpy((char *)out + 8, layout, head[0]);
    memcpy((char *)out + numbers_begin(head[0]), latent->decoder, latent->decoder_numbers * sizeof(float));
}

int plx_decoder_parse(plx_latent *out, plx_bytes bytes) {
    uint32_t head[2] = {0};
    if (bytes.size >= 8) memcpy(head, bytes.data, 8);
    if (head[0] > bytes.size || head[1] > bytes.size / 4 || decoder_bytes(head[0], head[1]) != bytes.size ||
        ((const char *)bytes.data)[8 + head[0]])
        return plx_fail(PLX_ERROR_INPUT, "the decoder is not what it should be");
    out->decoder_layout = (const char *)bytes.data + 8;
    out->decoder_numbers = head[1];
    out->decoder = (const float *)((const char *)bytes.data + numbers_begin(head[0]));
    return PLX_OK;
}
