/* `parallax train`: one stage of the model's training, resumable bit for bit. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/condition.h"
#include "diffusion/prefetch.h"
#include "diffusion/supervise.h"
#include "diffusion/train_model.h"
#include "diffusion/train_record.h"
#include "diffusion/two_fold.h"
#include "diffusion/validate.h"
#include "nerf/core/file.h"
#include "nerf/tensor/memory.h"

enum { PATH_SIZE = 4096 };
static const size_t step_arena = (size_t)16 << 30; /* address space */
static const char state_format[] = "parallax-training-1";

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
                           .fold = -1,
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

enum term { COLOUR, LIKELIHOOD, HIT_COLOUR, SURFACE, ELEVATION, DENOISE, TERMS };
static const char *const term_names[TERMS] = {"colour",  "likelihood", "hit_colour",
                                              "surface", "elevation",  "denoise"};

/* A loss; a step has some of them. */
typedef struct term_sum {
    plx_tensor *loss; /* this step's, or NULL */
    float factor;
    double sum; /* since the last log line, of `steps` steps that had it */
    int64_t steps;
} term_sum;

/* What a step on a device with its own memory leaves there for the log: read when a line is due, so that no step waits. */
typedef struct step_record {
    double norm;
    float loss[TERMS];
} step_record;

typedef struct trainer {
    const plx_train_options *o;
    void *batch_user;
    plx_model *model;
    plx_two_fold two; /* where the condition is two-fold */
    plx_optimiser optimiser;
    plx_tape *tape;
    int64_t step;
    term_sum terms[TERMS];
    enum term first; /* of those that a step has: the same in every step; */
    float shown;     /* as last read */
    step_record *records,
        *copies; /* (log_every) the device's, and the host's of them; NULL where the host is the device */
    unsigned *record_terms; /* (log_every) bit i: it has term i */
    int pending;            /* records that are not read yet */
    int64_t logged;         /* step of the last log line */
    double norm_sum, log_time, save_time;
    double waited; /* seconds for data, up to the last log line */
    FILE *log;
    double best; /* validation PSNR */
} trainer;

static void path_in(char out[PATH_SIZE], const trainer *t, const char *name) {
    snprintf(out, PATH_SIZE, "%s/%s", t->o->folder, name);
}

static void set_term(trainer *t, enum term i, plx_tensor *loss, float factor) {
    t->terms[i].loss = loss, t->terms[i].factor = factor;
}

/* ---- one step ------------------------------------------------------------------------------------------------------ */

/* Elevations are told with +-2 degrees of error (with 7 the network learned not to trust them), and withheld from a
 * fifth of the items. */
static const plx_encoder_pose *draw_poses(trainer *t, const plx_views *batch, plx_rng rng) {
    size_t N = (size_t)t->o->batch;
    plx_encoder_pose *poses = plx_arena_alloc(plx_tape_arena(t->tape), sizeof *poses * N);
    for (size_t n = 0; n < N; n++) {
        const plx_view *input = &batch[n].views[0];
        PLX_CHECK(input->colour.height == t->o->size, "train: an input of %d rows", input->colour.height);
        poses[n] = plx_encoder_pose_of(&input->camera, plx_rng_uniform(rng, 2 * n) >= 0.2f);
        poses[n].elevation += (plx_rng_uniform(rng, 2 * n + 1) * 2 - 1) * 2 * (float)M_PI / 180;
    }
    return poses;
}

static plx_encoded encode_batch(trainer *t, const plx_views *batch, const plx_encoder_pose *poses) {
    int N = t->o->batch, *items = plx_arena_alloc(plx_tape_arena(t->tape), sizeof *items * (size_t)N);
    for (int n = 0; n < N; n++) items[n] = n;
    return plx_encode_items(t->tape, t->model, N, items, batch, poses);
}

static bool has_depth(const plx_views *items) {
    return items[0].views[0].depth.data != NULL;
}

static void field_terms(trainer *t, const plx_encoded *e, const plx_views *batch,
                        const plx_encoder_pose *poses, plx_rng rng) {
    const plx_train_options *o = t->o;
    float done = (float)t->step / (float)o->steps;
    bool geometry_stage = o->stage == PLX_STAGE_GEOMETRY;
    plx_supervision s = plx_supervise(plx_tape_arena(t->tape), o->batch, batch, o->input_rays, o->target_rays,
                                      plx_rng_fork(rng, 1));
    if (!geometry_stage)
        set_term(
            t, COLOUR,
            plx_loss_photometric(t->tape, &e->field, e->frames, &s, o->coarse, o->fine, plx_rng_fork(rng, 2)),
            1);
    if (has_depth(batch) && !o->photometric) {
        plx_geometry_loss g = plx_loss_geometry(t->tape, &e->field, e->frames, &s, plx_rng_fork(rng, 3));
        set_term(t, LIKELIHOOD, g.likelihood, geometry_stage ? 0.1f : 0.01f);
        set_term(t, HIT_COLOUR, g.colour, geometry_stage ? 0.5f : 0.05f);
        set_term(t, SURFACE, plx_loss_surface(t->tape, &e->encoding, e->frames, batch),
                 geometry_stage ? 0.5f - 0.4f * done : 0.1f);
    }
    set_term(t, ELEVATION, plx_loss_elevation(t->tape, &e->encoding, poses, batch), 0.1f);
}

/* The batch as the fields encode it that render the denoiser's condition: `own`, or (two-fold) others. */
static int condition_sources(plx_encoded sources[PLX_HALVES], trainer *t, const plx_encoded *own,
                             const plx_views *batch, const plx_encoder_pose *poses) {
    int N = t->o->batch, *half;
    if (t->o->condition != PLX_TRAIN_CONDITION_TWO_FOLD) {
        sources[0] = *own;
        return 1;
    }
    half = plx_arena_alloc(plx_tape_arena(t->tape), sizeof *half * (size_t)N);
    for (int n = 0; n < N; n++) {
        half[n] = t->o->fold_of(batch[n].name, t->batch_user);
        PLX_CHECK(half[n] == 0 || half[n] == 1, "train: '%s' in half %d", batch[n].name, half[n]);
    }
    return plx_two_fold_encode(sources, t->tape, &t->two, N, half, batch, poses);
}

static void denoiser_terms(trainer *t, const plx_encoded *e, const plx_views *batch,
                           const plx_encoder_pose *poses, plx_rng rng) {
    plx_denoiser denoiser = plx_model_denoiser(t->model);
    plx_denoiser_training training = plx_denoiser_training_default();
    bool blurred = t->o->condition == PLX_TRAIN_CONDITION_BLURRED;
    plx_encoded sources[PLX_HALVES];
    int count = condition_sources(sources, t, e, batch, poses);
    plx_condition condition =
        plx_condition_make(t->tape, count, sources, t->o->batch, batch,
                           blurred ? (float)t->o->condition_noise : 0, plx_rng_fork(rng, 4));
    plx_denoiser_batch views = {.views = condition.truth,
                                .render = condition.render,
                                .context = plx_condition_context(t->tape, &e->encoding)};
    set_term(t, DENOISE, plx_denoiser_loss(t->tape, &denoiser, &training, &views, plx_rng_fork(rng, 5)), 1);
}

static int take_loss(trainer *t, int64_t step, enum term i, float loss) {
    t->terms[i].sum += loss;
    t->terms[i].steps++;
    if (i == t->first) t->shown = loss;
    if (isfinite(loss)) return PLX_OK;
    return plx_fail(PLX_ERROR_NUMERIC, "step %lld: the loss '%s' is %g", (long long)step, term_names[i],
                    loss);
}

static int note_losses(trainer *t) {
    const plx_memory *memory = plx_tape_memory(t->tape);
    unsigned had = 0;
    for (enum term i = 0; i < TERMS; i++) {
        if (!t->terms[i].loss) continue;
        const float *loss = t->terms[i].loss->data;
        int status = PLX_OK;
        had |= 1u << i;
        if (memory)
            memory->copy(&t->records[t->pending].loss[i], loss, sizeof *loss);
        else
            status = take_loss(t, t->step, i, *loss);
        if (status) return status;
    }
    if (memory) t->record_terms[t->pending] = had;
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
        for (enum term i = 0; i < TERMS; i++) {
            if (!(t->record_terms[k] >> i & 1)) continue;
            status = take_loss(t, next - count + k, i, t->copies[k].loss[i]);
            if (status) return status;
        }
        t->norm_sum += t->copies[k].norm;
        if (!isfinite(t->copies[k].norm)) bad = k;
    }
    status = plx_optimiser_check(t->model->params, NULL);
    return status ? fail_in_step(status, next - count + bad) : PLX_OK;
}

/* The sum of the losses that the step has, times their factors. */
static plx_tensor *sum_terms(trainer *t) {
    plx_tensor *losses[TERMS];
    float factors[TERMS];
    int count = 0;
    for (enum term i = TERMS; i-- > 0;)
        if (t->terms[i].loss) t->first = i;
    for (enum term i = 0; i < TERMS; i++)
        if (t->terms[i].loss) losses[count] = t->terms[i].loss, factors[count++] = t->terms[i].factor;
    return plx_loss_sum(t->tape, count, losses, factors);
}

static int compute_step(trainer *t, const plx_views *batch) {
    plx_rng rng = plx_rng_fork((plx_rng){t->o->seed, 0x7472}, (uint64_t)t->step);
    bool frozen = t->o->stage == PLX_STAGE_DENOISER;
    plx_tape_reset(t->tape);
    plx_params_zero_grad(t->model->params);
    plx_tape_set_recording(t->tape, !frozen);
    for (enum term i = 0; i < TERMS; i++) t->terms[i].loss = NULL;
    const plx_encoder_pose *poses = draw_poses(t, batch, plx_rng_fork(rng, 0));
    plx_encoded e = encode_batch(t, batch, poses);
    if (!frozen) field_terms(t, &e, batch, poses, rng);
    plx_tape_set_recording(t->tape, true);
    if (frozen || t->o->stage == PLX_STAGE_JOINT) denoiser_terms(t, &e, batch, poses, rng);
    plx_tensor *loss = sum_terms(t);
    int status = note_losses(t);
    if (status) return status;
    plx_tape_backward(t->tape, loss);
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
    json_object_set_new(line, "stage", json_string(plx_train_stage_name(t->o->stage)));
    if (t->o->stage >= PLX_STAGE_DENOISER)
        json_object_set_new(line, "condition", json_string(plx_train_condition_name(t->o->condition)));
    if (t->o->fold >= 0) json_object_set_new(line, "fold", json_integer(t->o->fold));
    for (enum term i = 0; i < TERMS; i++) {
        term_sum *term = &t->terms[i];
        if (term->steps) json_object_set_new(line, term_names[i], json_real(term->sum / (double)term->steps));
        term->sum = 0, term->steps = 0;
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

static int save(trainer *t) {
    char path[PATH_SIZE], text[32];
    plx_checkpoint *file = NULL;
    int status = plx_record_stage(t->model, t->o, t->step, t->best);
    path_in(path, t, "model.safetensors");
    if (!status) status = plx_model_save(t->model, path, true, true);
    if (!status) status = plx_checkpoint_create(&file);
    if (!status) status = plx_checkpoint_set(file, "format", state_format);
    if (!status) status = plx_checkpoint_set(file, "stage", plx_train_stage_name(t->o->stage));
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
    else if (strcmp(stage, plx_train_stage_name(t->o->stage)))
        status = plx_fail(PLX_ERROR_INPUT, "%s: a run of stage '%s'; use another folder for stage '%s'", path,
                          stage, plx_train_stage_name(t->o->stage));
    else if (plx_record_last_fold(record) != t->o->fold)
        status = plx_fail(PLX_ERROR_INPUT, "%s: a run with another --fold; use another folder", path);
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
    if (!t->records) return plx_fail_in(PLX_ERROR_MEMORY, "train");
    t->copies = malloc(sizeof *t->copies * count);
    t->record_terms = malloc(sizeof *t->record_terms * count);
    return t->copies && t->record_terms ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "train: out of memory");
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
    if (!status && t->o->stage >= PLX_STAGE_DENOISER && t->o->condition == PLX_TRAIN_CONDITION_TWO_FOLD)
        status = plx_two_fold_open(&t->two, t->o, t->model);
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
    json_t *line = json_pack("{s:I, s:I, s:f, s:f, s:f}", "step", (json_int_t)t->step, "encodes",
                             (json_int_t)(t->step * t->o->batch), "validation_psnr", r.psnr, "validation_iou",
                             r.iou, "validation_iou_60_120", r.iou_side);
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
    trainer t = {.o = options, .batch_user = batch_user, .optimiser = plx_optimiser_default()};
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
        snprintf(note, sizeof note, "%s %.4f", term_names[t.first], (double)t.shown);
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
    plx_two_fold_free(&t.two);
    plx_model_free(t.model);
    if (t.log) fclose(t.log);
    return status;
}
