#include "datasets/datasets.h"

#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "nerf/core/rng.h"

#define CATALOGUE_MAX ((size_t)64 << 20) /* bytes */
#define OBJECTS_MAX (1 << 20)

static void hash_hex(char out[65], struct sha256_ctx *context) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* ---- the table: tab-separated, '#' lines are comments, the first other line names the columns --------------------- */

enum { ID, NAME, CLASS, FILE_, LICENCE, CREDIT, UP, ROTATION, GROUP, SPLIT, TRAIN_OK, TEXTURES, COLUMNS };
enum { REQUIRED = TEXTURES }; /* columns before it; the others may be missing */
static const char *const column_names[COLUMNS] = {"id", "name",     "class", "file",  "licence",  "credit",
                                                  "up", "rotation", "group", "split", "train_ok", "textures"};

#define FIELDS_MAX 64

/* Cuts a line at its tabs, in place; returns the number of fields. */
static int cut_fields(char *line, char *fields[FIELDS_MAX]) {
    int count = 0;
    while (count < FIELDS_MAX) {
        fields[count++] = line;
        line = strchr(line, '\t');
        if (!line) break;
        *line++ = 0;
    }
    return count;
}

static int find_columns(int where[COLUMNS], char *line, const char *path) {
    char *fields[FIELDS_MAX];
    int count = cut_fields(line, fields);
    for (int c = 0; c < COLUMNS; c++) {
        where[c] = -1;
        for (int i = 0; i < count; i++)
            if (strcmp(fields[i], column_names[c]) == 0) where[c] = i;
        if (where[c] < 0 && c < REQUIRED)
            return plx_fail(PLX_ERROR_INPUT, "%s: has no column '%s'", path, column_names[c]);
    }
    return PLX_OK;
}

/* A folder name of our own: letters, digits, '-', '_', '.', not starting with '.'. */
static bool id_valid(const char *id) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    return *id && *id != '.' && strlen(id) < 120 && id[strspn(id, letters)] == 0;
}

static bool parse_rotation(float out[9], const char *text) {
    if (!*text) {
        for (int i = 0; i < 9; i++) out[i] = i % 4 == 0;
        return true;
    }
    for (int i = 0; i < 9; i++) {
        char *end;
        out[i] = strtof(text, &end);
        if (end == text || !isfinite(out[i])) return false;
        text = end;
    }
    while (*text == ' ') text++;
    return !*text;
}

static bool parse_split(enum plx_split *out, const char *text) {
    for (int s = PLX_TRAIN; s <= PLX_TEST; s++)
        if (strcmp(text, plx_split_name((enum plx_split)s)) == 0) {
            *out = (enum plx_split)s;
            return true;
        }
    return false;
}

static int parse_object(plx_object *object, char *line, const int where[COLUMNS]) {
    char *fields[FIELDS_MAX];
    int count = cut_fields(line, fields);
    const char *text[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        if (where[c] >= count && c < REQUIRED) return plx_fail(PLX_ERROR_INPUT, "no '%s'", column_names[c]);
        text[c] = where[c] >= 0 && where[c] < count ? fields[where[c]] : "";
    }
    if (!id_valid(text[ID])) return plx_fail(PLX_ERROR_INPUT, "id '%.40s' is not a folder name", text[ID]);
    if (!plx_path_inside(text[FILE_]))
        return plx_fail(PLX_ERROR_INPUT, "file '%.80s' leaves the data folder", text[FILE_]);
    if (*text[TEXTURES] && !plx_path_inside(text[TEXTURES]))
        return plx_fail(PLX_ERROR_INPUT, "textures '%.80s' leaves the data folder", text[TEXTURES]);
    if (!*text[LICENCE] || !*text[CREDIT])
        return plx_fail(PLX_ERROR_INPUT, "%s: no licence or credit", text[ID]);
    if (!*text[GROUP]) return plx_fail(PLX_ERROR_INPUT, "%s: no group", text[ID]);
    if (strcmp(text[UP], "y") != 0 && strcmp(text[UP], "z") != 0)
        return plx_fail(PLX_ERROR_INPUT, "%s: up '%.8s' is not y or z", text[ID], text[UP]);
    if (!parse_rotation(object->rotation, text[ROTATION]))
        return plx_fail(PLX_ERROR_INPUT, "%s: rotation is not 9 numbers", text[ID]);
    if (!parse_split(&object->split, text[SPLIT]))
        return plx_fail(PLX_ERROR_INPUT, "%s: split '%.20s' is not train, validation or test", text[ID],
                        text[SPLIT]);
    if (strcmp(text[TRAIN_OK], "0") != 0 && strcmp(text[TRAIN_OK], "1") != 0)
        return plx_fail(PLX_ERROR_INPUT, "%s: train_ok '%.8s' is not 0 or 1", text[ID], text[TRAIN_OK]);
    object->up = text[UP][0];
    object->train_ok = text[TRAIN_OK][0] == '1';
    object->id = strdup(text[ID]);
    object->name = strdup(text[NAME]);
    object->class_name = strdup(text[CLASS]);
    object->file = strdup(text[FILE_]);
    object->licence = strdup(text[LICENCE]);
    object->credit = strdup(text[CREDIT]);
    object->group = strdup(text[GROUP]);
    if (*text[TEXTURES]) object->textures = strdup(text[TEXTURES]);
    if (!object->id || !object->name || !object->class_name || !object->file || !object->licence ||
        !object->credit || !object->group || (*text[TEXTURES] && !object->textures))
        return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    return PLX_OK;
}

/* Room for one more; a full array has a power of two of them, or none. */
static int grow(plx_catalogue *out, const char *path) {
    if (out->count & (out->count - 1)) return PLX_OK;
    size_t capacity = out->count ? 2 * (size_t)out->count : 1;
    plx_object *more = capacity <= OBJECTS_MAX ? realloc(out->objects, capacity * sizeof *more) : NULL;
    if (!more) return plx_fail(PLX_ERROR_MEMORY, "%s: too many objects", path);
    out->objects = more;
    return PLX_OK;
}

static int parse_table(plx_catalogue *out, char *text, const char *path) {
    int where[COLUMNS], line_number = 0, status = PLX_OK;
    bool named = false;
    for (char *line = text, *next; line && *line && !status; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        line_number++;
        size_t length = strlen(line);
        if (length && line[length - 1] == '\r') line[length - 1] = 0;
        if (!*line || *line == '#') continue;
        if (!named) {
            status = find_columns(where, line, path);
            named = true;
            continue;
        }
        if ((status = grow(out, path)) < 0) return status;
        out->objects[out->count] = (plx_object){0};
        status = parse_object(&out->objects[out->count++], line, where);
        if (status) {
            char prefix[1024];
            snprintf(prefix, sizeof prefix, "%.900s:%d", path, line_number);
            plx_fail_in(status, prefix);
        }
    }
    if (!status && !named) status = plx_fail(PLX_ERROR_INPUT, "%s: empty", path);
    return status;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp((*(const plx_object *const *)a)->id, (*(const plx_object *const *)b)->id);
}

static int compare_groups(const void *a, const void *b) {
    return strcmp((*(const plx_object *const *)a)->group, (*(const plx_object *const *)b)->group);
}

/* Ids are unique, and no group is in two splits. */
static int check_table(const plx_catalogue *catalogue, const char *path) {
    size_t count = (size_t)catalogue->count;
    const plx_object **sorted = malloc(count * sizeof *sorted + 1);
    if (!sorted) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++) sorted[i] = &catalogue->objects[i];
    int status = PLX_OK;
    qsort(sorted, count, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < count && !status; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status = plx_fail(PLX_ERROR_INPUT, "%s: two objects are called %s", path, sorted[i]->id);
    qsort(sorted, count, sizeof *sorted, compare_groups);
    for (size_t i = 1; i < count && !status; i++)
        if (strcmp(sorted[i - 1]->group, sorted[i]->group) == 0 && sorted[i - 1]->split != sorted[i]->split)
            status = plx_fail(PLX_ERROR_INPUT, "%s: group %s is in two splits", path, sorted[i]->group);
    free(sorted);
    return status;
}

static int load_file(plx_catalogue *out, struct sha256_ctx *hash, const char *path) {
    char *text;
    size_t size;
    int status = plx_file_read(&text, &size, path, CATALOGUE_MAX);
    if (status) return status;
    sha256_update(hash, size, (const uint8_t *)text);
    status = strlen(text) == size ? parse_table(out, text, path)
                                  : plx_fail(PLX_ERROR_INPUT, "%s: not a text file", path);
    free(text);
    return status;
}

int plx_catalogue_load(plx_catalogue *out, const char *paths) {
    struct sha256_ctx hash;
    int status = PLX_OK;
    *out = (plx_catalogue){0};
    sha256_init(&hash);
    for (const char *path = paths; path && !status; path = strchr(path, ',') ? strchr(path, ',') + 1 : NULL) {
        char *one = strndup(path, strcspn(path, ","));
        status = one ? load_file(out, &hash, one) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", paths);
        free(one);
    }
    if (!status) status = check_table(out, paths);
    hash_hex(out->hash, &hash);
    if (status) plx_catalogue_free(out);
    return status;
}

void plx_catalogue_free(plx_catalogue *catalogue) {
    if (!catalogue) return;
    for (int i = 0; i < catalogue->count; i++) {
        plx_object *object = &catalogue->objects[i];
        char *owned[] = {object->id,      object->name,   object->class_name, object->file,
                         object->licence, object->credit, object->group,      object->textures};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) free(owned[k]);
    }
    free(catalogue->objects);
    *catalogue = (plx_catalogue){0};
}

const char *plx_split_name(enum plx_split split) {
    static const char *const names[] = {"train", "validation", "test"};
    PLX_CHECK(split >= PLX_TRAIN && split <= PLX_TEST, "split %d", (int)split);
    return names[split];
}

/* CC0 and plain attribution; not copyleft (GPL, CC-BY-SA), non-commercial or what is unknown. */
bool plx_object_is_free(const plx_object *object) {
    const char *licence = object->licence;
    return strncmp(licence, "CC0-", 4) == 0 ||
           (strncmp(licence, "CC-BY-", 6) == 0 && strchr("123456789", licence[6]) && licence[6]);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/* What a stream of random numbers is for. */
enum { FOR_SCALE = 1, FOR_LIGHT, FOR_DEFAULT_CAMERA, FOR_SRN_CAMERA, FOR_FOLD };

/* FNV-1a, 64 bits. */
static uint64_t hash_name(const char *name) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

static plx_rng object_rng(uint64_t seed, const char *id, int purpose) {
    return plx_rng_fork((plx_rng){seed, hash_name(id)}, (uint64_t)purpose);
}

int plx_fold_of(const char *group) {
    return (int)plx_rng_below(object_rng(0, group, FOR_FOLD), 0, PLX_FOLDS);
}

int plx_catalogue_select(const plx_catalogue *catalogue, const plx_selection *s, int *indices) {
    int count = 0;
    for (int i = 0; i < catalogue->count && !(s->limit && count == s->limit); i++) {
        const plx_object *object = &catalogue->objects[i];
        bool folded = s->fold == PLX_ALL_FOLDS || s->fold == plx_fold_of(object->group);
        if (object->split == s->split && object->train_ok && folded) indices[count++] = i;
    }
    return count;
}

void plx_object_scale(const plx_object *object, int variant, float scale[3]) {
    plx_rng rng = plx_rng_fork(object_rng(0, object->id, FOR_SCALE), (uint64_t)variant);
    for (int i = 0; i < 3; i++)
        scale[i] = variant == 0 ? 1 : 0.7f * powf(2, plx_rng_uniform(rng, (uint64_t)i)); /* log-uniform */
}

int plx_object_scene(plx_scene **out, const plx_object *object, const char *data_directory, int variant) {
    *out = NULL;
    char *path = plx_path_join(data_directory, object->file);
    char *textures = object->textures ? plx_path_join(data_directory, object->textures) : NULL;
    if (!path || (object->textures && !textures)) {
        free(path);
        free(textures);
        return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", object->file);
    }
    plx_mesh_options options = plx_mesh_options_default();
    options.up = object->up;
    options.trusted = !object->foreign;
    options.texture_dir = textures;
    memcpy(options.rotation, object->rotation, sizeof options.rotation);
    plx_object_scale(object, variant, options.scale);
    plx_mesh *mesh = NULL;
    int status = plx_mesh_load(&mesh, path, &options);
    free(path);
    free(textures);
    return status ? status : plx_scene_create(out, mesh);
}

plx_light plx_object_light(const plx_object *object, int variant) {
    if (variant == 0) return plx_light_default();
    plx_rng rng = object_rng(0, object->id, FOR_LIGHT);
    return plx_light_random((uint64_t)plx_rng_u32(rng, 2 * (uint64_t)variant) << 32 |
                            plx_rng_u32(rng, 2 * (uint64_t)variant + 1));
}

/* ---- cameras ------------------------------------------------------------------------------------------------------ */

static plx_camera on_sphere(float azimuth, float sine, int size) {
    float elevation = asinf(fminf(fmaxf(sine, -1), 1));
    return plx_camera_orbit(azimuth, elevation, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
}

plx_camera plx_default_camera(uint64_t seed, const char *id, int index, int size) {
    plx_rng rng = object_rng(seed, id, FOR_DEFAULT_CAMERA);
    const float low = sinf(-3 * (float)M_PI / 180), high = sinf(60 * (float)M_PI / 180);
    float azimuth = 2 * (float)M_PI * plx_rng_uniform(rng, 2 * (uint64_t)index);
    return on_sphere(azimuth, low + (high - low) * plx_rng_uniform(rng, 2 * (uint64_t)index + 1), size);
}

plx_camera plx_srn_random_camera(uint64_t seed, const char *id, int index, int size) {
    plx_rng rng = object_rng(seed, id, FOR_SRN_CAMERA);
    float azimuth = 2 * (float)M_PI * plx_rng_uniform(rng, 2 * (uint64_t)index);
    return on_sphere(azimuth, 2 * plx_rng_uniform(rng, 2 * (uint64_t)index + 1) - 1, size);
}

/* Sitzmann et al. 2019: the polar angle grows by pi / 300 for every radian of azimuth, over 150 radians. */
plx_camera plx_srn_spiral_camera(int index, int count, int size) {
    PLX_CHECK(index >= 0 && index < count, "view %d of %d on the spiral", index, count);
    double turn = 150 * (count > 1 ? (double)index / (count - 1) : 0);
    float elevation = (float)(turn * M_PI / 300), azimuth = (float)fmod(-(150 + turn), 2 * M_PI);
    return plx_camera_orbit(azimuth, elevation, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
}

int plx_protocol_views(plx_views *out, const plx_object *object, const char *data_directory, int size) {
    int status = plx_views_create(out, 1 + PLX_PROTOCOL_TARGETS);
    if (status) return status;
    plx_scene *scene = NULL;
    status = plx_object_scene(&scene, object, data_directory, 0);
    plx_draw_options options = plx_draw_options_default();
    options.samples = 16;
    options.depth = true;
    for (int i = 0; i < out->count && !status; i++) {
        out->views[i].camera = plx_default_camera(PLX_PROTOCOL_SEED, object->id, i, size);
        status = plx_scene_draw(scene, &out->views[i], &options);
    }
    plx_scene_free(scene);
    if (status) {
        plx_views_free(out);
        return status;
    }
    out->has_alpha = true;
    out->near = PLX_DEFAULT_DISTANCE - PLX_SCENE_RADIUS;
    out->far = PLX_DEFAULT_DISTANCE + PLX_SCENE_RADIUS;
    snprintf(out->name, sizeof out->name, "%s", object->id);
    return PLX_OK;
}
