/* A U-Net on (N,H,W,C) images. Level 0 is the finest; each next one halves the raster.
 *
 *   x -> space-to-depth(patch) -> conv3x3 -> down levels -> middle -> up levels -> norm, SiLU, conv3x3
 *     -> depth-to-space(patch)
 *
 * A level has `blocks` residual blocks on its way down and as many on its way up; each of the latter reads,
 * beside its input, the output of its counterpart. Levels with attention have an attention block behind each
 * residual one: self-attention, then cross-attention to the context if there is one.
 *
 * Residual block: norm, SiLU, conv3x3, norm (scale and shift from the embedding), SiLU, conv3x3 that starts
 * at zero; added to the input, through a 1x1 convolution where channels differ. */
#ifndef PLX_UNET_H
#define PLX_UNET_H

#include "nerf/tensor/ops.h"
#include "nerf/tensor/params.h"

#define PLX_UNET_MAX_LEVELS 6

typedef struct plx_unet_config {
    int in_channels;
    int out_channels; /* 0: no output convolution, the finest feature map (N,H/patch,W/patch,width) is
                         returned */
    int width;        /* channels of level l = width * multiplier[l] */
    int levels;
    int multiplier[PLX_UNET_MAX_LEVELS];
    int blocks; /* residual blocks per level and way */
    bool attention[PLX_UNET_MAX_LEVELS];
    int heads;
    int patch;        /* 1 = none; H and W are multiples of patch * 2^(levels-1) */
    int embedding;    /* E of the (N,E) embedding; 0 = none */
    int context;      /* channels of the (N,K,Cc) context; 0 = no cross-attention */
    bool zero_output; /* the output convolution starts at zero */
} plx_unet_config;

/* in 3, out 3, width 64, levels 3 {1,2,2}, 2 blocks, attention at the coarsest, 4 heads, patch 2, nothing
 * else. */
plx_unet_config plx_unet_config_default(void);

/* Configurations come from files: PLX_ERROR_INPUT says what is wrong with one. */
int plx_unet_config_check(const plx_unet_config *config);

/* Parameters "prefix.down0.block0.conv1.weight", "prefix.middle0...", "prefix.up1...". */
int plx_unet_declare(plx_params *params, const char *prefix, const plx_unet_config *config);

typedef struct plx_unet_inputs {
    plx_tensor *x;         /* (N,H,W,in_channels) */
    plx_tensor *embedding; /* (N,E), or NULL if the configuration has none */
    plx_tensor *context;   /* (N,K,Cc), or NULL likewise */
} plx_unet_inputs;

/* (N,H,W,out_channels). `features`, if not NULL, receives the `levels` feature maps of the way up, coarsest
 * first: features[i] is (N, H/patch >> l, W/patch >> l, width * multiplier[l]) with l = levels-1-i. */
plx_tensor *plx_unet_forward(plx_tape *tape, plx_params *params, const char *prefix,
                             const plx_unet_config *config, const plx_unet_inputs *inputs,
                             plx_tensor **features);

#endif
