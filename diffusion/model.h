/* A NerfDiff model: image encoder, the field's decoder and the conditional denoiser, in one set of parameters. */
#ifndef PLX_MODEL_H
#define PLX_MODEL_H

#include "diffusion/denoiser.h"
#include "diffusion/diffusion.h"
#include "diffusion/encoder.h"

#define PLX_MODEL_FORMAT "parallax-model-1"

typedef struct plx_model_config {
    plx_encoder_config encoder;
    int frequencies, hidden; /* of the decoder */
    enum plx_frame_kind frame;
    plx_denoiser_config denoiser;
    int size; /* pixels of the input and of the denoised views at inference */
} plx_model_config;

plx_model_config plx_model_config_default(void);

struct plx_model {
    plx_model_config config;
    plx_params *params; /* encoder.*, decoder.*, denoiser.* */
    char *record;       /* JSON text: how it was trained, on what, credits; NULL if new */
};

/* The same encoder, decoder and frame; the denoisers may differ. */
bool plx_model_same_field(const plx_model *a, const plx_model *b);

/* Fresh weights; `train` makes gradients and optimiser blocks. */
int plx_model_create(plx_model **out, const plx_model_config *config, uint64_t seed, bool train);
/* As plx_model_load, with optimiser blocks if `train`. */
int plx_model_open(plx_model **out, const char *path, bool train);
/* Float16 (or 32) weights with configuration and record in the metadata; `ema`: the averaged weights. */
int plx_model_save(const plx_model *model, const char *path, bool ema, bool half);

plx_denoiser plx_model_denoiser(const plx_model *model);

/* Encodes a batch: the decoder's operands with the encoding's planes. */
plx_field_operands plx_model_operands(const plx_model *model, const plx_encoding *encoding);
plx_encoding plx_model_encode(plx_tape *tape, const plx_model *model, int N, int size, const float *rgba,
                              const plx_encoder_pose *poses);

/* The input's feature tokens for the denoiser: *context (tokens,F), malloc'ed. */
int plx_model_context(float **context, int *tokens, const plx_model *model, const plx_view *input,
                      bool elevation_known);

#endif
