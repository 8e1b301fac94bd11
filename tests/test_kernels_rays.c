/* The kernels of rays, samples and targets of the table under test against `ref`, on random rays of odd numbers. */
#include "tests/kernel_check.h"

#include <math.h>
#include <string.h>

TESTED(sample_stratified)
TESTED(sample_importance)
TESTED(points_along)
TESTED(seen_lengths)
TESTED(ray_loss)
TESTED(plane_variation)
TESTED(clear_channels)
TESTED(drop_faint)
TESTED(condition_channels)
TESTED(disturb)
TESTED(cell_points)
TESTED(cell_occupied)
TESTED(grow_cells)
TESTED(march_starts)
TESTED(march_samples)
TESTED(round_starts)
TESTED(round_samples)
TESTED(add_round)

static const plx_rng rng = {7, 7};

/* `count` structs of floats and ints, between guards. */
static void *structs(const void *from, size_t size, size_t count) {
    return array_copy(from, size / sizeof(float) * count);
}

/* A double of its own, between guards. */
static double *one_double(void) {
    return (double *)(((uintptr_t)array(3, 99) + 7) / 8 * 8);
}

enum { R = 53, COARSE = 37, FINE = 21, OBJECTS = 3 };

typedef struct scene {
    const plx_ray *rays;
    const int *coarse, *all; /* starts */
    const int *object_start;
    const plx_frame *frames;
} scene;

/* Every fifth ray misses; the middle object has no ray. */
static scene make_scene(void) {
    plx_ray rays[R];
    int coarse[R + 1] = {0}, all[R + 1] = {0};
    for (int r = 0; r < R; r++) {
        const float *n = array(8, 100 + (unsigned)r);
        memcpy(&rays[r], n, sizeof rays[r]);
        rays[r].t0 = 1 + 0.1f * n[6], rays[r].t1 = rays[r].t0 + (r % 5 ? 0.1f + fabsf(n[7]) : 0);
        coarse[r + 1] = coarse[r] + (r % 5 ? COARSE : 0);
        all[r + 1] = all[r] + (r % 5 ? COARSE + FINE : 0);
    }
    const plx_camera camera = {.width = 64, .height = 48, .fx = 70, .fy = 71, .cx = 31, .cy = 25};
    plx_frame frames[OBJECTS];
    for (int n = 0; n < OBJECTS; n++) {
        frames[n] = (plx_frame){.kind = (enum plx_frame_kind)n, .camera = camera, .radius = 0.5f + (float)n};
        memcpy(frames[n].w2c, array(12, 200 + (unsigned)n), sizeof frames[n].w2c);
        frames[n].w2c[11] = -9; /* before the camera */
        frames[n].origin_depth = 9, frames[n].right[1] = frames[n].away[0] = 1;
    }
    return (scene){structs(rays, sizeof *rays, R), int_array(coarse, R + 1), int_array(all, R + 1),
                   int_array((const int[]){0, 20, 20, R}, OBJECTS + 1),
                   structs(frames, sizeof *frames, OBJECTS)};
}

TEST(kernels, samples) {
    const scene s = make_scene();
    const size_t S = (size_t)s.coarse[R], A = (size_t)s.all[R];
    PAIR(t, S, 1);
    PAIR(length, S, 2);
    ON_BOTH(k->sample_stratified(R, s.rays, s.coarse, COARSE, NULL, t[out], length[out]))
    expect_close("middles", t[1], t[0], S, 1e-6);
    ON_BOTH(k->sample_stratified(R, s.rays, s.coarse, COARSE, &rng, t[out], length[out]))
    expect_close("stratified", t[1], t[0], S, 1e-6);
    expect_close("stratified lengths", length[1], length[0], S, 1e-6);

    float *values = array(4 * S, 3);
    for (size_t i = 0; i < S; i++) values[4 * i] = expf(2 * values[4 * i]);
    const plx_rays coarse = {R, (int)S, s.coarse, t[0], length[0]};
    PAIR(fine, A, 4);
    PAIR(intervals, A, 5);
    ON_BOTH(k->sample_importance(s.rays, coarse, values, s.all, FINE, rng, fine[out], intervals[out]))
    /* The sums that are inverted are of 37 numbers in float: 1e-6 of the whole, which is up to 3 long, over a weight of
     * at least 1e-3 in an interval of 1/37 of it. */
    expect_close("importance", fine[1], fine[0], A, 1e-4);
    expect_close("importance lengths", intervals[1], intervals[0], A, 1e-4);

    PAIR(coords, 5 * S, 6);
    ON_BOTH(k->points_along(s.rays, coarse, OBJECTS, s.object_start, s.frames, coords[out]))
    expect_close("points", coords[1], coords[0], 5 * S, 1e-5);

    PAIR(seen, S, 7);
    values[4 * (s.coarse[7] + 9)] = NAN; /* its own length stays, those behind it go */
    ON_BOTH(k->seen_lengths(coarse, values, 2, seen[out]))
    expect_close("seen", seen[1], seen[0], S, 0);
    EXPECT(seen[1][s.coarse[8] - 1] == 0, "a sample behind a NaN is seen");
    free_arrays();
}

/* The device's numbers are the host's: uniform ones bit by bit, from seeds and streams that fill all of 64 bits; normal
 * ones but for the last bit of sin, cos and log in double. */
TEST(kernels, random_numbers) {
    enum { MANY = 333, H = 7, W = 9 };
    const plx_rng wide = plx_rng_fork((plx_rng){0xfedcba9876543210u, 3}, 0x8000000000000001u);
    plx_ray unit[MANY];
    int starts[MANY + 1];
    for (int r = 0; r <= MANY; r++) starts[r] = r;
    memset(unit, 0, sizeof unit);
    for (int r = 0; r < MANY; r++) unit[r].t1 = 1;
    float *t = array(MANY, 1), *length = array(MANY, 2);
    tested_table()->sample_stratified(MANY, structs(unit, sizeof *unit, MANY), int_array(starts, MANY + 1), 1,
                                      &wide, t, length);
    for (int r = 0; r < MANY; r++)
        EXPECT(t[r] == plx_rng_uniform(wide, (uint64_t)r), "uniform number %d is %.9g", r, t[r]);
    float *rgba = array(4 * H * W, 3), *scratch = array(4 * H * W, 4), expected[4 * H * W];
    memset(rgba, 0, sizeof expected);
    tested_table()->disturb((plx_disturbance){.noise = 1, .rng = wide}, H, W, scratch, rgba);
    for (int i = 0; i < 4 * H * W; i++) expected[i] = plx_rng_normal(wide, (uint64_t)(3 + i));
    expect_close("normal numbers", rgba, expected, 4 * H * W, 1.2e-7);
    free_arrays();
}

TEST(kernels, targets) {
    enum { MANY = 1301 };
    plx_ray_target targets[MANY];
    memcpy(targets, array(11 * MANY, 1), sizeof targets);
    for (int r = 0; r < MANY; r++) targets[r].weight = fabsf(targets[r].weight);
    const plx_ray_target *at = structs(targets, sizeof *targets, MANY);
    const float *composite = array(5 * MANY, 2);
    PAIR(dout, 5 * MANY, 3);
    double *loss[2] = {one_double(), one_double()};
    ON_BOTH(k->ray_loss(MANY, at, 0.5f, composite, dout[out], loss[out]))
    expect_close("ray_loss dout", dout[1], dout[0], 5 * MANY, 1e-6);
    EXPECT(fabs(*loss[1] / *loss[0] - 1) < 1e-12, "ray_loss is %.15g, not %.15g", *loss[1], *loss[0]);
    ON_BOTH(*loss[out] = 0; k->ray_loss(MANY, at, 0.5f, composite, NULL, loss[out]))
    EXPECT(fabs(*loss[1] / *loss[0] - 1) < 1e-12, "ray_loss alone is %.15g, not %.15g", *loss[1], *loss[0]);

    PAIR(plane, 7 * 9 * 22, 4);
    const float *x = array(7 * 9 * 22, 5);
    ON_BOTH(k->plane_variation(7, 9, 22, 16, 0.3f, x, plane[out]))
    expect_close("plane_variation", plane[1], plane[0], 7 * 9 * 22, 1e-6);
    ON_BOTH(k->clear_channels(7 * 9, 22, 16, 22, plane[out]))
    expect_close("clear_channels", plane[1], plane[0], 7 * 9 * 22, 1e-6);

    PAIR(out5, 5 * MANY, 6);
    ON_BOTH(k->drop_faint(MANY, 0.1f, composite, out5[out]))
    expect_close("drop_faint", out5[1], out5[0], 5 * MANY, 0);
    PAIR(rgba, 4 * MANY, 7);
    ON_BOTH(k->condition_channels(MANY, composite, rgba[out]))
    expect_close("condition_channels", rgba[1], rgba[0], 4 * MANY, 1e-6);
    free_arrays();
}

TEST(kernels, disturbances) {
    enum { H = 13, W = 21 };
    const plx_disturbance each[] = {
        {.sigma = 0.7f, .shift = {0.1f, -0.2f, 0.3f}, .shifted = 1, .noise = 0.2f, .rng = rng},
        {.sigma = 9, .rng = rng}, /* wider than the picture */
        {.noise = 1, .rng = rng}};
    PAIR(rgba, 4 * H * W, 1);
    float *scratch = array(4 * H * W, 2);
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        ON_BOTH(k->disturb(each[i], H, W, scratch, rgba[out]))
        expect_close("disturb", rgba[1], rgba[0], 4 * H * W, 1e-5);
    }
    free_arrays();
}

TEST(kernels, cells) {
    enum { GRID = 11, POINTS = 3, COUNT = 200 };
    const scene s = make_scene();
    int numbers[COUNT];
    for (int i = 0; i < COUNT; i++) numbers[i] = 5 * i % (GRID * GRID * GRID);
    const int *cells = int_array(numbers, COUNT);
    PAIR(coords, 5 * POINTS * COUNT, 1);
    for (int n = 0; n < OBJECTS; n++) {
        ON_BOTH(k->cell_points(COUNT, cells, POINTS, GRID, 0.5f, rng, &s.frames[n], coords[out]))
        expect_close("cell_points", coords[1], coords[0], 5 * POINTS * COUNT, 1e-5);
    }
    const float *values = array(4 * POINTS * COUNT, 2);
    PAIR(occupied, (GRID * GRID * GRID + 3) / 4, 3); /* bytes */
    ON_BOTH(k->cell_occupied(COUNT, cells, POINTS, values, 0.8f, (unsigned char *)occupied[out]))
    EXPECT(memcmp(occupied[0], occupied[1], GRID * GRID * GRID) == 0, "occupied cells differ");
    PAIR(grown, (GRID * GRID * GRID + 3) / 4, 4);
    for (int stride = 1; stride < GRID * GRID * GRID; stride *= GRID) {
        ON_BOTH(k->grow_cells(GRID, stride, (unsigned char *)occupied[0], (unsigned char *)grown[out]))
        EXPECT(memcmp(grown[0], grown[1], GRID * GRID * GRID) == 0, "grown cells differ, stride %d", stride);
    }
    free_arrays();
}

/* Rays through a grid of which some cells are occupied: the same samples, to the bit, in all of it and in those; then a picture's
 * rounds over them. Of many rays, so that the sums of their counts take several turns. */
TEST(kernels, marches) {
    enum { MANY = 1103, GRID = 13, MOST = 7 };
    plx_ray many[MANY];
    const float *numbers = array(8 * MANY, 300);
    for (int r = 0; r < MANY; r++) {
        const float *n = numbers + 8 * r;
        float norm = sqrtf(n[3] * n[3] + n[4] * n[4] + n[5] * n[5]);
        for (int k = 0; k < 3; k++)
            many[r].direction[k] = n[3 + k] / norm, many[r].origin[k] = 0.3f * n[k] - many[r].direction[k];
        many[r].t0 = 0.4f + 0.1f * n[6], many[r].t1 = many[r].t0 + (r % 7 ? fabsf(n[7]) : 0);
    }
    unsigned char cells[GRID * GRID * GRID + 3];
    for (size_t i = 0; i < sizeof cells; i++) cells[i] = plx_rng_uniform(rng, i) < 0.4f;
    for (int c = 0; c < 4; c++) {
        const plx_ray *rays = structs(many, sizeof *many, MANY);
        const unsigned char *occupied = structs(cells, sizeof(float), sizeof cells / sizeof(float));
        const plx_march m = {0.045f, 0.5f, GRID, c % 2 ? occupied : NULL, c / 2, rng};
        int *start[2] = {int_array((const int[MANY + 1]){0}, MANY + 1),
                         int_array((const int[MANY + 1]){0}, MANY + 1)};
        ON_BOTH(k->march_starts(MANY, rays, m, start[out]))
        EXPECT(memcmp(start[0], start[1], sizeof(int) * (MANY + 1)) == 0, "march %d: other numbers", c);
        const int S = start[0][MANY];
        EXPECT(S > MANY, "march %d: %d samples", c, S);
        PAIR(t, (size_t)S, 1);
        PAIR(length, (size_t)S, 2);
        ON_BOTH(k->march_samples(MANY, rays, m, start[0], t[out], length[out]))
        EXPECT(memcmp(t[0], t[1], sizeof(float) * (size_t)S) == 0, "march %d: other samples", c);
        EXPECT(memcmp(length[0], length[1], sizeof(float) * (size_t)S) == 0, "march %d: other lengths", c);

        const plx_rays samples = {MANY, S, start[0], t[0], length[0]};
        int *next[2], *of_round[2];
        PAIR(light, MANY, 3);
        PAIR(out5, 5 * MANY, 4);
        const float *composite = array(5 * MANY, 5);
        for (int out = 0; out < 2; out++)
            next[out] = int_array(start[0], MANY + 1), of_round[out] = int_array(start[0], MANY + 1);
        for (int round = 0; round < 2; round++) {
            ON_BOTH(k->round_starts(samples, next[out], light[out], 0.1f, MOST, of_round[out]))
            EXPECT(memcmp(of_round[0], of_round[1], sizeof(int) * (MANY + 1)) == 0, "other rays go on");
            const size_t s = (size_t)of_round[0][MANY];
            EXPECT(s > MANY / 4 && s < (size_t)S, "%zu of %d samples in a round", s, S);
            PAIR(part, s, 6);
            PAIR(part_length, s, 7);
            ON_BOTH(k->round_samples(samples, next[0], of_round[0], part[out], part_length[out]))
            EXPECT(memcmp(part[0], part[1], sizeof(float) * s) == 0, "other samples in a round");
            EXPECT(memcmp(part_length[0], part_length[1], sizeof(float) * s) == 0,
                   "other lengths in a round");
            ON_BOTH(k->add_round(MANY, of_round[0], composite, next[out], light[out], out5[out]))
            EXPECT(memcmp(next[0], next[1], sizeof(int) * MANY) == 0, "rays go on elsewhere");
            expect_close("light", light[1], light[0], MANY, 1e-6);
            expect_close("add_round", out5[1], out5[0], 5 * MANY, 1e-6);
            memcpy(light[1], light[0], sizeof(float) * MANY);
        }
        free_arrays();
    }
}
