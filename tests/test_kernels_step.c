/* The kernels of rays, samples, losses and the optimiser, of `ref` and the table under test, against what they are to mean. */
#include "tests/kernel_check.h"

#include <math.h>
#include <string.h>

static const plx_rng rng = {5, 5};

/* ---- samples ------------------------------------------------------------------------------------------------------- */

enum { RAYS = 3, COARSE = 7, FINE = 9 };
static const plx_ray rays[RAYS] = {{{-1, 0.1f, 0.2f}, {1, 0, 0}, 0.5f, 1.5f},
                                   {{-1, 9, 9}, {1, 0, 0}, 0, 0}, /* misses */
                                   {{0, -2, 0}, {0, 1, 0}, 1.5f, 2.5f}};
static const int coarse_start[RAYS + 1] = {0, COARSE, COARSE, 2 * COARSE};
static const int all_start[RAYS + 1] = {0, COARSE + FINE, COARSE + FINE, 2 * (COARSE + FINE)};

static void check_samples(const plx_kernels *k) {
    float *t = array(2 * COARSE, 1), *length = array(2 * COARSE, 2);
    const plx_ray *at_rays = bytes_array(rays, sizeof rays);
    const int *starts = int_array(coarse_start, RAYS + 1);
    k->sample_stratified(RAYS, at_rays, starts, COARSE, &rng, t, length);
    for (int i = 0; i < 2 * COARSE; i++) {
        const plx_ray *ray = &rays[i / COARSE * 2];
        float at = (t[i] - ray->t0) * COARSE; /* in intervals */
        float jitter = plx_rng_uniform(rng, (uint64_t)i);
        EXPECT(fabsf(at - (float)(i % COARSE) - jitter) < 1e-5f, "sample %d at %g", i, at);
        EXPECT(fabsf(length[i] - 1.0f / COARSE) < 1e-6f, "length %d is %g", i, length[i]);
    }
    k->sample_stratified(RAYS, at_rays, starts, COARSE, NULL, t, length);
    EXPECT(fabsf(t[COARSE] - 1.5f - 0.5f / COARSE) < 1e-6f, "the middle is %g", t[COARSE]);

    /* All density is in the third interval: so are all fine samples but those that the little everywhere draws. */
    float *values = array(4 * 2 * COARSE, 3), *fine_t = array(2 * (COARSE + FINE), 4);
    float *fine_length = array(2 * (COARSE + FINE), 5);
    for (int i = 0; i < 2 * COARSE; i++) values[4 * i] = i % COARSE == 2 ? 1000 : 0;
    plx_rays coarse = {RAYS, 2 * COARSE, starts, t, length};
    k->sample_importance(at_rays, coarse, values, int_array(all_start, RAYS + 1), FINE, rng, fine_t,
                         fine_length);
    for (int r = 0; r < RAYS; r += 2) {
        int inside = 0;
        float sum = 0;
        for (int i = all_start[r]; i < all_start[r + 1]; i++) {
            float at = (fine_t[i] - rays[r].t0) * COARSE;
            inside += at >= 2 && at < 3;
            sum += fine_length[i];
            EXPECT(i == all_start[r] || fine_t[i] >= fine_t[i - 1], "sample %d is before its neighbour", i);
        }
        EXPECT(inside >= FINE, "%d samples of ray %d are in the dense interval", inside, r);
        EXPECT(fabsf(sum - 1) < 1e-5f, "ray %d is covered on %g", r, sum);
    }

    plx_frame frames[2] = {{.kind = PLX_FRAME_WORLD, .radius = 0.5f}, {.kind = PLX_FRAME_WORLD, .radius = 2}};
    float *coords = array(5 * 2 * COARSE, 6), expected[5];
    k->points_along(at_rays, coarse, 2, int_array((const int[]){0, 2, RAYS}, 3),
                    bytes_array(frames, sizeof frames), coords);
    for (int i = 0; i < 2 * COARSE; i++) {
        const plx_ray *ray = &rays[i / COARSE * 2];
        float p[3];
        for (int c = 0; c < 3; c++) p[c] = ray->origin[c] + t[i] * ray->direction[c];
        plx_frame_coordinates(&frames[i / COARSE], p, expected);
        expect_close("points_along", coords + 5 * i, expected, 5, 1e-6);
    }

    for (int i = 0; i < 2 * COARSE; i++) values[4 * i] = i < COARSE ? 2 * COARSE : 0.1f;
    float *seen = array(2 * COARSE, 7); /* a depth of 2 a sample on the first ray: 3 samples reach 5 */
    k->seen_lengths(coarse, values, 5, seen);
    for (int i = 0; i < 2 * COARSE; i++)
        EXPECT(seen[i] == (i < 3 || i >= COARSE ? length[i] : 0), "sample %d is seen on %g", i, seen[i]);
    free_arrays();
}

/* ---- targets, conditions ----------------------------------------------------------------------------------------------- */

static void check_targets(const plx_kernels *k) {
    plx_ray_target targets[2] = {{.colour = {0.2f, 0.5f, 0.9f}, .opacity = 0.75f, .weight = 1},
                                 {.colour = {1, 1, 1}, .opacity = -1, .weight = 0.5f}};
    const plx_ray_target *at = bytes_array(targets, sizeof targets);
    float *out = array(10, 1), *dout = array(10, 2);
    double *loss = bytes_array(NULL, sizeof *loss), above;
    k->ray_loss(2, at, 0.5f, out, dout, loss);
    for (int i = 0; i < 10; i++) {
        const float old = out[i];
        out[i] = old + 1e-2f, k->ray_loss(2, at, 0.5f, out, NULL, loss), above = *loss;
        out[i] = old - 1e-2f, k->ray_loss(2, at, 0.5f, out, NULL, loss);
        out[i] = old;
        EXPECT(fabs((above - *loss) / 2e-2 - dout[i]) < 1e-4, "dout[%d] = %g, by differences %g", i, dout[i],
               (above - *loss) / 2e-2);
    }
    for (int c = 0; c < 3; c++) out[c] = targets[0].colour[c] - 0.25f, out[5 + c] = 0;
    out[3] = 0.75f, out[8] = 0;
    k->ray_loss(2, at, 0.5f, out, NULL, loss);
    EXPECT(*loss < 1e-12, "the loss of the truth is %g", *loss);

    float *rgba = array(8, 3);
    k->condition_channels(2, out, rgba);
    for (int c = 0; c < 3; c++)
        EXPECT(fabsf(rgba[c] - (2 * targets[0].colour[c] - 1)) < 1e-6f && rgba[4 + c] == 1,
               "channel %d is %g, %g", c, rgba[c], rgba[4 + c]);
    EXPECT(rgba[3] == 0.5f && rgba[7] == -1, "opacities %g, %g", rgba[3], rgba[7]);

    float *drop = array(10, 4), *kept = array_copy(drop, 10);
    k->drop_faint(2, 0.75f, out, drop);
    for (int i = 0; i < 10; i++) EXPECT(drop[i] == 0, "a faint ray's %d is %g", i, drop[i]);
    memcpy(drop, kept, sizeof(float) * 10);
    k->drop_faint(2, 0.5f, out, drop);
    for (int i = 0; i < 10; i++) EXPECT(drop[i] == (i < 5 ? kept[i] : 0), "%d is %g", i, drop[i]);
    free_arrays();
}

static void check_images(const plx_kernels *k) {
    enum { H = 5, W = 6, C = 4 };
    float *x = array(H * W * C, 1), *dx = array(H * W * C, 2), *before = array_copy(dx, H * W * C);
    for (int i = 0; i < H * W * C; i++) x[i] = i == (2 * W + 3) * C; /* one texel's first channel */
    k->plane_variation(H, W, C, 2, 0.5f, x, dx);
    for (int i = 0; i < H * W * C; i++) {
        int row = i / (W * C), column = i / C % W, away = abs(row - 2) + abs(column - 3);
        float expected = i % C ? 0 : away == 0 ? 2 : away == 1 ? -0.5f : 0;
        EXPECT(fabsf(dx[i] - before[i] - expected) < 1e-6f, "dx[%d] rises by %g", i, dx[i] - before[i]);
    }
    k->clear_channels(H * W, C, 1, 3, dx);
    for (int i = 0; i < H * W * C; i++)
        EXPECT((i % C == 1 || i % C == 2) == (dx[i] == 0), "channel %d is %g", i % C, dx[i]);

    /* A blur keeps the sum of what is far from the edges, and a constant; the shift is in proportion to the alpha. */
    enum { SIDE = 21 };
    float *image = array(SIDE * SIDE * 4, 3), *scratch = array(SIDE * SIDE * 4, 4);
    double sum = 0, square = 0;
    for (int i = 0; i < SIDE * SIDE * 4; i++) image[i] = i % 4 == 3 ? 1 : i == 4 * (10 * SIDE + 10);
    k->disturb((plx_disturbance){.sigma = 1.2f, .shift = {0, 0.25f, 0}, .shifted = 1, .rng = rng}, SIDE, SIDE,
               scratch, image);
    for (int i = 0; i < SIDE * SIDE; i++) {
        sum += image[4 * i], square += image[4 * i] * image[4 * i];
        EXPECT(fabsf(image[4 * i + 1] - 0.25f) < 1e-6f && fabsf(image[4 * i + 3] - 1) < 1e-6f, "%g %g",
               image[4 * i + 1], image[4 * i + 3]);
    }
    /* The square of a Gaussian's density sums to 1 / (4 pi sigma^2). */
    EXPECT(fabs(sum - 1) < 1e-5 && fabs(square * 4 * M_PI * 1.44 - 1) < 0.03, "sum %g, of squares %g", sum,
           square);
    memset(image, 0, sizeof(float) * SIDE * SIDE * 4);
    k->disturb((plx_disturbance){.noise = 0.5f, .rng = rng}, SIDE, SIDE, scratch, image);
    for (int i = 0; i < SIDE * SIDE * 4; i++)
        EXPECT(fabsf(image[i] - 0.5f * plx_rng_normal(rng, (uint64_t)(3 + i))) < 1e-6f, "noise %d: %g", i,
               image[i]);
    free_arrays();
}

static void check_cells(const plx_kernels *k) {
    enum { GRID = 4, POINTS = 3, CELLS = 5 };
    const int cells[CELLS] = {0, 7, 21, 42, 63};
    const plx_frame frame = {.kind = PLX_FRAME_WORLD, .radius = 2};
    float *coords = array(5 * POINTS * CELLS, 1), *values = array(4 * POINTS * CELLS, 2);
    const unsigned char none[GRID * GRID * GRID] = {0};
    unsigned char *occupied = bytes_array(none, sizeof none);
    const int *at_cells = int_array(cells, CELLS);
    k->cell_points(CELLS, at_cells, POINTS, GRID, 2, rng, bytes_array(&frame, sizeof frame), coords);
    for (int i = 0; i < POINTS * CELLS; i++) {
        const float *q = coords + 5 * i, p[3] = {q[0], q[4], -q[1]}; /* world over radius */
        int at = cells[i / POINTS], index[3] = {at % GRID, at / GRID % GRID, at / (GRID * GRID)};
        for (int c = 0; c < 3; c++) {
            float place = (p[c] + 1) / 2 * GRID;
            EXPECT(place > (float)index[c] - 1e-5f && place < (float)index[c] + 1 + 1e-5f,
                   "cell %d: axis %d at %g", at, c, place);
        }
        values[4 * i] = at == 21 && i % POINTS == 2 ? 1 : 0.2f;
    }
    k->cell_occupied(CELLS, at_cells, POINTS, values, 0.5f, occupied);
    for (int i = 0; i < GRID * GRID * GRID; i++)
        EXPECT(occupied[i] == (i == 21), "cell %d: %d", i, occupied[i]);
    free_arrays();
}

/* ---- losses, optimiser --------------------------------------------------------------------------------------------------- */

static void check_losses(const plx_kernels *k) {
    enum { N = 1003 };
    float *x = array(N, 1), *y = array(N, 2), *weight = array(N, 3), *dx = array(N, 4), *loss = array(1, 5),
          *dloss = array(1, 6);
    double *seen = bytes_array(NULL, sizeof *seen);
    *dloss = 2;
    for (int i = 0; i < N; i++) weight[i] = fabsf(weight[i]);
    for (int p = 1; p <= 2; p++)
        for (int weighted = 0; weighted < 2; weighted++) {
            double sum = 0, weights = 0;
            for (int i = 0; i < N; i++) {
                double w = weighted ? weight[i] : 1;
                sum += w * pow(fabs((double)x[i] - y[i]), p), weights += w;
            }
            k->lp_fwd(N, p, x, y, weighted ? weight : NULL, seen, loss);
            EXPECT(fabs(*seen / weights - 1) < 1e-12 && fabs(*loss / (sum / weights) - 1) < 1e-6, "L%d: %g",
                   p, *loss);
            float *d = array_copy(dx, N);
            k->lp_bwd(N, p, x, y, weighted ? weight : NULL, seen, dloss, d);
            for (int i = 0; i < N; i++) {
                double w = weighted ? weight[i] : 1, e = (double)x[i] - y[i];
                double expected = dx[i] + 2 * w / weights * (p == 2 ? 2 * e : e > 0 ? 1 : -1);
                EXPECT(fabs(d[i] - expected) < 1e-6, "L%d: dx[%d] = %g, not %g", p, i, d[i], expected);
            }
        }
    memset(weight, 0, sizeof(float) * N);
    k->lp_fwd(N, 2, x, y, weight, seen, loss);
    EXPECT(*loss == 0 && *seen == 1, "without weights: %g over %g", *loss, *seen);

    x[0] = 3, x[1] = -5, dx[0] = 1;
    k->loss_sum_fwd((plx_loss_terms){2, {&x[0], &x[1]}, {0.5f, 2}}, loss);
    EXPECT(*loss == -8.5f, "sum %g", *loss);
    k->loss_sum_bwd((plx_loss_terms){2, {dx, NULL}, {0.5f, 2}}, dloss);
    EXPECT(dx[0] == 2, "da %g", dx[0]);
    free_arrays();
}

static void check_optimiser(const plx_kernels *k) {
    enum { N = 40 };
    const plx_chunk chunks[3] = {{0, 16, 1, 0.1f}, {16, 24, 0, 0}, {24, N, 2, 0}}; /* the second is frozen */
    const plx_chunk *chunk = bytes_array(chunks, sizeof chunks);
    float *grad = array(N, 1), *m = array(N, 2), *v = array(N, 3), *value = array(N, 4), *ema = array(N, 5);
    double *sums = bytes_array(NULL, 3 * sizeof *sums), squares = 0;
    double *norm = bytes_array((const double[2]){0, 0}, 2 * sizeof *norm);
    for (int i = 0; i < N; i++) {
        v[i] = fabsf(v[i]);
        if (i < 16 || i >= 24) squares += (double)grad[i] * grad[i];
    }
    k->gradient_norm(3, chunk, grad, sums, norm);
    EXPECT(fabs(norm[0] / sqrt(squares) - 1) < 1e-12 && sums[1] == 0 && norm[1] == 0, "norm %g, %g", norm[0],
           norm[1]);
    const plx_adamw a = {0.01f, 0.9f, 0.99f, 1e-8f, 0.9f, 1, 1.5f, 1.2f};
    float *old[4] = {array_copy(m, N), array_copy(v, N), array_copy(value, N), array_copy(ema, N)};
    k->adamw(a, 3, chunk, norm, grad, m, v, value, ema);
    for (int i = 0; i < N; i++) {
        const plx_chunk c = chunk[i < 16 ? 0 : i < 24 ? 1 : 2];
        if (c.rate == 0) {
            EXPECT(value[i] == old[2][i] && m[i] == old[0][i] && ema[i] == old[3][i], "frozen %d moved", i);
            continue;
        }
        double g = grad[i] / norm[0], r = 0.01 * c.rate; /* the norm is above 1 */
        double m1 = 0.9 * old[0][i] + 0.1 * g, v1 = 0.99 * old[1][i] + 0.01 * g * g;
        double w = (1 - r * c.decay) * old[2][i] - r * m1 * 1.5 / (sqrt(v1) * 1.2 + 1e-8);
        EXPECT(fabs(value[i] - w) < 1e-5 && fabs(ema[i] - (old[3][i] + 0.1 * (w - old[3][i]))) < 1e-5,
               "%d: %g, not %g", i, value[i], w);
    }
    grad[20] = NAN; /* frozen: does not count */
    k->gradient_norm(3, chunk, grad, sums, norm);
    EXPECT(norm[1] == 0, "a frozen parameter counts");
    grad[3] = INFINITY;
    k->gradient_norm(3, chunk, grad, sums, norm);
    float *kept = array_copy(value, N);
    k->adamw(a, 3, chunk, norm, grad, m, v, value, ema);
    EXPECT(norm[1] == 1 && memcmp(kept, value, sizeof(float) * N) == 0, "an infinite gradient: %g", norm[1]);
    grad[3] = 1;
    k->gradient_norm(3, chunk, grad, sums, norm);
    k->adamw(a, 3, chunk, norm, grad, m, v, value, ema);
    EXPECT(norm[1] == 1 && memcmp(kept, value, sizeof(float) * N) == 0, "it went on: %g", norm[1]);
    free_arrays();
}

TEST(kernels, steps_between_the_networks) {
    ON_BOTH({
        check_samples(k);
        check_targets(k);
        check_images(k);
        check_cells(k);
        check_losses(k);
        check_optimiser(k);
    })
}
