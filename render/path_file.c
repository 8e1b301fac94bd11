/* nerfstudio's camera_path.json (formats.md), read and written; keyframes may be written by hand. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/path.h"

#define FILE_MAX ((size_t)64 << 20) /* bytes */
#define KEYFRAMES_MAX 10000
#define DEGREE 0.017453292519943295

enum { DEFAULT_SIZE = 256, DERIVED_KEYFRAMES = 12 };
static const double default_fps = 24, default_seconds = 4;

/* ---- numbers ------------------------------------------------------------------------------------------------- */

/* A finite number from low to high; integers are fine where floats are meant. */
static int get_number(const json_t *object, const char *key, double low, double high, double *out) {
    const json_t *value = json_object_get(object, key);
    if (!value) return plx_fail(PLX_ERROR_INPUT, "\"%s\" is missing", key);
    if (!json_is_number(value)) return plx_fail(PLX_ERROR_INPUT, "\"%s\" is not a number", key);
    *out = json_number_value(value);
    if (!(*out >= low && *out <= high))
        return plx_fail(PLX_ERROR_INPUT, "\"%s\" is %g, not within %g to %g", key, *out, low, high);
    return PLX_OK;
}

static int get_number_or(const json_t *object, const char *key, double low, double high, double missing,
                         double *out) {
    *out = missing;
    return json_object_get(object, key) ? get_number(object, key, low, high, out) : PLX_OK;
}

static int get_vector(const json_t *object, const char *key, float out[3]) {
    const json_t *list = json_object_get(object, key);
    if (json_array_size(list) != 3) return plx_fail(PLX_ERROR_INPUT, "\"%s\" is not 3 numbers", key);
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(list, i);
        out[i] = (float)json_number_value(value);
        if (!json_is_number(value) || !isfinite(out[i]))
            return plx_fail(PLX_ERROR_INPUT, "\"%s\" is not 3 numbers", key);
    }
    return PLX_OK;
}

/* 16 numbers, or 4 rows of 4; row by row, or (by_column) column by column. The last row is 0 0 0 1. */
static int get_matrix(const json_t *list, const char *key, bool by_column, float c2w[12]) {
    double m[16];
    bool nested = json_array_size(list) == 4;
    if (!nested && json_array_size(list) != 16)
        return plx_fail(PLX_ERROR_INPUT, "\"%s\" is not 16 numbers", key);
    for (size_t i = 0; i < 16; i++) {
        const json_t *value =
            nested ? json_array_get(json_array_get(list, i / 4), i % 4) : json_array_get(list, i);
        if (!json_is_number(value)) return plx_fail(PLX_ERROR_INPUT, "\"%s\" is not 16 numbers", key);
        m[by_column ? i % 4 * 4 + i / 4 : i] = json_number_value(value);
    }
    if (m[12] != 0 || m[13] != 0 || m[14] != 0 || m[15] != 1)
        return plx_fail(PLX_ERROR_INPUT, "\"%s\" is not %s: its last row is not 0 0 0 1", key,
                        by_column ? "column by column" : "row by row");
    for (int i = 0; i < 12; i++) c2w[i] = (float)m[i];
    return PLX_OK;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* fov is vertical, in degrees: fx = fy = (H / 2) / tan(fov / 2). */
static int read_camera(plx_camera *out, const json_t *frame, int width, int height) {
    double fov = 0;
    if (!json_is_object(frame)) return plx_fail(PLX_ERROR_INPUT, "not an object");
    *out =
        (plx_camera){.cx = 0.5f * (float)width, .cy = 0.5f * (float)height, .width = width, .height = height};
    const json_t *list = json_object_get(frame, "camera_to_world");
    if (!list) return plx_fail(PLX_ERROR_INPUT, "\"camera_to_world\" is missing");
    int status = get_matrix(list, "camera_to_world", false, out->c2w);
    if (status == PLX_OK) status = get_number(frame, "fov", 0.01, 179.9, &fov);
    if (status < 0) return status;
    out->fx = out->fy = (float)(0.5 * height / tan(0.5 * fov * DEGREE));
    if (!plx_camera_valid(out, 1e-3f))
        return plx_fail(PLX_ERROR_INPUT, "\"camera_to_world\" is not a rotation and a position");
    return PLX_OK;
}

/* The viewer's matrices are lists, row by row; older viewers and Blender's add-on write a text, column by column. */
static int read_pose_matrix(const json_t *matrix, const char *key, float c2w[12]) {
    if (!json_is_string(matrix)) return get_matrix(matrix, key, false, c2w);
    json_t *list = json_loads(json_string_value(matrix), 0, NULL);
    int status = get_matrix(list, key, true, c2w);
    json_decref(list);
    return status;
}

/* "eye", "target" (default the origin). */
static int read_look_at(const json_t *object, float c2w[12]) {
    float eye[3], target[3] = {0, 0, 0};
    int status = get_vector(object, "eye", eye);
    if (!status && json_object_get(object, "target")) status = get_vector(object, "target", target);
    if (!status && eye[0] == target[0] && eye[1] == target[1] && eye[2] == target[2])
        status = plx_fail(PLX_ERROR_INPUT, "\"eye\" is \"target\"");
    if (!status) memcpy(c2w, plx_camera_look_at(eye, target, 1, 1, 1).c2w, 12 * sizeof *c2w);
    return status;
}

/* "azimuth", "elevation", "distance": looking at the origin. */
static int read_direction(const json_t *object, float c2w[12]) {
    double azimuth = 0, elevation = 0, distance = 0;
    int status = get_number(object, "azimuth", -1e6, 1e6, &azimuth);
    if (!status) status = get_number(object, "elevation", -90, 90, &elevation);
    if (!status)
        status = get_number_or(object, "distance", 1e-6, 1e6, (double)PLX_DEFAULT_DISTANCE, &distance);
    plx_camera camera = plx_camera_orbit((float)(fmod(azimuth, 360) * DEGREE), (float)(elevation * DEGREE),
                                         (float)distance, 1, 1, 1);
    if (!status) memcpy(c2w, camera.c2w, sizeof camera.c2w);
    return status;
}

static int read_keyframe(plx_keyframe *out, const json_t *object, double default_fov) {
    static const char *const keys[] = {"matrix", "camera_to_world"};
    double fov = 0, time = 0;
    int status = PLX_ERROR_INPUT, found = 0;
    if (!json_is_object(object)) return plx_fail(PLX_ERROR_INPUT, "not an object");
    while (found < 2 && !json_object_get(object, keys[found])) found++;
    if (found < 2)
        status = read_pose_matrix(json_object_get(object, keys[found]), keys[found], out->c2w);
    else if (json_object_get(object, "eye"))
        status = read_look_at(object, out->c2w);
    else if (json_object_get(object, "azimuth"))
        status = read_direction(object, out->c2w);
    else
        status = plx_fail(PLX_ERROR_INPUT, "no pose: \"matrix\", \"eye\" or \"azimuth\"");
    if (!status) status = get_number_or(object, "fov", 0.01, 179.9, default_fov, &fov);
    if (!status) status = get_number_or(object, "time", 0, 1e6, NAN, &time);
    out->fov = (float)(fov * DEGREE);
    out->time = (float)time;
    return status;
}

static int fail_in_item(int status, const char *list, size_t index) {
    char place[48];
    snprintf(place, sizeof place, "%s[%zu]", list, index);
    return plx_fail_in(status, place);
}

static int read_keyframes(plx_keyframes *out, const json_t *root) {
    const json_t *list = json_object_get(root, "keyframes");
    size_t count = json_array_size(list);
    double fov = 0;
    if (count < 2 || count > KEYFRAMES_MAX)
        return plx_fail(PLX_ERROR_INPUT, "\"camera_path\" has 0 frames, and \"keyframes\" has %zu (2 to %d)",
                        count, KEYFRAMES_MAX);
    int status = get_number_or(root, "default_fov", 0.01, 179.9, (double)PLX_DEFAULT_FOV / DEGREE, &fov);
    if (status < 0) return status;
    *out = (plx_keyframes){.closed = json_is_true(json_object_get(root, "is_cycle")),
                           .keyframes = calloc(count, sizeof *out->keyframes)};
    if (!out->keyframes) return plx_fail(PLX_ERROR_MEMORY, "no memory for %zu keyframes", count);
    for (size_t i = 0; i < count && !status; i++) {
        status = read_keyframe(&out->keyframes[i], json_array_get(list, i), fov);
        if (status) fail_in_item(status, "keyframes", i);
    }
    out->count = (int)count;
    float last = out->keyframes[count - 1].time;
    bool by_times = !out->closed && last > 0; /* then they say how long it takes */
    if (!status)
        status = get_number_or(root, "seconds", 1e-3, 1e6, by_times ? (double)last : default_seconds,
                               &out->seconds);
    if (by_times) out->seconds = (double)last;
    if (status) free(out->keyframes);
    return status;
}

static int read_frames(plx_path *out, const json_t *root, int width, int height) {
    const json_t *frames = json_object_get(root, "camera_path");
    size_t count = json_array_size(frames);
    double seconds = 0;
    int status = get_number(root, "seconds", 1e-3, 1e6, &seconds);
    if (status < 0) return status;
    if (count > PLX_PATH_MAX_FRAMES)
        return plx_fail(PLX_ERROR_INPUT, "\"camera_path\" has %zu frames (1 to %d)", count,
                        PLX_PATH_MAX_FRAMES);
    if ((status = plx_path_allocate(out, (int)count, (double)count / seconds)) < 0) return status;
    out->closed = json_is_true(json_object_get(root, "is_cycle"));
    for (size_t i = 0; i < count; i++)
        if ((status = read_camera(out->cameras + i, json_array_get(frames, i), width, height)) < 0)
            return fail_in_item(status, "camera_path", i);
    plx_keyframes keyframes; /* only kept for plx_path_save: their form may be none that we know */
    if (!read_keyframes(&keyframes, root)) out->keyframes = keyframes;
    return PLX_OK;
}

static int interpolate(plx_path *out, const json_t *root, int frames, int width, int height) {
    plx_keyframes keyframes;
    double fps = 0;
    int status = get_number_or(root, "fps", 0.01, 1000, default_fps, &fps);
    if (!status) status = read_keyframes(&keyframes, root);
    if (status) return status;
    double wanted = frames ? frames : fmax(1, round(keyframes.seconds * fps));
    if (wanted > PLX_PATH_MAX_FRAMES) wanted = PLX_PATH_MAX_FRAMES + 1; /* refused there */
    fps = fmax(0.01, fmin(1000, wanted / keyframes.seconds));
    return plx_path_through(out, &keyframes, (int)wanted, fps, width, height);
}

static int read_path(plx_path *out, const json_t *root, int frames, int width, int height) {
    double file_width = width, file_height = height;
    int status = PLX_OK;
    if (!json_is_object(root)) return plx_fail(PLX_ERROR_INPUT, "not a camera path");
    const json_t *type = json_object_get(root, "camera_type"), *dense = json_object_get(root, "camera_path");
    if (json_is_string(type) && strcmp(json_string_value(type), "perspective") != 0)
        return plx_fail(PLX_ERROR_SUPPORT, "\"camera_type\" is %.40s; perspective is read",
                        json_string_value(type));
    if (dense && !json_is_array(dense)) return plx_fail(PLX_ERROR_INPUT, "\"camera_path\" is not a list");
    if (!width)
        status = get_number_or(root, "render_width", 1, PLX_IMAGE_MAX_SIDE, DEFAULT_SIZE, &file_width);
    if (!status && !height)
        status = get_number_or(root, "render_height", 1, PLX_IMAGE_MAX_SIDE, DEFAULT_SIZE, &file_height);
    if (status) return status;
    if (json_array_size(dense)) return read_frames(out, root, (int)file_width, (int)file_height);
    return interpolate(out, root, frames, (int)file_width, (int)file_height);
}

int plx_path_load(plx_path *out, const char *file, int frames, int width, int height) {
    char *data;
    size_t size;
    *out = (plx_path){0};
    int status = plx_file_read(&data, &size, file, FILE_MAX);
    if (status < 0) return status;
    json_error_t why;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &why);
    free(data);
    if (root)
        status = read_path(out, root, frames, width, height);
    else
        status = plx_fail(PLX_ERROR_INPUT, "line %d: %s", why.line, why.text);
    json_decref(root);
    if (status == PLX_OK) return PLX_OK;
    plx_path_free(out);
    return plx_fail_in(status, file);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static json_t *matrix_of(const float c2w[12]) {
    static const double last[4] = {0, 0, 0, 1};
    json_t *list = json_array();
    for (int i = 0; i < 16; i++)
        json_array_append_new(list, json_real(i < 12 ? (double)c2w[i] : last[i - 12]));
    return list;
}

static json_t *frame_of(const plx_camera *c) {
    return json_pack("{s:o, s:f, s:f}", "camera_to_world", matrix_of(c->c2w), "fov",
                     2 * atan(0.5 * c->height / (double)c->fy) / DEGREE, "aspect",
                     (double)c->width / c->height);
}

static json_t *keyframe_of(const plx_keyframe *k, double aspect) {
    return json_pack("{s:o, s:f, s:f}", "matrix", matrix_of(k->c2w), "fov", (double)k->fov / DEGREE, "aspect",
                     aspect);
}

/* Its time, and nerfstudio's: the seconds from the keyframe before, of a loop's first from the last. */
static void set_time(json_t *out, const plx_keyframes *k, int i) {
    double time = (double)k->keyframes[i].time, last = (double)k->keyframes[k->count - 1].time;
    if (isnan(time)) return;
    double since = i ? time - (double)k->keyframes[i - 1].time : k->seconds - last;
    json_object_set_new(out, "time", json_real(time));
    if (!i && !k->closed) return;
    json_object_set_new(out, "override_transition_enabled", json_true());
    json_object_set_new(out, "override_transition_sec", json_real(since));
}

static json_t *keyframes_of(const plx_path *path, double aspect) {
    json_t *list = json_array();
    int frames = path->count, derived = frames < DERIVED_KEYFRAMES ? frames : DERIVED_KEYFRAMES;
    for (int i = 0; i < path->keyframes.count; i++) {
        json_t *out = keyframe_of(&path->keyframes.keyframes[i], aspect);
        set_time(out, &path->keyframes, i);
        json_array_append_new(list, out);
    }
    for (int i = 0; i < derived && !path->keyframes.count; i++) {
        int64_t gaps = derived - !path->closed, last = path->closed ? frames : frames - 1;
        const plx_camera *c = &path->cameras[gaps > 0 ? i * last / gaps : 0];
        plx_keyframe k = {.fov = plx_camera_fov(c), .time = NAN};
        memcpy(k.c2w, c->c2w, sizeof k.c2w);
        json_array_append_new(list, keyframe_of(&k, aspect));
    }
    return list;
}

int plx_path_save(const char *file, const plx_path *path) {
    PLX_CHECK(path->count > 0, "%s: a path without frames", file);
    const plx_camera *first = &path->cameras[0];
    double aspect = (double)first->width / first->height;
    json_t *frames = json_array();
    for (int i = 0; i < path->count; i++) {
        const plx_camera *c = &path->cameras[i];
        if (2 * c->cx != (float)c->width || 2 * c->cy != (float)c->height || c->fx != c->fy) {
            json_decref(frames);
            return plx_fail(PLX_ERROR_SUPPORT,
                            "%s: frame %d has a principal point off the centre, or no square "
                            "pixels: the file cannot say so",
                            file, i);
        }
        json_array_append_new(frames, frame_of(c));
    }
    json_t *keyframes = keyframes_of(path, aspect);
    double seconds = path->count / path->fps, segments = (double)json_array_size(keyframes) - !path->closed;
    json_t *root =
        json_pack("{s:s, s:i, s:i, s:f, s:f, s:b, s:f, s:f, s:f, s:o, s:o}", "camera_type", "perspective",
                  "render_height", first->height, "render_width", first->width, "fps", path->fps, "seconds",
                  seconds, "is_cycle", path->closed, "smoothness_value", 0.0, "default_fov",
                  (double)plx_camera_fov(first) / DEGREE, "default_transition_sec",
                  seconds / fmax(segments, 1), "keyframes", keyframes, "camera_path", frames);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    int status =
        text ? plx_file_write(file, text, strlen(text)) : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", file);
    free(text);
    return status;
}
