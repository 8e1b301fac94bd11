/* Visibility by depth maps. Depth is smooth where it can be interpolated; there, a point is seen if it lies as far away
 * as the depth says (the occlusion test). */
#include "nerf/surface.h"
#include "nerf/judged_view.h"

#include <math.h>
#include <stdlib.h>

plx_surface_options plx_surface_options_default(void) {
    return (plx_surface_options){
        .tolerance = 1, .roughness = 1, .neighbours = 8, .least_views = 3, .cell = 1};
}

float plx_observer_footprint(const plx_camera *camera, float distance) {
    return 2 * distance / (camera->fx + camera->fy);
}

/* ---- making them --------------------------------------------------------------------------------------------- */

static int check_view(const plx_views *views, int i) {
    const plx_view *v = &views->views[i];
    int H = v->camera.height, W = v->camera.width, status = plx_judged_view_check(views, i);
    if (status) return status;
    if (!v->depth.data || v->depth.channels != 2 || v->depth.width != W || v->depth.height != H)
        return plx_fail(PLX_ERROR_INPUT, "%s: view %d has no depth of its image's size", views->name, i);
    for (size_t p = 0; p < (size_t)H * (size_t)W; p++)
        if (!isfinite(v->depth.data[2 * p]))
            return plx_fail(PLX_ERROR_INPUT, "%s: view %d has depth that is no number", views->name, i);
    return PLX_OK;
}

static int check_options(const plx_surface_options *o) {
    if (!(o->tolerance > 0) || !(o->roughness > 0) || !(o->cell > 0) || o->neighbours < 0 ||
        o->least_views < 2)
        return plx_fail(PLX_ERROR_INPUT,
                        "surfaces: tolerance %g, roughness %g, cell %g, %d neighbours, at least %d views",
                        (double)o->tolerance, (double)o->roughness, (double)o->cell, o->neighbours,
                        o->least_views);
    return PLX_OK;
}

/* Of three depths in a row. */
static bool is_bent(float a, float b, float c, float most) {
    return fabsf(a - 2 * b + c) > most;
}

/* A second difference across the pixel in any of four directions tells a fold, a step or a crease beside it. */
static bool is_smooth(const plx_observer *o, int row, int column, float roughness) {
    int H = o->camera->height, W = o->camera->width;
    float d[3][3];
    if (row < 1 || column < 1 || row + 1 >= H || column + 1 >= W) return false;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            d[i][j] = o->depth[2 * ((size_t)(row + i - 1) * (size_t)W + (size_t)(column + j - 1))];
            if (!(d[i][j] > 0)) return false;
        }
    float most = roughness * plx_observer_footprint(o->camera, d[1][1]);
    return !is_bent(d[0][1], d[1][1], d[2][1], most) && !is_bent(d[1][0], d[1][1], d[1][2], most) &&
           !is_bent(d[0][0], d[1][1], d[2][2], 2 * most) && !is_bent(d[0][2], d[1][1], d[2][0], 2 * most);
}

static int make_observer(plx_observer *o, const plx_view *view, float roughness) {
    int H = view->camera.height, W = view->camera.width;
    o->camera = &view->camera;
    o->depth = view->depth.data;
    int status = plx_judged_view_colour(&o->colour, view);
    if (status) return status;
    o->smooth = malloc((size_t)H * (size_t)W * sizeof *o->smooth);
    if (!o->smooth) return plx_fail(PLX_ERROR_MEMORY, "no memory for a view of %dx%d pixels", W, H);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++)
            o->smooth[(size_t)i * (size_t)W + (size_t)j] = is_smooth(o, i, j, roughness);
    return PLX_OK;
}

int plx_observers_create(plx_observer **out, const plx_views *views, const plx_surface_options *options) {
    *out = NULL;
    int status = check_options(options);
    for (int i = 0; i < views->count && !status; i++) status = check_view(views, i);
    if (status) return status;
    plx_observer *observers = calloc((size_t)views->count + 1, sizeof *observers);
    if (!observers)
        return plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %d views", views->name, views->count);
    for (int i = 0; i < views->count && !status; i++)
        status = make_observer(&observers[i], &views->views[i], options->roughness);
    if (status)
        plx_observers_free(observers, views->count);
    else
        *out = observers;
    return status;
}

void plx_observers_free(plx_observer *observers, int count) {
    for (int i = 0; observers && i < count; i++) {
        plx_image_free(&observers[i].colour);
        free(observers[i].smooth);
    }
    free(observers);
}

/* ---- looking ------------------------------------------------------------------------------------------------- */

bool plx_observer_point(const plx_observer *o, int row, int column, float point[3], float colour[3]) {
    size_t at = (size_t)row * (size_t)o->camera->width + (size_t)column;
    float origin[3], direction[3];
    if (!o->smooth[at]) return false;
    plx_camera_ray(o->camera, (float)column + 0.5f, (float)row + 0.5f, origin, direction);
    for (int k = 0; k < 3; k++) {
        point[k] = origin[k] + o->depth[2 * at] * direction[k];
        colour[k] = o->colour.data[3 * at + (size_t)k];
    }
    return true;
}

bool plx_observer_see(const plx_observer *o, const float point[3], float tolerance, float colour[3]) {
    int H = o->camera->height, W = o->camera->width;
    float px, py, axial, eye[3];
    if (!plx_camera_project(o->camera, point, &px, &py, &axial)) return false;
    px -= 0.5f, py -= 0.5f; /* texel centres at integers */
    if (!(px >= 0 && py >= 0 && px < (float)(W - 1) && py < (float)(H - 1))) return false;
    int row = (int)py, column = (int)px;
    float fy = py - (float)row, fx = px - (float)column, depth = 0;
    float weights[4] = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
    for (int c = 0; c < 3; c++) colour[c] = 0;
    for (int k = 0; k < 4; k++) {
        size_t at = (size_t)(row + k / 2) * (size_t)W + (size_t)(column + k % 2);
        if (!o->smooth[at]) return false;
        depth += weights[k] * o->depth[2 * at];
        for (size_t c = 0; c < 3; c++) colour[c] += weights[k] * o->colour.data[3 * at + c];
    }
    plx_camera_position(o->camera, eye);
    float distance =
        sqrtf((point[0] - eye[0]) * (point[0] - eye[0]) + (point[1] - eye[1]) * (point[1] - eye[1]) +
              (point[2] - eye[2]) * (point[2] - eye[2]));
    return fabsf(distance - depth) <= tolerance * plx_observer_footprint(o->camera, depth);
}
