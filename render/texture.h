/* Mip-mapped textures of a mesh: 8-bit straight RGBA, sRGB-encoded, sampled to linear light. */
#ifndef PLX_RENDER_TEXTURE_H
#define PLX_RENDER_TEXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLX_TEXTURE_MAX_SIDE \
    512 /* texels; larger pictures are reduced on loading: hundreds of objects stay in memory */
#define PLX_TEXTURE_LEVELS 10 /* 512 ... 1 */

typedef struct plx_texture {
    int levels;
    int width[PLX_TEXTURE_LEVELS], height[PLX_TEXTURE_LEVELS];
    uint8_t *texels[PLX_TEXTURE_LEVELS]; /* (H,W,4) each, inside one block that starts at texels[0] */
    bool has_alpha;                      /* some texel's alpha is below 255 */
} plx_texture;

/* What a picture is for. An opacity map is turned into white texels whose alpha is the opacity. */
enum plx_texture_use { PLX_TEXTURE_COLOUR, PLX_TEXTURE_OPACITY };

/* From a picture (H,W,4); it is reduced to PLX_TEXTURE_MAX_SIDE and its mip levels are made. */
int plx_texture_create(plx_texture *out, const uint8_t *rgba, int width, int height,
                       enum plx_texture_use use);
/* From all levels of one that was made (plx_texture_bytes of them), the first of this size. */
int plx_texture_restore(plx_texture *out, const uint8_t *texels, int width, int height);
size_t plx_texture_bytes(int width, int height); /* of all levels; sides up to PLX_TEXTURE_MAX_SIDE */
void plx_texture_free(plx_texture *texture);

/* Trilinear. u to the right, v up (0 = the picture's last row), repeating unless `clamp`. `texels` is the
 * footprint's width in texels of the full picture as stored (level 0). out: premultiplied linear RGBA. */
void plx_texture_sample(const plx_texture *texture, float u, float v, float texels, bool clamp, float out[4]);

/* sRGB byte -> linear light, a table of 256. */
const float *plx_srgb_table(void);

#endif
