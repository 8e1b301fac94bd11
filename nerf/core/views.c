#include "nerf/core/views.h"

#include <stdlib.h>

#include "nerf/core/error.h"

int plx_views_create(plx_views *out, int count) {
    *out = (plx_views){0};
    if (count < 0) return plx_fail(PLX_ERROR_INPUT, "%d views", count);
    out->views = calloc(count ? (size_t)count : 1, sizeof *out->views);
    if (!out->views) return plx_fail(PLX_ERROR_MEMORY, "out of memory for %d views", count);
    out->count = count;
    return PLX_OK;
}

void plx_views_free(plx_views *views) {
    if (!views) return;
    for (int i = 0; i < views->count; i++) {
        plx_image_free(&views->views[i].colour);
        plx_image_free(&views->views[i].depth);
        plx_image_free(&views->views[i].normal);
    }
    free(views->views);
    *views = (plx_views){0};
}
