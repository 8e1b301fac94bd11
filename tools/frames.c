#include "tools/frames.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nerf/latents.h"
#include "tools/output.h"

static const char *const picture_names[PLX_PICTURES] = {"rgb", "depth", "alpha", "normal"};

plx_frames plx_frames_default(plx_field *field, const plx_path *path) {
    return (plx_frames){.field = field,
                        .path = path,
                        .stage = "render",
                        .pictures = 1u << PLX_PICTURE_RGB,
                        .samples = plx_render_options_default().samples};
}

/* ---- pictures of a view ----------------------------------------------------------------------------------------- */

/* One pixel of a picture, 3 channels in [0,1]; `near` and `far` bound the scene from this camera. */
static void pixel_of(int picture, const plx_view *view, size_t i, float near, float far, float out[3]) {
    const float *rgba = view->colour.data + 4 * i;
    for (int c = 0; c < 3; c++) switch (picture) {
        case PLX_PICTURE_RGB:
            out[c] = rgba[3] * rgba[c] + 1 - rgba[3];
            break;
        case PLX_PICTURE_ALPHA:
            out[c] = rgba[3];
            break;
        case PLX_PICTURE_DEPTH: { /* near is white, far and nothing are black */
            float depth = view->depth.data[2 * i];
            out[c] = depth > 0 ? fminf(fmaxf((far - depth) / (far - near), 0), 1) : 0;
            break;
        }
        default: /* (n + 1) / 2; nothing is grey */
            out[c] = 0.5f + 0.5f * view->normal.data[3 * i + (size_t)c];
        }
}

static int picture_of(int picture, const plx_view *view, float radius, plx_image *out) {
    float p[3];
    plx_camera_position(&view->camera, p);
    float distance = sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]), near = fmaxf(distance - radius, 0);
    int status = plx_image_create(out, view->colour.height, view->colour.width, 3);
    if (status) return status;
    for (size_t i = 0; i < (size_t)out->height * (size_t)out->width; i++)
        pixel_of(picture, view, i, near, distance + radius, out->data + 3 * i);
    return PLX_OK;
}

static void free_view(plx_view *view) {
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
}

/* ---- what is written ---------------------------------------------------------------------------------------------- */

enum kind { VIDEO, SHEET, FOLDER };

typedef struct writer {
    const plx_frames *frames;
    const char *output;
    enum kind kind;
    int pictures;       /* how many */
    bool in_one;        /* all in one image */
    bool keeps;         /* finished frames are files in kept.temporary */
    plx_output kept;    /* of a folder: what it will hold */
    plx_video *video;   /* VIDEO */
    plx_image sheet;    /* SHEET */
    int width, columns; /* of a frame with all its pictures; of the sheet */
    int finished;       /* frames whose files are there */
    long killed;        /* the process that was stopped before this one, or 0 */
} writer;

static bool shows(const writer *w, int picture) {
    return w->frames->pictures >> picture & 1;
}

/* Where frame i is kept; `picture` counts where each has a folder of its own. */
static int frame_file(const writer *w, int i, int picture, char out[PLX_OUTPUT_PATH]) {
    char name[64];
    bool apart = !w->in_one && w->pictures > 1 && !w->frames->exr;
    snprintf(name, sizeof name, "%s%s%05d.%s", apart ? picture_names[picture] : "", apart ? "/" : "", i,
             w->kind == FOLDER && w->frames->exr ? "exr" : "png");
    return plx_output_join(out, w->kept.temporary, name);
}

static bool is_finished(const writer *w, int i) {
    for (int picture = 0; picture < PLX_PICTURES && w->keeps; picture++) {
        char file[PLX_OUTPUT_PATH];
        if (shows(w, picture) && (frame_file(w, i, picture, file) || access(file, F_OK))) return false;
    }
    return w->keeps;
}

/* ---- a render that goes on ------------------------------------------------------------------------------------------ */

/* All that the frames depend on. */
static int describe(const writer *w, json_t **out) {
    const plx_frames *f = w->frames;
    char *data, scene[24], cameras[24];
    size_t size;
    int status = plx_file_read(&data, &size, f->scene, (size_t)1 << 34);
    if (status) return status;
    snprintf(scene, sizeof scene, "%016llx", (unsigned long long)plx_content_hash(data, size));
    free(data);
    snprintf(cameras, sizeof cameras, "%016llx",
             (unsigned long long)plx_content_hash(f->path->cameras,
                                                  (size_t)f->path->count * sizeof *f->path->cameras));
    *out = json_pack("{s:s, s:s, s:i, s:s, s:i, s:b, s:b, s:i, s:b}", "version", PLX_VERSION, "scene", scene,
                     "frames", f->path->count, "cameras", cameras, "pictures", (int)f->pictures, "exr",
                     w->kind == FOLDER && f->exr, "in_one", w->in_one, "samples", f->samples, "all_space",
                     f->all_space);
    return *out ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", f->scene);
}

/* The record of the frames in the partial folder: this render's, or it is refused. */
static int check_record(const writer *w) {
    char file[PLX_OUTPUT_PATH];
    json_t *wanted = NULL, *found = NULL;
    int status = plx_output_join(file, w->kept.temporary, "render.json");
    if (!status) status = describe(w, &wanted);
    if (status) return status;
    if (access(file, F_OK)) {
        char *text = json_dumps(wanted, JSON_INDENT(2) | JSON_SORT_KEYS);
        status = text ? plx_file_write(file, text, strlen(text))
                      : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", file);
        free(text);
    } else {
        found = json_load_file(file, 0, NULL);
        if (!json_equal(wanted, found))
            status = plx_fail(
                PLX_ERROR_INPUT,
                "%s: frames of another render (scene, path or options differ); remove it to begin anew",
                w->kept.temporary);
    }
    json_decref(wanted);
    json_decref(found);
    return status;
}

/* Which process renders; what the one before, if it was killed, has left of a video beside the output goes. */
static int note_process(writer *w) {
    char file[PLX_OUTPUT_PATH], line[32], *before;
    size_t size;
    int status = plx_output_join(file, w->kept.temporary, "process");
    if (status) return status;
    if (!access(file, F_OK) && !plx_file_read(&before, &size, file, sizeof line)) {
        w->killed = atol(before);
        plx_writer_sweep(w->output, w->killed);
        free(before);
    }
    snprintf(line, sizeof line, "%ld\n", (long)getpid());
    return plx_file_write(file, line, strlen(line));
}

static int open_kept(writer *w) {
    char partial[PLX_OUTPUT_PATH];
    size_t length = strlen(w->output);
    while (length > 1 && w->output[length - 1] == '/') length--;
    int used = snprintf(partial, sizeof partial, "%.*s.partial", (int)length, w->output);
    if (used >= PLX_OUTPUT_PATH) return plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", w->output);
    struct stat info;
    bool there = !stat(partial, &info);
    int status = plx_output_continue(&w->kept, w->kind == FOLDER ? w->output : NULL, partial);
    if (!status) status = check_record(w);
    if (!status) status = note_process(w);
    for (int i = 0; i < w->frames->path->count && !status && there; i++) w->finished += is_finished(w, i);
    if (status && there) plx_output_keep(&w->kept); /* it is another's */
    if (!status && w->finished)
        plx_note("%s: %d of %d frames are there", partial, w->finished, w->frames->path->count);
    return status;
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------- */

static enum kind kind_of(const char *output) {
    const char *dot = strrchr(output, '.');
    return plx_video_is_name(output) ? VIDEO : dot && !strcasecmp(dot, ".png") ? SHEET : FOLDER;
}

/* A folder called film.avi is hardly what was meant. */
static int check_name(const char *output) {
    static const char *const others[] = {".avi", ".mov",  ".mkv", ".webm", ".m4v",
                                         ".jpg", ".jpeg", ".exr", ".tif",  ".tiff"};
    const char *dot = strrchr(output, '.');
    for (size_t i = 0; dot && i < sizeof others / sizeof *others; i++)
        if (!strcasecmp(dot, others[i]))
            return plx_fail(PLX_ERROR_INPUT,
                            "%s: a video is .mp4 or .gif, a sheet .png; other pictures go into a folder",
                            output);
    return PLX_OK;
}

static int make_folders(const writer *w) {
    int status = PLX_OK;
    bool apart = w->kind == FOLDER && !w->in_one && w->pictures > 1 && !w->frames->exr;
    for (int i = 0; i < PLX_PICTURES && !status && apart; i++) {
        char inner[PLX_OUTPUT_PATH];
        if (!shows(w, i)) continue;
        status = plx_output_join(inner, w->kept.temporary, picture_names[i]);
        if (!status) status = plx_make_directories(inner);
    }
    return status;
}

static int open_sheet(writer *w) {
    const plx_path *path = w->frames->path;
    int rows = (path->count + w->columns - 1) / w->columns;
    int64_t width = (int64_t)w->width * w->columns, height = (int64_t)path->cameras[0].height * rows;
    if (width > PLX_IMAGE_MAX_SIDE || height > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "%s: a sheet of %lldx%lld pixels is past %d a side", w->output,
                        (long long)width, (long long)height, PLX_IMAGE_MAX_SIDE);
    int status = plx_image_create(&w->sheet, (int)height, (int)width, 3);
    for (size_t i = 0; !status && i < (size_t)height * (size_t)width * 3; i++) w->sheet.data[i] = 1;
    return status;
}

static int writer_open(writer *w, const plx_frames *f, const char *output, char note[256]) {
    const plx_camera *c = &f->path->cameras[0];
    *w = (writer){
        .frames = f, .output = output, .kind = kind_of(output), .pictures = __builtin_popcount(f->pictures)};
    w->in_one = w->kind != FOLDER || (f->side_by_side && !f->exr);
    w->keeps = w->kind == FOLDER || f->scene;
    w->width = c->width * w->pictures;
    w->columns = f->path->columns ? f->path->columns : (int)ceil(sqrt(f->path->count));
    if (w->in_one && w->width > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "%s: %d pictures of %d pixels side by side are past %d", output,
                        w->pictures, c->width, PLX_IMAGE_MAX_SIDE);
    int status = check_name(output);
    if (!status && f->exr && w->kind != FOLDER)
        status = plx_fail(PLX_ERROR_USAGE, "%s: --format exr is of a folder's pictures", output);
    if (!status && w->kind == VIDEO)
        status = plx_video_open(&w->video, output, w->width, c->height, f->path->fps);
    if (w->video && plx_video_fallback(w->video)) snprintf(note, 256, "%s", plx_video_fallback(w->video));
    if (!status && w->kind == SHEET) status = open_sheet(w);
    if (!status && f->scene)
        status = open_kept(w);
    else if (!status && w->keeps)
        status = plx_output_open(&w->kept, output);
    return status ? status : make_folders(w);
}

static int finish_folder(writer *w) {
    char file[PLX_OUTPUT_PATH];
    int status = plx_output_join(file, w->kept.temporary, "transforms.json");
    bool apart = !w->in_one && w->pictures > 1;
    if (!status && !w->frames->exr && !(w->in_one && w->pictures > 1) && shows(w, PLX_PICTURE_RGB))
        status = plx_transforms_save(file, apart ? picture_names[PLX_PICTURE_RGB] : "", NULL,
                                     w->frames->path->count, w->frames->path->cameras);
    if (!status && w->frames->scene) {
        static const char *const records[] = {"render.json", "process"};
        for (int i = 0; i < 2 && !status; i++) {
            status = plx_output_join(file, w->kept.temporary, records[i]);
            if (!status) unlink(file);
        }
    }
    return status ? status : plx_output_commit(&w->kept);
}

/* Ends it, finished when `status` is PLX_OK. */
static int writer_close(writer *w, int status) {
    if (w->video && status)
        plx_video_abort(w->video);
    else if (w->video)
        status = plx_video_close(w->video);
    else if (!status)
        status = w->kind == SHEET ? plx_png_save(w->output, &w->sheet) : finish_folder(w);
    plx_image_free(&w->sheet);
    plx_writer_sweep(w->output, w->killed); /* its ffmpeg may have lived on for a moment */
    if (status && w->frames->scene && w->finished && w->kept.temporary[0]) {
        plx_note("%s: %d of %d frames are kept: the same command goes on", w->kept.temporary, w->finished,
                 w->frames->path->count);
        plx_output_keep(&w->kept);
    }
    plx_output_close(&w->kept);
    return status;
}

/* ---- one frame ------------------------------------------------------------------------------------------------------------ */

static int draw(const writer *w, int i, plx_view *view) {
    plx_render_options o = plx_render_options_default();
    o.samples = w->frames->samples;
    o.skip_empty = !w->frames->all_space;
    o.depth = shows(w, PLX_PICTURE_DEPTH);
    o.normal = shows(w, PLX_PICTURE_NORMAL);
    *view = (plx_view){.camera = w->frames->path->cameras[i]};
    return plx_field_render(w->frames->field, view, &o);
}

/* All pictures side by side. */
static int join_pictures(const writer *w, const plx_view *view, plx_image *out) {
    int status = plx_image_create(out, view->colour.height, view->colour.width * w->pictures, 3), place = 0;
    for (int i = 0; i < PLX_PICTURES && !status; i++) {
        plx_image picture = {0};
        if (!shows(w, i)) continue;
        status = picture_of(i, view, plx_field_radius(w->frames->field), &picture);
        if (!status) plx_image_paste(out, &picture, 0, view->colour.width * place++);
        plx_image_free(&picture);
    }
    return status;
}

/* A frame in one image: drawn, or (finished) from its file. */
static int frame_in_one(const writer *w, int i, bool finished, plx_image *out) {
    char file[PLX_OUTPUT_PATH];
    plx_view view = {0};
    int status = w->keeps ? frame_file(w, i, 0, file) : PLX_OK;
    if (!status && finished) {
        status = plx_image_load(out, file);
        int height = w->frames->path->cameras[0].height;
        if (!status && (out->width != w->width || out->height != height || out->channels != 3))
            status = plx_fail(PLX_ERROR_INPUT, "%s: not the frame that was written there", file);
        return status;
    }
    if (!status) status = draw(w, i, &view);
    if (!status) status = join_pictures(w, &view, out);
    if (!status && w->keeps) status = plx_png_save(file, out);
    free_view(&view);
    return status;
}

/* Numbered files: colour as RGBA with straight alpha, the other pictures with 3 channels. */
static int frame_in_files(const writer *w, int i) {
    char file[PLX_OUTPUT_PATH];
    plx_view view;
    int status = draw(w, i, &view);
    for (int p = 0; p < PLX_PICTURES && !status; p++) {
        plx_image picture = {0};
        if (!shows(w, p)) continue;
        status = frame_file(w, i, p, file);
        if (!status && w->frames->exr) {
            status = plx_view_save(file, &view);
            break; /* one file holds them all */
        }
        if (!status && p != PLX_PICTURE_RGB)
            status = picture_of(p, &view, plx_field_radius(w->frames->field), &picture);
        if (!status) status = plx_png_save(file, p == PLX_PICTURE_RGB ? &view.colour : &picture);
        plx_image_free(&picture);
    }
    free_view(&view);
    return status;
}

static int write_frame(writer *w, int i) {
    bool finished = is_finished(w, i);
    plx_image frame = {0};
    int status = PLX_OK;
    if (w->kind == FOLDER && finished) return PLX_OK;
    if (w->kind == FOLDER && !w->in_one)
        status = frame_in_files(w, i);
    else
        status = frame_in_one(w, i, finished, &frame);
    if (!status && w->keeps) w->finished += !finished;
    if (!status && w->kind == VIDEO) status = plx_video_add(w->video, &frame);
    if (!status && w->kind == SHEET)
        plx_image_paste(&w->sheet, &frame, i / w->columns * frame.height, i % w->columns * frame.width);
    plx_image_free(&frame);
    return status;
}

int plx_frames_write(const plx_frames *f, const char *output, char note[256]) {
    writer w;
    note[0] = 0;
    int status = writer_open(&w, f, output, note);
    for (int i = 0; i < f->path->count && !status; i++) {
        status = write_frame(&w, i);
        if (!status && f->stage &&
            plx_progress_report(plx_show_progress, NULL, f->stage, i + 1, f->path->count, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    plx_progress_end();
    return writer_close(&w, status);
}
