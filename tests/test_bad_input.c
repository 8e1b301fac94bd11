/* What is wrong with an input ends in one line that names it, a failing exit code, and nothing changed on disk. */
#include "tests/test.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "nerf/core/file.h"
#include "render/render.h"
#include "tests/tiny_model.h"

/* Names, sizes and contents of everything in a folder, hidden files too; malloc'ed. */
static char *listing(const char *folder) {
    char command[512];
    char *text = calloc(1, 65536);
    snprintf(command, sizeof command, "cd %s 2>&1 && find . | sort && find . -type f | sort | xargs md5sum",
             folder);
    FILE *pipe = popen(command, "r");
    if (!pipe || !text) abort();
    text[fread(text, 1, 65535, pipe)] = 0;
    pclose(pipe);
    return text;
}

/* Fails with `code` and one line that holds `name` and `why`; `folder` stays as it is, or absent. */
static void refused(const char *arguments, int code, const char *name, const char *why, const char *folder) {
    const char *said;
    char *before = listing(folder);
    int got = test_run_parallax(arguments, &said);
    char *after = listing(folder);
    EXPECT(got == code, "parallax %s: exit %d, not %d: %s", arguments, got, code, said);
    EXPECT(!strncmp(said, "parallax: ", 10) && strchr(said, '\n') == said + strlen(said) - 1,
           "parallax %s: not one line: '%s'", arguments, said);
    EXPECT(strstr(said, name), "parallax %s: no '%s' in '%s'", arguments, name, said);
    EXPECT(strstr(said, why), "parallax %s: no '%s' in '%s'", arguments, why, said);
    EXPECT(!strcmp(before, after), "parallax %s: the folder was\n%sand is\n%s", arguments, before, after);
    free(before);
    free(after);
}

static void write_bytes(const char *path, const void *data, size_t size) {
    if (plx_file_write(path, data, size)) abort();
}

/* A red disc, RGBA; alpha is multiplied by `shown`. */
static void write_picture(const char *path, float shown) {
    plx_image image;
    if (plx_image_create(&image, 64, 64, 4)) abort();
    for (int p = 0; p < 64 * 64; p++) {
        int y = p / 64 - 32, x = p % 64 - 32;
        image.data[4 * p] = 0.8f;
        image.data[4 * p + 3] = shown * (x * x + y * y < 500);
    }
    if (plx_png_save(path, &image)) abort();
    plx_image_free(&image);
}

static void copy_part(const char *to, const char *from, double part) {
    char *data;
    size_t size;
    if (plx_file_read(&data, &size, from, (size_t)1 << 30)) abort();
    write_bytes(to, data, (size_t)(part * (double)size));
    free(data);
}

/* The file's last two or four bytes, a weight, become NaN: 0x7e00 in half, 0xffffffff in either. */
static void copy_with_nan(const char *to, const char *from) {
    char *data;
    size_t size;
    if (plx_file_read(&data, &size, from, (size_t)1 << 30)) abort();
    memset(data + size - 4, 0xff, 4);
    write_bytes(to, data, size);
    free(data);
}

static void copy_with_text(const char *to, const char *from, const char *old, const char *new) {
    char *data;
    size_t size, length = strlen(old);
    if (plx_file_read(&data, &size, from, (size_t)1 << 30) || strlen(new) != length) abort();
    for (size_t i = 0; i + length <= size; i++)
        if (!memcmp(data + i, old, length)) memcpy(data + i, new, length);
    write_bytes(to, data, size);
    free(data);
}

/* A model, a scene of it, a picture; results of an earlier run in the folder "out". */
static void prepare(void) {
    if (access(test_file("tiny.safetensors"), R_OK) == 0) return;
    if (tiny_model_save(test_file("tiny.safetensors"))) abort();
    write_picture(test_file("good.png"), 1);
    plx_model *model = NULL;
    plx_field *field = NULL;
    plx_image image = {0};
    plx_view input;
    char warning[256];
    plx_input_options o = plx_input_options_default();
    if (plx_model_load(&model, test_file("tiny.safetensors")) ||
        plx_image_load(&image, test_file("good.png")) ||
        plx_input_prepare(&input, &image, "good.png", &o, 32, warning) ||
        plx_model_reconstruct(&field, model, &input, true, false) ||
        plx_field_save(field, test_file("scene.safetensors"), true) ||
        plx_make_directories(test_file("out/views")))
        abort();
    write_bytes(test_file("out/scene.safetensors"), "of before", 9);
    write_bytes(test_file("out/views/00000.png"), "of before", 9);
    write_bytes(test_file("out/mine.txt"), "mine", 4);
    plx_field_free(field);
    plx_model_free(model);
    plx_image_free(&image);
    plx_image_free(&input.colour);
}

static const char *reconstruct(const char *image, const char *model, const char *output, const char *more) {
    static char arguments[2048];
    snprintf(arguments, sizeof arguments,
             "reconstruct %s --model %s -o %s --refine none --views 1 --frames 1 --size 16 --elevation 20 "
             "--quiet %s",
             image, model, output, more);
    return arguments;
}

static void image_refused(const char *name, const char *why) {
    refused(reconstruct(test_file(name), test_file("tiny.safetensors"), test_file("out"), ""), 1, name, why,
            test_file("out"));
    refused(reconstruct(test_file(name), test_file("tiny.safetensors"), test_file("new"), ""), 1, name, why,
            test_file("new"));
}

TEST(bad_input, pictures) {
    char *data;
    size_t size;
    prepare();
    image_refused("missing.png", "No such file");
    write_bytes(test_file("empty.png"), "", 0);
    image_refused("empty.png", "");
    write_bytes(test_file("text.png"), "This is no image.\n", 18);
    image_refused("text.png", "");
    copy_part(test_file("truncated.png"), test_file("good.png"), 0.5);
    image_refused("truncated.png", "");
    write_picture(test_file("transparent.png"), 0);
    image_refused("transparent.png", "fully transparent");
    REQUIRE(plx_file_read(&data, &size, test_file("good.png"), 1 << 20) == 0, "%s", plx_error());
    memcpy(data + 16, "\0\1\x86\xa0\0\1\x86\xa0", 8);
    write_bytes(test_file("oversized.png"), data, size);
    image_refused("oversized.png", "100000x100000");
    memcpy(data + 16, "\0\0\0\0\0\0\0\0", 8);
    write_bytes(test_file("zero.png"), data, size);
    image_refused("zero.png", "0x0");
    free(data);
    REQUIRE(plx_make_directories(test_file("folder.png")) == 0, "%s", plx_error());
    image_refused("folder.png", "folder");
}

/* Of several pictures the good ones before the bad one are done. */
TEST(bad_input, one_of_several_pictures) {
    const char *said;
    prepare();
    char two[600];
    snprintf(two, sizeof two, "%s %s", test_file("good.png"), test_file("missing.png"));
    int code =
        test_run_parallax(reconstruct(two, test_file("tiny.safetensors"), test_file("several"), ""), &said);
    EXPECT(code == 1 && strstr(said, "missing.png: No such file"), "%d %s", code, said);
    EXPECT(access(test_file("several/good/run.json"), R_OK) == 0, "the first is not there");
    EXPECT(access(test_file("several/missing"), F_OK) != 0, "a folder for the second");
}

static void model_refused(const char *name, const char *why) {
    refused(reconstruct(test_file("good.png"), test_file(name), test_file("out"), ""), 1, name, why,
            test_file("out"));
    refused(reconstruct(test_file("good.png"), test_file(name), test_file("new"), ""), 1, name, why,
            test_file("new"));
}

TEST(bad_input, models) {
    prepare();
    char model[256];
    snprintf(model, sizeof model, "%s", test_file("tiny.safetensors"));
    model_refused("nowhere.safetensors", "No such file");
    write_bytes(test_file("text.safetensors"), "This is no model.\n", 18);
    model_refused("text.safetensors", "");
    copy_part(test_file("half.safetensors"), model, 0.5);
    model_refused("half.safetensors", "");
    copy_with_text(test_file("later.safetensors"), model, "parallax-model-1", "parallax-model-9");
    model_refused("later.safetensors", "parallax-model-9");
    copy_with_nan(test_file("nan.safetensors"), model);
    model_refused("nan.safetensors", "NaN");
    copy_with_text(test_file("odd.safetensors"), model, "\\\"hidden\\\": 64", "\\\"hidden\\\": 48");
    model_refused("odd.safetensors", "shape");
    model_refused("scene.safetensors", "not a Parallax model");
    model_refused("good.png", "good.png");
}

TEST(bad_input, options) {
    prepare();
    const char *const fovs[] = {"--fov 0", "--fov 180", "--fov -20", "--fov 1000", "--fov nan", "--fov wide"};
    for (int i = 0; i < 6; i++) {
        refused(reconstruct(test_file("good.png"), test_file("tiny.safetensors"), test_file("out"), fovs[i]),
                2, "--fov", "", test_file("out"));
        char render[600];
        snprintf(render, sizeof render, "render %s -o %s %s", test_file("scene.safetensors"),
                 test_file("out"), fovs[i]);
        refused(render, 2, "--fov", "", test_file("out"));
    }
    char missing[300];
    snprintf(missing, sizeof missing, "reconstruct %s", test_file("good.png"));
    refused(missing, 2, "--output", "needed", test_file("out"));
}

TEST(bad_input, folders_that_cannot_be_written) {
    prepare();
    write_bytes(test_file("file"), "x", 1);
    refused(reconstruct(test_file("good.png"), test_file("tiny.safetensors"), test_file("file"), ""), 1,
            "file", "not a folder", test_file("out"));
    refused(reconstruct(test_file("good.png"), test_file("tiny.safetensors"), test_file("file/below"), ""), 1,
            "file", "", test_file("out"));
    refused(reconstruct(test_file("good.png"), test_file("tiny.safetensors"), "/proc/nowhere", ""), 1,
            "/proc/nowhere", "", test_file("out"));
    char render[600];
    snprintf(render, sizeof render, "render %s -o /proc/nowhere/a.mp4 -n 1 --size 16 --quiet",
             test_file("scene.safetensors"));
    refused(render, 1, "/proc/nowhere", "", test_file("out"));
    snprintf(render, sizeof render, "render %s -o %s -n 1 --size 16 --quiet", test_file("scene.safetensors"),
             test_file("file/below"));
    refused(render, 1, "file", "", test_file("out"));
}

/* ---- a full disk ----------------------------------------------------------------------------------------------------- */

/* No file may grow past `bytes` in programs that are run: the write fails with EFBIG, as ENOSPC does on a full disk, once
 * SIGXFSZ is not left to end the program. */
static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void refused_limited(const char *arguments, rlim_t bytes, const char *name, const char *folder) {
    const char *said;
    char *before = listing(folder);
    limit_files(bytes);
    int code = test_run_parallax(arguments, &said);
    limit_files(0);
    char *after = listing(folder);
    EXPECT(code == 1, "parallax %s: exit %d: %s", arguments, code, said);
    EXPECT(!strncmp(said, "parallax: ", 10) && strchr(said, '\n') == said + strlen(said) - 1,
           "parallax %s: not one line: '%s'", arguments, said);
    EXPECT(strstr(said, name), "parallax %s: no '%s' in '%s'", arguments, name, said);
    EXPECT(!strcmp(before, after), "parallax %s: the folder was\n%sand is\n%s", arguments, before, after);
    free(before);
    free(after);
}

TEST(bad_input, files_that_cannot_grow) {
    prepare();
    const char *run = reconstruct(test_file("good.png"), test_file("tiny.safetensors"), test_file("out"), "");
    refused_limited(run, 64, "input.png", test_file("out"));
    refused_limited(reconstruct(test_file("good.png"), test_file("tiny.safetensors"), test_file("new"), ""),
                    8192, "scene.safetensors", test_file("new"));
    char render[600];
    snprintf(render, sizeof render, "render %s -o %s/views -n 2 --size 32 --samples 8 --quiet",
             test_file("scene.safetensors"), test_file("out"));
    refused_limited(render, 64, "views.partial", test_file("out"));
    snprintf(render, sizeof render, "render %s -o %s/orbit.mp4 -n 2 --size 32 --samples 8 --quiet",
             test_file("scene.safetensors"), test_file("out"));
    refused_limited(render, 64, "orbit", test_file("out"));
}

TEST(bad_input, a_full_disk) {
    char command[600], full[300];
    prepare();
    snprintf(full, sizeof full, "%s", test_file("full"));
    if (plx_make_directories(full)) abort();
    snprintf(command, sizeof command, "mount -t tmpfs -o size=4k parallax-test %s 2>/dev/null", full);
    if (geteuid() || system(command)) SKIP("no file system can be mounted here");
    refused(reconstruct(test_file("good.png"), test_file("tiny.safetensors"), full, ""), 1, full,
            "No space left", full);
    snprintf(command, sizeof command, "umount %s", full);
    EXPECT(system(command) == 0, "umount");
}

/* ---- render and train -------------------------------------------------------------------------------------------------- */

static void scene_refused(const char *name, const char *why) {
    char arguments[600];
    snprintf(arguments, sizeof arguments, "render %s -o %s --quiet", test_file(name), test_file("out"));
    refused(arguments, 1, name, why, test_file("out"));
}

TEST(bad_input, scenes) {
    prepare();
    scene_refused("nowhere.safetensors", "No such file");
    write_bytes(test_file("text.safetensors"), "This is no scene.\n", 18);
    scene_refused("text.safetensors", "");
    write_bytes(test_file("empty.safetensors"), "", 0);
    scene_refused("empty.safetensors", "");
    copy_part(test_file("part.safetensors"), test_file("scene.safetensors"), 0.9);
    scene_refused("part.safetensors", "");
    copy_with_nan(test_file("nan-scene.safetensors"), test_file("scene.safetensors"));
    scene_refused("nan-scene.safetensors", "NaN");
    scene_refused("tiny.safetensors", "not");
    scene_refused("good.png", "");
    char path[600];
    write_bytes(test_file("path.json"), "{\"camera_path\": 3}", 18);
    snprintf(path, sizeof path, "render %s --path %s -o %s --quiet", test_file("scene.safetensors"),
             test_file("path.json"), test_file("out"));
    refused(path, 1, "path.json", "", test_file("out"));
}

static void train_refused(const char *options, const char *name, const char *why) {
    char arguments[1200];
    snprintf(arguments, sizeof arguments,
             "train -o %s --steps 1 --batch 1 --size 32 --targets 1 --stage colour --validate 0 --quiet %s",
             test_file("run"), options);
    refused(arguments, 1, name, why, test_file("run"));
}

/* Two views of nothing, as an SRN folder. */
static void write_views(void) {
    plx_views views;
    if (plx_views_create(&views, 2)) abort();
    views.has_alpha = true;
    snprintf(views.name, sizeof views.name, "nothing");
    for (int i = 0; i < 2; i++) {
        views.views[i].camera = plx_camera_orbit((float)i, 0.3f, 1.3f, PLX_DEFAULT_FOV, 32, 32);
        if (plx_image_create(&views.views[i].colour, 32, 32, 4)) abort();
    }
    if (plx_dataset_save("srn", test_file("views"), &views)) abort();
    plx_views_free(&views);
}

TEST(bad_input, training) {
    char options[700];
    prepare();
    write_views();
    plx_make_directories(test_file("run"));
    train_refused("--catalogue /nowhere.tsv", "/nowhere.tsv", "No such file");
    snprintf(options, sizeof options, "--catalogue %s", test_file("good.png"));
    train_refused(options, "good.png", "");
    train_refused("--views /nowhere", "/nowhere", "");
    copy_with_text(test_file("later.safetensors"), test_file("tiny.safetensors"), "parallax-model-1",
                   "parallax-model-9");
    copy_with_nan(test_file("nan.safetensors"), test_file("tiny.safetensors"));
    const char *const files[][2] = {{"absent.safetensors", "No such file"},
                                    {"later.safetensors", "parallax-model-9"},
                                    {"nan.safetensors", "NaN"},
                                    {"good.png", ""}};
    for (int i = 0; i < 4; i++) {
        snprintf(options, sizeof options, "--views %s --init %s", test_file("views"), test_file(files[i][0]));
        train_refused(options, files[i][0], files[i][1]);
    }
    snprintf(options, sizeof options, "--views %s --init %s -o /proc/nowhere", test_file("views"),
             test_file("tiny.safetensors"));
    train_refused(options, "/proc/nowhere", "");
    write_bytes(test_file("run/state.safetensors"), "no state", 8);
    snprintf(options, sizeof options, "--views %s --init %s", test_file("views"),
             test_file("tiny.safetensors"));
    train_refused(options, "state.safetensors", "");
    remove(test_file("run/state.safetensors"));
    /* The model and the state do not fit: what an earlier run saved stays. */
    write_bytes(test_file("run/model.safetensors"), "of before", 9);
    char arguments[1200];
    snprintf(arguments, sizeof arguments,
             "train -o %s --steps 1 --batch 1 --size 32 --targets 1 --stage colour --validate 0 --quiet %s",
             test_file("run"), options);
    const char *said;
    limit_files(4096);
    int code = test_run_parallax(arguments, &said);
    limit_files(0);
    EXPECT(code == 1 && strstr(said, "model.safetensors: cannot be written"), "exit %d: %s", code, said);
    EXPECT(strchr(said, '\n') == said + strlen(said) - 1, "not one line: %s", said);
    char *after = listing(test_file("run"));
    EXPECT(!strstr(after, ".part") && !strstr(after, "state"), "left: %s", after);
    free(after);
    char *data;
    size_t size;
    REQUIRE(plx_file_read(&data, &size, test_file("run/model.safetensors"), 1 << 20) == 0, "%s", plx_error());
    EXPECT(size == 9, "the model of before is gone");
    free(data);
}
