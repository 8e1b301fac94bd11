/* The only file that includes libpng: stb writes no 16-bit pictures. */
#include <png.h>
#include <stdlib.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"

int plx_png16_save(const char *path, const uint16_t *values, int width, int height) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_LINEAR_Y};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *bytes = malloc(size);
    if (!bytes) return plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %dx%d pixels", path, width, height);
    int status = png_image_write_to_memory(&image, bytes, &size, 0, values, 0, NULL)
                     ? plx_file_write(path, bytes, size)
                     : plx_fail(PLX_ERROR_IO, "%s: %s", path, image.message);
    png_image_free(&image);
    free(bytes);
    return status;
}
