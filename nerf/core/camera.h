/* Pinhole cameras. Camera-to-world; x right, y up, looking down -z (OpenGL); world z up; the centre of pixel
 * (row i, column j) is at (j + 0.5, i + 0.5). Loaders convert on reading; nothing flips anywhere else. */
#ifndef PLX_CORE_CAMERA_H
#define PLX_CORE_CAMERA_H

#include <stdbool.h>

typedef struct plx_camera {
    float c2w[12];        /* row-major 3x4: columns are right, up, back, position (world units) */
    float fx, fy, cx, cy; /* pixels */
    int width, height;    /* pixels */
} plx_camera;

/* The default set-up (architecture.md): bounding sphere radius 0.5, distance 1.3, focal 131.25 px at 128 px. */
#define PLX_DEFAULT_DISTANCE 1.3f
#define PLX_DEFAULT_FOV 0.9073878f /* radians, = 2 atan(64 / 131.25) = 51.989 degrees */
#define PLX_SCENE_RADIUS 0.5f

/* On a sphere about the origin, looking at it, world z up. Azimuth 0 is on the +x side, pi/2 on +y. Angles in
 * radians; fov is vertical; square pixels, principal point at the centre. */
plx_camera plx_camera_orbit(float azimuth, float elevation, float distance, float fov, int width, int height);

/* At `eye` looking at `target` with world z up (x up when looking along z). */
plx_camera plx_camera_look_at(const float eye[3], const float target[3], float fov, int width, int height);

/* The same camera for another raster: intrinsics scale with it (fx by width, fy by height). */
plx_camera plx_camera_resize(const plx_camera *camera, int width, int height);

float plx_camera_fov(const plx_camera *camera); /* vertical, radians */
void plx_camera_position(const plx_camera *camera, float position[3]);
float plx_camera_azimuth(const plx_camera *camera);   /* of the position, radians, (-pi,pi] */
float plx_camera_elevation(const plx_camera *camera); /* of the position, radians */
/* Between the azimuths of two positions, the shorter way round: degrees, 0 to 180. */
double plx_camera_azimuth_gap(const plx_camera *a, const plx_camera *b);

/* The unit ray through the image point (px, py), in pixels: pixel (i,j)'s centre is px = j + .5, py = i + .5. */
void plx_camera_ray(const plx_camera *camera, float px, float py, float origin[3], float direction[3]);

/* How much farther a point is along the ray of pixel (row,column)'s centre than along the viewing axis: distance / depth. */
double plx_camera_stretch(const plx_camera *camera, int row, int column);

/* World point -> image point in pixels and depth along the viewing axis (> 0 in front). False behind. */
bool plx_camera_project(const plx_camera *camera, const float point[3], float *px, float *py, float *depth);

/* Distances along a unit ray to the sphere about the origin. False on a miss; t0 is clamped to 0. */
bool plx_ray_sphere(const float origin[3], const float direction[3], float radius, float *t0, float *t1);

/* World-to-camera of the pose: row-major 3x4. */
void plx_camera_w2c(const plx_camera *camera, float w2c[12]);

/* True if the rotation is orthonormal within `tolerance`, right-handed, and all numbers are finite. */
bool plx_camera_valid(const plx_camera *camera, float tolerance);

#endif
