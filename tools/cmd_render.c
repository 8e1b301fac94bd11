/* parallax render: a saved scene along a camera path, as a video or as numbered PNGs. */
#include "tools/output.h"
#include "tools/parallax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct render_values {
    const char *output, *path;
    int frames, size[2], samples;
    unsigned outputs;
    float elevation, distance, fov;
    bool all_space;
} render_values;

#define AT(member) offsetof(render_values, member)

enum { OUTPUT_RGB, OUTPUT_DEPTH, OUTPUT_ALPHA, OUTPUT_NORMAL, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"rgb", "depth", "alpha", "normal"};

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "OUT",
     .help = "FILE.mp4, or a folder of numbered PNGs"},
    {PLX_OPTION_TEXT, "path", 'p', AT(path), "orbit", .word = "orbit|spiral|FILE.json",
     .help = "built in, or a nerfstudio camera_path.json"},
    {PLX_OPTION_INT, "frames", 'n', AT(frames), "48", 1, 100000, .help = "of a built-in path"},
    {PLX_OPTION_SIZE, "size", 0, AT(size), NULL, 1, 16384,
     .help = "of the frames (default: the file's, or 256x256)"},
    {PLX_OPTION_SET, "outputs", 0, AT(outputs), "rgb", .word = "rgb|depth|alpha|normal",
     .help = "what to draw; several stand side by side in a video, in folders of their own otherwise"},
    {PLX_OPTION_FLOAT, "elevation", 0, AT(elevation), NULL, -89, 89, .word = "DEG",
     .help = "of the orbit (default: the scene's input camera's, or 20)"},
    {PLX_OPTION_FLOAT, "distance", 0, AT(distance), NULL, 0, 1e4, .open = true,
     .help = "of the orbit and the spiral (default: 2.6 times the scene's radius)"},
    {PLX_OPTION_FLOAT, "fov", 0, AT(fov), "51.989", 0, 180, .open = true, .word = "DEG",
     .help = "vertical field of view of the orbit and the spiral"},
    {PLX_OPTION_INT, "samples", 0, AT(samples), "96", 1, 4096, .help = "across the scene, a ray"},
    {PLX_OPTION_FLAG, "all-space", 0, AT(all_space), .help = "look for density in empty space as well"},
    {.type = PLX_OPTION_END}};

/* ---- pictures of a view --------------------------------------------------------------------------------------- */

/* One pixel of an output, 3 channels in [0,1]; `near` and `far` bound the scene from this camera. */
static void pixel_of(int output, const plx_view *view, size_t i, float near, float far, float out[3]) {
    const float *rgba = view->colour.data + 4 * i;
    for (int c = 0; c < 3; c++) switch (output) {
        case OUTPUT_RGB:
            out[c] = rgba[3] * rgba[c] + 1 - rgba[3];
            break;
        case OUTPUT_ALPHA:
            out[c] = rgba[3];
            break;
        case OUTPUT_DEPTH: { /* near is white, far and nothing are black */
            float depth = view->depth.data[2 * i];
            out[c] = depth > 0 ? fminf(fmaxf((far - depth) / (far - near), 0), 1) : 0;
            break;
        }
        default: /* (n + 1) / 2; nothing is grey */
            out[c] = 0.5f + 0.5f * view->normal.data[3 * i + (size_t)c];
        }
}

static int picture_of(int output, const plx_view *view, float radius, plx_image *out) {
    float p[3];
    plx_camera_position(&view->camera, p);
    float distance = sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]), near = fmaxf(distance - radius, 0);
    int status = plx_image_create(out, view->colour.height, view->colour.width, 3);
    if (status) return status;
    for (size_t i = 0; i < (size_t)out->height * (size_t)out->width; i++)
        pixel_of(output, view, i, near, distance + radius, out->data + 3 * i);
    return PLX_OK;
}

static void free_view(plx_view *view) {
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
}

/* ---- sinks ------------------------------------------------------------------------------------------------------ */

typedef struct sink {
    unsigned outputs;
    int count; /* of outputs */
    float radius;
    plx_video *video; /* or NULL: a folder */
    plx_output folder;
    char note[256];
} sink;

static bool is_video(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ".mp4");
}

static int sink_open(sink *s, const char *path, const plx_path *cameras) {
    const plx_camera *c = &cameras->cameras[0];
    if (!is_video(path)) {
        int status = plx_output_open(&s->folder, path);
        for (int i = 0; i < OUTPUTS && !status && s->count > 1; i++) {
            char inner[PLX_OUTPUT_PATH];
            if (!(s->outputs >> i & 1)) continue;
            status = plx_output_join(inner, s->folder.temporary, output_names[i]);
            if (!status) status = plx_make_directories(inner);
        }
        return status;
    }
    if (c->width * s->count > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "%s: %d outputs of %d pixels side by side are past %d", path,
                        s->count, c->width, PLX_IMAGE_MAX_SIDE);
    int status = plx_video_open(&s->video, path, c->width * s->count, c->height, cameras->fps);
    if (!status && plx_video_fallback(s->video))
        snprintf(s->note, sizeof s->note, "%s", plx_video_fallback(s->video));
    return status;
}

static int add_to_video(sink *s, const plx_view *view) {
    int H = view->colour.height, W = view->colour.width, place = 0;
    plx_image frame = {0};
    int status = plx_image_create(&frame, H, W * s->count, 3);
    for (int i = 0; i < OUTPUTS && !status; i++) {
        plx_image picture = {0};
        if (!(s->outputs >> i & 1)) continue;
        status = picture_of(i, view, s->radius, &picture);
        if (!status) plx_image_paste(&frame, &picture, 0, W * place++);
        plx_image_free(&picture);
    }
    if (!status) status = plx_video_add(s->video, &frame);
    plx_image_free(&frame);
    return status;
}

/* rgb as RGBA with straight alpha, the others as pictures of 3 channels. */
static int add_to_folder(sink *s, const plx_view *view, int number) {
    int status = PLX_OK;
    for (int i = 0; i < OUTPUTS && !status; i++) {
        char name[64], file[PLX_OUTPUT_PATH];
        plx_image picture = {0};
        if (!(s->outputs >> i & 1)) continue;
        snprintf(name, sizeof name, "%s%s%05d.png", s->count > 1 ? output_names[i] : "",
                 s->count > 1 ? "/" : "", number);
        status = plx_output_join(file, s->folder.temporary, name);
        if (!status && i != OUTPUT_RGB) status = picture_of(i, view, s->radius, &picture);
        if (!status) status = plx_png_save(file, i == OUTPUT_RGB ? &view->colour : &picture);
        plx_image_free(&picture);
    }
    return status;
}

/* Ends it: kept when `status` is PLX_OK, else nothing is left. */
static int sink_close(sink *s, int status) {
    if (s->video && status)
        plx_video_abort(s->video);
    else if (s->video)
        status = plx_video_close(s->video);
    else if (!status)
        status = plx_output_commit(&s->folder);
    plx_output_close(&s->folder);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static int make_path(plx_path *out, const render_values *v, const plx_field *field) {
    const float degree = (float)M_PI / 180;
    plx_camera input;
    int width = v->size[0], height = v->size[1];
    size_t length = strlen(v->path);
    if (length > 5 && !strcasecmp(v->path + length - 5, ".json"))
        return plx_path_load(out, v->path, 0, width, height);
    plx_path_options o = plx_path_options_default();
    o.kind = v->path;
    o.frames = v->frames;
    if (plx_field_input_camera(field, &input)) o.elevation = plx_camera_elevation(&input);
    if (!isnan(v->elevation)) o.elevation = v->elevation * degree;
    o.distance = isnan(v->distance) ? plx_field_radius(field) * PLX_DEFAULT_DISTANCE / PLX_SCENE_RADIUS : v->distance;
    o.fov = v->fov * degree;
    if (width) o.width = width, o.height = height;
    return plx_path_make(out, &o);
}

static int draw_frames(plx_field *field, const plx_path *path, const render_values *v, sink *s) {
    plx_render_options o = plx_render_options_default();
    o.samples = v->samples;
    o.skip_empty = !v->all_space;
    o.depth = v->outputs >> OUTPUT_DEPTH & 1;
    o.normal = v->outputs >> OUTPUT_NORMAL & 1;
    int status = PLX_OK;
    for (int i = 0; i < path->count && !status; i++) {
        plx_view view = {.camera = path->cameras[i]};
        status = plx_field_render(field, &view, &o);
        if (!status) status = s->video ? add_to_video(s, &view) : add_to_folder(s, &view, i);
        free_view(&view);
        if (!status && plx_progress_report(plx_show_progress, NULL, "render", i + 1, path->count, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    plx_progress_end();
    return status;
}

static int run_render(const plx_run *run) {
    const render_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "render: --output OUT is needed");
    if (!v->outputs) return plx_fail(PLX_ERROR_USAGE, "render: --outputs names nothing");
    plx_field *field;
    plx_path path = {0};
    sink s = {.outputs = v->outputs, .count = __builtin_popcount(v->outputs)};
    int status = plx_field_load(&field, run->arguments[0], false);
    if (status) return status;
    s.radius = plx_field_radius(field);
    double began = plx_now();
    status = make_path(&path, v, field);
    if (!status) status = sink_open(&s, v->output, &path);
    if (!status) status = draw_frames(field, &path, v, &s);
    status = sink_close(&s, status);
    if (!status) {
        if (*s.note) plx_note("%s", s.note);
        printf("%s: %d frames in %.1f s\n", v->output, path.count, plx_now() - began);
    }
    plx_path_free(&path);
    plx_field_free(field);
    return status;
}

const plx_command plx_cmd_render = {.name = "render",
                                    .arguments = "SCENE",
                                    .summary = "a saved scene along a camera path: video or pictures",
                                    .min_arguments = 1,
                                    .max_arguments = 1,
                                    .options = options,
                                    .values_size = sizeof(render_values),
                                    .run = run_render};
