#include "diffusion/model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/config.h"

plx_model_config plx_model_config_default(void) {
    plx_model_config c = {.encoder = plx_encoder_config_default(),
                          .frequencies = 4,
                          .hidden = 64,
                          .frame = PLX_FRAME_CAMERA,
                          .denoiser = plx_denoiser_config_default(),
                          .size = 64};
    c.denoiser.view_channels = 4;
    c.denoiser.unet.context = plx_encoder_features(&c.encoder);
    return c;
}

/* What the decoder depends on; the planes' sizes only where they are fixed. */
static plx_field_size decoder_size(const plx_model_config *c) {
    plx_field_size s = {.N = 1, .C = c->encoder.channels, .F = c->frequencies, .H = c->hidden, .guided = 1};
    if (c->encoder.planes == PLX_PLANES_PIXEL) s.xz[0] = s.xz[1] = s.yz[0] = s.yz[1] = 1;
    return s;
}

int plx_model_create(plx_model **out, const plx_model_config *config, uint64_t seed, bool train) {
    plx_model *m = calloc(1, sizeof *m);
    if (!m) return plx_fail(PLX_ERROR_MEMORY, "model: out of memory");
    m->config = *config;
    int status = plx_params_create(&m->params);
    if (!status) status = plx_encoder_declare(m->params, "encoder", &config->encoder);
    if (!status) status = plx_decoder_declare(m->params, "decoder", decoder_size(config), 5);
    if (!status) status = plx_denoiser_declare(m->params, "denoiser", &config->denoiser);
    if (!status) status = plx_params_allocate(m->params, seed, train);
    if (status) {
        plx_model_free(m);
        return status;
    }
    *out = m;
    return PLX_OK;
}

void plx_model_free(plx_model *model) {
    if (!model) return;
    plx_params_free(model->params);
    free(model->record);
    free(model);
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

static char *config_text(const plx_model_config *c) {
    json_t *json =
        json_pack("{s:{s:s, s:s, s:o, s:i, s:i, s:i, s:i}, s:{s:i, s:i}, s:s, s:o, s:i}", "encoder", "planes",
                  plx_planes_name(c->encoder.planes), "heads", plx_heads_name(c->encoder.heads), "unet",
                  plx_unet_config_json(&c->encoder.unet), "channels", c->encoder.channels, "depth",
                  c->encoder.depth, "bins", c->encoder.bins, "side", c->encoder.side, "decoder",
                  "frequencies", c->frequencies, "hidden", c->hidden, "frame", plx_frame_name(c->frame),
                  "denoiser", plx_denoiser_config_json(&c->denoiser), "size", c->size);
    char *text = json ? json_dumps(json, JSON_SORT_KEYS) : NULL;
    json_decref(json);
    return text;
}

bool plx_model_same_field(const plx_model *a, const plx_model *b) {
    plx_model_config c = a->config;
    c.denoiser = b->config.denoiser;
    c.size = b->config.size;
    char *one = config_text(&c), *two = config_text(&b->config);
    bool same = one && two && !strcmp(one, two);
    free(one), free(two);
    return same;
}

static bool in_range(int value, int low, int high) {
    return value >= low && value <= high;
}

static int config_parse(plx_model_config *c, const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, 0, &error), *unet, *denoiser;
    const char *frame;
    const char *planes = plx_planes_name(PLX_PLANES_TRIPLANE), /* not in older files, nor are: */
        *heads = plx_heads_name(PLX_HEADS_POOLED);
    *c = plx_model_config_default();
    int status = PLX_OK;
    if (!json || json_unpack_ex(json, &error, 0,
                                "{s:{s?s, s?s, s:o, s:i, s:i, s:i, s:i}, s:{s:i, s:i}, s:s, s:o, s:i}",
                                "encoder", "planes", &planes, "heads", &heads, "unet", &unet, "channels",
                                &c->encoder.channels, "depth", &c->encoder.depth, "bins", &c->encoder.bins,
                                "side", &c->encoder.side, "decoder", "frequencies", &c->frequencies, "hidden",
                                &c->hidden, "frame", &frame, "denoiser", &denoiser, "size", &c->size))
        status = plx_fail(PLX_ERROR_INPUT, "configuration: %s", error.text);
    if (!status) status = plx_unet_config_from_json(&c->encoder.unet, unet);
    if (!status) status = plx_denoiser_config_from_json(&c->denoiser, denoiser);
    if (!status && plx_frame_kind_of(frame) < 0)
        status = plx_fail(PLX_ERROR_INPUT, "configuration: frame '%s'", frame);
    if (!status) c->frame = (enum plx_frame_kind)plx_frame_kind_of(frame);
    if (!status && plx_planes_of(planes) < 0)
        status = plx_fail(PLX_ERROR_INPUT, "configuration: planes '%s'", planes);
    if (!status) c->encoder.planes = (enum plx_planes)plx_planes_of(planes);
    if (!status && plx_heads_of(heads) < 0)
        status = plx_fail(PLX_ERROR_INPUT, "configuration: heads '%s'", heads);
    if (!status) c->encoder.heads = (enum plx_heads)plx_heads_of(heads);
    if (!status) status = plx_encoder_config_check(&c->encoder);
    if (!status && (!in_range(c->frequencies, 0, 10) || !in_range(c->hidden, 16, 256) || c->hidden % 16 ||
                    !in_range(c->size, 16, 512)))
        status = plx_fail(PLX_ERROR_INPUT, "configuration: a size is out of range");
    json_decref(json);
    return status;
}

int plx_model_save(const plx_model *m, const char *path, bool ema, bool half) {
    plx_checkpoint *file = NULL;
    char *config = config_text(&m->config);
    int status =
        config ? plx_checkpoint_create(&file) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status) status = plx_checkpoint_set(file, "format", PLX_MODEL_FORMAT);
    if (!status) status = plx_checkpoint_set(file, "config", config);
    if (!status && m->record) status = plx_checkpoint_set(file, "record", m->record);
    if (!status) status = plx_params_save(m->params, file, "", ema, half);
    if (!status) status = plx_checkpoint_save(file, path);
    plx_checkpoint_free(file);
    free(config);
    return status;
}

int plx_model_open(plx_model **out, const char *path, bool train) {
    plx_checkpoint *file = NULL;
    plx_model *m = NULL;
    plx_model_config config;
    int status = plx_checkpoint_load(&file, path);
    if (status) return status;
    const char *format = plx_checkpoint_get(file, "format"), *text = plx_checkpoint_get(file, "config");
    const char *record = plx_checkpoint_get(file, "record");
    if (!format || strncmp(format, "parallax-model-", 15) || !text)
        status = plx_fail(PLX_ERROR_INPUT, "%s: not a Parallax model", path);
    else if (strcmp(format, PLX_MODEL_FORMAT))
        status = plx_fail(PLX_ERROR_SUPPORT, "%s: a model of format %s; this program reads %s", path, format,
                          PLX_MODEL_FORMAT);
    if (!status && (status = config_parse(&config, text))) plx_fail_in(status, path);
    if (!status) status = plx_model_create(&m, &config, 0, train);
    if (!status) status = plx_params_load(m->params, file, "");
    if (!status && record && !(m->record = strdup(record)))
        status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    plx_checkpoint_free(file);
    if (status)
        plx_model_free(m);
    else
        *out = m;
    return status;
}

int plx_model_load(plx_model **out, const char *path) {
    return plx_model_open(out, path, false);
}

const char *plx_model_record(const plx_model *model) {
    return model->record ? model->record : "";
}

int plx_model_size(const plx_model *model) {
    return model->config.size;
}

/* ---- parts ------------------------------------------------------------------------------------------------------------- */

plx_denoiser plx_model_denoiser(const plx_model *m) {
    return (plx_denoiser){m->config.denoiser, m->params, "denoiser"};
}

plx_encoding plx_model_encode(plx_tape *tape, const plx_model *m, int N, int size, const float *rgba,
                              const plx_encoder_pose *poses) {
    return plx_encode(tape, m->params, "encoder", &m->config.encoder, N, size, rgba, poses);
}

plx_field_operands plx_model_operands(const plx_model *m, const plx_encoding *e) {
    plx_field_operands p = plx_decoder_bind(m->params, "decoder", decoder_size(&m->config));
    p.xy = e->xy, p.xz = e->xz, p.yz = e->yz;
    return p;
}
