#include "tools/path_preview.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 96, CAMERAS = 24, STILLS = 200, SCALE = 2 /* drawn so much larger, then averaged */ };

static const float view_azimuth = -0.6f, view_elevation = 0.5f, view_fov = 0.6f; /* radians */

typedef struct line {
    float from[3], to[3], colour[3];
    float width;    /* pixels of the result */
    float distance; /* of its middle from the eye */
} line;

typedef struct drawing {
    const plx_path *path;
    float radius, reach; /* of the object's sphere; of everything about the origin */
    plx_view view;       /* the object: colour, depth; its camera is the drawing's */
    line *lines;
    int count, capacity;
} drawing;

/* ---- lines ---------------------------------------------------------------------------------------------------- */

static void add_line(drawing *d, const float from[3], const float to[3], const float colour[3], float width) {
    PLX_CHECK(d->count < d->capacity, "preview: more than %d lines", d->capacity);
    line *l = &d->lines[d->count++];
    float eye[3], sum = 0;
    plx_camera_position(&d->view.camera, eye);
    for (int k = 0; k < 3; k++) {
        l->from[k] = from[k], l->to[k] = to[k], l->colour[k] = colour[k];
        float away = (from[k] + to[k]) / 2 - eye[k];
        sum += away * away;
    }
    l->width = width;
    l->distance = sqrtf(sum);
}

static const float grey[3] = {0.72f, 0.72f, 0.75f}, faint[3] = {0.87f, 0.87f, 0.9f},
                   dark[3] = {0.3f, 0.3f, 0.33f}, green[3] = {0.1f, 0.6f, 0.2f};

/* From blue by violet to red. */
static void colour_at(float share, float out[3]) {
    out[0] = 0.1f + 0.8f * share;
    out[1] = 0.3f - 0.15f * share;
    out[2] = 0.85f - 0.7f * share;
}

/* The horizon of the object's lowest point, a tick every 30 degrees, a long one at azimuth 0 (+x, the front). */
static void add_ground(drawing *d, float ring) {
    for (int i = 0; i < RING; i++) {
        float a = 2 * (float)M_PI * (float)i / RING, b = 2 * (float)M_PI * (float)(i + 1) / RING;
        float from[3] = {ring * cosf(a), ring * sinf(a), -d->radius};
        float to[3] = {ring * cosf(b), ring * sinf(b), -d->radius};
        add_line(d, from, to, grey, 1.4f);
        if (i % (RING / 12)) continue;
        float inner = ring * (i ? 0.94f : 0.6f), tick[3] = {inner * cosf(a), inner * sinf(a), -d->radius};
        add_line(d, from, tick, i ? grey : dark, i ? 1.4f : 2);
    }
}

/* A camera as the pyramid of what it sees, and a roof over its upper edge. */
static void add_camera(drawing *d, const plx_camera *c, const float colour[3], float width) {
    float eye[3], corner[4][3], roof[3], size = 0.09f * d->reach;
    plx_camera_position(c, eye);
    float half_y = size * 0.5f * (float)c->height / c->fy, half_x = size * 0.5f * (float)c->width / c->fx;
    for (int k = 0; k < 3; k++) {
        const float *row = c->c2w + 4 * k;
        for (int i = 0; i < 4; i++)
            corner[i][k] = eye[k] + (i % 3 ? half_x : -half_x) * row[0] +
                           (i < 2 ? half_y : -half_y) * row[1] - size * row[2];
        roof[k] = eye[k] + 1.5f * half_y * row[1] - size * row[2];
    }
    for (int i = 0; i < 4; i++) {
        add_line(d, eye, corner[i], colour, width);
        add_line(d, corner[i], corner[(i + 1) % 4], colour, width);
    }
    add_line(d, corner[0], roof, colour, width);
    add_line(d, corner[1], roof, colour, width);
    float foot[3] = {eye[0], eye[1], -d->radius};
    add_line(d, eye, foot, faint, 1);
}

static void add_path(drawing *d) {
    const plx_path *p = d->path;
    int most = p->columns ? STILLS : CAMERAS, shown = p->count < most ? p->count : most;
    for (int i = 0; i < p->count - !p->closed && !p->columns; i++) {
        float from[3], to[3], colour[3];
        plx_camera_position(&p->cameras[i], from);
        plx_camera_position(&p->cameras[(i + 1) % p->count], to);
        colour_at((float)i / (float)p->count, colour);
        add_line(d, from, to, colour, 1.6f);
    }
    for (int i = 0; i < shown; i++) {
        int64_t gaps = shown - !p->closed, last = p->closed ? p->count : p->count - 1;
        int at = gaps > 0 ? (int)(i * last / gaps) : 0;
        float colour[3];
        colour_at((float)at / (float)p->count, colour);
        add_camera(d, &p->cameras[at], i ? colour : green, i ? 1.5f : 3);
    }
}

/* ---- the object ------------------------------------------------------------------------------------------------- */

/* A pale ball, lit from above; depth is its front's. */
static int draw_ball(plx_view *view, float radius) {
    int H = view->camera.height, W = view->camera.width;
    int status = plx_image_create(&view->colour, H, W, 4);
    if (!status) status = plx_image_create(&view->depth, H, W, 2);
    for (int i = 0; i < H * W && !status; i++) {
        float origin[3], direction[3], t0, t1;
        plx_camera_ray(&view->camera, (float)(i % W) + 0.5f, (float)(i / W) + 0.5f, origin, direction);
        if (!plx_ray_sphere(origin, direction, radius, &t0, &t1)) continue;
        float *rgba = view->colour.data + 4 * (size_t)i, up = (origin[2] + t0 * direction[2]) / radius;
        for (int c = 0; c < 3; c++) rgba[c] = 0.75f + 0.15f * up + (c == 2 ? 0.06f : 0);
        rgba[3] = 0.75f;
        view->depth.data[2 * (size_t)i] = t0;
    }
    return status;
}

static int draw_object(drawing *d, plx_field *field) {
    if (!field) return draw_ball(&d->view, d->radius);
    plx_render_options o = plx_render_options_default();
    o.depth = true;
    return plx_field_render(field, &d->view, &o);
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

static int farther(const void *a, const void *b) {
    const line *x = a, *y = b;
    return (x->distance < y->distance) - (x->distance > y->distance);
}

/* Over `sheet`, one pixel soft at its edges; behind the object only what shines through. */
static void draw_line(const drawing *d, const line *l, plx_image *sheet) {
    float x[2], y[2], depth, eye[3], distance[2];
    const float *ends[2] = {l->from, l->to};
    plx_camera_position(&d->view.camera, eye);
    for (int i = 0; i < 2; i++) {
        if (!plx_camera_project(&d->view.camera, ends[i], &x[i], &y[i], &depth)) return;
        distance[i] = hypotf(hypotf(ends[i][0] - eye[0], ends[i][1] - eye[1]), ends[i][2] - eye[2]);
    }
    float half = l->width * SCALE / 2, dx = x[1] - x[0], dy = y[1] - y[0], length = dx * dx + dy * dy;
    int left = (int)fmaxf(fminf(x[0], x[1]) - half - 1, 0), top = (int)fmaxf(fminf(y[0], y[1]) - half - 1, 0);
    for (int row = top; row < sheet->height && (float)row < fmaxf(y[0], y[1]) + half + 1; row++)
        for (int column = left; column < sheet->width && (float)column < fmaxf(x[0], x[1]) + half + 1;
             column++) {
            float px = (float)column + 0.5f - x[0], py = (float)row + 0.5f - y[0];
            float along = length > 0 ? fminf(fmaxf((px * dx + py * dy) / length, 0), 1) : 0;
            float cover = fminf(fmaxf(half + 0.5f - hypotf(px - along * dx, py - along * dy), 0), 1);
            size_t i = (size_t)row * (size_t)sheet->width + (size_t)column;
            float front = d->view.depth.data[2 * i];
            if (front > 0 && front < distance[0] + along * (distance[1] - distance[0]))
                cover *= 1 - 0.9f * d->view.colour.data[4 * i + 3];
            for (int c = 0; c < 3; c++)
                sheet->data[3 * i + (size_t)c] += cover * (l->colour[c] - sheet->data[3 * i + (size_t)c]);
        }
}

/* The camera that sees the origin's surroundings up to `reach`. */
static plx_camera camera_for(float reach, int width, int height) {
    float narrow = width < height ? 2 * atanf(tanf(view_fov / 2) * (float)width / (float)height) : view_fov;
    return plx_camera_orbit(view_azimuth, view_elevation, 1.02f * reach / sinf(narrow / 2), view_fov, width,
                            height);
}

int plx_path_preview(plx_image *out, const plx_path *path, plx_field *field, float radius, int width,
                     int height) {
    drawing d = {.path = path, .radius = radius, .reach = radius};
    float ring = radius;
    for (int i = 0; i < path->count; i++) {
        float p[3];
        plx_camera_position(&path->cameras[i], p);
        d.reach = fmaxf(d.reach, 1.1f * hypotf(hypotf(p[0], p[1]), p[2]));
        ring = fmaxf(ring, hypotf(p[0], p[1]));
    }
    d.view.camera = camera_for(d.reach, width * SCALE, height * SCALE);
    d.capacity = RING + 12 + path->count + 11 * STILLS;
    d.lines = malloc(sizeof *d.lines * (size_t)d.capacity);
    plx_image sheet = {0};
    int status = d.lines ? draw_object(&d, field) : plx_fail(PLX_ERROR_MEMORY, "no memory for a preview");
    if (!status) status = plx_image_over(&sheet, &d.view.colour, 1);
    if (!status) {
        add_ground(&d, ring);
        add_path(&d);
        qsort(d.lines, (size_t)d.count, sizeof *d.lines, farther);
        for (int i = 0; i < d.count; i++) draw_line(&d, &d.lines[i], &sheet);
        status = plx_image_resize(out, &sheet, height, width);
    }
    plx_image_free(&sheet);
    plx_image_free(&d.view.colour);
    plx_image_free(&d.view.depth);
    free(d.lines);
    return status;
}
