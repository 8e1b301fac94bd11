/* Who is compared: numbers by name, sweeps, other models, the nearest training object. */
#include "tests/test.h"
#include "tests/tiny_model.h"
#include "nerf/core/file.h"
#include "tools/evaluation_entrants.h"
#include "tools/evaluation_nearest.h"
#include "tools/parallax.h"

/* ---- settings and sweeps ---------------------------------------------------------------------------------------------- */

TEST(eval_methods, settings_are_read_and_refused) {
    plx_eval_setting s;
    REQUIRE(plx_eval_setting_parse(&s, "sweep", "gamma=0,0.25,1e0", 16) == 0, "%s", plx_error());
    EXPECT(s.count == 3 && s.values[1] == 0.25 && !strcmp(plx_eval_parameter_name(s.parameter), "gamma"),
           "%d %g", s.count, s.values[1]);
    static const char *const wrong[][2] = {
        {"gama=1", "gamma"},        {"gamma", "NAME=VALUE"},        {"gamma=", "list of numbers"},
        {"gamma=1,", "numbers"},    {"gamma=1,x", "numbers"},       {"gamma=-1", "from 0 to"},
        {"gamma=nan", "from 0 to"}, {"steps=2.5", "whole"},         {"steps=0", "from 1"},
        {"gamma=1,2,1", "twice"},   {"gamma=1,2,3,4", "at most 3"}, {"steps=1;2", "numbers"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int status = plx_eval_setting_parse(&s, "sweep", wrong[i][0], 3);
        EXPECT(status == PLX_ERROR_USAGE && strstr(plx_error(), wrong[i][1]), "%s: %d %s", wrong[i][0],
               status, plx_error());
    }
}

/* Every name reaches a number of its own, and comes back. */
TEST(eval_methods, numbers_come_back) {
    static const char *const names[] = {"gamma=0.25",
                                        "steps=7",
                                        "views=5",
                                        "field-steps=3",
                                        "rays=64",
                                        "final-steps=2",
                                        "t-max=0.5",
                                        "guidance-t=0.25",
                                        "guidance=1.5",
                                        "eta=0.5",
                                        "condition=1",
                                        "clamp=0",
                                        "rate=0.125",
                                        "decoder-rate=0.5",
                                        "opacity-weight=2",
                                        "input-fraction=0.5",
                                        "object-fraction=0.25"};
    enum { NAMES = sizeof names / sizeof *names };
    plx_eval_numbers n = {plx_refine_options_default(PLX_REFINE_BLEND), plx_view_sampling_default()};
    plx_eval_setting s[NAMES];
    for (int i = 0; i < NAMES; i++) {
        REQUIRE(plx_eval_setting_parse(&s[i], "set", names[i], 1) == 0, "%s", plx_error());
        plx_eval_parameter_set(&n, s[i].parameter, s[i].values[0]);
    }
    for (int i = 0; i < NAMES; i++) {
        unsigned has =
            plx_eval_parameter_of(s[i].parameter, PLX_EVAL_REFINES) ? PLX_EVAL_REFINES : PLX_EVAL_SAMPLES;
        EXPECT(plx_eval_parameter_get(&n, s[i].parameter, has) == s[i].values[0], "%s", names[i]);
    }
    const plx_distill_options *d = &n.refine.distill;
    EXPECT(d->gamma == 0.25 && d->steps == 7 && n.sampling.steps == 7 && n.refine.views == 5 && !d->clamp &&
               d->condition == PLX_CONDITION_CURRENT && d->step.rate == 0.125f && n.sampling.eta == 0.5,
           "gamma %g, %d steps", d->gamma, d->steps);
}

TEST(eval_methods, a_sweep_varies_one_number) {
    char *sweep_texts[] = {"gamma=0,0.5,1", "steps=5,25"}, *set_texts[] = {"rays=64"}, *bad[] = {"eta=0"};
    plx_list set = {1, set_texts}, sweep = {2, sweep_texts};
    plx_eval_compared compared = {.name = "other"};
    plx_eval_entrants_options o = {.methods = 1u << PLX_EVAL_FEEDFORWARD | 1u << (PLX_EVAL_METHODS - 1),
                                   .qualities = 1u << PLX_QUALITY_DEFAULT,
                                   .seed = 9,
                                   .set = &set,
                                   .sweep = &sweep,
                                   .compared_count = 1,
                                   .compared = &compared};
    static plx_eval_entrants e;
    REQUIRE(plx_eval_entrants_make(&e, &o) == 0, "%s", plx_error());
    /* feedforward, blend, other; then gamma 0 and 1 and steps 5: blend itself has 0.5 and 25. */
    static const char *const names[] = {"feedforward",    "blend",          "other",
                                        "blend(gamma=0)", "blend(gamma=1)", "blend(steps=5)"};
    REQUIRE(e.count == 6 && e.plain == 3, "%d entrants, %d plain", e.count, e.plain);
    for (int i = 0; i < 6; i++) EXPECT(!strcmp(e.list[i].name, names[i]), "%d: %s", i, e.list[i].name);
    EXPECT(e.sweeps[0].entrant[0][1] == 1 && e.sweeps[1].entrant[0][1] == 1, "the default is measured twice");
    const plx_distill_options *a = &e.list[4].means.numbers.refine.distill,
                              *b = &e.list[5].means.numbers.refine.distill;
    EXPECT(a->gamma == 1 && a->steps == 25 && a->rays == 64 && a->seed == 9, "%g %d", a->gamma, a->steps);
    EXPECT(b->gamma == 0.5 && b->steps == 5 && b->rays == 64, "%g %d", b->gamma, b->steps);
    sweep = (plx_list){1, bad};
    EXPECT(plx_eval_entrants_make(&e, &o) == PLX_ERROR_USAGE && strstr(plx_error(), "none of --methods"),
           "%s", plx_error());
}

/* Refinements are measured at each quality, other methods once. */
TEST(eval_methods, qualities_are_entrants) {
    plx_list none = {0};
    plx_eval_entrants_options o = {.methods = 1u << PLX_EVAL_FEEDFORWARD | 1u << (PLX_EVAL_METHODS - 1),
                                   .qualities = (1u << PLX_QUALITIES) - 1,
                                   .set = &none,
                                   .sweep = &none};
    static plx_eval_entrants e;
    static const char *const names[] = {"feedforward", "blend-fast", "blend", "blend-best"};
    REQUIRE(plx_eval_entrants_make(&e, &o) == 0, "%s", plx_error());
    REQUIRE(e.count == 4 && e.plain == 4, "%d entrants, %d plain", e.count, e.plain);
    for (int i = 0; i < 4; i++) EXPECT(!strcmp(e.list[i].name, names[i]), "%d: %s", i, e.list[i].name);
    EXPECT(e.list[3].means.numbers.refine.views ==
               plx_refine_options_of(PLX_REFINE_BLEND, PLX_QUALITY_BEST).views,
           "best has %d views", e.list[3].means.numbers.refine.views);
}

/* ---- the commands ----------------------------------------------------------------------------------------------------- */

/* A box with the given half sides about the origin. */
static int write_box(const char *name, double x, double y, double z) {
    char text[1024];
    size_t at = 0;
    for (int i = 0; i < 8; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "v %g %g %g\n", i & 1 ? x : -x, i & 2 ? y : -y,
                               i & 4 ? z : -z);
    at += (size_t)snprintf(text + at, sizeof text - at,
                           "f 1 3 4 2\nf 5 6 8 7\nf 1 2 6 5\nf 3 7 8 4\nf 1 5 7 3\nf 2 4 8 6\n");
    return plx_file_write(test_file(name), text, at);
}

/* Three shapes to train on; the test object is the tall one under another name. */
static const char table[] =
    "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\tnote\n"
    "flat\tF\tbox\tflat.obj\tCC0-1.0\tme\ty\t\ta\ttrain\t1\t\n"
    "tall\tT\tbox\ttall.obj\tCC0-1.0\tme\ty\t\tb\ttrain\t1\t\n"
    "cube\tC\tbox\tcube.obj\tCC0-1.0\tme\ty\t\tc\ttrain\t1\t\n"
    "twin\tW\tbox\ttall.obj\tCC0-1.0\tme\ty\t\td\ttest\t1\t\n"
    "other\tO\tbox\tflat.obj\tCC0-1.0\tme\ty\t\te\ttest\t1\t\n";

static int write_set(void) {
    int status = write_box("flat.obj", 1, 0.2, 1);
    if (!status) status = write_box("tall.obj", 0.2, 1, 0.3);
    if (!status) status = write_box("cube.obj", 1, 1, 1);
    if (!status) status = tiny_model_save(test_file("tiny.safetensors"));
    return status ? status : plx_file_write(test_file("objects.tsv"), table, sizeof table - 1);
}

static json_t *evaluated(int code, const char *more, const char *line) {
    char arguments[2048];
    const char *text, *dir = test_directory();
    snprintf(
        arguments, sizeof arguments,
        "eval --quiet --samples 8 --model %s/tiny.safetensors --catalogue %s/objects.tsv --data %s --json "
        "%s/methods.json %s",
        dir, dir, dir, dir, more);
    int got = test_run_parallax(arguments, &text);
    EXPECT(got == code && (!line || strstr(text, line)), "%s: %d %s", more, got, text);
    return code ? NULL : json_load_file(test_file("methods.json"), 0, NULL);
}

static double result(const json_t *all, size_t m, const char *name) {
    return json_number_value(json_object_get(json_object_get(json_array_get(all, m), "results"), name));
}

/* A twin of each test object is among the training objects: its views are the true ones. */
TEST(eval_methods, nearest_finds_the_twin) {
    REQUIRE(write_set() == 0, "%s", plx_error());
    json_t *one = evaluated(0, "--methods copy,nearest --threads 1", NULL),
           *two = evaluated(0, "--methods copy,nearest --threads 2", NULL);
    REQUIRE(json_array_size(one) == 2 && json_array_size(two) == 2, "methods");
    EXPECT(result(one, 1, "iou") == 1 && result(one, 1, "depth_error") == 0, "IoU %g, depth %g",
           result(one, 1, "iou"), result(one, 1, "depth_error"));
    EXPECT(json_equal(json_object_get(json_array_get(one, 1), "results"),
                      json_object_get(json_array_get(two, 1), "results")),
           "1 and 2 processes, two results");
    json_decref(one), json_decref(two);
}

TEST(eval_methods, compares_models_and_sweeps) {
    char more[1024];
    REQUIRE(write_set() == 0, "%s", plx_error());
    snprintf(
        more, sizeof more,
        "--methods feedforward,views,blend --objects 1 --compare same=%s --set views=2 --set rays=64 --set "
        "field-steps=1 --set final-steps=1 --set steps=2 --sweep gamma=0,0.5 --plot %s --time-plot %s",
        test_file("tiny.safetensors"), test_file("sweep.svg"), test_file("time.svg"));
    json_t *all = evaluated(0, more, NULL), *swept;
    REQUIRE(json_array_size(all) == 5, "%zu methods", json_array_size(all)); /* with blend(gamma=0) */
    EXPECT(result(all, 0, "psnr") == result(all, 3, "psnr"), "the same model under another name");
    swept = json_object_get(json_array_get(all, 4), "swept");
    EXPECT(json_number_value(json_object_get(swept, "value")) == 0 &&
               !strcmp(json_string_value(json_object_get(swept, "parameter")), "gamma"),
           "swept");
    EXPECT(result(all, 4, "psnr") != result(all, 2, "psnr"), "gamma makes no difference");
    json_decref(all);
    char *svg;
    size_t size;
    REQUIRE(plx_file_read(&svg, &size, test_file("sweep.svg"), 1 << 20) == 0, "%s", plx_error());
    EXPECT(strstr(svg, "<svg") && strstr(svg, "</svg>") && strstr(svg, ">FLIP minus feedforward<") &&
               strstr(svg, ">sharpness over feedforward<") && !strstr(svg, "nan"),
           "%s", svg);
    free(svg);
    REQUIRE(plx_file_read(&svg, &size, test_file("time.svg"), 1 << 20) == 0, "%s", plx_error());
    EXPECT(strstr(svg, "seconds an object") && strstr(svg, "</svg>") && strstr(svg, ">blend<") &&
               !strstr(svg, "nan"),
           "%s", svg);
    free(svg);
    evaluated(2, "--methods copy --sweep gamma=1", "none of --methods");
    evaluated(2, "--methods copy --compare blend=x", "a method has that name");
    evaluated(2, "--methods copy --compare nothing", "NAME=FILE");
    evaluated(1, "--methods copy --compare x=/nowhere.safetensors", "/nowhere.safetensors");
    evaluated(2, "--methods copy --plot x.svg", "--sweep");
}
