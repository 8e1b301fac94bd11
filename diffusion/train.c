/* `parallax train`: one stage of the model's training, resumable bit for bit. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/condition.h"
#include "diffusion/model.h"
#include "diffusion/prefetch.h"
#include "diffusion/supervise.h"
#include "diffusion/train_model.h"
#include "diffusion/validate.h"
#include "nerf/core/file.h"
#include "nerf/tensor/memory.h"

enum { PATH_SIZE = 4096, MAX_TERMS = 8 };
static const size_t step_arena = (size_t)16 << 30; /* address space */
static const char state_format[] = "parallax-training-1";

static const char *const stage_names[] = {"geometry", "colour", "denoiser", "joint"};
static const char *const condition_names[] = {"blurred", "own"};

plx_train_options plx_train_options_default(enum plx_train_stage stage) {
    plx_train_options o = {.stage = stage,
                           .steps = 4000,
                           .batch = 8,
                           .size = 64,
                           .targets = 3,
                           .input_rays = 96,
                           .target_rays = 192,
                           .coarse = 16,
                           .fine = 16,
                           .rate = 4e-4f,
                           .warmup = 300,
                           .seed = 1,
                           .frame = "camera",
                           .width = 64,
                           .denoiser_width = 48,
                           .save_seconds = 600,
                           .log_every = 20,
                           .condition_noise = 1};
    if (stage == PLX_STAGE_GEOMETRY) {
        o.size = 32;
        o.targets = 4;
        o.input_rays = 128;
        o.target_rays = 256;
    }
    if (stage == PLX_STAGE_DENOISER) o.targets = 1;
    return o;
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

typedef struct term {
    const char *name;
    plx_tensor *loss;
    float factor;
    double sum; /* since the last log line */
} term;

/* What a step on a device with its own memory leaves there for the log: read when a line is due, so that no step waits. */
typedef struct step_record {
    double norm;
    float loss[MAX_TERMS];
} step_record;

typedef struct trainer {
    const plx_train_options *o;
    plx_model *model;
    plx_optimiser optimiser;
    plx_tape *tape;
    int64_t step;
    term terms[MAX_TERMS];
    int count;
    float shown; /* the first term, as last read */
    step_record *records,
        *copies; /* (log_every) the device's, and the host's of them; NULL where the host is the device */
    int *record_terms, pending; /* (log_every) how many terms each has; how many records are not read yet */
    int64_t logged;             /* step of the last log line */
    double norm_sum, log_time, save_time;
    double waited; /* seconds for data, up to the last log line */
    FILE *log;
    double best; /* validation PSNR */
} trainer;

static void path_in(char out[PATH_SIZE], const trainer *t, const char *name) {
    snprintf(out, PATH_SIZE, "%s/%s", t->o->folder, name);
}

static void add_term(trainer *t, int *at, const char *name, plx_tensor *loss, float factor) {
    if (!loss) return;
    term *x = &t->terms[(*at)++];
    PLX_CHECK(*at <= MAX_TERMS, "train: more than %d loss terms", MAX_TERMS);
    x->name = name, x->loss = loss, x->factor = factor;
    if (*at > t->count) t->count = *at;
}

/* ---- one step ------------------------------------------------------------------------------------------------------ */

typedef struct encoded {
    plx_encoder_pose *poses;
    plx_frame *frames;
    plx_encoding encoding;
    plx_field_operands field;
} encoded;

/* Elevations are told with +-2 degrees of error (with 7 the network learned not to trust them), and withheld from a
 * fifth of the items. */
static encoded encode_batch(trainer *t, const plx_views *items, plx_rng rng) {
    const plx_train_options *o = t->o;
    plx_arena *arena = plx_tape_arena(t->tape);
    size_t N = (size_t)o->batch, pixels = (size_t)(o->size * o->size);
    encoded e = {.poses = plx_arena_alloc(arena, sizeof(plx_encoder_pose) * N),
                 .frames = plx_arena_alloc(arena, sizeof(plx_frame) * N)};
    float *rgba = plx_arena_alloc(arena, sizeof(float) * 4 * pixels * N);
    for (size_t n = 0; n < N; n++) {
        const plx_view *input = &items[n].views[0];
        PLX_CHECK(
            input->colour.height == o->size && input->colour.width == o->size && input->colour.channels == 4,
            "train: an input of %dx%dx%d", input->colour.height, input->colour.width, input->colour.channels);
        memcpy(rgba + 4 * pixels * n, input->colour.data, sizeof(float) * 4 * pixels);
        e.poses[n] = plx_encoder_pose_of(&input->camera, plx_rng_uniform(rng, 2 * n) >= 0.2f);
        e.poses[n].elevation += (plx_rng_uniform(rng, 2 * n + 1) * 2 - 1) * 2 * (float)M_PI / 180;
        e.frames[n] = plx_frame_make(t->model->config.frame, &input->camera, PLX_SCENE_RADIUS);
    }
    e.encoding = plx_model_encode(t->tape, t->model, o->batch, o->size, rgba, e.poses);
    e.field = plx_model_operands(t->model, &e.encoding);
    return e;
}

static bool has_depth(const plx_views *items) {
    return items[0].views[0].depth.data != NULL;
}

static void field_terms(trainer *t, int *at, const encoded *e, const plx_views *items, plx_rng rng) {
    const plx_train_options *o = t->o;
    float done = (float)t->step / (float)o->steps;
    bool geometry_stage = o->stage == PLX_STAGE_GEOMETRY;
    plx_supervision s = plx_supervise(plx_tape_arena(t->tape), o->batch, items, o->input_rays, o->target_rays,
                                      plx_rng_fork(rng, 1));
    if (!geometry_stage)
        add_term(
            t, at, "colour",
            plx_loss_photometric(t->tape, &e->field, e->frames, &s, o->coarse, o->fine, plx_rng_fork(rng, 2)),
            1);
    if (has_depth(items) && !o->photometric) {
        plx_geometry_loss g = plx_loss_geometry(t->tape, &e->field, e->frames, &s, plx_rng_fork(rng, 3));
        add_term(t, at, "likelihood", g.likelihood, geometry_stage ? 0.1f : 0.01f);
        add_term(t, at, "hit_colour", g.colour, geometry_stage ? 0.5f : 0.05f);
        add_term(t, at, "surface", plx_loss_surface(t->tape, &e->encoding, e->frames, items),
                 geometry_stage ? 0.5f - 0.4f * done : 0.1f);
    }
    add_term(t, at, "elevation", plx_loss_elevation(t->tape, &e->encoding, e->poses, items), 0.1f);
}

static void denoiser_terms(trainer *t, int *at, const encoded *e, const plx_views *items, plx_rng rng) {
    plx_denoiser denoiser = plx_model_denoiser(t->model);
    plx_denoiser_training training = plx_denoiser_training_default();
    bool blurred = t->o->condition == PLX_TRAIN_CONDITION_BLURRED;
    plx_condition condition =
        plx_condition_make(t->tape, &e->field, e->frames, t->o->batch, items,
                           blurred ? (float)t->o->condition_noise : 0, plx_rng_fork(rng, 4));
    plx_denoiser_batch batch = {.views = condition.truth,
                                .render = condition.render,
                                .context = plx_condition_context(t->tape, &e->encoding)};
    add_term(t, at, "denoise", plx_denoiser_loss(t->tape, &denoiser, &training, &batch, plx_rng_fork(rng, 5)),
             1);
}

static int take_loss(trainer *t, int64_t step, int i, float loss) {
    t->terms[i].sum += loss;
    if (i == 0) t->shown = loss;
    if (isfinite(loss)) return PLX_OK;
    return plx_fail(PLX_ERROR_NUMERIC, "step %lld: the loss '%s' is %g", (long long)step, t->terms[i].name,
                    loss);
}

static int note_losses(trainer *t, int count) {
    const plx_memory *memory = plx_tape_memory(t->tape);
    if (memory) t->record_terms[t->pending] = count;
    for (int i = 0; i < count; i++) {
        const float *loss = t->terms[i].loss->data;
        int status = PLX_OK;
        if (memory)
            memory->copy(&t->records[t->pending].loss[i], loss, sizeof *loss);
        else
            status = take_loss(t, t->step, i, *loss);
        if (status) return status;
    }
    return PLX_OK;
}

static int fail_in_step(int status, int64_t step) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "step %lld", (long long)step);
    return plx_fail_in(status, prefix);
}

/* Reads what the steps since the last reading left on the device; `next`: the step that comes next. After one that was not
 * finite the parameters have stood still. */
static int read_records(trainer *t, int64_t next) {
    const plx_memory *memory = plx_tape_memory(t->tape);
    const int count = t->pending;
    int status = plx_memory_finish(memory), bad = count;
    if (status || !count) return status;
    t->pending = 0;
    memory->read(t->copies, t->records, sizeof *t->copies * (size_t)count);
    for (int k = 0; k < count && bad == count; k++) {
        for (int i = 0; i < t->record_terms[k]; i++) {
            status = take_loss(t, next - count + k, i, t->copies[k].loss[i]);
            if (status) return status;
        }
        t->norm_sum += t->copies[k].norm;
        if (!isfinite(t->copies[k].norm)) bad = k;
    }
    status = plx_optimiser_check(t->model->params, NULL);
    return status ? fail_in_step(status, next - count + bad) : PLX_OK;
}

static int compute_step(trainer *t, const plx_views *items) {
    plx_rng rng = plx_rng_fork((plx_rng){t->o->seed, 0x7472}, (uint64_t)t->step);
    bool frozen = t->o->stage == PLX_STAGE_DENOISER;
    int at = 0;
    plx_tape_reset(t->tape);
    plx_params_zero_grad(t->model->params);
    plx_tape_set_recording(t->tape, !frozen);
    encoded e = encode_batch(t, items, plx_rng_fork(rng, 0));
    if (!frozen) field_terms(t, &at, &e, items, rng);
    plx_tape_set_recording(t->tape, true);
    if (frozen || t->o->stage == PLX_STAGE_JOINT) denoiser_terms(t, &at, &e, items, rng);
    plx_tensor *losses[MAX_TERMS];
    float factors[MAX_TERMS];
    for (int i = 0; i < at; i++) {
        losses[i] = t->terms[i].loss, factors[i] = t->terms[i].factor;
    }
    int status = note_losses(t, at);
    if (status) return status;
    plx_tape_backward(t->tape, plx_loss_sum(t->tape, at, losses, factors));
    double norm = 0;
    const plx_memory *memory = plx_tape_memory(t->tape);
    float rate = t->o->rate * (float)plx_rate_schedule(t->step, t->o->warmup, t->o->steps, 0.02);
    status = plx_optimiser_step(&t->optimiser, t->model->params, rate, memory ? NULL : &norm);
    if (status) return fail_in_step(status, t->step);
    t->norm_sum += norm;
    if (memory)
        memory->copy(&t->records[t->pending++].norm, plx_optimiser_norm(t->model->params), sizeof norm);
    return PLX_OK;
}

/* ---- log ------------------------------------------------------------------------------------------------------------- */

static void log_line(trainer *t, json_t *line) {
    char *text = json_dumps(line, JSON_REAL_PRECISION(6));
    if (text && t->log) {
        fprintf(t->log, "%s\n", text);
        fflush(t->log);
    }
    free(text);
    json_decref(line);
}

/* `waited`: seconds for data since the beginning. */
static void log_losses(trainer *t, double waited) {
    int64_t steps = t->step - t->logged;
    double now = plx_now(), seconds = now - t->log_time;
    json_t *line = json_object();
    json_object_set_new(line, "step", json_integer(t->step));
    json_object_set_new(line, "stage", json_string(stage_names[t->o->stage]));
    for (int i = 0; i < t->count; i++) {
        json_object_set_new(line, t->terms[i].name, json_real(t->terms[i].sum / (double)steps));
        t->terms[i].sum = 0;
    }
    json_object_set_new(line, "gradient_norm", json_real(t->norm_sum / (double)steps));
    json_object_set_new(line, "seconds_per_step", json_real(seconds / (double)steps));
    json_object_set_new(line, "encodes_per_second", json_real((double)steps * t->o->batch / seconds));
    json_object_set_new(line, "data_wait", json_real((waited - t->waited) / seconds)); /* share of the time */
    t->waited = waited;
    json_object_set_new(line, "peak_mb", json_real((double)plx_tape_peak_bytes(t->tape) / 1e6));
    t->norm_sum = 0;
    t->logged = t->step;
    t->log_time = now;
    log_line(t, line);
}

/* ---- state ------------------------------------------------------------------------------------------------------------- */

/* This stage's entry in the model's record; replaces the entry of an earlier save of the same run. */
static int record_stage(trainer *t) {
    json_t *record = t->model->record ? json_loads(t->model->record, 0, NULL) : json_object(), *stages;
    if (!json_is_object(record)) {
        json_decref(record);
        record = json_object();
    }
    if (t->o->record) {
        json_t *given = json_loads(t->o->record, 0, NULL);
        if (json_is_object(given)) json_object_update(record, given);
        json_decref(given);
    }
    stages = json_object_get(record, "stages");
    if (!json_is_array(stages)) {
        stages = json_array();
        json_object_set_new(record, "stages", stages);
    }
    const plx_train_options *o = t->o;
    json_t *last = json_array_get(stages, json_array_size(stages) - 1);
    if (json_is_true(json_object_get(last, "open"))) json_array_remove(stages, json_array_size(stages) - 1);
    json_t *entry = json_pack("{s:s, s:I, s:I, s:i, s:i, s:i, s:f, s:I, s:f}", "stage", stage_names[o->stage],
                              "steps", (json_int_t)t->step, "of", (json_int_t)o->steps, "batch", o->batch,
                              "size", o->size, "targets", o->targets, "rate", (double)o->rate, "seed",
                              (json_int_t)o->seed, "validation_psnr", t->best);
    if (o->stage >= PLX_STAGE_DENOISER)
        json_object_set_new(entry, "condition", json_string(condition_names[o->condition]));
    if (o->photometric) json_object_set_new(entry, "photometric", json_true());
    if (t->step < o->steps) json_object_set_new(entry, "open", json_true());
    json_array_append_new(stages, entry);
    char *text = json_dumps(record, JSON_REAL_PRECISION(6));
    json_decref(record);
    if (!text) return plx_fail(PLX_ERROR_MEMORY, "record: out of memory");
    free(t->model->record);
    t->model->record = text;
    return PLX_OK;
}

static int save(trainer *t) {
    char path[PATH_SIZE], text[32];
    plx_checkpoint *file = NULL;
    int status = record_stage(t);
    path_in(path, t, "model.safetensors");
    if (!status) status = plx_model_save(t->model, path, true, true);
    if (!status) status = plx_checkpoint_create(&file);
    if (!status) status = plx_checkpoint_set(file, "format", state_format);
    if (!status) status = plx_checkpoint_set(file, "stage", stage_names[t->o->stage]);
    snprintf(text, sizeof text, "%lld", (long long)t->step);
    if (!status) status = plx_checkpoint_set(file, "step", text);
    snprintf(text, sizeof text, "%.17g", t->best);
    if (!status) status = plx_checkpoint_set(file, "best", text);
    if (!status) status = plx_checkpoint_set(file, "record", t->model->record);
    if (!status) status = plx_params_save_state(t->model->params, file);
    path_in(path, t, "state.safetensors");
    if (!status) status = plx_checkpoint_save(file, path);
    plx_checkpoint_free(file);
    t->save_time = plx_now();
    return status;
}

/* 1: resumed; 0: there is no state in the folder; < 0: error. */
static int resume(trainer *t) {
    char path[PATH_SIZE];
    plx_checkpoint *file = NULL;
    path_in(path, t, "state.safetensors");
    FILE *exists = fopen(path, "rb");
    if (!exists) return 0;
    fclose(exists);
    int status = plx_checkpoint_load(&file, path);
    if (status) return status;
    const char *format = plx_checkpoint_get(file, "format"), *stage = plx_checkpoint_get(file, "stage");
    const char *step = plx_checkpoint_get(file, "step"), *best = plx_checkpoint_get(file, "best");
    const char *record = plx_checkpoint_get(file, "record");
    if (!format || strcmp(format, state_format) || !stage || !step || !best || !record)
        status = plx_fail(PLX_ERROR_INPUT, "%s: not a training state of this version", path);
    else if (strcmp(stage, stage_names[t->o->stage]))
        status = plx_fail(PLX_ERROR_INPUT, "%s: a run of stage '%s'; use another folder for stage '%s'", path,
                          stage, stage_names[t->o->stage]);
    if (!status) status = plx_params_load_state(t->model->params, file);
    if (!status) {
        t->step = t->optimiser.step = strtoll(step, NULL, 10);
        t->best = strtod(best, NULL);
        free(t->model->record);
        t->model->record = strdup(record);
        status = 1;
    }
    plx_checkpoint_free(file);
    return status;
}

static int make_records(trainer *t) {
    const plx_memory *memory = plx_tape_memory(t->tape);
    const size_t count = (size_t)t->o->log_every;
    if (!memory) return PLX_OK;
    t->records = plx_memory_take(memory, sizeof *t->records * count);
    t->copies = malloc(sizeof *t->copies * count);
    t->record_terms = malloc(sizeof *t->record_terms * count);
    return t->records && t->copies && t->record_terms ? PLX_OK
                                                      : plx_fail(PLX_ERROR_MEMORY, "train: out of memory");
}

static void free_records(trainer *t) {
    if (t->records)
        plx_memory_give(plx_tape_memory(t->tape), t->records, sizeof *t->records * (size_t)t->o->log_every);
    free(t->copies), free(t->record_terms);
}

static int open_run(trainer *t) {
    char path[PATH_SIZE];
    plx_device device;
    int status = plx_make_directories(t->o->folder);
    if (!status) status = plx_device_open(&device, NULL);
    if (!status) status = plx_tape_create(&t->tape, device, step_arena, true);
    if (!status) status = make_records(t);
    if (!status) status = plx_train_model(&t->model, t->o);
    if (!status) status = resume(t);
    if (status < 0) return status;
    t->optimiser.weight_decay = 0.01f;
    if (t->o->stage == PLX_STAGE_DENOISER) {
        plx_params_set_rate(t->model->params, "encoder.", 0);
        plx_params_set_rate(t->model->params, "decoder.", 0);
    } else if (t->o->stage != PLX_STAGE_JOINT) {
        plx_params_set_rate(t->model->params, "denoiser.", 0);
    }
    path_in(path, t, "log.jsonl");
    t->log = fopen(path, "a");
    if (!t->log) return plx_fail(PLX_ERROR_IO, "%s: cannot be written", path);
    return PLX_OK;
}

/* ---- validation ------------------------------------------------------------------------------------------------------------ */

static int validate(trainer *t, const plx_validation *v) {
    plx_validation_result r;
    char sheet[PATH_SIZE], name[64];
    snprintf(name, sizeof name, "sheet-%08lld.png", (long long)t->step);
    path_in(sheet, t, name);
    plx_params_use_ema(t->model->params, true);
    int status = plx_validate(&r, t->model, v, t->o->stage >= PLX_STAGE_DENOISER, t->o->seed);
    plx_params_use_ema(t->model->params, false);
    if (status) return status;
    if (r.psnr > t->best) t->best = r.psnr;
    json_t *line = json_pack("{s:I, s:f, s:f, s:f}", "step", (json_int_t)t->step, "validation_psnr", r.psnr,
                             "validation_iou", r.iou, "validation_iou_60_120", r.iou_side);
    if (r.levels) json_object_set_new(line, "swapped_input", json_real(r.swap_overall));
    for (int i = 0; i < r.levels; i++) {
        char key[48];
        snprintf(key, sizeof key, "denoiser_gain_db_t%.1f", r.t[i]);
        json_object_set_new(line, key, json_real(r.gain_db[i]));
        snprintf(key, sizeof key, "swapped_input_t%.1f", r.t[i]);
        json_object_set_new(line, key, json_real(r.swap[i]));
        snprintf(key, sizeof key, "swapped_features_t%.1f", r.t[i]);
        json_object_set_new(line, key, json_real(r.swap_features[i]));
        snprintf(key, sizeof key, "swapped_alone_t%.1f", r.t[i]);
        json_object_set_new(line, key, json_real(r.swap_alone[i]));
    }
    log_line(t, line);
    status = v->sheet ? v->sheet(sheet, &r.sheet, v->user) : PLX_OK;
    plx_image_free(&r.sheet);
    return status;
}

int plx_train(const plx_train_options *options, plx_batch_fn batch, void *batch_user,
              const plx_validation *validation, plx_progress_fn progress, void *user) {
    trainer t = {.o = options, .optimiser = plx_optimiser_default()};
    plx_prefetch *prefetch = NULL;
    plx_views *items;
    int status = open_run(&t);
    if (!status) status = plx_prefetch_start(&prefetch, options, t.step, options->steps, batch, batch_user);
    t.logged = t.step;
    t.log_time = t.save_time = plx_now();
    while (!status && t.step < options->steps) {
        char note[64];
        status = plx_prefetch_next(prefetch, &items);
        if (!status) status = compute_step(&t, items);
        if (status) break;
        t.step++;
        const bool log = t.step % options->log_every == 0 || t.step == options->steps;
        if (log || t.pending == options->log_every) status = read_records(&t, t.step);
        if (status) break;
        snprintf(note, sizeof note, "%s %.4f", t.terms[0].name, (double)t.shown);
        if (log) log_losses(&t, plx_prefetch_waited(prefetch));
        if (ferror(t.log)) {
            status = plx_fail(PLX_ERROR_IO, "%s/log.jsonl: cannot be written", options->folder);
            break;
        }
        bool stop = plx_progress_report(progress, user, "train", t.step, options->steps, note);
        bool last = t.step == options->steps;
        const bool keep = stop || last || plx_now() - t.save_time > options->save_seconds;
        if (keep) status = read_records(&t, t.step);
        if (!status && validation && validation->every && (t.step % validation->every == 0 || last))
            status = validate(&t, validation);
        if (!status && keep) status = save(&t);
        if (!status && stop && !last)
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped at step %lld; saved in %s", (long long)t.step,
                              options->folder);
    }
    plx_prefetch_stop(prefetch);
    free_records(&t);
    plx_tape_free(t.tape);
    plx_model_free(t.model);
    if (t.log) fclose(t.log);
    return status;
}
