/* Draws views of a mesh: camera rays, ordered layers, supersampling. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "render/embree.h"
#include "render/shade.h"

#define LAYERS 16            /* transparent surfaces composited front to back */
#define LAYER_STEP 2e-6f     /* of the distance: the next layer starts behind this one */
#define PARALLEL_RAYS 200000 /* fewer are drawn (10 ms) before other threads are awake */
#define OPAQUE_ENOUGH 0.998f /* what is behind cannot change an 8-bit value */

struct plx_scene {
    plx_mesh *mesh;
    plx_tracer *tracer;
};

int plx_scene_create(plx_scene **out, plx_mesh *mesh) {
    *out = NULL;
    plx_scene *scene = calloc(1, sizeof *scene);
    int status =
        scene ? plx_tracer_create(&scene->tracer, mesh) : plx_fail(PLX_ERROR_MEMORY, "no memory for a scene");
    if (status < 0) {
        free(scene);
        plx_mesh_free(mesh);
        return status;
    }
    scene->mesh = mesh;
    *out = scene;
    return PLX_OK;
}

void plx_scene_free(plx_scene *scene) {
    if (!scene) return;
    plx_tracer_free(scene->tracer);
    plx_mesh_free(scene->mesh);
    free(scene);
}

const plx_mesh *plx_scene_mesh(const plx_scene *scene) {
    return scene->mesh;
}

plx_draw_options plx_draw_options_default(void) {
    return (plx_draw_options){.samples = 9,
                              .light = plx_light_default(),
                              .colour = true,
                              .stretch = {1, 1, 1},
                              .white_cap = 254.0f / 255};
}

/* One view being drawn. */
typedef struct draw {
    const plx_scene *scene;
    const plx_draw_options *options;
    plx_view *view;
    int side;                         /* samples = side * side */
    float spread;                     /* area of a sample's footprint at distance 1 */
    int row0, row1, column0, column1; /* pixels that can show the mesh */
} draw;

/* The mesh's box seen by the camera, in pixels, or the whole image if a corner is behind it. */
static void find_bounds(draw *d) {
    const plx_camera *camera = &d->view->camera;
    const plx_mesh *mesh = d->scene->mesh;
    float x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
    d->row0 = d->column0 = 0;
    d->row1 = camera->height;
    d->column1 = camera->width;
    for (int k = 0; k < 8; k++) {
        float point[3], x, y, depth;
        for (int i = 0; i < 3; i++)
            point[i] = (k >> i & 1 ? mesh->box_max[i] : mesh->box_min[i]) * d->options->stretch[i];
        if (!plx_camera_project(camera, point, &x, &y, &depth) || depth < 1e-3f) return;
        x0 = fminf(x0, x), x1 = fmaxf(x1, x), y0 = fminf(y0, y), y1 = fmaxf(y1, y);
    }
    /* one pixel more for rounding; clamped as floats first: they may be far outside int */
    float width = (float)camera->width, height = (float)camera->height;
    d->column0 = (int)fminf(fmaxf(floorf(x0) - 1, 0), width);
    d->column1 = (int)fminf(fmaxf(ceilf(x1) + 1, 0), width);
    d->row0 = (int)fminf(fmaxf(floorf(y0) - 1, 0), height);
    d->row1 = (int)fminf(fmaxf(ceilf(y1) + 1, 0), height);
}

/* The ray through an image point, in the mesh's own unstretched space. Its direction is not of unit length there, so
 * that a distance along it is the distance in the world. */
static void mesh_ray(const draw *d, float x, float y, float origin[3], float direction[3]) {
    plx_camera_ray(&d->view->camera, x, y, origin, direction);
    for (int i = 0; i < 3; i++) {
        origin[i] /= d->options->stretch[i];
        direction[i] /= d->options->stretch[i];
    }
}

/* Normals go with the inverse scale; 1,1,1 leaves their bits alone. */
static void world_normal(const draw *d, float normal[3]) {
    const float *stretch = d->options->stretch;
    if (stretch[0] == 1 && stretch[1] == 1 && stretch[2] == 1) return;
    float sum = 0;
    for (int i = 0; i < 3; i++) {
        normal[i] /= stretch[i];
        sum += normal[i] * normal[i];
    }
    for (int i = 0; i < 3; i++) normal[i] /= sqrtf(sum);
}

static float dot(const float a[3], const float b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Footprint's area on the surface over the triangle's: spread t^2 / cos, at most a grazing 1/16. */
static float footprint_share(const draw *d, const plx_hit *hit, const float direction[3]) {
    float size = sqrtf(dot(hit->normal, hit->normal)); /* twice the triangle's area */
    float cosine = fmaxf(fabsf(dot(hit->normal, direction)) / size, 1.0f / 16);
    return d->spread * hit->distance * hit->distance / cosine * 2 / size;
}

/* Colour of one ray whose first hit is known: layers front to back in linear light, added to sum
 * (premultiplied). */
static void add_ray(const draw *d, const float origin[3], const float direction[3], plx_hit *hit,
                    float sum[4]) {
    const plx_mesh *mesh = d->scene->mesh;
    float through = 1;
    for (int layer = 0; layer < LAYERS; layer++) {
        float colour[3], normal[3];
        float opacity = plx_surface_colour(mesh, hit->triangle, hit->u, hit->v,
                                           footprint_share(d, hit, direction), colour);
        if (opacity > 0) {
            if (opacity > OPAQUE_ENOUGH) opacity = 1;
            plx_surface_normal(mesh, hit->triangle, hit->u, hit->v, hit->normal, direction, normal);
            world_normal(d, normal);
            float weight = through * opacity, light = weight * plx_light_at(&d->options->light, normal);
            for (int i = 0; i < 3; i++) sum[i] += light * colour[i];
            sum[3] += weight;
            through *= 1 - opacity;
            if (through < 1 - OPAQUE_ENOUGH) return;
        }
        float behind = hit->distance * (1 + LAYER_STEP);
        if (!plx_tracer_ray(d->scene->tracer, origin, direction, behind, INFINITY, hit)) return;
    }
}

static void write_pixel(const draw *d, int row, int column, const float sum[4]) {
    float *pixel = d->view->colour.data + 4 * ((size_t)row * d->view->camera.width + column);
    if (sum[3] <= 0) return;
    for (int i = 0; i < 3; i++)
        pixel[i] = fminf(plx_srgb_encode(fminf(sum[i] / sum[3], 1)), d->options->white_cap);
    pixel[3] = fminf(sum[3] / (float)d->options->samples, 1);
}

/* The samples of a row of pixels, in packets: pixel by pixel, each pixel's grid row by row. */
static void draw_colour_row(const draw *d, int row) {
    int samples = d->options->samples;
    int64_t first = (int64_t)d->column0 * samples, last = (int64_t)d->column1 * samples;
    float origin[3], directions[PLX_PACKET][3], sum[4] = {0};
    plx_hit hits[PLX_PACKET];
    for (int64_t start = first; start < last; start += PLX_PACKET) {
        int count = last - start < PLX_PACKET ? (int)(last - start) : PLX_PACKET;
        for (int k = 0; k < count; k++) {
            int column = (int)((start + k) / samples), s = (int)((start + k) % samples);
            float x = (float)column + ((float)(s % d->side) + 0.5f) / (float)d->side;
            float y = (float)row + ((float)(s / d->side) + 0.5f) / (float)d->side;
            mesh_ray(d, x, y, origin, directions[k]);
        }
        plx_tracer_packet(d->scene->tracer, origin, count, directions, hits);
        for (int k = 0; k < count; k++) {
            if (hits[k].triangle >= 0) add_ray(d, origin, directions[k], hits + k, sum);
            if ((start + k + 1) % samples == 0) {
                write_pixel(d, row, (int)((start + k) / samples), sum);
                memset(sum, 0, sizeof sum);
            }
        }
    }
}

/* First surface of opacity 0.5 or more along a ray; false = none. */
static bool solid_hit(const draw *d, const float origin[3], const float direction[3], float far,
                      plx_hit *hit) {
    float near = 0;
    for (int layer = 0; layer < 8 * LAYERS; layer++) {
        if (!plx_tracer_ray(d->scene->tracer, origin, direction, near, far, hit)) return false;
        float share = footprint_share(d, hit, direction);
        if (plx_surface_colour(d->scene->mesh, hit->triangle, hit->u, hit->v, share, NULL) >= 0.5f)
            return true;
        near = hit->distance * (1 + LAYER_STEP) + 1e-7f;
    }
    return false;
}

static void draw_geometry_row(const draw *d, int row) {
    const plx_camera *camera = &d->view->camera;
    const plx_mesh *mesh = d->scene->mesh;
    for (int column = d->column0; column < d->column1; column++) {
        size_t pixel = (size_t)row * camera->width + column;
        float origin[3], direction[3], start[3], back[3], reach = 0;
        plx_hit first, last;
        mesh_ray(d, (float)column + 0.5f, (float)row + 0.5f, origin, direction);
        if (!solid_hit(d, origin, direction, INFINITY, &first)) continue;
        if (d->view->normal.data) {
            float *normal = d->view->normal.data + 3 * pixel;
            plx_surface_normal(mesh, first.triangle, first.u, first.v, first.normal, direction, normal);
            world_normal(d, normal);
        }
        if (!d->view->depth.data) continue;
        /* the last surface is the first one met from behind the mesh, coming back */
        for (int i = 0; i < 3; i++) {
            float a = fabsf(mesh->box_min[i] - origin[i]), b = fabsf(mesh->box_max[i] - origin[i]);
            reach += fmaxf(a, b) * fmaxf(a, b);
        }
        reach = sqrtf(reach / dot(direction, direction)) * 1.01f + 1e-3f;
        for (int i = 0; i < 3; i++) start[i] = origin[i] + reach * direction[i], back[i] = -direction[i];
        float distance = first.distance;
        if (solid_hit(d, start, back, reach - first.distance, &last))
            distance = fmaxf(distance, reach - last.distance);
        d->view->depth.data[2 * pixel] = first.distance;
        d->view->depth.data[2 * pixel + 1] = distance;
    }
}

static int create_images(plx_view *view, const plx_draw_options *options) {
    int height = view->camera.height, width = view->camera.width, status = PLX_OK;
    view->colour = view->depth = view->normal = (plx_image){0};
    if (options->colour) status = plx_image_create(&view->colour, height, width, 4);
    if (status == PLX_OK && options->depth) status = plx_image_create(&view->depth, height, width, 2);
    if (status == PLX_OK && options->normal) status = plx_image_create(&view->normal, height, width, 3);
    if (status == PLX_OK) return PLX_OK;
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
    return status;
}

int plx_scene_draw(const plx_scene *scene, plx_view *view, const plx_draw_options *options) {
    plx_draw_options defaults = plx_draw_options_default();
    if (!options) options = &defaults;
    draw d = {.scene = scene, .options = options, .view = view};
    d.side = (int)lround(sqrt(options->samples));
    PLX_CHECK(options->samples > 0 && d.side * d.side == options->samples,
              "scene: %d samples, not a square number", options->samples);
    d.spread = 1 / (view->camera.fx * view->camera.fy * (float)options->samples);
    int status = create_images(view, options);
    if (status < 0) return status;
    find_bounds(&d);
    int64_t rays = (int64_t)view->camera.height * view->camera.width * options->samples;
#pragma omp parallel for schedule(dynamic, 4) if (rays >= PARALLEL_RAYS && !omp_in_parallel())
    for (int row = d.row0; row < d.row1; row++) {
        if (options->colour) draw_colour_row(&d, row);
        if (options->depth || options->normal) draw_geometry_row(&d, row);
    }
    return PLX_OK;
}
