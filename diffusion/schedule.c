#include "diffusion/schedule.h"

#include <math.h>

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

static double cosine_alpha(double t) {
    const double s = 0.008;
    return cos(M_PI / 2 * (t + s) / (1 + s)) / cos(M_PI / 2 * s / (1 + s));
}

/* log alpha-bar: discrete, the sum of log(1 - beta_i); continuous (T -> infinity with T beta fixed, Song et
 * al. 2021), minus the integral of beta(t) = 0.1 + (20 - 0.1) t. */
static double linear_log_alpha_bar(double t, int steps) {
    if (steps <= 0) return -(0.1 * t + 0.5 * 19.9 * t * t);
    int last = (int)lround(t * steps);
    double sum = 0, scale = 1000.0 / steps; /* the total noise does not depend on T */
    for (int i = 0; i < last; i++) {
        double beta = scale * (1e-4 + (0.02 - 1e-4) * (steps > 1 ? i / (steps - 1.0) : 1));
        sum += log1p(-fmin(beta, 0.999));
    }
    return sum;
}

plx_noise_level plx_schedule_at(plx_schedule schedule, double t) {
    t = clamp(t, 0, 1);
    if (schedule.steps > 0) t = round(t * schedule.steps) / schedule.steps;
    plx_noise_level level = {.t = t};
    if (schedule.kind == PLX_SCHEDULE_COSINE) {
        level.alpha = clamp(cosine_alpha(t), 0, 1);
        level.sigma = sqrt(1 - level.alpha * level.alpha);
    } else {
        double log_alpha_bar = linear_log_alpha_bar(t, schedule.steps);
        level.alpha = exp(0.5 * log_alpha_bar);
        level.sigma = sqrt(-expm1(log_alpha_bar));
    }
    return level;
}

double plx_noise_log_snr(plx_noise_level level) {
    if (level.sigma == 0) return 20;
    return clamp(2 * log(level.alpha / level.sigma), -20, 20);
}

double plx_schedule_t_max(plx_schedule schedule, double alpha_min) {
    double low = 0, high = 1;
    if (plx_schedule_at(schedule, 1).alpha >= alpha_min) return 1;
    for (int i = 0; i < 60; i++) { /* alpha falls with t */
        double middle = 0.5 * (low + high);
        if (plx_schedule_at(schedule, middle).alpha >= alpha_min)
            low = middle;
        else
            high = middle;
    }
    return plx_schedule_at(schedule, low).t;
}

double plx_noise_add(plx_noise_level l, double x0, double eps) {
    return l.alpha * x0 + l.sigma * eps;
}

double plx_v_from(plx_noise_level l, double x0, double eps) {
    return l.alpha * eps - l.sigma * x0;
}

double plx_eps_from_x0(plx_noise_level l, double z, double x0) {
    return l.sigma > 0 ? (z - l.alpha * x0) / l.sigma : 0;
}

double plx_x0_from(plx_noise_level l, enum plx_prediction prediction, double z, double value) {
    switch (prediction) {
    case PLX_PREDICT_V:
        return l.alpha * z - l.sigma * value;
    case PLX_PREDICT_EPS:
        return l.alpha > 0 ? (z - l.sigma * value) / l.alpha : 0;
    case PLX_PREDICT_X0:
        break;
    }
    return value;
}

double plx_eps_from(plx_noise_level l, enum plx_prediction prediction, double z, double value) {
    switch (prediction) {
    case PLX_PREDICT_V:
        return l.sigma * z + l.alpha * value;
    case PLX_PREDICT_EPS:
        return value;
    case PLX_PREDICT_X0:
        break;
    }
    return plx_eps_from_x0(l, z, value);
}

double plx_prediction_target(plx_noise_level l, enum plx_prediction prediction, double x0, double eps) {
    switch (prediction) {
    case PLX_PREDICT_V:
        return plx_v_from(l, x0, eps);
    case PLX_PREDICT_EPS:
        return eps;
    case PLX_PREDICT_X0:
        break;
    }
    return x0;
}

/* With SNR = alpha^2 / sigma^2 and the target's error d:  ||x0 error||^2 is d^2 for x0, d^2 / SNR for eps and
 * d^2 sigma^2 = d^2 / (SNR + 1) for v. */
double plx_schedule_weight(plx_noise_level l, enum plx_prediction prediction, enum plx_loss_weight weight,
                           double gamma) {
    if (weight == PLX_WEIGHT_NONE) return 1;
    double snr = exp(plx_noise_log_snr(l)), in_x0 = fmin(snr, gamma);
    switch (prediction) {
    case PLX_PREDICT_V:
        return in_x0 / (snr + 1);
    case PLX_PREDICT_EPS:
        return in_x0 / snr;
    case PLX_PREDICT_X0:
        break;
    }
    return in_x0;
}
