/* parallax reconstruct: one picture in; a radiance field, novel views and an orbit video out. */
#include "tools/evaluation_parameters.h"
#include "tools/frames.h"
#include "tools/keep.h"
#include "tools/output.h"
#include "tools/reconstruct_seeds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct reconstruct_values {
    const char *output, *model, *store;
    float fov, elevation;
    int crop, refine, quality, seeds, views, frames, size;
    plx_list set;
    int64_t seed;
} reconstruct_values;

#define AT(member) offsetof(reconstruct_values, member)

enum { CROP_AUTO, CROP_NONE };
enum { REFINE_NONE, REFINE_PAPER, REFINE_BLEND };
enum { PATH_SIZE = PLX_OUTPUT_PATH };

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "DIR",
     .help =
         "where input.png, scene.safetensors, views/, orbit.mp4, run.json go; DIR/STEM of several images"},
    {PLX_OPTION_TEXT, "model", 0, AT(model), NULL, .word = "FILE",
     .help = "weights (default: the shipped model)"},
    {PLX_OPTION_FLOAT, "fov", 0, AT(fov), "51.98", 0, 180, .open = true, .word = "DEG",
     .help = "vertical field of view of the picture"},
    {PLX_OPTION_FLOAT, "elevation", 0, AT(elevation), NULL, -89, 89, .word = "DEG",
     .help = "of the camera above the object's horizon (default: estimated)"},
    {PLX_OPTION_CHOICE, "crop", 0, AT(crop), "auto", .word = "auto|none",
     .help = "centre and zoom on the object, or take the picture as framed"},
    {PLX_OPTION_CHOICE, "refine", 0, AT(refine), "blend", .word = "none|paper|blend",
     .help = "NeRF-guided distillation"},
    {PLX_OPTION_CHOICE, "quality", 0, AT(quality), "default", .word = PLX_QUALITY_WORDS,
     .help = "what the refinement may cost: seconds, up to a minute, minutes"},
    {PLX_OPTION_LIST, "set", 0, AT(set), NULL, .word = "NAME=VALUE",
     .help = "a number of the refinement, such as gamma=0.25, in place of the quality's; several times"},
    {PLX_OPTION_INT, "seeds", 0, AT(seeds), "1", 1, 1000,
     .help =
         "refine with so many seeds, from --seed on; the others as scene-SEED.safetensors, all on seeds.png"},
    {PLX_OPTION_INT, "views", 0, AT(views), "24", 1, 10000, .help = "novel views, around the object"},
    {PLX_OPTION_INT, "frames", 0, AT(frames), "48", 1, 10000, .help = "frames of the orbit video"},
    {PLX_OPTION_INT, "size", 0, AT(size), "128", 16, 4096, .word = "PX",
     .help = "of the views and the video"},
    {PLX_OPTION_INT64, "seed", 0, AT(seed), "1", .help = "of everything random"},
    PLX_KEEP_OPTION(AT(store)),
    {.type = PLX_OPTION_END}};

/* ---- what is made -------------------------------------------------------------------------------------------------- */

typedef struct job {
    const plx_run *run;
    const reconstruct_values *values;
    const char *image_path;
    plx_model *model;
    plx_latents *latents; /* of --store, or NULL */
    const char *name;     /* in it */
    char model_path[PATH_SIZE];
    plx_view input;
    plx_field *field;
    bool elevation_known;
    plx_refine_options refinement;
    json_t *seconds; /* stage: time */
    json_t *spread;  /* of several seeds, or NULL */
    double stage_start;
    char note[256]; /* the video's fallback line */
} job;

static void stage_done(job *j, const char *name) {
    double now = plx_now();
    json_object_set_new(j->seconds, name, json_real(now - j->stage_start));
    j->stage_start = now;
}

/* The picture, framed for the model; without --elevation framed twice, the second time with the model's estimate. */
static int prepare(job *j) {
    const reconstruct_values *v = j->values;
    plx_input_options o = plx_input_options_default();
    plx_image image = {0};
    char warning[256];
    o.crop = v->crop == CROP_AUTO;
    o.fov = v->fov * (float)M_PI / 180;
    j->elevation_known = !isnan(v->elevation);
    if (j->elevation_known) o.elevation = v->elevation * (float)M_PI / 180;
    int status = plx_image_load(&image, j->image_path);
    if (!status)
        status = plx_input_prepare(&j->input, &image, j->image_path, &o, plx_model_size(j->model), warning);
    if (!status && *warning) plx_warn("warning: %s", warning);
    if (!status && !j->elevation_known) {
        status = plx_model_elevation(j->model, &j->input, &o.elevation);
        plx_image_free(&j->input.colour);
        if (!status)
            status =
                plx_input_prepare(&j->input, &image, j->image_path, &o, plx_model_size(j->model), warning);
        if (!status)
            plx_note("%s: elevation estimated as %.1f degrees", j->image_path,
                     (double)o.elevation * 180 / M_PI);
    }
    plx_image_free(&image);
    return status;
}

/* The quality's numbers and what --set puts in their place. */
static int choose_refinement(plx_refine_options *out, const reconstruct_values *v) {
    plx_eval_setting set[PLX_EVAL_VALUES];
    enum plx_refine_mode mode = v->refine == REFINE_PAPER ? PLX_REFINE_PAPER : PLX_REFINE_BLEND;
    plx_eval_numbers n = {.refine = plx_refine_options_of(mode, (enum plx_quality)v->quality)};
    int status = plx_eval_settings_parse(set, &v->set);
    for (int i = 0; i < v->set.count && !status; i++) {
        plx_eval_parameter_set(&n, set[i].parameter, set[i].values[0]);
        if (!plx_eval_parameter_of(set[i].parameter, PLX_EVAL_REFINES))
            status = plx_fail(PLX_ERROR_USAGE, "--set %s: no number of the refinement", v->set.items[i]);
    }
    if (!status && v->refine == REFINE_NONE && v->set.count)
        status = plx_fail(PLX_ERROR_USAGE, "--set %s: --refine none has no numbers", v->set.items[0]);
    if (!status && v->refine == REFINE_NONE && v->seeds > 1)
        status = plx_fail(PLX_ERROR_USAGE, "--seeds %d: --refine none draws nothing at random", v->seeds);
    *out = n.refine;
    return status;
}

/* A field of the picture, refined with seed `which` of --seeds. */
static int make_field(plx_field **out, job *j, int which) {
    const reconstruct_values *v = j->values;
    bool refined = v->refine != REFINE_NONE;
    j->refinement.distill.seed = (uint64_t)v->seed + (uint64_t)which;
    int status = plx_model_reconstruct(out, j->model, &j->input, j->elevation_known, refined);
    if (!which) stage_done(j, "reconstruct");
    if (!status && refined)
        status = plx_field_refine(*out, j->model, &j->input, j->elevation_known, &j->refinement,
                                  plx_show_progress, NULL);
    if (!which) stage_done(j, "refine");
    return status;
}

/* The other seeds' scenes, and all of them on one sheet. */
static int write_seeds(job *j, const char *folder) {
    const reconstruct_values *v = j->values;
    plx_seed_views views;
    double deviation[PLX_SEED_VIEWS];
    char file[PATH_SIZE], name[64];
    if (v->seeds < 2) return PLX_OK;
    int status = plx_seed_views_create(&views, v->seeds);
    for (int s = 0; s < v->seeds && !status; s++) {
        plx_field *other = NULL;
        snprintf(name, sizeof name, "scene-%lld.safetensors", (long long)v->seed + s);
        if (s) status = make_field(&other, j, s);
        if (s && !status) status = plx_output_join(file, folder, name);
        if (s && !status) status = plx_field_save(other, file, true);
        if (!status) status = plx_seed_views_draw(&views, s, s ? other : j->field, &j->input.camera, v->size);
        plx_field_free(other);
    }
    if (!status) status = plx_output_join(file, folder, "seeds.png");
    if (!status) status = plx_seed_views_save(&views, file);
    if (!status) status = plx_seed_spread(deviation, &views);
    if (!status) j->spread = plx_seed_spread_json(deviation);
    plx_seed_views_free(&views);
    stage_done(j, "seeds");
    return status;
}

/* An orbit at the input's elevation, as views/ or as orbit.mp4. */
static int write_orbit(job *j, int count, const char *folder, const char *name) {
    char output[PATH_SIZE];
    plx_path_options o = plx_path_options_default();
    plx_path path = {0};
    o.frames = count;
    o.elevation = plx_camera_elevation(&j->input.camera);
    o.width = o.height = j->values->size;
    int status = plx_output_join(output, folder, name);
    if (!status) status = plx_path_make(&path, &o);
    plx_frames frames = plx_frames_default(j->field, &path);
    frames.stage = name;
    if (!status) status = plx_frames_write(&frames, output, j->note);
    plx_path_free(&path);
    return status;
}

static int write_record(job *j, const char *folder) {
    char file[PATH_SIZE];
    int status = plx_output_join(file, folder, "run.json");
    if (status) return status;
    const plx_camera *c = &j->input.camera;
    json_t *record = plx_run_record(j->run);
    json_object_set_new(record, "version", json_string(PLX_VERSION));
    json_object_set_new(record, "image", json_string(j->image_path));
    json_object_set_new(record, "model", json_string(j->model_path));
    json_object_set_new(record, "input_camera",
                        json_pack("{s:f, s:f, s:f, s:b}", "fov_degrees",
                                  (double)plx_camera_fov(c) * 180 / M_PI, "elevation_degrees",
                                  (double)plx_camera_elevation(c) * 180 / M_PI, "distance",
                                  (double)PLX_DEFAULT_DISTANCE, "elevation_estimated", !j->elevation_known));
    if (j->values->refine != REFINE_NONE) {
        plx_eval_numbers n = {.refine = j->refinement};
        json_object_set_new(record, "refinement", plx_eval_parameters_json(&n, PLX_EVAL_REFINES));
    }
    if (j->spread) json_object_set(record, "spread", j->spread);
    json_object_set(record, "seconds", j->seconds);
    char *text = json_dumps(record, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    status = text ? plx_file_write(file, text, strlen(text))
                  : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", file);
    free(text);
    json_decref(record);
    return status;
}

static int reconstruct_one(job *j, const char *folder) {
    plx_output out = {.made = false};
    char file[PATH_SIZE];
    j->seconds = json_object();
    j->stage_start = plx_now();
    j->note[0] = 0;
    int status = prepare(j);
    stage_done(j, "prepare");
    if (!status) status = plx_output_open(&out, folder);
    if (!status) status = make_field(&j->field, j, 0);
    if (!status) status = plx_output_join(file, out.temporary, "input.png");
    if (!status) status = plx_png_save(file, &j->input.colour);
    if (!status) status = plx_output_join(file, out.temporary, "scene.safetensors");
    if (!status) status = plx_field_save(j->field, file, true);
    if (!status) status = write_seeds(j, out.temporary);
    if (!status) status = write_orbit(j, j->values->views, out.temporary, "views");
    stage_done(j, "views");
    if (!status) status = write_orbit(j, j->values->frames, out.temporary, "orbit.mp4");
    stage_done(j, "video");
    if (!status) status = write_record(j, out.temporary);
    if (!status) status = plx_output_commit(&out);
    if (!status) status = plx_keep_field(j->latents, j->name, j->field, NULL, j->image_path, j->run);
    plx_output_close(&out);
    if (!status) {
        const char *key;
        json_t *value;
        plx_progress_end();
        if (*j->note) plx_note("%s", j->note);
        printf("%s: input.png scene.safetensors views/00000.png-%05d.png %s run.json\n", folder,
               j->values->views - 1, *j->note ? "orbit/" : "orbit.mp4");
        printf("seconds:");
        json_object_foreach(j->seconds, key, value) printf(" %s %.2f", key, json_real_value(value));
        printf("\n");
        if (j->spread)
            printf("seeds.png: %d seeds; they differ by %.4f RMS on the input's side, by %.4f on the other\n",
                   j->values->seeds, json_number_value(json_object_get(j->spread, "seen")),
                   json_number_value(json_object_get(j->spread, "unseen")));
    }
    json_decref(j->spread);
    j->spread = NULL;
    json_decref(j->seconds);
    plx_image_free(&j->input.colour);
    plx_field_free(j->field);
    j->field = NULL;
    return status;
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */

/* The folder `levels` above the program. */
static void above_program(char out[PATH_SIZE], int levels) {
    ssize_t length = readlink("/proc/self/exe", out, PATH_SIZE - 1);
    out[length > 0 ? length : 0] = 0;
    for (int up = 0; up <= levels; up++) {
        char *slash = strrchr(out, '/');
        if (slash) *slash = 0;
    }
}

/* The shipped weights stand in PREFIX/share/parallax of an installed program, in diffusion/weights of the source tree. */
int plx_model_path(char *out, size_t size, const char *given) {
    char folder[PATH_SIZE];
    int used;
    above_program(folder, 1);
    used = given ? snprintf(out, size, "%s", given)
                 : snprintf(out, size, "%s/share/parallax/objects-64.safetensors", folder);
    if (!given && (size_t)used < size && access(out, R_OK)) {
        above_program(folder, 2);
        used = snprintf(out, size, "%s/diffusion/weights/objects-64.safetensors", folder);
    }
    return (size_t)used < size
               ? PLX_OK
               : plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", given ? given : folder);
}

static void stem(char out[PATH_SIZE], const char *path) {
    snprintf(out, PATH_SIZE, "%s", plx_path_last(path));
    char *dot = strrchr(out, '.');
    if (dot && dot != out) *dot = 0;
}

/* Before the work: a name that can be no id of the store; two pictures of one name, whose results would have one place. */
static int check_names(const plx_run *run, const char *store) {
    char name[PATH_SIZE], other[PATH_SIZE];
    for (int i = 0; i < run->count; i++) {
        stem(name, run->arguments[i]);
        int status = store ? plx_latent_check_id(name) : PLX_OK;
        if (status) return plx_fail_in(status, run->arguments[i]);
        for (int k = 0; k < i; k++) {
            stem(other, run->arguments[k]);
            if (!strcmp(name, other))
                return plx_fail(PLX_ERROR_INPUT, "%s: its results would take the place of those of %s",
                                run->arguments[i], run->arguments[k]);
        }
    }
    return PLX_OK;
}

static int run_reconstruct(const plx_run *run) {
    const reconstruct_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "reconstruct: --output DIR is needed");
    job j = {.run = run, .values = v};
    int status = choose_refinement(&j.refinement, v);
    if (!status) status = check_names(run, v->store);
    if (!status) status = plx_model_path(j.model_path, sizeof j.model_path, v->model);
    if (!status) status = plx_model_load(&j.model, j.model_path);
    if (!status) status = plx_keep_open(&j.latents, v->store);
    for (int i = 0; i < run->count && !status; i++) {
        char folder[PATH_SIZE], name[PATH_SIZE];
        j.image_path = run->arguments[i];
        stem(name, j.image_path);
        j.name = name;
        if (run->count > 1)
            status = plx_output_join(folder, v->output, name);
        else
            snprintf(folder, sizeof folder, "%s", v->output);
        if (!status) status = reconstruct_one(&j, folder);
    }
    plx_latents_free(j.latents);
    plx_model_free(j.model);
    return status;
}

const plx_command plx_cmd_reconstruct = {.name = "reconstruct",
                                         .arguments = "IMAGE...",
                                         .summary =
                                             "one picture in: a radiance field, novel views, an orbit video",
                                         .min_arguments = 1,
                                         .max_arguments = -1,
                                         .computes = true,
                                         .options = options,
                                         .values_size = sizeof(reconstruct_values),
                                         .run = run_reconstruct};
