/* Compositing and first hits, table `cpu`: in parallel over fixed runs of rays. */
#include "nerf/tensor/denormals.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/scratch.h"
#include "nerf/tensor/simd.h"

enum { RAYS = 64 };

static plx_kernels ref;

static plx_rays run_of(plx_rays rays, int first) {
    rays.R = rays.R - first < RAYS ? rays.R - first : RAYS;
    rays.start += first;
    rays.S = rays.start[rays.R] - rays.start[0];
    return rays;
}

/* ---- compositing: weight_i = T_i - T_{i+1}, T_i = exp(-sum of density length before i) ------------------- */

/* T_{i+1} of every sample of a run, numbered from its first. Until the next call in this thread. */
static const float *light_behind(plx_rays run, const float *values) {
    const int begin = run.start[0], samples = run.S;
    float *behind = plx_scratch(PLX_SCRATCH_WORKER, (size_t)samples + PLX_LANES);
    for (int r = 0; r < run.R; r++) {
        double tau = 0;
        for (int i = run.start[r]; i < run.start[r + 1]; i++) {
            tau += (double)values[4 * (size_t)i] * run.length[i];
            behind[i - begin] = (float)-tau;
        }
    }
    for (int i = 0; i < samples; i += PLX_LANES) plx_store(behind + i, plx_exp(plx_load(behind + i)));
    return behind;
}

/* Rounding does not make light; NaN goes through. */
static inline float dimmer(float light, float behind) {
    return light < behind ? light : behind;
}

typedef float f4 __attribute__((vector_size(16)));

static inline f4 load4(const float *p) {
    f4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void composite_run(plx_rays run, const float *values, float *out) {
    const float *behind = light_behind(run, values);
    for (int r = 0; r < run.R; r++, out += 5) {
        f4 sum = {0};
        float light = 1, distance = 0;
        for (int i = run.start[r]; i < run.start[r + 1]; i++) {
            const float left = dimmer(light, behind[i - run.start[0]]), weight = light - left;
            sum += weight * load4(values + 4 * (size_t)i);
            distance += weight * run.t[i];
            light = left;
        }
        for (int c = 0; c < 3; c++) out[c] = sum[1 + c];
        out[3] = 1 - light;
        out[4] = distance;
    }
}

/* As the reference has it: dL/ddensity_i = length_i (T_{i+1} g_i - what is behind i of sum weight_j g_j). */
static void composite_run_back(plx_rays run, const float *values, const float *out, const float *dout,
                               float *dvalues) {
    const float *behind = light_behind(run, values);
    for (int r = 0; r < run.R; r++, out += 5, dout += 5) {
        const f4 dcolour = {0, dout[0], dout[1], dout[2]};
        double rest = 0;
        for (int c = 0; c < 5; c++) rest += (double)dout[c] * out[c];
        float light = 1;
        for (int i = run.start[r]; i < run.start[r + 1]; i++) {
            const float *value = values + 4 * (size_t)i, left = dimmer(light, behind[i - run.start[0]]);
            const float weight = light - left;
            const float g =
                dout[0] * value[1] + dout[1] * value[2] + dout[2] * value[3] + dout[3] + dout[4] * run.t[i];
            rest -= (double)weight * g;
            f4 d = load4(dvalues + 4 * (size_t)i) + weight * dcolour;
            d[0] += run.length[i] * (float)((double)left * g - rest);
            memcpy(dvalues + 4 * (size_t)i, &d, sizeof d);
            light = left;
        }
    }
}

static void composite_fwd(plx_rays rays, const float *values, float *out) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        composite_run(run_of(rays, r), values, out + 5 * (size_t)r);
    }
}

static void composite_bwd(plx_rays rays, const float *values, const float *out, const float *dout,
                          float *dvalues) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        composite_run_back(run_of(rays, r), values, out + 5 * (size_t)r, dout + 5 * (size_t)r, dvalues);
    }
}

/* ---- first hits: the reference ------------------------------------------------------------------------------ */

static void first_hit_fwd(plx_rays rays, const int *slab, const float *colour, const float *values,
                          float *out) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        ref.first_hit_fwd(run_of(rays, r), slab + r, colour + 3 * (size_t)r, values, out + 2 * (size_t)r);
    }
}

static void first_hit_bwd(plx_rays rays, const int *slab, const float *colour, const float *values,
                          const float *dout, float *dvalues) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rays.R; r += RAYS) {
        plx_flush_denormals();
        ref.first_hit_bwd(run_of(rays, r), slab + r, colour + 3 * (size_t)r, values, dout + 2 * (size_t)r,
                          dvalues);
    }
}

void plx_kernels_field_rays(plx_kernels *table) {
    plx_kernels_field_ref(&ref);
    table->composite_fwd = composite_fwd;
    table->composite_bwd = composite_bwd;
    table->first_hit_fwd = first_hit_fwd;
    table->first_hit_bwd = first_hit_bwd;
}
