/* ShapeNet-SRN folders: rgb/%06d.png RGBA, pose/%06d.txt, geometry/%06d.exr where a view has depth and normals, and
 * intrinsics.txt at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/writer.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

typedef int (*write_fn)(const char *path, const void *data, size_t size);

static int write_text(const char *folder, const char *name, const char *text, write_fn write) {
    char *path = plx_path_join(folder, name);
    int status =
        path ? write(path, text, strlen(text)) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    free(path);
    return status;
}

/* 9 digits give a float back exactly. */
static int write_pose(const plx_camera *camera, const char *folder, const char *name) {
    double pose[16] = {[15] = 1};
    for (int i = 0; i < 12; i++) pose[i] = (double)camera->c2w[i];
    plx_pose_turn_axes(pose);
    char text[512] = "";
    for (int i = 0, used = 0; i < 16; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%.9g%c", pose[i], i == 15 ? '\n' : ' ');
    return write_text(folder, name, text, plx_file_write_later);
}

static int write_geometry(const plx_dataset_writer *writer, const plx_view *view) {
    char name[64], *path;
    snprintf(name, sizeof name, "%06d.exr", writer->count);
    int status = plx_dataset_writer_part(&path, writer, "geometry", name);
    if (!status) status = plx_geometry_save(path, view);
    free(path);
    return status;
}

/* All views share one intrinsics.txt, and it holds one focal length. */
static int add(const plx_dataset_writer *writer, const plx_view *view) {
    const plx_camera *camera = &view->camera, *first = writer->count ? &writer->cameras[0] : camera;
    if (camera->fx != first->fx || camera->fy != first->fx || camera->cx != first->cx ||
        camera->cy != first->cy || camera->width != first->width || camera->height != first->height)
        return plx_fail(
            PLX_ERROR_SUPPORT,
            "%s: view %d: SRN folders hold one focal length and size for all views (nerfstudio's hold any)",
            writer->folder, writer->count);
    char name[64];
    snprintf(name, sizeof name, "rgb/%06d.png", writer->count);
    int status = plx_dataset_writer_picture(writer, view, name);
    if (!status && view->depth.data && view->normal.data) status = write_geometry(writer, view);
    snprintf(name, sizeof name, "pose/%06d.txt", writer->count);
    return status ? status : write_pose(camera, writer->folder, name);
}

static int finish(const plx_dataset_writer *writer) {
    const plx_camera *camera = &writer->cameras[0];
    char text[256];
    snprintf(text, sizeof text, "%.9g %.9g %.9g 0.\n0. 0. 0.\n1.\n%d %d\n", (double)camera->fx,
             (double)(camera->cx - 0.5f), (double)(camera->cy - 0.5f), camera->height, camera->width);
    return write_text(writer->folder, "intrinsics.txt", text, plx_file_write);
}

static const char *const folders[] = {"rgb", "pose", NULL};

const plx_writer_kind plx_srn_kind = {
    .name = "srn", .folders = folders, .add = add, .finish = finish, .last = "intrinsics.txt"};
