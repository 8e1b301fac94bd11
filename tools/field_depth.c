#include "tools/field_depth.h"

#include "tools/parallax.h"

int plx_field_depth(plx_views *views, plx_field *field) {
    plx_render_options o = plx_render_options_default();
    int status = PLX_OK;
    o.depth = true;
    for (int k = 0; k < views->count && !status; k++) {
        plx_view drawn = {.camera = views->views[k].camera};
        status = plx_field_render(field, &drawn, &o);
        plx_image_free(&drawn.colour);
        plx_image_free(&views->views[k].depth);
        views->views[k].depth = drawn.depth;
        if (!status && plx_stop_requested()) status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    return status;
}
