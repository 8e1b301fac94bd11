/* COLMAP's models as text: {sparse/0, sparse, .}/cameras.txt and images.txt, pictures in images/. Poses are world-to-camera
 * quaternions (w first) with OpenCV's axes; the image's corner is (0,0), the first pixel's centre 0.5. The world is turned
 * and scaled as COLMAP left it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/lens.h"
#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

#define TEXT_MAX ((size_t)1 << 30) /* bytes: images.txt lists the points of every picture */
#define ENTRIES_MAX 100000         /* cameras, pictures */

typedef struct camera {
    long id;
    plx_camera pinhole; /* intrinsics and size */
    plx_lens lens;
} camera;

typedef struct picture {
    char *name;
    long camera_id;
    const camera *camera;
    double c2w[12];
} picture;

typedef struct model {
    int camera_count, picture_count, camera_capacity, picture_capacity;
    camera *cameras;   /* sorted by id */
    picture *pictures; /* sorted by name */
} model;

static void close_model(void *own) {
    model *of = own;
    if (!of) return;
    for (int i = 0; i < of->picture_count; i++) free(of->pictures[i].name);
    free(of->pictures);
    free(of->cameras);
    free(of);
}

/* Room for one more of `size` bytes. */
static int grow(void **array, int count, int *capacity, size_t size) {
    if (count < *capacity) return PLX_OK;
    if (count >= ENTRIES_MAX) return plx_fail(PLX_ERROR_MEMORY, "more than %d entries", ENTRIES_MAX);
    int wanted = *capacity ? 2 * *capacity : 16;
    void *more = realloc(*array, (size_t)wanted * size);
    if (!more) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    *array = more;
    *capacity = wanted;
    return PLX_OK;
}

/* ---- lines --------------------------------------------------------------------------------------------------------- */

/* The next line that is not empty or a comment, cut off in place; NULL at the end. */
static char *next_line(char **text, bool data) {
    while (*text && **text) {
        char *line = *text, *end = strchr(line, '\n');
        if (end) *end = 0;
        *text = end ? end + 1 : line + strlen(line);
        if (!data || (line[strspn(line, " \t\r")] && *line != '#')) return line;
    }
    return NULL;
}

/* Cuts the line's next word off. */
static char *next_word(char **line) {
    *line += strspn(*line, " \t\r");
    char *word = *line;
    *line += strcspn(*line, " \t\r");
    if (**line) *(*line)++ = 0;
    return word;
}

static bool read_id(long *out, char **line) {
    char *word = next_word(line), *end;
    *out = strtol(word, &end, 10);
    return end != word && !*end;
}

/* ---- cameras.txt: CAMERA_ID MODEL WIDTH HEIGHT PARAMS[] ------------------------------------------------------------- */

/* What each parameter of a model is. F: both focal lengths. */
static const struct {
    const char *name, *parameters;
} lens_models[] = {{"SIMPLE_PINHOLE", "Fuv"}, {"PINHOLE", "xyuv"},    {"SIMPLE_RADIAL", "Fuv1"},
                   {"RADIAL", "Fuv12"},       {"OPENCV", "xyuv12pq"}, {"FULL_OPENCV", "xyuv12pq3000"}};

static int set_parameters(camera *out, const char *letters, const double *values) {
    double fx = 0, fy = 0, u = 0, v = 0;
    for (int i = 0; letters[i]; i++) switch (letters[i]) {
        case 'F':
            fx = fy = values[i];
            break;
        case 'x':
            fx = values[i];
            break;
        case 'y':
            fy = values[i];
            break;
        case 'u':
            u = values[i];
            break;
        case 'v':
            v = values[i];
            break;
        case '1':
            out->lens.k1 = values[i];
            break;
        case '2':
            out->lens.k2 = values[i];
            break;
        case '3':
            out->lens.k3 = values[i];
            break;
        case 'p':
            out->lens.p1 = values[i];
            break;
        case 'q':
            out->lens.p2 = values[i];
            break;
        default:
            if (values[i] != 0) return plx_fail(PLX_ERROR_SUPPORT, "a rational lens (k4 to k6) is not read");
        }
    if (!(fx > 0 && fx < 1e7 && fy > 0 && fy < 1e7 && fabs(u) < 1e7 && fabs(v) < 1e7))
        return plx_fail(PLX_ERROR_INPUT, "focal lengths %g %g, centre %g %g", fx, fy, u, v);
    out->pinhole.fx = (float)fx;
    out->pinhole.fy = (float)fy;
    out->pinhole.cx = (float)u;
    out->pinhole.cy = (float)v;
    return PLX_OK;
}

static int read_camera(camera *out, char *line) {
    double size[2], values[12];
    *out = (camera){0};
    if (!read_id(&out->id, &line)) return plx_fail(PLX_ERROR_INPUT, "no camera number");
    const char *name = next_word(&line), *width = next_word(&line), *height = next_word(&line),
               *letters = NULL;
    for (size_t i = 0; i < sizeof lens_models / sizeof *lens_models; i++)
        if (!strcmp(name, lens_models[i].name)) letters = lens_models[i].parameters;
    if (!letters) return plx_fail(PLX_ERROR_SUPPORT, "camera model '%.40s' is not read", name);
    const char *rest = line;
    if (plx_numbers_read(&width, true, size, 1) != 1 || plx_numbers_read(&height, true, size + 1, 1) != 1 ||
        !(size[0] >= 1 && size[0] <= PLX_IMAGE_MAX_SIDE && size[1] >= 1 && size[1] <= PLX_IMAGE_MAX_SIDE))
        return plx_fail(PLX_ERROR_INPUT, "no size of 1 to %d pixels", PLX_IMAGE_MAX_SIDE);
    if (plx_numbers_read(&rest, true, values, 12) != (int)strlen(letters))
        return plx_fail(PLX_ERROR_INPUT, "%s has %zu parameters", name, strlen(letters));
    out->pinhole.width = (int)size[0];
    out->pinhole.height = (int)size[1];
    return set_parameters(out, letters, values);
}

static int compare_cameras(const void *a, const void *b) {
    long x = ((const camera *)a)->id, y = ((const camera *)b)->id;
    return (x > y) - (x < y);
}

static int read_cameras(model *of, char *text) {
    int status = PLX_OK;
    for (char *line; !status && (line = next_line(&text, true));) {
        status = grow((void **)&of->cameras, of->camera_count, &of->camera_capacity, sizeof *of->cameras);
        if (!status) status = read_camera(&of->cameras[of->camera_count++], line);
    }
    if (of->camera_count) qsort(of->cameras, (size_t)of->camera_count, sizeof *of->cameras, compare_cameras);
    for (int i = 1; i < of->camera_count && !status; i++)
        if (of->cameras[i].id == of->cameras[i - 1].id)
            status = plx_fail(PLX_ERROR_INPUT, "two cameras %ld", of->cameras[i].id);
    return status;
}

/* ---- images.txt: IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of points, which may be empty ---------------- */

/* w2c of a unit quaternion and a translation -> c2w with our axes. */
static int set_pose(double c2w[12], const double v[7]) {
    double n = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] + v[3] * v[3]);
    if (!(n > 0.99 && n < 1.01)) return plx_fail(PLX_ERROR_INPUT, "a quaternion of length %g", n);
    double w = v[0] / n, x = v[1] / n, y = v[2] / n, z = v[3] / n;
    double w2c[12] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),     v[4],
                      2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),     v[5],
                      2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y), v[6]};
    plx_pose_invert(c2w, w2c);
    plx_pose_turn_axes(c2w);
    return PLX_OK;
}

static int read_picture(picture *out, char *line) {
    long id;
    double values[7];
    *out = (picture){0};
    bool right = read_id(&id, &line);
    for (int i = 0; i < 7 && right; i++) {
        const char *word = next_word(&line);
        right = plx_numbers_read(&word, true, values + i, 1) == 1;
    }
    if (!right || !read_id(&out->camera_id, &line))
        return plx_fail(PLX_ERROR_INPUT, "not IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME");
    line += strspn(line, " \t");
    line[strcspn(line, "\r")] = 0; /* a name may hold spaces */
    if (!plx_path_inside(line))
        return plx_fail(PLX_ERROR_INPUT, "'%.200s' leaves the data set's folder", line);
    if (!(out->name = plx_path_join("images", line))) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    return set_pose(out->c2w, values);
}

static int compare_pictures(const void *a, const void *b) {
    return strcmp(((const picture *)a)->name, ((const picture *)b)->name);
}

static int read_pictures(model *of, char *text) {
    int status = PLX_OK;
    for (char *line; !status && (line = next_line(&text, true));) {
        status = grow((void **)&of->pictures, of->picture_count, &of->picture_capacity, sizeof *of->pictures);
        if (status) break;
        picture *made = &of->pictures[of->picture_count++];
        status = read_picture(made, line);
        camera key = {.id = made->camera_id};
        if (!status && of->camera_count)
            made->camera =
                bsearch(&key, of->cameras, (size_t)of->camera_count, sizeof *of->cameras, compare_cameras);
        if (!status && !made->camera)
            status = plx_fail(PLX_ERROR_INPUT, "%s: there is no camera %ld", made->name, made->camera_id);
        next_line(&text, false); /* its points */
    }
    if (!status && !of->picture_count) status = plx_fail(PLX_ERROR_INPUT, "holds no pictures");
    if (!status) qsort(of->pictures, (size_t)of->picture_count, sizeof *of->pictures, compare_pictures);
    return status;
}

/* ---- the reader ---------------------------------------------------------------------------------------------------- */

static bool holds(const char *folder, const char *place, const char *name) {
    char file[64];
    snprintf(file, sizeof file, "%s%s", place, name);
    return plx_folder_holds(folder, file, plx_is_file);
}

/* Where the model is below the folder, "sparse/0/", or NULL; *binary if only as cameras.bin. */
static const char *find_model(const char *folder, bool *binary) {
    static const char *const places[] = {"sparse/0/", "sparse/", ""};
    for (int i = 0; i < 6; i++) {
        *binary = i >= 3;
        const char *ending = *binary ? ".bin" : ".txt", *place = places[i % 3];
        char cameras[16], images[16];
        snprintf(cameras, sizeof cameras, "cameras%s", ending);
        snprintf(images, sizeof images, "images%s", ending);
        if (holds(folder, place, cameras) && holds(folder, place, images)) return place;
    }
    return NULL;
}

static bool probe(const char *path) {
    bool binary;
    return plx_folder_holds(path, "images", plx_is_folder) && find_model(path, &binary);
}

static int read_file(model *of, const plx_source *source, const char *place, const char *name,
                     int (*read)(model *, char *)) {
    char file[64], *path, *text;
    size_t size;
    snprintf(file, sizeof file, "%s%s", place, name);
    int status = plx_source_file(&path, source, file);
    if (status) return status;
    status = plx_file_read(&text, &size, path, TEXT_MAX);
    if (!status && (status = read(of, text)) < 0) plx_fail_in(status, path);
    free(text);
    free(path);
    return status;
}

static int open_object(plx_dataset *dataset, const char *path, const char *name) {
    bool binary;
    const char *place = find_model(path, &binary);
    plx_source source;
    int status = plx_source_create(&source, &plx_colmap_reader, name, path, path);
    model *of = source.own = calloc(1, sizeof *of);
    if (!status && !of) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status && (!place || binary))
        status = plx_fail(
            PLX_ERROR_SUPPORT,
            "%s/%s: a binary COLMAP model: make text of it (colmap model_converter --output_type TXT)", path,
            place ? place : "");
    if (!status) status = read_file(of, &source, place, "cameras.txt", read_cameras);
    if (!status) status = read_file(of, &source, place, "images.txt", read_pictures);
    if (!status) {
        source.views = of->picture_count;
        return plx_dataset_add(dataset, &source);
    }
    plx_source_free(&source);
    return status;
}

static int read_view(const plx_source *source, int index, plx_view *view, plx_views *views) {
    const picture *of = &((const model *)source->own)->pictures[index];
    int status = plx_view_picture(view, views, source, of->name);
    if (status) return status;
    plx_camera taken = plx_camera_resize(&of->camera->pinhole, view->colour.width, view->colour.height);
    view->camera = taken;
    if (plx_lens_bends(&of->camera->lens)) {
        status = plx_lens_pinhole(&view->camera, &taken, &of->camera->lens);
        if (!status) status = plx_lens_straighten(&view->colour, &of->camera->lens, &view->camera, &taken);
    }
    if (!status) status = plx_pose_set(&view->camera, of->c2w);
    if (status) plx_fail_in(status, of->name);
    return status ? plx_fail_in(status, source->path) : PLX_OK;
}

static const char *view_name(const plx_source *source, int index) {
    return plx_path_last(((const model *)source->own)->pictures[index].name);
}

const plx_reader plx_colmap_reader = {.kind = "colmap",
                                      .looks = "images, sparse/0/cameras.txt, images.txt",
                                      .probe = probe,
                                      .open = open_object,
                                      .view = read_view,
                                      .close = close_model,
                                      .name = view_name};
