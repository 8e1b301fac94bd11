/* parallax path: makes a camera path, writes it as camera_path.json, and shows it. */
#include "tools/path_options.h"
#include "tools/path_preview.h"

#include <math.h>

typedef struct path_values {
    const char *output, *preview, *scene;
    plx_path_values cameras;
    float radius;
    int picture[2];
} path_values;

#define AT(member) offsetof(path_values, member)

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "FILE.json",
     .help = "a nerfstudio camera_path.json"},
    {PLX_OPTION_TEXT, "preview", 0, AT(preview), NULL, .word = "FILE.png",
     .help = "a picture of the path around the object: first camera green, then blue to red"},
    {PLX_OPTION_SIZE, "preview-size", 0, AT(picture), "800x600", 64, 8192, .help = "of that picture"},
    {PLX_OPTION_TEXT, "scene", 0, AT(scene), NULL, .word = "FILE",
     .help = "around this scene (default: a sphere)"},
    {PLX_OPTION_FLOAT, "radius", 0, AT(radius), "0.5", 0, 1000, .open = true, .help = "of the sphere"},
    PLX_PATH_OPTIONS(path_values, cameras),
    {.type = PLX_OPTION_END}};

static double length_of(const plx_path *path) {
    double sum = 0;
    for (int i = 0; i < path->count - !path->closed; i++) {
        float a[3], b[3];
        plx_camera_position(&path->cameras[i], a);
        plx_camera_position(&path->cameras[(i + 1) % path->count], b);
        sum += (double)hypotf(hypotf(a[0] - b[0], a[1] - b[1]), a[2] - b[2]);
    }
    return sum;
}

static int write_preview(const path_values *v, const plx_path *path, plx_field *field) {
    plx_image image = {0};
    float radius = field ? plx_field_radius(field) : v->radius;
    int status = plx_path_preview(&image, path, field, radius, v->picture[0], v->picture[1]);
    if (!status) status = plx_png_save(v->preview, &image);
    plx_image_free(&image);
    return status;
}

static int run_path(const plx_run *run) {
    const path_values *v = run->values;
    if (!v->output && !v->preview)
        return plx_fail(PLX_ERROR_USAGE, "path: --output FILE.json or --preview FILE.png is needed");
    plx_field *field = NULL;
    plx_path path = {0};
    int status = v->scene ? plx_field_load(&field, v->scene, false) : PLX_OK;
    if (!status) status = plx_path_from_values(&path, run->arguments[0], &v->cameras, field);
    if (!status && v->preview) status = write_preview(v, &path, field);
    if (!status && v->output) status = plx_path_save(v->output, &path);
    if (!status && path.columns)
        printf("%s: %d stills in rows of %d\n", run->arguments[0], path.count, path.columns);
    else if (!status)
        printf("%s: %d frames, %g s, %.4g long%s\n", run->arguments[0], path.count, path.count / path.fps,
               length_of(&path), path.closed ? ", a loop" : "");
    plx_path_free(&path);
    plx_field_free(field);
    return status;
}

const plx_command plx_cmd_path = {.name = "path",
                                  .arguments = "orbit|turntable|spiral|grid|FILE.json",
                                  .summary = "a camera path, written for render and nerfstudio, and drawn",
                                  .min_arguments = 1,
                                  .max_arguments = 1,
                                  .options = options,
                                  .values_size = sizeof(path_values),
                                  .run = run_path};
