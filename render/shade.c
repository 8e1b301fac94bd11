#include "render/shade.h"

#include <math.h>
#include <stdlib.h>

#include "nerf/core/rng.h"

static void interpolate_uv(const plx_mesh *mesh, const uint32_t corner[3], const float w[3], float uv[2],
                           float *double_area) {
    const float *a = mesh->uvs + 2 * (size_t)corner[0], *b = mesh->uvs + 2 * (size_t)corner[1],
                *c = mesh->uvs + 2 * (size_t)corner[2];
    for (int i = 0; i < 2; i++) uv[i] = w[0] * a[i] + w[1] * b[i] + w[2] * c[i];
    *double_area = fabsf((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
}

static void sample_footprint(const plx_texture *texture, const float uv[2], float uv_area, bool clamp,
                             float out[4]) {
    float texels = sqrtf(uv_area * (float)texture->width[0] * (float)texture->height[0]);
    plx_texture_sample(texture, uv[0], uv[1], texels, clamp, out);
}

float plx_surface_colour(const plx_mesh *mesh, int triangle, float u, float v, float share, float colour[3]) {
    const uint32_t *corner = mesh->indices + 3 * (size_t)triangle;
    const plx_material *material = mesh->materials + (mesh->material ? mesh->material[triangle] : 0);
    float w[3] = {1 - u - v, u, v};
    float rgba[4] = {material->colour[0], material->colour[1], material->colour[2], material->opacity};
    if (mesh->colours) {
        const float *decode = plx_srgb_table();
        float sum[4] = {0};
        for (int k = 0; k < 3; k++) {
            const uint8_t *c = mesh->colours + 4 * (size_t)corner[k];
            for (int i = 0; i < 3; i++) sum[i] += w[k] * decode[c[i]];
            sum[3] += w[k] * c[3] * (1.0f / 255);
        }
        for (int i = 0; i < 4; i++) rgba[i] *= sum[i];
    }
    if (mesh->uvs && (material->texture >= 0 || material->opacity_texture >= 0)) {
        float uv[2], double_area, sample[4];
        interpolate_uv(mesh, corner, w, uv, &double_area);
        float uv_area = share * 0.5f * double_area;
        if (material->texture >= 0) {
            sample_footprint(mesh->textures + material->texture, uv, uv_area, material->clamp, sample);
            float weight = sample[3] > 0 ? 1 / sample[3] : 0;
            for (int i = 0; i < 3; i++) rgba[i] *= sample[i] * weight;
            if (!material->ignore_alpha) rgba[3] *= sample[3];
        }
        if (material->opacity_texture >= 0) {
            sample_footprint(mesh->textures + material->opacity_texture, uv, uv_area, material->clamp,
                             sample);
            rgba[3] *= sample[3];
        }
    }
    if (material->alpha_cutoff > 0) rgba[3] = rgba[3] >= material->alpha_cutoff ? 1 : 0;
    if (colour)
        for (int i = 0; i < 3; i++) colour[i] = rgba[i];
    return rgba[3];
}

static float dot(const float a[3], const float b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void plx_surface_normal(const plx_mesh *mesh, int triangle, float u, float v, const float geometric[3],
                        const float direction[3], float normal[3]) {
    const uint32_t *corner = mesh->indices + 3 * (size_t)triangle;
    float w[3] = {1 - u - v, u, v}, sum[3] = {0}, own = 1 / sqrtf(dot(geometric, geometric));
    if (dot(geometric, direction) > 0) own = -own;
    for (int k = 0; k < 3;
         k++) { /* each corner's normal on the viewer's side: neighbours may be wound otherwise */
        float n[3];
        plx_normal_unpack(mesh->normals[corner[k]], n);
        float weight = dot(n, geometric) * own < 0 ? -w[k] : w[k];
        for (int i = 0; i < 3; i++) sum[i] += weight * n[i];
    }
    float length = sqrtf(dot(sum, sum));
    for (int i = 0; i < 3; i++) normal[i] = length > 1e-6f ? sum[i] / length : geometric[i] * own;
}

float plx_light_at(const plx_light *light, const float normal[3]) {
    float key = fmaxf(0, dot(light->key_direction, normal));
    float up = 0.5f + 0.5f * normal[2];
    return light->key * key + light->ground + (light->sky - light->ground) * up;
}

static void aim(plx_light *light, float azimuth, float elevation) {
    light->key_direction[0] = cosf(elevation) * cosf(azimuth);
    light->key_direction[1] = cosf(elevation) * sinf(azimuth);
    light->key_direction[2] = sinf(elevation);
}

/* Above, before and to the right of the input camera (which stands on +x, its right is +y). */
#define KEY_AZIMUTH 0.6f
#define KEY_ELEVATION 0.75f

plx_light plx_light_default(void) {
    plx_light light = {.key = 0.6f, .sky = 0.34f, .ground = 0.18f};
    aim(&light, KEY_AZIMUTH, KEY_ELEVATION);
    return light;
}

plx_light plx_light_random(uint64_t seed) {
    plx_rng rng = {.seed = seed, .stream = 0x6c69676874 /* "light" */};
    plx_light light;
    light.key = 0.4f + 0.25f * plx_rng_uniform(rng, 0);
    light.sky = 0.2f + (0.74f - light.key) * plx_rng_uniform(rng, 1) * 0.7f;
    if (light.key + light.sky > 0.94f) light.sky = 0.94f - light.key;
    light.ground = light.sky * (0.35f + 0.4f * plx_rng_uniform(rng, 2));
    aim(&light, KEY_AZIMUTH + 1.4f * (plx_rng_uniform(rng, 3) - 0.5f),
        KEY_ELEVATION + 0.7f * (plx_rng_uniform(rng, 4) - 0.5f));
    return light;
}
