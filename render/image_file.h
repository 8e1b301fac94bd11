/* Pictures in memory. Inside render/ only. */
#ifndef PLX_RENDER_IMAGE_FILE_H
#define PLX_RENDER_IMAGE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* PNG or JPEG bytes -> (H,W,4) bytes, to be freed with free(). The error names no file: use plx_fail_in. */
int plx_picture_decode(uint8_t **rgba, int *width, int *height, const void *bytes, size_t size);

#endif
