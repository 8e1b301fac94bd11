/* The only file that includes stb: PNG and JPEG in, PNG out. */
#include "render/image_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"

#define FILE_MAX ((size_t)1 << 30) /* bytes */
#define PIXELS_MAX ((int64_t)64 << 20)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS PLX_IMAGE_MAX_SIDE
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

/* Size and channels from the header, checked before anything is decoded. */
static int check_header(const void *bytes, size_t size, int *channels) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const uint8_t *data = bytes;
    bool is_png = size >= 24 && memcmp(data, png, 8) == 0;
    bool is_jpeg = size >= 4 && data[0] == 0xff && data[1] == 0xd8;
    int width = 0, height = 0;
    if (!is_png && !is_jpeg) return plx_fail(PLX_ERROR_INPUT, size ? "not a PNG or JPEG picture" : "empty");
    if (is_png) { /* stb says only "too large" or "bad" */
        uint32_t w = (uint32_t)data[16] << 24 | data[17] << 16 | data[18] << 8 | data[19];
        uint32_t h = (uint32_t)data[20] << 24 | data[21] << 16 | data[22] << 8 | data[23];
        if (w == 0 || h == 0 || w > PLX_IMAGE_MAX_SIDE || h > PLX_IMAGE_MAX_SIDE)
            return plx_fail(PLX_ERROR_INPUT, "a picture of %ux%u pixels (1 to %d a side are read)", w, h,
                            PLX_IMAGE_MAX_SIDE);
    }
    if (size > INT32_MAX) return plx_fail(PLX_ERROR_INPUT, "larger than 2 GB");
    if (!stbi_info_from_memory(bytes, (int)size, &width, &height, channels))
        return plx_fail(PLX_ERROR_INPUT, "damaged picture: %s", stbi_failure_reason());
    if (width <= 0 || height <= 0 || width > PLX_IMAGE_MAX_SIDE || height > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "a picture of %dx%d pixels (1 to %d a side are read)", width, height,
                        PLX_IMAGE_MAX_SIDE);
    if ((int64_t)width * height > PIXELS_MAX)
        return plx_fail(PLX_ERROR_INPUT, "a picture of %dx%d pixels (at most 64 million are read)", width,
                        height);
    return PLX_OK;
}

int plx_picture_decode(uint8_t **rgba, int *width, int *height, const void *bytes, size_t size) {
    int channels, status = check_header(bytes, size, &channels);
    *rgba = NULL;
    if (status < 0) return status;
    *rgba = stbi_load_from_memory(bytes, (int)size, width, height, &channels, 4);
    if (!*rgba) return plx_fail(PLX_ERROR_INPUT, "damaged picture: %s", stbi_failure_reason());
    return PLX_OK;
}

static int decode_float(plx_image *out, const void *bytes, size_t size) {
    int channels, width, height, status = check_header(bytes, size, &channels);
    if (status < 0) return status;
    int wanted = channels == 2 || channels == 4 ? 4 : 3; /* grey is widened */
    bool deep = stbi_is_16_bit_from_memory(bytes, (int)size);
    void *pixels =
        deep ? (void *)stbi_load_16_from_memory(bytes, (int)size, &width, &height, &channels, wanted)
             : (void *)stbi_load_from_memory(bytes, (int)size, &width, &height, &channels, wanted);
    if (!pixels) return plx_fail(PLX_ERROR_INPUT, "damaged picture: %s", stbi_failure_reason());
    status = plx_image_create(out, height, width, wanted);
    size_t count = status == PLX_OK ? (size_t)height * width * wanted : 0;
    for (size_t i = 0; i < count; i++)
        out->data[i] =
            deep ? (float)((const uint16_t *)pixels)[i] / 65535 : (float)((const uint8_t *)pixels)[i] / 255;
    stbi_image_free(pixels);
    return status;
}

int plx_image_load(plx_image *out, const char *path) {
    char *data;
    size_t size;
    *out = (plx_image){0};
    int status = plx_file_read(&data, &size, path, FILE_MAX);
    if (status < 0) return status;
    status = decode_float(out, data, size);
    free(data);
    return status < 0 ? plx_fail_in(status, path) : PLX_OK;
}

int plx_png_encode(uint8_t **out, size_t *size, const plx_image *image) {
    int height = image->height, width = image->width, channels = image->channels, length;
    PLX_CHECK(channels == 1 || channels == 3 || channels == 4, "png: %d channels", channels);
    PLX_CHECK(height > 0 && width > 0 && (int64_t)height * width <= PIXELS_MAX, "png: %dx%d", width, height);
    size_t count = (size_t)height * width * channels;
    uint8_t *bytes = malloc(count);
    *out = NULL;
    for (size_t i = 0; bytes && i < count; i++) { /* NaN becomes 0 */
        float value = fminf(fmaxf(image->data[i], 0), 1);
        bytes[i] = value > 0 ? (uint8_t)(value * 255 + 0.5f) : 0;
    }
    if (bytes) *out = stbi_write_png_to_mem(bytes, width * channels, width, height, channels, &length);
    free(bytes);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "no memory for %dx%d pixels", width, height);
    *size = (size_t)length;
    return PLX_OK;
}

int plx_png_save(const char *path, const plx_image *image) {
    uint8_t *bytes;
    size_t size;
    int status = plx_png_encode(&bytes, &size, image);
    if (status) return plx_fail_in(status, path);
    status = plx_file_write(path, bytes, size);
    free(bytes);
    return status;
}
