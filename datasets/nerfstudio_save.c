/* nerfstudio's folders: images/%05d.png RGBA, depth/%05d.png where the views have it (16 bits: millimetres along the viewing axis,
 * a world unit being a metre; 0: none, or past 65.535), and transforms.json at the end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "datasets/writer.h"
#include "nerf/core/error.h"

static int add_depth(const plx_dataset_writer *writer, const plx_view *view) {
    const plx_camera *c = &view->camera;
    char name[64];
    char *path = NULL;
    snprintf(name, sizeof name, "%05d.png", writer->count);
    uint16_t *values = calloc((size_t)c->width * (size_t)c->height, sizeof *values);
    int status = values ? plx_dataset_writer_part(&path, writer, "depth", name)
                        : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
    for (int i = 0; i < c->width * c->height && !status; i++) {
        double stretch = plx_camera_stretch(c, i / c->width, i % c->width);
        double value = rint(1000 * (double)view->depth.data[2 * (size_t)i] / stretch);
        if (value > 0 && value <= 65535) values[i] = (uint16_t)value;
    }
    if (!status) status = plx_png16_save(path, values, c->width, c->height);
    free(values);
    free(path);
    return status;
}

static int add(const plx_dataset_writer *writer, const plx_view *view) {
    char name[64];
    snprintf(name, sizeof name, "images/%05d.png", writer->count);
    int status = plx_dataset_writer_picture(writer, view, name);
    return !status && view->depth.data ? add_depth(writer, view) : status;
}

static int finish(const plx_dataset_writer *writer) {
    char *path = plx_path_join(writer->folder, "transforms.json");
    int status = path ? plx_transforms_save(path, "images", writer->depths == writer->count ? "depth" : NULL,
                                            writer->count, writer->cameras)
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
    free(path);
    return status;
}

static const char *const folders[] = {"images", NULL};

const plx_writer_kind plx_nerfstudio_kind = {
    .name = "nerfstudio", .folders = folders, .add = add, .finish = finish, .last = "transforms.json"};
