#include "tools/evaluation_sheet.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "tools/parallax.h"

int plx_eval_sheet_open(plx_eval_sheet *sheet, const char *path, int size, int rows) {
    *sheet = (plx_eval_sheet){.path = path, .size = size, .rows = rows};
    if (!path) return PLX_OK;
    if (snprintf(sheet->folder, sizeof sheet->folder, "%s.partial", path) >= (int)sizeof sheet->folder)
        return plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", path);
    return plx_make_directories(sheet->folder);
}

void plx_eval_sheet_close(plx_eval_sheet *sheet, bool remove) {
    DIR *directory = sheet->path && remove ? opendir(sheet->folder) : NULL;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char file[PLX_OUTPUT_PATH];
        if (!plx_output_join(file, sheet->folder, entry->d_name)) unlink(file);
    }
    if (directory) closedir(directory);
    if (sheet->path && remove) rmdir(sheet->folder);
    sheet->path = NULL;
}

void plx_eval_sheet_targets(int out[PLX_EVAL_SHEET_TARGETS], const plx_view *views, int targets) {
    for (int s = 0; s < PLX_EVAL_SHEET_TARGETS; s++) {
        double nearest = INFINITY;
        for (int k = 0; k < targets; k++) {
            bool taken = false;
            for (int before = 0; before < s && targets >= PLX_EVAL_SHEET_TARGETS; before++)
                taken |= out[before] == k;
            double gap = plx_camera_azimuth_gap(&views[0].camera, &views[1 + k].camera);
            double away = fabs(gap - (30 + 60 * s));
            if (taken || away >= nearest) continue;
            nearest = away;
            out[s] = k;
        }
    }
}

/* ---- strips: pictures one below the other ------------------------------------------------------------------------- */

static int strip_path(char out[PLX_OUTPUT_PATH], const plx_eval_sheet *sheet, const char *object,
                      const char *method) {
    char name[512];
    snprintf(name, sizeof name, "%s.%s.png", object, method);
    return plx_output_join(out, sheet->folder, name);
}

int plx_eval_strip_save(const plx_eval_sheet *sheet, const char *object, const char *method, int count,
                        const plx_image *const *pictures) {
    if (!sheet->path) return PLX_OK;
    char path[PLX_OUTPUT_PATH];
    plx_image strip = {0};
    int status = strip_path(path, sheet, object, method);
    if (!status) status = plx_image_create(&strip, count * sheet->size, sheet->size, 3);
    for (int i = 0; i < count && !status; i++) {
        plx_image flat = {0};
        status = plx_image_over(&flat, pictures[i], 1);
        if (!status && (flat.height != sheet->size || flat.width != sheet->size)) {
            plx_image fitted = {0};
            status = plx_image_resize(&fitted, &flat, sheet->size, sheet->size);
            plx_image_free(&flat);
            flat = fitted;
        }
        if (!status) plx_image_paste(&strip, &flat, i * sheet->size, 0);
        plx_image_free(&flat);
    }
    if (!status) status = plx_png_save(path, &strip);
    plx_image_free(&strip);
    return status;
}

bool plx_eval_strip_exists(const plx_eval_sheet *sheet, const char *object, const char *method) {
    char path[PLX_OUTPUT_PATH];
    return !strip_path(path, sheet, object, method) && !access(path, R_OK);
}

static int load_strip(plx_image *out, const plx_eval_sheet *sheet, const char *object, const char *method,
                      int count) {
    char path[PLX_OUTPUT_PATH];
    int status = strip_path(path, sheet, object, method);
    if (!status) status = plx_image_load(out, path);
    if (!status && (out->channels != 3 || out->width != sheet->size || out->height != count * sheet->size))
        status = plx_fail(PLX_ERROR_INPUT, "%s: not a picture of this evaluation", path);
    return status;
}

/* ---- the sheet ---------------------------------------------------------------------------------------------------- */

static void paste(plx_image *sheet, const plx_image *strip, int which, int row, int column, int size) {
    plx_image picture = *strip;
    picture.height = size;
    picture.data += (size_t)which * (size_t)size * (size_t)size * 3;
    plx_image_paste(sheet, &picture, row * size, column * size);
}

static int paste_row(plx_image *out, const plx_eval_sheet *sheet, int row, const char *object, int methods,
                     const char *const *names) {
    for (int m = -1; m < methods; m++) { /* -1: input and truth */
        plx_image strip = {0};
        int input = m < 0, status = load_strip(&strip, sheet, object, input ? "input" : names[m],
                                               PLX_EVAL_SHEET_TARGETS + input);
        if (!status && input) paste(out, &strip, 0, row, 0, sheet->size);
        for (int s = 0; s < PLX_EVAL_SHEET_TARGETS && !status; s++)
            paste(out, &strip, s + input, row, 2 + m + s * (1 + methods), sheet->size);
        plx_image_free(&strip);
        if (status) return status;
    }
    return PLX_OK;
}

int plx_eval_sheet_save(const plx_eval_sheet *sheet, const char *const *objects, int methods,
                        const char *const *names) {
    if (!sheet->path) return PLX_OK;
    plx_image out = {0};
    int columns = 1 + PLX_EVAL_SHEET_TARGETS * (1 + methods);
    int status = plx_image_create(&out, sheet->rows * sheet->size, columns * sheet->size, 3);
    for (int row = 0; row < sheet->rows && !status; row++)
        status = paste_row(&out, sheet, row, objects[row], methods, names);
    if (!status) status = plx_png_save(sheet->path, &out);
    plx_image_free(&out);
    return status;
}
