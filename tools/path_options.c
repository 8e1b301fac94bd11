#include "tools/path_options.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static int load(plx_path *out, const char *file, const plx_path_values *v) {
    int status = plx_path_load(out, file, v->frames, v->size[0], v->size[1]);
    if (!status && v->frames && out->count != v->frames) {
        status =
            plx_fail(PLX_ERROR_INPUT, "%s: has %d frames of its own, not %d", file, out->count, v->frames);
        plx_path_free(out);
    }
    if (!status && !isnan(v->fps)) out->fps = v->fps;
    return status;
}

bool plx_path_is_file(const char *path) {
    size_t length = strlen(path);
    return length > 5 && !strcasecmp(path + length - 5, ".json");
}

int plx_path_from_values(plx_path *out, const char *path, const plx_path_values *v, const plx_field *field) {
    const float degree = (float)M_PI / 180;
    plx_camera input;
    *out = (plx_path){0};
    if (plx_path_is_file(path)) return load(out, path, v);
    plx_path_options o = plx_path_options_default();
    o.kind = path;
    if (v->frames) o.frames = v->frames;
    if (!isnan(v->fps)) o.fps = v->fps;
    if (v->size[0]) o.width = v->size[0], o.height = v->size[1];
    o.columns = v->grid[0], o.rows = v->grid[1];
    if (field && plx_field_input_camera(field, &input)) o.elevation = plx_camera_elevation(&input);
    if (!isnan(v->elevation)) o.elevation = v->elevation * degree;
    o.low = v->low * degree, o.high = v->high * degree;
    o.turns = v->turns;
    if (field) o.distance = plx_field_radius(field) * PLX_DEFAULT_DISTANCE / PLX_SCENE_RADIUS;
    if (!isnan(v->distance)) o.distance = v->distance;
    o.fov = v->fov * degree;
    return plx_path_make(out, &o);
}
