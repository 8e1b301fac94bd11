/* ShapeNet-SRN folders. Poses are camera-to-world with OpenCV axes; pixel centres lie on integers (formats.md). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

#define TEXT_MAX 65536 /* bytes of a pose or intrinsics file */

static bool probe(const char *path) {
    return plx_folder_holds(path, "rgb", plx_is_folder) && plx_folder_holds(path, "pose", plx_is_folder) &&
           plx_folder_holds(path, "intrinsics.txt", plx_is_file);
}

static bool is_pose(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && !strcmp(dot, ".txt");
}

static int open_object(plx_dataset *dataset, const char *path, const char *name) {
    int status = plx_dataset_add_files(dataset, &plx_srn_reader, path, name, "rgb", plx_is_picture);
    return status ? status : plx_source_pair(&dataset->sources[dataset->count - 1], "pose", is_pose);
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
    bool right = plx_numbers_read(&at, true, first, 4) == 4, sized = false;
    while (right && !sized && *at) {
        int count = plx_numbers_read(&at, true, rest, 4);
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

static int read_pose(plx_camera *camera, const char *path) {
    char *text;
    size_t size;
    int status = plx_file_read(&text, &size, path, TEXT_MAX);
    if (status) return status;
    const char *at = text;
    double pose[16];
    if (plx_numbers_read(&at, false, pose, 16) != 16) status = plx_fail(PLX_ERROR_INPUT, "not 16 numbers");
    free(text);
    if (!status) {
        plx_pose_turn_axes(pose);
        status = plx_pose_set(camera, pose);
    }
    return status ? plx_fail_in(status, path) : PLX_OK;
}

static int load_geometry(plx_view *view, const plx_source *source, const char *name) {
    if (!plx_folder_holds(source->folder, name, plx_is_file)) return PLX_OK;
    char *path;
    int status = plx_source_file(&path, source, name);
    if (!status) status = plx_geometry_load(view, path);
    const plx_image *images[] = {&view->depth, &view->normal};
    for (int i = 0; i < 2 && !status; i++)
        if (images[i]->height != view->camera.height || images[i]->width != view->camera.width)
            status = plx_fail(PLX_ERROR_INPUT, "%s: %dx%d pixels, not %dx%d as its picture", path,
                              images[i]->width, images[i]->height, view->camera.width, view->camera.height);
    free(path);
    return status;
}

/* pixelNeRF's bounds, by the name of the set: cars stand 1.3 away, chairs 2. */
static void set_bounds(plx_views *views, const char *path) {
    if (strstr(path, "cars")) views->near = 0.8f, views->far = 1.8f;
    if (strstr(path, "chairs")) views->near = 1.25f, views->far = 2.75f;
}

static int read_view(const plx_source *source, int index, plx_view *view, plx_views *views) {
    const char *file = ((const plx_names *)source->own)->names[index];
    char *picture = plx_path_join("rgb", file), *pose_name = plx_name_with("pose", file, ".txt");
    char *geometry = plx_name_with("geometry", file, ".exr");
    char *intrinsics = NULL, *pose = NULL;
    plx_camera camera = {0};
    int status = PLX_OK;
    if (!picture || !pose_name || !geometry)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", source->path);
    if (!status) status = plx_source_file(&intrinsics, source, "intrinsics.txt");
    if (!status) status = read_intrinsics(&camera, intrinsics);
    if (!status) status = plx_source_file(&pose, source, pose_name);
    if (!status) status = read_pose(&camera, pose);
    if (!status) status = plx_view_picture(view, views, source, picture);
    if (!status) {
        view->camera = plx_camera_resize(&camera, view->colour.width, view->colour.height);
        status = load_geometry(view, source, geometry);
        set_bounds(views, source->path);
    }
    free(intrinsics);
    free(picture);
    free(pose);
    free(pose_name);
    free(geometry);
    return status;
}

const plx_reader plx_srn_reader = {.kind = "srn",
                                   .looks = "rgb, pose, intrinsics.txt",
                                   .probe = probe,
                                   .open = open_object,
                                   .view = read_view,
                                   .close = plx_names_close,
                                   .name = plx_names_view};
