#include "diffusion/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "nerf/core/error.h"

plx_sampler_options plx_sampler_options_default(void) {
    plx_schedule cosine = {PLX_SCHEDULE_COSINE, 0};
    return (plx_sampler_options){
        .schedule = cosine,
        .steps = 50,
        .t_max = plx_schedule_t_max(cosine, 0.05),
        .t_min = 0.02,
        .eta = 0,
        .guidance = 1,
        .clamp = true,
    };
}

double plx_sampler_time(const plx_sampler_options *o, int step) {
    if (step >= o->steps) return 0;
    return o->steps > 1 ? o->t_max + (o->t_min - o->t_max) * step / (o->steps - 1) : o->t_max;
}

int plx_denoise_guided(plx_denoise_fn denoise, void *user, plx_noise_level level, double guidance,
                       const float *z, float *x0, float *scratch, size_t count) {
    int status = denoise(level, guidance == 0, z, x0, count, user);
    if (status || guidance == 0 || guidance == 1) return status;
    status = denoise(level, true, z, scratch, count, user);
    if (status) return status;
    for (size_t i = 0; i < count; i++) x0[i] = (float)(scratch[i] + guidance * ((double)x0[i] - scratch[i]));
    return PLX_OK;
}

/* z' = alpha' x0 + sqrt(sigma'^2 - s^2) eps + s noise,  s = eta (sigma'/sigma) sqrt(1 - alpha^2/alpha'^2);
 * eps = (z - alpha x0)/sigma. At eta 1, s^2 is the posterior variance of q(z' | z, x0). */
void plx_sampler_step(plx_noise_level from, plx_noise_level to, double eta, const float *x0,
                      const float *noise, float *z, size_t count) {
    double ratio = to.alpha > 0 ? from.alpha / to.alpha : 0;
    double s = from.sigma > 0 ? eta * to.sigma / from.sigma * sqrt(fmax(0, 1 - ratio * ratio)) : 0;
    double along = sqrt(fmax(0, to.sigma * to.sigma - s * s));
    for (size_t i = 0; i < count; i++) {
        double eps = plx_eps_from_x0(from, z[i], x0[i]);
        double next = to.alpha * x0[i] + along * eps;
        z[i] = (float)(s > 0 ? next + s * noise[i] : next);
    }
}

static int check(const plx_sampler_options *o) {
    if (o->steps < 1) return plx_fail(PLX_ERROR_INPUT, "sampler: %d steps", o->steps);
    if (!(o->t_min > 0 && o->t_min <= o->t_max && o->t_max <= 1))
        return plx_fail(PLX_ERROR_INPUT, "sampler: t from %g to %g, not within (0,1]", o->t_max, o->t_min);
    if (!(o->eta >= 0 && o->eta <= 1))
        return plx_fail(PLX_ERROR_INPUT, "sampler: eta %g is not in [0,1]", o->eta);
    if (!isfinite(o->guidance)) return plx_fail(PLX_ERROR_INPUT, "sampler: guidance %g", o->guidance);
    return PLX_OK;
}

int plx_sample(const plx_sampler_options *o, plx_denoise_fn denoise, void *user, plx_rng rng, float *x,
               size_t count, plx_progress_fn progress, void *progress_user) {
    int status = check(o);
    if (status) return status;
    float *block = malloc(3 * count * sizeof *block);
    if (!block) return plx_fail(PLX_ERROR_MEMORY, "sampler: no memory for %zu values", count);
    float *z = block, *scratch = block + count, *noise = block + 2 * count;
    plx_rng_fill_normal(plx_rng_fork(rng, 0), z, count);
    for (int step = 0; step < o->steps && !status; step++) {
        plx_noise_level from = plx_schedule_at(o->schedule, plx_sampler_time(o, step));
        plx_noise_level to = plx_schedule_at(o->schedule, plx_sampler_time(o, step + 1));
        status = plx_denoise_guided(denoise, user, from, o->guidance, z, x, scratch, count);
        if (status) break;
        if (o->clamp)
            for (size_t i = 0; i < count; i++) x[i] = fminf(fmaxf(x[i], -1), 1);
        if (o->eta > 0 && to.sigma > 0)
            plx_rng_fill_normal(plx_rng_fork(rng, (uint64_t)step + 1), noise, count);
        plx_sampler_step(from, to, o->eta, x, noise, z, count);
        if (plx_progress_report(progress, progress_user, "sample", step + 1, o->steps, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "sampler: stopped");
    }
    free(block);
    return status;
}
