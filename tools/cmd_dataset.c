/* parallax dataset render: draws the default object set, a part of it, or meshes, as a data set. */
#include "tools/parallax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/dataset.h"
#include "tools/jobs.h"

typedef struct render_values {
    const char *catalogue, *data, *output, *objects, *path;
    int split, pattern, views, size, samples, variants, light, up, to;
    int64_t seed;
    float elevation, distance, fov;
    bool geometry, exr, png;
    plx_path cameras;   /* of --path */
    const char *folder; /* of the objects' files: `data`, or "" for meshes */
} render_values;

enum { PATTERN_DEFAULT, PATTERN_RANDOM, PATTERN_SPIRAL, PATTERN_RING };
enum { LIGHT_DEFAULT, LIGHT_RANDOM, LIGHT_EVEN };
static const char *const patterns[] = {"default", "srn-random", "srn-spiral", "ring"};
static const char *const lights[] = {"default", "random", "even"};

static const plx_option render_options[] = {
    {PLX_OPTION_TEXT, "output", 'o', offsetof(render_values, output), NULL, .word = "DIR",
     .help = "where to"},
    {PLX_OPTION_TEXT, "catalogue", 0, offsetof(render_values, catalogue), "datasets/objects.tsv",
     .word = "FILE", .help = "which objects there are"},
    {PLX_OPTION_TEXT, "data", 0, offsetof(render_values, data), "data", .word = "DIR",
     .help = "where `make data` put them"},
    {PLX_OPTION_CHOICE, "split", 0, offsetof(render_values, split), "all", .word = PLX_SPLIT_WORDS,
     .help = "which split"},
    {PLX_OPTION_TEXT, "objects", 0, offsetof(render_values, objects), NULL, .word = "WORD,...",
     .help = "only objects of such a class, or with it in their id"},
    {PLX_OPTION_CHOICE, "pattern", 0, offsetof(render_values, pattern), "default",
     .word = "default|srn-random|srn-spiral|ring", .help = "where the cameras stand"},
    {PLX_OPTION_TEXT, "path", 0, offsetof(render_values, path), NULL, .word = "FILE.json",
     .help = "cameras of a camera_path.json instead"},
    {PLX_OPTION_INT, "views", 0, offsetof(render_values, views), "0", 0, 100000,
     .help = "of each object; 0: 24, 50, 251 and 24 by pattern"},
    {PLX_OPTION_FLOAT, "elevation", 0, offsetof(render_values, elevation), "20", -89, 89, .word = "DEG",
     .help = "of the ring"},
    {PLX_OPTION_FLOAT, "distance", 0, offsetof(render_values, distance), NULL, 0, 1000, .open = true,
     .help = "of the cameras (default 1.3; the box's diagonal is 1)"},
    {PLX_OPTION_FLOAT, "fov", 0, offsetof(render_values, fov), NULL, 0, 180, .open = true, .word = "DEG",
     .help = "field of view (default 51.989)"},
    {PLX_OPTION_CHOICE, "light", 0, offsetof(render_values, light), "default", .word = "default|random|even",
     .help = "random: by object; even: the surface's colour without shading"},
    {PLX_OPTION_CHOICE, "up", 0, offsetof(render_values, up), "y", .word = "y|z",
     .help = "the mesh files' up axis"},
    {PLX_OPTION_INT, "size", 0, offsetof(render_values, size), "128", 1, 4096, .help = "pixels a side"},
    {PLX_OPTION_INT, "samples", 0, offsetof(render_values, samples), "16", 1, 1024,
     .help = "a pixel, a square number"},
    {PLX_OPTION_INT, "variants", 0, offsetof(render_values, variants), "1", 1, 1000,
     .help = "of each object, scaled and lit differently; the first is the object as it is"},
    {PLX_OPTION_INT64, "seed", 0, offsetof(render_values, seed), "1", 0, 9007199254740992.0,
     .help = "of the cameras"},
    {PLX_OPTION_FLAG, "geometry", 0, offsetof(render_values, geometry),
     .help = "depth and normals in EXR files beside (srn), depth as 16-bit PNGs (nerfstudio)"},
    {PLX_OPTION_FLAG, "exr", 0, offsetof(render_values, exr),
     .help = "colour, opacity, depth, normal and position of a view in one EXR"},
    {PLX_OPTION_FLAG, "png", 0, offsetof(render_values, png), .help = "depth, normal and position as PNGs"},
    {PLX_OPTION_CHOICE, "to", 0, offsetof(render_values, to), "srn", .word = PLX_WRITTEN_WORDS,
     .help = "the layout that is written"},
    {.type = PLX_OPTION_END}};

/* One object in one variant, to be drawn. */
typedef struct job {
    const plx_object *object;
    int variant;
    char folder[512], name[128];
} job;

static plx_camera by_pattern(const render_values *values, const job *of, int index) {
    const float degree = (float)M_PI / 180;
    switch (values->pattern) {
    case PATTERN_RANDOM:
        return plx_srn_random_camera((uint64_t)values->seed, of->name, index, values->size);
    case PATTERN_SPIRAL:
        return plx_srn_spiral_camera(index, values->views, values->size);
    case PATTERN_RING:
        return plx_camera_orbit(2 * (float)M_PI * (float)index / (float)values->views,
                                values->elevation * degree, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV,
                                values->size, values->size);
    }
    return plx_default_camera((uint64_t)values->seed, of->name, index, values->size);
}

static plx_camera camera_of(const render_values *values, const job *of, int index) {
    if (values->path) return values->cameras.cameras[index];
    plx_camera camera = by_pattern(values, of, index);
    if (!isnan(values->distance))
        for (int i = 0; i < 3; i++) camera.c2w[4 * i + 3] *= values->distance / PLX_DEFAULT_DISTANCE;
    if (!isnan(values->fov))
        camera.fx = camera.fy = 0.5f * (float)values->size / tanf(values->fov * (float)M_PI / 360);
    return camera;
}

static plx_light light_of(const render_values *values, const job *of) {
    if (values->light == LIGHT_EVEN)
        return (plx_light){.key_direction = {0, 0, 1}, .sky = 0.95f, .ground = 0.95f};
    return plx_object_light(of->object, of->variant + (values->light == LIGHT_RANDOM));
}

/* Draws and writes a view: one is in memory. */
static int render_view(const render_values *values, const job *of, int index, const plx_scene *scene,
                       plx_dataset_writer *writer) {
    plx_view_files files = {values->exr, values->png};
    plx_draw_options options = plx_draw_options_default();
    options.samples = values->samples;
    options.light = light_of(values, of);
    options.depth = options.normal = values->geometry || values->exr || values->png;
    plx_view view = {.camera = camera_of(values, of, index)};
    int status = plx_scene_draw(scene, &view, &options);
    if (!status) status = plx_view_files_write(&files, plx_dataset_writer_folder(writer), index, &view);
    plx_view written = view;
    if (!values->geometry) written.depth = written.normal = (plx_image){0};
    if (!status) status = plx_dataset_writer_add(writer, &written);
    plx_image_free(&view.colour);
    plx_image_free(&view.depth);
    plx_image_free(&view.normal);
    return status;
}

static int render_object(const render_values *values, const job *of) {
    plx_scene *scene = NULL;
    plx_dataset_writer *writer = NULL;
    int status = plx_object_scene(&scene, of->object, values->folder, of->variant);
    if (!status)
        status = plx_dataset_writer_open(&writer, plx_written_kinds[values->to], of->folder, of->name);
    for (int i = 0; i < values->views && !status; i++)
        status = plx_stop_requested() ? plx_fail(PLX_ERROR_CANCELLED, "stopped")
                                      : render_view(values, of, i, scene, writer);
    if (!status) status = plx_dataset_writer_finish(writer);
    plx_dataset_writer_free(writer);
    plx_scene_free(scene);
    return status;
}

typedef struct rendering {
    const render_values *values;
    const job *jobs;
    int skipped, failed;
} rendering;

/* Of meshes that somebody collected, a bad one is named and left out; of the catalogue each must be there. */
static int render_job(int index, void *user) {
    rendering *r = user;
    const job *of = &r->jobs[index];
    if (plx_dataset_is_written(plx_written_kinds[r->values->to], of->folder, of->name)) {
#pragma omp atomic
        r->skipped++;
        return PLX_OK;
    }
    int status = render_object(r->values, of);
    if ((status != PLX_ERROR_INPUT && status != PLX_ERROR_SUPPORT) || r->values->folder[0]) return status;
    plx_warn("%s", plx_error());
#pragma omp atomic
    r->failed++;
    return PLX_OK;
}

static int render_jobs(const render_values *values, const job *jobs, int count) {
    rendering r = {.values = values, .jobs = jobs};
    int status = plx_run_jobs("render", count, render_job, &r);
    if (!status && r.skipped) plx_note("%d of %d objects were there already", r.skipped, count);
    if (!status && r.failed)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %d of %d objects could not be drawn", values->output,
                          r.failed, count);
    return status;
}

/* The folder's record: what its pictures depend on. A folder made otherwise is not added to. */
static int write_record(const render_values *values, const char *hash) {
    char path[1024];
    snprintf(path, sizeof path, "%s/dataset.json", values->output);
    json_t *record =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:b, s:s, s:s}", "catalogue_sha256", hash, "pattern",
                  values->path ? values->path : patterns[values->pattern], "views", values->views, "size",
                  values->size, "samples", values->samples, "variants", values->variants, "seed",
                  (json_int_t)values->seed, "geometry", (int)values->geometry, "light", lights[values->light],
                  "layout", plx_written_kinds[values->to]);
    if (record && values->pattern == PATTERN_RING)
        json_object_set_new(record, "elevation", json_real((double)values->elevation));
    if (record && !isnan(values->distance))
        json_object_set_new(record, "distance", json_real((double)values->distance));
    if (record && !isnan(values->fov)) json_object_set_new(record, "fov", json_real((double)values->fov));
    if (!record) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    struct stat info;
    json_t *old = stat(path, &info) == 0 ? json_load_file(path, 0, NULL) : NULL;
    char *text = json_dumps(record, JSON_INDENT(1));
    int status = PLX_OK;
    if (old && !json_equal(old, record))
        status = plx_fail(PLX_ERROR_INPUT, "%s: this folder was made with other options; give another", path);
    else if (!old)
        status =
            text ? plx_file_write(path, text, strlen(text)) : plx_fail(PLX_ERROR_MEMORY, "out of memory");
    free(text);
    json_decref(old);
    json_decref(record);
    return status;
}

/* The licences ask for it: who made what, beside the pictures. */
static int write_credits(const render_values *values, const plx_object *const *objects, int count) {
    char path[1024];
    snprintf(path, sizeof path, "%s/credits.tsv", values->output);
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    fprintf(writer.file, "id\tname\tlicence\tcredit\n");
    for (int i = 0; i < count; i++)
        fprintf(writer.file, "%s\t%s\t%s\t%s\n", objects[i]->id, objects[i]->name, objects[i]->licence,
                objects[i]->credit);
    return plx_writer_commit(&writer);
}

static int make_jobs(job **out, const render_values *values, const plx_object *const *objects, int count) {
    *out = calloc((size_t)count * (size_t)values->variants, sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < count; i++)
        for (int v = 0; v < values->variants; v++) {
            job *made = &(*out)[i * values->variants + v];
            made->object = objects[i];
            made->variant = v;
            const char *split =
                values->folder[0] ? plx_split_name(objects[i]->split) : ""; /* meshes have none */
            if (snprintf(made->folder, sizeof made->folder, "%s%s%s", values->output, *split ? "/" : "",
                         split) >= (int)sizeof made->folder)
                return plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", values->output);
            if (v)
                snprintf(made->name, sizeof made->name, "%.110s-v%d", objects[i]->id, v);
            else
                snprintf(made->name, sizeof made->name, "%s", objects[i]->id);
        }
    return PLX_OK;
}

static int check_values(render_values *values, bool sized) {
    static const int own_views[] = {24, 50, 251, 24};
    int side = 1;
    while (side * side < values->samples) side++;
    if (!values->output) return plx_fail(PLX_ERROR_USAGE, "dataset render: --output is missing");
    if (side * side != values->samples)
        return plx_fail(PLX_ERROR_USAGE, "--samples %d: is not a square number", values->samples);
    if (!values->views) values->views = own_views[values->pattern];
    if (!values->path) return PLX_OK;
    int size = sized ? values->size : 0,
        status = plx_path_load(&values->cameras, values->path, 0, size, size);
    values->views = values->cameras.count;
    return status;
}

static int run_render(const plx_run *run) {
    render_values *values = run->values;
    values->folder = values->data;
    plx_catalogue catalogue = {0};
    const plx_object **objects = NULL;
    job *jobs = NULL;
    int count = 0, status = check_values(values, plx_run_given(run, "size"));
    if (status) return status;
    if (run->count) {
        values->folder = "";
        status = plx_list_meshes(&catalogue, run->count, run->arguments, "yz"[values->up]);
    } else
        status = plx_catalogue_load(&catalogue, values->catalogue);
    if (!status) status = plx_select_objects(&objects, &count, &catalogue, values->split, values->objects);
    if (!status) status = plx_make_directories(values->output);
    if (!status) status = write_record(values, catalogue.hash);
    if (!status && !run->count) status = write_credits(values, objects, count);
    if (!status) status = make_jobs(&jobs, values, objects, count);
    if (!status) status = render_jobs(values, jobs, count * values->variants);
    if (!status)
        plx_note("%s: %d objects of %d views", values->output, count * values->variants, values->views);
    free(jobs);
    free(objects);
    plx_path_free(&values->cameras);
    plx_catalogue_free(&catalogue);
    return status;
}

const plx_command plx_cmd_dataset_render = {.name = "dataset render",
                                            .arguments = "[MESH|FOLDER...]",
                                            .summary =
                                                "draw meshes, or the default object set, as a data set",
                                            .max_arguments = -1,
                                            .options = render_options,
                                            .values_size = sizeof(render_values),
                                            .run = run_render};
