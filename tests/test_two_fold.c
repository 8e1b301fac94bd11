/* The two-fold condition: an object's render is by the field that did not learn from it. Spheres, in halves that their names say. */
#include "diffusion/condition.h"
#include "diffusion/train_record.h"
#include "diffusion/two_fold.h"
#include "tests/losses.h"
#include "tests/small_set.h"
#include "tests/spheres.h"
#include "tests/test.h"
#include "tests/tiny_model.h"

#include <omp.h>

/* Spheres of the half *user, or (-1) of either by turns. */
static int halved_batch(const plx_batch_request *r, plx_views *out, void *user) {
    const int *half = user;
    int status = sphere_batch(r, out, NULL);
    if (!status)
        snprintf(out->name, sizeof out->name, "%d", *half < 0 ? (int)(r->step + r->item) % 2 : *half);
    return status;
}

static int half_of(const char *name, void *user) {
    (void)user;
    return name[0] - '0';
}

static plx_train_options small(enum plx_train_stage stage) {
    plx_train_options o = plx_train_options_default(stage);
    o.size = 32;
    o.width = o.denoiser_width = 16;
    o.batch = 2;
    o.targets = 1;
    o.steps = 4;
    o.warmup = 0;
    o.rate = 1e-2f;
    o.log_every = 1;
    return o;
}

static void in_folder(char out[300], const char *name, const char *file) {
    snprintf(out, 300, "%s/two-fold/%s%s", test_directory(), name, file);
}

/* One step of geometry on one half (-1: all), of other weights each. */
static int field_of(const char *name, int fold, const char *init, char model[300], const char *heads) {
    char folder[300];
    in_folder(folder, name, "");
    in_folder(model, name, "/model.safetensors");
    plx_train_options o = small(PLX_STAGE_GEOMETRY);
    o.steps = 1;
    o.seed = (uint64_t)(20 + fold);
    o.folder = folder;
    o.init = init;
    o.heads = heads;
    o.fold = fold;
    return plx_train(&o, halved_batch, &fold, NULL, NULL, NULL);
}

/* Trains a denoiser on spheres of `half`, from the field of `init`; two-fold if there are models. */
static int denoise(losses *l, const char *name, const char *init, const char *const models[2], int half) {
    char folder[300];
    in_folder(folder, name, "");
    plx_train_options o = small(PLX_STAGE_DENOISER);
    o.folder = folder;
    o.init = init;
    o.condition = models ? PLX_TRAIN_CONDITION_TWO_FOLD : PLX_TRAIN_CONDITION_OWN;
    if (models) o.fold_models[0] = models[0], o.fold_models[1] = models[1];
    o.fold_of = half_of;
    l->count = 0;
    return plx_train(&o, halved_batch, &half, NULL, watch, l);
}

static bool same_losses(const losses *a, const losses *b) {
    return a->count == 4 && b->count == 4 && !memcmp(a->value, b->value, sizeof *a->value * 4);
}

/* A model that goes on from the field which did not see the object renders that condition itself: the same losses, in either
 * order of the files; not so on objects of the other half. */
TEST(two_fold, condition_is_of_the_field_that_did_not_see_the_object) {
    char model[2][300];
    REQUIRE(!field_of("half0", 0, NULL, model[0], NULL) && !field_of("half1", 1, NULL, model[1], NULL), "%s",
            plx_error());
    for (int half = 0; half < 2; half++) {
        losses own = {0}, two = {0}, turned = {0}, seen = {0};
        const char *const models[] = {model[0], model[1]}, *const other_way[] = {model[1], model[0]};
        const char *unseen = model[1 - half];
        char name[32];
        snprintf(name, sizeof name, "own%d", half);
        REQUIRE(!denoise(&own, name, unseen, NULL, half), "%s", plx_error());
        snprintf(name, sizeof name, "two%d", half);
        REQUIRE(!denoise(&two, name, unseen, models, half), "%s", plx_error());
        snprintf(name, sizeof name, "turned%d", half);
        REQUIRE(!denoise(&turned, name, unseen, other_way, half), "%s", plx_error());
        snprintf(name, sizeof name, "seen%d", half);
        REQUIRE(!denoise(&seen, name, unseen, models, 1 - half), "%s", plx_error());
        EXPECT(same_losses(&own, &two), "half %d: %g, not %g", half, two.value[3], own.value[3]);
        EXPECT(same_losses(&own, &turned), "half %d: the order of the files counts", half);
        EXPECT(!same_losses(&own, &seen), "half %d: the field that saw the object renders it", half);
    }
}

/* What the model's file and log say. */
TEST(two_fold, choice_is_recorded) {
    char model[2][300], path[300], command[700];
    losses l;
    plx_model *m = NULL;
    REQUIRE(!field_of("kept0", 0, NULL, model[0], NULL) && !field_of("kept1", 1, NULL, model[1], NULL), "%s",
            plx_error());
    const char *const models[] = {model[0], model[1]};
    REQUIRE(!denoise(&l, "kept", model[0], models, -1), "%s", plx_error());
    in_folder(path, "kept", "/model.safetensors");
    REQUIRE(!plx_model_load(&m, path), "%s", plx_error());
    EXPECT(strstr(plx_model_record(m), "\"condition\": \"two-fold\", \"fold_models\": [") &&
               strstr(plx_model_record(m), model[1]),
           "%s", plx_model_record(m));
    EXPECT(plx_record_half(m) == 0, "a denoiser's stage on all objects leaves the field of half 0 as it is");
    plx_model_free(m);
    in_folder(path, "kept", "/log.jsonl");
    snprintf(command, sizeof command, "grep -q '\"condition\": \"two-fold\"' %s", path);
    EXPECT(system(command) == 0, "not in the log");
    in_folder(path, "kept1", "/log.jsonl");
    snprintf(command, sizeof command, "grep -q '\"fold\": 1' %s", path);
    EXPECT(system(command) == 0, "the fold is not in the log");
}

static double squared(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sum;
}

/* A batch of both halves: every object's place holds the other half's field. Two renders of one field differ by where its
 * samples fall, those of two fields by far more. */
TEST(two_fold, mixed_batch_keeps_its_places) {
    enum { N = 3, SIZE = 32 };
    const size_t count = 4 * SIZE * SIZE;
    const int half[N] = {0, 1, 0}, all[N] = {0, 1, 2};
    char path[2][300];
    REQUIRE(!field_of("mix0", 0, NULL, path[0], NULL) && !field_of("mix1", 1, NULL, path[1], NULL), "%s",
            plx_error());
    plx_train_options o = small(PLX_STAGE_DENOISER);
    plx_model *model = NULL;
    plx_two_fold two;
    plx_device device;
    plx_tape *tape = NULL;
    plx_views batch[N] = {0};
    plx_encoder_pose poses[N];
    o.fold_models[0] = path[0], o.fold_models[1] = path[1], o.fold_of = half_of;
    REQUIRE(!plx_model_load(&model, path[0]) && !plx_two_fold_open(&two, &o, model), "%s", plx_error());
    REQUIRE(!plx_device_open(&device, "cpu") && !plx_tape_create(&tape, device, (size_t)1 << 32, false), "%s",
            plx_error());
    for (int n = 0; n < N; n++) {
        plx_batch_request request = {.seed = 3, .item = n, .size = SIZE, .targets = 1};
        REQUIRE(!sphere_batch(&request, &batch[n], NULL), "%s", plx_error());
        poses[n] = plx_encoder_pose_of(&batch[n].views[0].camera, true);
    }
    float *render[3];
    plx_tape_set_recording(tape, false);
    for (int k = 0; k < 3; k++) { /* all as half 0 is rendered, all as half 1 is, each as its own half */
        plx_encoded sources[PLX_HALVES];
        int sources_count = 1;
        if (k < 2)
            sources[0] = plx_encode_items(tape, two.learned[1 - k], N, all, batch, poses);
        else
            sources_count = plx_two_fold_encode(sources, tape, &two, N, half, batch, poses);
        EXPECT(sources_count == (k < 2 ? 1 : 2), "%d sources", sources_count);
        plx_condition condition =
            plx_condition_make(tape, sources_count, sources, N, batch, 0, (plx_rng){1, 1});
        render[k] = condition.render->data;
    }
    for (int n = 0; n < N; n++) {
        const float *here = render[2] + count * (size_t)n;
        double right = squared(here, render[half[n]] + count * (size_t)n, count),
               wrong = squared(here, render[1 - half[n]] + count * (size_t)n, count);
        EXPECT(right < 0.1 * wrong, "item %d: %g from the right field, %g from the wrong one", n, right,
               wrong);
    }
    for (int n = 0; n < N; n++) plx_views_free(&batch[n]);
    plx_tape_free(tape);
    plx_two_fold_free(&two);
    plx_model_free(model);
}

static bool same_states(const char *a, const char *b) {
    char one[300], two[300], command[700];
    in_folder(one, a, "/state.safetensors");
    in_folder(two, b, "/state.safetensors");
    snprintf(command, sizeof command, "cmp -s %s %s", one, two);
    return system(command) == 0;
}

TEST(two_fold, threads_agree_and_runs_resume) {
    char model[2][300];
    int threads = omp_get_max_threads();
    losses l = {0}, stop = {.stop_after = 2};
    REQUIRE(!field_of("bits0", 0, NULL, model[0], NULL) && !field_of("bits1", 1, NULL, model[1], NULL), "%s",
            plx_error());
    const char *const models[] = {model[0], model[1]};
    omp_set_num_threads(1);
    int status = denoise(&l, "thread", model[0], models, -1);
    omp_set_num_threads(2);
    if (!status) status = denoise(&l, "threads", model[0], models, -1);
    omp_set_num_threads(threads);
    REQUIRE(status == 0, "%s", plx_error());
    EXPECT(same_states("thread", "threads"), "1 and 2 threads give other bits");
    EXPECT(denoise(&stop, "stopped", model[0], models, -1) == PLX_ERROR_CANCELLED, "%s", plx_error());
    REQUIRE(!denoise(&l, "stopped", model[0], models, -1), "%s", plx_error());
    EXPECT(l.count == 2 && same_states("thread", "stopped"), "a resumed run ends with other bits");
}

static void refused(const char *name, const char *first, const char *second, const char *why) {
    const char *const models[] = {first, second};
    losses l;
    int status = denoise(&l, name, first, models, -1);
    EXPECT(status < 0 && strstr(plx_error(), why) && strstr(plx_error(), second), "%s: %d %s", name, status,
           plx_error());
}

TEST(two_fold, models_that_do_not_fit) {
    char zero[300], one[300], all[300], both[300], skip[300], absent[300];
    REQUIRE(!field_of("no0", 0, NULL, zero, NULL) && !field_of("no1", 1, NULL, one, NULL) &&
                !field_of("no-all", -1, NULL, all, NULL) && !field_of("no-both", 1, zero, both, NULL) &&
                !field_of("no-skip", 1, NULL, skip, "skip"),
            "%s", plx_error());
    in_folder(absent, "absent", ".safetensors");
    refused("no-a", zero, absent, "No such file");
    refused("no-b", zero, zero, "learned from half 0, as");
    refused("no-c", zero, all, "did not learn from one half");
    refused("no-d", zero, both, "did not learn from one half");
    refused("no-e", zero, skip, "not of the model's kind");
    int status = field_of("no1", 0, NULL, zero, NULL);
    EXPECT(status == PLX_ERROR_INPUT && strstr(plx_error(), "another --fold"), "%d %s", status, plx_error());
}

static void command_says(int code, const char *options, const char *why) {
    char line[1500];
    const char *said;
    snprintf(line, sizeof line,
             "train --data %s --catalogue %s/objects.tsv --size 32 --steps 1 --batch 1 --targets 1 "
             "--validate 0 --quiet "
             "--init %s %s",
             small_set(), small_set(), test_file("two-fold-tiny.safetensors"), options);
    int got = test_run_parallax(line, &said);
    EXPECT(got == code && strstr(said, why), "%s: exit %d: %s", options, got, said);
    EXPECT(!code || strchr(said, '\n') == said + strlen(said) - 1, "not one line: %s", said);
}

/* The command: the small set's groups a and b are a half each. */
TEST(two_fold, from_the_command_line) {
    char zero[300], one[300], options[1000];
    REQUIRE(!tiny_model_save(test_file("two-fold-tiny.safetensors")), "%s", plx_error());
    EXPECT(plx_fold_of("a") != plx_fold_of("b"), "one half has no objects");
    in_folder(zero, "cli0", "");
    in_folder(one, "cli1", "");
    snprintf(options, sizeof options, "-o %s --fold 0 --stage geometry", zero);
    command_says(0, options, "");
    snprintf(options, sizeof options, "-o %s --fold 1 --stage geometry", one);
    command_says(0, options, "");
    snprintf(options, sizeof options,
             "-o %s/cli --stage denoiser --denoiser-width 16 --condition two-fold --fold-models "
             "%s/model.safetensors,%s/model.safetensors",
             test_directory(), zero, one);
    command_says(0, options, "");
    snprintf(options, sizeof options, "-o %s/no --stage denoiser --condition two-fold", test_directory());
    command_says(2, options, "needs --fold-models");
    strcat(options, " --fold-models one,");
    command_says(2, options, "two files");
    snprintf(options, sizeof options, "-o %s/no --stage denoiser --fold-models a,b", test_directory());
    command_says(2, options, "is for --condition two-fold");
    snprintf(options, sizeof options, "-o %s/no --stage colour --condition two-fold --fold-models a,b",
             test_directory());
    command_says(2, options, "--stage denoiser or joint");
}
