/* Sampling by reversing the noise: DDIM (Song et al. 2021) with eta from 0 (deterministic) to 1 (DDPM, Ho et
 * al. 2020: the ancestral posterior variance). The denoiser is a callback on plain arrays. */
#ifndef PLX_SAMPLER_H
#define PLX_SAMPLER_H

#include <stdbool.h>

#include "diffusion/schedule.h"
#include "nerf/core/progress.h"
#include "nerf/core/rng.h"

/* Writes the estimate of x0 for z at `level`, `count` numbers each; `unconditional` drops what is dropped in
 * training. Returns a plx_status. */
typedef int (*plx_denoise_fn)(plx_noise_level level, bool unconditional, const float *z, float *x0,
                              size_t count, void *user);

typedef struct plx_sampler_options {
    plx_schedule schedule;
    int steps;
    double t_max, t_min; /* levels are spread evenly over [t_min, t_max]; the step from t_min goes to t = 0 */
    double eta;          /* 0 DDIM, 1 DDPM */
    double guidance;     /* s: uncond + s (cond - uncond); 1 = conditional alone, 0 = unconditional alone */
    bool clamp;          /* x0 to [-1,1], with eps recomputed from it */
} plx_sampler_options;

plx_sampler_options
plx_sampler_options_default(void); /* cosine, 50 steps, alpha >= .05, t_min 1/50, 0, 1, clamp */

double plx_sampler_time(const plx_sampler_options *options,
                        int step); /* t of step 0..steps; at `steps` it is 0 */

/* x0 with classifier-free guidance (Ho & Salimans 2022). eps, x0 and v are affine in each other at fixed z,
 * so that guiding one guides all. `scratch` holds count numbers; unused when guidance is 0 or 1. */
int plx_denoise_guided(plx_denoise_fn denoise, void *user, plx_noise_level level, double guidance,
                       const float *z, float *x0, float *scratch, size_t count);

/* z at `from` and its x0 -> z at `to`, in place; noise (count) is read only when eta > 0. */
void plx_sampler_step(plx_noise_level from, plx_noise_level to, double eta, const float *x0,
                      const float *noise, float *z, size_t count);

/* x (count): out, the sample; starts from noise of rng. Progress may be NULL. */
int plx_sample(const plx_sampler_options *options, plx_denoise_fn denoise, void *user, plx_rng rng, float *x,
               size_t count, plx_progress_fn progress, void *progress_user);

#endif
