/* parallax render: a saved scene along a camera path, as a video, a sheet, or numbered pictures. */
#include "tools/frames.h"
#include "tools/path_options.h"

typedef struct render_values {
    const char *output, *path;
    plx_path_values cameras;
    unsigned outputs;
    int format, samples;
    bool side_by_side, all_space;
} render_values;

#define AT(member) offsetof(render_values, member)

enum { FORMAT_PNG, FORMAT_EXR };

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "OUT",
     .help = "FILE.mp4 or FILE.gif; FILE.png, all frames on one sheet; or a folder of numbered pictures"},
    {PLX_OPTION_TEXT, "path", 'p', AT(path), "orbit", .word = "orbit|turntable|spiral|grid|FILE.json",
     .help = "built in, or a camera_path.json of nerfstudio or of parallax path"},
    PLX_PATH_OPTIONS(render_values, cameras),
    {PLX_OPTION_SET, "outputs", 0, AT(outputs), "rgb", .word = PLX_PICTURE_WORDS,
     .help = "what to draw; several stand side by side, in a folder in folders of their own"},
    {PLX_OPTION_FLAG, "side-by-side", 0, AT(side_by_side), .help = "in a folder too"},
    {PLX_OPTION_CHOICE, "format", 0, AT(format), "png", .word = "png|exr",
     .help = "of a folder's pictures; an EXR holds all outputs, linear, and the camera"},
    {PLX_OPTION_INT, "samples", 0, AT(samples), "96", 1, 4096, .help = "across the scene, a ray"},
    {PLX_OPTION_FLAG, "all-space", 0, AT(all_space), .help = "look for density in empty space as well"},
    {.type = PLX_OPTION_END}};

static int run_render(const plx_run *run) {
    const render_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "render: --output OUT is needed");
    if (!v->outputs) return plx_fail(PLX_ERROR_USAGE, "render: --outputs names nothing");
    plx_field *field;
    plx_path path = {0};
    char note[256];
    int status = plx_field_load(&field, run->arguments[0], false);
    if (status) return status;
    double began = plx_now();
    status = plx_path_from_values(&path, v->path, &v->cameras, field);
    plx_frames frames = plx_frames_default(field, &path);
    frames.scene = run->arguments[0];
    frames.pictures = v->outputs;
    frames.exr = v->format == FORMAT_EXR;
    frames.side_by_side = v->side_by_side;
    frames.samples = v->samples;
    frames.all_space = v->all_space;
    if (!status) status = plx_frames_write(&frames, v->output, note);
    if (!status) {
        if (*note) plx_note("%s", note);
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
                                    .computes = true,
                                    .options = options,
                                    .values_size = sizeof(render_values),
                                    .run = run_render};
