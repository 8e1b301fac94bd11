/* ShapeNet-SRN folders. Poses are camera-to-world with OpenCV axes; pixel centres lie on integers (formats.md). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

#define TEXT_MAX 65536       /* bytes of a pose or intrinsics file */
#define POSE_TOLERANCE 1e-3f /* how far a rotation may be from orthonormal: SRN's have about 6 digits */

static bool exists(const char *folder, const char *name, mode_t kind) {
    char *path = plx_path_join(folder, name);
    struct stat info;
    bool found = path && stat(path, &info) == 0 && (info.st_mode & S_IFMT) == kind;
    free(path);
    return found;
}

bool plx_srn_is_object(const char *path) {
    return exists(path, "rgb", S_IFDIR) && exists(path, "pose", S_IFDIR) &&
           exists(path, "intrinsics.txt", S_IFREG);
}

static bool is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".png") == 0 || strcmp(dot, ".jpg") == 0);
}

int plx_srn_add(plx_dataset *dataset, const char *path, const char *name) {
    plx_source source = {.name = strdup(name), .path = strdup(path)};
    char *folder = plx_path_join(path, "rgb");
    int count = 0, status;
    if (!source.name || !source.path || !folder)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    else
        status = plx_folder_list(&source.stems, &count, folder);
    source.views = count;
    int kept = 0;
    for (int i = 0; i < count && !status; i++) { /* keep the pictures */
        char *file = source.stems[i];
        source.stems[i] = NULL;
        if (is_picture(file))
            source.stems[kept++] = file;
        else
            free(file);
    }
    if (!status) source.views = kept;
    free(folder);
    if (!status && kept == 0) status = plx_fail(PLX_ERROR_INPUT, "%s/rgb: holds no pictures", path);
    if (!status) return plx_dataset_add(dataset, &source);
    plx_source_free(&source);
    return status;
}

/* Reads up to `capacity` numbers from a text, up to its end or (line) the line's end; returns how many there were, or -1
 * for anything else. *text moves behind what was read. */
static int read_numbers(const char **text, bool line, double *out, int capacity) {
    int count = 0;
    const char *at = *text;
    while (true) {
        at += strspn(at, line ? " \t\r" : " \t\r\n");
        if (!*at || (line && *at == '\n')) break;
        char *end;
        double value = strtod(at, &end);
        if (end == at || !isfinite(value) || count == capacity) return -1;
        out[count++] = value;
        at = end;
    }
    *text = *at ? at + 1 : at;
    return count;
}

/* "f cx cy 0." / "0. 0. 0." / optional near plane / "1." / "H W" / optional integer -> camera with that raster, pixel
 * centres at +0.5. */
static int read_intrinsics(plx_camera *camera, const char *path) {
    char *text;
    size_t size;
    int status = plx_file_read(&text, &size, path, TEXT_MAX);
    if (status) return status;
    const char *at = text;
    double first[4], rest[4];
    bool right = read_numbers(&at, true, first, 4) == 4, sized = false;
    while (right && !sized && *at) {
        int count = read_numbers(&at, true, rest, 4);
        right = count >= 0;
        sized = count == 2;
    }
    if (!right || !sized)
        status = plx_fail(PLX_ERROR_INPUT, "%s: not SRN intrinsics (f cx cy, ..., H W)", path);
    else if (!(first[0] > 0 && first[0] < 1e6) || fabs(first[1]) > 1e6 || fabs(first[2]) > 1e6)
        status = plx_fail(PLX_ERROR_INPUT, "%s: focal length %g, centre %g %g", path, first[0], first[1],
                          first[2]);
    else if (!(rest[0] >= 1 && rest[0] <= PLX_IMAGE_MAX_SIDE && rest[1] >= 1 &&
               rest[1] <= PLX_IMAGE_MAX_SIDE) ||
             rest[0] != floor(rest[0]) || rest[1] != floor(rest[1]))
        status = plx_fail(PLX_ERROR_INPUT, "%s: size %g x %g", path, rest[1], rest[0]);
    else
        *camera = (plx_camera){.fx = (float)first[0],
                               .fy = (float)first[0],
                               .cx = (float)(first[1] + 0.5),
                               .cy = (float)(first[2] + 0.5),
                               .height = (int)rest[0],
                               .width = (int)rest[1]};
    free(text);
    return status;
}

/* Columns right, down, forward -> right, up, back: times diag(1,-1,-1,1). The same turns ours into SRN's. */
static void turn_axes(float c2w[12]) {
    for (int row = 0; row < 3; row++)
        for (int column = 1; column < 3; column++) c2w[4 * row + column] = -c2w[4 * row + column];
}

static int read_pose(plx_camera *camera, const char *path) {
    char *text;
    size_t size;
    int status = plx_file_read(&text, &size, path, TEXT_MAX);
    if (status) return status;
    const char *at = text;
    double pose[16];
    if (read_numbers(&at, false, pose, 16) != 16)
        status = plx_fail(PLX_ERROR_INPUT, "%s: not 16 numbers", path);
    free(text);
    if (status) return status;
    for (int i = 0; i < 12; i++) camera->c2w[i] = (float)pose[i];
    turn_axes(camera->c2w);
    if (!plx_camera_valid(camera, POSE_TOLERANCE))
        return plx_fail(PLX_ERROR_INPUT, "%s: not a rotation and a position", path);
    return PLX_OK;
}

/* FOLDER/SUB/STEM.ENDING */
static char *view_path(const char *folder, const char *sub, const char *file, const char *ending) {
    const char *dot = strrchr(file, '.');
    int stem = dot ? (int)(dot - file) : (int)strlen(file);
    size_t size = strlen(folder) + strlen(sub) + strlen(file) + strlen(ending) + 4;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s/%.*s%s", folder, sub, stem, file, ending);
    return path;
}

int plx_widen_to_rgba(plx_image *image) {
    if (image->channels == 4) return PLX_OK;
    plx_image wide;
    int status = plx_image_create(&wide, image->height, image->width, 4);
    if (status) return status;
    size_t pixels = (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < pixels; i++) {
        for (int c = 0; c < 3; c++) wide.data[4 * i + c] = image->data[3 * i + c];
        wide.data[4 * i + 3] = 1;
    }
    plx_image_free(image);
    *image = wide;
    return PLX_OK;
}

bool plx_has_opacity(const plx_image *rgba) {
    size_t pixels = (size_t)rgba->height * (size_t)rgba->width;
    for (size_t i = 0; i < pixels; i++)
        if (rgba->data[4 * i + 3] < 1) return true;
    return false;
}

static int load_geometry(plx_view *view, const char *path) {
    if (access(path, F_OK) != 0) return PLX_OK;
    int status = plx_geometry_load(view, path);
    if (status) return status;
    const plx_image *images[] = {&view->depth, &view->normal};
    for (int i = 0; i < 2; i++)
        if (images[i]->data &&
            (images[i]->height != view->camera.height || images[i]->width != view->camera.width))
            return plx_fail(PLX_ERROR_INPUT, "%s: %dx%d pixels, not %dx%d as its picture", path,
                            images[i]->width, images[i]->height, view->camera.width, view->camera.height);
    return PLX_OK;
}

int plx_srn_load_view(const plx_source *source, int index, plx_view *view, plx_views *views) {
    const char *file = source->stems[index], *dot = strrchr(file, '.');
    char *intrinsics = plx_path_join(source->path, "intrinsics.txt");
    char *picture = view_path(source->path, "rgb", file, dot ? dot : "");
    char *pose = view_path(source->path, "pose", file, ".txt");
    char *geometry = view_path(source->path, "geometry", file, ".exr");
    plx_camera camera = {0};
    int status = PLX_OK;
    if (!intrinsics || !picture || !pose || !geometry)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", source->path);
    if (!status) status = read_intrinsics(&camera, intrinsics);
    if (!status) status = read_pose(&camera, pose);
    if (!status) status = plx_image_load(&view->colour, picture);
    if (!status) status = plx_widen_to_rgba(&view->colour);
    if (!status) {
        view->camera = plx_camera_resize(&camera, view->colour.width, view->colour.height);
        if (plx_has_opacity(&view->colour)) views->has_alpha = true;
        status = load_geometry(view, geometry);
    }
    free(intrinsics);
    free(picture);
    free(pose);
    free(geometry);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

/* All views share one intrinsics.txt, and it holds one focal length. */
static int check_intrinsics(const plx_views *views, const char *path) {
    if (views->count < 1) return plx_fail(PLX_ERROR_INPUT, "%s: no views to write", path);
    const plx_camera *first = &views->views[0].camera;
    for (int i = 0; i < views->count; i++) {
        const plx_camera *camera = &views->views[i].camera;
        if (camera->fx != first->fx || camera->fy != first->fx || camera->cx != first->cx ||
            camera->cy != first->cy || camera->width != first->width || camera->height != first->height)
            return plx_fail(PLX_ERROR_SUPPORT,
                            "%s: view %d: SRN folders hold one focal length and size for all views", path, i);
        const plx_image *colour = &views->views[i].colour;
        if (colour->channels != 4 || colour->width != camera->width || colour->height != camera->height)
            return plx_fail(PLX_ERROR_INPUT, "%s: view %d: no RGBA picture of the camera's size", path, i);
    }
    return PLX_OK;
}

static int write_text(const char *folder, const char *name, const char *text) {
    char *path = plx_path_join(folder, name);
    int status = path ? plx_file_write(path, text, strlen(text))
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    free(path);
    return status;
}

/* 9 digits give a float back exactly. */
static int write_pose(const plx_camera *camera, const char *folder, const char *name) {
    float pose[16] = {[15] = 1};
    memcpy(pose, camera->c2w, sizeof camera->c2w);
    turn_axes(pose);
    char text[512] = "";
    for (int i = 0, used = 0; i < 16; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%.9g%c", (double)pose[i],
                         i == 15 ? '\n' : ' ');
    return write_text(folder, name, text);
}

static int write_view(const plx_view *view, const char *folder, int index) {
    char name[64];
    snprintf(name, sizeof name, "rgb/%06d.png", index);
    char *picture = plx_path_join(folder, name);
    snprintf(name, sizeof name, "geometry/%06d.exr", index);
    char *geometry = plx_path_join(folder, name);
    int status = picture && geometry ? plx_png_save(picture, &view->colour)
                                     : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    if (!status && view->depth.data) status = plx_geometry_save(geometry, view);
    snprintf(name, sizeof name, "pose/%06d.txt", index);
    if (!status) status = write_pose(&view->camera, folder, name);
    free(picture);
    free(geometry);
    return status;
}

/* intrinsics.txt comes last: a folder without it is no object, so an unfinished one is not read. */
int plx_srn_save(const char *directory, const plx_views *views) {
    char *folder = plx_path_join(directory, views->name);
    if (!folder) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", directory);
    int status =
        plx_path_inside(views->name)
            ? check_intrinsics(views, folder)
            : plx_fail(PLX_ERROR_INPUT, "%s: '%s' is not a name for a folder", directory, views->name);
    bool geometry = false;
    for (int i = 0; i < views->count; i++) geometry = geometry || views->views[i].depth.data;
    static const char *const parts[] = {"rgb", "pose", "geometry"};
    for (int i = 0; i < (geometry ? 3 : 2) && !status; i++) {
        char *part = plx_path_join(folder, parts[i]);
        status = part ? plx_make_directories(part) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
        free(part);
    }
    for (int i = 0; i < views->count && !status; i++) status = write_view(&views->views[i], folder, i);
    if (!status) {
        const plx_camera *camera = &views->views[0].camera;
        char text[256];
        snprintf(text, sizeof text, "%.9g %.9g %.9g 0.\n0. 0. 0.\n1.\n%d %d\n", (double)camera->fx,
                 (double)(camera->cx - 0.5f), (double)(camera->cy - 0.5f), camera->height, camera->width);
        status = write_text(folder, "intrinsics.txt", text);
    }
    free(folder);
    return status;
}
