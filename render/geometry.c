/* A view as one EXR file: its depth and normals, and what it shows. */
#include <stdio.h>

#include "nerf/core/error.h"
#include "render/render.h"

#define CHANNELS 5
static const char *const names[CHANNELS] = {"Z", "Z.last", "N.X", "N.Y", "N.Z"};

/* Depths are written as floats, normals as halves (2^-11 of a unit). */
int plx_geometry_save(const char *path, const plx_view *view) {
    PLX_CHECK(view->depth.channels == 2 && view->normal.channels == 3, "geometry: %d depths, %d normals",
              view->depth.channels, view->normal.channels);
    plx_image depth = view->depth, normal = view->normal; /* borrowed */
    plx_exr_channel channels[CHANNELS];
    for (int i = 0; i < CHANNELS; i++) {
        channels[i] = (plx_exr_channel){
            .image = i < 2 ? &depth : &normal, .channel = i < 2 ? i : i - 2, .half = i >= 2};
        snprintf(channels[i].name, sizeof channels[i].name, "%s", names[i]);
    }
    return plx_exr_save(path, CHANNELS, channels, NULL);
}

int plx_geometry_load(plx_view *view, const char *path) {
    plx_image all = {0}, depth = {0}, normal = {0};
    int status = plx_exr_load(&all, path, CHANNELS, names);
    if (status == PLX_OK) status = plx_image_create(&depth, all.height, all.width, 2);
    if (status == PLX_OK) status = plx_image_create(&normal, all.height, all.width, 3);
    if (status < 0) {
        plx_image_free(&all);
        plx_image_free(&depth);
        plx_image_free(&normal);
        return status;
    }
    for (size_t i = 0; i < (size_t)all.height * all.width; i++) {
        const float *from = all.data + CHANNELS * i;
        for (int k = 0; k < 2; k++) depth.data[2 * i + k] = from[k];
        for (int k = 0; k < 3; k++) normal.data[3 * i + k] = from[2 + k];
    }
    plx_image_free(&all);
    view->depth = depth;
    view->normal = normal;
    return PLX_OK;
}

/* ---- what it shows ---- */

static void add_channel(plx_exr_channel *channels, int *count, const char *name, plx_image *image,
                        int channel, bool half) {
    plx_exr_channel *c = &channels[(*count)++];
    *c = (plx_exr_channel){.image = image, .channel = channel, .half = half};
    snprintf(c->name, sizeof c->name, "%s", name);
}

int plx_view_save(const char *path, const plx_view *view) {
    static const char *const colours[] = {"R", "G", "B", "A"}, *const axes[] = {"N.X", "N.Y", "N.Z"};
    plx_image linear, depth = view->depth, normal = view->normal; /* the latter borrowed */
    plx_exr_channel channels[8];
    int count = 0;
    PLX_CHECK(view->colour.channels == 4, "%s: a view of %d channels", path, view->colour.channels);
    int status = plx_image_copy(&linear, &view->colour);
    if (status < 0) return plx_fail_in(status, path);
    for (size_t i = 0; i < (size_t)linear.height * linear.width; i++)
        for (int k = 0; k < 3; k++)
            linear.data[4 * i + k] = plx_srgb_decode(linear.data[4 * i + k]) * linear.data[4 * i + 3];
    for (int k = 0; k < 4; k++) add_channel(channels, &count, colours[k], &linear, k, true);
    if (depth.data) add_channel(channels, &count, "Z", &depth, 0, false);
    for (int k = 0; k < 3 && normal.data; k++) add_channel(channels, &count, axes[k], &normal, k, true);
    status = plx_exr_save(path, count, channels, &view->camera);
    plx_image_free(&linear);
    return status;
}
