#include "diffusion/train_model.h"

#include <string.h>

#include "diffusion/config.h"
#include "diffusion/train_record.h"

/* `from` with a fresh denoiser of another width or prediction. */
static int change_denoiser(plx_model **model, int width, enum plx_prediction prediction, uint64_t seed) {
    plx_model *from = *model, *to = NULL;
    plx_model_config config = from->config;
    config.denoiser.unet.width = width;
    config.denoiser.prediction = prediction;
    int status = plx_model_create(&to, &config, seed, true);
    if (status) return status;
    for (int i = 0; i < plx_params_count(from->params); i++) {
        const plx_param *p = plx_params_at(from->params, i);
        if (strncmp(p->name, "denoiser.", 9)) plx_params_copy(to->params, p->name, &p->tensor);
    }
    to->record = from->record, from->record = NULL;
    plx_model_free(from);
    *model = to;
    return PLX_OK;
}

static int must_be(const char *path, const char *what, const char *is, const char *wanted) {
    if (!wanted || !strcmp(is, wanted)) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "%s: the model's %s are '%s', not '%s'", path, what, is, wanted);
}

static int from_file(plx_model **out, const plx_train_options *o) {
    plx_model *model = NULL;
    int status = plx_model_open(&model, o->init, true);
    if (status) return status;
    const plx_encoder_config *encoder = &model->config.encoder;
    const plx_denoiser_config *denoiser = &model->config.denoiser;
    enum plx_prediction prediction =
        o->predict ? (enum plx_prediction)plx_prediction_of(o->predict) : denoiser->prediction;
    status = must_be(o->init, "planes", plx_planes_name(encoder->planes), o->planes);
    if (!status) status = must_be(o->init, "heads", plx_heads_name(encoder->heads), o->heads);
    if (!status && (denoiser->unet.width != o->denoiser_width || denoiser->prediction != prediction))
        status = change_denoiser(&model, o->denoiser_width, prediction, o->seed);
    if (!status) status = plx_record_close(model);
    if (status)
        plx_model_free(model);
    else
        *out = model;
    return status;
}

static int check_names(const plx_train_options *o) {
    if (plx_frame_kind_of(o->frame) < 0)
        return plx_fail(PLX_ERROR_INPUT, "frame '%s': camera or upright", o->frame);
    if (o->planes && plx_planes_of(o->planes) < 0)
        return plx_fail(PLX_ERROR_INPUT, "planes '%s': triplane or pixel", o->planes);
    if (o->heads && plx_heads_of(o->heads) < 0)
        return plx_fail(PLX_ERROR_INPUT, "heads '%s': pooled or skip", o->heads);
    if (o->predict && strcmp(o->predict, "v") && strcmp(o->predict, "eps"))
        return plx_fail(PLX_ERROR_INPUT, "predict '%s': v or eps", o->predict);
    return PLX_OK;
}

int plx_train_model(plx_model **out, const plx_train_options *o) {
    int status = check_names(o);
    if (status) return status;
    if (o->init) return from_file(out, o);
    plx_model_config config = plx_model_config_default();
    config.frame = (enum plx_frame_kind)plx_frame_kind_of(o->frame);
    if (o->planes && plx_planes_of(o->planes) == PLX_PLANES_PIXEL)
        config.encoder = plx_encoder_config_pixel();
    if (o->heads) config.encoder.heads = (enum plx_heads)plx_heads_of(o->heads);
    if (o->predict) config.denoiser.prediction = (enum plx_prediction)plx_prediction_of(o->predict);
    config.encoder.unet.width = o->width;
    config.denoiser.unet.width = o->denoiser_width;
    config.denoiser.unet.context = plx_encoder_features(&config.encoder);
    return plx_model_create(out, &config, o->seed, true);
}
