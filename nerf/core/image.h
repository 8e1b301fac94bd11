/* Images: float, row-major (H,W,C), row 0 at the top. Colour is sRGB-encoded in [0,1]; alpha is straight. */
#ifndef PLX_CORE_IMAGE_H
#define PLX_CORE_IMAGE_H

#include <stdbool.h>

typedef struct plx_image {
    int height, width, channels;
    float *data; /* (H,W,C), owned */
} plx_image;

#define PLX_IMAGE_MAX_SIDE 16384 /* pixels; readers refuse more before they decode */

int plx_image_create(plx_image *out, int height, int width, int channels); /* zeroed */
void plx_image_free(plx_image *image);                                     /* and empties it; NULL is fine */
int plx_image_copy(plx_image *out, const plx_image *image);
bool plx_image_is_finite(const plx_image *image); /* no infinity, no NaN; one without data is */

/* RGBA (H,W,4) over a uniform background in encoded space -> (H,W,3). */
int plx_image_over(plx_image *out, const plx_image *rgba, float background);

/* Area-average (box) resampling to a smaller size, bilinear to a larger one. RGBA is resampled premultiplied. */
int plx_image_resize(plx_image *out, const plx_image *image, int height, int width);

/* Copies `image` into `sheet` with its top left at (row, column); PLX_CHECK on channels and bounds. */
void plx_image_paste(plx_image *sheet, const plx_image *image, int row, int column);

float plx_srgb_encode(float linear); /* IEC 61966-2-1 */
float plx_srgb_decode(float encoded);

#endif
