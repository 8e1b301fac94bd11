/* The library's stages one at a time, on plain arrays, for tests/peers (ctypes; library.py mirrors these structs),
 * which runs the same stages in PyTorch. Arrays are the caller's; 0 is success, else plx_error() has the line. */
#ifndef PLX_TESTS_STAGE_H
#define PLX_TESTS_STAGE_H

#include "diffusion/model.h"

void peer_threads(int threads);

/* ---- a part of a model, with parameters of its own, so that a step of it touches nothing else --------------------- */

typedef struct peer peer;
enum { PEER_ENCODER = 1, PEER_DECODER = 2, PEER_DENOISER = 4 };

int peer_open(peer **out, const char *model, int parts, int train);
void peer_close(peer *p);
/* Values and gradient of a parameter; NULL if there is none of this name. */
const plx_tensor *peer_parameter(peer *p, const char *name);

typedef struct peer_denoise_arguments {
    int N, size, tokens;
    const double *t;             /* (N) */
    float *z, *render, *context; /* (N,S,S,V) (N,S,S,R) (N,K,F) */
    const float *target;         /* (N,S,S,V): a training step on the mean squared error; NULL = inference */
    float *out;                  /* (N,S,S,V) */
    double loss, norm;           /* norm: of the gradient, before clipping */
} peer_denoise_arguments;
int peer_denoise(peer *p, peer_denoise_arguments *a);

typedef struct peer_encode_arguments {
    int N;
    const plx_camera *cameras; /* (N) */
    const int *told;           /* (N) whether the elevation is */
    const float *rgba;         /* (N,S,S,4) */
    float *out[6];             /* as in plx_encoding: xy, xz, yz, surface, elevation, features */
} peer_encode_arguments;
int peer_encode(peer *p, peer_encode_arguments *a);

typedef struct peer_field_arguments {
    int N, rows[3], columns[3], channels[3]; /* of XY, XZ, YZ */
    float *planes[3], *dplanes[3];           /* (N,rows,columns,channels) */
    const int *start;                        /* (N+1) points of object n */
    const float *coords;                     /* (M,5) */
    float *values;                           /* (M,4), written by peer_field */
    int R, samples;                          /* rays, each of so many of the points */
    const float *t, *length;                 /* (R,samples) */
    const float *truth, *weight;             /* (R,4): colour over white, opacity */
    double loss;
} peer_field_arguments;
int peer_field(peer *p, peer_field_arguments *a);
/* Lookup, MLP, compositing, weighted squared error, backward to planes and decoder. */
int peer_field_train(peer *p, peer_field_arguments *a);

/* ---- posed views; a fitted scene; joint training ------------------------------------------------------------------ */

typedef struct peer_views {
    int count, size;
    const plx_camera *cameras;   /* (count) */
    float *colour;               /* (count,S,S,4) */
    const float *depth, *normal; /* (count,S,S,2) (count,S,S,3) */
} peer_views;

/* plx_fit with its default options but these; writes a scene file. */
int peer_fit(const char *scene, const peer_views *views, int steps, int resolution);
int peer_scene_open(plx_field **out, const char *scene);
/* Renders into view->colour. */
int peer_view(plx_field *field, peer_views *view, int samples, int skip_empty);

typedef struct peer_train_arguments {
    const char *model, *folder;
    int steps, batch, targets;
    uint64_t seed;
    peer_views views; /* (batch * (1 + targets)): each item's input, then its targets */
    plx_progress_fn progress;
} peer_train_arguments;
/* plx_train, stage joint: every step on these views; losses in folder/log.jsonl, Adam's state beside it. */
int peer_train(const peer_train_arguments *a);

/* The rays that a step of it draws: R = batch (input_rays + targets target_rays) of plx_train_options. */
typedef struct peer_supervision {
    float *rays;       /* (R,8): origin, direction, t0, t1 */
    float *weight;     /* (R) */
    float *colour;     /* (R,3) */
    float *over_white; /* (R,4) */
    float *hit;        /* (R) */
} peer_supervision;
int peer_supervise(const peer_train_arguments *a, plx_rng rng, peer_supervision *out);

#endif
