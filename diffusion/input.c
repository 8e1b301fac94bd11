#include "diffusion/input.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- matting: the border's colour becomes transparent -------------------------------------------------------------- */

static const float same_colour = 0.08f, exactly_same = 0.02f; /* largest channel difference, encoded values */
enum { SMALLEST_HOLE = 9 };                                   /* pixels */

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The i-th pixel of the border, clockwise from the top left. */
static int border_pixel(int H, int W, int i) {
    if (i < W) return i;
    if ((i -= W) < H - 1) return (i + 1) * W + W - 1;
    if ((i -= H - 1) < W - 1) return (H - 1) * W + W - 2 - i;
    return (H - 2 - (i - (W - 1))) * W;
}

static float difference(const float *a, const float *b) {
    return fmaxf(fabsf(a[0] - b[0]), fmaxf(fabsf(a[1] - b[1]), fabsf(a[2] - b[2])));
}

/* The median colour of the border; *share of its pixels are near it. */
static int border_colour(float colour[3], float *share, const plx_image *image) {
    int H = image->height, W = image->width, n = 2 * (H + W) - 4, near = 0;
    float *values = malloc(sizeof(float) * (size_t)n);
    if (!values) return plx_fail(PLX_ERROR_MEMORY, "matting: out of memory");
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < n; i++) values[i] = image->data[image->channels * border_pixel(H, W, i) + c];
        qsort(values, (size_t)n, sizeof *values, compare_floats);
        colour[c] = values[n / 2];
    }
    for (int i = 0; i < n; i++)
        near += difference(image->data + image->channels * border_pixel(H, W, i), colour) < same_colour;
    *share = (float)near / (float)n;
    free(values);
    return PLX_OK;
}

typedef struct region {
    const plx_image *image;
    const float *colour;
    unsigned char *background; /* (H,W) */
    int *queue;                /* (H*W) the pixels of the last region */
} region;

static bool near_colour(const region *r, int p, float tolerance) {
    return !r->background[p] && difference(r->image->data + r->image->channels * p, r->colour) < tolerance;
}

/* Marks the 4-connected region of pixels within `tolerance` of the colour that holds `seed`; returns its size. */
static int flood(region *r, int seed, float tolerance) {
    int H = r->image->height, W = r->image->width, size = 0;
    if (!near_colour(r, seed, tolerance)) return 0;
    r->queue[size++] = seed;
    r->background[seed] = 1;
    for (int head = 0; head < size; head++) {
        int p = r->queue[head], y = p / W, x = p % W;
        const int next[4] = {y ? p - W : p, y + 1 < H ? p + W : p, x ? p - 1 : p, x + 1 < W ? p + 1 : p};
        for (int k = 0; k < 4; k++) {
            if (!near_colour(r, next[k], tolerance)) continue;
            r->background[next[k]] = 1;
            r->queue[size++] = next[k];
        }
    }
    return size;
}

/* Largest difference from the border's colour among the object's pixels within two of p. */
static float full_difference(const region *r, int p) {
    int H = r->image->height, W = r->image->width, y = p / W, x = p % W;
    float most = 0;
    for (int i = y > 1 ? y - 2 : 0; i <= y + 2 && i < H; i++)
        for (int j = x > 1 ? x - 2 : 0; j <= x + 2 && j < W; j++)
            if (!r->background[i * W + j])
                most = fmaxf(most, difference(r->image->data + r->image->channels * (i * W + j), r->colour));
    return most;
}

static bool touches_background(const region *r, int p) {
    int H = r->image->height, W = r->image->width, y = p / W, x = p % W;
    for (int i = y ? y - 1 : 0; i <= y + 1 && i < H; i++)
        for (int j = x ? x - 1 : 0; j <= x + 1 && j < W; j++)
            if (r->background[i * W + j]) return true;
    return false;
}

/* Opaque inside; along the edge colour = alpha object + (1 - alpha) border, solved for both. */
static void unmix(plx_image *rgba, const region *r) {
    for (int p = 0; p < rgba->height * rgba->width; p++) {
        const float *from = r->image->data + r->image->channels * p;
        float *to = rgba->data + 4 * (size_t)p, alpha = 1;
        if (r->background[p]) continue;
        if (touches_background(r, p)) {
            float full = full_difference(r, p);
            alpha = full > 0 ? fminf(difference(from, r->colour) / full, 1) : 1;
        }
        for (int c = 0; c < 3; c++)
            to[c] = alpha > 0 ? fminf(fmaxf((from[c] - (1 - alpha) * r->colour[c]) / alpha, 0), 1) : 0;
        to[3] = alpha;
    }
}

static int remove_background(plx_image *rgba, const plx_image *image, const char *name, char *warning) {
    int H = image->height, W = image->width;
    float colour[3], share = 0;
    int status = border_colour(colour, &share, image);
    if (status) return status;
    if (share < 0.9f)
        return plx_fail(
            PLX_ERROR_INPUT,
            "%s: its border is not one colour (%.0f %% of it is), so that the object cannot be told from the "
            "background: use an image with transparency",
            name, (double)(100 * share));
    region r = {image, colour, calloc((size_t)(H * W), 1), malloc(sizeof(int) * (size_t)(H * W))};
    if (!r.background || !r.queue) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", name);
    for (int i = 0; i < 2 * (H + W) - 4 && !status; i++) flood(&r, border_pixel(H, W, i), same_colour);
    for (int p = 0; p < H * W && !status; p++) { /* enclosed holes; a few stray pixels are the object's own */
        int size = flood(&r, p, exactly_same);
        for (int i = 0; i < size && size < SMALLEST_HOLE; i++) r.background[r.queue[i]] = 0;
    }
    double object = 0, contrast = 0;
    for (int p = 0; p < H * W && !status; p++) {
        if (r.background[p]) continue;
        object++;
        contrast += difference(image->data + image->channels * p, colour);
    }
    if (!status && object < 4)
        status = plx_fail(PLX_ERROR_INPUT, "%s: nothing stands out from the colour of its border", name);
    if (!status && contrast / object < 0.15)
        snprintf(warning, 256,
                 "%s: the object hardly differs from the background, parts of it may be taken for "
                 "background: use an image "
                 "with transparency",
                 name);
    if (!status) unmix(rgba, &r);
    free(r.background);
    free(r.queue);
    return status;
}

int plx_input_matte(plx_image *rgba, const plx_image *image, const char *name, char *warning) {
    int pixels = image->height * image->width, shown = 0, opaque = 0;
    *warning = 0;
    if (image->height < 8 || image->width < 8)
        return plx_fail(PLX_ERROR_INPUT, "%s: %dx%d pixels is too small", name, image->width, image->height);
    if (image->channels == 4)
        for (int p = 0; p < pixels; p++) {
            shown += image->data[4 * (size_t)p + 3] > 0.5f;
            opaque += image->data[4 * (size_t)p + 3] > 0.998f;
        }
    if (image->channels == 4 && opaque < pixels)
        return shown ? plx_image_copy(rgba, image)
                     : plx_fail(PLX_ERROR_INPUT, "%s: is fully transparent, there is no object in it", name);
    int status = plx_image_create(rgba, image->height, image->width, 4);
    if (!status) status = remove_background(rgba, image, name, warning);
    if (status) plx_image_free(rgba);
    return status;
}

/* ---- the virtual camera ------------------------------------------------------------------------------------------------ */

typedef struct axes {
    float right[3], up[3], back[3]; /* in the source camera's axes */
} axes;

static void normalise(float v[3]) {
    float length = sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int c = 0; c < 3; c++) v[c] /= length;
}

static void cross(const float a[3], const float b[3], float out[3]) {
    for (int c = 0; c < 3; c++) out[c] = a[(c + 1) % 3] * b[(c + 2) % 3] - a[(c + 2) % 3] * b[(c + 1) % 3];
}

static axes axes_towards(const float direction[3]) {
    axes a;
    const float up[3] = {0, 1, 0};
    for (int c = 0; c < 3; c++) a.back[c] = -direction[c];
    normalise(a.back);
    cross(up, a.back, a.right);
    normalise(a.right);
    cross(a.back, a.right, a.up);
    return a;
}

static float along(const float axis[3], const float v[3]) {
    return axis[0] * v[0] + axis[1] * v[1] + axis[2] * v[2];
}

/* The mask's extent on the plane at distance 1 before the turned camera: x0, x1, y0, y1. */
static bool extent(const plx_view *view, const axes *a, float box[4]) {
    const plx_camera *k = &view->camera;
    box[0] = box[2] = INFINITY, box[1] = box[3] = -INFINITY;
    for (int i = 0; i < view->colour.height; i++)
        for (int j = 0; j < view->colour.width; j++) {
            if (view->colour.data[4 * ((size_t)i * (size_t)view->colour.width + (size_t)j) + 3] <= 0.5f)
                continue;
            for (int corner = 0; corner < 4; corner++) {
                float px = (float)(j + (corner & 1)), py = (float)(i + corner / 2);
                const float d[3] = {(px - k->cx) / k->fx, -(py - k->cy) / k->fy, -1};
                float depth = -along(a->back, d);
                if (depth <= 0) continue;
                float x = along(a->right, d) / depth, y = along(a->up, d) / depth;
                box[0] = fminf(box[0], x), box[1] = fmaxf(box[1], x);
                box[2] = fminf(box[2], y), box[3] = fmaxf(box[3], y);
            }
        }
    return box[1] > box[0] && box[3] > box[2];
}

/* Bilinear, premultiplied; transparent outside. (px, py) in pixels, centres at +0.5. */
static void sample(const plx_image *image, float px, float py, float sum[4]) {
    float x = px - 0.5f, y = py - 0.5f;
    int x0 = (int)floorf(x), y0 = (int)floorf(y);
    for (int k = 0; k < 4; k++) {
        int j = x0 + (k & 1), i = y0 + k / 2;
        if (i < 0 || j < 0 || i >= image->height || j >= image->width) continue;
        float w =
            (k & 1 ? x - (float)x0 : 1 - (x - (float)x0)) * (k / 2 ? y - (float)y0 : 1 - (y - (float)y0));
        const float *p = image->data + 4 * ((size_t)i * (size_t)image->width + (size_t)j);
        for (int c = 0; c < 3; c++) sum[c] += w * p[3] * p[c];
        sum[3] += w * p[3];
    }
}

static void resample(plx_image *out, const plx_view *view, const axes *a, float focal) {
    const plx_camera *k = &view->camera;
    int size = out->width, n = (int)ceilf(k->fx / focal); /* source pixels an output pixel */
    n = n < 2 ? 2 : n > 16 ? 16 : n;
    for (int p = 0; p < size * size; p++) {
        float sum[4] = {0}, *to = out->data + 4 * (size_t)p;
        for (int s = 0; s < n * n; s++) {
            float x = ((float)(p % size) + ((float)(s % n) + 0.5f) / (float)n - (float)size / 2) / focal;
            float y = -((float)(p / size) + ((float)(s / n) + 0.5f) / (float)n - (float)size / 2) / focal;
            float d[3];
            for (int c = 0; c < 3; c++) d[c] = a->right[c] * x + a->up[c] * y - a->back[c];
            if (d[2] < 0)
                sample(&view->colour, k->cx - k->fx * d[0] / d[2], k->cy + k->fy * d[1] / d[2], sum);
        }
        for (int c = 0; c < 3; c++) to[c] = sum[3] > 0 ? sum[c] / sum[3] : 0;
        to[3] = sum[3] / (float)(n * n);
    }
}

int plx_input_crop(plx_view *out, const plx_view *view, int size, float fill) {
    const plx_camera *k = &view->camera;
    float direction[3] = {0, 0, -1}, box[4];
    axes a = axes_towards(direction);
    for (int pass = 0; pass < 3;
         pass++) { /* turning changes the extent a little: twice is enough, then measured */
        if (!extent(view, &a, box)) return plx_fail(PLX_ERROR_INPUT, "the object's mask is empty");
        if (pass == 2) break;
        float x = (box[0] + box[1]) / 2, y = (box[2] + box[3]) / 2;
        for (int c = 0; c < 3; c++) direction[c] = a.right[c] * x + a.up[c] * y - a.back[c];
        a = axes_towards(direction);
    }
    *out = (plx_view){0};
    int status = plx_image_create(&out->colour, size, size, 4);
    if (status) return status;
    float half = fmaxf(fmaxf(-box[0], box[1]), fmaxf(-box[2], box[3]));
    float focal = fill * (float)size / (2 * half);
    resample(&out->colour, view, &a, focal);
    out->camera = *k;
    out->camera.width = out->camera.height = size;
    out->camera.fx = out->camera.fy = focal;
    out->camera.cx = out->camera.cy = (float)size / 2;
    for (int row = 0; row < 3; row++) {
        const float *r = k->c2w + 4 * row;
        float turned[3] = {along(a.right, r), along(a.up, r), along(a.back, r)};
        memcpy(out->camera.c2w + 4 * row, turned, sizeof turned);
    }
    return PLX_OK;
}

/* ---- the whole way ----------------------------------------------------------------------------------------------------------- */

/* The picture in the middle of a transparent square. */
static int pad_square(plx_image *out, const plx_image *image) {
    int side = image->width > image->height ? image->width : image->height;
    int status = plx_image_create(out, side, side, 4);
    if (!status) plx_image_paste(out, image, (side - image->height) / 2, (side - image->width) / 2);
    return status;
}

plx_input_options plx_input_options_default(void) {
    return (plx_input_options){
        .crop = true, .fov = PLX_DEFAULT_FOV, .elevation = 20 * (float)M_PI / 180, .fill = 0.7f};
}

/* World units: the longer side of a training object's silhouette, median of three default views of each. */
static const float typical_side = 0.82f;

int plx_input_prepare(plx_view *out, const plx_image *image, const char *name, const plx_input_options *o,
                      int size, char *warning) {
    plx_view square = {0};
    plx_image rgba = {0};
    *out = (plx_view){0};
    int status = plx_input_matte(&rgba, image, name, warning);
    if (!status) status = pad_square(&square.colour, &rgba);
    if (!status) {
        int side = square.colour.width;
        float fov = 2 * atanf(tanf(o->fov / 2) * (float)side / (float)image->height); /* of the square */
        square.camera = plx_camera_orbit(0, o->elevation, PLX_DEFAULT_DISTANCE, fov, side, side);
        if (o->crop) {
            status = plx_input_crop(out, &square, size, o->fill);
            if (status) plx_fail_in(status, name);
        } else {
            status = plx_image_resize(&out->colour, &square.colour, size, size);
            out->camera = plx_camera_resize(&square.camera, size, size);
        }
    }
    if (!status && o->crop) {
        /* The world is put around the object: its centre the origin. Distance and size share one unknown scale, so that
         * neither the lens nor the room left around the object tells its size; to the model a small side of an object
         * of the known diagonal would mean a deep one. It is given the typical one. */
        float fov = 2 * atanf(typical_side / o->fill / 2 / PLX_DEFAULT_DISTANCE);
        out->camera = plx_camera_orbit(0, o->elevation, PLX_DEFAULT_DISTANCE, fov, size, size);
    }
    plx_image_free(&rgba);
    plx_image_free(&square.colour);
    if (status) plx_image_free(&out->colour);
    return status;
}
