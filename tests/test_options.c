/* Tables of options: values, ranges, defaults, the record; and the progress callback. */
#include "tests/test.h"

#include "tools/parallax.h"

typedef struct values {
    bool fast;
    int frames, kind, size[2];
    int64_t seed;
    float fov, elevation;
    const char *output;
    unsigned outputs;
    plx_list with;
} values;

static const plx_option table[] = {
    {PLX_OPTION_FLAG, "fast", 'f', offsetof(values, fast), .help = "hurry"},
    {PLX_OPTION_INT, "frames", 'n', offsetof(values, frames), "48", 1, 1000, .help = "how many"},
    {PLX_OPTION_INT64, "seed", 0, offsetof(values, seed), "0", 0, 0x1p53, .help = "random numbers"},
    {PLX_OPTION_FLOAT, "fov", 0, offsetof(values, fov), "51.989", 0, 180, .open = true, .word = "DEG",
     .help = "vertical"},
    {PLX_OPTION_FLOAT, "elevation", 0, offsetof(values, elevation), NULL, -90, 90, .help = "of the camera"},
    {PLX_OPTION_TEXT, "output", 'o', offsetof(values, output), NULL, .word = "FILE", .help = "where to"},
    {PLX_OPTION_CHOICE, "refine", 0, offsetof(values, kind), "none", .word = "none|paper|blend",
     .help = "how"},
    {PLX_OPTION_SET, "outputs", 0, offsetof(values, outputs), "rgb", .word = "rgb|depth|alpha",
     .help = "what"},
    {PLX_OPTION_LIST, "with", 0, offsetof(values, with), NULL, .word = "NAME=X", .help = "what else"},
    {PLX_OPTION_SIZE, "size", 0, offsetof(values, size), "256", 1, 16384, .help = "of the frames"},
    {.type = PLX_OPTION_END}};

static const plx_command command = {.name = "draw",
                                    .arguments = "SCENE [MORE]",
                                    .summary = "draws",
                                    .min_arguments = 1,
                                    .max_arguments = 2,
                                    .options = table,
                                    .values_size = sizeof(values)};

/* Cuts `line` at spaces and parses it. */
static int parse(plx_run *run, const char *line) {
    static char text[512];
    char *words[32];
    int count = 0;
    snprintf(text, sizeof text, "draw %s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) words[count++] = word;
    words[count] = NULL;
    return plx_run_parse(run, &command, count, words);
}

TEST(options, defaults) {
    plx_run run;
    REQUIRE(parse(&run, "scene") == PLX_OK, "%s", plx_error());
    values *v = run.values;
    EXPECT(!v->fast && v->frames == 48 && v->seed == 0 && v->kind == 0, "%d %d", v->frames, v->kind);
    EXPECT(v->fov == 51.989f && isnan(v->elevation) && !v->output, "%g %g", (double)v->fov,
           (double)v->elevation);
    EXPECT(v->with.count == 0, "%d", v->with.count);
    EXPECT(v->outputs == 1 && v->size[0] == 256 && v->size[1] == 256, "%u %d", v->outputs, v->size[1]);
    EXPECT(run.count == 1 && !strcmp(run.arguments[0], "scene"), "%d", run.count);
    EXPECT(!run.common.quiet && run.common.threads == 0, "%d", run.common.threads);
    EXPECT(!plx_run_given(&run, "frames"), "frames was not given");
    plx_run_free(&run);
    plx_run_free(&run); /* emptied: nothing to do */
}

TEST(options, given) {
    plx_run run;
    REQUIRE(parse(&run,
                  "a --frames=0007 -f b --fov 60 --elevation -0 -o x -o out.mp4 --refine blend "
                  "--outputs alpha,rgb --size 320x240 --seed 9007199254740992 --threads 3 -q") == PLX_OK,
            "%s", plx_error());
    values *v = run.values;
    EXPECT(v->fast && v->frames == 7 && v->fov == 60 && v->elevation == 0, "%d %g", v->frames,
           (double)v->fov);
    EXPECT(!strcmp(v->output, "out.mp4") && v->kind == 2 && v->outputs == 5, "%s %d %u", v->output, v->kind,
           v->outputs);
    EXPECT(v->size[0] == 320 && v->size[1] == 240 && v->seed == (int64_t)1 << 53, "%dx%d", v->size[0],
           v->size[1]);
    EXPECT(run.count == 2 && !strcmp(run.arguments[1], "b"), "%d", run.count);
    EXPECT(run.common.quiet && run.common.threads == 3, "%d", run.common.threads);
    EXPECT(plx_run_given(&run, "elevation") && plx_run_given(&run, "size"), "were given");
    plx_run_free(&run);
    /* What begins with a dash is a file after "--". */
    REQUIRE(parse(&run, "-- --fov") == PLX_OK && run.count == 1, "%s", plx_error());
    EXPECT(!strcmp(run.arguments[0], "--fov"), "%s", run.arguments[0]);
    plx_run_free(&run);
}

TEST(options, what_is_wrong_is_named) {
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"", "missing argument: SCENE [MORE]"},
        {"a b c", "one argument too many: c"},
        {"a --nothing", "unknown option --nothing"},
        {"a -x", "unknown option -x"},
        {"a --frames", "--frames needs a value"},
        {"a --fast=1", "--fast=1: option does not take an argument"},
        {"a --frames 0", "--frames 0: must be from 1 to 1000"},
        {"a --frames 1001", "--frames 1001: must be from 1 to 1000"},
        {"a --frames 7.5", "--frames 7.5: not a whole number"},
        {"a --frames 99999999999999999999", "--frames 99999999999999999999: too large a number"},
        {"a --frames 4294967297", "--frames 4294967297: too large a number"},
        {"a --frames 7x", "--frames 7x: not a whole number"},
        {"a --frames=", "--frames : not a whole number"},
        {"a --seed -1", "--seed -1: must be from 0 to 9007199254740992"},
        {"a --fov 0", "--fov 0: must be between 0 and 180, both excluded"},
        {"a --fov 180", "--fov 180: must be between 0 and 180, both excluded"},
        {"a --fov nan", "--fov nan: not a number"},
        {"a --fov 1e999", "--fov 1e999: not a number"},
        {"a --fov 1e39", "--fov 1e39: not a number"},
        {"a --elevation -91", "--elevation -91: must be from -90 to 90"},
        {"a --refine NONE", "--refine NONE: must be one of none|paper|blend"},
        {"a --refine pap", "--refine pap: must be one of none|paper|blend"},
        {"a --refine=", "--refine : must be one of none|paper|blend"},
        {"a --outputs rgb,,alpha", "--outputs rgb,,alpha: '' is none of rgb|depth|alpha"},
        {"a --outputs rgb,", "--outputs rgb,: '' is none of rgb|depth|alpha"},
        {"a --size 0x5", "--size 0x5: must be from 1 to 16384"},
        {"a --size 5x0", "--size 5x0: must be from 1 to 16384"},
        {"a --size 5x", "--size 5x: not a size such as 256 or 320x240"},
        {"a --size 5x5x5", "--size 5x5x5: not a size such as 256 or 320x240"},
        {"a --size 4294967297", "--size 4294967297: not a size such as 256 or 320x240"},
        {"a --threads 0", "--threads 0: must be from 1 to 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plx_run run;
        int status = parse(&run, cases[i].line);
        EXPECT(status == PLX_ERROR_USAGE, "'%s': %d", cases[i].line, status);
        EXPECT(!strcmp(plx_error(), cases[i].message), "'%s': %s", cases[i].line, plx_error());
        EXPECT(!run.values && !run.arguments, "'%s' left memory", cases[i].line);
        plx_run_free(&run);
    }
}

TEST(options, help_shows_default_and_range) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    plx_command_help(&command, out);
    fclose(out);
    static const char *const wanted[] = {"parallax draw SCENE [MORE] [OPTION...]",
                                         "-n, --frames=N",
                                         "how many (default 48; 1 to 1000)",
                                         "--fov=DEG",
                                         "within 0 to 180",
                                         "--refine=none|paper|blend",
                                         "-o, --output=FILE",
                                         "of rgb|depth|alpha",
                                         "--threads",
                                         "-h, --help"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        EXPECT(strstr(text, wanted[i]), "no '%s' in:\n%s", wanted[i], text);
    free(text);
    plx_run run;
    REQUIRE(parse(&run, "--help") == PLX_OK, "--help asks for arguments: %s", plx_error());
    EXPECT(run.common.help, "help");
    plx_run_free(&run);
}

TEST(options, record) {
    plx_run run;
    REQUIRE(parse(&run, "scene --fov 0.1 --with a=1 --outputs depth,alpha --with b -f") == PLX_OK, "%s",
            plx_error());
    json_t *record = plx_run_record(&run);
    char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    const char *want =
        "{\"arguments\":[\"scene\"],\"command\":\"draw\",\"options\":{\"elevation\":null,\"fast\":true,"
        "\"fov\":0.1,\"frames\":48,\"output\":null,\"outputs\":[\"depth\",\"alpha\"],"
        "\"refine\":\"none\",\"seed\":0,\"size\":[256,256],\"with\":[\"a=1\",\"b\"]},\"version\":"
        "\"" PLX_VERSION "\"}";
    EXPECT(text && !strcmp(text, want), "%s", text);
    free(text);
    json_decref(record);
    plx_run_free(&run);
}
