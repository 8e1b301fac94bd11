/* Training, on spheres whose every pixel follows from algebra. */
#include "diffusion/model.h"
#include "nerf/field.h"
#include "tests/losses.h"
#include "tests/small_set.h"
#include "tests/spheres.h"
#include "tests/test.h"
#include "tests/tiny_model.h"

#include <jansson.h>
#include <omp.h>
#include <unistd.h>

static plx_train_options small(enum plx_train_stage stage, const char *folder) {
    plx_train_options o = plx_train_options_default(stage);
    o.size = 32;
    o.width = o.denoiser_width = 16;
    o.batch = 2;
    o.targets = 2;
    o.steps = 6;
    o.warmup = 2;
    o.log_every = 1;
    o.folder = folder;
    return o;
}

static int same_files(const char *a, const char *b) {
    char command[1024];
    snprintf(command, sizeof command, "cmp -s %s %s", a, b);
    return system(command) == 0;
}

static void folder_path(char out[256], const char *name) {
    snprintf(out, 256, "%s/%s", test_directory(), name);
}

static double mean_of(const losses *l, int first) {
    double sum = 0;
    for (int i = 0; i < 5; i++) sum += l->value[first + i] / 5;
    return sum;
}

TEST(train, geometry_learns_spheres) {
    char folder[256];
    folder_path(folder, "learn");
    plx_train_options o = small(PLX_STAGE_GEOMETRY, folder);
    o.steps = 60;
    o.batch = 4;
    o.rate = 2e-3f;
    losses l = {0};
    int status = plx_train(&o, sphere_batch, NULL, NULL, watch, &l);
    REQUIRE(status == 0, "%s", plx_error());
    double first = mean_of(&l, 0), last = mean_of(&l, l.count - 5);
    /* A half-transparent start has -log(1 - exp(-0.04)) = 3.2 a hit; a learned one is far below. */
    EXPECT(last < 0.6 * first, "likelihood %g -> %g", first, last);
}

static bool all_zero(const plx_tensor *x) {
    for (size_t i = 0; i < plx_tensor_size(x); i++)
        if (x->data[i] != 0) return false;
    return true;
}

/* XY alone learns too; there are no parameters for side planes, and no texels that refinement could fill. */
TEST(train, pixel_aligned_learns_without_side_planes) {
    char folder[256], path[300];
    folder_path(folder, "pixel");
    plx_train_options o = small(PLX_STAGE_GEOMETRY, folder);
    o.planes = "pixel";
    o.steps = 40;
    o.batch = 2;
    o.rate = 3e-3f;
    losses l = {0};
    REQUIRE(plx_train(&o, sphere_batch, NULL, NULL, watch, &l) == 0, "%s", plx_error());
    double first = mean_of(&l, 0), last = mean_of(&l, l.count - 5);
    /* 80 spheres, not the 240 of geometry_learns_spheres; five batches of two scatter by a few per cent. */
    EXPECT(last < 0.85 * first, "likelihood %g -> %g", first, last);

    plx_model *model = NULL;
    plx_field *field = NULL;
    plx_views views = {0};
    plx_batch_request request = {.seed = 1, .size = 32};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    REQUIRE(plx_model_load(&model, path) == 0, "%s", plx_error());
    for (int i = 0; i < plx_params_count(model->params); i++) {
        const char *name = plx_params_at(model->params, i)->name;
        EXPECT(!strstr(name, ".xz") && !strstr(name, ".yz"), "%s", name);
    }
    int status = sphere_batch(&request, &views, NULL);
    if (!status) status = plx_model_reconstruct(&field, model, &views.views[0], true, true);
    REQUIRE(status == 0, "%s", plx_error());
    plx_refine_options refine = plx_refine_options_default(PLX_REFINE_BLEND);
    refine.views = refine.distill.steps = refine.distill.field_steps = 2;
    refine.distill.final_steps = 1, refine.distill.rays = 64;
    status = plx_field_refine(field, model, &views.views[0], true, &refine, NULL, NULL);
    EXPECT(status == 0, "%s", plx_error());
    const plx_field_operands *p = &field->operands;
    EXPECT(plx_field_pixel_aligned(field->size) && all_zero(p->xz) && all_zero(p->yz), "side planes");
    EXPECT(p->xy->shape[3] == 3 * 16 + 6, "XY of %d channels", p->xy->shape[3]);

    o.init = path;
    o.planes = "triplane";
    folder_path(folder, "other");
    status = plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL);
    EXPECT(status == PLX_ERROR_INPUT && strstr(plx_error(), "'pixel'"), "%d %s", status, plx_error());
    plx_field_free(field);
    plx_views_free(&views);
    plx_model_free(model);
}

/* The terms for a fair comparison: within 10 %. */
TEST(train, pixel_aligned_has_as_many_parameters) {
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        plx_params *params = NULL;
        plx_encoder_config config = i ? plx_encoder_config_pixel() : plx_encoder_config_default();
        REQUIRE(!plx_params_create(&params) && !plx_encoder_declare(params, "encoder", &config) &&
                    !plx_params_allocate(params, 1, false),
                "%s", plx_error());
        sizes[i] = plx_params_size(params);
        plx_params_free(params);
    }
    double ratio = (double)sizes[1] / (double)sizes[0];
    EXPECT(ratio > 0.9 && ratio < 1.1, "%zu parameters against %zu", sizes[1], sizes[0]);
}

TEST(train, every_stage_runs_and_threads_agree) {
    char one[256], two[256], model_one[300], model_two[300];
    int threads = omp_get_max_threads();
    for (int stage = PLX_STAGE_GEOMETRY; stage <= PLX_STAGE_JOINT; stage++) {
        snprintf(one, sizeof one, "%s/stage%d-1", test_directory(), stage);
        snprintf(two, sizeof two, "%s/stage%d-2", test_directory(), stage);
        plx_train_options o = small((enum plx_train_stage)stage, one);
        o.steps = 2;
        omp_set_num_threads(1);
        int status = plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL);
        REQUIRE(status == 0, "stage %d: %s", stage, plx_error());
        o.folder = two;
        omp_set_num_threads(2);
        status = plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL);
        omp_set_num_threads(threads);
        REQUIRE(status == 0, "stage %d: %s", stage, plx_error());
        snprintf(model_one, sizeof model_one, "%s/state.safetensors", one);
        snprintf(model_two, sizeof model_two, "%s/state.safetensors", two);
        EXPECT(same_files(model_one, model_two), "stage %d: 1 and 2 threads give other bits", stage);
    }
}

TEST(train, resume_continues_bit_for_bit) {
    char whole[256], halves[256], a[300], b[300];
    folder_path(whole, "whole");
    folder_path(halves, "halves");
    plx_train_options o = small(PLX_STAGE_COLOUR, whole);
    REQUIRE(plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL) == 0, "%s", plx_error());
    o.folder = halves;
    losses l = {.stop_after = 3};
    int status = plx_train(&o, sphere_batch, NULL, NULL, watch, &l);
    EXPECT(status == PLX_ERROR_CANCELLED, "status %d", status);
    REQUIRE(plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL) == 0, "%s", plx_error());
    snprintf(a, sizeof a, "%s/state.safetensors", whole);
    snprintf(b, sizeof b, "%s/state.safetensors", halves);
    EXPECT(same_files(a, b), "a resumed run ends with other bits");
}

TEST(train, model_file_round_trip_and_init) {
    char folder[256], path[300], next[256];
    folder_path(folder, "first");
    folder_path(next, "next");
    plx_train_options o = small(PLX_STAGE_GEOMETRY, folder);
    o.steps = 1;
    o.record = "{\"credits\": \"spheres\"}";
    REQUIRE(plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL) == 0, "%s", plx_error());
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    plx_model *model = NULL;
    REQUIRE(plx_model_load(&model, path) == 0, "%s", plx_error());
    EXPECT(strstr(plx_model_record(model), "spheres"), "record %s", plx_model_record(model));
    plx_views views;
    plx_batch_request request = {.seed = 1, .size = 32};
    REQUIRE(sphere_batch(&request, &views, NULL) == 0, "%s", plx_error());
    plx_field *field = NULL;
    int status = plx_model_reconstruct(&field, model, &views.views[0], true, false);
    EXPECT(status == 0, "%s", plx_error());
    plx_field_free(field);
    plx_views_free(&views);
    plx_model_free(model);
    o.folder = next;
    o.init = path;
    EXPECT(plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL) == 0, "%s", plx_error());
}

/* ---- choices that the ablations compare -------------------------------------------------------------------------- */

/* Trains a step in the folder `name`, from `init` if it is given. */
static int train_one(plx_train_options o, const char *name, const char *init, char model[300]) {
    char folder[256];
    folder_path(folder, name);
    snprintf(model, 300, "%s/model.safetensors", folder);
    o.folder = folder;
    o.init = init;
    o.steps = 1;
    return plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL);
}

static bool log_has(const char *name, const char *word) {
    char command[600], folder[256];
    folder_path(folder, name);
    snprintf(command, sizeof command, "grep -q '\"%s\"' %s/log.jsonl", word, folder);
    return system(command) == 0;
}

static const plx_param *parameter(const plx_model *m, const char *name) {
    for (int i = 0; i < plx_params_count(m->params); i++)
        if (!strcmp(plx_params_at(m->params, i)->name, name)) return plx_params_at(m->params, i);
    return NULL;
}

/* Skip heads: a texel of every pixel of the finest features, 16x16 of a 32x32 picture; pooled: `depth` of each line. The
 * file says which, and a model that is gone on with keeps them. */
TEST(train, heads_are_the_models_own) {
    char path[300], other[300];
    plx_views views = {0};
    plx_batch_request request = {.seed = 1, .size = 32};
    REQUIRE(sphere_batch(&request, &views, NULL) == 0, "%s", plx_error());
    plx_train_options o = small(PLX_STAGE_GEOMETRY, NULL);
    for (int skip = 0; skip < 2; skip++) {
        plx_model *model = NULL;
        plx_field *field = NULL;
        o.heads = skip ? "skip" : NULL;
        REQUIRE(train_one(o, skip ? "skip" : "pooled", NULL, path) == 0, "%s", plx_error());
        REQUIRE(plx_model_load(&model, path) == 0, "%s", plx_error());
        EXPECT(model->config.encoder.heads == (skip ? PLX_HEADS_SKIP : PLX_HEADS_POOLED), "heads");
        REQUIRE(plx_model_reconstruct(&field, model, &views.views[0], true, false) == 0, "%s", plx_error());
        const int *xz = field->operands.xz->shape, *yz = field->operands.yz->shape;
        EXPECT(xz[1] == (skip ? 16 : 32) && xz[2] == 16, "XZ of %dx%d", xz[1], xz[2]);
        EXPECT(yz[1] == 16 && yz[2] == (skip ? 16 : 32), "YZ of %dx%d", yz[1], yz[2]);
        EXPECT(!all_zero(field->operands.xz) && !all_zero(field->operands.yz), "side planes of zeros");
        plx_field_free(field);
        plx_model_free(model);
    }
    o.heads = NULL;
    EXPECT(train_one(o, "skip-on", path, other) == 0, "%s", plx_error());
    o.heads = "pooled";
    int status = train_one(o, "skip-pooled", path, other);
    EXPECT(status == PLX_ERROR_INPUT && strstr(plx_error(), "'skip'"), "%d %s", status, plx_error());
    o.heads = "none";
    status = train_one(o, "none", NULL, other);
    EXPECT(status == PLX_ERROR_INPUT && strstr(plx_error(), "pooled or skip"), "%d %s", status, plx_error());
    plx_views_free(&views);
}

TEST(train, photometric_leaves_depth_out) {
    char path[300];
    plx_train_options o = small(PLX_STAGE_COLOUR, NULL);
    REQUIRE(train_one(o, "with-depth", NULL, path) == 0, "%s", plx_error());
    o.photometric = true;
    REQUIRE(train_one(o, "photometric", NULL, path) == 0, "%s", plx_error());
    const char *of_depth[] = {"likelihood", "hit_colour", "surface"};
    for (int i = 0; i < 3; i++)
        EXPECT(log_has("with-depth", of_depth[i]) && !log_has("photometric", of_depth[i]), "%s", of_depth[i]);
    EXPECT(log_has("photometric", "colour"), "no colour loss");
    plx_model *model = NULL;
    REQUIRE(plx_model_load(&model, path) == 0, "%s", plx_error());
    EXPECT(strstr(plx_model_record(model), "\"photometric\""), "%s", plx_model_record(model));
    plx_model_free(model);
}

/* A loss is logged under its own name, and in the steps that have it: elevation only where one of the items had it withheld. */
TEST(train, losses_are_logged_by_name) {
    char path[300], line[1024];
    int with = 0, lines = 0;
    plx_train_options o = small(PLX_STAGE_JOINT, NULL);
    folder_path(path, "joint-log");
    o.folder = path;
    o.steps = 8;
    REQUIRE(plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL) == 0, "%s", plx_error());
    folder_path(path, "joint-log/log.jsonl");
    FILE *log = fopen(path, "r");
    REQUIRE(log, "no log");
    while (fgets(line, sizeof line, log)) {
        static const char *const always[] = {"colour", "likelihood", "hit_colour", "surface", "denoise"};
        json_t *json = json_loads(line, 0, NULL);
        for (int i = 0; i < 5; i++)
            EXPECT(json_number_value(json_object_get(json, always[i])) > 0, "%s: %s", always[i], line);
        with += json_object_get(json, "elevation") != NULL;
        json_decref(json);
        lines++;
    }
    fclose(log);
    EXPECT(lines == 8 && with > 0 && with < 8, "%d of %d lines with elevation", with, lines);
}

/* Another prediction is another denoiser; the field stays. Going on keeps it. */
TEST(train, prediction_is_the_models_own) {
    char field[300], eps[300], again[300];
    plx_model *a = NULL, *b = NULL;
    REQUIRE(train_one(small(PLX_STAGE_GEOMETRY, NULL), "field", NULL, field) == 0, "%s", plx_error());
    plx_train_options o = small(PLX_STAGE_DENOISER, NULL);
    o.predict = "eps";
    REQUIRE(train_one(o, "eps", field, eps) == 0, "%s", plx_error());
    o.predict = NULL;
    REQUIRE(train_one(o, "eps-on", eps, again) == 0, "%s", plx_error());
    REQUIRE(!plx_model_load(&a, field) && !plx_model_load(&b, again), "%s", plx_error());
    EXPECT(a->config.denoiser.prediction == PLX_PREDICT_V, "a fresh model predicts v");
    EXPECT(b->config.denoiser.prediction == PLX_PREDICT_EPS, "eps was lost");
    for (int i = 0; i < plx_params_count(a->params); i++) {
        const plx_param *p = plx_params_at(a->params, i), *q = parameter(b, p->name);
        if (!strncmp(p->name, "denoiser.", 9)) continue;
        REQUIRE(q, "%s is gone", p->name);
        EXPECT(!memcmp(p->tensor.data, q->tensor.data, sizeof(float) * plx_tensor_size(&p->tensor)), "%s",
               p->name);
    }
    plx_model_free(a);
    plx_model_free(b);
}

/* A fresh denoiser's output is 0 whatever it sees, so that the first loss is the same and the second is not. */
TEST(train, condition_is_disturbed_or_the_fields_own) {
    losses own = {0}, blurred = {0}, still = {0};
    char folder[256];
    for (int i = 0; i < 3; i++) {
        snprintf(folder, sizeof folder, "%s/condition%d", test_directory(), i);
        plx_train_options o = small(PLX_STAGE_DENOISER, folder);
        o.rate = 1e-2f;
        o.warmup = 0;
        o.condition = i == 1 ? PLX_TRAIN_CONDITION_OWN : PLX_TRAIN_CONDITION_BLURRED;
        o.condition_noise = i == 2 ? 0 : 1;
        losses *l = i == 0 ? &blurred : i == 1 ? &own : &still;
        REQUIRE(plx_train(&o, sphere_batch, NULL, NULL, watch, l) == 0, "%s", plx_error());
    }
    EXPECT(own.count == 6 && own.value[0] == blurred.value[0], "%g, %g", own.value[0], blurred.value[0]);
    EXPECT(own.value[5] != blurred.value[5], "blurring changed nothing: %g", own.value[5]);
    for (int i = 0; i < 6; i++) EXPECT(own.value[i] == still.value[i], "no noise is not the field's own");
}

static int broken_batch(const plx_batch_request *r, plx_views *out, void *user) {
    int status = sphere_batch(r, out, user);
    if (!status && r->step == 1) out->views[0].colour.data[0] = NAN;
    return status;
}

TEST(train, nan_stops_the_run_and_is_named) {
    char folder[256];
    folder_path(folder, "nan");
    plx_train_options o = small(PLX_STAGE_COLOUR, folder);
    int status = plx_train(&o, broken_batch, NULL, NULL, NULL, NULL);
    EXPECT(status == PLX_ERROR_NUMERIC, "status %d", status);
    EXPECT(strstr(plx_error(), "step 1"), "%s", plx_error());
}

/* The command's --store: the fields of the validation objects, by the model that it saved. */
TEST(train, results_in_a_store) {
    const char *said;
    char line[2048], folder[300], store[300];
    snprintf(folder, sizeof folder, "%s", test_file("train-kept"));
    snprintf(store, sizeof store, "%s", test_file("trained"));
    REQUIRE(!tiny_model_save(test_file("train-tiny.safetensors")), "%s", plx_error());
    snprintf(
        line, sizeof line,
        "train --data %s --catalogue %s/objects.tsv --overfit 1 --stage colour --size 32 --steps 1 --batch 1 "
        "--targets 1 --validate 1 --init %s -o %s --store %s --quiet",
        small_set(), small_set(), test_file("train-tiny.safetensors"), folder, store);
    REQUIRE(test_run_parallax(line, &said) == 0, "%s", said);
    snprintf(line, sizeof line, "store ls %s", store);
    REQUIRE(test_run_parallax_output(line, &said) == 0, "%s", said);
    EXPECT(strstr(said, "low\tchair\tf16 xy 32x32") == said && strstr(said, "train-kept/model.safetensors\n"),
           "%s", said);
    snprintf(line, sizeof line,
             "train --data %s --catalogue %s/objects.tsv --stage colour --size 32 --steps 1 "
             "--validate 0 --init %s -o %s-not --store %s-not --quiet",
             small_set(), small_set(), test_file("train-tiny.safetensors"), folder, store);
    EXPECT(test_run_parallax(line, &said) == 2 && strstr(said, "there are none"), "%s", said);
    snprintf(line, sizeof line, "%s-not", store);
    EXPECT(access(line, F_OK), "a store was made");
}
