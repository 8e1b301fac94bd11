#include "nerf/judged_view.h"

#include <math.h>
#include <stddef.h>

#include "nerf/core/error.h"

int plx_judged_view_check(const plx_views *views, int index) {
    const plx_view *v = &views->views[index];
    int H = v->camera.height, W = v->camera.width;
    if (v->colour.channels != 4 || v->colour.width != W || v->colour.height != H)
        return plx_fail(PLX_ERROR_INPUT, "%s: view %d has no image of its camera's size", views->name, index);
    if (!plx_camera_valid(&v->camera, 1e-3f))
        return plx_fail(PLX_ERROR_INPUT, "%s: view %d has a camera that cannot be", views->name, index);
    for (size_t p = 0; p < 4 * (size_t)H * (size_t)W; p++)
        if (!isfinite(v->colour.data[p]))
            return plx_fail(PLX_ERROR_INPUT, "%s: view %d has pixels that are no numbers", views->name,
                            index);
    return PLX_OK;
}

int plx_judged_view_colour(plx_image *out, const plx_view *view) {
    int status = plx_image_over(out, &view->colour, 1);
    if (status) return status;
    for (size_t i = 0; i < 3 * (size_t)out->height * (size_t)out->width; i++)
        out->data[i] = floorf(fminf(fmaxf(out->data[i], 0), 1) * 255 + 0.5f) / 255;
    return PLX_OK;
}
