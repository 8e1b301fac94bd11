/* Rays, samples and targets, one version for `ref` and `cpu`: plain loops, in parallel where that pays. */
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/march.h"

#include <math.h>
#include <string.h>

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static void sample_stratified(int R, const plx_ray *rays, const int *start, int count, const plx_rng *rng,
                              float *t, float *length) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        float step = (rays[r].t1 - rays[r].t0) / (float)count;
        for (int i = start[r]; i < start[r + 1]; i++) {
            float jitter = rng ? plx_rng_uniform(*rng, (uint64_t)i) : 0.5f;
            t[i] = rays[r].t0 + step * ((float)(i - start[r]) + jitter);
            length[i] = step;
        }
    }
}

/* Where the coarse intervals' weights, plus a little everywhere, reach the fraction `at` of their sum. */
static float inverse_cdf(const float *edges, const float *cumulative, int n, float at) {
    int k = 0;
    while (k < n - 1 && cumulative[k + 1] <= at) k++;
    float part = cumulative[k + 1] - cumulative[k];
    return edges[k] + (edges[k + 1] - edges[k]) * (part > 0 ? (at - cumulative[k]) / part : 0.5f);
}

static void sample_importance(const plx_ray *rays, plx_rays coarse, const float *values, const int *start,
                              int count, plx_rng rng, float *all_t, float *all_length) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < coarse.R; r++) {
        int n = coarse.start[r + 1] - coarse.start[r];
        if (!n) continue;
        const float *value = values + 4 * (size_t)coarse.start[r], *length = coarse.length + coarse.start[r];
        float edges[PLX_MAX_PER_RAY + 1], cumulative[PLX_MAX_PER_RAY + 1], tau = 0, sum = 0;
        edges[0] = rays[r].t0;
        cumulative[0] = 0;
        for (int i = 0; i < n; i++) {
            float step = value[4 * i] * length[i];
            sum += expf(-tau) * -expm1f(-step) + 1e-3f;
            tau += step;
            edges[i + 1] = edges[i] + length[i];
            cumulative[i + 1] = sum;
        }
        float fine[PLX_MAX_PER_RAY], *t = all_t + start[r], *interval = all_length + start[r];
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
}

static void points_along(const plx_ray *rays, plx_rays samples, int N, const int *object_start,
                         const plx_frame *frames, float *coords) {
    for (int n = 0; n < N; n++) {
#pragma omp parallel for schedule(static)
        for (int r = object_start[n]; r < object_start[n + 1]; r++)
            for (int i = samples.start[r]; i < samples.start[r + 1]; i++) {
                float p[3];
                for (int k = 0; k < 3; k++) p[k] = rays[r].origin[k] + samples.t[i] * rays[r].direction[k];
                plx_frame_coordinates(&frames[n], p, coords + 5 * (size_t)i);
            }
    }
}

static void seen_lengths(plx_rays samples, const float *values, double limit, float *seen) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < samples.R; r++) {
        double tau = 0;
        for (int i = samples.start[r]; i < samples.start[r + 1]; i++) {
            seen[i] = tau < limit ? samples.length[i] : 0;
            tau += (double)values[4 * (size_t)i] * samples.length[i];
        }
    }
}

/* ---- a step on targets --------------------------------------------------------------------------------------------- */

static void ray_loss(int R, const plx_ray_target *targets, float opacity_weight, const float *out,
                     float *dout, double *loss) {
    double sum = 0;
    for (int r = 0; r < R; r++) {
        const plx_ray_target *target = &targets[r];
        const float *composite = out + 5 * (size_t)r;
        double error[3], known = target->opacity >= 0 ? opacity_weight : 0, squares = 0, colours = 0;
        double missing = composite[3] - target->opacity, factor = 2 * (double)target->weight / R;
        for (int c = 0; c < 3; c++) {
            error[c] = (double)composite[c] + 1 - composite[3] - target->colour[c];
            squares += error[c] * error[c];
            colours += error[c];
        }
        sum += target->weight * (squares + known * missing * missing);
        if (!dout) continue;
        float *d = dout + 5 * (size_t)r;
        for (int c = 0; c < 3; c++) d[c] = (float)(factor * error[c]);
        d[3] = (float)(factor * (known * missing - colours));
        d[4] = 0;
    }
    *loss = sum / R;
}

static void plane_variation(int H, int W, int stride, int C, float scale, const float *plane, float *dplane) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            size_t at = (size_t)(i * W + j) * (size_t)stride, row = (size_t)W * (size_t)stride;
            const float *x = plane + at;
            float *d = dplane + at;
            for (int c = 0; c < C; c++) {
                float sum = 0;
                if (i > 0) sum += x[c] - *(x + c - row);
                if (i + 1 < H) sum += x[c] - x[row + (size_t)c];
                if (j > 0) sum += x[c] - *(x + c - stride);
                if (j + 1 < W) sum += x[c] - x[stride + c];
                d[c] += scale * sum;
            }
        }
}

static void clear_channels(size_t M, int C, int begin, int end, float *x) {
    for (size_t m = 0; m < M; m++)
        memset(x + m * (size_t)C + begin, 0, sizeof(float) * (size_t)(end - begin));
}

/* ---- renders as conditions -------------------------------------------------------------------------------------------- */

static void drop_faint(int R, float least, const float *rough, float *out) {
    for (size_t r = 0; r < (size_t)R; r++)
        if (!(rough[5 * r + 3] > least)) memset(out + 5 * r, 0, sizeof(float) * 5);
}

static void condition_channels(size_t M, const float *composite, float *rgba) {
    for (size_t p = 0; p < M; p++) {
        float opacity = composite[5 * p + 3];
        for (size_t c = 0; c < 3; c++) rgba[4 * p + c] = 2 * (composite[5 * p + c] + 1 - opacity) - 1;
        rgba[4 * p + 3] = 2 * opacity - 1;
    }
}

/* One direction of a Gaussian blur of (H,W,4), edges repeated; `step` is the pixel stride along it. */
static void blur_along(const float *from, float *to, int lines, int line_step, int length, int step,
                       float sigma) {
    int reach = (int)ceilf(3 * sigma);
    if (reach > PLX_BLUR_REACH) reach = PLX_BLUR_REACH;
    float kernel[2 * PLX_BLUR_REACH + 1], sum = 0;
    for (int k = -reach; k <= reach; k++)
        sum += kernel[k + reach] = expf(-0.5f * (float)(k * k) / (sigma * sigma));
    for (int line = 0; line < lines; line++)
        for (int i = 0; i < length; i++)
            for (int c = 0; c < 4; c++) {
                float value = 0;
                for (int k = -reach; k <= reach; k++) {
                    int at = i + k < 0 ? 0 : i + k >= length ? length - 1 : i + k;
                    value += kernel[k + reach] / sum * from[4 * (line * line_step + at * step) + c];
                }
                to[4 * (line * line_step + i * step) + c] = value;
            }
}

static void disturb(plx_disturbance d, int H, int W, float *scratch, float *rgba) {
    if (d.sigma > 0) {
        blur_along(rgba, scratch, H, W, W, 1, d.sigma);
        blur_along(scratch, rgba, W, 1, H, W, d.sigma);
    }
    for (int p = 0; d.shifted && p < H * W; p++)
        for (int c = 0; c < 3; c++) rgba[4 * p + c] += d.shift[c] * 0.5f * (rgba[4 * p + 3] + 1);
    for (int i = 0; i < 4 * H * W; i++) rgba[i] += d.noise * plx_rng_normal(d.rng, (uint64_t)(3 + i));
}

/* ---- occupancy --------------------------------------------------------------------------------------------------------- */

static void cell_points(int count, const int *cells, int points, int grid, float radius, plx_rng rng,
                        const plx_frame *frame, float *coords) {
    const float cell = 2 * radius / (float)grid;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < count * points; i++) {
        int at = cells[i / points];
        const int index[3] = {at % grid, at / grid % grid, at / (grid * grid)};
        uint64_t number = 3 * ((uint64_t)at * (uint64_t)points + (uint64_t)(i % points));
        float p[3];
        for (int k = 0; k < 3; k++)
            p[k] = ((float)index[k] + plx_rng_uniform(rng, number + (uint64_t)k)) * cell - radius;
        plx_frame_coordinates(frame, p, coords + 5 * (size_t)i);
    }
}

static void cell_occupied(int count, const int *cells, int points, const float *values, float least,
                          unsigned char *occupied) {
    for (int i = 0; i < count; i++) {
        float most = 0;
        for (int k = 0; k < points; k++) most = fmaxf(most, values[4 * (size_t)(i * points + k)]);
        occupied[cells[i]] = most > least;
    }
}

static void grow_cells(int grid, int stride, const unsigned char *in, unsigned char *out) {
    for (int first = 0; first < grid * grid * grid; first += stride * grid)
        for (int k = 0; k < grid; k++) {
            const int at = first + k * stride, before = k > 0 ? -stride : 0,
                      behind = k + 1 < grid ? stride : 0;
            for (int i = at; i < at + stride; i++) out[i] = in[i] | in[i + before] | in[i + behind];
        }
}

/* ---- samples in occupied cells ------------------------------------------------------------------------------------------ */

static plx_ray_march march_of(const plx_ray *rays, int r, const plx_march *m) {
    const float offset = m->drawn ? plx_rng_uniform(m->rng, (uint64_t)r) : 0.5f;
    return plx_march_of(&rays[r], m->step, m->grid, m->radius, offset);
}

static inline bool is_empty(const plx_march *m, const plx_ray_march *ray, float t) {
    return m->occupied && !m->occupied[plx_march_cell(ray, m->grid, t)];
}

static void sum_counts(int R, int *start) {
    start[0] = 0;
    for (int r = 0; r < R; r++) start[r + 1] += start[r];
}

static void march_starts(int R, const plx_ray *rays, plx_march m, int *start) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        const plx_ray_march ray = march_of(rays, r, &m);
        int count = m.occupied ? 0 : ray.count;
        for (int i = 0; m.occupied && i < ray.count; i++)
            count += !is_empty(&m, &ray, plx_march_place(&ray, i));
        start[r + 1] = count;
    }
    sum_counts(R, start);
}

static void march_samples(int R, const plx_ray *rays, plx_march m, const int *start, float *t,
                          float *length) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < R; r++) {
        const plx_ray_march ray = march_of(rays, r, &m);
        for (int i = 0, at = start[r]; i < ray.count; i++) {
            const float here = plx_march_place(&ray, i);
            if (is_empty(&m, &ray, here)) continue;
            t[at] = here;
            length[at++] = ray.step;
        }
    }
}

/* ---- a picture's rounds --------------------------------------------------------------------------------------------------- */

static void round_starts(plx_rays samples, const int *next, const float *light, float spent, int most,
                         int *start) {
    for (int r = 0; r < samples.R; r++) {
        const int left = samples.start[r + 1] - next[r];
        start[r + 1] = left <= 0 || light[r] < spent ? 0 : left < most ? left : most;
    }
    sum_counts(samples.R, start);
}

static void round_samples(plx_rays samples, const int *next, const int *start, float *t, float *length) {
    for (int r = 0; r < samples.R; r++) {
        const size_t count = (size_t)(start[r + 1] - start[r]);
        memcpy(t + start[r], samples.t + next[r], sizeof(float) * count);
        memcpy(length + start[r], samples.length + next[r], sizeof(float) * count);
    }
}

static void add_round(int R, const int *start, const float *composite, int *next, float *light, float *out) {
    for (int r = 0; r < R; r++) {
        const float *of_ray = composite + 5 * (size_t)r;
        if (start[r + 1] == start[r]) continue;
        for (int c = 0; c < 5; c++) out[5 * (size_t)r + (size_t)c] += light[r] * of_ray[c];
        light[r] *= 1 - of_ray[3];
        next[r] += start[r + 1] - start[r];
    }
}

void plx_kernels_rays(plx_kernels *table) {
#define PLX_KERNEL_FILL(name, arguments) table->name = name;
    PLX_RAYS_KERNEL_LIST(PLX_KERNEL_FILL)
#undef PLX_KERNEL_FILL
}
