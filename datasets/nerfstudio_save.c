/* nerfstudio's folders: images/%05d.png RGBA, and transforms.json at the end. */
#include <stdio.h>
#include <stdlib.h>

#include "datasets/writer.h"
#include "nerf/core/error.h"

static int add(const plx_dataset_writer *writer, const plx_view *view) {
    char name[64];
    snprintf(name, sizeof name, "images/%05d.png", writer->count);
    char *path = plx_path_join(writer->folder, name);
    int status = path ? plx_png_save(path, &view->colour)
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
    free(path);
    return status;
}

static int finish(const plx_dataset_writer *writer) {
    char *path = plx_path_join(writer->folder, "transforms.json");
    int status = path ? plx_transforms_save(path, "images", writer->count, writer->cameras)
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
    free(path);
    return status;
}

static const char *const folders[] = {"images", NULL};

const plx_writer_kind plx_nerfstudio_kind = {
    .name = "nerfstudio", .folders = folders, .add = add, .finish = finish, .last = "transforms.json"};
