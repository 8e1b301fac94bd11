/* Schedules, conversions and samplers, held to their algebra and to data whose denoiser is known in closed
 * form. */
#include "tests/test.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "nerf/core/error.h"

static const plx_schedule schedules[] = {{PLX_SCHEDULE_COSINE, 0},
                                         {PLX_SCHEDULE_COSINE, 1000},
                                         {PLX_SCHEDULE_LINEAR, 0},
                                         {PLX_SCHEDULE_LINEAR, 1000}};
enum { SCHEDULES = sizeof schedules / sizeof *schedules };

TEST(schedule, preserves_variance_and_loses_signal) {
    for (int k = 0; k < SCHEDULES; k++) {
        double before = 21;
        for (int i = 0; i <= 200; i++) {
            plx_noise_level l = plx_schedule_at(schedules[k], i / 200.0);
            /* doubles: a few rounding errors of 1e-16 */
            EXPECT(fabs(l.alpha * l.alpha + l.sigma * l.sigma - 1) < 1e-14, "schedule %d, t = %g", k, l.t);
            double log_snr = plx_noise_log_snr(l);
            EXPECT(log_snr <= before, "schedule %d: logSNR %g after %g", k, log_snr, before);
            if (log_snr < 19.9 && log_snr > -19.9)
                EXPECT(log_snr < before, "schedule %d: logSNR stands still at t = %g", k, l.t);
            before = log_snr;
        }
    }
}

TEST(schedule, cosine_ends_at_data_and_at_noise) {
    plx_noise_level data = plx_schedule_at(schedules[0], 0), noise = plx_schedule_at(schedules[0], 1);
    EXPECT(data.alpha == 1 && data.sigma == 0, "alpha %g, sigma %g", data.alpha, data.sigma);
    /* cos(pi/2) is 6e-17 in doubles */
    EXPECT(noise.alpha < 1e-15 && noise.sigma == 1, "alpha %g, sigma %g", noise.alpha, noise.sigma);
    plx_noise_level middle = plx_schedule_at(schedules[0], 0.5);
    double expected = cos(M_PI / 2 * 0.508 / 1.008) / cos(M_PI / 2 * 0.008 / 1.008);
    EXPECT(fabs(middle.alpha - expected) < 1e-15, "alpha(1/2) = %g", middle.alpha);
}

TEST(schedule, linear_is_ddpms) {
    /* alpha-bar at T = 1000 is the product of 1 - beta_i, about 4.0e-5 (Ho et al. 2020, sec. 4: nearly no
     * signal) */
    double product = 1;
    for (int i = 0; i < 1000; i++) product *= 1 - (1e-4 + (0.02 - 1e-4) * i / 999);
    plx_noise_level last = plx_schedule_at(schedules[3], 1);
    EXPECT(fabs(last.alpha * last.alpha / product - 1) < 1e-9, "alpha-bar %g, product %g",
           last.alpha * last.alpha, product);
    /* The continuous limit drops the second order of log(1 - beta), sum beta^2 / 2 = 0.067 */
    plx_noise_level limit = plx_schedule_at(schedules[2], 1);
    EXPECT(fabs(log(limit.alpha / last.alpha) * 2) < 0.075, "log ratio %g",
           2 * log(limit.alpha / last.alpha));
    /* 250 steps carry the noise of 1000 */
    plx_noise_level fewer = plx_schedule_at((plx_schedule){PLX_SCHEDULE_LINEAR, 250}, 1);
    EXPECT(fabs(log(fewer.alpha / last.alpha)) < 0.15, "250 steps: %g, 1000: %g", fewer.alpha, last.alpha);
}

TEST(schedule, t_max_is_where_alpha_is) {
    for (int k = 0; k < SCHEDULES; k++) {
        double t = plx_schedule_t_max(schedules[k], 0.05), step = schedules[k].steps ? 1e-3 : 1e-9;
        EXPECT(plx_schedule_at(schedules[k], t).alpha >= 0.05, "schedule %d: t_max %g", k, t);
        EXPECT(plx_schedule_at(schedules[k], t + step).alpha < 0.05,
               "schedule %d: t_max %g is not the largest", k, t);
    }
}

TEST(schedule, conversions_invert_one_another) {
    const enum plx_prediction kinds[] = {PLX_PREDICT_V, PLX_PREDICT_EPS, PLX_PREDICT_X0};
    const double x0 = 0.37, eps = -1.42;
    for (int k = 0; k < SCHEDULES; k++)
        for (int i = 1; i < 20; i++) {
            plx_noise_level l = plx_schedule_at(schedules[k], i / 20.0);
            double z = plx_noise_add(l, x0, eps);
            for (int p = 0; p < 3; p++) {
                double value = plx_prediction_target(l, kinds[p], x0, eps);
                double x = plx_x0_from(l, kinds[p], z, value), e = plx_eps_from(l, kinds[p], z, value);
                /* division by alpha or sigma multiplies 1e-16 by up to 1/alpha = 200 here */
                EXPECT(fabs(x - x0) < 1e-12 && fabs(e - eps) < 1e-12, "schedule %d t %g: x0 %g eps %g", k,
                       l.t, x, e);
            }
            EXPECT(fabs(plx_eps_from_x0(l, z, x0) - eps) < 1e-12, "eps at t %g", l.t);
            double v = l.alpha * eps - l.sigma * x0;
            EXPECT(plx_prediction_target(l, PLX_PREDICT_V, x0, eps) == v, "v at t %g", l.t);
        }
}

TEST(schedule, min_snr_weights_say_the_same_in_every_prediction) {
    for (int i = 1; i < 20; i++) {
        plx_noise_level l = plx_schedule_at(schedules[0], i / 20.0);
        double z = 0.3, d = 1e-3, value = 0.2, loss[3];
        /* The same error of x0, written as an error of each prediction. */
        double x0 = plx_x0_from(l, PLX_PREDICT_V, z, value), eps = plx_eps_from_x0(l, z, x0);
        double eps_d = plx_eps_from_x0(l, z, x0 + d);
        for (int p = 0; p < 3; p++) {
            double error = plx_prediction_target(l, (enum plx_prediction)p, x0 + d, eps_d) -
                           plx_prediction_target(l, (enum plx_prediction)p, x0, eps);
            loss[p] = error * error * plx_schedule_weight(l, (enum plx_prediction)p, PLX_WEIGHT_MIN_SNR, 5);
        }
        /* differences of order-1 numbers in doubles, d = 1e-3: 1e-13 relative, over 1/alpha up to 13 */
        EXPECT(fabs(loss[1] / loss[0] - 1) < 1e-9 && fabs(loss[2] / loss[0] - 1) < 1e-9, "%g %g %g", loss[0],
               loss[1], loss[2]);
    }
}

/* ---- samplers ------------------------------------------------------------------------------------------ */

static int perfect(plx_noise_level level, bool unconditional, const float *z, float *x0, size_t count,
                   void *user) {
    (void)level, (void)unconditional, (void)z;
    memcpy(x0, user, count * sizeof *x0);
    return 0;
}

TEST(sampler, perfect_denoiser_gives_x0) {
    float truth[64], x[64];
    plx_rng_fill_uniform((plx_rng){1, 2}, truth, 64);
    for (int eta = 0; eta <= 1; eta++) {
        plx_sampler_options o = plx_sampler_options_default();
        o.steps = 7, o.eta = eta;
        REQUIRE(plx_sample(&o, perfect, truth, (plx_rng){3, 4}, x, 64, NULL, NULL) == 0, "%s", plx_error());
        for (int i = 0; i < 64; i++)
            EXPECT(x[i] == truth[i], "eta %d: x[%d] = %g, not %g", eta, i, x[i], truth[i]);
    }
}

/* What a network of either prediction says of the same noisy view, when it knows that the data are normal about 0.2: then
 * E[x0 | z] = 0.2 + k (z - 0.2 alpha), k = alpha s^2 / (alpha^2 s^2 + sigma^2), s = 0.3. */
static int network(plx_noise_level l, bool unconditional, const float *z, float *x0, size_t count,
                   void *user) {
    const enum plx_prediction *prediction = user;
    (void)unconditional;
    double k = l.alpha * 0.09 / (l.alpha * l.alpha * 0.09 + l.sigma * l.sigma);
    for (size_t i = 0; i < count; i++) {
        double x = 0.2 + k * (z[i] - 0.2 * l.alpha);
        float output = (float)plx_prediction_target(l, *prediction, x, plx_eps_from_x0(l, z[i], x));
        x0[i] = (float)plx_x0_from(l, *prediction, z[i], output);
    }
    return 0;
}

TEST(sampler, v_and_eps_of_one_network_sample_the_same) {
    float x[2][64];
    plx_sampler_options o = plx_sampler_options_default();
    o.steps = 9, o.eta = 1;
    for (int i = 0; i < 2; i++) {
        enum plx_prediction prediction = i ? PLX_PREDICT_EPS : PLX_PREDICT_V;
        REQUIRE(plx_sample(&o, network, &prediction, (plx_rng){3, 4}, x[i], 64, NULL, NULL) == 0, "%s",
                plx_error());
    }
    /* alpha >= 0.05: an output's rounding (6e-8) grows by 20 in x0, and shrinks on the way */
    for (int i = 0; i < 64; i++) EXPECT(fabsf(x[0][i] - x[1][i]) < 1e-5f, "%g, %g", x[0][i], x[1][i]);
    EXPECT(x[0][0] != x[0][1], "nothing was sampled");
}

TEST(sampler, steps_keep_the_noise_of_a_perfect_denoiser) {
    /* With the true x0, DDIM's z stays alpha x0 + sigma eps with the same eps. */
    plx_noise_level from = plx_schedule_at(schedules[0], 0.8), to = plx_schedule_at(schedules[0], 0.3);
    float x0 = 0.4f, eps = 1.3f, z = (float)plx_noise_add(from, x0, eps);
    plx_sampler_step(from, to, 0, &x0, NULL, &z, 1);
    EXPECT(fabs(z - plx_noise_add(to, x0, eps)) < 1e-6, "z = %g", z); /* float z, order 1 */
}

TEST(sampler, ancestral_variance_is_the_posteriors) {
    /* q(z' | z, x0) has mean (alpha' b / sigma^2) x0 + (a sigma'^2 / sigma^2) z with a = alpha/alpha',
     * b = sigma^2 - a^2 sigma'^2, and variance b sigma'^2 / sigma^2 (Ho et al. 2020, eq. 7). */
    plx_noise_level from = plx_schedule_at(schedules[0], 0.6), to = plx_schedule_at(schedules[0], 0.5);
    double a = from.alpha / to.alpha, b = from.sigma * from.sigma - a * a * to.sigma * to.sigma;
    double ratio = to.sigma * to.sigma / (from.sigma * from.sigma);
    float x0 = -0.2f, noise[2] = {0, 1}, z0 = 0.9f, z1 = 0.9f;
    plx_sampler_step(from, to, 1, &x0, &noise[0], &z0, 1);
    plx_sampler_step(from, to, 1, &x0, &noise[1], &z1, 1);
    double mean = to.alpha * b / (from.sigma * from.sigma) * x0 + a * ratio * 0.9;
    EXPECT(fabs(z0 - mean) < 1e-6, "mean %g, not %g", z0, mean); /* float z, order 1 */
    EXPECT(fabs((double)z1 - z0 - sqrt(b * ratio)) < 1e-6, "deviation %g, not %g", z1 - z0, sqrt(b * ratio));
}

typedef struct gaussian {
    double mean, deviation;
} gaussian;

/* x0 ~ N(m, s^2):  E[x0 | z] = m + alpha s^2 / (alpha^2 s^2 + sigma^2) (z - alpha m). */
static int gaussian_denoiser(plx_noise_level l, bool unconditional, const float *z, float *x0, size_t count,
                             void *user) {
    (void)unconditional;
    gaussian *g = user;
    double s2 = g->deviation * g->deviation,
           gain = l.alpha * s2 / (l.alpha * l.alpha * s2 + l.sigma * l.sigma);
    for (size_t i = 0; i < count; i++) x0[i] = (float)(g->mean + gain * (z[i] - l.alpha * g->mean));
    return 0;
}

/* The deviation that the sampler must produce: for Gaussian data every step is affine in z, z' = c z + d + s
 * noise. */
static double propagated_deviation(const plx_sampler_options *o, double deviation) {
    double variance = 1, s2 = deviation * deviation;
    for (int step = 0; step < o->steps; step++) {
        plx_noise_level l = plx_schedule_at(o->schedule, plx_sampler_time(o, step));
        plx_noise_level to = plx_schedule_at(o->schedule, plx_sampler_time(o, step + 1));
        double gain = l.alpha * s2 / (l.alpha * l.alpha * s2 + l.sigma * l.sigma), a = l.alpha / to.alpha;
        double posterior =
            to.sigma * to.sigma / (l.sigma * l.sigma) * (l.sigma * l.sigma - a * a * to.sigma * to.sigma);
        double s = o->eta * o->eta * posterior;
        double c = to.alpha * gain + sqrt(to.sigma * to.sigma - s) * (1 - l.alpha * gain) / l.sigma;
        variance = c * c * variance + s;
    }
    return sqrt(variance);
}

TEST(sampler, gaussian_data_keep_mean_and_variance) {
    enum { COUNT = 20000 };
    static float x[COUNT];
    gaussian g = {0.3, 0.2};
    for (int eta = 0; eta <= 1; eta++) {
        plx_sampler_options o = plx_sampler_options_default();
        o.steps = 200, o.t_max = 1, o.t_min = 1e-3, o.eta = eta, o.clamp = false;
        REQUIRE(plx_sample(&o, gaussian_denoiser, &g, (plx_rng){5, 6}, x, COUNT, NULL, NULL) == 0, "%s",
                plx_error());
        double mean = 0, variance = 0, expected = propagated_deviation(&o, g.deviation);
        for (int i = 0; i < COUNT; i++) mean += x[i] / (double)COUNT;
        for (int i = 0; i < COUNT; i++) variance += (x[i] - mean) * (x[i] - mean) / COUNT;
        /* 20000 draws: the mean to .2/sqrt(n) = .0014, the deviation to .2/sqrt(2n) = .001, three times each */
        EXPECT(fabs(mean - g.mean) < 0.0045, "eta %d: mean %g", eta, mean);
        EXPECT(fabs(sqrt(variance) - expected) < 0.003, "eta %d: %g, not %g", eta, sqrt(variance), expected);
        /* In the limit of many steps both are exact; the error falls at least as 1/steps, here from 5 % at
         * 200. */
        EXPECT(fabs(expected / g.deviation - 1) < 0.05, "eta %d: deviation %g", eta, expected);
        o.steps = 20000;
        expected = propagated_deviation(&o, g.deviation);
        EXPECT(fabs(expected / g.deviation - 1) < 0.0015, "eta %d, 20000 steps: deviation %g", eta, expected);
    }
}

TEST(sampler, same_seed_same_bits) {
    gaussian g = {0, 0.5};
    float a[32], b[32], c[32];
    plx_sampler_options o = plx_sampler_options_default();
    for (int eta = 0; eta <= 1; eta++) {
        o.steps = 10, o.eta = eta;
        plx_sample(&o, gaussian_denoiser, &g, (plx_rng){1, 1}, a, 32, NULL, NULL);
        plx_sample(&o, gaussian_denoiser, &g, (plx_rng){1, 1}, b, 32, NULL, NULL);
        plx_sample(&o, gaussian_denoiser, &g, (plx_rng){2, 1}, c, 32, NULL, NULL);
        EXPECT(!memcmp(a, b, sizeof a), "eta %d: the same seed gave other bits", eta);
        EXPECT(memcmp(a, c, sizeof a), "eta %d: another seed gave the same", eta);
    }
}

static int two_answers(plx_noise_level level, bool unconditional, const float *z, float *x0, size_t count,
                       void *user) {
    (void)level, (void)z;
    ++*(int *)user;
    for (size_t i = 0; i < count; i++) x0[i] = unconditional ? 0.1f : 0.3f;
    return 0;
}

TEST(sampler, guidance_extrapolates_from_unconditional) {
    const struct {
        double guidance, expected;
        int calls;
    } cases[] = {{0, 0.1, 1}, {1, 0.3, 1}, {2, 0.5, 2}, {0.5, 0.2, 2}};
    for (int i = 0; i < 4; i++) {
        float z = 0, x0, scratch;
        int calls = 0;
        plx_denoise_guided(two_answers, &calls, plx_schedule_at(schedules[0], 0.5), cases[i].guidance, &z,
                           &x0, &scratch, 1);
        /* float: 0.1 and 0.3 to 1e-8 */
        EXPECT(fabs(x0 - cases[i].expected) < 1e-6, "guidance %g: x0 %g", cases[i].guidance, x0);
        EXPECT(calls == cases[i].calls, "guidance %g: %d calls", cases[i].guidance, calls);
    }
}

static int far_out(plx_noise_level level, bool unconditional, const float *z, float *x0, size_t count,
                   void *user) {
    (void)level, (void)unconditional, (void)z, (void)user;
    for (size_t i = 0; i < count; i++) x0[i] = 3;
    return 0;
}

TEST(sampler, clamps_x0) {
    plx_sampler_options o = plx_sampler_options_default();
    float x;
    o.steps = 4;
    plx_sample(&o, far_out, NULL, (plx_rng){1, 1}, &x, 1, NULL, NULL);
    EXPECT(x == 1, "x = %g", x);
    o.clamp = false;
    plx_sample(&o, far_out, NULL, (plx_rng){1, 1}, &x, 1, NULL, NULL);
    EXPECT(x == 3, "x = %g", x);
}

static int stop_at_two(const plx_progress *progress, void *user) {
    (void)user;
    return progress->done == 2;
}

TEST(sampler, refuses_and_stops_in_one_line) {
    plx_sampler_options o = plx_sampler_options_default();
    float x;
    EXPECT(plx_sample(&o, far_out, NULL, (plx_rng){1, 1}, &x, 1, stop_at_two, NULL) == PLX_ERROR_CANCELLED,
           "%s", plx_error());
    o.steps = 0;
    EXPECT(plx_sample(&o, far_out, NULL, (plx_rng){1, 1}, &x, 1, NULL, NULL) == PLX_ERROR_INPUT, "0 steps");
    o = plx_sampler_options_default(), o.t_min = 0;
    EXPECT(plx_sample(&o, far_out, NULL, (plx_rng){1, 1}, &x, 1, NULL, NULL) == PLX_ERROR_INPUT, "t_min 0");
    o = plx_sampler_options_default(), o.eta = NAN;
    EXPECT(plx_sample(&o, far_out, NULL, (plx_rng){1, 1}, &x, 1, NULL, NULL) == PLX_ERROR_INPUT, "eta NaN");
}
