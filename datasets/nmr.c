/* ShapeNet renders of NMR as DVR packed them: {class}/{object}/image, mask, cameras.npz. Of view i cameras.npz has
 * world_mat_i, world-to-camera with OpenCV's axes in a world with y up, and camera_mat_i, which takes a camera point to
 * image coordinates in [-1,1]; pixel centres lie on integers (formats.md; as pixelNeRF reads them). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/npy.h"
#include "datasets/reader.h"
#include "nerf/core/error.h"

static bool probe(const char *path) {
    return plx_folder_holds(path, "image", plx_is_folder) &&
           plx_folder_holds(path, "cameras.npz", plx_is_file);
}

static int open_object(plx_dataset *dataset, const char *path, const char *name) {
    return plx_dataset_add_files(dataset, &plx_nmr_reader, path, name, "image", plx_is_picture);
}

/* The first 3 rows of the matrix NAME_INDEX; columns beyond its own are 0. */
static int read_matrix(double out[12], const char *path, const char *name, int index) {
    char key[64];
    plx_npy array;
    snprintf(key, sizeof key, "%s_%d", name, index);
    int status = plx_npz_load(&array, path, key);
    if (status) return status;
    if (array.dims != 2 || array.shape[0] < 3 || array.shape[0] > 4 || array.shape[1] < 3 ||
        array.shape[1] > 4)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %s is no matrix of 3 or 4 rows and columns", path, key);
    for (size_t i = 0; i < 12 && !status; i++) {
        size_t row = i / 4, column = i % 4, columns = array.shape[1];
        out[i] = column < columns ? array.values[columns * row + column] : 0;
    }
    plx_npy_free(&array);
    return status;
}

/* Pictures and cameras go by their order: with one missing, all later ones would be of another view. */
static int check_count(const char *path, int pictures) {
    char key[64];
    plx_npy array;
    snprintf(key, sizeof key, "world_mat_%d", pictures);
    if (plx_npz_load(&array, path, key)) return PLX_OK;
    plx_npy_free(&array);
    return plx_fail(PLX_ERROR_INPUT, "%s: has %s, but there are %d pictures", path, key, pictures);
}

/* World (x, y, z) with y up -> (x, -z, y) with z up. */
static void turn_world(double c2w[12]) {
    for (int column = 0; column < 4; column++) {
        double y = c2w[4 + column];
        c2w[4 + column] = -c2w[8 + column];
        c2w[8 + column] = y;
    }
}

/* u = k00 x + k02 in [-1,1] is pixel W (u + 1) / 2, whose centre is there; ours lies half a pixel further. */
static int read_camera(plx_camera *camera, const char *path, int index) {
    double w2c[12], k[12], c2w[12], half_w = camera->width / 2.0, half_h = camera->height / 2.0;
    int status = read_matrix(w2c, path, "world_mat", index);
    if (!status) status = read_matrix(k, path, "camera_mat", index);
    if (status) return status;
    camera->fx = (float)(k[0] * half_w);
    camera->fy = (float)(k[5] * half_h);
    camera->cx = (float)((k[2] + 1) * half_w + 0.5);
    camera->cy = (float)((k[6] + 1) * half_h + 0.5);
    plx_pose_invert(c2w, w2c);
    plx_pose_turn_axes(c2w);
    turn_world(c2w);
    if (plx_pose_set(camera, c2w))
        return plx_fail(PLX_ERROR_INPUT, "%s: world_mat_%d and camera_mat_%d are no camera", path, index,
                        index);
    return PLX_OK;
}

static int read_view(const plx_source *source, int index, plx_view *view, plx_views *views) {
    const char *file = ((const plx_names *)source->own)->names[index];
    char *picture = plx_path_join("image", file), *mask = plx_name_with("mask", file, ".png"),
         *cameras = NULL;
    int status = picture && mask ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", source->path);
    if (!status) status = plx_source_file(&cameras, source, "cameras.npz");
    if (!status) status = check_count(cameras, source->views);
    if (!status) status = plx_view_picture(view, views, source, picture);
    if (!status) {
        view->camera.width = view->colour.width;
        view->camera.height = view->colour.height;
        status = read_camera(&view->camera, cameras, index);
    }
    if (!status && plx_folder_holds(source->folder, "mask", plx_is_folder))
        status = plx_view_mask(view, views, source, mask);
    views->near = 1.2f; /* ShapeNet's, in pixelNeRF */
    views->far = 4;
    free(picture);
    free(mask);
    free(cameras);
    return status;
}

const plx_reader plx_nmr_reader = {.kind = "nmr",
                                   .looks = "image, mask, cameras.npz",
                                   .probe = probe,
                                   .open = open_object,
                                   .view = read_view,
                                   .close = plx_names_close,
                                   .name = plx_names_view};
