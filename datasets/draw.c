#include "datasets/draw.h"

#include <math.h>

#include "nerf/core/error.h"

enum { RIGHT, UP, BACK, POSITION };

/* Mirrored scene M S, M = diag(1,-1,1). Its colour along the ray (o, d) is that of S along (M o, M d). The camera with
 * the columns (-M right, M up, M back, M position) is right-handed, and its image is the wanted one flipped. */
static plx_camera reflect(const plx_camera *camera) {
    plx_camera out = *camera;
    for (int column = 0; column < 4; column++) out.c2w[4 + column] = -out.c2w[4 + column];
    for (int row = 0; row < 3; row++) out.c2w[4 * row + RIGHT] = -out.c2w[4 * row + RIGHT];
    out.cx = (float)camera->width - camera->cx;
    return out;
}

static void flip(plx_image *image) {
    if (!image->data) return;
    int width = image->width, channels = image->channels;
    for (int row = 0; row < image->height; row++) {
        float *line = image->data + (size_t)row * (size_t)width * (size_t)channels;
        for (int column = 0; column < width / 2; column++)
            for (int c = 0; c < channels; c++) {
                float *a = line + column * channels + c, *b = line + (width - 1 - column) * channels + c;
                float swapped = *a;
                *a = *b;
                *b = swapped;
            }
    }
}

int plx_draw_mirrored(const plx_scene *scene, plx_view *view, const plx_draw_options *options, bool mirror) {
    if (!mirror) return plx_scene_draw(scene, view, options);
    plx_camera camera = view->camera;
    view->camera = reflect(&camera);
    int status = plx_scene_draw(scene, view, options);
    view->camera = camera;
    if (status) return status;
    flip(&view->colour);
    flip(&view->depth);
    flip(&view->normal);
    size_t pixels = (size_t)camera.height * (size_t)camera.width;
    for (size_t i = 0; view->normal.data && i < pixels; i++) view->normal.data[3 * i + 1] *= -1;
    return PLX_OK;
}

/* ---- framing ------------------------------------------------------------------------------------------------------- */

#define LOOK_SIZE 48 /* pixels: the box is found within 2 % of the frame */

typedef struct box {
    float left, right, top, bottom; /* pixels */
} box;

static bool find_box(box *out, const plx_image *rgba) {
    *out = (box){INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int row = 0; row < rgba->height; row++)
        for (int column = 0; column < rgba->width; column++) {
            if (rgba->data[4 * ((size_t)row * (size_t)rgba->width + (size_t)column) + 3] < 0.1f) continue;
            out->left = fminf(out->left, (float)column);
            out->right = fmaxf(out->right, (float)column + 1);
            out->top = fminf(out->top, (float)row);
            out->bottom = fmaxf(out->bottom, (float)row + 1);
        }
    return out->left < out->right;
}

/* The camera at the same place looking along a direction, world z up. */
static plx_camera turn(const plx_camera *camera, const float direction[3], float fov) {
    float eye[3], target[3];
    plx_camera_position(camera, eye);
    for (int i = 0; i < 3; i++) target[i] = eye[i] + direction[i];
    return plx_camera_look_at(eye, target, fov, camera->width, camera->height);
}

/* Half the longer side of the box in the image plane at distance 1, seen from the turned camera. */
static float half_extent(const plx_camera *turned, const plx_camera *from, const box *of) {
    float half = 0;
    for (int k = 0; k < 8; k++) { /* the box's corners and the middles of its sides */
        static const float fractions[8][2] = {{0, 0}, {.5f, 0}, {1, 0}, {1, .5f},
                                              {1, 1}, {.5f, 1}, {0, 1}, {0, .5f}};
        float origin[3], direction[3], point[3], x, y, depth;
        plx_camera_ray(from, of->left + fractions[k][0] * (of->right - of->left),
                       of->top + fractions[k][1] * (of->bottom - of->top), origin, direction);
        for (int i = 0; i < 3; i++) point[i] = origin[i] + direction[i];
        if (!plx_camera_project(turned, point, &x, &y, &depth)) continue;
        half = fmaxf(half, fmaxf(fabsf(x - turned->cx) / turned->fx, fabsf(y - turned->cy) / turned->fy));
    }
    return half;
}

int plx_frame_camera(plx_camera *camera, const plx_scene *scene, const plx_draw_options *options, bool mirror,
                     const plx_framing *framing) {
    plx_draw_options quick = *options;
    quick.samples = 1;
    quick.colour = true;
    quick.depth = quick.normal = false;
    plx_view look = {.camera = plx_camera_resize(camera, LOOK_SIZE, LOOK_SIZE)};
    int status = plx_draw_mirrored(scene, &look, &quick, mirror);
    if (status) return status;
    box seen;
    bool found = find_box(&seen, &look.colour);
    plx_image_free(&look.colour);
    if (!found) return PLX_OK;

    float eye[3], centre[3];
    plx_camera_ray(&look.camera, (seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2, eye, centre);
    plx_camera turned = turn(camera, centre, plx_camera_fov(camera));
    float half = half_extent(&turned, &look.camera, &seen);
    float frame = 2 * half / framing->coverage; /* the frame's side in the image plane at distance 1 */
    /* Looking left and up moves the object right and down. */
    float room = fmaxf(0, (1 - framing->coverage) / 2), direction[3];
    float x = frame * fminf(fmaxf(framing->offset[0], -room), room);
    float y = frame * fminf(fmaxf(framing->offset[1], -room), room);
    for (int i = 0; i < 3; i++)
        direction[i] = -x * turned.c2w[4 * i + RIGHT] + y * turned.c2w[4 * i + UP] - turned.c2w[4 * i + BACK];
    *camera = turn(camera, direction, 2 * atanf(frame / 2));
    return PLX_OK;
}
