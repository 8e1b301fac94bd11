#include "diffusion/unet.h"

#include <stdio.h>

#include "diffusion/layers.h"

enum { NAME_SIZE = 96 };

plx_unet_config plx_unet_config_default(void) {
    return (plx_unet_config){
        .in_channels = 3,
        .out_channels = 3,
        .width = 64,
        .levels = 3,
        .multiplier = {1, 2, 2},
        .blocks = 2,
        .attention = {false, false, true},
        .heads = 4,
        .patch = 2,
    };
}

static bool within(int value, int low, int high) {
    return value >= low && value <= high;
}

int plx_unet_config_check(const plx_unet_config *c) {
    if (!within(c->levels, 1, PLX_UNET_MAX_LEVELS))
        return plx_fail(PLX_ERROR_INPUT, "U-Net: %d levels, not 1 to %d", c->levels, PLX_UNET_MAX_LEVELS);
    if (!within(c->in_channels, 1, 4096) || !within(c->out_channels, 0, 4096))
        return plx_fail(PLX_ERROR_INPUT, "U-Net: %d channels in, %d out", c->in_channels, c->out_channels);
    if (!within(c->width, 1, 2048) || !within(c->blocks, 1, 16))
        return plx_fail(PLX_ERROR_INPUT, "U-Net: width %d, %d blocks a level", c->width, c->blocks);
    if (c->patch != 1 && c->patch != 2 && c->patch != 4 && c->patch != 8)
        return plx_fail(PLX_ERROR_INPUT, "U-Net: patch %d is not 1, 2, 4 or 8", c->patch);
    if (!within(c->embedding, 0, 4096) || !within(c->context, 0, 4096))
        return plx_fail(PLX_ERROR_INPUT, "U-Net: embedding %d, context %d", c->embedding, c->context);
    for (int l = 0; l < c->levels; l++) {
        if (!within(c->multiplier[l], 1, 64))
            return plx_fail(PLX_ERROR_INPUT, "U-Net: multiplier %d at level %d", c->multiplier[l], l);
        int channels = c->width * c->multiplier[l];
        if (c->attention[l] && (!within(c->heads, 1, 64) || channels % c->heads))
            return plx_fail(PLX_ERROR_INPUT, "U-Net: %d channels for %d heads", channels, c->heads);
    }
    return PLX_OK;
}

static int channels_at(const plx_unet_config *c, int level) {
    return c->width * c->multiplier[level];
}

/* ---- residual block ------------------------------------------------------------------------------------ */

static int residual_declare(plx_params *params, const char *prefix, int in, int out, int embedding) {
    int status = plx_layer_norm_declare(params, prefix, "norm1", in);
    if (!status) status = plx_layer_conv_declare(params, prefix, "conv1", in, out, 3, 1);
    if (!status && embedding)
        status = plx_layer_linear_declare(params, prefix, "scale_shift", embedding, 2 * out, 1);
    if (!status) status = plx_layer_norm_declare(params, prefix, "norm2", out);
    if (!status) status = plx_layer_conv_declare(params, prefix, "conv2", out, out, 3, 0);
    if (!status && in != out) status = plx_layer_conv_declare(params, prefix, "skip", in, out, 1, 1);
    return status;
}

/* conv(silu(norm(x) (1 + scale) + shift)) */
static plx_tensor *norm_conv(plx_tape *t, plx_params *params, const char *prefix, const char *norm,
                             const char *conv, plx_tensor *x, plx_tensor *scale_shift) {
    const plx_scope scope = plx_tape_enter(t);
    plx_tensor *h = plx_layer_norm(t, params, prefix, norm, x, scale_shift, true);
    return plx_tape_leave(t, scope, plx_layer_conv(t, params, prefix, conv, h, 1));
}

static plx_tensor *residual(plx_tape *t, plx_params *params, const char *prefix, plx_tensor *x, int out,
                            plx_tensor *embedding /* (N,E), after SiLU, or NULL */) {
    const plx_scope scope = plx_tape_enter(t);
    plx_tensor *skip = x->shape[3] == out ? x : plx_layer_conv(t, params, prefix, "skip", x, 1);
    plx_tensor *h = norm_conv(t, params, prefix, "norm1", "conv1", x, NULL);
    plx_tensor *scale_shift =
        embedding ? plx_layer_linear(t, params, prefix, "scale_shift", embedding) : NULL;
    h = norm_conv(t, params, prefix, "norm2", "conv2", h, scale_shift);
    return plx_tape_leave(t, scope, plx_add(t, skip, h));
}

/* ---- attention ----------------------------------------------------------------------------------------- */

static int attention_declare(plx_params *params, const char *prefix, int channels, int context) {
    int status = plx_layer_norm_declare(params, prefix, "norm", channels);
    if (!status) status = plx_layer_linear_declare(params, prefix, "qkv", channels, 3 * channels, 1);
    if (!status) status = plx_layer_linear_declare(params, prefix, "out", channels, channels, 0);
    if (status || !context) return status;
    status = plx_layer_norm_declare(params, prefix, "cross_norm", channels);
    if (!status) status = plx_layer_linear_declare(params, prefix, "cross_q", channels, channels, 1);
    if (!status) status = plx_layer_linear_declare(params, prefix, "cross_kv", context, 2 * channels, 1);
    if (!status) status = plx_layer_linear_declare(params, prefix, "cross_out", channels, channels, 0);
    return status;
}

/* x + out(attention(norm x)), over the H*W positions of each sample as tokens. */
static plx_tensor *self_attention(plx_tape *t, plx_params *params, const char *prefix, plx_tensor *x,
                                  int heads) {
    const plx_scope scope = plx_tape_enter(t);
    const int C = x->shape[3];
    plx_tensor *h = plx_layer_norm(t, params, prefix, "norm", x, NULL, false);
    plx_tensor *qkv = plx_layer_linear(t, params, prefix, "qkv", h);
    plx_tensor *q = plx_slice(t, qkv, 0, C), *k = plx_slice(t, qkv, C, 2 * C);
    plx_tensor *v = plx_slice(t, qkv, 2 * C, 3 * C);
    h = plx_layer_linear(t, params, prefix, "out", plx_attention(t, q, k, v, heads));
    return plx_tape_leave(t, scope, plx_add(t, x, h));
}

static plx_tensor *cross_attention(plx_tape *t, plx_params *params, const char *prefix, plx_tensor *x,
                                   plx_tensor *context, int heads) {
    const plx_scope scope = plx_tape_enter(t);
    const int C = x->shape[3];
    plx_tensor *h = plx_layer_norm(t, params, prefix, "cross_norm", x, NULL, false);
    plx_tensor *q = plx_layer_linear(t, params, prefix, "cross_q", h);
    plx_tensor *kv = plx_layer_linear(t, params, prefix, "cross_kv", context);
    plx_tensor *k = plx_slice(t, kv, 0, C), *v = plx_slice(t, kv, C, 2 * C);
    h = plx_layer_linear(t, params, prefix, "cross_out", plx_attention(t, q, k, v, heads));
    return plx_tape_leave(t, scope, plx_add(t, x, h));
}

/* ---- a residual block, with attention if its level has it ---------------------------------------------- */

static int stage_declare(plx_params *params, const char *prefix, const plx_unet_config *c, int level,
                         int in) {
    int out = channels_at(c, level);
    int status = residual_declare(params, prefix, in, out, c->embedding);
    if (status || !c->attention[level]) return status;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.attention", prefix);
    return attention_declare(params, name, out, c->context);
}

static plx_tensor *stage(plx_tape *t, plx_params *params, const char *prefix, const plx_unet_config *c,
                         int level, plx_tensor *x, plx_tensor *embedding, plx_tensor *context) {
    x = residual(t, params, prefix, x, channels_at(c, level), embedding);
    if (!c->attention[level]) return x;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.attention", prefix);
    x = self_attention(t, params, name, x, c->heads);
    return c->context ? cross_attention(t, params, name, x, context, c->heads) : x;
}

/* ---- the network --------------------------------------------------------------------------------------- */

static const char *name_of(char out[NAME_SIZE], const char *prefix, const char *part, int level, int block) {
    if (block < 0)
        snprintf(out, NAME_SIZE, "%s.%s%d", prefix, part, level);
    else
        snprintf(out, NAME_SIZE, "%s.%s%d.block%d", prefix, part, level, block);
    return out;
}

static int down_declare(plx_params *params, const char *prefix, const plx_unet_config *c) {
    char name[NAME_SIZE];
    int status = PLX_OK, channels = c->width;
    for (int l = 0; l < c->levels && !status; l++) {
        for (int b = 0; b < c->blocks && !status; b++) {
            status = stage_declare(params, name_of(name, prefix, "down", l, b), c, l, channels);
            channels = channels_at(c, l);
        }
        if (!status && l + 1 < c->levels)
            status = plx_layer_conv_declare(params, name_of(name, prefix, "down", l, -1), "half", channels,
                                            channels, 3, 1);
    }
    return status;
}

static int up_declare(plx_params *params, const char *prefix, const plx_unet_config *c) {
    char name[NAME_SIZE];
    int status = PLX_OK;
    for (int l = c->levels - 1; l >= 0 && !status; l--) {
        int channels = channels_at(c, l);
        for (int b = 0; b < c->blocks && !status; b++)
            status = stage_declare(params, name_of(name, prefix, "up", l, b), c, l, 2 * channels);
        if (!status && l > 0)
            status = plx_layer_conv_declare(params, name_of(name, prefix, "up", l, -1), "twice", channels,
                                            channels_at(c, l - 1), 3, 1);
    }
    return status;
}

int plx_unet_declare(plx_params *params, const char *prefix, const plx_unet_config *c) {
    int status = plx_unet_config_check(c);
    if (status) return status;
    char name[NAME_SIZE];
    int area = c->patch * c->patch, coarsest = c->levels - 1;
    status = plx_layer_conv_declare(params, prefix, "in", c->in_channels * area, c->width, 3, 1);
    if (!status) status = down_declare(params, prefix, c);
    for (int m = 0; m < 2 && !status; m++) {
        bool with_attention = m == 0; /* between the two blocks only */
        plx_unet_config middle = *c;
        middle.attention[coarsest] = with_attention && c->attention[coarsest];
        status = stage_declare(params, name_of(name, prefix, "middle", m, -1), &middle, coarsest,
                               channels_at(c, coarsest));
    }
    if (!status) status = up_declare(params, prefix, c);
    if (!status) status = plx_layer_norm_declare(params, prefix, "out_norm", channels_at(c, 0));
    if (!status && c->out_channels)
        status = plx_layer_conv_declare(params, prefix, "out", channels_at(c, 0), c->out_channels * area, 3,
                                        c->zero_output ? 0 : 1);
    return status;
}

static void check_inputs(const plx_unet_config *c, const plx_unet_inputs *in) {
    const int *x = in->x->shape, unit = c->patch << (c->levels - 1);
    PLX_CHECK(in->x->ndim == 4 && x[3] == c->in_channels && x[1] % unit == 0 && x[2] % unit == 0,
              "U-Net: input (%d,%d,%d,%d), not (N,H,W,%d) with H, W multiples of %d", x[0], x[1], x[2], x[3],
              c->in_channels, unit);
    PLX_CHECK(!in->embedding == !c->embedding, "U-Net: embedding of %d expected", c->embedding);
    PLX_CHECK(!in->context == !c->context, "U-Net: context of %d channels expected", c->context);
    if (in->embedding)
        PLX_CHECK(in->embedding->shape[0] == x[0] && in->embedding->shape[1] == c->embedding,
                  "U-Net: embedding (%d,%d), not (%d,%d)", in->embedding->shape[0], in->embedding->shape[1],
                  x[0], c->embedding);
    if (in->context)
        PLX_CHECK(in->context->shape[0] == x[0] && in->context->shape[2] == c->context,
                  "U-Net: context (%d,%d,%d), not (%d,K,%d)", in->context->shape[0], in->context->shape[1],
                  in->context->shape[2], x[0], c->context);
}

plx_tensor *plx_unet_forward(plx_tape *t, plx_params *params, const char *prefix, const plx_unet_config *c,
                             const plx_unet_inputs *inputs, plx_tensor **features) {
    check_inputs(c, inputs);
    char name[NAME_SIZE];
    plx_tensor *skips[PLX_UNET_MAX_LEVELS][16], *context = inputs->context;
    plx_tensor *embedding = inputs->embedding ? plx_silu(t, inputs->embedding) : NULL;
    plx_tensor *x = c->patch > 1 ? plx_space_to_depth(t, inputs->x, c->patch) : inputs->x;
    x = plx_layer_conv(t, params, prefix, "in", x, 1);
    for (int l = 0; l < c->levels; l++) {
        for (int b = 0; b < c->blocks; b++)
            x = skips[l][b] =
                stage(t, params, name_of(name, prefix, "down", l, b), c, l, x, embedding, context);
        if (l + 1 < c->levels)
            x = plx_layer_conv(t, params, name_of(name, prefix, "down", l, -1), "half", x, 2);
    }
    for (int m = 0; m < 2; m++) {
        plx_unet_config middle = *c;
        middle.attention[c->levels - 1] = m == 0 && c->attention[c->levels - 1];
        x = stage(t, params, name_of(name, prefix, "middle", m, -1), &middle, c->levels - 1, x, embedding,
                  context);
    }
    for (int l = c->levels - 1; l >= 0; l--) {
        for (int b = 0; b < c->blocks; b++) {
            const plx_scope scope = plx_tape_enter(t);
            x = plx_concat(t, x, skips[l][c->blocks - 1 - b]);
            x = stage(t, params, name_of(name, prefix, "up", l, b), c, l, x, embedding, context);
            plx_tape_leave(t, scope, x);
        }
        if (features) features[c->levels - 1 - l] = x;
        if (l == 0) break;
        const plx_scope scope = plx_tape_enter(t);
        x = plx_upsample2(t, x);
        x = plx_layer_conv(t, params, name_of(name, prefix, "up", l, -1), "twice", x, 1);
        plx_tape_leave(t, scope, x);
    }
    if (!c->out_channels) return plx_layer_norm(t, params, prefix, "out_norm", x, NULL, true);
    x = norm_conv(t, params, prefix, "out_norm", "out", x, NULL);
    return c->patch > 1 ? plx_depth_to_space(t, x, c->patch) : x;
}
