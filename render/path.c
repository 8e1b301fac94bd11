/* Camera paths: built in, and nerfstudio's camera_path.json. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"

#define FILE_MAX ((size_t)64 << 20) /* bytes */
#define FRAMES_MAX 100000
#define DEGREE 0.017453292519943295
#define DEFAULT_FPS 24.0

static int allocate(plx_path *out, int frames, double fps) {
    *out = (plx_path){.fps = fps};
    out->cameras = calloc((size_t)frames, sizeof *out->cameras);
    if (!out->cameras) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d cameras", frames);
    out->count = frames;
    return PLX_OK;
}

void plx_path_free(plx_path *path) {
    if (!path) return;
    free(path->cameras);
    *path = (plx_path){0};
}

int plx_path_make(plx_path *out, const char *kind, int frames, float elevation, float distance, float fov,
                  int width, int height) {
    *out = (plx_path){0};
    bool orbit = strcmp(kind, "orbit") == 0, spiral = strcmp(kind, "spiral") == 0;
    if (!orbit && !spiral)
        return plx_fail(PLX_ERROR_INPUT, "no built-in path is called %s (orbit, spiral)", kind);
    if (frames < 1 || frames > FRAMES_MAX)
        return plx_fail(PLX_ERROR_INPUT, "a path of %d frames (1 to %d)", frames, FRAMES_MAX);
    int status = allocate(out, frames, DEFAULT_FPS);
    if (status < 0) return status;
    for (int i = 0; i < frames; i++) {
        double turn = 2 * M_PI * i / frames; /* closed: the frame after the last is the first */
        double up = spiral ? (20 - 30 * cos(turn)) * DEGREE : elevation; /* -10 to 50 degrees and back */
        out->cameras[i] = plx_camera_orbit((float)turn, (float)up, distance, fov, width, height);
    }
    return PLX_OK;
}

/* ---- camera_path.json ---- */

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

/* 16 numbers row by row, or 4 rows of 4; the last row is 0 0 0 1. */
static int get_matrix(const json_t *object, double m[16]) {
    const json_t *list = json_object_get(object, "camera_to_world");
    if (!list) return plx_fail(PLX_ERROR_INPUT, "\"camera_to_world\" is missing");
    bool nested = json_array_size(list) == 4;
    if (!nested && json_array_size(list) != 16)
        return plx_fail(PLX_ERROR_INPUT, "\"camera_to_world\" is not 16 numbers");
    for (size_t i = 0; i < 16; i++) {
        const json_t *value =
            nested ? json_array_get(json_array_get(list, i / 4), i % 4) : json_array_get(list, i);
        if (!json_is_number(value)) return plx_fail(PLX_ERROR_INPUT, "\"camera_to_world\" is not 16 numbers");
        m[i] = json_number_value(value);
    }
    if (m[12] != 0 || m[13] != 0 || m[14] != 0 || m[15] != 1)
        return plx_fail(PLX_ERROR_INPUT,
                        "\"camera_to_world\" is not row by row: its last row is not 0 0 0 1");
    return PLX_OK;
}

/* fov is vertical, in degrees: fx = fy = (H / 2) / tan(fov / 2). */
static int read_camera(plx_camera *out, const json_t *frame, int width, int height) {
    double m[16], fov = 0;
    if (!json_is_object(frame)) return plx_fail(PLX_ERROR_INPUT, "not an object");
    int status = get_matrix(frame, m);
    if (status == PLX_OK) status = get_number(frame, "fov", 0.01, 179.9, &fov);
    if (status < 0) return status;
    double focal = 0.5 * height / tan(0.5 * fov * DEGREE);
    *out = (plx_camera){.fx = (float)focal,
                        .fy = (float)focal,
                        .cx = 0.5f * (float)width,
                        .cy = 0.5f * (float)height,
                        .width = width,
                        .height = height};
    for (int i = 0; i < 12; i++) out->c2w[i] = (float)m[i];
    if (!plx_camera_valid(out, 1e-3f))
        return plx_fail(PLX_ERROR_INPUT, "\"camera_to_world\" is not a rotation and a position");
    return PLX_OK;
}

static int read_path(plx_path *out, const json_t *root, int width, int height) {
    double file_width = 0, file_height = 0, seconds = 0;
    int status = PLX_OK;
    if (!json_is_object(root)) return plx_fail(PLX_ERROR_INPUT, "not a camera path");
    const json_t *type = json_object_get(root, "camera_type"), *frames = json_object_get(root, "camera_path");
    if (json_is_string(type) && strcmp(json_string_value(type), "perspective") != 0)
        return plx_fail(PLX_ERROR_SUPPORT, "\"camera_type\" is %.40s; perspective is read",
                        json_string_value(type));
    if (!width && (status = get_number(root, "render_width", 1, PLX_IMAGE_MAX_SIDE, &file_width)) < 0)
        return status;
    if (!height && (status = get_number(root, "render_height", 1, PLX_IMAGE_MAX_SIDE, &file_height)) < 0)
        return status;
    if ((status = get_number(root, "seconds", 1e-3, 1e6, &seconds)) < 0) return status;
    size_t count = json_array_size(frames);
    if (count < 1 || count > FRAMES_MAX)
        return plx_fail(PLX_ERROR_INPUT, "\"camera_path\" has %zu frames (1 to %d)", count, FRAMES_MAX);
    if ((status = allocate(out, (int)count, (double)count / seconds)) < 0) return status;
    for (int i = 0; i < out->count; i++) {
        status = read_camera(out->cameras + i, json_array_get(frames, (size_t)i),
                             width ? width : (int)file_width, height ? height : (int)file_height);
        if (status < 0) {
            char place[48];
            snprintf(place, sizeof place, "camera_path[%d]", i);
            return plx_fail_in(status, place);
        }
    }
    return PLX_OK;
}

int plx_path_load(plx_path *out, const char *file, int width, int height) {
    char *data;
    size_t size;
    *out = (plx_path){0};
    int status = plx_file_read(&data, &size, file, FILE_MAX);
    if (status < 0) return status;
    json_error_t why;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &why);
    free(data);
    if (root)
        status = read_path(out, root, width, height);
    else
        status = plx_fail(PLX_ERROR_INPUT, "line %d: %s", why.line, why.text);
    json_decref(root);
    if (status == PLX_OK) return PLX_OK;
    plx_path_free(out);
    return plx_fail_in(status, file);
}
