/* The image encoder: one RGBA image -> a camera-aligned triplane (NerfDiff, sec. 3.1). A U-Net at half resolution;
 * XY by pixel shuffle at full resolution; XZ and YZ from heads that see the finest features pooled down the columns
 * or along the rows into a few bins; not the feature at the same pixel, which belongs to another point (PLX_HEADS_SKIP, for
 * comparison).
 *
 * Or XY alone, with as many channels as the three have together (pixelNeRF's idea, Yu et al. 2021): what a point's
 * features say of its depth is then left to the decoder, which is told z. The baseline that the side planes are measured
 * against. */
#ifndef PLX_ENCODER_H
#define PLX_ENCODER_H

#include "diffusion/unet.h"
#include "nerf/field.h"

enum plx_planes { PLX_PLANES_TRIPLANE, PLX_PLANES_PIXEL /* XY alone; XZ and YZ are one texel of zeros */ };

/* What a texel of a side plane is made of. */
enum plx_heads {
    PLX_HEADS_POOLED, /* the bins of its column, or row, of the finest features */
    PLX_HEADS_SKIP, /* the finest features at the pixel of its own row and column, as if it were a picture (ablation) */
};

typedef struct plx_encoder_config {
    enum plx_planes planes;
    plx_unet_config unet;
    int channels; /* C of the planes */
    enum plx_heads heads;
    int depth; /* rows of XZ and columns of YZ, of pooled heads; this and the next two have no meaning without side planes */
    int bins; /* of the pooled heads */
    int side; /* hidden width of the side heads */
} plx_encoder_config;

plx_encoder_config plx_encoder_config_default(void);            /* triplane, 16 channels */
plx_encoder_config plx_encoder_config_pixel(void);              /* 48 channels: 5 % fewer parameters */
int plx_encoder_config_check(const plx_encoder_config *config); /* a file's: PLX_ERROR_INPUT */
const char *plx_planes_name(enum plx_planes planes);            /* "triplane", "pixel" */
int plx_planes_of(const char *name);                            /* or -1 */
const char *plx_heads_name(enum plx_heads heads);               /* "pooled", "skip" */
int plx_heads_of(const char *name);                             /* or -1 */
int plx_encoder_features(const plx_encoder_config *config);     /* channels of plx_encoding's features */
int plx_encoder_declare(plx_params *params, const char *prefix, const plx_encoder_config *config);

/* What is known of an input's camera; the frame's other numbers follow from it. */
typedef struct plx_encoder_pose {
    float elevation;    /* radians */
    bool has_elevation; /* false: the network is told nothing */
    float log_focal;    /* log(fx / width / default) */
    float origin[2];    /* image point of the world's origin, [-1,1], rows downwards */
    float origin_depth; /* along the viewing axis, world units */
} plx_encoder_pose;

plx_encoder_pose plx_encoder_pose_of(const plx_camera *camera, bool with_elevation);

typedef struct plx_encoding {
    plx_tensor *xy;        /* (N,H,W,C+6): features, front, back, r, g, b, a */
    plx_tensor *xz;        /* (N,depth,W/2,C); of skip heads (N,H/2,W/2,C); or (N,1,1,C) zeros */
    plx_tensor *yz;        /* (N,H/2,depth,C), or likewise */
    plx_tensor *surface;   /* (N,H,W,5): front, back (z of the frame), normal in the camera's axes */
    plx_tensor *elevation; /* (N,2): sin and cos, the network's own estimate */
    plx_tensor *features;  /* (N,H/8,W/8,F) the way up's coarsest features, for cross-attention */
} plx_encoding;

/* rgba (N,size,size,4) straight, encoded; poses (N). */
plx_encoding plx_encode(plx_tape *tape, plx_params *params, const char *prefix,
                        const plx_encoder_config *config, int N, int size, const float *rgba,
                        const plx_encoder_pose *poses);

#endif
