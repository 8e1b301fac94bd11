/* transforms.json of NeRF-synthetic, instant-ngp and nerfstudio (formats.md). Poses are ours already: camera-to-world,
 * x right, y up, looking down -z; pixel centres at +0.5. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/lens.h"
#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

#define JSON_MAX ((size_t)256 << 20) /* bytes */
#define FRAMES_MAX 100000

/* Intrinsics as a file or frame gives them; NaN = not given. */
typedef struct intrinsics {
    double fx, fy, cx, cy, width, height, angle_x, angle_y;
    plx_lens lens; /* 0 = not given */
} intrinsics;

typedef struct frame {
    char *picture, *mask, *depth; /* below the JSON file's folder; mask and depth may be NULL */
    double c2w[12];
    intrinsics lens;
} frame;

typedef struct frames {
    int count;
    frame *frames;
    float near, far;
    double depth_scale; /* metres -> world units */
} frames;

static void close_frames(void *own) {
    frames *of = own;
    if (!of) return;
    for (int i = 0; i < of->count; i++) {
        free(of->frames[i].picture);
        free(of->frames[i].mask);
        free(of->frames[i].depth);
    }
    free(of->frames);
    free(of);
}

/* True if a file is called transforms.json or transforms_NAME.json. */
static bool is_transforms(const char *path) {
    const char *name = plx_path_last(path);
    size_t length = strlen(name), ending = strlen(".json");
    return strncmp(name, "transforms", 10) == 0 && (name[10] == '.' || name[10] == '_') && length > ending &&
           strcmp(name + length - ending, ".json") == 0 && length - ending != 11;
}

/* A finite number; NaN where the key is absent. False for anything else. */
static bool get_number(double *out, const json_t *object, const char *key, double missing) {
    const json_t *value = json_object_get(object, key);
    *out = missing;
    if (!value || json_is_null(value)) return true;
    *out = json_number_value(value);
    return json_is_number(value) && isfinite(*out);
}

/* The keys of one level over what `lens` holds already (those of the level above). Degrees x_fov, y_fov come first, as in
 * instant-ngp; then fl_x, then camera_angle_x. */
static int read_lens(intrinsics *lens, const json_t *object) {
    double x_fov, y_fov;
    bool right =
        get_number(&lens->fx, object, "fl_x", lens->fx) && get_number(&lens->fy, object, "fl_y", lens->fy) &&
        get_number(&lens->cx, object, "cx", lens->cx) && get_number(&lens->cy, object, "cy", lens->cy) &&
        get_number(&lens->width, object, "w", lens->width) &&
        get_number(&lens->height, object, "h", lens->height) &&
        get_number(&lens->angle_x, object, "camera_angle_x", lens->angle_x) &&
        get_number(&lens->angle_y, object, "camera_angle_y", lens->angle_y) &&
        get_number(&x_fov, object, "x_fov", NAN) && get_number(&y_fov, object, "y_fov", NAN);
    if (!right) return plx_fail(PLX_ERROR_INPUT, "an intrinsic is not a number");
    if (!isnan(x_fov)) {
        lens->angle_x = x_fov * M_PI / 180;
        lens->angle_y = isnan(y_fov) ? NAN : y_fov * M_PI / 180;
        lens->fx = lens->fy = NAN;
    }
    double k4;
    plx_lens *bend = &lens->lens;
    if (!get_number(&bend->k1, object, "k1", bend->k1) || !get_number(&bend->k2, object, "k2", bend->k2) ||
        !get_number(&bend->k3, object, "k3", bend->k3) || !get_number(&bend->p1, object, "p1", bend->p1) ||
        !get_number(&bend->p2, object, "p2", bend->p2) || !get_number(&k4, object, "k4", 0))
        return plx_fail(PLX_ERROR_INPUT, "a lens parameter (k1 to k4, p1, p2) is not a number");
    if (k4 != 0 || json_is_true(json_object_get(object, "is_fisheye")))
        return plx_fail(PLX_ERROR_SUPPORT, "a fisheye lens (k4, is_fisheye) is not read");
    const json_t *model = json_object_get(object, "camera_model");
    static const char *const models[] = {"PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL"};
    if (!model) return PLX_OK;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (json_is_string(model) && strcmp(json_string_value(model), models[i]) == 0) return PLX_OK;
    return plx_fail(PLX_ERROR_SUPPORT, "camera_model %.40s is not read",
                    json_is_string(model) ? json_string_value(model) : "(not a string)");
}

/* The file that a frame names, below the JSON file's folder: '\' as '/', and without its ending in NeRF-synthetic. */
static int resolve(char **out, const char *folder, const char *name) {
    char inside[4096];
    static const char *const endings[] = {"", ".png", ".jpg", ".jpeg"};
    if (strlen(name) >= sizeof inside)
        return plx_fail(PLX_ERROR_INPUT, "a file name of %zu bytes", strlen(name));
    strcpy(inside, name);
    for (char *c = inside; *c; c++)
        if (*c == '\\') *c = '/';
    if (!plx_path_inside(inside) || (inside[0] && inside[1] == ':'))
        return plx_fail(PLX_ERROR_INPUT, "'%.200s' leaves the data set's folder", name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char with[4112];
        snprintf(with, sizeof with, "%s%s", inside, endings[i]);
        char *path = plx_path_join(folder, with);
        const char *dot = strrchr(with, '.');
        bool found = path && dot && !strchr(dot, '/') && access(path, F_OK) == 0;
        free(path);
        if (!path || (found && !(*out = strdup(with)))) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
        if (found) return PLX_OK;
    }
    return plx_fail(PLX_ERROR_INPUT, "'%.200s' is not there", name);
}

static int resolve_optional(char **out, const char *folder, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (!value || json_is_null(value)) return PLX_OK;
    if (!json_is_string(value)) return plx_fail(PLX_ERROR_INPUT, "%s is not a string", key);
    return resolve(out, folder, json_string_value(value));
}

/* 4 rows (or 3) of 4 numbers. */
static bool read_matrix(double out[12], const json_t *rows) {
    size_t count = json_array_size(rows);
    if (count != 3 && count != 4) return false;
    for (size_t row = 0; row < count; row++) {
        const json_t *line = json_array_get(rows, row);
        if (json_array_size(line) != 4) return false;
        for (size_t column = 0; column < 4; column++) {
            const json_t *value = json_array_get(line, column);
            double number = json_number_value(value);
            if (!json_is_number(value) || !isfinite(number)) return false;
            if (row < 3) out[4 * row + column] = number;
        }
    }
    return true;
}

static int read_frame(frame *out, const json_t *object, const char *folder, const intrinsics *common) {
    const json_t *name = json_object_get(object, "file_path");
    if (!json_is_string(name)) return plx_fail(PLX_ERROR_INPUT, "no file_path");
    if (!read_matrix(out->c2w, json_object_get(object, "transform_matrix")))
        return plx_fail(PLX_ERROR_INPUT, "transform_matrix is not 4 rows of 4 numbers");
    out->lens = *common;
    int status = read_lens(&out->lens, object);
    if (!status) status = resolve(&out->picture, folder, json_string_value(name));
    if (!status) status = resolve_optional(&out->mask, folder, object, "mask_path");
    if (!status) status = resolve_optional(&out->depth, folder, object, "depth_file_path");
    return status;
}

static int read_frames(frames *out, const json_t *root, const char *folder) {
    const json_t *list = json_object_get(root, "frames");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count == 0) return plx_fail(PLX_ERROR_INPUT, "holds no frames");
    if (count > FRAMES_MAX) return plx_fail(PLX_ERROR_INPUT, "%zu frames, more than %d", count, FRAMES_MAX);
    intrinsics common = {.fx = NAN,
                         .fy = NAN,
                         .cx = NAN,
                         .cy = NAN,
                         .width = NAN,
                         .height = NAN,
                         .angle_x = NAN,
                         .angle_y = NAN};
    int status = read_lens(&common, root);
    if (status) return status;
    out->frames = calloc(count, sizeof *out->frames);
    if (!out->frames) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < count && !status; i++) {
        status = read_frame(&out->frames[out->count++], json_array_get(list, i), folder, &common);
        char prefix[32];
        snprintf(prefix, sizeof prefix, "frame %zu", i);
        if (status) plx_fail_in(status, prefix);
    }
    if (!get_number(&out->depth_scale, root, "applied_scale", 1) && !status)
        status = plx_fail(PLX_ERROR_INPUT, "applied_scale is not a number");
    /* NeRF-synthetic gives an angle and no focal length; its bounds are known. */
    if (isnan(common.fx) && !json_object_get(root, "camera_model") && !isnan(common.angle_x)) {
        out->near = 2;
        out->far = 6;
    }
    return status;
}

/* "applied_transform [...], applied_scale ...", or NULL. */
static int read_note(char **out, const json_t *root) {
    char *text = NULL, note[2048] = "";
    size_t used = 0;
    static const char *const keys[] = {"applied_transform", "applied_scale"};
    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(root, keys[i]);
        if (!value) continue;
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        if (!text) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
        used +=
            (size_t)snprintf(note + used, sizeof note - used, "%s%s %.900s", used ? ", " : "", keys[i], text);
        free(text);
    }
    *out = used ? strdup(note) : NULL;
    return used && !*out ? plx_fail(PLX_ERROR_MEMORY, "out of memory") : PLX_OK;
}

static int parse(plx_source *source, const char *text, size_t size) {
    json_error_t error;
    frames *made = source->own = calloc(1, sizeof(frames));
    if (!made) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root) return plx_fail(PLX_ERROR_INPUT, "line %d: %s", error.line, error.text);
    int status = read_frames(made, root, source->folder);
    if (!status) status = read_note(&source->note, root);
    source->views = made->count;
    json_decref(root);
    return status;
}

static int open_file(plx_dataset *dataset, const char *path, const char *folder, const char *name) {
    char *text = NULL, *file = NULL;
    size_t size;
    plx_source source;
    int status = plx_source_create(&source, &plx_transforms_reader, name, path, folder);
    if (!status) status = plx_source_file(&file, &source, plx_path_last(path));
    if (!status) status = plx_file_read(&text, &size, file, JSON_MAX);
    if (!status && (status = parse(&source, text, size)) < 0) plx_fail_in(status, path);
    free(text);
    free(file);
    if (!status) return plx_dataset_add(dataset, &source);
    plx_source_free(&source);
    return status;
}

static bool probe(const char *path) {
    plx_names *names;
    if (is_transforms(path)) return plx_is_file(path);
    if (!plx_is_folder(path)) return false;
    bool found = plx_names_list(&names, path, is_transforms) == PLX_OK && names->count > 0;
    plx_names_close(names);
    return found;
}

/* "NAME/train" for transforms_train.json, "NAME" for transforms.json; without NAME/ where NAME is "". malloc'ed. */
static char *object_name(const char *name, const char *file) {
    const char *dash = strchr(file, '_');
    return dash ? plx_name_with(name, dash + 1, "") : strdup(name);
}

/* The file itself, or a folder's transforms.json, or its transforms_train.json, transforms_val.json and
 * transforms_test.json, each one an object. */
static int open_object(plx_dataset *dataset, const char *path, const char *name) {
    if (is_transforms(path)) {
        const char *slash = strrchr(path, '/');
        char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
        int status = folder ? open_file(dataset, path, folder, name)
                            : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        free(folder);
        return status;
    }
    plx_names *files;
    int status = plx_names_list(&files, path, is_transforms);
    for (int i = 0; !status && i < files->count; i++) {
        char *file = plx_path_join(path, files->names[i]), *own = object_name(name, files->names[i]);
        status = file && own ? open_file(dataset, file, path, own)
                             : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        free(file);
        free(own);
    }
    plx_names_close(files);
    return status;
}

/* ---- views --------------------------------------------------------------------------------------------------------- */

/* Intrinsics are for the raster w x h, or for the picture's own where the file gives none. */
static int make_camera(plx_camera *out, const frame *of, int width, int height) {
    intrinsics l = of->lens;
    double w = isnan(l.width) ? width : l.width, h = isnan(l.height) ? height : l.height;
    double fx = !isnan(l.fx) ? l.fx : 0.5 * w / tan(0.5 * l.angle_x);
    double fy = !isnan(l.fy) ? l.fy : isnan(l.fx) && !isnan(l.angle_y) ? 0.5 * h / tan(0.5 * l.angle_y) : fx;
    if (!(w >= 1 && w <= 1e6 && h >= 1 && h <= 1e6))
        return plx_fail(PLX_ERROR_INPUT, "pictures of %g x %g pixels", w, h);
    if (!(fx > 0 && fx < 1e7 && fy > 0 && fy < 1e7))
        return plx_fail(PLX_ERROR_INPUT, "no focal length (fl_x, x_fov or camera_angle_x)");
    double sx = width / w, sy = height / h;
    *out = (plx_camera){.fx = (float)(fx * sx),
                        .fy = (float)(fy * sy),
                        .cx = (float)((isnan(l.cx) ? 0.5 * w : l.cx) * sx),
                        .cy = (float)((isnan(l.cy) ? 0.5 * h : l.cy) * sy),
                        .width = width,
                        .height = height};
    if (plx_pose_set(out, of->c2w))
        return plx_fail(PLX_ERROR_INPUT, "transform_matrix is not a rotation and a position");
    return PLX_OK;
}

/* Millimetres along the viewing axis, 0 = unknown -> distance along the unit ray, world units. `taken` is the camera of
 * the file, with the lens; the view's own has none. */
static int load_depth(plx_view *view, const plx_source *source, const frame *of, const plx_camera *taken,
                      double scale) {
    plx_image file;
    int status = plx_picture_beside(&file, view, source, of->depth);
    if (!status) status = plx_image_create(&view->depth, file.height, file.width, 2);
    if (status) {
        plx_image_free(&file);
        return status;
    }
    const plx_camera *c = &view->camera;
    for (int row = 0; row < file.height; row++)
        for (int column = 0; column < file.width; column++) {
            size_t i = (size_t)row * (size_t)file.width + (size_t)column, from = i;
            if (plx_lens_bends(&of->lens.lens)) { /* the nearest: depths of two surfaces have no mean */
                double at[2];
                plx_lens_source(&of->lens.lens, c, taken, row, column, at);
                from = (size_t)fmin(at[1], file.height - 1) * (size_t)file.width +
                       (size_t)fmin(at[0], file.width - 1);
            }
            double z = (double)file.data[(size_t)file.channels * from] * 65535 / 1000 * scale;
            view->depth.data[2 * i] = view->depth.data[2 * i + 1] =
                (float)(z * plx_camera_stretch(c, row, column));
        }
    plx_image_free(&file);
    return PLX_OK;
}

/* The camera, and the picture as that camera would take it without the lens. */
static int straighten(plx_view *view, plx_camera *taken, const frame *of) {
    const plx_lens *lens = &of->lens.lens;
    int status = make_camera(taken, of, view->colour.width, view->colour.height);
    view->camera = *taken;
    if (status || !plx_lens_bends(lens)) return status;
    status = plx_lens_pinhole(&view->camera, taken, lens);
    return status ? status : plx_lens_straighten(&view->colour, lens, &view->camera, taken);
}

static int read_view(const plx_source *source, int index, plx_view *view, plx_views *views) {
    const frames *all = source->own;
    const frame *of = &all->frames[index];
    plx_camera taken;
    int status = plx_view_picture(view, views, source, of->picture);
    if (!status && of->mask) status = plx_view_mask(view, views, source, of->mask);
    if (!status && (status = straighten(view, &taken, of)) < 0) {
        plx_fail_in(status, of->picture);
        plx_fail_in(status, source->path);
    }
    if (!status && of->depth) status = load_depth(view, source, of, &taken, all->depth_scale);
    views->near = all->near;
    views->far = all->far;
    return status;
}

static const char *view_name(const plx_source *source, int index) {
    return plx_path_last(((const frames *)source->own)->frames[index].picture);
}

const plx_reader plx_transforms_reader = {.kind = "transforms",
                                          .looks = "transforms.json, transforms_train.json, ...",
                                          .probe = probe,
                                          .open = open_object,
                                          .view = read_view,
                                          .close = close_frames,
                                          .name = view_name};
