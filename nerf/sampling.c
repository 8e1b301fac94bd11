#include "nerf/sampling.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"

plx_ray plx_ray_through(const plx_camera *camera, float px, float py, float radius) {
    plx_ray ray;
    plx_camera_ray(camera, px, py, ray.origin, ray.direction);
    if (!plx_ray_sphere(ray.origin, ray.direction, radius, &ray.t0, &ray.t1) || ray.t1 <= ray.t0)
        ray.t0 = ray.t1 = 0;
    return ray;
}

plx_ray_set plx_rays_on(plx_tape *tape, int R, const plx_ray *rays) {
    return (plx_ray_set){R, rays, plx_tape_constant(tape, rays, sizeof *rays * (size_t)R)};
}

plx_samples plx_samples_on(plx_tape *tape, plx_rays s) {
    const size_t starts = sizeof(int) * ((size_t)s.R + 1), numbers = sizeof(float) * (size_t)s.S;
    const int *start = s.start;
    s.start = plx_tape_constant(tape, start, starts);
    s.t = plx_tape_constant(tape, s.t, numbers);
    s.length = plx_tape_constant(tape, s.length, numbers);
    return (plx_samples){s, start};
}

plx_points plx_points_on(plx_tape *tape, int N, plx_points p) {
    return (plx_points){p.M, plx_tape_constant(tape, p.start, sizeof(int) * ((size_t)N + 1)),
                        plx_tape_constant(tape, p.coords, sizeof(float) * 5 * (size_t)p.M)};
}

static plx_samples allocate(plx_tape *tape, int R, const int *start) {
    const size_t numbers = sizeof(float) * (size_t)start[R];
    return (plx_samples){{R, start[R], plx_tape_constant(tape, start, sizeof(int) * ((size_t)R + 1)),
                          plx_tape_array(tape, numbers), plx_tape_array(tape, numbers)},
                         start};
}

plx_samples plx_sample_stratified(plx_tape *tape, plx_ray_set rays, int count, const plx_rng *rng) {
    int *start = plx_arena_alloc(plx_tape_arena(tape), sizeof(int) * ((size_t)rays.R + 1));
    start[0] = 0;
    for (int r = 0; r < rays.R; r++)
        start[r + 1] = start[r] + (rays.host[r].t1 > rays.host[r].t0 ? count : 0);
    plx_samples out = allocate(tape, rays.R, start);
    plx_tape_kernels(tape)->sample_stratified(rays.R, rays.device, out.rays.start, count, rng,
                                              (float *)out.rays.t, (float *)out.rays.length);
    return out;
}

plx_samples plx_sample_importance(plx_tape *tape, plx_ray_set rays, plx_samples coarse, const float *values,
                                  int count, plx_rng rng) {
    int *start = plx_arena_alloc(plx_tape_arena(tape), sizeof(int) * ((size_t)rays.R + 1));
    start[0] = 0;
    for (int r = 0; r < rays.R; r++) {
        int n = coarse.start[r + 1] - coarse.start[r];
        PLX_CHECK(n + count <= PLX_MAX_PER_RAY, "importance: %d + %d samples a ray, limit %d", n, count,
                  PLX_MAX_PER_RAY);
        start[r + 1] = start[r] + (n ? n + count : 0);
    }
    plx_samples out = allocate(tape, rays.R, start);
    plx_tape_kernels(tape)->sample_importance(rays.device, coarse.rays, values, out.rays.start, count, rng,
                                              (float *)out.rays.t, (float *)out.rays.length);
    return out;
}

/* (N+1), the device's: the number of the samples before each object's. */
static const int *object_samples(plx_tape *tape, plx_samples samples, int N, const int *object_start) {
    const size_t starts = sizeof(int) * ((size_t)N + 1);
    int *start = samples.start ? plx_arena_alloc(plx_tape_arena(tape), starts) : plx_tape_array(tape, starts);
    for (int n = 0; n <= N; n++)
        if (samples.start)
            start[n] = samples.start[object_start[n]];
        else
            plx_memory_copy(plx_tape_memory(tape), start + n, samples.rays.start + object_start[n],
                            sizeof *start);
    return samples.start ? plx_tape_constant(tape, start, starts) : start;
}

plx_points plx_points_along(plx_tape *tape, plx_ray_set rays, plx_samples samples, int N,
                            const int *object_start, const plx_frame *frames) {
    const size_t starts = sizeof(int) * ((size_t)N + 1);
    float *coords = plx_tape_array(tape, sizeof(float) * 5 * (size_t)samples.rays.S);
    plx_tape_kernels(tape)->points_along(rays.device, samples.rays, N,
                                         plx_tape_constant(tape, object_start, starts),
                                         plx_tape_constant(tape, frames, sizeof *frames * (size_t)N), coords);
    return (plx_points){samples.rays.S, object_samples(tape, samples, N, object_start), coords};
}
