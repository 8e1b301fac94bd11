/* The only file that includes OpenEXR (3.1, C core API). */
#define _GNU_SOURCE /* pwrite */
#include <errno.h>
#include <limits.h>
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

/* ---- writing ---- */

static exr_result_t write_block(exr_context_t file, int row, int count, const plx_exr_channel *channels) {
    exr_chunk_info_t chunk;
    exr_encode_pipeline_t pipe = EXR_ENCODE_PIPELINE_INITIALIZER;
    exr_result_t result = exr_write_scanline_chunk_info(file, 0, row, &chunk);
    if (result != EXR_ERR_SUCCESS) return result;
    result = exr_encoding_initialize(file, 0, &chunk, &pipe);
    for (int k = 0; result == EXR_ERR_SUCCESS && k < pipe.channel_count; k++) {
        exr_coding_channel_info_t *to = pipe.channels + k; /* the file's order is by name */
        for (int i = 0; i < count; i++) {
            if (strcmp(to->channel_name, channels[i].name) != 0) continue;
            const plx_image *image = channels[i].image;
            int stride = image->channels;
            to->encode_from_ptr =
                (const uint8_t *)(image->data + (size_t)row * image->width * stride + channels[i].channel);
            to->user_pixel_stride = 4 * stride;
            to->user_line_stride = 4 * stride * image->width;
            to->user_bytes_per_element = 4;
            to->user_data_type = EXR_PIXEL_FLOAT;
        }
    }
    if (result == EXR_ERR_SUCCESS) result = exr_encoding_choose_default_routines(file, 0, &pipe);
    if (result == EXR_ERR_SUCCESS) result = exr_encoding_run(file, 0, &pipe);
    exr_encoding_destroy(file, &pipe);
    return result;
}

static exr_result_t write_file(exr_context_t file, int count, const plx_exr_channel *channels) {
    int part, height = channels[0].image->height, width = channels[0].image->width, rows = 0;
    exr_result_t result = exr_add_part(file, "main", EXR_STORAGE_SCANLINE, &part);
    if (result == EXR_ERR_SUCCESS)
        result = exr_initialize_required_attr_simple(file, part, width, height, EXR_COMPRESSION_ZIP);
    for (int i = 0; i < count && result == EXR_ERR_SUCCESS; i++)
        result =
            exr_add_channel(file, part, channels[i].name, channels[i].half ? EXR_PIXEL_HALF : EXR_PIXEL_FLOAT,
                            EXR_PERCEPTUALLY_LOGARITHMIC, 1, 1);
    if (result == EXR_ERR_SUCCESS) result = exr_write_header(file);
    if (result == EXR_ERR_SUCCESS) result = exr_get_scanlines_per_chunk(file, part, &rows);
    for (int row = 0; row < height && result == EXR_ERR_SUCCESS; row += rows)
        result = write_block(file, row, count, channels);
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

int plx_exr_save(const char *path, int count, const plx_exr_channel *channels) {
    check_channels(count, channels);
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status < 0) return status;
    stream s = {.fd = fileno(writer.file)};
    exr_context_t file = NULL;
    exr_context_initializer_t init = initializer(&s, false);
    exr_result_t result = exr_start_write(&file, path, EXR_WRITE_FILE_DIRECTLY, &init);
    if (result == EXR_ERR_SUCCESS) result = write_file(file, count, channels);
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

static exr_result_t read_block(exr_context_t file, int row, plx_image *out, const char *const *names) {
    exr_chunk_info_t chunk;
    exr_decode_pipeline_t pipe = EXR_DECODE_PIPELINE_INITIALIZER;
    exr_result_t result = exr_read_scanline_chunk_info(file, 0, row, &chunk);
    if (result != EXR_ERR_SUCCESS) return result;
    result = exr_decoding_initialize(file, 0, &chunk, &pipe);
    for (int k = 0; result == EXR_ERR_SUCCESS && k < pipe.channel_count; k++) {
        exr_coding_channel_info_t *from = pipe.channels + k;
        from->decode_to_ptr = NULL;
        for (int i = 0; i < out->channels; i++) {
            if (strcmp(from->channel_name, names[i]) != 0) continue;
            from->decode_to_ptr = (uint8_t *)(out->data + (size_t)row * out->width * out->channels + i);
            from->user_pixel_stride = 4 * out->channels;
            from->user_line_stride = 4 * out->channels * out->width;
            from->user_bytes_per_element = 4;
            from->user_data_type = EXR_PIXEL_FLOAT;
        }
    }
    if (result == EXR_ERR_SUCCESS) result = exr_decoding_choose_default_routines(file, 0, &pipe);
    if (result == EXR_ERR_SUCCESS) result = exr_decoding_run(file, 0, &pipe);
    exr_decoding_destroy(file, &pipe);
    return result;
}

static int read_file(plx_image *out, exr_context_t file, stream *s, int count, const char *const *names) {
    int width = 0, height = 0, rows = 0, status = check_header(file, count, &width, &height);
    if (status < 0 || (status = check_names(file, count, names)) < 0) return status;
    if (exr_get_scanlines_per_chunk(file, 0, &rows) != EXR_ERR_SUCCESS || rows < 1)
        return plx_fail(PLX_ERROR_INPUT, "damaged EXR");
    if ((status = plx_image_create(out, height, width, count)) < 0) return status;
    for (int row = 0; row < height; row += rows)
        if (read_block(file, row, out, names) != EXR_ERR_SUCCESS) {
            plx_image_free(out);
            return plx_fail(PLX_ERROR_INPUT, "damaged EXR%s%s", s->message[0] ? ": " : "", s->message);
        }
    return PLX_OK;
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
