/* The command's qualities, --set and --seeds, on an untrained model. */
#include "tests/test.h"
#include "tests/tiny_model.h"

#include <math.h>
#include <unistd.h>

#include "nerf/core/image.h"
#include "render/render.h"
#include "tools/reconstruct_seeds.h"

static void write_disc(const char *path) {
    plx_image image = {0};
    if (plx_image_create(&image, 48, 48, 4)) abort();
    for (int p = 0; p < 48 * 48; p++) {
        int i = p / 48 - 24, j = p % 48 - 24;
        for (int c = 0; c < 3; c++) image.data[4 * p + c] = c ? 0.2f : 0.9f;
        image.data[4 * p + 3] = i * i + j * j < 200;
    }
    if (plx_png_save(path, &image)) abort();
    plx_image_free(&image);
}

static int run(const char *output, const char *more, const char **said) {
    char arguments[2048];
    if (access(test_file("disc.png"), R_OK)) { /* other tests, too, leave a tiny.safetensors */
        if (tiny_model_save(test_file("tiny.safetensors"))) abort();
        write_disc(test_file("disc.png"));
    }
    snprintf(arguments, sizeof arguments,
             "reconstruct %s --model %s -o %s --views 1 --frames 1 --size 16 --elevation 20 --quiet %s",
             test_file("disc.png"), test_file("tiny.safetensors"), test_file(output), more);
    return test_run_parallax(arguments, said);
}

static json_t *record_of(const char *output) {
    char file[512];
    snprintf(file, sizeof file, "%s/run.json", test_file(output));
    return json_load_file(file, 0, NULL);
}

static double refinement(const json_t *record, const char *name) {
    return json_number_value(json_object_get(json_object_get(record, "refinement"), name));
}

TEST(reconstruct, a_quality_is_a_set_of_numbers_and_set_overrides_one) {
    const char *said;
    REQUIRE(run("fast", "--quality fast --set steps=1 --set rays=64", &said) == 0, "%s", said);
    json_t *record = record_of("fast");
    plx_refine_options fast = plx_refine_options_of(PLX_REFINE_BLEND, PLX_QUALITY_FAST);
    EXPECT(refinement(record, "steps") == 1 && refinement(record, "rays") == 64, "not --set's numbers");
    EXPECT(refinement(record, "views") == fast.views &&
               refinement(record, "field-steps") == fast.distill.field_steps,
           "not the quality's numbers");
    json_decref(record);
    static const char *const wrong[][2] = {{"--set eta=0", "no number of the refinement"},
                                           {"--set gama=1", "not NAME=VALUE"},
                                           {"--set gamma=-1", "from 0"},
                                           {"--refine none --set gamma=1", "has no numbers"},
                                           {"--refine none --seeds 2", "nothing at random"},
                                           {"--seeds 0", "from 1"},
                                           {"--quality good", "fast"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int code = run("wrong", wrong[i][0], &said);
        EXPECT(code == 2 && strstr(said, wrong[i][1]), "%s: %d %s", wrong[i][0], code, said);
        EXPECT(access(test_file("wrong"), F_OK) != 0, "%s: wrote a folder", wrong[i][0]);
    }
}

/* More is spent by the better quality, number by number. */
TEST(reconstruct, qualities_are_in_order) {
    for (int q = 1; q < PLX_QUALITIES; q++) {
        plx_refine_options a = plx_refine_options_of(PLX_REFINE_BLEND, (enum plx_quality)(q - 1));
        plx_refine_options b = plx_refine_options_of(PLX_REFINE_BLEND, (enum plx_quality)q);
        double before = (double)a.views * a.distill.steps, after = (double)b.views * b.distill.steps;
        EXPECT(after > before, "%d: %g denoised views, after %g", q, after, before);
    }
}

static bool same_files(const char *a, const char *b) {
    char command[1200];
    snprintf(command, sizeof command, "cmp -s %s %s", a, b);
    return system(command) == 0;
}

/* Three seeds are what three runs with one seed each are. */
TEST(reconstruct, seeds_are_separate_runs_side_by_side) {
    const char *said, *quick = "--quality fast --set steps=1 --set views=2 --set rays=64 --set field-steps=1";
    char more[512];
    snprintf(more, sizeof more, "%s --seed 5 --seeds 3", quick);
    REQUIRE(run("three", more, &said) == 0, "%s", said);
    snprintf(more, sizeof more, "%s --seed 7", quick);
    REQUIRE(run("third", more, &said) == 0, "%s", said);
    EXPECT(same_files(test_file("three/scene-7.safetensors"), test_file("third/scene.safetensors")),
           "seed 7 is not seed 7");
    EXPECT(!same_files(test_file("three/scene.safetensors"), test_file("third/scene.safetensors")),
           "seed 5 is seed 7");
    plx_image sheet = {0};
    REQUIRE(plx_image_load(&sheet, test_file("three/seeds.png")) == 0, "%s", plx_error());
    EXPECT(sheet.height == 3 * 16 && sheet.width == PLX_SEED_VIEWS * 16, "%dx%d", sheet.width, sheet.height);
    plx_image_free(&sheet);
    json_t *record = record_of("three"), *spread = json_object_get(record, "spread");
    EXPECT(json_array_size(json_object_get(spread, "deviation")) == PLX_SEED_VIEWS, "no spread in run.json");
    json_decref(record);
}

TEST(reconstruct, results_in_a_store) {
    const char *said;
    char more[700], store[300], other[300];
    snprintf(store, sizeof store, "%s", test_file("reconstructed"));
    snprintf(more, sizeof more, "--refine none --store %s", store);
    REQUIRE(run("kept", more, &said) == 0, "%s", said);
    snprintf(more, sizeof more, "store ls %s", store);
    REQUIRE(test_run_parallax_output(more, &said) == 0, "%s", said);
    EXPECT(strstr(said, "disc\t-\tf16 xy ") == said && strstr(said, "disc.png\n"), "%s", said);
    snprintf(more, sizeof more, "store get %s disc -o %s", store, test_file("disc.safetensors"));
    REQUIRE(test_run_parallax_output(more, &said) == 0, "%s", said);
    snprintf(more, sizeof more, "render %s -o %s -n 1 --size 16 --samples 16 --quiet",
             test_file("disc.safetensors"), test_file("from-store"));
    EXPECT(test_run_parallax(more, &said) == 0, "%s", said);
    snprintf(more, sizeof more, "render %s/scene.safetensors -o %s -n 1 --size 16 --samples 16 --quiet",
             test_file("kept"), test_file("from-file"));
    EXPECT(test_run_parallax(more, &said) == 0, "%s", said);
    EXPECT(same_files(test_file("from-store/00000.png"), test_file("from-file/00000.png")), "another field");
    /* What cannot be kept is said before the work, and no store is made for work that fails. */
    snprintf(other, sizeof other, "%s", test_file("unmade"));
    char line[1400], hidden[300];
    snprintf(hidden, sizeof hidden, "%s", test_file(".hidden.png"));
    write_disc(hidden);
    const char *const pictures[][2] = {{hidden, "'.hidden': an id is"},
                                       {test_file("gone.png"), "No such file"}};
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line, "reconstruct %s --model %s -o %s --refine none --quiet --store %s",
                 pictures[i][0], test_file("tiny.safetensors"), test_file("unmade-results"), other);
        EXPECT(test_run_parallax(line, &said) == 1 && strstr(said, pictures[i][0]) &&
                   strstr(said, pictures[i][1]) && access(other, F_OK) &&
                   access(test_file("unmade-results"), F_OK),
               "%s", said);
    }
}

/* Results of one name in one folder: the first would be lost. */
TEST(reconstruct, two_pictures_of_one_name) {
    const char *said;
    char line[900];
    snprintf(line, sizeof line, "reconstruct x/disc.png y/disc.jpg --model none -o %s --quiet",
             test_file("twice"));
    EXPECT(test_run_parallax(line, &said) == 1 &&
               strstr(said, "y/disc.jpg: its results would take the place of those of x/disc.png"),
           "%s", said);
}

/* Two seeds' views c +- d, opaque: the deviation is d, where it is asked for and nowhere else. */
TEST(reconstruct, spread_of_two_constant_views) {
    plx_seed_views v;
    double deviation[PLX_SEED_VIEWS];
    REQUIRE(plx_seed_views_create(&v, 2) == 0, "%s", plx_error());
    for (int i = 0; i < 2 * PLX_SEED_VIEWS; i++) {
        int view = i % PLX_SEED_VIEWS;
        float d = (i < PLX_SEED_VIEWS ? 1.f : -1.f) * (view == 4 ? 0.2f : view == 0 ? 0.1f : 0);
        REQUIRE(plx_image_create(&v.images[i], 4, 4, 4) == 0, "%s", plx_error());
        /* The left half shows the object; the other is empty and does not count. */
        for (int p = 0; p < 16; p++)
            for (int c = 0; c < 4; c++) v.images[i].data[4 * p + c] = c < 3 ? 0.5f + d : p % 4 < 2;
    }
    REQUIRE(plx_seed_spread(deviation, &v) == 0, "%s", plx_error());
    for (int k = 0; k < PLX_SEED_VIEWS; k++) {
        double expected = k == 4 ? 0.2 : k == 0 ? 0.1 : 0;
        EXPECT(fabs(deviation[k] - expected) < 1e-6, "view %d: %g", k, deviation[k]); /* float rounding */
    }
    /* Seen: views at 0 and +-45 degrees; unseen: at 180 and +-135. */
    plx_seed_sides sides = plx_seed_spread_sides(deviation);
    EXPECT(fabs(sides.seen - 0.1 / sqrt(3)) < 1e-6 && fabs(sides.unseen - 0.2 / sqrt(3)) < 1e-6, "%g %g",
           sides.seen, sides.unseen);
    plx_seed_views_free(&v);
}
