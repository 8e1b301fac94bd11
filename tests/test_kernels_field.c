/* The field's kernels of the table under test against `ref`. */
#include "tests/kernel_check.h"
#include "nerf/core/rng.h"

#include <omp.h>

TESTED(field_fwd)
TESTED(field_bwd)

typedef struct field_case {
    plx_field_size size;
    int start[4]; /* of up to 3 objects' points, and their end */
} field_case;

static const field_case fields[] = {
    {{.N = 1, .C = 16, .F = 0, .H = 16, .guided = 0, .xy = {3, 5}, .xz = {4, 2}, .yz = {1, 7}}, {0, 1}},
    {{.N = 3, .C = 16, .F = 4, .H = 64, .guided = 1, .xy = {8, 9}, .xz = {5, 6}, .yz = {7, 4}},
     {0, 37, 37, 700}},
    {{.N = 2, .C = 32, .F = 2, .H = 32, .guided = 0, .xy = {6, 6}, .xz = {6, 6}, .yz = {6, 6}},
     {0, 130, 259}},
    {{.N = 2, .C = 16, .F = 4, .H = 32, .guided = 0, .xy = {9, 7}, .xz = {5, 8}, .yz = {4, 4}},
     {0, 300, 517}},
    /* widths that leave rows and vectors over in every product */
    {{.N = 1, .C = 16, .F = 1, .H = 48, .guided = 1, .xy = {5, 4}, .xz = {2, 3}, .yz = {3, 2}}, {0, 129}},
};

/* The tensors of a field, in the order of plx_field_tensors: their sizes. */
static void sizes_of(plx_field_size s, size_t size[9]) {
    const size_t I = (size_t)plx_field_inputs(s), O = (size_t)plx_field_outputs(s), H = (size_t)s.H,
                 C = (size_t)s.C;
    const size_t all[9] = {(size_t)(s.N * s.xy[0] * s.xy[1] * plx_field_xy_channels(s)),
                           (size_t)(s.N * s.xz[0] * s.xz[1]) * C,
                           (size_t)(s.N * s.yz[0] * s.yz[1]) * C,
                           H * I,
                           H,
                           H * H,
                           H,
                           O * H,
                           O};
    memcpy(size, all, sizeof all);
}

static plx_field_tensors make_tensors(plx_field_size s, unsigned stream, float scale) {
    size_t size[9];
    float *data[9];
    sizes_of(s, size);
    for (unsigned k = 0; k < 9; k++) {
        data[k] = array(size[k], stream + k);
        for (size_t i = 0; i < size[k]; i++) data[k][i] *= scale;
    }
    return (plx_field_tensors){data[0], data[1], data[2], data[3], data[4],
                               data[5], data[6], data[7], data[8]};
}

TEST(kernels, field) {
    for (size_t c = 0; c < sizeof fields / sizeof *fields; c++) {
        const plx_field_size s = fields[c].size;
        const size_t M = (size_t)fields[c].start[s.N];
        float *coords = array(5 * M, 1);
        /* Inside and outside [-1,1]. */
        for (size_t i = 0; i < 5 * M; i++) coords[i] *= 0.7f;
        const plx_points points = {(int)M, int_array(fields[c].start, (size_t)s.N + 1), coords};
        const plx_field_tensors p = make_tensors(s, 10, 0.3f);
        const float *dvalues = array(4 * M, 2);
        float *values[2];
        plx_field_tensors d[2];
        for (int out = 0; out < 2; out++) {
            const plx_kernels *k = out ? tested_table() : table("ref");
            values[out] = array(4 * M, 3);
            d[out] = make_tensors(s, 20, 1);
            k->field_fwd(s, &p, points, values[out]);
            k->field_bwd(s, &p, points, dvalues, &d[out]);
        }
        /* three layers of float sums and an exponential whose argument is of order 3 */
        expect_close("field values", values[1], values[0], 4 * M, 2e-5);
        size_t size[9];
        sizes_of(s, size);
        static const char *const names[9] = {"d xy", "d xz", "d yz", "d w1", "d b1",
                                             "d w2", "d b2", "d w3", "d b3"};
        float *const *seen = (float *const *)&d[1], *const *ref = (float *const *)&d[0];
        for (int k = 0; k < 9; k++) expect_close(names[k], seen[k], ref[k], size[k], 5e-5);
        free_arrays();
    }
}

/* Arrays with room for more points than there are, so that the host need not know: NaN behind them goes nowhere, and is not
 * written. Blocks without a point are among those that add up the weights' gradients. */
TEST(kernels, field_with_room_for_more) {
    enum { ROOM = 150 };
    static const field_case few[] = {
        {.start = {0, 1}}, {.start = {0, 3, 3, 40}}, {.start = {0, 0, 0}}, {.start = {0, 9, 70}}};
    for (size_t c = 0; c < sizeof few / sizeof *few; c++) {
        const plx_field_size s = fields[c].size;
        const size_t M = (size_t)few[c].start[s.N], all = M + ROOM;
        float *coords = array(5 * all, 1), *dvalues = array(4 * all, 2);
        for (size_t i = 5 * M; i < 5 * all; i++) coords[i] = NAN;
        for (size_t i = 4 * M; i < 4 * all; i++) dvalues[i] = NAN;
        const plx_points points = {(int)all, int_array(few[c].start, (size_t)s.N + 1), coords};
        const plx_field_tensors p = make_tensors(s, 10, 0.3f);
        PAIR(values, 4 * all, 3);
        const plx_field_tensors d[2] = {make_tensors(s, 20, 1), make_tensors(s, 20, 1)};
        ON_BOTH(k->field_fwd(s, &p, points, values[out]); k->field_bwd(s, &p, points, dvalues, &d[out]))
        expect_close("field values", values[1], values[0], 4 * all, 2e-5);
        size_t size[9];
        sizes_of(s, size);
        float *const *seen = (float *const *)&d[1], *const *ref = (float *const *)&d[0];
        for (int k = 0; k < 9; k++) expect_close("a gradient with room", seen[k], ref[k], size[k], 5e-5);
        free_arrays();
    }
}

/* The same bits on 1 and 2 threads, with denormal numbers among the texels. */
TEST(kernels, field_has_the_same_bits_on_two_threads) {
    const int threads = omp_get_max_threads();
    const field_case *c = &fields[1];
    const size_t M = (size_t)c->start[c->size.N];
    size_t size[9];
    sizes_of(c->size, size);
    const float *coords = array(5 * M, 1), *dvalues = array(4 * M, 2);
    const plx_field_tensors p = make_tensors(c->size, 10, 0.3f);
    const plx_points points = {(int)M, int_array(c->start, (size_t)c->size.N + 1), coords};
    for (size_t i = 0; i < size[0]; i += 3) p.xy[i] *= 1e-38f;
    float *values[2];
    plx_field_tensors d[2];
    for (int run = 0; run < 2; run++) {
        omp_set_num_threads(run + 1);
        values[run] = array(4 * M, 3);
        d[run] = make_tensors(c->size, 20, 1);
        tested_table()->field_fwd(c->size, &p, points, values[run]);
        tested_table()->field_bwd(c->size, &p, points, dvalues, &d[run]);
    }
    omp_set_num_threads(threads);
    EXPECT(memcmp(values[0], values[1], 4 * M * sizeof(float)) == 0, "the values differ");
    float *const *one = (float *const *)&d[0], *const *two = (float *const *)&d[1];
    for (int k = 0; k < 9; k++)
        EXPECT(memcmp(one[k], two[k], size[k] * sizeof(float)) == 0, "gradient %d differs", k);
    free_arrays();
}

/* A NULL gradient is not computed and changes none of the others; a NaN is seen in every gradient that it belongs to. */
TEST(kernels, field_computes_the_gradients_that_are_wanted) {
    const field_case *c = &fields[1];
    const plx_field_size s = c->size;
    const size_t M = (size_t)c->start[s.N];
    size_t size[9];
    sizes_of(s, size);
    const float *coords = array(5 * M, 1);
    float *dvalues = array(4 * M, 2);
    const plx_field_tensors p = make_tensors(s, 10, 0.3f);
    const plx_points points = {(int)M, int_array(c->start, (size_t)s.N + 1), coords};
    const plx_field_tensors all = make_tensors(s, 20, 1), weights = make_tensors(s, 20, 1),
                            planes = make_tensors(s, 20, 1), nan = make_tensors(s, 20, 1);
    plx_field_tensors only_weights = weights, only_planes = planes;
    only_weights.xy = only_weights.xz = only_weights.yz = NULL;
    only_planes.w1 = only_planes.b1 = only_planes.w2 = only_planes.b2 = only_planes.w3 = only_planes.b3 =
        NULL;
    only_planes.yz = NULL;
    tested_table()->field_bwd(s, &p, points, dvalues, &all);
    tested_table()->field_bwd(s, &p, points, dvalues, &only_weights);
    tested_table()->field_bwd(s, &p, points, dvalues, &only_planes);
    dvalues[4 * 500] = NAN; /* of the last object */
    tested_table()->field_bwd(s, &p, points, dvalues, &nan);
    float *const *whole = (float *const *)&all, *const *bad = (float *const *)&nan,
                 *const * part[2] = {(float *const *)&only_planes, (float *const *)&only_weights};
    for (int k = 0; k < 9; k++) {
        const float *seen = part[k >= 3][k];
        EXPECT(k == 2 || memcmp(seen, whole[k], size[k] * sizeof(float)) == 0, "gradient %d differs alone",
               k);
        size_t bads = 0;
        for (size_t i = 0; i < size[k]; i++) bads += isnan(bad[k][i]) != 0;
        EXPECT(bads > 0, "gradient %d hides a NaN", k);
    }
    free_arrays();
}

TESTED(composite_fwd)
TESTED(composite_bwd)
TESTED(first_hit_fwd)
TESTED(first_hit_bwd)

TEST(kernels, rays) {
    enum { R = 77 };
    int starts[R + 1] = {0}, slabs[R];
    for (int r = 0; r < R; r++) {
        const int samples = r % 5 == 4 ? 0 : r % 13 + 1; /* some rays have none */
        starts[r + 1] = starts[r] + samples;
        slabs[r] = samples > 2 ? r % 3 : 0;
    }
    const size_t S = (size_t)starts[R];
    const int *start = int_array(starts, R + 1), *slab = int_array(slabs, R);
    float *t = array(S, 1), *length = array(S, 2), *values = array(4 * S, 3);
    for (size_t i = 0; i < S; i++) {
        t[i] = 1 + 0.01f * (float)i;
        length[i] = 0.02f + 0.05f * fabsf(length[i]);
        for (size_t c = 0; c < 4; c++)
            values[4 * i + c] = c ? 0.5f + 0.1f * values[4 * i + c] : expf(2 * values[4 * i]);
    }
    const float *colour = array(3 * R, 4), *dout = array(5 * R, 5);
    const plx_rays rays = {R, (int)S, start, t, length};
    float *out[2], *dvalues[2], *hit[2], *dhit[2];
    for (int k = 0; k < 2; k++) {
        const plx_kernels *kernels = k ? tested_table() : table("ref");
        out[k] = array(5 * R, 6), dvalues[k] = array(4 * S, 7), hit[k] = array(2 * R, 8),
        dhit[k] = array(4 * S, 9);
        kernels->composite_fwd(rays, values, out[k]);
        kernels->composite_bwd(rays, values, out[0], dout, dvalues[k]);
        kernels->first_hit_fwd(rays, slab, colour, values, hit[k]);
        kernels->first_hit_bwd(rays, slab, colour, values, dout, dhit[k]);
    }
    /* a few dozen float operations */
    expect_close("composite", out[1], out[0], 5 * R, 1e-5);
    expect_close("composite dvalues", dvalues[1], dvalues[0], 4 * S, 1e-5);
    expect_close("first hit", hit[1], hit[0], 2 * R, 1e-5);
    expect_close("first hit dvalues", dhit[1], dhit[0], 4 * S, 1e-5);
    free_arrays();
}

/* Almost empty samples round to no light rather than to less than none; NaN is not hidden. */
TEST(kernels, compositing_makes_no_light) {
    enum { S = 40 };
    const int starts[3] = {0, S, 2 * S}, *start = int_array(starts, 3);
    float *t = array(2 * S, 1), *length = array(2 * S, 2), *values = array(8 * S, 3), *out = array(10, 4);
    for (int i = 0; i < 2 * S; i++) {
        t[i] = 1, length[i] = 0.02f;
        values[4 * i] = i < S ? 1e-6f * (float)(i + 1) : 1;
        for (int c = 1; c < 4; c++) values[4 * i + c] = 1;
    }
    values[4 * (S + 3)] = NAN;
    tested_table()->composite_fwd((plx_rays){2, 2 * S, start, t, length}, values, out);
    for (int c = 0; c < 5; c++) {
        /* 1 - exp(-1.6e-5), in steps of the exponential's rounding, 1.2e-7 */
        EXPECT(out[c] >= 0 && fabsf(out[c] - 1.64e-5f) < 5e-7f, "channel %d of thin mist: %g", c,
               (double)out[c]);
        EXPECT(isnan(out[5 + c]), "channel %d past a NaN: %g", c, (double)out[5 + c]);
    }
    free_arrays();
}
