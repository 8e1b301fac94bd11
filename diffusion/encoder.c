#include "diffusion/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/layers.h"

enum { POSE_NUMBERS = 7, INPUT_CHANNELS = 6, SURFACE = 5 };

plx_encoder_config plx_encoder_config_default(void) {
    plx_encoder_config c = {
        .unet = plx_unet_config_default(), .channels = 16, .depth = 32, .bins = 8, .side = 256};
    c.unet.width = 64;
    c.unet.levels = 3;
    c.unet.multiplier[0] = 1, c.unet.multiplier[1] = 2, c.unet.multiplier[2] = 4;
    c.unet.blocks = 1;
    c.unet.in_channels = INPUT_CHANNELS;
    c.unet.out_channels = c.channels + SURFACE;
    c.unet.embedding = 128;
    return c;
}

plx_encoder_config plx_encoder_config_pixel(void) {
    plx_encoder_config c = plx_encoder_config_default();
    c.planes = PLX_PLANES_PIXEL;
    c.channels *= 3;
    c.unet.out_channels = c.channels + SURFACE;
    return c;
}

static bool in_range(int value, int low, int high) {
    return value >= low && value <= high;
}

int plx_encoder_config_check(const plx_encoder_config *c) {
    if (!in_range(c->channels, 16, 64) || c->channels % 16 || !in_range(c->depth, 1, 256) ||
        !in_range(c->bins, 1, 64) || !in_range(c->side, 1, 4096))
        return plx_fail(PLX_ERROR_INPUT, "configuration: a size of the encoder is out of range");
    if (c->unet.in_channels != INPUT_CHANNELS || c->unet.out_channels != c->channels + SURFACE)
        return plx_fail(PLX_ERROR_INPUT, "configuration: an encoder of %d to %d channels, not %d to %d",
                        c->unet.in_channels, c->unet.out_channels, INPUT_CHANNELS, c->channels + SURFACE);
    return PLX_OK;
}

static const char *const planes_names[] = {"triplane", "pixel"};
static const char *const heads_names[] = {"pooled", "skip"};

const char *plx_planes_name(enum plx_planes planes) {
    return planes_names[planes];
}

static int index_of(const char *name, const char *const names[2]) {
    for (int i = 0; i < 2; i++)
        if (!strcmp(name, names[i])) return i;
    return -1;
}

int plx_planes_of(const char *name) {
    return index_of(name, planes_names);
}

const char *plx_heads_name(enum plx_heads heads) {
    return heads_names[heads];
}

int plx_heads_of(const char *name) {
    return index_of(name, heads_names);
}

int plx_encoder_features(const plx_encoder_config *c) {
    return c->unet.width * c->unet.multiplier[c->unet.levels - 1];
}

int plx_encoder_declare(plx_params *params, const char *prefix, const plx_encoder_config *c) {
    char unet[64];
    snprintf(unet, sizeof unet, "%s.unet", prefix);
    bool pooled = c->heads == PLX_HEADS_POOLED;
    int fine = c->unet.width * c->unet.multiplier[0];
    int in = pooled ? c->bins * fine : fine, out = pooled ? c->depth * c->channels : c->channels;
    int coarse = plx_encoder_features(c);
    int status = plx_unet_declare(params, unet, &c->unet);
    if (!status)
        status = plx_layer_linear_declare(params, prefix, "pose1", POSE_NUMBERS, c->unet.embedding, 1);
    if (!status)
        status = plx_layer_linear_declare(params, prefix, "pose2", c->unet.embedding, c->unet.embedding, 1);
    for (int side = 0; c->planes == PLX_PLANES_TRIPLANE && side < 2 && !status; side++) {
        const char *const names[2][2] = {{"xz1", "xz2"}, {"yz1", "yz2"}};
        status = plx_layer_linear_declare(params, prefix, names[side][0], in, c->side, 1);
        if (!status) status = plx_layer_linear_declare(params, prefix, names[side][1], c->side, out, 1);
    }
    if (!status) status = plx_layer_linear_declare(params, prefix, "elevation", coarse, 2, 1);
    return status;
}

plx_encoder_pose plx_encoder_pose_of(const plx_camera *camera, bool with_elevation) {
    const float zero[3] = {0};
    float px = camera->cx, py = camera->cy, depth = 0, tangent = tanf(PLX_DEFAULT_FOV / 2);
    plx_camera_project(camera, zero, &px, &py, &depth);
    return (plx_encoder_pose){
        .elevation = plx_camera_elevation(camera),
        .has_elevation = with_elevation,
        .log_focal = logf(2 * tangent * camera->fy / (float)camera->height),
        .origin = {2 * px / (float)camera->width - 1, 2 * py / (float)camera->height - 1},
        .origin_depth = depth};
}

static plx_tensor *embed(plx_tape *t, plx_params *params, const char *prefix, int N,
                         const plx_encoder_pose *poses) {
    float *numbers = plx_arena_alloc(plx_tape_arena(t), sizeof *numbers * (size_t)N * POSE_NUMBERS);
    for (int n = 0; n < N; n++) {
        float *v = numbers + n * POSE_NUMBERS;
        bool known = poses[n].has_elevation;
        v[0] = known ? sinf(poses[n].elevation) : 0;
        v[1] = known ? cosf(poses[n].elevation) : 0;
        v[2] = known;
        v[3] = 2 * poses[n].log_focal;
        v[4] = 2 * poses[n].origin[0];
        v[5] = 2 * poses[n].origin[1];
        v[6] = 2 * (poses[n].origin_depth - PLX_DEFAULT_DISTANCE);
    }
    plx_tensor *x = plx_tape_input(t, PLX_SHAPE(N, POSE_NUMBERS), numbers, false);
    plx_tensor *h = plx_silu(t, plx_layer_linear(t, params, prefix, "pose1", x));
    return plx_layer_linear(t, params, prefix, "pose2", h);
}

/* Channels: r g b over white and alpha in [-1,1], then the pixel's u and v. */
static plx_tensor *input_of(plx_tape *t, int N, int size, const float *rgba) {
    const size_t pixels = (size_t)N * (size_t)size * (size_t)size;
    float *image = plx_arena_alloc(plx_tape_arena(t), sizeof *image * INPUT_CHANNELS * pixels);
    for (int i = 0; i < N * size * size; i++) {
        const float *p = rgba + 4 * (size_t)i;
        float *v = image + INPUT_CHANNELS * (size_t)i;
        for (int c = 0; c < 3; c++) v[c] = 2 * (p[c] * p[3] + 1 - p[3]) - 1;
        v[3] = 2 * p[3] - 1;
        v[4] = ((float)(i % size) + 0.5f) * 2 / (float)size - 1;
        v[5] = ((float)(i / size % size) + 0.5f) * 2 / (float)size - 1;
    }
    return plx_tape_input(t, PLX_SHAPE(N, size, size, INPUT_CHANNELS), image, false);
}

/* Of every texel's last dimension alone. */
static plx_tensor *side_head(plx_tape *t, plx_params *params, const char *prefix, const char *first,
                             const char *second, plx_tensor *x) {
    plx_tensor *h = plx_silu(t, plx_layer_linear(t, params, prefix, first, x));
    return plx_layer_linear(t, params, prefix, second, h);
}

/* pooled (N,L,1 or bins...,) -> (N,L,depth,C) */
static plx_tensor *pooled_head(plx_tape *t, plx_params *params, const char *prefix, const char *first,
                               const char *second, const plx_encoder_config *c, plx_tensor *pooled) {
    int N = pooled->shape[0], L = pooled->shape[1];
    plx_tensor *line = plx_reshape(t, pooled, PLX_SHAPE(N, L, pooled->shape[2] * pooled->shape[3]));
    plx_tensor *h = side_head(t, params, prefix, first, second, line);
    return plx_reshape(t, h, PLX_SHAPE(N, L, c->depth, c->channels));
}

static void side_planes(plx_encoding *e, plx_tape *t, plx_params *params, const char *prefix,
                        const plx_encoder_config *c, plx_tensor *fine) {
    int H = fine->shape[1], W = fine->shape[2];
    if (c->heads == PLX_HEADS_SKIP) {
        e->xz = side_head(t, params, prefix, "xz1", "xz2", fine);
        e->yz = side_head(t, params, prefix, "yz1", "yz2", fine);
        return;
    }
    PLX_CHECK(H % c->bins == 0 && W % c->bins == 0, "encoder: %dx%d features into %d bins", H, W, c->bins);
    plx_tensor *columns = plx_swap_hw(t, plx_average_pool(t, fine, H / c->bins, 1)); /* (N,W,bins,F) */
    e->xz = plx_swap_hw(t, pooled_head(t, params, prefix, "xz1", "xz2", c, columns));
    e->yz = pooled_head(t, params, prefix, "yz1", "yz2", c, plx_average_pool(t, fine, 1, W / c->bins));
}

static void no_side_planes(plx_encoding *e, plx_tape *t, int N, const plx_encoder_config *c) {
    const float *zero = plx_arena_zalloc(plx_tape_arena(t), sizeof(float) * (size_t)(N * c->channels));
    e->xz = e->yz = plx_tape_input(t, PLX_SHAPE(N, 1, 1, c->channels), zero, false);
}

plx_encoding plx_encode(plx_tape *t, plx_params *params, const char *prefix, const plx_encoder_config *c,
                        int N, int size, const float *rgba, const plx_encoder_pose *poses) {
    char unet[64];
    snprintf(unet, sizeof unet, "%s.unet", prefix);
    plx_tensor *levels[PLX_UNET_MAX_LEVELS];
    plx_unet_inputs inputs = {.x = input_of(t, N, size, rgba),
                              .embedding = embed(t, params, prefix, N, poses)};
    plx_tensor *out = plx_unet_forward(t, params, unet, &c->unet, &inputs, levels);
    plx_tensor *fine = levels[c->unet.levels - 1], *coarse = levels[0];
    plx_tensor *image = plx_tape_input(t, PLX_SHAPE(N, size, size, 4), rgba, false);
    plx_encoding e;
    e.xy = plx_concat(t, plx_slice(t, out, 0, c->channels + 2), image);
    e.surface = plx_slice(t, out, c->channels, c->channels + SURFACE);
    if (c->planes == PLX_PLANES_TRIPLANE)
        side_planes(&e, t, params, prefix, c, fine);
    else
        no_side_planes(&e, t, N, c);
    plx_tensor *mean = plx_average_pool(t, coarse, coarse->shape[1], coarse->shape[2]);
    mean = plx_reshape(t, mean, PLX_SHAPE(N, coarse->shape[3]));
    e.elevation = plx_layer_linear(t, params, prefix, "elevation", mean);
    e.features = coarse;
    return e;
}
