/* Compositing and first hits. Sums in double; exponentials in float, for cards are slow at them in double. */
#include "nerf/tensor/cuda_field.h"
#include "nerf/tensor/cuda_ray_lanes.h"

enum { LANES = PLX_CUDA_LANES, THREADS = 128 };

/* One sample: what there is of it, and the light before it. The sum `tau` of density length goes on to the next round. */
struct ray_sample {
    float value[4], t, length, weight;
    double light_behind; /* minus its logarithm */
};

template <bool wide>
static __device__ __forceinline__ ray_sample ray_take(const plx_cuda_ray &a, const plx_rays &rays,
                                                      const float *values, int i, double *tau) {
    ray_sample s = {{0, 0, 0, 0}, 0, 0, 0, 0};
    if (i < a.end) {
        plx_cuda_texel<4, wide>(s.value, values + 4 * (size_t)i);
        s.t = rays.t[i];
        s.length = rays.length[i];
    }
    const double step = (double)s.value[0] * s.length, sum = plx_cuda_ray_scan(step, a.lane);
    s.light_behind = *tau + sum;
    s.weight = expf(-(float)(*tau + plx_cuda_ray_before(sum, a.lane))) * -expm1f(-(float)step);
    *tau += plx_cuda_ray_last(sum);
    return s;
}

/* ---- compositing: weight_i = T_i (1 - exp(-density_i length_i)), T_i = exp(-sum of those before) ------------------------ */

template <bool wide>
static __global__ void __launch_bounds__(THREADS)
    composite_forward(plx_rays rays, const float *values, float *out) {
    const plx_cuda_ray a = plx_cuda_ray_of(rays.R, rays.start);
    const int rounds = plx_cuda_rounds(a);
    double tau = 0, sum[5] = {0, 0, 0, 0, 0};
    for (int round = 0; round < rounds; round++) {
        const ray_sample s = ray_take<wide>(a, rays, values, a.begin + LANES * round + a.lane, &tau);
        for (int c = 0; c < 3; c++) sum[c] += s.weight * s.value[1 + c];
        sum[3] += s.weight;
        sum[4] += s.weight * s.t;
    }
    for (int c = 0; c < 5; c++) {
        const double whole = plx_cuda_ray_sum(sum[c]);
        if (a.there && a.lane == c) out[5 * (size_t)a.r + (size_t)c] = (float)whole;
    }
}

/* With g_i = dL/dweight_i = dC.c_i + dO + dD t_i:  dL/ddensity_i = length_i (T_{i+1} g_i - sum_{j>i} weight_j
 * g_j), the sum being the whole ray's less what has been passed. */
template <bool wide>
static __global__ void __launch_bounds__(THREADS)
    composite_backward(plx_rays rays, const float *values, const float *out, const float *dout,
                       float *dvalues) {
    const plx_cuda_ray a = plx_cuda_ray_of(rays.R, rays.start);
    const int rounds = plx_cuda_rounds(a);
    float d[5] = {0, 0, 0, 0, 0};
    double tau = 0, rest = 0;
    for (int c = 0; c < 5 && a.there; c++) {
        d[c] = dout[5 * (size_t)a.r + (size_t)c];
        rest += (double)d[c] * out[5 * (size_t)a.r + (size_t)c];
    }
    for (int round = 0; round < rounds; round++) {
        const int i = a.begin + LANES * round + a.lane;
        const ray_sample s = ray_take<wide>(a, rays, values, i, &tau);
        const float g = d[0] * s.value[1] + d[1] * s.value[2] + d[2] * s.value[3] + d[3] + d[4] * s.t;
        const double passed = plx_cuda_ray_scan((double)s.weight * g, a.lane), left = rest - passed;
        rest -= plx_cuda_ray_last(passed);
        if (i >= a.end) continue;
        float *to = dvalues + 4 * (size_t)i, sum[4];
        plx_cuda_texel<4, wide>(sum, to);
        sum[0] += s.length * (float)((double)expf(-(float)s.light_behind) * g - left);
        for (int c = 0; c < 3; c++) sum[1 + c] += s.weight * d[c];
        if (wide)
            *(float4 *)to = make_float4(sum[0], sum[1], sum[2], sum[3]);
        else
            for (int c = 0; c < 4; c++) to[c] = sum[c];
    }
}

/* ---- first-hit likelihood (density as hazard): hit: tau(free) - log(1 - exp(-tau(slab))); miss: tau ----------------------- */

static __global__ void __launch_bounds__(THREADS)
    first_hit_forward(plx_rays rays, const int *slab, const float *colour, const float *values, float *out) {
    const plx_cuda_ray a = plx_cuda_ray_of(rays.R, rays.start);
    const int in_slab = a.there ? slab[a.r] : 0, first = a.end - in_slab;
    double free_tau = 0, slab_tau = 0, error = 0;
    for (int i = a.begin + a.lane; i < a.end; i += LANES) {
        const float *value = values + 4 * (size_t)i;
        const double step = (double)value[0] * rays.length[i];
        if (i < first) {
            free_tau += step;
            continue;
        }
        slab_tau += step;
        for (int c = 0; c < 3; c++) {
            const double e = (double)value[1 + c] - colour[3 * (size_t)a.r + (size_t)c];
            error += e * e;
        }
    }
    free_tau = plx_cuda_ray_sum(free_tau), slab_tau = plx_cuda_ray_sum(slab_tau),
    error = plx_cuda_ray_sum(error);
    if (!a.there || a.lane) return;
    out[2 * (size_t)a.r] = (float)(free_tau - (in_slab ? log(-expm1(-slab_tau)) : 0));
    out[2 * (size_t)a.r + 1] = (float)(in_slab ? error / in_slab : 0);
}

static __global__ void __launch_bounds__(THREADS)
    first_hit_backward(plx_rays rays, const int *slab, const float *colour, const float *values,
                       const float *dout, float *dvalues) {
    const plx_cuda_ray a = plx_cuda_ray_of(rays.R, rays.start);
    const int in_slab = a.there ? slab[a.r] : 0, first = a.end - in_slab;
    double slab_tau = 0;
    for (int i = first + a.lane; i < a.end; i += LANES)
        slab_tau += (double)values[4 * (size_t)i] * rays.length[i];
    slab_tau = plx_cuda_ray_sum(slab_tau);
    if (!a.there) return;
    const float miss = dout[2 * (size_t)a.r], hit = (float)(-1 / expm1(slab_tau)) * miss;
    const float d1 = in_slab ? 2 * dout[2 * (size_t)a.r + 1] / (float)in_slab : 0;
    for (int i = a.begin + a.lane; i < a.end; i += LANES) {
        const float *value = values + 4 * (size_t)i;
        float *d = dvalues + 4 * (size_t)i;
        d[0] += rays.length[i] * (i < first ? miss : hit);
        for (int c = 0; i >= first && c < 3; c++)
            d[1 + c] += d1 * (value[1 + c] - colour[3 * (size_t)a.r + (size_t)c]);
    }
}

/* ---- the launches ---------------------------------------------------------------------------------------------------------- */

static bool ray_wide(const float *a, const float *b) {
    return (((size_t)a | (size_t)b) & 15) == 0;
}

extern "C" void plx_cuda_composite_fwd(plx_rays rays, const float *values, float *out) {
    if (rays.R == 0) return;
    if (ray_wide(values, nullptr))
        PLX_LAUNCH(composite_forward<true>, plx_cuda_ray_blocks(rays.R, THREADS), THREADS, 0, rays, values,
                   out);
    else
        PLX_LAUNCH(composite_forward<false>, plx_cuda_ray_blocks(rays.R, THREADS), THREADS, 0, rays, values,
                   out);
}

extern "C" void plx_cuda_composite_bwd(plx_rays rays, const float *values, const float *out,
                                       const float *dout, float *dvalues) {
    if (rays.R == 0) return;
    if (ray_wide(values, dvalues))
        PLX_LAUNCH(composite_backward<true>, plx_cuda_ray_blocks(rays.R, THREADS), THREADS, 0, rays, values,
                   out, dout, dvalues);
    else
        PLX_LAUNCH(composite_backward<false>, plx_cuda_ray_blocks(rays.R, THREADS), THREADS, 0, rays, values,
                   out, dout, dvalues);
}

extern "C" void plx_cuda_first_hit_fwd(plx_rays rays, const int *slab, const float *colour,
                                       const float *values, float *out) {
    if (rays.R)
        PLX_LAUNCH(first_hit_forward, plx_cuda_ray_blocks(rays.R, THREADS), THREADS, 0, rays, slab, colour,
                   values, out);
}

extern "C" void plx_cuda_first_hit_bwd(plx_rays rays, const int *slab, const float *colour,
                                       const float *values, const float *dout, float *dvalues) {
    if (rays.R)
        PLX_LAUNCH(first_hit_backward, plx_cuda_ray_blocks(rays.R, THREADS), THREADS, 0, rays, slab, colour,
                   values, dout, dvalues);
}
