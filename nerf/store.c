/* Scene files: a field with its frame and rules as one safetensors file. */
#include "nerf/field.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCENE_FORMAT "parallax-scene"
#define SCENE_VERSION "1"

enum { MAX_SIDE = 4096, MAX_INPUTS = 256, MAX_HIDDEN = 256, MAX_CHANNELS = 64, MAX_FREQUENCIES = 16 };

/* How a reader turns tensors into a field; a file with other rules is refused. */
static const char *const rules[][2] = {
    {"planes", "XY (row v, column u), XZ (row z, column x), YZ (row y, column z)"},
    {"padding", "border; texel centres at half integers"},
    {"decoder", "[xy, xz, yz, guidance, u, v, z, sin cos 2^k pi z] silu silu"},
    {"density", "exp(clamp(raw, -12, 9))"},
    {"step", "2 radius / 96, interval middles"},
};
enum { RULES = sizeof rules / sizeof *rules };

/* ---- saving
 * ------------------------------------------------------------------------------------------------------ */

/* The frame as JSON; floats with 17 digits, so that they come back as the same bits. */
static char *frame_text(const plx_frame *frame) {
    const plx_camera *c = &frame->camera;
    json_t *root =
        json_pack("{s:s, s:f}", "kind", plx_frame_name(frame->kind), "radius", (double)frame->radius);
    if (root && frame->kind != PLX_FRAME_WORLD) {
        json_t *pose = json_array();
        for (int i = 0; i < 12; i++) json_array_append_new(pose, json_real(c->c2w[i]));
        json_object_set_new(root, "camera",
                            json_pack("{s:o, s:f, s:f, s:f, s:f, s:i, s:i}", "c2w", pose, "fx", (double)c->fx,
                                      "fy", (double)c->fy, "cx", (double)c->cx, "cy", (double)c->cy, "width",
                                      c->width, "height", c->height));
    }
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    return text;
}

static int set_number(plx_checkpoint *checkpoint, const char *key, int value) {
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    return plx_checkpoint_set(checkpoint, key, text);
}

static int set_threshold(plx_checkpoint *checkpoint, float value) {
    char text[32];
    snprintf(text, sizeof text, "%.9g", (double)value); /* 9 digits hold a float */
    return plx_checkpoint_set(checkpoint, "empty_below", text);
}

static int put_metadata(plx_checkpoint *checkpoint, const plx_field *field) {
    int status = plx_checkpoint_set(checkpoint, "format", SCENE_FORMAT);
    if (!status) status = plx_checkpoint_set(checkpoint, "version", SCENE_VERSION);
    if (!status) status = set_number(checkpoint, "frequencies", field->size.F);
    if (!status) status = set_number(checkpoint, "guided", field->size.guided);
    if (!status) status = set_threshold(checkpoint, field->empty_below);
    for (int i = 0; i < RULES && !status; i++)
        status = plx_checkpoint_set(checkpoint, rules[i][0], rules[i][1]);
    if (status) return status;
    char *frame = frame_text(&field->frame);
    status = frame ? plx_checkpoint_set(checkpoint, "frame", frame)
                   : plx_fail(PLX_ERROR_MEMORY, "no memory for a scene's frame");
    free(frame);
    return status;
}

int plx_field_to_checkpoint(plx_checkpoint *checkpoint, const plx_field *field, bool half) {
    int status = PLX_OK;
    for (int i = 0; i < plx_params_count(field->params) && !status; i++) {
        const plx_param *p = plx_params_at(field->params, i);
        bool plane = strncmp(p->name, "planes.", 7) == 0;
        float *values = malloc(plx_tensor_size(&p->tensor) * sizeof *values);
        if (!values) return plx_fail(PLX_ERROR_MEMORY, "no memory for a scene's tensors");
        plx_params_read(field->params, &p->tensor, values);
        status =
            plx_checkpoint_put(checkpoint, p->name, p->tensor.ndim, p->tensor.shape, values, half && plane);
        free(values);
    }
    return status ? status : put_metadata(checkpoint, field);
}

int plx_field_save(const plx_field *field, const char *path, bool half) {
    plx_checkpoint *checkpoint;
    int status = plx_checkpoint_create(&checkpoint);
    if (status) return status;
    status = plx_field_to_checkpoint(checkpoint, field, half);
    if (!status) status = plx_checkpoint_save(checkpoint, path);
    plx_checkpoint_free(checkpoint);
    return status;
}

/* ---- loading
 * ------------------------------------------------------------------------------------------------------ */

static int fail_input(const char *path, const char *what) {
    return plx_fail(PLX_ERROR_INPUT, "%s: %s", path, what);
}

static int parse_camera(plx_camera *camera, const json_t *value) {
    double fx, fy, cx, cy;
    json_t *pose = NULL;
    if (json_unpack((json_t *)value, "{s:o, s:F, s:F, s:F, s:F, s:i, s:i}", "c2w", &pose, "fx", &fx, "fy",
                    &fy, "cx", &cx, "cy", &cy, "width", &camera->width, "height", &camera->height) ||
        json_array_size(pose) != 12)
        return -1;
    camera->fx = (float)fx, camera->fy = (float)fy, camera->cx = (float)cx, camera->cy = (float)cy;
    for (size_t i = 0; i < 12; i++) {
        if (!json_is_number(json_array_get(pose, i))) return -1;
        camera->c2w[i] = (float)json_number_value(json_array_get(pose, i));
    }
    bool good = plx_camera_valid(camera, 1e-3f) && camera->width <= PLX_IMAGE_MAX_SIDE &&
                camera->height <= PLX_IMAGE_MAX_SIDE;
    return good ? 0 : -1;
}

static int parse_frame(plx_frame *frame, const char *text, const char *path) {
    json_t *root = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *name = json_string_value(json_object_get(root, "kind"));
    int kind = name ? plx_frame_kind_of(name) : -1;
    double radius = json_number_value(json_object_get(root, "radius"));
    plx_camera camera = {0};
    int status = PLX_OK;
    if (kind < 0)
        status = fail_input(path, "the scene's frame is missing or of an unknown kind");
    else if (!(radius > 1e-6 && radius < 1e6))
        status = fail_input(path, "the scene's frame has no radius");
    else if (kind != PLX_FRAME_WORLD && parse_camera(&camera, json_object_get(root, "camera")))
        status = fail_input(path, "the scene's frame has no camera, or one that cannot be");
    else
        *frame = plx_frame_make(kind, &camera, (float)radius);
    json_decref(root);
    return status;
}

/* A metadata number from 0 to `most`. */
static int get_number(const plx_checkpoint *checkpoint, const char *key, int most, int *out,
                      const char *path) {
    const char *text = plx_checkpoint_get(checkpoint, key);
    char *end = NULL;
    long value = text ? strtol(text, &end, 10) : -1;
    if (!text || end == text || *end || value < 0 || value > most)
        return plx_fail(PLX_ERROR_INPUT, "%s: '%s' is %s, not a number from 0 to %d", path, key,
                        text ? text : "missing", most);
    *out = (int)value;
    return PLX_OK;
}

static int get_threshold(const plx_checkpoint *checkpoint, float *out, const char *path) {
    const char *text = plx_checkpoint_get(checkpoint, "empty_below");
    char *end = NULL;
    float value = text ? strtof(text, &end) : -1;
    if (!text || end == text || *end || !(value >= 0 && value < 1e6f))
        return plx_fail(PLX_ERROR_INPUT, "%s: 'empty_below' is %s, not a density", path,
                        text ? text : "missing");
    *out = value;
    return PLX_OK;
}

static int plane_size(const plx_checkpoint *checkpoint, const char *name, int rows_columns[2], int *channels,
                      const char *path) {
    int ndim, shape[PLX_MAX_DIMENSIONS];
    int status = plx_checkpoint_shape(checkpoint, name, &ndim, shape);
    if (status) return status;
    if (ndim != 4 || shape[0] != 1 || shape[1] < 1 || shape[1] > MAX_SIDE || shape[2] < 1 ||
        shape[2] > MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "%s: tensor '%s' is not a plane of at most %d texels a side", path,
                        name, MAX_SIDE);
    rows_columns[0] = shape[1];
    rows_columns[1] = shape[2];
    *channels = shape[3];
    return PLX_OK;
}

/* Sizes from the tensors' own shapes; the tensors are checked against them when they are read. */
static int field_size_of(const plx_checkpoint *checkpoint, plx_field_size *size, const char *path) {
    plx_field_size s = {.N = 1};
    int wide = 0, channels = 0, ndim, shape[PLX_MAX_DIMENSIONS];
    int status = get_number(checkpoint, "frequencies", MAX_FREQUENCIES, &s.F, path);
    if (!status) status = get_number(checkpoint, "guided", 1, &s.guided, path);
    if (!status) status = plane_size(checkpoint, "planes.xy", s.xy, &wide, path);
    if (!status) status = plane_size(checkpoint, "planes.xz", s.xz, &s.C, path);
    if (!status) status = plane_size(checkpoint, "planes.yz", s.yz, &channels, path);
    if (!status) status = plx_checkpoint_shape(checkpoint, "decoder.w2", &ndim, shape);
    if (status) return status;
    s.H = ndim == 2 ? shape[0] : 0;
    if (s.C < 16 || s.C > MAX_CHANNELS || s.C % 16 || channels != s.C || wide != plx_field_xy_channels(s))
        return fail_input(path, "the planes' channels do not fit each other");
    if (s.H < 16 || s.H > MAX_HIDDEN || s.H % 16 || plx_field_inputs(s) > MAX_INPUTS)
        return fail_input(path, "the decoder's size is none that can be");
    *size = s;
    return PLX_OK;
}

static int check_rules(const plx_checkpoint *checkpoint, const char *path) {
    const char *format = plx_checkpoint_get(checkpoint, "format");
    const char *version = plx_checkpoint_get(checkpoint, "version");
    if (!format || strcmp(format, SCENE_FORMAT)) return fail_input(path, "not a Parallax scene");
    if (!version || strcmp(version, SCENE_VERSION))
        return plx_fail(PLX_ERROR_SUPPORT, "%s: a scene of version %s; this program reads version %s", path,
                        version ? version : "?", SCENE_VERSION);
    for (int i = 0; i < RULES; i++) {
        const char *rule = plx_checkpoint_get(checkpoint, rules[i][0]);
        if (!rule || strcmp(rule, rules[i][1]))
            return plx_fail(PLX_ERROR_SUPPORT, "%s: the scene's rule '%s' is %s, not %s", path, rules[i][0],
                            rule ? rule : "missing", rules[i][1]);
    }
    return PLX_OK;
}

int plx_field_from_checkpoint(plx_field **out, const plx_checkpoint *checkpoint, const char *path,
                              bool train) {
    plx_field *field = NULL;
    plx_frame frame;
    plx_field_size size;
    *out = NULL;
    int status = check_rules(checkpoint, path);
    if (!status) status = parse_frame(&frame, plx_checkpoint_get(checkpoint, "frame"), path);
    if (!status) status = field_size_of(checkpoint, &size, path);
    if (!status) status = plx_field_create(&field, size, frame, 0, train);
    if (!status) status = get_threshold(checkpoint, &field->empty_below, path);
    if (!status) status = plx_params_load(field->params, checkpoint, "");
    if (status) {
        plx_field_free(field);
        return status;
    }
    *out = field;
    return PLX_OK;
}

int plx_field_load(plx_field **out, const char *path, bool train) {
    plx_checkpoint *checkpoint;
    *out = NULL;
    int status = plx_checkpoint_load(&checkpoint, path);
    if (status) return status;
    status = plx_field_from_checkpoint(out, checkpoint, path, train);
    plx_checkpoint_free(checkpoint);
    return status;
}

/* ---- what a file is
 * ------------------------------------------------------------------------------------------------ */

static void print_shape(FILE *out, int ndim, const int *shape) {
    for (int i = 0; i < ndim; i++) fprintf(out, i ? "x%d" : "%d", shape[i]);
    if (!ndim) fprintf(out, "scalar");
}

static void describe_scene(FILE *out, const plx_checkpoint *checkpoint) {
    const char *names[] = {"planes.xy", "planes.xz", "planes.yz"};
    const char *frame = plx_checkpoint_get(checkpoint, "frame");
    fprintf(out, "scene, version %s", plx_checkpoint_get(checkpoint, "version"));
    for (int i = 0; i < 3; i++) {
        int ndim, shape[PLX_MAX_DIMENSIONS];
        if (plx_checkpoint_shape(checkpoint, names[i], &ndim, shape)) continue;
        fprintf(out, ", %s ", names[i]);
        print_shape(out, ndim, shape);
    }
    fprintf(out, "\nframe %s\n", frame ? frame : "missing");
}

/* Tensors and numbers, in all and of each type. */
static void describe_tensors(FILE *out, const plx_checkpoint *checkpoint) {
    double numbers = 0;
    int count = plx_checkpoint_count(checkpoint), half = 0;
    for (int i = 0; i < count; i++) {
        int ndim, shape[PLX_MAX_DIMENSIONS];
        double size = 1;
        if (plx_checkpoint_shape(checkpoint, plx_checkpoint_name(checkpoint, i), &ndim, shape)) continue;
        for (int k = 0; k < ndim; k++) size *= shape[k];
        numbers += size;
        half += strcmp(plx_checkpoint_dtype(checkpoint, i), "F16") == 0;
    }
    fprintf(out, "%d tensors (%d as F16), %.0f numbers\n", count, half, numbers);
}

int plx_weights_describe(char **text, const char *path) {
    plx_checkpoint *checkpoint;
    size_t size;
    *text = NULL;
    int status = plx_checkpoint_load(&checkpoint, path);
    if (status) return status;
    FILE *out = open_memstream(text, &size);
    if (!out) {
        plx_checkpoint_free(checkpoint);
        return plx_fail(PLX_ERROR_MEMORY, "%s: no memory to describe it", path);
    }
    const char *format = plx_checkpoint_get(checkpoint, "format");
    if (format && strcmp(format, SCENE_FORMAT) == 0)
        describe_scene(out, checkpoint);
    else
        fprintf(out, "%s\n", format ? format : "safetensors");
    const char *config = plx_checkpoint_get(checkpoint, "config");
    if (config) fprintf(out, "%s\n", config);
    describe_tensors(out, checkpoint);
    plx_checkpoint_free(checkpoint);
    if (fclose(out) == 0) return PLX_OK;
    free(*text);
    *text = NULL;
    return plx_fail(PLX_ERROR_MEMORY, "%s: no memory to describe it", path);
}
