/* The views of one object, each for itself. */
#include "tools/dataset_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- findings ------------------------------------------------------------------------------------------------------ */

void plx_find(plx_findings *findings, bool error, const char *what, int object, int view, const char *format,
              ...) {
    plx_finding made = {.error = error, .what = what, .object = object, .view = view};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(made.text, sizeof made.text, format, arguments);
    va_end(arguments);
#pragma omp critical(plx_find)
    {
        if (findings->count >= 0 && findings->count == findings->capacity) {
            int capacity = findings->capacity ? 2 * findings->capacity : 64;
            plx_finding *more = realloc(findings->list, (size_t)capacity * sizeof *more);
            if (more) {
                findings->list = more;
                findings->capacity = capacity;
            }
        }
        if (findings->count < findings->capacity)
            findings->list[findings->count++] = made;
        else
            findings->capacity = -1; /* memory */
    }
}

static int compare_findings(const void *a, const void *b) {
    const plx_finding *x = a, *y = b;
    if (x->object != y->object) return x->object < y->object ? -1 : 1;
    if (x->view != y->view) return x->view < y->view ? -1 : 1;
    int order = strcmp(x->what, y->what);
    return order ? order : strcmp(x->text, y->text);
}

int plx_findings_sort(plx_findings *findings) {
    if (findings->capacity < 0) return plx_fail(PLX_ERROR_MEMORY, "out of memory for findings");
    if (findings->count)
        qsort(findings->list, (size_t)findings->count, sizeof *findings->list, compare_findings);
    return PLX_OK;
}

void plx_findings_free(plx_findings *findings) {
    free(findings->list);
    *findings = (plx_findings){0};
}

/* ---- silhouettes --------------------------------------------------------------------------------------------------- */

#define WHITE \
    250 /* of 255: what is at least so bright in all channels is background where there is no opacity */

/* Where the object is: opacity, or all that is not white before a white border. False: it cannot be told. */
static bool find_object(uint8_t *inside, const plx_image *rgba, bool has_alpha) {
    int height = rgba->height, width = rgba->width, border = 0, white = 0;
    for (int i = 0; i < height * width; i++) {
        const float *p = rgba->data + 4 * (size_t)i;
        bool bright = true;
        for (int c = 0; c < 3; c++) bright = bright && p[c] * 255 >= WHITE;
        inside[i] = has_alpha ? p[3] > 0.5f : !bright;
        int row = i / width, column = i % width;
        bool edge = row == 0 || column == 0 || row == height - 1 || column == width - 1;
        border += edge;
        white += edge && !inside[i];
    }
    return has_alpha || white > border / 2;
}

static void keep_cells(plx_seen_view *seen, const uint8_t *inside, int height, int width) {
    for (int cell = 0; cell < PLX_CHECK_CELLS * PLX_CHECK_CELLS; cell++) {
        int row = cell / PLX_CHECK_CELLS, column = cell % PLX_CHECK_CELLS, sum = 0, count = 0;
        int top = row * height / PLX_CHECK_CELLS, bottom = (row + 1) * height / PLX_CHECK_CELLS;
        int left = column * width / PLX_CHECK_CELLS, right = (column + 1) * width / PLX_CHECK_CELLS;
        if (bottom == top) bottom++; /* pictures smaller than the cells */
        if (right == left) right++;
        for (int y = top; y < bottom; y++)
            for (int x = left; x < right; x++) sum += inside[y * width + x], count++;
        seen->cells[cell] = (uint8_t)(255 * sum / count);
    }
}

static void check_silhouette(plx_seen_view *seen, const plx_image *rgba, bool has_alpha,
                             plx_findings *findings, int object) {
    int height = rgba->height, width = rgba->width, pixels = 0, cut = 0;
    uint8_t *inside = malloc((size_t)height * (size_t)width);
    if (!inside) return;
    seen->has_silhouette = find_object(inside, rgba, has_alpha);
    for (int i = 0; i < height * width; i++) {
        int row = i / width, column = i % width;
        pixels += inside[i];
        cut += inside[i] && (row == 0 || column == 0 || row == height - 1 || column == width - 1);
    }
    if (seen->has_silhouette && !pixels)
        plx_find(findings, true, "silhouette", object, seen->index, "nothing is to be seen");
    else if (seen->has_silhouette && cut * 50 > 2 * (height + width))
        plx_find(findings, false, "silhouette", object, seen->index,
                 "cut off at the picture's edge: %d of %d pixels there", cut, 2 * (height + width) - 4);
    keep_cells(seen, inside, height, width);
    free(inside);
}

/* ---- appearance ---------------------------------------------------------------------------------------------------- */

/* Differences of brightness over white between neighbours of a 17 x 16 reduction (dHash), and FNV-1a of the 8-bit pixels. */
static int keep_hash(plx_seen_view *seen, const plx_image *rgba) {
    plx_image over = {0}, small = {0};
    int status = plx_image_over(&over, rgba, 1);
    if (!status) status = plx_image_resize(&small, &over, 16, 17);
    for (int i = 0; i < 256 && !status; i++) {
        const float *p = small.data + 3 * (i / 16 * 17 + i % 16);
        double left = (double)p[0] + (double)p[1] + (double)p[2],
               right = (double)p[3] + (double)p[4] + (double)p[5];
        if (left > right + 0.01) seen->hash[i / 64] |= (uint64_t)1 << i % 64;
    }
    seen->pixels = 0xcbf29ce484222325u;
    for (size_t i = 0; !status && i < (size_t)over.height * (size_t)over.width * 3; i++)
        seen->pixels = (seen->pixels ^ (uint64_t)lroundf(over.data[i] * 255)) * 0x100000001b3u;
    plx_image_free(&over);
    plx_image_free(&small);
    return status;
}

/* ---- cameras and depth --------------------------------------------------------------------------------------------- */

static void check_camera(const plx_camera *c, plx_findings *findings, int object, int view) {
    double fov = (double)plx_camera_fov(c) * 180 / M_PI, ratio = (double)c->fx / (double)c->fy;
    double x = (double)c->cx / c->width, y = (double)c->cy / c->height;
    if (!plx_camera_valid(c, 1e-2f))
        plx_find(findings, true, "pose", object, view, "not a right-handed rotation and a position");
    if (fov < 2 || fov > 130)
        plx_find(findings, true, "intrinsics", object, view, "a field of view of %.3g degrees", fov);
    if (ratio < 0.8 || ratio > 1.25)
        plx_find(findings, false, "intrinsics", object, view, "focal lengths %g and %g px", (double)c->fx,
                 (double)c->fy);
    if (x < 0 || x > 1 || y < 0 || y > 1)
        plx_find(findings, true, "intrinsics", object, view,
                 "the principal point %g, %g is outside the picture", (double)c->cx, (double)c->cy);
    else if (fabs(x - 0.5) > 0.2 || fabs(y - 0.5) > 0.2)
        plx_find(findings, false, "intrinsics", object, view,
                 "the principal point %g, %g is far from the middle", (double)c->cx, (double)c->cy);
}

static void check_depth(plx_seen_view *seen, const plx_image *depth, plx_findings *findings, int object) {
    size_t count = (size_t)depth->height * (size_t)depth->width, bad = 0;
    float near = INFINITY, far = 0;
    for (size_t i = 0; depth->data && i < count; i++) {
        float d = depth->data[2 * i];
        if (!isfinite(d) || d < 0)
            bad++;
        else if (d > 0) {
            near = fminf(near, d);
            far = fmaxf(far, d);
        }
    }
    if (bad)
        plx_find(findings, true, "depth", object, seen->index, "%zu depths are negative or not finite", bad);
    if (far > 0) seen->near = near, seen->far = far;
}

/* ---- an object ----------------------------------------------------------------------------------------------------- */

/* `last`: why the view before could not be read; what is wrong with the whole object is told once. */
static int check_view(plx_seen_object *out, plx_findings *findings, const plx_dataset *dataset, int object,
                      int index, char last[400]) {
    plx_views one;
    int status = plx_dataset_load(dataset, object, &index, 1, &one);
    if (status == PLX_ERROR_MEMORY || status == PLX_ERROR_CANCELLED) return status;
    if (status) {
        if (strncmp(last, plx_error(), 399))
            plx_find(findings, true, "unreadable", object, index, "%s", plx_error());
        snprintf(last, 400, "%s", plx_error());
        return PLX_OK;
    }
    plx_seen_view *seen = &out->views[out->count++];
    const plx_view *view = &one.views[0];
    *seen = (plx_seen_view){.index = index, .camera = view->camera};
    out->near = one.near;
    out->far = one.far;
    check_camera(&view->camera, findings, object, index);
    check_silhouette(seen, &view->colour, one.has_alpha, findings, object);
    check_depth(seen, &view->depth, findings, object);
    status = keep_hash(seen, &view->colour);
    plx_views_free(&one);
    return status;
}

int plx_check_views(plx_seen_object *out, plx_findings *findings, const plx_dataset *dataset, int object) {
    int count = plx_dataset_view_count(dataset, object), status = PLX_OK;
    char last[400] = "";
    *out = (plx_seen_object){.views = calloc((size_t)count + 1, sizeof *out->views)};
    if (!out->views) return plx_fail(PLX_ERROR_MEMORY, "out of memory for %d views", count);
    for (int i = 0; i < count && !status; i++)
        status = plx_stop_requested() ? plx_fail(PLX_ERROR_CANCELLED, "stopped")
                                      : check_view(out, findings, dataset, object, i, last);
    return status;
}

void plx_seen_free(plx_seen_object *object) {
    free(object->views);
    *object = (plx_seen_object){0};
}
