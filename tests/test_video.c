/* MP4 by ffmpeg, read back by ffprobe and ffmpeg; numbered PNGs without it. */
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"
#include "tests/test.h"

#define WIDTH 95 /* odd: one column and one row are added */
#define HEIGHT 63
#define FRAMES 10

/* A smooth gradient and a bar that moves a little with the time. */
static void paint(plx_image *image, int time) {
    for (int i = 0; i < HEIGHT; i++)
        for (int j = 0; j < WIDTH; j++) {
            float *p = image->data + 3 * (WIDTH * i + j);
            p[0] = (float)j / WIDTH;
            p[1] = (float)i / HEIGHT;
            p[2] = j / 8 == time ? 0.9f : 0.2f;
        }
}

static int write_video(const char *path, int frames) {
    plx_video *video;
    plx_image image;
    int status = plx_video_open(&video, path, WIDTH, HEIGHT, 12.5);
    if (status < 0) return status;
    if (plx_image_create(&image, HEIGHT, WIDTH, 3) < 0) abort();
    for (int t = 0; t < frames && status == PLX_OK; t++) {
        paint(&image, t);
        status = plx_video_add(video, &image);
    }
    plx_image_free(&image);
    if (status < 0) {
        plx_video_abort(video);
        return status;
    }
    return plx_video_close(video);
}

static int have(const char *program) {
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", program);
    return system(command) == 0;
}

static void read_output(const char *command, char *text, size_t size) {
    FILE *pipe = popen(command, "r");
    size_t got = pipe ? fread(text, 1, size - 1, pipe) : 0;
    text[got] = 0;
    if (pipe) pclose(pipe);
}

static int files_in(const char *folder) {
    int count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (d) closedir(d);
    return count;
}

static void fresh_folder(char path[512], const char *name) {
    snprintf(path, 512, "%s/%s", test_directory(), name);
    plx_make_directories(path);
}

TEST(video, ffprobe_and_decoded_frames) {
    if (!have("ffmpeg") || !have("ffprobe")) SKIP("ffmpeg is not installed");
    char folder[512], path[600], command[1500], text[2048];
    fresh_folder(folder, "video a $(touch x)"); /* no shell sees the name */
    snprintf(path, sizeof path, "%s/-orbit.mp4", folder);
    REQUIRE(write_video(path, FRAMES) == PLX_OK, "%s", plx_error());
    EXPECT(files_in(folder) == 1, "nothing but the video: %d files", files_in(folder));
    snprintf(command, sizeof command,
             "ffprobe -v error -count_frames -select_streams v -show_entries "
             "stream=codec_name,width,height,pix_fmt,"
             "avg_frame_rate,nb_read_frames,color_space,color_range -of default=nw=1 'file:%s'",
             path);
    read_output(command, text, sizeof text);
    static const char *const lines[] = {
        "codec_name=h264",     "width=96",          "height=64",         "pix_fmt=yuv420p",
        "avg_frame_rate=25/2", "nb_read_frames=10", "color_space=bt709", "color_range=tv"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        EXPECT(strstr(text, lines[i]), "%s is not in: %s", lines[i], text);

    snprintf(command, sizeof command, "ffmpeg -v error -i 'file:%s' -f rawvideo -pix_fmt rgb24 - | cat",
             path);
    static uint8_t pixels[FRAMES * 96 * 64 * 3 + 1];
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe, "popen");
    size_t got = fread(pixels, 1, sizeof pixels, pipe);
    pclose(pipe);
    REQUIRE(got == sizeof pixels - 1, "%zu bytes", got);
    plx_image image;
    REQUIRE(plx_image_create(&image, HEIGHT, WIDTH, 3) == PLX_OK, "%s", plx_error());
    for (int t = 0; t < FRAMES; t++) {
        paint(&image, t);
        double red_green = 0, bar = 0;
        for (int i = 0; i < HEIGHT; i++)
            for (int j = 0; j < WIDTH; j++) {
                const uint8_t *p = pixels + 3 * ((t * 64 + i) * 96 + j);
                const float *q = image.data + 3 * (WIDTH * i + j);
                red_green += (fabs(p[0] / 255.0 - q[0]) + fabs(p[1] / 255.0 - q[1])) / (2 * WIDTH * HEIGHT);
                if (q[2] > 0.5f) bar += p[2] / 255.0 / (8 * HEIGHT);
            }
        /* crf 17 and halved chroma: a smooth gradient keeps to 2 %, the 8-pixel bar to 10 % of its blue */
        EXPECT(red_green < 0.02, "frame %d: mean error %g", t, red_green);
        EXPECT(fabs(bar - 0.9) < 0.1, "frame %d: the bar is %g", t, bar);
    }
    plx_image_free(&image);
}

TEST(video, without_ffmpeg_numbered_pngs) {
    char folder[512], path[600], frame[640], *before = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
    fresh_folder(folder, "fallback");
    snprintf(path, sizeof path, "%s/orbit.mp4", folder);
    setenv("PATH", "/nonexistent", 1);
    plx_video *video;
    int status = plx_video_open(&video, path, 4, 4, 10);
    if (status == PLX_OK) {
        EXPECT(plx_video_fallback(video) && strstr(plx_video_fallback(video), "fallback/orbit/"), "the line");
        plx_video_abort(video);
    }
    EXPECT(files_in(folder) == 0, "abort leaves %d files", files_in(folder));
    int first = write_video(path, 3), longer = write_video(path, 5), shorter = write_video(path, 2);
    if (before) setenv("PATH", before, 1);
    free(before);
    EXPECT(status == PLX_OK && first == PLX_OK && longer == PLX_OK && shorter == PLX_OK, "%s", plx_error());
    snprintf(frame, sizeof frame, "%s/orbit", folder);
    EXPECT(files_in(folder) == 1 && files_in(frame) == 2, "the last video's frames only: %d",
           files_in(frame));
    snprintf(frame, sizeof frame, "%s/orbit/00001.png", folder);
    plx_image image, wanted;
    REQUIRE(plx_image_load(&image, frame) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_image_create(&wanted, HEIGHT, WIDTH, 3) == PLX_OK, "%s", plx_error());
    paint(&wanted, 1);
    float worst = 0;
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++) worst = fmaxf(worst, fabsf(image.data[i] - wanted.data[i]));
    EXPECT(worst < 0.501f / 255, "%g: half a step of 8 bits", worst);
    plx_image_free(&image);
    plx_image_free(&wanted);
}

TEST(video, failures_leave_nothing) {
    char folder[512], path[600];
    fresh_folder(folder, "failures");
    snprintf(path, sizeof path, "%s/none/orbit.mp4", folder);
    EXPECT(write_video(path, 2) == PLX_ERROR_IO, "no folder");
    EXPECT(strstr(plx_error(), path), "%s", plx_error());
    snprintf(path, sizeof path, "%s/orbit.mp4", folder);
    EXPECT(plx_file_write(path, "before", 6) == PLX_OK, "%s", plx_error());
    EXPECT(write_video(path, 0) == PLX_ERROR_INPUT, "no frames");
    /* a program called ffmpeg that fails at once: its stderr is the reason, writing to it is no SIGPIPE */
    char program[600], path_before[4096];
    snprintf(program, sizeof program, "%s/bin", test_directory());
    plx_make_directories(program);
    snprintf(path_before, sizeof path_before, "%s", getenv("PATH"));
    setenv("PATH", program, 1);
    strcat(program, "/ffmpeg");
    const char *script = "#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n";
    EXPECT(plx_file_write(program, script, strlen(script)) == PLX_OK && chmod(program, 0755) == 0, "script");
    int status = write_video(path, 200);
    setenv("PATH", path_before, 1);
    EXPECT(status == PLX_ERROR_IO && strstr(plx_error(), "Unknown encoder"), "%d %s", status, plx_error());
    char *data;
    size_t size;
    EXPECT(files_in(folder) == 1, "%d files", files_in(folder));
    REQUIRE(plx_file_read(&data, &size, path, 100) == PLX_OK, "%s", plx_error());
    EXPECT(size == 6 && !memcmp(data, "before", 6), "what was there is untouched");
    free(data);
    plx_video *video;
    EXPECT(plx_video_open(&video, "a.avi", 4, 4, 10) == PLX_ERROR_SUPPORT, "another ending");
    EXPECT(plx_video_open(&video, "a.mp4", 0, 4, 10) == PLX_ERROR_INPUT, "no width");
    EXPECT(plx_video_open(&video, "a.mp4", 4, 4, NAN) == PLX_ERROR_INPUT, "no rate");
}
