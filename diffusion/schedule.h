/* Noise schedules, variance preserving: z = alpha x0 + sigma eps, alpha^2 + sigma^2 = 1, t in [0,1] from data
 * to noise. The only place that knows alpha, sigma, SNR and how eps, x0 and v follow from one another; all in
 * double. */
#ifndef PLX_SCHEDULE_H
#define PLX_SCHEDULE_H

#include <stddef.h>

enum plx_schedule_kind {
    PLX_SCHEDULE_COSINE, /* alpha-bar = cos^2(pi/2 (t + s)/(1 + s)) / cos^2(pi/2 s/(1 + s)), s = 0.008 (Nichol
                            & Dhariwal 2021) */
    PLX_SCHEDULE_LINEAR, /* beta from 1e-4 to 0.02 over 1000 steps (Ho et al. 2020) and its continuous limit */
};

enum plx_prediction { PLX_PREDICT_V, PLX_PREDICT_EPS, PLX_PREDICT_X0 };

enum plx_loss_weight {
    PLX_WEIGHT_NONE,   /* 1 on the network's own target */
    PLX_WEIGHT_MIN_SNR /* min(SNR, gamma) in x0 space (Hang et al. 2023) */
};

typedef struct plx_schedule {
    enum plx_schedule_kind kind;
    int steps; /* T: t is rounded to a multiple of 1/T; 0 = continuous */
} plx_schedule;

typedef struct plx_noise_level {
    double t, alpha, sigma;
} plx_noise_level;

plx_noise_level plx_schedule_at(plx_schedule schedule, double t);
double plx_noise_log_snr(plx_noise_level level); /* log(alpha^2 / sigma^2), clamped to [-20,20] */

/* The largest t at which alpha >= alpha_min; below it x0 = (z - sigma eps)/alpha blows up. */
double plx_schedule_t_max(plx_schedule schedule, double alpha_min);

/* v = alpha eps - sigma x0 (Salimans & Ho 2022). At sigma = 0, eps is 0; at alpha = 0, x0 from eps is 0. */
double plx_noise_add(plx_noise_level level, double x0, double eps); /* z */
double plx_v_from(plx_noise_level level, double x0, double eps);    /* v */
double plx_eps_from_x0(plx_noise_level level, double z, double x0); /* (z - alpha x0) / sigma */
double plx_x0_from(plx_noise_level level, enum plx_prediction prediction, double z, double value);
double plx_eps_from(plx_noise_level level, enum plx_prediction prediction, double z, double value);
/* The network's target for a known x0 and eps. */
double plx_prediction_target(plx_noise_level level, enum plx_prediction prediction, double x0, double eps);

/* Weight of ||target - prediction||^2 at this level, for the given prediction. */
double plx_schedule_weight(plx_noise_level level, enum plx_prediction prediction, enum plx_loss_weight weight,
                           double gamma);

#endif
