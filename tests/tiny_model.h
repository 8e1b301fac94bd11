/* An untrained model small enough for tests. */
#ifndef PLX_TESTS_TINY_MODEL_H
#define PLX_TESTS_TINY_MODEL_H

#include "diffusion/model.h"

static inline int tiny_model_create(plx_model **out) {
    plx_model_config config = plx_model_config_default();
    config.size = 32;
    config.encoder.unet.width = config.denoiser.unet.width = 16;
    config.denoiser.unet.context = plx_encoder_features(&config.encoder);
    return plx_model_create(out, &config, 3, false);
}

static inline int tiny_model_save(const char *path) {
    plx_model *model = NULL;
    int status = tiny_model_create(&model);
    if (!status) status = plx_model_save(model, path, false, true);
    plx_model_free(model);
    return status;
}

#endif
