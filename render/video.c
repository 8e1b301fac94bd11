/* Video through the program `ffmpeg`, which is fed raw frames and never goes through a shell; numbered PNGs
 * where it is not installed. */
#define _GNU_SOURCE /* asprintf, SOCK_CLOEXEC */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"

extern char **environ;

struct plx_video {
    char *path;
    int width, height;               /* of the frames that come in */
    int padded_width, padded_height; /* of an MP4 even: yuv420p halves both */
    bool gif;
    int frames, status; /* status: of the first failure */
    uint8_t *bytes;     /* (padded_height, padded_width, 3) */
    /* ffmpeg */
    plx_writer writer; /* the file beside, which ffmpeg fills */
    pid_t process;     /* 0 = none */
    int input;         /* our end of its stdin, a socket: MSG_NOSIGNAL instead of SIGPIPE */
    FILE *messages;    /* its stderr, a file without a name */
    /* fallback */
    char *folder, *beside; /* beside: where the PNGs are until close */
    char *fallback;        /* the line for the user */
};

/* ---- ffmpeg ---- */

/* Studio range, BT.709. */
static const char *const mp4_arguments[] = {
    "-vf",
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
    "-c:v",
    "libx264",
    "-crf",
    "17",
    "-preset",
    "medium",
    "-colorspace",
    "bt709",
    "-color_primaries",
    "bt709",
    "-color_trc",
    "bt709",
    "-color_range",
    "tv",
    "-movflags",
    "+faststart",
    "-f",
    "mp4",
    NULL};

/* One palette for all frames, dots that stay where they are, played for ever. */
static const char *const gif_arguments[] = {
    "-vf",   "split[a][b];[a]palettegen=max_colors=256[p];[b][p]paletteuse=dither=bayer:bayer_scale=4",
    "-loop", "0",
    "-f",    "gif",
    NULL};

/* A GIF counts in hundredths of a second, and players slow down what is shorter than 2 of them: the nearest rate that keeps
 * all frames equally long. */
static double gif_rate(double fps) {
    return 100 / fmin(fmax(round(100 / fps), 2), 65535);
}

static int spawn_ffmpeg(plx_video *video, double fps, int input) {
    char size[32], rate[32], *output = NULL;
    snprintf(size, sizeof size, "%dx%d", video->padded_width, video->padded_height);
    if (video->gif)
        snprintf(rate, sizeof rate, "100/%.0f", 100 / gif_rate(fps));
    else
        snprintf(rate, sizeof rate, "%.6f", fps);
    if (asprintf(&output, "file:%s", video->writer.beside) < 0) return ENOMEM;
    const char
        *const
            in[] = {"ffmpeg",      "-nostdin", "-hide_banner",  "-loglevel",
                    "error",       "-y",       "-xerror", /* without it a disk that fills at the end is exit status 0 */
                    "-f",          "rawvideo", "-pixel_format", "rgb24",
                    "-video_size", size,       "-framerate",    rate,
                    "-i",          "pipe:0",   "-fflags",       "+bitexact",
                    NULL};
    const char *arguments[64], *const *out = video->gif ? gif_arguments : mp4_arguments;
    int n = 0;
    for (int i = 0; in[i]; i++) arguments[n++] = in[i];
    for (int i = 0; out[i]; i++) arguments[n++] = out[i];
    arguments[n++] = output;
    arguments[n] = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(video->messages), 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP); /* ^C is for us: we close or abort it */
    int why =
        posix_spawnp(&video->process, "ffmpeg", &actions, &attributes, (char *const *)arguments, environ);
    if (why) video->process = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(output);
    return why;
}

/* 0, ENOENT when there is no ffmpeg, or another reason. */
static int start_ffmpeg(plx_video *video, double fps) {
    int ends[2];
    video->messages = tmpfile();
    if (!video->messages) return errno;
    fcntl(fileno(video->messages), F_SETFD, FD_CLOEXEC);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    int why = spawn_ffmpeg(video, fps, ends[1]);
    close(ends[1]);
    if (why)
        close(ends[0]);
    else
        video->input = ends[0];
    return why;
}

static int send_frame(plx_video *video) {
    size_t size = (size_t)video->padded_width * video->padded_height * 3, sent = 0;
    while (sent < size) {
        ssize_t part = send(video->input, video->bytes + sent, size - sent, MSG_NOSIGNAL);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return -1;
        sent += (size_t)part;
    }
    return 0;
}

/* Closes ffmpeg's input and waits; its exit status, or -1. */
static int end_ffmpeg(plx_video *video, bool kill_it) {
    int status = 0;
    if (!video->process) return 0;
    if (kill_it) kill(video->process, SIGKILL);
    if (video->input >= 0) close(video->input);
    video->input = -1;
    while (waitpid(video->process, &status, 0) < 0)
        if (errno != EINTR) return -1;
    video->process = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The last line that ffmpeg wrote says what stopped it. */
static int ffmpeg_failed(plx_video *video, int exit_status) {
    char text[2048], *line = text;
    rewind(video->messages);
    size_t size = fread(text, 1, sizeof text - 1, video->messages);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r')) size--;
    text[size] = 0;
    for (char *c = text; *c; c++)
        if (*c == '\n') line = c + 1;
    if (line[0]) return plx_fail(PLX_ERROR_IO, "%s: ffmpeg: %.300s", video->path, line);
    return plx_fail(PLX_ERROR_IO, "%s: ffmpeg failed (exit status %d)", video->path, exit_status);
}

/* ---- numbered PNGs ---- */

static char *frame_path(const char *folder, int frame) {
    char *path = NULL;
    return asprintf(&path, "%s/%05d.png", folder, frame) < 0 ? NULL : path;
}

static int start_folder(plx_video *video) {
    int length = (int)(strrchr(video->path, '.') - video->path);
    if (asprintf(&video->folder, "%.*s", length, video->path) < 0) video->folder = NULL;
    if (!video->folder || asprintf(&video->beside, "%s.part-%d", video->folder, (int)getpid()) < 0)
        video->beside = NULL;
    if (!video->beside ||
        asprintf(&video->fallback, "ffmpeg is not installed: the frames are in %s/ as numbered PNG",
                 video->folder) < 0) {
        video->fallback = NULL;
        return plx_fail(PLX_ERROR_MEMORY, "%s: no memory", video->path);
    }
    if (mkdir(video->beside, 0777) == 0) return PLX_OK;
    int status = plx_fail(PLX_ERROR_IO, "%s: %s", video->beside, strerror(errno));
    free(video->beside);
    video->beside = NULL;
    return status;
}

static void remove_folder(plx_video *video) {
    for (int i = 0; video->beside && i < video->frames; i++) {
        char *path = frame_path(video->beside, i);
        if (path) unlink(path);
        free(path);
    }
    if (video->beside) rmdir(video->beside);
}

/* The folder takes its name; where it exists already, its frames are replaced and later ones of an older
 * video removed, other files stay. */
static int finish_folder(plx_video *video) {
    if (rename(video->beside, video->folder) == 0) return PLX_OK;
    for (int i = 0;; i++) {
        char *from = frame_path(video->beside, i), *to = frame_path(video->folder, i);
        int failed = !from || !to ? ENOMEM : 0;
        if (!failed && i < video->frames && rename(from, to) != 0) failed = errno;
        bool end = !failed && i >= video->frames && unlink(to) != 0; /* the first that is not there */
        free(from);
        free(to);
        if (failed) return plx_fail(PLX_ERROR_IO, "%s: %s", video->folder, strerror(failed));
        if (end) break;
    }
    rmdir(video->beside);
    return PLX_OK;
}

/* ---- both ---- */

static void release(plx_video *video) {
    if (video->messages) fclose(video->messages);
    free(video->path);
    free(video->folder);
    free(video->beside);
    free(video->fallback);
    free(video->bytes);
    free(video);
}

static bool ends_in(const char *path, const char *ending) {
    const char *dot = strrchr(path, '.');
    return dot && dot != path && dot[-1] != '/' && !strcasecmp(dot, ending);
}

bool plx_video_is_name(const char *path) {
    return ends_in(path, ".mp4") || ends_in(path, ".gif");
}

static int check_arguments(const char *path, int width, int height, double fps) {
    if (!plx_video_is_name(path))
        return plx_fail(PLX_ERROR_SUPPORT, "%s: a video's name ends in .mp4 or .gif", path);
    if (width < 1 || height < 1 || width > PLX_IMAGE_MAX_SIDE || height > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "%s: a video of %dx%d pixels", path, width, height);
    if (!(fps >= 0.01 && fps <= 1000))
        return plx_fail(PLX_ERROR_INPUT, "%s: %g frames a second (0.01 to 1000)", path, fps);
    return PLX_OK;
}

int plx_video_open(plx_video **out, const char *path, int width, int height, double fps) {
    *out = NULL;
    int status = check_arguments(path, width, height, fps);
    if (status < 0) return status;
    plx_video *video = calloc(1, sizeof *video);
    if (!video) return plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path);
    bool gif = ends_in(path, ".gif");
    *video = (plx_video){.path = strdup(path),
                         .width = width,
                         .height = height,
                         .padded_width = width + (gif ? 0 : width % 2),
                         .padded_height = height + (gif ? 0 : height % 2),
                         .gif = gif,
                         .input = -1};
    video->bytes = malloc((size_t)video->padded_width * video->padded_height * 3);
    if (!video->path || !video->bytes)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory for frames of %dx%d", path, width, height);
    else
        status = plx_writer_open(&video->writer, path);
    if (status == PLX_OK) {
        int why = start_ffmpeg(video, fps);
        if (why) plx_writer_abort(&video->writer);
        if (why == ENOENT)
            status = start_folder(video);
        else if (why)
            status = plx_fail(PLX_ERROR_IO, "%s: ffmpeg cannot be started: %s", path, strerror(why));
    }
    if (status < 0) {
        release(video);
        return status;
    }
    *out = video;
    return PLX_OK;
}

/* To bytes; the right column and the bottom row are repeated where a size is odd. */
static void convert_frame(plx_video *video, const plx_image *frame) {
    for (int row = 0; row < video->padded_height; row++) {
        int from_row = row < video->height ? row : video->height - 1;
        for (int column = 0; column < video->padded_width; column++) {
            int from_column = column < video->width ? column : video->width - 1;
            const float *from = frame->data + 3 * ((size_t)from_row * video->width + from_column);
            uint8_t *to = video->bytes + 3 * ((size_t)row * video->padded_width + column);
            for (int c = 0; c < 3; c++) {
                float value = fminf(fmaxf(from[c], 0), 1);
                to[c] = value > 0 ? (uint8_t)(value * 255 + 0.5f) : 0;
            }
        }
    }
}

int plx_video_add(plx_video *video, const plx_image *frame) {
    PLX_CHECK(frame->width == video->width && frame->height == video->height && frame->channels == 3,
              "video: a frame of %dx%dx%d in a video of %dx%d", frame->width, frame->height, frame->channels,
              video->width, video->height);
    if (video->status < 0) return plx_fail(video->status, "%s: the video has failed already", video->path);
    if (video->fallback) {
        char *path = frame_path(video->beside, video->frames);
        video->status =
            path ? plx_png_save(path, frame) : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", video->path);
        free(path);
    } else {
        convert_frame(video, frame);
        if (send_frame(video) < 0) video->status = ffmpeg_failed(video, end_ffmpeg(video, false));
    }
    if (video->status == PLX_OK) video->frames++;
    return video->status;
}

int plx_video_close(plx_video *video) {
    if (!video) return PLX_OK;
    int status = video->status;
    if (status < 0)
        plx_fail(status, "%s: the video has failed already", video->path);
    else if (video->frames == 0)
        status = plx_fail(PLX_ERROR_INPUT, "%s: a video without frames", video->path);
    else if (video->fallback)
        status = finish_folder(video);
    else {
        int exit_status = end_ffmpeg(video, false);
        if (exit_status != 0) status = ffmpeg_failed(video, exit_status);
        if (status == PLX_OK) status = plx_writer_commit(&video->writer);
    }
    if (status < 0) {
        plx_video_abort(video);
        return status;
    }
    release(video);
    return PLX_OK;
}

void plx_video_abort(plx_video *video) {
    if (!video) return;
    end_ffmpeg(video, true);
    plx_writer_abort(&video->writer);
    remove_folder(video);
    release(video);
}

const char *plx_video_fallback(const plx_video *video) {
    return video->fallback;
}
