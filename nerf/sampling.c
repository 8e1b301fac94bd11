#include "nerf/sampling.h"

#include <math.h>
#include <string.h>

plx_ray plx_ray_through(const plx_camera *camera, float px, float py, float radius) {
    plx_ray ray;
    plx_camera_ray(camera, px, py, ray.origin, ray.direction);
    if (!plx_ray_sphere(ray.origin, ray.direction, radius, &ray.t0, &ray.t1) || ray.t1 <= ray.t0)
        ray.t0 = ray.t1 = 0;
    return ray;
}

static plx_rays allocate(plx_arena *arena, int R, int *start, int samples) {
    return (plx_rays){R, samples, start, plx_arena_alloc(arena, sizeof(float) * (size_t)samples),
                      plx_arena_alloc(arena, sizeof(float) * (size_t)samples)};
}

plx_rays plx_sample_stratified(plx_arena *arena, const plx_ray *rays, int R, int count, const plx_rng *rng) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)R + 1));
    start[0] = 0;
    for (int r = 0; r < R; r++) start[r + 1] = start[r] + (rays[r].t1 > rays[r].t0 ? count : 0);
    plx_rays out = allocate(arena, R, start, start[R]);
    float *t = (float *)out.t, *length = (float *)out.length;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        float step = (rays[r].t1 - rays[r].t0) / (float)count;
        for (int i = start[r]; i < start[r + 1]; i++) {
            float jitter = rng ? plx_rng_uniform(*rng, (uint64_t)i) : 0.5f;
            t[i] = rays[r].t0 + step * ((float)(i - start[r]) + jitter);
            length[i] = step;
        }
    }
    return out;
}

/* Where the coarse intervals' weights, plus a little everywhere, reach the fraction `at` of their sum. */
static float inverse_cdf(const float *edges, const float *cumulative, int n, float at) {
    int k = 0;
    while (k < n - 1 && cumulative[k + 1] <= at) k++;
    float part = cumulative[k + 1] - cumulative[k];
    return edges[k] + (edges[k + 1] - edges[k]) * (part > 0 ? (at - cumulative[k]) / part : 0.5f);
}

enum { MAX_PER_RAY = 512 };

plx_rays plx_sample_importance(plx_arena *arena, const plx_ray *rays, plx_rays coarse, const float *values,
                               int count, plx_rng rng) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)coarse.R + 1));
    start[0] = 0;
    for (int r = 0; r < coarse.R; r++) {
        int n = coarse.start[r + 1] - coarse.start[r];
        PLX_CHECK(n + count <= MAX_PER_RAY, "importance: %d + %d samples a ray, limit %d", n, count,
                  MAX_PER_RAY);
        start[r + 1] = start[r] + (n ? n + count : 0);
    }
    plx_rays out = allocate(arena, coarse.R, start, start[coarse.R]);
#pragma omp parallel for schedule(static)
    for (int r = 0; r < coarse.R; r++) {
        int n = coarse.start[r + 1] - coarse.start[r];
        if (!n) continue;
        const float *value = values + 4 * (size_t)coarse.start[r], *length = coarse.length + coarse.start[r];
        float edges[MAX_PER_RAY + 1], cumulative[MAX_PER_RAY + 1], tau = 0, sum = 0;
        edges[0] = rays[r].t0;
        cumulative[0] = 0;
        for (int i = 0; i < n; i++) {
            float step = value[4 * i] * length[i];
            sum += expf(-tau) * -expm1f(-step) + 1e-3f;
            tau += step;
            edges[i + 1] = edges[i] + length[i];
            cumulative[i + 1] = sum;
        }
        float fine[MAX_PER_RAY], *t = (float *)out.t + start[r], *interval = (float *)out.length + start[r];
        for (int i = 0; i < count; i++) {
            float jitter = plx_rng_uniform(rng, (uint64_t)r * (uint64_t)count + (uint64_t)i);
            fine[i] = inverse_cdf(edges, cumulative, n, ((float)i + jitter) / (float)count * sum);
        }
        for (int i = 0, a = 0, b = 0; i < n + count; i++) { /* merge */
            bool from_coarse = b == count || (a < n && coarse.t[coarse.start[r] + a] <= fine[b]);
            t[i] = from_coarse ? coarse.t[coarse.start[r] + a++] : fine[b++];
        }
        for (int i = 0; i < n + count; i++) {
            float left = i ? 0.5f * (t[i - 1] + t[i]) : rays[r].t0;
            float right = i + 1 < n + count ? 0.5f * (t[i] + t[i + 1]) : rays[r].t1;
            interval[i] = fmaxf(right - left, 0);
        }
    }
    return out;
}

plx_points plx_points_along(plx_arena *arena, const plx_ray *rays, plx_rays samples, int N,
                            const int *object_start, const plx_frame *frames) {
    int *start = plx_arena_alloc(arena, sizeof(int) * ((size_t)N + 1));
    float *coordinates = plx_arena_alloc(arena, sizeof(float) * 5 * (size_t)samples.S);
    for (int n = 0; n <= N; n++) start[n] = samples.start[object_start[n]];
    for (int n = 0; n < N; n++) {
#pragma omp parallel for schedule(static)
        for (int r = object_start[n]; r < object_start[n + 1]; r++)
            for (int i = samples.start[r]; i < samples.start[r + 1]; i++) {
                float p[3];
                for (int k = 0; k < 3; k++) p[k] = rays[r].origin[k] + samples.t[i] * rays[r].direction[k];
                plx_frame_coordinates(&frames[n], p, coordinates + 5 * (size_t)i);
            }
    }
    return (plx_points){start[N], start, coordinates};
}
