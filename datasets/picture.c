/* The pictures of a view: colour with opacity, and masks. */
#include <stdlib.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"

/* Three channels get an opacity of 1. */
static int widen_to_rgba(plx_image *image) {
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

static bool has_opacity(const plx_image *rgba) {
    size_t pixels = (size_t)rgba->height * (size_t)rgba->width;
    for (size_t i = 0; i < pixels; i++)
        if (rgba->data[4 * i + 3] < 1) return true;
    return false;
}

int plx_view_picture(plx_view *view, plx_views *views, const plx_source *source, const char *name) {
    char *path;
    int status = plx_source_file(&path, source, name);
    if (!status) status = plx_image_load(&view->colour, path);
    if (!status) status = widen_to_rgba(&view->colour);
    if (!status && has_opacity(&view->colour)) views->has_alpha = true;
    free(path);
    return status;
}

int plx_picture_beside(plx_image *out, const plx_view *view, const plx_source *source, const char *name) {
    char *path;
    int width = view->colour.width, height = view->colour.height;
    *out = (plx_image){0};
    int status = plx_source_file(&path, source, name);
    if (!status) status = plx_image_load(out, path);
    if (!status && (out->width != width || out->height != height))
        status = plx_fail(PLX_ERROR_INPUT, "%s: %dx%d pixels, not %dx%d as its picture", path, out->width,
                          out->height, width, height);
    if (status) plx_image_free(out);
    free(path);
    return status;
}

int plx_view_mask(plx_view *view, plx_views *views, const plx_source *source, const char *name) {
    plx_image mask;
    int status = plx_picture_beside(&mask, view, source, name);
    if (status) return status;
    size_t pixels = (size_t)mask.height * (size_t)mask.width;
    for (size_t i = 0; i < pixels; i++)
        view->colour.data[4 * i + 3] *= mask.data[(size_t)mask.channels * i] > 0;
    if (has_opacity(&view->colour)) views->has_alpha = true;
    plx_image_free(&mask);
    return PLX_OK;
}
