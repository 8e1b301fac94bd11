#include "render/texture.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "nerf/core/image.h"

/* Linear -> byte goes through a table over sqrt(linear), whose finest sRGB step (3e-4 linear, 0.017 in sqrt)
 * spans more than 100 entries. */
#define ENCODE_ENTRIES 8192

static float decode_table[256];
static uint8_t encode_table[ENCODE_ENTRIES];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
    for (int i = 0; i < 256; i++) decode_table[i] = plx_srgb_decode((float)i / 255);
    for (int i = 0; i < ENCODE_ENTRIES; i++) {
        float root = (float)i / (ENCODE_ENTRIES - 1);
        encode_table[i] = (uint8_t)(plx_srgb_encode(root * root) * 255 + 0.5f);
    }
}

const float *plx_srgb_table(void) {
    pthread_once(&tables_once, make_tables);
    return decode_table;
}

static uint8_t encode(float linear) {
    float root = sqrtf(fminf(fmaxf(linear, 0), 1));
    return encode_table[(int)(root * (ENCODE_ENTRIES - 1) + 0.5f)];
}

/* Area average of (H,W,4) bytes to a smaller size, in premultiplied linear light. Where alpha is 0 the colour
 * does not matter. */
static void reduce(const uint8_t *from, int width, int height, uint8_t *to, int to_width, int to_height) {
    double step_x = (double)width / to_width, step_y = (double)height / to_height;
    for (int row = 0; row < to_height; row++) {
        double y0 = row * step_y, y1 = fmin((row + 1) * step_y, height);
        for (int column = 0; column < to_width; column++) {
            double x0 = column * step_x, x1 = fmin((column + 1) * step_x, width);
            float sum[4] = {0}, area = 0;
            for (int y = (int)y0; y < y1; y++) {
                float part_y = (float)(fmin(y + 1, y1) - fmax(y, y0));
                for (int x = (int)x0; x < x1; x++) {
                    float part = part_y * (float)(fmin(x + 1, x1) - fmax(x, x0));
                    const uint8_t *texel = from + 4 * ((size_t)y * width + x);
                    float alpha = part * texel[3] / 255;
                    for (int c = 0; c < 3; c++) sum[c] += alpha * decode_table[texel[c]];
                    sum[3] += alpha;
                    area += part;
                }
            }
            uint8_t *out = to + 4 * ((size_t)row * to_width + column);
            for (int c = 0; c < 3; c++) out[c] = sum[3] > 0 ? encode(sum[c] / sum[3]) : 0;
            out[3] = (uint8_t)(fminf(sum[3] / area, 1) * 255 + 0.5f);
        }
    }
}

static bool any_alpha(const uint8_t *rgba, size_t texels) {
    for (size_t i = 0; i < texels; i++)
        if (rgba[4 * i + 3] < 255) return true;
    return false;
}

/* Opacity is the picture's alpha if it has one, its luminance (of the encoded values, Rec. 709) if not. */
static uint8_t *opacity_picture(const uint8_t *rgba, size_t texels) {
    uint8_t *out = malloc(4 * texels);
    if (!out) return NULL;
    bool alpha = any_alpha(rgba, texels);
    for (size_t i = 0; i < texels; i++) {
        const uint8_t *in = rgba + 4 * i;
        memset(out + 4 * i, 255, 3);
        out[4 * i + 3] =
            alpha ? in[3] : (uint8_t)(0.2126f * in[0] + 0.7152f * in[1] + 0.0722f * in[2] + 0.5f);
    }
    return out;
}

static int level_sizes(plx_texture *texture, int width, int height, size_t offsets[PLX_TEXTURE_LEVELS + 1]) {
    double factor = fmin(1, (double)PLX_TEXTURE_MAX_SIDE / (width > height ? width : height));
    int w = (int)fmax(1, rint(width * factor)), h = (int)fmax(1, rint(height * factor)), levels = 0;
    offsets[0] = 0;
    for (;;) {
        texture->width[levels] = w;
        texture->height[levels] = h;
        offsets[levels + 1] = offsets[levels] + (size_t)4 * w * h;
        levels++;
        if ((w == 1 && h == 1) || levels == PLX_TEXTURE_LEVELS) return levels;
        w = w > 1 ? w / 2 : 1;
        h = h > 1 ? h / 2 : 1;
    }
}

int plx_texture_create(plx_texture *out, const uint8_t *rgba, int width, int height,
                       enum plx_texture_use use) {
    plx_srgb_table();
    *out = (plx_texture){0};
    size_t texels = (size_t)width * height, offsets[PLX_TEXTURE_LEVELS + 1];
    int levels = level_sizes(out, width, height, offsets);
    uint8_t *opacity = use == PLX_TEXTURE_OPACITY ? opacity_picture(rgba, texels) : NULL;
    uint8_t *block = malloc(offsets[levels]);
    if (!block || (use == PLX_TEXTURE_OPACITY && !opacity)) {
        free(block);
        free(opacity);
        return plx_fail(PLX_ERROR_MEMORY, "no memory for a texture of %dx%d", width, height);
    }
    const uint8_t *picture = opacity ? opacity : rgba;
    for (int i = 0; i < levels; i++) out->texels[i] = block + offsets[i];
    if (width == out->width[0] && height == out->height[0])
        memcpy(block, picture, 4 * texels);
    else
        reduce(picture, width, height, block, out->width[0], out->height[0]);
    for (int i = 1; i < levels; i++)
        reduce(out->texels[i - 1], out->width[i - 1], out->height[i - 1], out->texels[i], out->width[i],
               out->height[i]);
    out->levels = levels;
    out->has_alpha = any_alpha(block, (size_t)out->width[0] * out->height[0]);
    free(opacity);
    return PLX_OK;
}

size_t plx_texture_bytes(int width, int height) {
    plx_texture sizes;
    size_t offsets[PLX_TEXTURE_LEVELS + 1];
    return offsets[level_sizes(&sizes, width, height, offsets)];
}

int plx_texture_restore(plx_texture *out, const uint8_t *texels, int width, int height) {
    *out = (plx_texture){0};
    size_t offsets[PLX_TEXTURE_LEVELS + 1];
    int levels = level_sizes(out, width, height, offsets);
    uint8_t *block = malloc(offsets[levels]);
    if (!block) return plx_fail(PLX_ERROR_MEMORY, "no memory for a texture of %dx%d", width, height);
    plx_srgb_table();
    memcpy(block, texels, offsets[levels]);
    for (int i = 0; i < levels; i++) out->texels[i] = block + offsets[i];
    out->levels = levels;
    out->has_alpha = any_alpha(block, (size_t)width * (size_t)height);
    return PLX_OK;
}

void plx_texture_free(plx_texture *texture) {
    if (!texture) return;
    free(texture->texels[0]);
    *texture = (plx_texture){0};
}

static int wrap(int i, int size, bool clamp) {
    if (clamp) return i < 0 ? 0 : i >= size ? size - 1 : i;
    i %= size;
    return i < 0 ? i + size : i;
}

static void add_bilinear(const plx_texture *texture, int level, float u, float v, float weight, bool clamp,
                         float out[4]) {
    int width = texture->width[level], height = texture->height[level];
    float x = u * (float)width - 0.5f,
          y = (1 - v) * (float)height - 0.5f; /* texel centres at half integers */
    float x0 = floorf(x), y0 = floorf(y);
    int columns[2] = {wrap((int)x0, width, clamp), wrap((int)x0 + 1, width, clamp)};
    int rows[2] = {wrap((int)y0, height, clamp), wrap((int)y0 + 1, height, clamp)};
    float wx[2] = {1 - (x - x0), x - x0}, wy[2] = {1 - (y - y0), y - y0};
    for (int r = 0; r < 2; r++) {
        for (int c = 0; c < 2; c++) {
            const uint8_t *texel = texture->texels[level] + 4 * ((size_t)rows[r] * width + columns[c]);
            float alpha = weight * wy[r] * wx[c] * texel[3] * (1.0f / 255);
            out[0] += alpha * decode_table[texel[0]];
            out[1] += alpha * decode_table[texel[1]];
            out[2] += alpha * decode_table[texel[2]];
            out[3] += alpha;
        }
    }
}

void plx_texture_sample(const plx_texture *texture, float u, float v, float texels, bool clamp,
                        float out[4]) {
    u = clamp ? fminf(fmaxf(u, 0), 1) : u - floorf(u); /* also keeps the integers below small */
    v = clamp ? fminf(fmaxf(v, 0), 1) : v - floorf(v);
    float lod = texels > 1 ? log2f(texels) : 0;
    lod = fminf(lod, (float)(texture->levels - 1));
    int level = (int)lod;
    float part = lod - (float)level;
    out[0] = out[1] = out[2] = out[3] = 0;
    add_bilinear(texture, level, u, v, 1 - part, clamp, out);
    if (part > 0) add_bilinear(texture, level + 1, u, v, part, clamp, out);
}
