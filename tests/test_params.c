/* Parameters, the optimiser and checkpoints. */
#include "tests/test.h"
#include "nerf/core/file.h"
#include "nerf/tensor/half.h"
#include "nerf/tensor/params.h"

#include <dirent.h>
#include <omp.h>
#include <unistd.h>

static plx_params *make(uint64_t seed, bool train) {
    plx_params *p;
    if (plx_params_create(&p) < 0) abort();
    plx_params_add(p, "a.weight", 2, (int[]){3, 5}, 0.5f, 0, 1, true);
    plx_params_add(p, "a.bias", 1, (int[]){3}, 0, 0.25f, 1, false);
    plx_params_add(p, "b.weight", 4, (int[]){7, 3, 3, 2}, 1, 1, 5, true);
    if (plx_params_allocate(p, seed, train) < 0) abort();
    return p;
}

TEST(params, values_depend_on_seed_and_name_alone) {
    plx_params *p = make(3, false), *q, *r = make(4, false);
    REQUIRE(plx_params_create(&q) == 0, "%s", plx_error());
    plx_params_add(q, "b.weight", 4, (int[]){7, 3, 3, 2}, 1, 1, 1, true);
    REQUIRE(plx_params_allocate(q, 3, false) == 0, "%s", plx_error());
    const plx_tensor *x = plx_params_get(p, "b.weight"), *y = plx_params_get(q, "b.weight");
    EXPECT(memcmp(x->data, y->data, 126 * sizeof(float)) == 0, "another layer changed b.weight");
    EXPECT(x->data[0] != plx_params_get(r, "b.weight")->data[0], "the seed does nothing");
    double mean = 0;
    for (int i = 0; i < 126; i++) mean += x->data[i] / 126;
    EXPECT(fabs(mean - 1) < 5 / sqrt(126), "mean %g of N(1,1), five standard errors", mean);
    EXPECT(plx_params_get(p, "a.bias")->data[2] == 0.25f, "%g", plx_params_get(p, "a.bias")->data[2]);
    EXPECT(plx_params_size(p) == 15 + 3 + 126, "%zu elements", plx_params_size(p));
    for (int i = 0; i < plx_params_count(p); i++)
        EXPECT(plx_params_at(p, i)->offset % 16 == 0, "%s at %zu", plx_params_at(p, i)->name,
               plx_params_at(p, i)->offset);
    plx_params_free(p), plx_params_free(q), plx_params_free(r);
}

/* Figures of torch.optim.AdamW (PyTorch 1.13) with clip_grad_norm_ 1 and an EMA by lerp; betas (.9,.99), eps
 * 1e-8, lr 0.01, decay 0.1 on w = (.5,-1,2); lr 0.05, no decay on b = (.25). Step t: dw = (.1(t+1), t-2, .3
 * t^2), db = 1 - t/2. */
TEST(params, adamw_gives_pytorch_figures) {
    const float w_end[3] = {0.451249182f, -0.960642576f, 1.957531214f}, b_end = 0.077712491f;
    const float w_ema[3] = {0.456984282f, -0.963210702f, 1.963943958f}, b_ema = 0.087654129f;
    const double norms[5] = {2.2383029, 1.1747341, 1.2369317, 2.9495761, 5.3188348};
    plx_params *p;
    REQUIRE(plx_params_create(&p) == 0, "%s", plx_error());
    plx_params_add(p, "w", 1, (int[]){3}, 0, 0, 1, true);
    plx_params_add(p, "b", 1, (int[]){1}, 0, 0.25f, 5, false);
    plx_params_add(p, "frozen", 1, (int[]){1}, 0, 7, 0, true);
    REQUIRE(plx_params_allocate(p, 1, true) == 0, "%s", plx_error());
    plx_tensor *w = plx_params_get(p, "w"), *b = plx_params_get(p, "b"), *f = plx_params_get(p, "frozen");
    plx_checkpoint *start; /* sets the values and the EMA */
    REQUIRE(plx_checkpoint_create(&start) == 0, "%s", plx_error());
    plx_checkpoint_put(start, "w", 1, (int[]){3}, (float[]){.5f, -1, 2}, false);
    plx_checkpoint_put(start, "b", 1, (int[]){1}, (float[]){.25f}, false);
    plx_checkpoint_put(start, "frozen", 1, (int[]){1}, (float[]){7}, false);
    REQUIRE(plx_params_load(p, start, "") == 0, "%s", plx_error());
    plx_checkpoint_free(start);
    plx_optimiser o = plx_optimiser_default();
    o.weight_decay = 0.1f;
    for (int t = 0; t < 5; t++) {
        double norm;
        plx_params_zero_grad(p);
        w->grad[0] = 0.1f * (float)(t + 1), w->grad[1] = (float)t - 2, w->grad[2] = 0.3f * (float)(t * t);
        b->grad[0] = 1 - 0.5f * (float)t;
        f->grad[0] = 100; /* frozen: neither in the norm nor moved */
        REQUIRE(plx_optimiser_step(&o, p, 0.01f, &norm) == 0, "%s", plx_error());
        EXPECT(fabs(norm - norms[t]) < 1e-6 * norms[t], "norm %g, not %g", norm,
               norms[t]); /* printed digits */
    }
    /* 5 steps of float arithmetic; PyTorch divides by norm + 1e-6. */
    for (int i = 0; i < 3; i++) EXPECT(fabsf(w->data[i] - w_end[i]) < 2e-6f, "w[%d] = %.9g", i, w->data[i]);
    EXPECT(fabsf(b->data[0] - b_end) < 2e-6f, "b = %.9g", b->data[0]);
    EXPECT(f->data[0] == 7, "the frozen parameter is %g", f->data[0]);
    plx_params_use_ema(p, true);
    for (int i = 0; i < 3; i++)
        EXPECT(fabsf(w->data[i] - w_ema[i]) < 2e-6f, "ema w[%d] = %.9g", i, w->data[i]);
    EXPECT(fabsf(b->data[0] - b_ema) < 2e-6f, "ema b = %.9g", b->data[0]);
    plx_params_use_ema(p, false);
    EXPECT(fabsf(b->data[0] - b_end) < 2e-6f, "b = %.9g after the EMA", b->data[0]);
    plx_params_free(p);
}

TEST(params, nan_gradient_stops_and_changes_nothing) {
    plx_params *p = make(1, true);
    plx_optimiser o = plx_optimiser_default();
    const float before = plx_params_get(p, "a.weight")->data[1];
    plx_params_get(p, "b.weight")->grad[9] = NAN;
    EXPECT(plx_optimiser_step(&o, p, 1e-3f, NULL) == PLX_ERROR_NUMERIC, "NaN was accepted");
    EXPECT(strstr(plx_error(), "b.weight"), "%s", plx_error());
    EXPECT(o.step == 0 && plx_params_get(p, "a.weight")->data[1] == before, "something changed");
    plx_params_free(p);
}

/* A long parameter, so that its sum is cut into chunks. */
TEST(params, step_has_the_same_bits_on_two_threads) {
    const int threads = omp_get_max_threads();
    float end[2];
    double norm[2];
    for (int run = 0; run < 2; run++) {
        omp_set_num_threads(run + 1);
        plx_params *p;
        REQUIRE(plx_params_create(&p) == 0, "%s", plx_error());
        plx_params_add(p, "w", 1, (int[]){100001}, 1, 0, 1, true);
        REQUIRE(plx_params_allocate(p, 5, true) == 0, "%s", plx_error());
        plx_tensor *w = plx_params_get(p, "w");
        plx_rng_fill_normal((plx_rng){8, 8}, w->grad, 100001);
        plx_optimiser o = plx_optimiser_default();
        EXPECT(plx_optimiser_step(&o, p, 1e-3f, &norm[run]) == 0, "%s", plx_error());
        end[run] = w->data[100000];
        plx_params_free(p);
    }
    omp_set_num_threads(threads);
    EXPECT(norm[0] == norm[1] && end[0] == end[1], "%.17g %.17g, %.9g %.9g", norm[0], norm[1], end[0],
           end[1]);
}

TEST(params, schedule) {
    EXPECT(plx_rate_schedule(0, 10, 110, 0.1) == 0.1, "first step %g", plx_rate_schedule(0, 10, 110, 0.1));
    EXPECT(plx_rate_schedule(9, 10, 110, 0.1) == 1, "end of the warm-up");
    EXPECT(plx_rate_schedule(10, 10, 110, 0.1) == 1, "start of the cosine");
    /* halfway: the mean of 1 and 0.1, to rounding */
    EXPECT(fabs(plx_rate_schedule(60, 10, 110, 0.1) - 0.55) < 1e-12, "%g",
           plx_rate_schedule(60, 10, 110, 0.1));
    EXPECT(plx_rate_schedule(110, 10, 110, 0.1) == 0.1 && plx_rate_schedule(1000, 10, 110, 0.1) == 0.1,
           "the end");
    EXPECT(plx_rate_schedule(0, 0, 0, 0.5) == 0.5, "no steps at all");
}

/* ---- half ---------------------------------------------------------------------------------------------- */

/* Every half goes to float and back, and the point midway between neighbours goes to the even one. */
TEST(half, every_value_and_midpoint) {
    int bad = 0;
    for (unsigned h = 0; h < 0x7c00; h++) {
        const float value = plx_half_to_float((uint16_t)h), next = plx_half_to_float((uint16_t)(h + 1));
        const double exact = h < 1024 ? ldexp(h, -24) : ldexp(1024 + h % 1024, (int)(h / 1024) - 25);
        bad +=
            value != exact || plx_half_from_float(value) != h || plx_half_from_float(-value) != (h | 0x8000);
        if (h == 0x7bff) break;
        const float middle = 0.5f * (value + next); /* exact: a float has 13 more bits */
        bad += plx_half_from_float(middle) != h + (h & 1);
        bad += plx_half_from_float(nextafterf(middle, 0)) != h ||
               plx_half_from_float(nextafterf(middle, 1e9f)) != h + 1;
    }
    EXPECT(bad == 0, "%d conversions are wrong", bad);
    EXPECT(plx_half_from_float(65519.996f) == 0x7bff && plx_half_from_float(65520) == 0x7c00,
           "the largest half");
    EXPECT(plx_half_from_float(INFINITY) == 0x7c00 && (plx_half_from_float(NAN) & 0x7fff) > 0x7c00,
           "Inf, NaN");
    EXPECT(isinf(plx_half_to_float(0xfc00)) && isnan(plx_half_to_float(0x7e00)), "back");
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

/* Bytes made by hand from the format's description: one F32 (2,2), one F16 (3). */
static size_t safetensors_bytes(char *out, const char *header, const void *data, size_t size) {
    const size_t length = strlen(header);
    for (int i = 0; i < 8; i++) out[i] = (char)(length >> (8 * i));
    memcpy(out + 8, header, length);
    memcpy(out + 8 + length, data, size);
    return 8 + length + size;
}

static const char good_header[] = "{\"__metadata__\":{\"k\":\"v\"},"
                                  "\"x\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[6,22]},"
                                  "\"h\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,6]}}   ";
static const unsigned char good_data[22] = {0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00,             /* 1, -2, 2^-24 */
                                            0,    0,    0x80, 0x3f, 0,    0,    0,    0x40, /* 1, 2 */
                                            0,    0,    0x40, 0x40, 0,    0,    0x80, 0x40}; /* 3, 4 */

TEST(checkpoint, reads_bytes_made_by_hand) {
    char bytes[512];
    const char *path = test_file("hand.safetensors");
    REQUIRE(plx_file_write(path, bytes, safetensors_bytes(bytes, good_header, good_data, 22)) == 0, "%s",
            plx_error());
    plx_checkpoint *c;
    REQUIRE(plx_checkpoint_load(&c, path) == 0, "%s", plx_error());
    float x[4], h[3];
    EXPECT(plx_checkpoint_read(c, "x", 2, (int[]){2, 2}, x) == 0 && x[0] == 1 && x[1] == 2 && x[2] == 3 &&
               x[3] == 4,
           "%g %g %g %g, %s", x[0], x[1], x[2], x[3], plx_error());
    EXPECT(plx_checkpoint_read(c, "h", 1, (int[]){3}, h) == 0 && h[0] == 1 && h[1] == -2 && h[2] == 0x1p-24f,
           "%g %g %g, %s", h[0], h[1], h[2], plx_error());
    EXPECT(strcmp(plx_checkpoint_get(c, "k"), "v") == 0 && !plx_checkpoint_get(c, "none"), "metadata");
    int ndim, shape[PLX_MAX_DIMENSIONS];
    EXPECT(plx_checkpoint_shape(c, "x", &ndim, shape) == 0 && ndim == 2 && shape[1] == 2, "shape of x");
    EXPECT(plx_checkpoint_shape(c, "y", &ndim, shape) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "hand.safetensors"),
           "%s", plx_error());
    EXPECT(plx_checkpoint_read(c, "x", 1, (int[]){4}, x) == PLX_ERROR_INPUT, "another shape was accepted");
    plx_checkpoint_free(c);
}

/* Each header breaks one rule; so does the good file cut short at any byte, or longer. */
TEST(checkpoint, refuses_every_broken_file) {
    static const char *const headers[] = {
        "",
        "   ",
        "[]",
        "{",
        "{}",
        "null",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", /* 6 bytes left over */
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[6,22]}}", /* a hole */
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[6,22]},\"y\":{\"dtype\":\"F32\",\"shape\":"
        "[2],\"data_offsets\":[0,8]}}",                                        /* overlap */
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,22]}}",   /* shape and bytes differ */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[23],\"data_offsets\":[0,23]}}",   /* past the end */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[22,0]}}",   /* backwards */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[-22],\"data_offsets\":[0,22]}}",  /* negative */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[22.0],\"data_offsets\":[0,22]}}", /* no integer */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[4611686018427387904,8],\"data_offsets\":[0,22]}}", /* product
                                                                                                   overflows
                                                                                                 */
        "{\"x\":{\"dtype\":\"F64\",\"shape\":[2147483647,2147483647,2147483647],\"data_offsets\":[0,22]}}",
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,22],\"data_offsets\":[0,22]}}", /* five dimensions */
        "{\"x\":{\"dtype\":\"F33\",\"shape\":[22],\"data_offsets\":[0,22]}}",        /* no such type */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":22,\"data_offsets\":[0,22]}}",
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[0]}}",
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[22]}}",
        "{\"x\":22}",
        "{\"__metadata__\":{\"k\":1},\"x\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[0,22]}}",
        "{\"__metadata__\":[],\"x\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[0,22]}}",
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[0,22]}} x", /* words behind */
        " {\"x\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[0,22]}}",  /* begins with a space */
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[11],\"data_offsets\":[0,11]},\"x\":{\"dtype\":\"U8\",\"shape\":["
        "11],\"data_offsets\":[11,22]}}",                                        /* twice */
        "{\"x\xff\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[0,22]}}", /* no UTF-8 */
    };
    char bytes[1024];
    plx_checkpoint *c;
    const char *path = test_file("broken.safetensors");
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        REQUIRE(plx_file_write(path, bytes, safetensors_bytes(bytes, headers[i], good_data, 22)) == 0, "%s",
                plx_error());
        EXPECT(plx_checkpoint_load(&c, path) < 0 && !c, "accepted: %s", headers[i]);
        EXPECT(strstr(plx_error(), "broken.safetensors"), "no file named: %s", plx_error());
    }
    const size_t size = safetensors_bytes(bytes, good_header, good_data, 22);
    for (size_t cut = 0; cut <= size + 1; cut++) {
        if (cut == size) continue;
        REQUIRE(plx_file_write(path, bytes, cut) == 0, "%s", plx_error());
        EXPECT(plx_checkpoint_load(&c, path) < 0 && !c, "accepted %zu bytes of %zu", cut, size);
    }
    memset(bytes, 0xff, 8); /* a header of 2^64 - 1 bytes */
    REQUIRE(plx_file_write(path, bytes, size) == 0, "%s", plx_error());
    EXPECT(plx_checkpoint_load(&c, path) < 0, "accepted a header of 2^64 - 1 bytes");
    EXPECT(plx_checkpoint_load(&c, test_file("absent")) == PLX_ERROR_IO, "absent file: %s", plx_error());
    EXPECT(plx_checkpoint_load(&c, test_directory()) < 0, "a folder");
}

/* Any single flipped bit of the header gives an error or a file that is right in itself; nothing crashes
 * (sanitizers look on). */
TEST(checkpoint, survives_flipped_bits) {
    char bytes[512];
    const char *path = test_file("flipped.safetensors");
    const size_t size = safetensors_bytes(bytes, good_header, good_data, 22);
    for (size_t bit = 0; bit < 8 * size; bit += 3) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        FILE *file = fopen(path, "wb");
        REQUIRE(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, "cannot write %s", path);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        plx_checkpoint *c;
        float x[4];
        if (plx_checkpoint_load(&c, path) < 0) continue;
        plx_checkpoint_read(c, "x", 2, (int[]){2, 2}, x);
        plx_checkpoint_free(c);
    }
}

TEST(checkpoint, refuses_numbers_that_are_none) {
    const float bad[3][1] = {{NAN}, {-INFINITY}, {70000}};
    plx_checkpoint *c;
    REQUIRE(plx_checkpoint_create(&c) == 0, "%s", plx_error());
    EXPECT(plx_checkpoint_put(c, "n", 1, (int[]){1}, bad[0], false) == PLX_ERROR_NUMERIC, "NaN was written");
    EXPECT(plx_checkpoint_put(c, "i", 1, (int[]){1}, bad[1], false) == PLX_ERROR_NUMERIC, "Inf was written");
    EXPECT(plx_checkpoint_put(c, "b", 1, (int[]){1}, bad[2], true) == PLX_ERROR_NUMERIC &&
               strstr(plx_error(), "'b'"),
           "70000 was written as a half: %s", plx_error());
    EXPECT(plx_checkpoint_put(c, "b", 1, (int[]){1}, bad[2], false) == 0, "70000 is a float: %s",
           plx_error());
    EXPECT(plx_checkpoint_count(c) == 1, "%d tensors", plx_checkpoint_count(c));
    plx_checkpoint_free(c);
    char bytes[512];
    unsigned char data[22];
    memcpy(data, good_data, sizeof data);
    memset(data + 8, 0xff, 2); /* x[0] becomes NaN */
    const char *path = test_file("nan.safetensors");
    REQUIRE(plx_file_write(path, bytes, safetensors_bytes(bytes, good_header, data, 22)) == 0, "%s",
            plx_error());
    REQUIRE(plx_checkpoint_load(&c, path) == 0, "%s", plx_error());
    float x[4];
    EXPECT(plx_checkpoint_read(c, "x", 2, (int[]){2, 2}, x) == PLX_ERROR_NUMERIC &&
               strstr(plx_error(), "nan.safetensors"),
           "%s", plx_error());
    plx_checkpoint_free(c);
}

TEST(checkpoint, parameters_return) {
    plx_params *p = make(1, true), *q = make(2, false);
    plx_checkpoint *c;
    const char *path = test_file("params.safetensors");
    REQUIRE(plx_checkpoint_create(&c) == 0, "%s", plx_error());
    EXPECT(plx_params_save(p, c, "net/", false, false) == 0, "%s", plx_error());
    EXPECT(plx_params_save(p, c, "half/", true, true) == 0, "%s", plx_error());
    EXPECT(plx_checkpoint_set(c, "note", "caf\xc3\xa9 \"quoted\"\n") == 0, "%s", plx_error());
    EXPECT(plx_checkpoint_set(c, "note2", "\xff") == PLX_ERROR_INPUT, "metadata that is not UTF-8 was taken");
    REQUIRE(plx_checkpoint_save(c, path) == 0, "%s", plx_error());
    plx_checkpoint_free(c);
    REQUIRE(plx_checkpoint_load(&c, path) == 0, "%s", plx_error());
    EXPECT(strcmp(plx_checkpoint_get(c, "note"), "caf\xc3\xa9 \"quoted\"\n") == 0, "%s",
           plx_checkpoint_get(c, "note"));
    EXPECT(plx_checkpoint_count(c) == 6 && strcmp(plx_checkpoint_dtype(c, 5), "F16") == 0,
           "halves come last");
    EXPECT(plx_params_load(q, c, "net/") == 0, "%s", plx_error());
    const float *x = plx_params_get(p, "b.weight")->data, *y = plx_params_get(q, "b.weight")->data;
    EXPECT(memcmp(x, y, 126 * sizeof *x) == 0, "the values differ");
    EXPECT(plx_params_load(q, c, "half/") == 0, "%s", plx_error());
    for (int i = 0; i < 126; i++) /* a half has 11 bits */
        EXPECT(fabsf(x[i] - y[i]) <= ldexpf(fabsf(x[i]), -11), "half of %g is %g", x[i], y[i]);
    EXPECT(plx_params_load(q, c, "absent/") == PLX_ERROR_INPUT && strstr(plx_error(), "params.safetensors"),
           "%s", plx_error());
    plx_checkpoint_free(c);
    /* The same tensors give the same bytes, and the data begins on a multiple of 8. */
    char *bytes;
    size_t size;
    REQUIRE(plx_file_read(&bytes, &size, path, 1 << 20) == 0, "%s", plx_error());
    EXPECT((unsigned char)bytes[0] % 8 == 0, "the header has %d bytes (mod 256)", bytes[0]);
    free(bytes);
    plx_params_free(p), plx_params_free(q);
}

/* Two steps, saved, loaded into another run, two more: the same bits as four in one run. */
TEST(checkpoint, resumed_training_has_the_same_bits) {
    plx_params *p = make(1, true), *q = make(2, true);
    plx_optimiser o = plx_optimiser_default(), o2;
    plx_checkpoint *c;
    for (int step = 0; step < 4; step++) {
        for (int run = 0; run < (step < 2 ? 1 : 2); run++) {
            plx_params *r = run ? q : p;
            plx_params_zero_grad(r);
            for (int i = 0; i < plx_params_count(r); i++) {
                plx_tensor *x = &plx_params_at(r, i)->tensor;
                plx_rng_fill_normal((plx_rng){(uint64_t)step, (uint64_t)i}, x->grad, plx_tensor_size(x));
            }
            REQUIRE(plx_optimiser_step(run ? &o2 : &o, r, 1e-2f, NULL) == 0, "%s", plx_error());
        }
        if (step != 1) continue;
        REQUIRE(plx_checkpoint_create(&c) == 0 && plx_params_save_state(p, c) == 0, "%s", plx_error());
        REQUIRE(plx_checkpoint_save(c, test_file("state.safetensors")) == 0, "%s", plx_error());
        plx_checkpoint_free(c);
        REQUIRE(plx_checkpoint_load(&c, test_file("state.safetensors")) == 0, "%s", plx_error());
        REQUIRE(plx_params_load_state(q, c) == 0, "%s", plx_error());
        plx_checkpoint_free(c);
        o2 = o;
    }
    for (int use = 0; use < 2; use++) {
        plx_params_use_ema(p, use), plx_params_use_ema(q, use);
        for (int i = 0; i < plx_params_count(p); i++) {
            const plx_tensor *x = &plx_params_at(p, i)->tensor, *y = &plx_params_at(q, i)->tensor;
            EXPECT(memcmp(x->data, y->data, plx_tensor_size(x) * sizeof(float)) == 0, "%s differs%s", x->name,
                   use ? " (EMA)" : "");
        }
    }
    plx_params_free(p), plx_params_free(q);
}

/* A save that fails leaves the old file and nothing beside it; a load that fails leaves the parameters. */
TEST(checkpoint, failure_leaves_what_was_there) {
    plx_params *p = make(1, true);
    plx_checkpoint *c;
    REQUIRE(plx_checkpoint_create(&c) == 0 && plx_params_save(p, c, "", false, false) == 0, "%s",
            plx_error());
    EXPECT(plx_checkpoint_save(c, test_file("no/such/folder/x.safetensors")) == PLX_ERROR_IO, "%s",
           plx_error());
    EXPECT(plx_checkpoint_save(c, "/dev/full/x") < 0, "%s", plx_error());
    plx_checkpoint_free(c);
    /* A file whose last parameter has another shape. */
    plx_params *q = make(2, false);
    const float before = plx_params_get(q, "a.weight")->data[0];
    REQUIRE(plx_checkpoint_create(&c) == 0, "%s", plx_error());
    plx_checkpoint_put(c, "a.weight", 2, (int[]){3, 5}, plx_params_get(p, "a.weight")->data, false);
    plx_checkpoint_put(c, "a.bias", 1, (int[]){3}, plx_params_get(p, "a.bias")->data, false);
    plx_checkpoint_put(c, "b.weight", 1, (int[]){126}, plx_params_get(p, "b.weight")->data, false);
    EXPECT(plx_params_load(q, c, "") == PLX_ERROR_INPUT && strstr(plx_error(), "b.weight"), "%s",
           plx_error());
    EXPECT(plx_params_get(q, "a.weight")->data[0] == before, "half of the parameters were loaded");
    plx_checkpoint_free(c);
    plx_params_free(p), plx_params_free(q);
}
