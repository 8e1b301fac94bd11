#include "diffusion/layers.h"

#include <math.h>
#include <stdio.h>

enum { NAME_SIZE = 96 }; /* of plx_param */

static const char *join(char out[NAME_SIZE], const char *prefix, const char *name, const char *part) {
    int length = snprintf(out, NAME_SIZE, "%s.%s.%s", prefix, name, part);
    PLX_CHECK(length < NAME_SIZE, "parameter name %s.%s.%s is longer than %d", prefix, name, part,
              NAME_SIZE - 1);
    return out;
}

static int declare(plx_params *params, const char *prefix, const char *name, const char *part, int ndim,
                   const int *shape, float std, float fill, bool decay) {
    char full[NAME_SIZE];
    int index = plx_params_add(params, join(full, prefix, name, part), ndim, shape, std, fill, 1, decay);
    return index < 0 ? index : PLX_OK;
}

static plx_tensor *get(plx_params *params, const char *prefix, const char *name, const char *part) {
    char full[NAME_SIZE];
    return plx_params_get(params, join(full, prefix, name, part));
}

int plx_layer_conv_declare(plx_params *params, const char *prefix, const char *name, int in, int out,
                           int kernel, float gain) {
    const int weight[] = {out, kernel, kernel, in};
    float std = gain / sqrtf((float)(in * kernel * kernel));
    int status = declare(params, prefix, name, "weight", 4, weight, std, 0, true);
    return status ? status : declare(params, prefix, name, "bias", 1, &out, 0, 0, false);
}

plx_tensor *plx_layer_conv(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                           plx_tensor *x, int stride) {
    return plx_conv2d(tape, x, get(params, prefix, name, "weight"), get(params, prefix, name, "bias"),
                      stride);
}

int plx_layer_linear_declare(plx_params *params, const char *prefix, const char *name, int in, int out,
                             float gain) {
    const int weight[] = {out, in};
    int status = declare(params, prefix, name, "weight", 2, weight, gain / sqrtf((float)in), 0, true);
    return status ? status : declare(params, prefix, name, "bias", 1, &out, 0, 0, false);
}

plx_tensor *plx_layer_linear(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                             plx_tensor *x) {
    return plx_linear(tape, x, get(params, prefix, name, "weight"), get(params, prefix, name, "bias"));
}

int plx_norm_groups(int channels) {
    for (int groups = 32; groups > 1; groups--)
        if (channels % groups == 0 && channels / groups >= 4) return groups;
    return 1;
}

int plx_layer_norm_declare(plx_params *params, const char *prefix, const char *name, int channels) {
    int status = declare(params, prefix, name, "gamma", 1, &channels, 0, 1, false);
    return status ? status : declare(params, prefix, name, "beta", 1, &channels, 0, 0, false);
}

plx_tensor *plx_layer_norm(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                           plx_tensor *x, plx_tensor *scale_shift, bool silu) {
    int groups = plx_norm_groups(x->shape[x->ndim - 1]);
    return plx_group_norm(tape, x, get(params, prefix, name, "gamma"), get(params, prefix, name, "beta"),
                          groups, scale_shift, silu);
}

int plx_layer_embedding_declare(plx_params *params, const char *prefix, const char *name, int count,
                                int frequencies, int embedding) {
    char inner[NAME_SIZE];
    snprintf(inner, sizeof inner, "%s.%s", prefix, name);
    int status =
        plx_layer_linear_declare(params, inner, "linear1", count * (1 + 2 * frequencies), embedding, 1);
    return status ? status : plx_layer_linear_declare(params, inner, "linear2", embedding, embedding, 1);
}

plx_tensor *plx_layer_embedding(plx_tape *tape, plx_params *params, const char *prefix, const char *name,
                                const float *values, int N, int count, int frequencies) {
    char inner[NAME_SIZE];
    snprintf(inner, sizeof inner, "%s.%s", prefix, name);
    const int shape[] = {N, count * (1 + 2 * frequencies)};
    float *numbers = plx_arena_alloc(plx_tape_arena(tape), (size_t)N * (size_t)shape[1] * sizeof *numbers);
    float *out = numbers;
    for (int i = 0; i < N * count; i++) {
        *out++ = values[i];
        for (int k = 0; k < frequencies; k++) {
            double angle = M_PI * ldexp(values[i], k);
            *out++ = (float)sin(angle);
            *out++ = (float)cos(angle);
        }
    }
    plx_tensor *x = plx_tape_input(tape, 2, shape, numbers, false);
    plx_tensor *hidden = plx_silu(tape, plx_layer_linear(tape, params, inner, "linear1", x));
    return plx_layer_linear(tape, params, inner, "linear2", hidden);
}
