/* zero123's renders of Objaverse: pictures and .npy files of one name, side by side. A pose is world-to-camera with
 * Blender's axes, which are ours; pixel centres at +0.5; every camera has a 35 mm lens before a 32 mm sensor. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "datasets/npy.h"
#include "datasets/reader.h"
#include "nerf/core/error.h"

#define FOCAL_OVER_SIDE (35.0 / 32) /* fov 49.13 degrees; Blender's sensor fits the longer side */

static bool is_pose(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && !strcasecmp(dot, ".npy");
}

/* The picture beside a pose: its name in the folder, malloc'ed, or NULL. */
static char *find_picture(const char *folder, const char *pose) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    for (int i = 0; i < 3; i++) {
        char *name = plx_name_with("", pose, endings[i]), *path = name ? plx_path_join(folder, name) : NULL;
        bool found = path && plx_is_file(path);
        free(path);
        if (found) return name;
        free(name);
    }
    return NULL;
}

static bool probe(const char *path) {
    plx_names *poses = NULL;
    bool found = false;
    if (plx_is_folder(path) && plx_names_list(&poses, path, is_pose) == PLX_OK)
        for (int i = 0; i < poses->count && !found; i++) {
            char *picture = find_picture(path, poses->names[i]);
            found = picture != NULL;
            free(picture);
        }
    plx_names_close(poses);
    return found;
}

static bool is_frame(const char *name) {
    return plx_is_picture(name) && strspn(name, "0123456789") == strcspn(name, ".");
}

static int open_object(plx_dataset *dataset, const char *path, const char *name) {
    plx_source source;
    plx_names *poses = NULL;
    int status = plx_source_create(&source, &plx_zero123_reader, name, path, path);
    if (!status) status = plx_names_list(&poses, path, is_pose);
    source.own = poses;
    if (!status) status = plx_source_pair(&source, "", is_frame);
    if (!status) {
        source.views = poses->count;
        return plx_dataset_add(dataset, &source);
    }
    plx_source_free(&source);
    return status;
}

/* [R t] of 3x4 (or 4x4, its last row 0 0 0 1). */
static int read_pose(double w2c[12], const char *path) {
    plx_npy array;
    int status = plx_npy_load(&array, path);
    if (status) return status;
    if (array.dims != 2 || (array.shape[0] != 3 && array.shape[0] != 4) || array.shape[1] != 4)
        status = plx_fail(PLX_ERROR_INPUT, "%s: not a 3x4 world-to-camera matrix", path);
    else
        memcpy(w2c, array.values, 12 * sizeof *w2c);
    plx_npy_free(&array);
    return status;
}

static int read_view(const plx_source *source, int index, plx_view *view, plx_views *views) {
    const char *name = ((const plx_names *)source->own)->names[index];
    char *pose, *picture = NULL;
    double w2c[12], c2w[12];
    int status = plx_source_file(&pose, source, name);
    if (!status) status = read_pose(w2c, pose);
    if (!status && !(picture = find_picture(source->folder, name)))
        status = plx_fail(PLX_ERROR_IO, "%s: the picture of its name is not there", pose);
    if (!status) status = plx_view_picture(view, views, source, picture);
    if (!status) {
        int width = view->colour.width, height = view->colour.height;
        float focal = (float)(FOCAL_OVER_SIDE * (width > height ? width : height));
        view->camera = (plx_camera){.fx = focal,
                                    .fy = focal,
                                    .cx = 0.5f * (float)width,
                                    .cy = 0.5f * (float)height,
                                    .width = width,
                                    .height = height};
        plx_pose_invert(c2w, w2c);
        if ((status = plx_pose_set(&view->camera, c2w)) < 0) plx_fail_in(status, pose);
    }
    free(pose);
    free(picture);
    return status;
}

const plx_reader plx_zero123_reader = {.kind = "zero123",
                                       .looks = "000.png beside 000.npy, ...",
                                       .probe = probe,
                                       .open = open_object,
                                       .view = read_view,
                                       .close = plx_names_close,
                                       .name = plx_names_view};
