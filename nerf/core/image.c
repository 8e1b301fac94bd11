#include "nerf/core/image.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"

static size_t count_of(const plx_image *image) {
    return (size_t)image->height * (size_t)image->width * (size_t)image->channels;
}

int plx_image_create(plx_image *out, int height, int width, int channels) {
    *out = (plx_image){0};
    if (height < 1 || width < 1 || channels < 1)
        return plx_fail(PLX_ERROR_INPUT, "an image of %dx%d pixels and %d channels", width, height, channels);
    size_t count;
    float *data = NULL;
    if (!__builtin_mul_overflow((size_t)height * (size_t)width, (size_t)channels, &count))
        data = calloc(count, sizeof *data);
    if (!data)
        return plx_fail(PLX_ERROR_MEMORY, "out of memory for an image of %dx%d pixels and %d channels", width,
                        height, channels);
    *out = (plx_image){height, width, channels, data};
    return PLX_OK;
}

void plx_image_free(plx_image *image) {
    if (!image) return;
    free(image->data);
    *image = (plx_image){0};
}

int plx_image_copy(plx_image *out, const plx_image *image) {
    int status = plx_image_create(out, image->height, image->width, image->channels);
    if (status) return status;
    memcpy(out->data, image->data, count_of(image) * sizeof(float));
    return PLX_OK;
}

bool plx_image_is_finite(const plx_image *image) {
    for (size_t i = 0; image->data && i < count_of(image); i++)
        if (!isfinite(image->data[i])) return false;
    return true;
}

int plx_image_over(plx_image *out, const plx_image *rgba, float background) {
    PLX_CHECK(rgba->channels == 4, "over: the image has %d channels, not 4", rgba->channels);
    int status = plx_image_create(out, rgba->height, rgba->width, 3);
    if (status) return status;
    size_t pixels = (size_t)rgba->height * (size_t)rgba->width;
    for (size_t i = 0; i < pixels; i++) {
        const float *p = rgba->data + 4 * i;
        for (int c = 0; c < 3; c++) out->data[3 * i + (size_t)c] = p[3] * p[c] + (1 - p[3]) * background;
    }
    return PLX_OK;
}

/* ---- resampling: separable; each output is a weighted sum of a run of inputs --------------------------- */

typedef struct taps {
    int first, count;
    float *weight; /* (count), into one block */
} taps;

/* Weights of one output of `to` from `from` inputs: the box [i, i + 1) from / to when shrinking, the two
 * neighbours of the centre (border repeated) when growing. Writes at most from / to + 2 weights. */
static taps axis_taps(int i, int from, int to, float *weight) {
    double scale = (double)from / to;
    taps t = {.weight = weight};
    if (to < from) {
        double low = i * scale, high = (i + 1) * scale;
        t.first = (int)low;
        for (int k = t.first; k < from && k < high; k++) {
            double overlap = fmin(k + 1, high) - fmax(k, low);
            weight[t.count++] = (float)(fmax(overlap, 0) / scale);
        }
    } else {
        double centre = fmin(fmax((i + 0.5) * scale - 0.5, 0), from - 1);
        t.first = (int)centre;
        weight[t.count++] = (float)(1 - (centre - t.first));
        if (t.first + 1 < from) weight[t.count++] = (float)(centre - t.first);
    }
    return t;
}

/* (outer, from, inner) -> (outer, to, inner). */
static int resample(const float *in, float *out, size_t outer, int from, int to, size_t inner) {
    float *weight = malloc(((size_t)from / (size_t)to + 3) * sizeof *weight);
    if (!weight) return plx_fail(PLX_ERROR_MEMORY, "out of memory for resampling");
    for (int i = 0; i < to; i++) {
        taps t = axis_taps(i, from, to, weight);
        for (size_t o = 0; o < outer; o++) {
            float *y = out + (o * (size_t)to + (size_t)i) * inner;
            const float *x = in + (o * (size_t)from + (size_t)t.first) * inner;
            memset(y, 0, inner * sizeof *y);
            for (int k = 0; k < t.count; k++)
                for (size_t c = 0; c < inner; c++) y[c] += t.weight[k] * x[(size_t)k * inner + c];
        }
    }
    free(weight);
    return PLX_OK;
}

static void premultiply(plx_image *rgba) {
    for (size_t i = 0; i < count_of(rgba); i += 4)
        for (size_t c = 0; c < 3; c++) rgba->data[i + c] *= rgba->data[i + 3];
}

static void unpremultiply(plx_image *rgba) {
    for (size_t i = 0; i < count_of(rgba); i += 4)
        for (size_t c = 0; c < 3; c++)
            rgba->data[i + c] = rgba->data[i + 3] > 0 ? rgba->data[i + c] / rgba->data[i + 3] : 0;
}

int plx_image_resize(plx_image *out, const plx_image *image, int height, int width) {
    *out = (plx_image){0};
    if (height == image->height && width == image->width) return plx_image_copy(out, image);
    plx_image source = {0}, wide = {0};
    size_t channels = (size_t)image->channels;
    int status = plx_image_copy(&source, image);
    if (status) goto done;
    if (source.channels == 4) premultiply(&source);
    if ((status = plx_image_create(&wide, source.height, width, source.channels))) goto done;
    if ((status = resample(source.data, wide.data, (size_t)source.height, source.width, width, channels)))
        goto done;
    if ((status = plx_image_create(out, height, width, source.channels))) goto done;
    status = resample(wide.data, out->data, 1, source.height, height, (size_t)width * channels);
    if (out->channels == 4) unpremultiply(out);
done:
    plx_image_free(&source);
    plx_image_free(&wide);
    if (status) plx_image_free(out);
    return status;
}

void plx_image_paste(plx_image *sheet, const plx_image *image, int row, int column) {
    PLX_CHECK(sheet->channels == image->channels, "paste: %d channels onto %d", image->channels,
              sheet->channels);
    PLX_CHECK(row >= 0 && column >= 0 && image->height <= sheet->height - row &&
                  image->width <= sheet->width - column,
              "paste: %dx%d at row %d, column %d of %dx%d", image->width, image->height, row, column,
              sheet->width, sheet->height);
    size_t line = (size_t)image->width * (size_t)image->channels;
    for (int i = 0; i < image->height; i++) {
        size_t at = ((size_t)(row + i) * (size_t)sheet->width + (size_t)column) * (size_t)sheet->channels;
        memcpy(sheet->data + at, image->data + (size_t)i * line, line * sizeof(float));
    }
}

float plx_srgb_encode(float linear) {
    return linear <= 0.0031308f ? 12.92f * linear : 1.055f * powf(linear, 1 / 2.4f) - 0.055f;
}

float plx_srgb_decode(float encoded) {
    return encoded <= 0.04045f ? encoded / 12.92f : powf((encoded + 0.055f) / 1.055f, 2.4f);
}
