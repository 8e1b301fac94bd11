/* The only file that includes OpenEXR (3.1, C core API). */
#define _GNU_SOURCE /* pwrite */
#include <errno.h>
#include <math.h>
#include <OpenEXR/openexr.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"

#define FILE_MAX ((size_t)1 << 30)      /* bytes */
#define VALUES_MAX ((int64_t)256 << 20) /* pixels times channels: 1 GB */
#define PLX_EXR_CHANNELS 16

/* What a context's callbacks work on. */
typedef struct stream {
    const char *data; /* reading: the whole file */
    size_t size;
    int fd;            /* writing */
    char message[160]; /* the first error, one line */
} stream;

static void keep_error(exr_const_context_t context, exr_result_t code, const char *text) {
    void *user = NULL;
    if (!context || exr_get_user_data(context, &user) != EXR_ERR_SUCCESS || !user) return;
    stream *s = user;
    if (s->message[0]) return;
    size_t n = 0;
    if (!text || !text[0]) text = exr_get_error_code_as_string(code);
    for (; text[n] && n < sizeof s->message - 1; n++) s->message[n] = text[n] < ' ' ? ' ' : text[n];
    s->message[n] = 0;
}

static int64_t stream_size(exr_const_context_t context, void *user) {
    (void)context;
    return (int64_t)((stream *)user)->size;
}

static int64_t stream_read(exr_const_context_t context, void *user, void *buffer, uint64_t size,
                           uint64_t offset, exr_stream_error_func_ptr_t fail) {
    (void)context, (void)fail;
    const stream *s = user;
    if (offset > s->size) return -1;
    if (size > s->size - offset) size = s->size - offset;
    memcpy(buffer, s->data + offset, size);
    return (int64_t)size;
}

static int64_t stream_write(exr_const_context_t context, void *user, const void *buffer, uint64_t size,
                            uint64_t offset, exr_stream_error_func_ptr_t fail) {
    const stream *s = user;
    uint64_t done = 0;
    while (done < size) {
        ssize_t part = pwrite(s->fd, (const char *)buffer + done, size - done, (off_t)(offset + done));
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) {
            fail(context, EXR_ERR_WRITE_IO, "%s", strerror(errno));
            return -1;
        }
        done += (uint64_t)part;
    }
    return (int64_t)size;
}

static exr_context_initializer_t initializer(stream *s, bool reading) {
    exr_context_initializer_t init = EXR_DEFAULT_CONTEXT_INITIALIZER;
    init.error_handler_fn = keep_error;
    init.user_data = s;
    init.max_image_width = init.max_image_height = PLX_IMAGE_MAX_SIDE;
    if (reading) {
        init.read_fn = stream_read;
        init.size_fn = stream_size;
        init.flags = EXR_CONTEXT_FLAG_DISABLE_CHUNK_RECONSTRUCTION;
    } else {
        init.write_fn = stream_write;
    }
    return init;
}

/* ---- planes ----
 * OpenEXR is given one plane a channel, in the file's own type: its conversions mix up the channels of interleaved
 * halves (3.1.5: four of them come back in reverse order). */

static uint16_t half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);  /* NaN */
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more: infinite */
    if (size < 0x38800000) return (uint16_t)(sign | (uint32_t)lrintf(fabsf(value) * 0x1p24f)); /* subnormal */
    size += 0xfff + (size >> 13 & 1); /* to nearest, ties to even */
    return (uint16_t)(sign | (size - 0x38000000) >> 13);
}

static float float_from_half(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float size = exponent == 0    ? (float)fraction * 0x1p-24f
                 : exponent == 31 ? (fraction ? NAN : INFINITY)
                                  : ldexpf((float)(1024 + fraction), exponent - 25);
    return half & 0x8000 ? -size : size;
}

/* A block's rows of each channel: plane i starts at i * size bytes. */
typedef struct planes {
    uint8_t *bytes;
    size_t size;
} planes;

static int make_planes(planes *out, int count, int rows, int width) {
    out->size = (size_t)rows * width * 4;
    out->bytes = malloc(out->size * (size_t)count);
    return out->bytes ? PLX_OK
                      : plx_fail(PLX_ERROR_MEMORY, "no memory for %d rows of %d pixels", rows, width);
}

static void point_at_plane(exr_coding_channel_info_t *channel, uint8_t *plane, int width) {
    channel->decode_to_ptr = plane; /* one union with encode_from_ptr */
    channel->user_data_type = channel->data_type;
    channel->user_bytes_per_element = channel->data_type == EXR_PIXEL_HALF ? 2 : 4;
    channel->user_pixel_stride = channel->user_bytes_per_element;
    channel->user_line_stride = channel->user_bytes_per_element * width;
}

/* ---- writing ---- */

static void fill_plane(uint8_t *plane, const plx_exr_channel *channel, int row, int rows) {
    const plx_image *image = channel->image;
    const float *from = image->data + (size_t)row * image->width * image->channels + channel->channel;
    for (size_t i = 0; i < (size_t)rows * image->width; i++) {
        float value = from[i * image->channels];
        if (channel->half)
            ((uint16_t *)plane)[i] = half_from_float(value);
        else
            ((float *)plane)[i] = value;
    }
}

static exr_result_t write_block(exr_context_t file, int row, int count, const plx_exr_channel *channels,
                                const planes *block) {
    exr_chunk_info_t chunk;
    exr_encode_pipeline_t pipe = EXR_ENCODE_PIPELINE_INITIALIZER;
    exr_result_t result = exr_write_scanline_chunk_info(file, 0, row, &chunk);
    if (result != EXR_ERR_SUCCESS) return result;
    result = exr_encoding_initialize(file, 0, &chunk, &pipe);
    for (int k = 0; result == EXR_ERR_SUCCESS && k < pipe.channel_count; k++) {
        for (int i = 0; i < count; i++) { /* the file's order is by name */
            if (strcmp(pipe.channels[k].channel_name, channels[i].name) != 0) continue;
            fill_plane(block->bytes + i * block->size, channels + i, row, chunk.height);
            point_at_plane(pipe.channels + k, block->bytes + i * block->size, chunk.width);
        }
    }
    if (result == EXR_ERR_SUCCESS) result = exr_encoding_choose_default_routines(file, 0, &pipe);
    if (result == EXR_ERR_SUCCESS) result = exr_encoding_run(file, 0, &pipe);
    exr_encoding_destroy(file, &pipe);
    return result;
}

/* OpenEXR's matrices take row vectors: the transpose of ours. */
static exr_result_t write_camera(exr_context_t file, int part, const plx_camera *c) {
    float w2c[12], fx = c->fx, fy = c->fy;
    exr_attr_m44f_t matrix = {.m = {[15] = 1}};
    plx_camera_w2c(c, w2c);
    for (int i = 0; i < 12; i++) matrix.m[i % 4 * 4 + i / 4] = w2c[i];
    exr_attr_v2f_t focal = {.x = fx, .y = fy}, point = {.x = c->cx, .y = c->cy};
    exr_attr_v2f_t centre = {.x = (0.5f * (float)c->width - c->cx) / fx,
                             .y = (c->cy - 0.5f * (float)c->height) / fy};
    exr_result_t result = exr_attr_set_m44f(file, part, "worldToCamera", &matrix);
    if (result == EXR_ERR_SUCCESS) result = exr_attr_set_v2f(file, part, "focalLength", &focal);
    if (result == EXR_ERR_SUCCESS) result = exr_attr_set_v2f(file, part, "principalPoint", &point);
    if (result == EXR_ERR_SUCCESS) result = exr_set_screen_window_center(file, part, &centre);
    if (result == EXR_ERR_SUCCESS) result = exr_set_screen_window_width(file, part, (float)c->width / fx);
    return result == EXR_ERR_SUCCESS ? exr_set_pixel_aspect_ratio(file, part, fx / fy) : result;
}

static exr_result_t write_file(exr_context_t file, int count, const plx_exr_channel *channels,
                               const plx_camera *camera) {
    int part, height = channels[0].image->height, width = channels[0].image->width, rows = 0;
    exr_result_t result = exr_add_part(file, "main", EXR_STORAGE_SCANLINE, &part);
    if (result == EXR_ERR_SUCCESS)
        result = exr_initialize_required_attr_simple(file, part, width, height, EXR_COMPRESSION_ZIP);
    for (int i = 0; i < count && result == EXR_ERR_SUCCESS; i++)
        result =
            exr_add_channel(file, part, channels[i].name, channels[i].half ? EXR_PIXEL_HALF : EXR_PIXEL_FLOAT,
                            EXR_PERCEPTUALLY_LOGARITHMIC, 1, 1);
    if (result == EXR_ERR_SUCCESS && camera) result = write_camera(file, part, camera);
    if (result == EXR_ERR_SUCCESS) result = exr_write_header(file);
    if (result == EXR_ERR_SUCCESS) result = exr_get_scanlines_per_chunk(file, part, &rows);
    planes block = {0};
    if (result == EXR_ERR_SUCCESS && make_planes(&block, count, rows, width) < 0)
        result = EXR_ERR_OUT_OF_MEMORY;
    for (int row = 0; row < height && result == EXR_ERR_SUCCESS; row += rows)
        result = write_block(file, row, count, channels, &block);
    free(block.bytes);
    return result;
}

static void check_channels(int count, const plx_exr_channel *channels) {
    PLX_CHECK(count > 0 && count <= PLX_EXR_CHANNELS, "exr: %d channels", count);
    for (int i = 0; i < count; i++) {
        const plx_image *image = channels[i].image, *first = channels[0].image;
        PLX_CHECK(image->height == first->height && image->width == first->width, "exr: %dx%d beside %dx%d",
                  image->height, image->width, first->height, first->width);
        PLX_CHECK(channels[i].channel >= 0 && channels[i].channel < image->channels, "exr: channel %d of %d",
                  channels[i].channel, image->channels);
    }
}

int plx_exr_save(const char *path, int count, const plx_exr_channel *channels, const plx_camera *camera) {
    check_channels(count, channels);
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status < 0) return status;
    stream s = {.fd = fileno(writer.file)};
    exr_context_t file = NULL;
    exr_context_initializer_t init = initializer(&s, false);
    exr_result_t result = exr_start_write(&file, path, EXR_WRITE_FILE_DIRECTLY, &init);
    if (result == EXR_ERR_SUCCESS) result = write_file(file, count, channels, camera);
    exr_result_t finished = file ? exr_finish(&file) : EXR_ERR_SUCCESS; /* writes the table of chunks */
    if (result == EXR_ERR_SUCCESS) result = finished;
    if (result == EXR_ERR_SUCCESS) return plx_writer_commit(&writer);
    plx_writer_abort(&writer);
    return plx_fail(PLX_ERROR_IO, "%s: %s", path,
                    s.message[0] ? s.message : exr_get_error_code_as_string(result));
}

/* ---- reading ---- */

/* One scanline part, from (0,0), of a compression that cannot blow up, in size. */
static int check_header(exr_context_t file, int wanted, int *width, int *height) {
    int parts = 0;
    exr_storage_t storage;
    exr_compression_t compression;
    exr_attr_box2i_t window;
    if (exr_get_count(file, &parts) != EXR_ERR_SUCCESS || parts != 1)
        return plx_fail(PLX_ERROR_SUPPORT, "an EXR of %d parts; one is read", parts);
    if (exr_get_storage(file, 0, &storage) != EXR_ERR_SUCCESS || storage != EXR_STORAGE_SCANLINE)
        return plx_fail(PLX_ERROR_SUPPORT, "an EXR of tiles or deep pixels; scan lines are read");
    if (exr_get_compression(file, 0, &compression) != EXR_ERR_SUCCESS || compression > EXR_COMPRESSION_ZIP)
        return plx_fail(PLX_ERROR_SUPPORT, "a compression other than none, RLE, ZIPS and ZIP");
    if (exr_get_data_window(file, 0, &window) != EXR_ERR_SUCCESS || window.min.x != 0 || window.min.y != 0)
        return plx_fail(PLX_ERROR_SUPPORT, "an EXR whose data window does not start at 0,0");
    if (window.max.x < 0 || window.max.y < 0 || window.max.x >= PLX_IMAGE_MAX_SIDE ||
        window.max.y >= PLX_IMAGE_MAX_SIDE ||
        ((int64_t)window.max.x + 1) * ((int64_t)window.max.y + 1) * wanted > VALUES_MAX)
        return plx_fail(PLX_ERROR_INPUT, "an EXR of %lldx%lld pixels", (long long)window.max.x + 1,
                        (long long)window.max.y + 1);
    *width = window.max.x + 1;
    *height = window.max.y + 1;
    return PLX_OK;
}

static int check_names(exr_context_t file, int count, const char *const *names) {
    const exr_attr_chlist_t *list = NULL;
    if (exr_get_channels(file, 0, &list) != EXR_ERR_SUCCESS || !list)
        return plx_fail(PLX_ERROR_INPUT, "an EXR without channels");
    for (int k = 0; k < list->num_channels; k++)
        if (list->entries[k].x_sampling != 1 || list->entries[k].y_sampling != 1)
            return plx_fail(PLX_ERROR_SUPPORT, "an EXR with sub-sampled channels");
    for (int i = 0; i < count; i++) {
        bool found = false;
        for (int k = 0; k < list->num_channels; k++)
            found |= strcmp(list->entries[k].name.str, names[i]) == 0;
        if (!found) return plx_fail(PLX_ERROR_INPUT, "no channel \"%s\"", names[i]);
    }
    return PLX_OK;
}

static void take_plane(plx_image *out, int channel, const uint8_t *plane, bool half, int row, int rows) {
    float *to = out->data + (size_t)row * out->width * out->channels + channel;
    for (size_t i = 0; i < (size_t)rows * out->width; i++)
        to[i * out->channels] =
            half ? float_from_half(((const uint16_t *)plane)[i]) : ((const float *)plane)[i];
}

static exr_result_t read_block(exr_context_t file, int row, plx_image *out, const char *const *names,
                               const planes *block) {
    exr_chunk_info_t chunk;
    exr_decode_pipeline_t pipe = EXR_DECODE_PIPELINE_INITIALIZER;
    exr_result_t result = exr_read_scanline_chunk_info(file, 0, row, &chunk);
    if (result != EXR_ERR_SUCCESS) return result;
    if (chunk.start_y != row || chunk.width != out->width || chunk.height > out->height - row)
        return EXR_ERR_CORRUPT_CHUNK;
    result = exr_decoding_initialize(file, 0, &chunk, &pipe);
    for (int k = 0; result == EXR_ERR_SUCCESS && k < pipe.channel_count; k++) {
        pipe.channels[k].decode_to_ptr = NULL;
        for (int i = 0; i < out->channels; i++)
            if (strcmp(pipe.channels[k].channel_name, names[i]) == 0)
                point_at_plane(pipe.channels + k, block->bytes + i * block->size, out->width);
    }
    if (result == EXR_ERR_SUCCESS) result = exr_decoding_choose_default_routines(file, 0, &pipe);
    if (result == EXR_ERR_SUCCESS) result = exr_decoding_run(file, 0, &pipe);
    for (int k = 0; result == EXR_ERR_SUCCESS && k < pipe.channel_count; k++)
        for (int i = 0; i < out->channels; i++)
            if (strcmp(pipe.channels[k].channel_name, names[i]) == 0)
                take_plane(out, i, block->bytes + i * block->size,
                           pipe.channels[k].data_type == EXR_PIXEL_HALF, row, chunk.height);
    exr_decoding_destroy(file, &pipe);
    return result;
}

static int read_file(plx_image *out, exr_context_t file, stream *s, int count, const char *const *names) {
    int width = 0, height = 0, rows = 0, status = check_header(file, count, &width, &height);
    if (status < 0 || (status = check_names(file, count, names)) < 0) return status;
    if (exr_get_scanlines_per_chunk(file, 0, &rows) != EXR_ERR_SUCCESS || rows < 1 || rows > 16)
        return plx_fail(PLX_ERROR_INPUT, "damaged EXR");
    planes block;
    if ((status = make_planes(&block, count, rows, width)) < 0) return status;
    status = plx_image_create(out, height, width, count);
    for (int row = 0; row < height && status == PLX_OK; row += rows)
        if (read_block(file, row, out, names, &block) != EXR_ERR_SUCCESS)
            status = plx_fail(PLX_ERROR_INPUT, "damaged EXR%s%s", s->message[0] ? ": " : "", s->message);
    free(block.bytes);
    if (status < 0) plx_image_free(out);
    return status;
}

int plx_exr_load(plx_image *out, const char *path, int count, const char *const *names) {
    PLX_CHECK(count > 0 && count <= PLX_EXR_CHANNELS, "exr: %d channels", count);
    *out = (plx_image){0};
    char *data;
    size_t size;
    int status = plx_file_read(&data, &size, path, FILE_MAX);
    if (status < 0) return status;
    stream s = {.data = data, .size = size};
    exr_context_t file = NULL;
    exr_context_initializer_t init = initializer(&s, true);
    if (exr_start_read(&file, path, &init) != EXR_ERR_SUCCESS)
        status = plx_fail(PLX_ERROR_INPUT, "not an EXR picture%s%s", s.message[0] ? ": " : "", s.message);
    else
        status = read_file(out, file, &s, count, names);
    if (file) exr_finish(&file);
    free(data);
    return status < 0 ? plx_fail_in(status, path) : PLX_OK;
}
