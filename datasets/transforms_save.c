/* transforms.json beside pictures that were drawn: what nerfstudio, instant-ngp and our own readers take. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/datasets.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

static void set_lens(json_t *object, const plx_camera *c) {
    json_object_set_new(object, "w", json_integer(c->width));
    json_object_set_new(object, "h", json_integer(c->height));
    json_object_set_new(object, "fl_x", json_real((double)c->fx));
    json_object_set_new(object, "fl_y", json_real((double)c->fy));
    json_object_set_new(object, "cx", json_real((double)c->cx));
    json_object_set_new(object, "cy", json_real((double)c->cy));
}

static bool same_lens(const plx_camera *a, const plx_camera *b) {
    return a->width == b->width && a->height == b->height && a->fx == b->fx && a->fy == b->fy &&
           a->cx == b->cx && a->cy == b->cy;
}

static json_t *frame_of(const plx_camera *c, const char *folder, const char *depths, int number) {
    char name[64], depth[64];
    snprintf(name, sizeof name, "%s%s%05d.png", folder, *folder ? "/" : "", number);
    json_t *rows = json_array();
    for (int row = 0; row < 4; row++) {
        json_t *line = json_array();
        for (int column = 0; column < 4; column++)
            json_array_append_new(line, json_real(row < 3 ? (double)c->c2w[4 * row + column] : column == 3));
        json_array_append_new(rows, line);
    }
    snprintf(depth, sizeof depth, "%s/%05d.png", depths ? depths : "", number);
    return json_pack("{s:s, s:s*, s:o}", "file_path", name, "depth_file_path", depths ? depth : NULL,
                     "transform_matrix", rows);
}

int plx_transforms_save(const char *file, const char *folder, const char *depths, int count,
                        const plx_camera *cameras) {
    bool same = true;
    for (int i = 1; i < count; i++) same = same && same_lens(&cameras[0], &cameras[i]);
    json_t *root = json_object(), *frames = json_array();
    json_object_set_new(root, "camera_model", json_string("PINHOLE"));
    if (same) set_lens(root, &cameras[0]);
    for (int i = 0; i < count; i++) {
        json_t *frame = frame_of(&cameras[i], folder, depths, i);
        if (!same) set_lens(frame, &cameras[i]);
        json_array_append_new(frames, frame);
    }
    json_object_set_new(root, "frames", frames);
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)); /* 9 digits hold a float */
    json_decref(root);
    int status =
        text ? plx_file_write(file, text, strlen(text)) : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", file);
    free(text);
    return status;
}
