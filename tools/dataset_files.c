/* What a drawn view shows, in files for other programs, and names as other programs read them. */
#include "tools/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/parallax.h"

/* Where the ray of each pixel meets the surface, in the object's own normalised space; 0 where it does not. */
static int find_positions(plx_image *out, const plx_view *view) {
    int height = view->camera.height, width = view->camera.width,
        status = plx_image_create(out, height, width, 3);
    for (int row = 0; row < height && !status; row++)
        for (int column = 0; column < width; column++) {
            size_t pixel = (size_t)row * (size_t)width + (size_t)column;
            float distance = view->depth.data[2 * pixel], origin[3], direction[3];
            if (distance <= 0) continue;
            plx_camera_ray(&view->camera, (float)column + 0.5f, (float)row + 0.5f, origin, direction);
            for (int i = 0; i < 3; i++)
                out->data[3 * pixel + (size_t)i] = origin[i] + distance * direction[i];
        }
    return status;
}

/* Encoded and straight -> linear and premultiplied. */
static int make_linear(plx_image *out, const plx_image *rgba) {
    int status = plx_image_copy(out, rgba);
    for (size_t i = 0; !status && i < (size_t)out->height * (size_t)out->width; i++)
        for (int c = 0; c < 3; c++)
            out->data[4 * i + (size_t)c] =
                plx_srgb_decode(out->data[4 * i + (size_t)c]) * out->data[4 * i + 3];
    return status;
}

static int write_exr(const char *path, const plx_view *view, plx_image *positions) {
    static const struct {
        const char *name;
        int image, channel;
        bool half;
    } planes[] = {{"R", 0, 0, true},    {"G", 0, 1, true},    {"B", 0, 2, true},   {"A", 0, 3, true},
                  {"Z", 1, 0, false},   {"N.X", 2, 0, true},  {"N.Y", 2, 1, true}, {"N.Z", 2, 2, true},
                  {"P.X", 3, 0, false}, {"P.Y", 3, 1, false}, {"P.Z", 3, 2, false}};
    enum { PLANES = sizeof planes / sizeof *planes };
    plx_image linear, depth = view->depth, normal = view->normal; /* the latter borrowed */
    plx_image *images[] = {&linear, &depth, &normal, positions};
    plx_exr_channel channels[PLANES];
    int status = make_linear(&linear, &view->colour);
    if (status) return status;
    for (int i = 0; i < PLANES; i++) {
        channels[i] = (plx_exr_channel){
            .image = images[planes[i].image], .channel = planes[i].channel, .half = planes[i].half};
        snprintf(channels[i].name, sizeof channels[i].name, "%s", planes[i].name);
    }
    status = plx_exr_save(path, PLANES, channels, &view->camera);
    plx_image_free(&linear);
    return status;
}

/* Depth: 1 at the near end of the object's bounding sphere, 0 at its far end and where nothing is. */
static float depth_value(const plx_view *view, size_t pixel) {
    float p[3], depth = view->depth.data[2 * pixel];
    plx_camera_position(&view->camera, p);
    float far = sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) + PLX_SCENE_RADIUS;
    return depth > 0 ? (far - depth) / (2 * PLX_SCENE_RADIUS) : 0;
}

enum { DEPTH, NORMAL, POSITION, PICTURES };
static const char *const picture_folders[PICTURES] = {"depth", "normal", "position"};

/* Normals as (n + 1) / 2, positions as p + 1/2, both with opacity 1 where there is a surface. */
static int make_picture(plx_image *out, int what, const plx_view *view, const plx_image *positions) {
    const plx_image *from = what == NORMAL ? &view->normal : positions;
    int status = plx_image_create(out, view->camera.height, view->camera.width, what == DEPTH ? 1 : 4);
    for (size_t i = 0; !status && i < (size_t)out->height * (size_t)out->width; i++) {
        if (what == DEPTH) {
            out->data[i] = depth_value(view, i);
            continue;
        }
        if (view->depth.data[2 * i] <= 0) continue;
        for (size_t c = 0; c < 3; c++)
            out->data[4 * i + c] = 0.5f + from->data[3 * i + c] * (what == NORMAL ? 0.5f : 1);
        out->data[4 * i + 3] = 1;
    }
    return status;
}

static int file_path(char out[4096], const char *folder, const char *part, int number, const char *ending) {
    if (snprintf(out, 4096, "%s/%s", folder, part) >= 4096 - 32)
        return plx_fail(PLX_ERROR_INPUT, "%s: too long a path", folder);
    int status = plx_make_directories(out);
    if (!status) snprintf(out, 4096, "%s/%s/%06d.%s", folder, part, number, ending);
    return status;
}

int plx_view_files_write(const plx_view_files *files, const char *folder, int number, const plx_view *view) {
    char path[4096];
    plx_image positions = {0};
    if (!files->exr && !files->png) return PLX_OK;
    int status = find_positions(&positions, view);
    if (!status && files->exr) {
        status = file_path(path, folder, "exr", number, "exr");
        if (!status) status = write_exr(path, view, &positions);
    }
    for (int i = 0; i < PICTURES && files->png && !status; i++) {
        plx_image picture = {0};
        status = file_path(path, folder, picture_folders[i], number, "png");
        if (!status) status = make_picture(&picture, i, view, &positions);
        if (!status) status = plx_png_save(path, &picture);
        plx_image_free(&picture);
    }
    plx_image_free(&positions);
    return status;
}

json_t *plx_json_text(const char *text) {
    json_t *made = json_string(text);
    char *plain = made ? NULL : strdup(text);
    for (char *c = plain; c && *c; c++)
        if (*c & 0x80) *c = '?';
    if (plain) made = json_string(plain);
    free(plain);
    return made;
}
