/* Frames along a path: what is written is what was drawn, and a stopped render goes on. */
#include "tools/frames.h"

#include <sys/stat.h>
#include <unistd.h>

#include "nerf/field.h"
#include "tests/test.h"

enum { SIZE = 32, FRAMES = 6 };

static const char *at(const char *name) {
    return test_file_in("frames-", name);
}

/* A ball of mist in random colours, saved once. */
static const char *scene_file(void) {
    static char file[300];
    if (file[0]) return file;
    snprintf(file, sizeof file, "%s", at("scene.safetensors"));
    plx_field_size size = {.N = 1, .C = 16, .H = 16, .xy = {16, 16}, .xz = {16, 16}, .yz = {16, 16}};
    plx_field *field;
    if (plx_field_create(&field, size, plx_frame_make(PLX_FRAME_WORLD, NULL, 0.5f), 3, false)) abort();
    plx_tensor *b3 = plx_params_get(field->params, "decoder.b3");
    b3->data[0] = 2; /* density e^2: opacity 0.999 across the ball */
    if (plx_field_save(field, file, false)) abort();
    plx_field_free(field);
    return file;
}

typedef struct fixture {
    plx_field *field;
    plx_path path;
    plx_frames frames;
} fixture;

static void make_fixture(fixture *f, int frames) {
    plx_path_options o = plx_path_options_default();
    o.frames = frames;
    o.width = o.height = SIZE;
    if (plx_field_load(&f->field, scene_file(), false) || plx_path_make(&f->path, &o)) abort();
    f->frames = plx_frames_default(f->field, &f->path);
    f->frames.samples = 16;
    f->frames.stage = NULL;
}

static void free_fixture(fixture *f) {
    plx_path_free(&f->path);
    plx_field_free(f->field);
}

/* Frames of a video as ffmpeg decodes them, (count,H,W,3) bytes; how many there are, or -1. */
static int decode(const char *file, int height, int width, int count, uint8_t *out) {
    char command[800];
    snprintf(command, sizeof command, "ffmpeg -v error -i '%s' -f rawvideo -pix_fmt rgb24 - 2>&1", file);
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    size_t frame = (size_t)height * (size_t)width * 3, got = fread(out, 1, frame * (size_t)count + 1, pipe);
    pclose(pipe);
    return got % frame ? -1 : (int)(got / frame);
}

/* Mean difference between the frames of a video and numbered pictures of the same, in [0,1]. */
static double difference(const char *video, const char *folder, int width) {
    static uint8_t bytes[FRAMES * SIZE * 2 * SIZE * 3 + 1];
    int count = decode(video, SIZE, width, FRAMES, bytes);
    EXPECT(count == FRAMES, "%s: %d frames", video, count);
    double sum = 0;
    for (int i = 0; i < count && count == FRAMES; i++) {
        char file[400];
        plx_image image;
        snprintf(file, sizeof file, "%s/%05d.png", folder, i);
        if (plx_image_load(&image, file)) return INFINITY;
        EXPECT(image.width == width && image.height == SIZE && image.channels == 3, "%s", file);
        for (int k = 0; k < SIZE * width * 3; k++)
            sum +=
                fabs(bytes[(size_t)i * SIZE * (size_t)width * 3 + (size_t)k] / 255.0 - (double)image.data[k]);
        plx_image_free(&image);
    }
    return sum / (FRAMES * SIZE * width * 3);
}

TEST(frames, videos_show_the_pictures_side_by_side) {
    char note[256], command[700], folder[300];
    fixture f;
    make_fixture(&f, FRAMES);
    f.frames.pictures = 1u << PLX_PICTURE_RGB | 1u << PLX_PICTURE_ALPHA;
    f.frames.side_by_side = true;
    snprintf(folder, sizeof folder, "%s", at("side"));
    REQUIRE(plx_frames_write(&f.frames, folder, note) == PLX_OK, "%s", plx_error());
    plx_image both, left;
    plx_view view = {.camera = f.path.cameras[0]};
    plx_render_options o = plx_render_options_default();
    o.samples = 16;
    char file[400];
    snprintf(file, sizeof file, "%s/00000.png", folder);
    REQUIRE(plx_image_load(&both, file) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_field_render(f.field, &view, &o) == PLX_OK &&
                plx_image_over(&left, &view.colour, 1) == PLX_OK,
            "%s", plx_error());
    float worst = 0;
    for (int row = 0; row < SIZE; row++)
        for (int k = 0; k < 3 * SIZE; k++)
            worst = fmaxf(worst, fabsf(both.data[row * 6 * SIZE + k] - left.data[row * 3 * SIZE + k]));
    EXPECT(worst < 0.501f / 255, "the left half is the colour: %g", worst); /* half a step of 8 bits */
    plx_image_free(&both), plx_image_free(&left), plx_image_free(&view.colour);
    if (system("command -v ffmpeg ffprobe >/dev/null 2>&1")) {
        free_fixture(&f);
        SKIP("ffmpeg is not installed");
    }
    REQUIRE(plx_frames_write(&f.frames, at("side.mp4"), note) == PLX_OK && !*note, "%s", plx_error());
    REQUIRE(plx_frames_write(&f.frames, at("side.gif"), note) == PLX_OK, "%s", plx_error());
    /* crf 17 with colours at half the resolution: 0.007; 256 colours: 0.003 */
    EXPECT(difference(at("side.mp4"), folder, 2 * SIZE) < 0.015, "%g",
           difference(at("side.mp4"), folder, 2 * SIZE));
    EXPECT(difference(at("side.gif"), folder, 2 * SIZE) < 0.01, "%g",
           difference(at("side.gif"), folder, 2 * SIZE));
    snprintf(
        command, sizeof command,
        "test $(ffprobe -v error -show_entries packet=duration_time -of csv=p=0 '%s' | grep -c '^0.04') = %d "
        "&& grep -q NETSCAPE2.0 '%s'",
        at("side.gif"), FRAMES, at("side.gif"));
    EXPECT(system(command) == 0, "not %d frames of 0.04 s in a loop", FRAMES); /* 24 a second asked for */
    free_fixture(&f);
}

TEST(frames, sheet_has_the_grid) {
    char note[256];
    fixture f;
    make_fixture(&f, FRAMES);
    plx_image sheet;
    f.path.columns = 3;
    REQUIRE(plx_frames_write(&f.frames, at("sheet.png"), note) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_image_load(&sheet, at("sheet.png")) == PLX_OK, "%s", plx_error());
    EXPECT(sheet.width == 3 * SIZE && sheet.height == 2 * SIZE, "%dx%d", sheet.width, sheet.height);
    plx_image_free(&sheet);
    free_fixture(&f);
}

TEST(frames, pictures_have_their_poses) {
    char note[256];
    fixture f;
    make_fixture(&f, 3);
    f.frames.pictures = 1u << PLX_PICTURE_RGB | 1u << PLX_PICTURE_ALPHA;
    f.path.cameras[1] = plx_camera_orbit(1, 0.2f, 2, 0.5f, SIZE, SIZE); /* another lens */
    f.path.cameras[1].cx += 1.5f;
    REQUIRE(plx_frames_write(&f.frames, at("posed"), note) == PLX_OK, "%s", plx_error());
    plx_dataset *dataset;
    plx_views views;
    REQUIRE(plx_dataset_open(&dataset, at("posed")) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, 0, NULL, plx_dataset_view_count(dataset, 0), &views) == PLX_OK, "%s",
            plx_error());
    EXPECT(views.count == 3 && views.has_alpha, "%d views", views.count);
    for (int i = 0; i < views.count; i++) {
        const plx_camera *a = &views.views[i].camera, *b = &f.path.cameras[i];
        EXPECT(!memcmp(a->c2w, b->c2w, sizeof a->c2w), "pose %d", i); /* 9 digits are a float */
        EXPECT(a->fx == b->fx && a->fy == b->fy && a->cx == b->cx && a->cy == b->cy, "lens %d: %g %g %g", i,
               a->fx, a->fy, a->cx);
    }
    plx_views_free(&views);
    plx_dataset_free(dataset);
    free_fixture(&f);
}

/* Linear, premultiplied: where ffmpeg's own decoder of EXR sees another value than the view's colour; -1 without ffmpeg. */
static int wrong_in_ffmpeg(const char *file, const plx_image *colour) {
    static const int channels[4] = {1, 2, 0, 3}; /* its planes are G B R A */
    static float planes[4][SIZE * SIZE];
    char command[600];
    snprintf(command, sizeof command, "ffmpeg -v error -i '%s' -f rawvideo -pix_fmt gbrapf32le -", file);
    FILE *pipe = popen(command, "r");
    size_t got = pipe ? fread(planes, 1, sizeof planes, pipe) : 0;
    if (!pipe || pclose(pipe)) return -1;
    int wrong = got != sizeof planes;
    for (int i = 0; i < SIZE * SIZE; i++)
        for (int k = 0; k < 4; k++) {
            const float *c = colour->data + 4 * i;
            float wanted = channels[k] == 3 ? c[3] : c[3] * plx_srgb_decode(c[channels[k]]);
            wrong += !(fabsf(planes[k][i] - wanted) <= 0x1p-11f); /* halves up to 1 */
        }
    return wrong;
}

TEST(frames, exr_holds_all_and_the_camera) {
    char note[256], command[500], text[4096] = "", file[400];
    static const char *const names[] = {"R", "A", "Z", "N.X", "N.Y", "N.Z"};
    fixture f;
    make_fixture(&f, 1);
    f.frames.exr = true;
    f.frames.pictures = (1u << PLX_PICTURES) - 1;
    f.path.cameras[0].cx -= 2;
    REQUIRE(plx_frames_write(&f.frames, at("exr"), note) == PLX_OK, "%s", plx_error());
    snprintf(file, sizeof file, "%s/00000.exr", at("exr"));
    plx_image image;
    REQUIRE(plx_exr_load(&image, file, 6, names) == PLX_OK, "%s", plx_error());
    plx_view view = {.camera = f.path.cameras[0]};
    plx_render_options o = {.samples = 16, .skip_empty = true, .depth = true, .normal = true};
    REQUIRE(plx_field_render(f.field, &view, &o) == PLX_OK, "%s", plx_error());
    int wrong = 0;
    for (int i = 0; i < SIZE * SIZE; i++) {
        const float *e = image.data + 6 * i, *c = view.colour.data + 4 * i;
        wrong += fabsf(e[0] - c[3] * plx_srgb_decode(c[0])) > 0x1p-11f ||
                 fabsf(e[1] - c[3]) > 0x1p-11f; /* halves */
        wrong += e[2] != view.depth.data[2 * i];
        for (int k = 0; k < 3; k++) wrong += fabsf(e[3 + k] - view.normal.data[3 * i + k]) > 0x1p-11f;
    }
    EXPECT(wrong == 0, "%d values", wrong);
    bool ffmpeg = system("command -v ffmpeg >/dev/null 2>&1") == 0;
    wrong = ffmpeg ? wrong_in_ffmpeg(file, &view.colour) : 0;
    EXPECT(wrong == 0, "by ffmpeg: %d values", wrong);
    plx_image_free(&image), plx_image_free(&view.colour), plx_image_free(&view.depth),
        plx_image_free(&view.normal);
    if (system("command -v exrheader >/dev/null 2>&1") == 0) {
        /* Another program's reading: the matrix takes the camera's position to the origin. */
        snprintf(command, sizeof command, "exrheader %s", file);
        FILE *pipe = popen(command, "r");
        if (pipe) text[fread(text, 1, sizeof text - 1, pipe)] = 0;
        if (pipe) pclose(pipe);
        const char *words = strstr(text, "worldToCamera (type m44f):");
        float m[16], p[3];
        int got = words ? sscanf(strchr(words, '('),
                                 "(type m44f):\n (%f %f %f %f\n %f %f %f %f\n %f %f %f %f\n %f %f %f %f", m,
                                 m + 1, m + 2, m + 3, m + 4, m + 5, m + 6, m + 7, m + 8, m + 9, m + 10,
                                 m + 11, m + 12, m + 13, m + 14, m + 15)
                        : 0;
        REQUIRE(got == 16, "%d numbers in %s", got, text);
        plx_camera_position(&f.path.cameras[0], p);
        for (int k = 0; k < 3; k++) { /* 6 printed digits of numbers near 1 */
            float q = p[0] * m[k] + p[1] * m[4 + k] + p[2] * m[8 + k] + m[12 + k];
            EXPECT(fabsf(q) < 1e-5f, "the eye is at %g", q);
        }
        char principal[64];
        snprintf(principal, sizeof principal, "principalPoint (type v2f): (%d %d)", SIZE / 2 - 2, SIZE / 2);
        EXPECT(strstr(text, principal), "%s is not in %s", principal, text);
    }
    free_fixture(&f);
}

/* ---- stopped and going on ---------------------------------------------------------------------------------------------- */

/* Ends `parallax ARGUMENTS` by a signal once `frames` frames stand in `partial`. */
static void stop_after(const char *arguments, const char *partial, int frames, const char *signal) {
    char command[2400], program[512] = "";
    ssize_t length =
        readlink("/proc/self/exe", program, sizeof program - 1); /* which stands beside the tests */
    char *slash = strrchr(program, '/');
    REQUIRE(length > 0 && slash, "/proc/self/exe is %s", program);
    *slash = 0;
    snprintf(command, sizeof command,
             "sh -c 'exec %s/parallax %s' >/dev/null 2>&1 & pid=$!; "
             "while kill -0 $pid 2>/dev/null && [ $(ls %s 2>/dev/null | grep -c png) -lt %d ]; do sleep "
             "0.01; done; "
             "kill -%s $pid; wait $pid 2>/dev/null",
             program, arguments, partial, frames, signal);
    EXPECT(system(command) != 0, "it ended by itself");
}

static bool same_bytes(const char *a, const char *b) {
    char command[700];
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", a, b);
    return system(command) == 0;
}

TEST(frames, a_name_that_is_no_folders) {
    char arguments[900];
    const char *said;
    snprintf(arguments, sizeof arguments, "render %s -o %s -n 2 --size 16", scene_file(), at("film.avi"));
    EXPECT(test_run_parallax(arguments, &said) == 1 && strstr(said, "film.avi: a video is .mp4 or .gif"),
           "%s", said);
    EXPECT(access(at("film.avi"), F_OK) && access(at("film.avi.partial"), F_OK), "a folder was made");
    snprintf(arguments, sizeof arguments, "render %s -o %s -n 1 --size 16 --format exr", scene_file(),
             at("film.mp4"));
    EXPECT(test_run_parallax(arguments, &said) == 2 &&
               strstr(said, "film.mp4: --format exr is of a folder") && access(at("film.mp4"), F_OK),
           "%s", said);
}

TEST(frames, a_stopped_render_goes_on) {
    char arguments[900], partial[400];
    const char *said;
    int ffmpeg = system("command -v ffmpeg >/dev/null 2>&1") == 0;
    const char *outputs[] = {"long.png", "long.mp4"}, *whole[] = {"whole.png", "whole.mp4"};
    for (int i = 0; i < 1 + ffmpeg; i++) {
        snprintf(partial, sizeof partial, "%s.partial", at(outputs[i]));
        snprintf(arguments, sizeof arguments, "render %s -o %s -n 20 --size 32 --samples 700 --quiet",
                 scene_file(), at(outputs[i]));
        stop_after(arguments, partial, 3, "INT");
        EXPECT(access(partial, F_OK) == 0 && access(at(outputs[i]), F_OK) != 0, "what a stop leaves");
        stop_after(arguments, partial, 6, "KILL");
        char other[950];
        snprintf(other, sizeof other, "%s --fov 30", arguments);
        EXPECT(test_run_parallax(other, &said) == 1 && strstr(said, "another render") &&
                   strstr(said, ".partial"),
               "another render is refused: %s", said);
        EXPECT(test_run_parallax(arguments, &said) == 0, "%s", said);
        EXPECT(access(partial, F_OK) != 0, "the partial folder is gone");
        char list[500];
        snprintf(list, sizeof list, "ls -A %s | grep -q '^[.]parallax-.*part$'", test_directory());
        EXPECT(system(list) != 0, "%s: what the killed process wrote is there", outputs[i]);
        snprintf(arguments, sizeof arguments, "render %s -o %s -n 20 --size 32 --samples 700 --quiet",
                 scene_file(), at(whole[i]));
        EXPECT(test_run_parallax(arguments, &said) == 0, "%s", said);
        EXPECT(same_bytes(at(outputs[i]), at(whole[i])), "%s is another in two goes", outputs[i]);
    }
}
