/* Parameters: one block for all values, parallel blocks for gradients, Adam's m and v, and the EMA. */
#ifndef PLX_PARAMS_H
#define PLX_PARAMS_H

#include "nerf/tensor/tensor.h"

typedef struct plx_param {
    plx_tensor tensor; /* data and grad point into the blocks */
    char name[96];
    float rate;    /* multiplies the learning rate: 1 for the encoder, 5 for the field's MLP, 0 frozen */
    bool decay;    /* weight decay applies (matrices yes, biases and norms no) */
    size_t offset; /* into the blocks, elements; multiples of 16 */
} plx_param;

typedef struct plx_params plx_params;

int plx_params_create(plx_params **out); /* on the device of plx_device_choose */
void plx_params_free(plx_params *params);

/* Declares a parameter; values are drawn when plx_params_allocate runs: N(0, std) from (seed, name), so that
 * adding a layer does not change the others; std 0 = zeros; `fill` is added. Returns its index. */
int plx_params_add(plx_params *params, const char *name, int ndim, const int *shape, float std, float fill,
                   float rate, bool decay);
int plx_params_allocate(plx_params *params, uint64_t seed, bool train); /* train: also grad, m, v, ema */

/* After allocate. The tensor is owned by params and stays valid. PLX_CHECK if there is no such name. */
plx_tensor *plx_params_get(plx_params *params, const char *name);
/* Sets a parameter's values, and its EMA's if there is one. */
void plx_params_set(plx_params *params, const char *name, const float *values);
/* The same from a tensor of the same device; and a parameter's values to the host. */
void plx_params_copy(plx_params *params, const char *name, const plx_tensor *from);
void plx_params_read(const plx_params *params, const plx_tensor *tensor, float *values);
int plx_params_count(const plx_params *params);
plx_param *plx_params_at(plx_params *params, int index);
size_t plx_params_size(const plx_params *params); /* elements, padding left out */
void plx_params_zero_grad(plx_params *params);
void plx_params_use_ema(plx_params *params,
                        bool use); /* swaps values and EMA; swap back before training on */
/* Multiplies the rate of every parameter whose name starts with `prefix`. */
void plx_params_set_rate(plx_params *params, const char *prefix, float rate);

/* ---- AdamW (Loshchilov & Hutter 2019), clipping by the global norm, EMA -------------------------------- */

typedef struct plx_optimiser {
    float rate, beta1, beta2, epsilon, weight_decay, clip; /* clip 0 = none */
    float ema;    /* decay; ramped: min(ema, (1 + step) / (10 + step)) */
    int64_t step; /* steps done */
} plx_optimiser;

plx_optimiser plx_optimiser_default(void); /* 4e-4, .9, .99, 1e-8, .01, 1, .999 */

/* One step at learning rate `rate`; returns the gradient's norm before clipping through *norm. NaN or Inf in
 * it is PLX_ERROR_NUMERIC naming the parameter, and nothing is changed. With NULL on a device with its own memory the
 * host does not wait for the answer: it comes with the next plx_optimiser_check, and until then steps change nothing. */
int plx_optimiser_step(plx_optimiser *optimiser, plx_params *params, float rate, double *norm);
int plx_optimiser_check(plx_params *params, double *norm);  /* waits; of the last step */
const double *plx_optimiser_norm(const plx_params *params); /* the last step's, on the device */

/* Linear warm-up over `warmup` steps, then cosine from 1 to `final` at step `total`. */
double plx_rate_schedule(int64_t step, int64_t warmup, int64_t total, double final);

/* ---- checkpoints: safetensors, atomic ------------------------------------------------------------------ */

typedef struct plx_checkpoint
    plx_checkpoint; /* a file read or being written: named tensors and string metadata */

int plx_checkpoint_create(plx_checkpoint **out);
int plx_checkpoint_load(plx_checkpoint **out, const char *path);
void plx_checkpoint_free(plx_checkpoint *checkpoint);

/* Copies; half = stored as F16. Names are unique (PLX_CHECK). */
int plx_checkpoint_put(plx_checkpoint *checkpoint, const char *name, int ndim, const int *shape,
                       const float *data, bool half);
int plx_checkpoint_set(plx_checkpoint *checkpoint, const char *key, const char *value); /* metadata */
const char *plx_checkpoint_get(const plx_checkpoint *checkpoint, const char *key);      /* NULL if absent */
/* All metadata as a JSON object of strings, compact, sorted by key: malloc'ed, NULL without memory; and put back. */
char *plx_checkpoint_metadata(const plx_checkpoint *checkpoint);
int plx_checkpoint_set_metadata(plx_checkpoint *checkpoint, const char *json);
int plx_checkpoint_save(const plx_checkpoint *checkpoint, const char *path);

int plx_checkpoint_count(const plx_checkpoint *checkpoint);
const char *plx_checkpoint_name(const plx_checkpoint *checkpoint, int index);
/* Shape of a tensor; PLX_ERROR_INPUT, naming file and tensor, if it is absent. */
int plx_checkpoint_shape(const plx_checkpoint *checkpoint, const char *name, int *ndim, int *shape);
/* Decodes F32 or F16 into `out`; the shape must be the given one, every value finite. */
int plx_checkpoint_read(const plx_checkpoint *checkpoint, const char *name, int ndim, const int *shape,
                        float *out);
const char *plx_checkpoint_dtype(const plx_checkpoint *checkpoint, int index);

/* All parameters: values only (half, use the EMA block if ema), or the whole optimiser state for resume. */
int plx_params_save(const plx_params *params, plx_checkpoint *checkpoint, const char *prefix, bool ema,
                    bool half);
int plx_params_load(plx_params *params, const plx_checkpoint *checkpoint, const char *prefix);
int plx_params_save_state(const plx_params *params, plx_checkpoint *checkpoint); /* value, m, v, ema: F32 */
int plx_params_load_state(plx_params *params, const plx_checkpoint *checkpoint);

#endif
