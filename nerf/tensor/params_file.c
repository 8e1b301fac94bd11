/* Parameters and the optimiser's state in checkpoints. */
#include "nerf/tensor/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *join(char *out, size_t size, const char *prefix, const char *name) {
    PLX_CHECK(strlen(prefix) + strlen(name) < size, "the name %s%s is too long", prefix, name);
    strcat(strcpy(out, prefix), name);
    return out;
}

static int save_block(const plx_params *params, plx_checkpoint *checkpoint, const char *prefix,
                      const float *block, bool half) {
    char name[256];
    int status = plx_memory_finish(params->device.memory);
    float *host = params->device.memory ? malloc(params->block * sizeof *host) : NULL;
    if (!host && params->device.memory)
        return plx_fail(PLX_ERROR_MEMORY, "no memory for %zu parameters", params->block);
    if (host) params->device.memory->read(host, block, params->block * sizeof *host);
    for (int i = 0; i < params->count && status >= 0; i++) {
        const plx_param *p = &params->param[i];
        status = plx_checkpoint_put(checkpoint, join(name, sizeof name, prefix, p->name), p->tensor.ndim,
                                    p->tensor.shape, (host ? host : block) + p->offset, half);
    }
    free(host);
    return status < 0 ? status : PLX_OK;
}

static int load_block(const plx_params *params, const plx_checkpoint *checkpoint, const char *prefix,
                      float *block) {
    char name[256];
    for (int i = 0; i < params->count; i++) {
        const plx_param *p = &params->param[i];
        int status = plx_checkpoint_read(checkpoint, join(name, sizeof name, prefix, p->name), p->tensor.ndim,
                                         p->tensor.shape, block + p->offset);
        if (status < 0) return status;
    }
    return PLX_OK;
}

int plx_params_save(const plx_params *params, plx_checkpoint *checkpoint, const char *prefix, bool ema,
                    bool half) {
    PLX_CHECK(!ema || params->ema, "these parameters are not for training and have no EMA");
    /* While the EMA is in use the two blocks have changed places. */
    return save_block(params, checkpoint, prefix, ema != params->ema_in_use ? params->ema : params->value,
                      half);
}

int plx_params_load(plx_params *params, const plx_checkpoint *checkpoint, const char *prefix) {
    PLX_CHECK(params->value && !params->ema_in_use,
              "parameters are loaded after allocate and not under the EMA");
    float *block = calloc(params->block, sizeof *block); /* so that a bad file changes nothing */
    if (!block) return plx_fail(PLX_ERROR_MEMORY, "no memory for %zu parameters", params->block);
    int status = load_block(params, checkpoint, prefix, block);
    if (status == PLX_OK) {
        const size_t bytes = params->block * sizeof *block;
        plx_memory_write(params->device.memory, params->value, block, bytes);
        if (params->ema) plx_memory_write(params->device.memory, params->ema, block, bytes);
    }
    free(block);
    return status;
}

static const char *const state_prefix[4] = {"value/", "m/", "v/", "ema/"};

int plx_params_save_state(const plx_params *params, plx_checkpoint *checkpoint) {
    PLX_CHECK(params->m && !params->ema_in_use, "the state of parameters that are not in training");
    const float *const blocks[4] = {params->value, params->m, params->v, params->ema};
    for (int b = 0; b < 4; b++) {
        int status = save_block(params, checkpoint, state_prefix[b], blocks[b], false);
        if (status < 0) return status;
    }
    return PLX_OK;
}

int plx_params_load_state(plx_params *params, const plx_checkpoint *checkpoint) {
    PLX_CHECK(params->m && !params->ema_in_use, "the state of parameters that are not in training");
    float *const blocks[4] = {params->value, params->m, params->v, params->ema};
    float *read = calloc(4 * params->block, sizeof *read);
    if (!read) return plx_fail(PLX_ERROR_MEMORY, "no memory for %zu parameters", params->block);
    int status = PLX_OK;
    for (int b = 0; b < 4 && status == PLX_OK; b++)
        status = load_block(params, checkpoint, state_prefix[b], read + (size_t)b * params->block);
    for (int b = 0; b < 4 && status == PLX_OK; b++)
        plx_memory_write(params->device.memory, blocks[b], read + (size_t)b * params->block,
                         params->block * sizeof *read);
    free(read);
    return status;
}
