/* The 3D-aware conditional denoiser (NerfDiff): a U-Net that estimates a clean view from a noisy one, given
 * the field's own render at that view (concatenated, so that it need not learn camera geometry) and the input
 * view (cross-attention to feature tokens; concatenation as an option). A dropped condition is zeros, with a
 * mask channel that says so: an all-white render is a valid condition.
 *
 * Channels in, all in [-1,1]: noisy view V, render R, "render dropped" 1, [input RGBA 4], ["input dropped"
 * 1]. Time enters as logSNR/20. */
#ifndef PLX_DENOISER_H
#define PLX_DENOISER_H

#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "diffusion/unet.h"

typedef struct plx_denoiser_config {
    int view_channels;   /* V: 3 = colour on white (the paper), 4 = with opacity */
    int render_channels; /* R: 4 = colour on white and opacity; more if the caller renders more */
    bool input_concat;   /* the input view's RGBA beside the noisy view */
    enum plx_prediction prediction;
    plx_schedule schedule;
    plx_unet_config
        unet; /* in and out channels are derived; `context` is the input tokens' channels, 0 = none */
} plx_denoiser_config;

/* v-prediction, cosine; patch 2, width 64 x {1,2,2}, 2 blocks, attention at the two coarser levels, embedding
 * 128, no context: 5.4 M parameters, 1.2 G multiply-adds a 64x64 view. */
plx_denoiser_config plx_denoiser_config_default(void);
int plx_denoiser_config_check(const plx_denoiser_config *config);

/* A denoiser is a configuration and where its parameters are; nothing is owned. */
typedef struct plx_denoiser {
    plx_denoiser_config config;
    plx_params *params;
    const char *prefix;
} plx_denoiser;

int plx_denoiser_declare(plx_params *params, const char *prefix, const plx_denoiser_config *config);

typedef struct plx_denoiser_inputs {
    plx_tensor *z;                              /* (N,H,W,V) noisy views */
    const plx_noise_level *levels;              /* (N) */
    plx_tensor *render;                         /* (N,H,W,R) */
    plx_tensor *input;                          /* (N,H,W,4), or NULL unless input_concat */
    plx_tensor *context;                        /* (N,K,Cc), or NULL if the configuration has none */
    const bool *render_dropped, *input_dropped; /* (N), or NULL = kept */
} plx_denoiser_inputs;

/* (N,H,W,V), of the configured prediction. Gradients reach the parameters and those conditions that want
 * them. */
plx_tensor *plx_denoiser_forward(plx_tape *tape, const plx_denoiser *denoiser,
                                 const plx_denoiser_inputs *inputs);

/* ---- training ------------------------------------------------------------------------------------------ */

typedef struct plx_denoiser_training {
    double t_min,
        t_max; /* t is uniform between: one draw, then N equal strides, so that a batch covers the range */
    double drop_render, drop_input; /* probabilities, independent of each other */
    enum plx_loss_weight weight;
    double gamma; /* of min-SNR */
} plx_denoiser_training;

plx_denoiser_training plx_denoiser_training_default(void); /* t in [.001,1], .2, .1, none, 5 */

typedef struct plx_denoiser_batch {
    const float *views; /* (N,H,W,V) x0 */
    plx_tensor *render; /* as in plx_denoiser_inputs */
    plx_tensor *input;
    plx_tensor *context;
    const double *t; /* (N): levels given, for evaluation; NULL = drawn */
} plx_denoiser_batch;

/* E w(t) ||target - prediction||^2, the mean over all numbers; levels, noise and drops are functions of rng. */
plx_tensor *plx_denoiser_loss(plx_tape *tape, const plx_denoiser *denoiser,
                              const plx_denoiser_training *training, const plx_denoiser_batch *batch,
                              plx_rng rng);

/* ---- inference on plain arrays ------------------------------------------------------------------------- */

/* Views of one object that are denoised together; the `user` of plx_denoiser_denoise. */
typedef struct plx_denoiser_views {
    const plx_denoiser *denoiser;
    plx_tape *tape; /* is reset */
    int count, height, width;
    const float *render;  /* (count,H,W,R) */
    const float *input;   /* (H,W,4), or NULL unless input_concat */
    const float *context; /* (K,Cc), or NULL if the configuration has none */
    int context_tokens;   /* K */
    bool keep_render;     /* "unconditional" drops the input view only, not the render */
    bool without_render;  /* the render is dropped always: what the input view alone tells */
} plx_denoiser_views;

/* A plx_denoise_fn: z, x0 (count,H,W,V). */
int plx_denoiser_denoise(plx_noise_level level, bool unconditional, const float *z, float *x0, size_t count,
                         void *user);

#endif
