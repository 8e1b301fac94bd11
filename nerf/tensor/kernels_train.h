/* Losses and the optimiser: what a training step does beside the network. Listed by kernels.h. Sums are taken in double in a
 * fixed order. */
#ifndef PLX_KERNELS_TRAIN_H
#define PLX_KERNELS_TRAIN_H

#include <stddef.h>

#include "nerf/core/rng.h"

enum { PLX_LOSS_TERMS = 9 };

/* What a denoiser is asked for: v = alpha eps - sigma x, the noise eps, or the view x. */
enum plx_noise_target { PLX_TARGET_V, PLX_TARGET_NOISE, PLX_TARGET_VIEW };

/* A view's noise. */
typedef struct plx_noising {
    double alpha, sigma; /* z = alpha x + sigma eps */
    enum plx_noise_target target;
    float weight; /* of its loss */
} plx_noising;

/* One-element losses, or their gradients, in the device's memory; NULL: a gradient that is not wanted. */
typedef struct plx_loss_terms {
    int count;
    float *term[PLX_LOSS_TERMS];
    float factor[PLX_LOSS_TERMS];
} plx_loss_terms;

/* A piece of the parameters' blocks, elements [begin,end), at most PLX_PARAM_CHUNK. */
typedef struct plx_chunk {
    size_t begin, end;
    float rate;  /* times plx_adamw.rate; 0: frozen */
    float decay; /* weight decay */
} plx_chunk;

typedef struct plx_adamw {
    float rate, beta1, beta2, epsilon, ema;
    float clip;               /* 0: none */
    float correct1, correct2; /* 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
} plx_adamw;

#define PLX_TRAIN_KERNEL_LIST(X)                                                                                \
    /* loss (1) = sum_i weight_i |x_i - y_i|^p / weight_sum, p = 1 or 2; weight NULL: ones. weight_sum (1) is \
     * written forward and read backward: sum_i weight_i, or 1 where that is 0. */ \
    X(lp_fwd, (size_t n, int p, const float *x, const float *y, const float *weight, double *weight_sum,        \
               float *loss))                                                                                    \
    X(lp_bwd, (size_t n, int p, const float *x, const float *y, const float *weight,                            \
               const double *weight_sum, const float *dloss, float *dx))                                        \
    /* sum (1) = sum_k factor_k term_k */                                                                       \
    X(loss_sum_fwd, (plx_loss_terms terms, float *sum))                                                         \
    X(loss_sum_bwd, (plx_loss_terms dterms, const float *dsum))                                                 \
    /* sums (chunks): of the squares of each chunk that is not frozen, 0 for the others. norm[0] = sqrt(sum   \
     * of sums); norm[1] becomes 1 where norm[0] is NaN or Inf, and else stays as it is. */ \
    X(gradient_norm, (int chunks, const plx_chunk *chunk, const float *grad, double *sums, double *norm))       \
    /* Nothing at all if norm[1] is not 0. g = grad, times clip / norm[0] where clip > 0 and norm[0] > clip:  \
     * m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,                                                       \
     * w = (1 - rate decay) w - rate m correct1 / (sqrt(v) correct2 + eps),  ema += (1 - a.ema) (w - ema). */ \
    X(adamw, (plx_adamw a, int chunks, const plx_chunk *chunk, const double *norm, const float *grad,           \
              float *m, float *v, float *value, float *ema))                                                    \
    /* views, z, target, weight (N,each); noise (N), the device's; eps is normal number i of rng. */            \
    X(noise_views, (int N, size_t each, const plx_noising *noise, plx_rng rng, const float *views, float *z,    \
                    float *target, float *weight))

struct plx_kernels;
void plx_kernels_train(struct plx_kernels *table); /* fills: the same for `ref` and `cpu` */

#endif
