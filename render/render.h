/* Ground truth from meshes (Assimp, Embree), images and video on disk, camera paths.
 * This folder never includes nerf/tensor: it stays independent of what it judges. Public.
 *
 *     #include "render/render.h"
 *     #include <stdio.h>
 *     // example VIEW.png: a tetrahedron with a corner of each colour; with a file, OBJ or GLB, that one instead.
 *     int main(int count, char **words) {
 *         const float positions[] = {0, 0, 1, 1, 0, 0, -0.5f, 0.87f, 0, -0.5f, -0.87f, 0};
 *         const float colours[] = {1, 1, 1, 1, 0.9f, 0.2f, 0.2f, 1, 0.2f, 0.8f, 0.2f, 1, 0.2f, 0.3f, 0.9f, 1};
 *         const uint32_t indices[] = {0, 1, 2, 0, 2, 3, 0, 3, 1, 1, 3, 2};
 *         plx_mesh_options options = plx_mesh_options_default();
 *         plx_draw_options draw = plx_draw_options_default();
 *         plx_mesh *mesh = NULL;
 *         plx_scene *scene = NULL;
 *         plx_view view = {.camera = plx_camera_orbit(0.6f, 0.4f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 128, 128)};
 *         int status;
 *         options.up = count > 2 ? 'y' : 'z';
 *         if (count > 2) status = plx_mesh_load(&mesh, words[2], &options);
 *         else status = plx_mesh_from_arrays(&mesh, 4, positions, colours, 4, indices, &options);
 *         if (!status) status = plx_scene_create(&scene, mesh); // which owns the mesh now
 *         if (!status) status = plx_scene_draw(scene, &view, &draw);
 *         if (!status) status = plx_png_save(count > 1 ? words[1] : "view.png", &view.colour);
 *         if (status) fprintf(stderr, "%s\n", plx_error());
 *         plx_image_free(&view.colour);
 *         plx_scene_free(scene);
 *         return status ? 1 : 0;
 *     }
 */
#ifndef PLX_RENDER_H
#define PLX_RENDER_H

#include <stddef.h>
#include <stdint.h>

#include "nerf/core/camera.h"
#include "nerf/core/error.h"
#include "nerf/core/image.h"
#include "nerf/core/progress.h"
#include "nerf/core/triangles.h"
#include "nerf/core/views.h"

/* ---- meshes -------------------------------------------------------------------------------------------- */

typedef struct plx_mesh plx_mesh;

typedef struct plx_mesh_options {
    char up; /* 'y' or 'z': the file's up axis; turned so that z is up (y up, front +z -> z up, front +x) */
    float rotation[9];       /* row-major 3x3, applied in the file's own axes before the turn */
    float scale[3];          /* per-axis factor (x, y, z after the turn) before centring: baked variants */
    float smooth_angle;      /* radians; sharper edges keep a crease. Default 45 degrees */
    bool normalise;          /* centre the bounding box on the origin, diagonal 1. Default true */
    const char *texture_dir; /* folder to look for textures in before the file's own, or NULL */
    bool trusted;            /* the file is ours: read at once, not in a process of its own with limits */
} plx_mesh_options;

plx_mesh_options plx_mesh_options_default(void);

/* True for the endings of the formats that are read: obj, gltf, glb, ply, stl, dae, ac, 3ds. */
bool plx_mesh_is_name(const char *path);

/* OBJ + MTL, glTF, GLB, PLY, STL, DAE, AC3D, 3DS by Assimp. A missing texture falls back to the diffuse colour and is
 * counted. Errors name the file: unreadable, no triangles, not finite, above 20 M triangles. */
int plx_mesh_load(plx_mesh **out, const char *path, const plx_mesh_options *options);
void plx_mesh_free(plx_mesh *mesh);

/* From arrays, for tests and synthetic shapes: positions (vertices,3), indices (triangles,3), colours
 * (vertices,4) straight sRGB-encoded RGBA or NULL for white. Flat arrays are copied. */
int plx_mesh_from_arrays(plx_mesh **out, int vertices, const float *positions, const float *colours,
                         int triangles, const uint32_t *indices, const plx_mesh_options *options);

typedef struct plx_mesh_info {
    int64_t vertices, triangles;
    int materials, textures, textures_missing;
    float transparent;            /* share of the surface area with opacity below 0.99 */
    float box_min[3], box_max[3]; /* after normalisation */
} plx_mesh_info;
plx_mesh_info plx_mesh_describe(const plx_mesh *mesh);

/* ---- mesh files ---------------------------------------------------------------------------------------- */

/* OBJ (positions with colours, normals), PLY (binary, 8-bit colours) or GLB (glTF 2.0: colours linear), by the ending. up: 'y' turns
 * the world's z up into y up and its front +x into +z, as glTF has it and OBJ viewers expect; 'z' leaves it; 0 is the
 * format's habit: y for OBJ and GLB (which knows no other), z for PLY. Atomic. */
int plx_triangles_save(const char *path, const plx_triangles *mesh, char up);

/* Whether there is a format for this name and axis: what plx_triangles_save would refuse, before there is a mesh. */
int plx_triangles_savable(const char *path, char up);

/* At most so many triangles, by collapsing edges where the shape changes least (meshoptimizer); vertices stay where they are,
 * unused ones go. As many as are left when no collapse keeps the surface's kind. */
int plx_triangles_simplify(plx_triangles *mesh, int triangles);

/* ---- scenes: a mesh in Embree, ready to draw ----------------------------------------------------------- */

typedef struct plx_light {
    float key_direction[3]; /* unit, world, towards the light */
    float key, sky,
        ground; /* linear intensities; key + sky <= 0.95 keeps white objects off the white background */
} plx_light;

plx_light plx_light_default(void);
/* A jittered default: direction within a cone, strengths within bounds; a function of the seed only. */
plx_light plx_light_random(uint64_t seed);

typedef struct plx_scene plx_scene;

/* The scene takes the mesh (frees it with itself, or at once on error). Safe to draw from several threads. */
int plx_scene_create(plx_scene **out, plx_mesh *mesh);
void plx_scene_free(plx_scene *scene);
const plx_mesh *plx_scene_mesh(const plx_scene *scene);

typedef struct plx_draw_options {
    int samples; /* per pixel: 1 = pixel centre, n*n = regular grid. Default 9 */
    plx_light light;
    bool colour, depth, normal; /* what to make; defaults true, false, false */
    float stretch
        [3]; /* the mesh is drawn scaled by these about the origin: variants without a copy. Default 1,1,1 */
    float white_cap; /* object pixels stay at or below this encoded value. Default 254/255 */
} plx_draw_options;

plx_draw_options plx_draw_options_default(void);

/* Draws one view: view->camera is read, the wanted images are created (the others left empty).
 *  colour (H,W,4): straight RGBA, encoded; anti-aliased by supersampling, transparency ordered, up to 16
 * layers. depth (H,W,2):  first and last surface along the ray through the pixel centre, distance; 0 = miss.
 * Surfaces of opacity below 0.5 are passed through. normal (H,W,3): of that first surface, world, turned to
 * the viewer. Single-threaded when called inside a parallel region, all threads otherwise; the same bits
 * either way. */
int plx_scene_draw(const plx_scene *scene, plx_view *view, const plx_draw_options *options);

/* ---- image files --------------------------------------------------------------------------------------- */

/* PNG or JPEG, 8 or 16 bits -> float (H,W,C) in [0,1], C = 3 or 4 (grey is widened). Sizes are checked
 * against PLX_IMAGE_MAX_SIDE and 64 Mpixel before decoding. */
int plx_image_load(plx_image *out, const char *path);
/* 8-bit PNG, C = 1, 3 or 4; values clamped to [0,1] and rounded. Atomic. */
int plx_png_save(const char *path, const plx_image *image);
int plx_png_encode(uint8_t **out, size_t *size, const plx_image *image); /* the file's bytes, malloc'ed */

/* One channel of 16 bits, as depth is kept in. Atomic. */
int plx_png16_save(const char *path, const uint16_t *values, int width, int height); /* values: (H,W) */

/* Multi-channel EXR, one plane a channel: names such as "R", "A", "Z", "N.X". Linear, premultiplied. */
typedef struct plx_exr_channel {
    char name[32];
    plx_image *image; /* which image and which of its channels holds the plane */
    int channel;
    bool half; /* written as 16 bits */
} plx_exr_channel;
/* The camera, or NULL, goes into the header: worldToCamera (OpenEXR's: rows are multiplied from the left; x right, y up,
 * looking down -z), screenWindowWidth and screenWindowCenter (the picture's at distance 1), and in pixels the
 * vectors focalLength (fx, fy) and principalPoint (cx, cy; pixel centres at +0.5). */
int plx_exr_save(const char *path, int count, const plx_exr_channel *channels, const plx_camera *camera);
/* Reads the named channels into one (H,W,count) image; a channel the file lacks is an error. */
int plx_exr_load(plx_image *out, const char *path, int count, const char *const *names);

/* Depth and normals of a view as one EXR (Z, Z.last, N.X N.Y N.Z), and back. */
int plx_geometry_save(const char *path, const plx_view *view);
int plx_geometry_load(plx_view *view, const char *path);
/* What a view shows, with its camera: R G B A (half, linear, premultiplied), and of what it has, Z (float, distance along the
 * ray, 0 = none) and N.X N.Y N.Z (half, world). */
int plx_view_save(const char *path, const plx_view *view);

/* ---- video --------------------------------------------------------------------------------------------- */

typedef struct plx_video plx_video;

/* By the program `ffmpeg`. PATH.mp4: H.264 yuv420p, crf 17, bt709, faststart; frames of odd size are padded by repeating
 * the edge. PATH.gif: a loop, 256 colours, at the nearest rate whose frames last whole hundredths of a second. When ffmpeg is
 * absent: numbered PNGs in the folder PATH without its ending, and plx_video_fallback says so. */
bool plx_video_is_name(const char *path); /* ends in .mp4 or .gif */
int plx_video_open(plx_video **out, const char *path, int width, int height, double fps);
int plx_video_add(plx_video *video, const plx_image *frame); /* (H,W,3) encoded */
int plx_video_close(plx_video *video);  /* finishes atomically and frees; on error nothing is left */
void plx_video_abort(plx_video *video); /* frees and removes what was written */
const char *plx_video_fallback(const plx_video *video); /* NULL, or the line to show the user */

/* ---- camera paths -------------------------------------------------------------------------------------- */

typedef struct plx_keyframe {
    float c2w[12];
    float fov;  /* vertical, radians */
    float time; /* seconds from the start, ascending from 0; NAN in all: constant speed */
} plx_keyframe;

typedef struct plx_keyframes {
    int count;
    plx_keyframe *keyframes; /* owned */
    bool closed;             /* the last is followed by the first */
    double seconds;          /* of the whole */
} plx_keyframes;

typedef struct plx_path {
    int count;
    plx_camera *cameras; /* owned */
    double fps;
    bool closed;             /* a loop: the frame after the last is the first */
    int columns;             /* of a grid of stills, which come row by row; 0: a motion */
    plx_keyframes keyframes; /* that it was made from; none for the others */
} plx_path;

typedef struct plx_path_options {
    const char *
        kind; /* "orbit": one turn at `elevation`, closed. "turntable": one turn in which the camera rises from
                             * `low` to `high` and comes back, closed. "spiral": from `low` to `high` in `turns` turns. "grid":
                             * stills in rows from `high` down to `low`, `columns` around the object. Default "orbit" */
    int frames;             /* default 48; of a grid: rows * columns, not read */
    int rows, columns;      /* of a grid. Defaults 3, 8 */
    float elevation;        /* radians; default 20 degrees */
    float low, high, turns; /* radians; defaults -10 and 50 degrees, 3 */
    float distance, fov;    /* defaults PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV */
    int width, height;      /* default 256 */
    double fps;             /* default 24 */
} plx_path_options;

plx_path_options plx_path_options_default(void);

/* Cameras that look at the origin; frames are equally far apart along the path, across the loop's seam too. */
int plx_path_make(plx_path *out, const plx_path_options *options);

/* Frames through keyframes: position and zoom by centripetal Catmull-Rom, rotation by squad. Without times at a constant
 * speed: that of the position, or where it is more, half of what turns and zooms move at the keyframes' distance. With
 * times through each keyframe at its time, without a jerk. The keyframes are taken (freed with the path, or at once on error).
 */
int plx_path_through(plx_path *out, plx_keyframes *keyframes, int frames, double fps, int width, int height);

/* nerfstudio's camera_path.json (formats.md): its frames as they are; a file without frames is interpolated from its
 * keyframes, which may also be written by hand (README). frames, width or height 0 takes the file's. */
int plx_path_load(plx_path *out, const char *file, int frames, int width, int height);
/* As camera_path.json, with keyframes: the path's own, or 12 of its frames. Principal points must be the centre. */
int plx_path_save(const char *file, const plx_path *path);
void plx_path_free(plx_path *path);

#endif
