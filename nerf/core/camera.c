#include "nerf/core/camera.h"

#include <math.h>
#include <cglm/cglm.h>

#include "nerf/core/error.h"

/* Columns of c2w. */
enum { RIGHT, UP, BACK, POSITION };

static void get_column(const plx_camera *camera, int column, vec3 out) {
    for (int row = 0; row < 3; row++) out[row] = camera->c2w[4 * row + column];
}

static void set_column(plx_camera *camera, int column, const vec3 value) {
    for (int row = 0; row < 3; row++) camera->c2w[4 * row + column] = value[row];
}

/* Square pixels, principal point at the centre: fy = (H / 2) / tan(fov / 2). */
static plx_camera with_fov(float fov, int width, int height) {
    PLX_CHECK(fov > 0 && fov < (float)M_PI, "camera: vertical fov of %g radians", (double)fov);
    PLX_CHECK(width > 0 && height > 0, "camera: raster of %dx%d", width, height);
    float focal = (float)(0.5 * height / tan(0.5 * (double)fov));
    return (plx_camera){.fx = focal,
                        .fy = focal,
                        .cx = 0.5f * (float)width,
                        .cy = 0.5f * (float)height,
                        .width = width,
                        .height = height};
}

/* The axes are written out, not found from an up vector, so that the poles are ordinary. */
plx_camera plx_camera_orbit(float azimuth, float elevation, float distance, float fov, int width,
                            int height) {
    plx_camera camera = with_fov(fov, width, height);
    double ca = cos(azimuth), sa = sin(azimuth), ce = cos(elevation), se = sin(elevation);
    vec3 right = {(float)-sa, (float)ca, 0};
    vec3 up = {(float)(-se * ca), (float)(-se * sa), (float)ce};
    vec3 back = {(float)(ce * ca), (float)(ce * sa), (float)se};
    vec3 position = {(float)(distance * ce * ca), (float)(distance * ce * sa), (float)(distance * se)};
    set_column(&camera, RIGHT, right);
    set_column(&camera, UP, up);
    set_column(&camera, BACK, back);
    set_column(&camera, POSITION, position);
    return camera;
}

plx_camera plx_camera_look_at(const float eye[3], const float target[3], float fov, int width, int height) {
    plx_camera camera = with_fov(fov, width, height);
    vec3 back = {eye[0] - target[0], eye[1] - target[1], eye[2] - target[2]};
    float distance = glm_vec3_norm(back);
    PLX_CHECK(isfinite(distance) && distance > 0, "camera: eye and target are %g apart", (double)distance);
    glm_vec3_scale(back, 1 / distance, back);
    vec3 hint = {0, 0, 1}, right, up;
    /* Within 1e-4 radians of the z axis "up" says nothing any more. */
    if (hypotf(back[0], back[1]) < 1e-4f) glm_vec3_copy((vec3){1, 0, 0}, hint);
    glm_vec3_crossn(hint, back, right);
    glm_vec3_cross(back, right, up);
    set_column(&camera, RIGHT, right);
    set_column(&camera, UP, up);
    set_column(&camera, BACK, back);
    set_column(&camera, POSITION, eye);
    return camera;
}

plx_camera plx_camera_resize(const plx_camera *camera, int width, int height) {
    PLX_CHECK(width > 0 && height > 0, "camera: raster of %dx%d", width, height);
    plx_camera out = *camera;
    float sx = (float)width / (float)camera->width, sy = (float)height / (float)camera->height;
    out.fx *= sx;
    out.cx *= sx;
    out.fy *= sy;
    out.cy *= sy;
    out.width = width;
    out.height = height;
    return out;
}

float plx_camera_fov(const plx_camera *camera) {
    return (float)(2 * atan(0.5 * camera->height / (double)camera->fy));
}

void plx_camera_position(const plx_camera *camera, float position[3]) {
    get_column(camera, POSITION, position);
}

float plx_camera_azimuth(const plx_camera *camera) {
    vec3 p;
    get_column(camera, POSITION, p);
    return atan2f(p[1] + 0.0f, p[0]); /* + 0 turns -0 into 0: the -x side is pi, never -pi */
}

double plx_camera_azimuth_gap(const plx_camera *a, const plx_camera *b) {
    double gap = fabs((double)plx_camera_azimuth(a) - (double)plx_camera_azimuth(b));
    return (gap > M_PI ? 2 * M_PI - gap : gap) * 180 / M_PI;
}

float plx_camera_elevation(const plx_camera *camera) {
    vec3 p;
    get_column(camera, POSITION, p);
    return atan2f(p[2], hypotf(p[0], p[1]));
}

void plx_camera_ray(const plx_camera *camera, float px, float py, float origin[3], float direction[3]) {
    vec3 right, up, back;
    get_column(camera, RIGHT, right);
    get_column(camera, UP, up);
    get_column(camera, BACK, back);
    float x = (px - camera->cx) / camera->fx, y = (camera->cy - py) / camera->fy;
    for (int i = 0; i < 3; i++) direction[i] = x * right[i] + y * up[i] - back[i];
    glm_vec3_normalize(direction);
    get_column(camera, POSITION, origin);
}

double plx_camera_stretch(const plx_camera *camera, int row, int column) {
    double x = (column + 0.5 - (double)camera->cx) / (double)camera->fx,
           y = (row + 0.5 - (double)camera->cy) / (double)camera->fy;
    return sqrt(1 + x * x + y * y);
}

bool plx_camera_project(const plx_camera *camera, const float point[3], float *px, float *py, float *depth) {
    vec3 right, up, back, position;
    get_column(camera, RIGHT, right);
    get_column(camera, UP, up);
    get_column(camera, BACK, back);
    get_column(camera, POSITION, position);
    vec3 offset = {point[0] - position[0], point[1] - position[1], point[2] - position[2]};
    *depth = -glm_vec3_dot(back, offset);
    if (!(*depth > 0)) return false;
    *px = camera->cx + camera->fx * glm_vec3_dot(right, offset) / *depth;
    *py = camera->cy - camera->fy * glm_vec3_dot(up, offset) / *depth;
    return true;
}

/* |o + t d| = r with |d| = 1: t = -o.d -+ sqrt(r^2 - |o - (o.d) d|^2); the distance of the nearest point
 * cancels less than the textbook's discriminant. */
bool plx_ray_sphere(const float origin[3], const float direction[3], float radius, float *t0, float *t1) {
    double along = 0, across = 0;
    for (int i = 0; i < 3; i++) along += (double)origin[i] * (double)direction[i];
    for (int i = 0; i < 3; i++) {
        double nearest = (double)origin[i] - along * (double)direction[i];
        across += nearest * nearest;
    }
    double inside = (double)radius * (double)radius - across;
    if (!(inside > 0)) return false;
    double half = sqrt(inside);
    if (!(half - along > 0)) return false; /* the sphere is behind */
    *t0 = (float)fmax(-along - half, 0);
    *t1 = (float)(half - along);
    return true;
}

/* [R p]^-1 = [R' -R'p]. */
void plx_camera_w2c(const plx_camera *camera, float w2c[12]) {
    for (int row = 0; row < 3; row++) {
        double translation = 0;
        for (int k = 0; k < 3; k++) {
            w2c[4 * row + k] = camera->c2w[4 * k + row];
            translation -= (double)camera->c2w[4 * k + row] * (double)camera->c2w[4 * k + POSITION];
        }
        w2c[4 * row + POSITION] = (float)translation;
    }
}

bool plx_camera_valid(const plx_camera *camera, float tolerance) {
    for (int i = 0; i < 12; i++)
        if (!isfinite(camera->c2w[i])) return false;
    if (!isfinite(camera->fx) || !isfinite(camera->fy) || !isfinite(camera->cx) || !isfinite(camera->cy))
        return false;
    if (camera->fx <= 0 || camera->fy <= 0 || camera->width <= 0 || camera->height <= 0) return false;
    vec3 axes[3], product;
    for (int i = 0; i < 3; i++) get_column(camera, i, axes[i]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j <= i; j++)
            if (fabsf(glm_vec3_dot(axes[i], axes[j]) - (i == j ? 1.0f : 0.0f)) > tolerance) return false;
    glm_vec3_cross(axes[RIGHT], axes[UP], product);
    return glm_vec3_dot(product, axes[BACK]) > 0; /* right x up = back */
}
