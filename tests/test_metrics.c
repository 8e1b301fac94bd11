/* Metrics against scikit-image and a second FLIP (tests/fixtures/make_metrics.py), and their invariants. */
#include "tests/test.h"
#include "nerf/nerf.h"

#include <jansson.h>

static void set_pixels(plx_image *image, float value) {
    for (int i = 0; i < image->height * image->width * image->channels; i++) image->data[i] = value;
}

static plx_image flat(int height, int width, int channels, float value) {
    plx_image image;
    EXPECT(plx_image_create(&image, height, width, channels) == PLX_OK, "%s", plx_error());
    set_pixels(&image, value);
    return image;
}

/* The formulas of make_metrics.py, 0 to 255. */
static int level_a(int i, int j, int c, int H, int W) {
    int u = i - H / 2, v = j - W / 2;
    if (u * u + v * v < (H / 3) * (H / 3)) return (60 + 70 * c + 2 * i) % 256;
    return (37 * i + 11 * j + 83 * c) % 256 / 4 + 150;
}

static int level_b(int i, int j, int c, int H, int W, const char *kind) {
    int a = level_a(i, j, c, H, W);
    if (strcmp(kind, "shift") == 0) return level_a(i, (j + W - 1) % W, c, H, W);
    if (strcmp(kind, "dark") == 0) return a * 3 / 4;
    a += (i * 7919 + j * 104729 + c * 1299709) % 41 - 20;
    return a < 0 ? 0 : a > 255 ? 255 : a;
}

static void make_pair(plx_image *a, plx_image *b, int H, int W, const char *kind, long sums[2]) {
    *a = flat(H, W, 3, 0), *b = flat(H, W, 3, 0);
    sums[0] = sums[1] = 0;
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++)
            for (int c = 0; c < 3; c++) {
                int at = (i * W + j) * 3 + c, x = level_a(i, j, c, H, W), y = level_b(i, j, c, H, W, kind);
                a->data[at] = (float)x / 255, b->data[at] = (float)y / 255;
                sums[0] += x, sums[1] += y;
            }
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* {a, shifted} and {b, dark} of make_metrics.py. */
static void expect_swd(const json_t *recorded, int H, int W, const plx_image *a, const plx_image *b) {
    plx_image first[2] = {*a}, second[2] = {*b}, copies[2];
    long sums[2];
    plx_swd swd;
    make_pair(&copies[0], &first[1], H, W, "shift", sums);
    make_pair(&copies[1], &second[1], H, W, "dark", sums);
    REQUIRE(plx_sliced_wasserstein(&swd, 2, first, second, 5) == 0, "%s", plx_error());
    EXPECT((size_t)swd.levels == json_array_size(recorded), "%d levels", swd.levels);
    for (int k = 0; k < swd.levels; k++) {
        double truth = json_number_value(json_array_get(recorded, (size_t)k));
        /* Half a step of 8191 over a range of some 10, over the root of 256 values and 512 directions, in thousandths: a deviation of
         * 0.0017 or less. */
        EXPECT(fabs(swd.distance[k] - truth) < 0.004, "level %d: SWD %.9g, not %.9g", k, swd.distance[k],
               truth);
    }
    plx_image_free(&first[1]), plx_image_free(&second[1]);
    plx_image_free(&copies[0]), plx_image_free(&copies[1]);
}

static void expect_windowed(const json_t *fixture, const plx_image *a, const plx_image *b) {
    const char *kind = json_string_value(json_object_get(fixture, "kind"));
    int scales = plx_ms_ssim_scales(a->height, a->width);
    EXPECT(scales == (int)number(fixture, "ms_ssim_scales"), "%s: %d scales", kind, scales);
    double gaussian = plx_ssim_gaussian(a, b) - number(fixture, "ssim_gaussian");
    /* Of floats: a window's moments of up to 2^14 are right to 2^-9 or so, beside C2 = 58, and their errors mostly cancel. */
    EXPECT(fabs(gaussian) < 2e-6, "%s: Gaussian SSIM is off by %g", kind, gaussian);
    double several = plx_ms_ssim(a, b) - number(fixture, "ms_ssim");
    EXPECT(fabs(several) < 2e-6, "%s: MS-SSIM is off by %g", kind, several);
}

TEST(metrics, agree_with_the_recorded_values) {
    json_error_t error;
    json_t *fixtures = json_load_file("tests/fixtures/metrics.json", 0, &error), *fixture;
    REQUIRE(fixtures, "%s: %s", error.source, error.text);
    size_t i;
    json_array_foreach(fixtures, i, fixture) {
        plx_image a, b;
        long sums[2];
        const char *kind = json_string_value(json_object_get(fixture, "kind"));
        make_pair(&a, &b, (int)number(fixture, "height"), (int)number(fixture, "width"), kind, sums);
        EXPECT((double)sums[0] == number(fixture, "sum_a") && (double)sums[1] == number(fixture, "sum_b"),
               "%s: these are not the pictures that were recorded", kind);
        /* The same sums, of whole numbers. */
        double psnr = plx_psnr(&a, &b) - number(fixture, "psnr"),
               ssim = plx_ssim(&a, &b) - number(fixture, "ssim");
        EXPECT(fabs(psnr) < 1e-9, "%s: PSNR is off by %g", kind, psnr);
        EXPECT(fabs(ssim) < 1e-9, "%s: SSIM is off by %g", kind, ssim);
        double flip = plx_flip(&a, &b) - number(fixture, "flip");
        /* Of floats: a few times 1e-7 a pixel. */
        EXPECT(fabs(flip) < 3e-7, "%s: FLIP is off by %g", kind, flip);
        plx_image map;
        double sum = 0;
        REQUIRE(plx_flip_map(&map, &a, &b) == 0, "%s", plx_error());
        for (int p = 0; p < map.height * map.width; p++)
            sum += (double)map.data[p] / (map.height * map.width);
        EXPECT(fabs(sum - number(fixture, "flip")) < 3e-7, "%s: the map's mean is %g", kind, sum);
        plx_image_free(&map);
        const json_t *swd = json_object_get(fixture, "swd");
        if (json_object_get(fixture, "ms_ssim")) expect_windowed(fixture, &a, &b);
        if (swd) expect_swd(swd, a.height, a.width, &a, &b);
        plx_image_free(&a);
        plx_image_free(&b);
    }
    json_decref(fixtures);
}

TEST(metrics, equal_and_opposite_images) {
    plx_image a, b, black = flat(24, 24, 3, 0), white = flat(24, 24, 3, 1);
    long sums[2];
    make_pair(&a, &b, 30, 22, "noise", sums);
    EXPECT(plx_psnr(&a, &a) == INFINITY, "%g", plx_psnr(&a, &a));
    EXPECT(plx_ssim(&a, &a) == 1, "%.17g", plx_ssim(&a, &a));
    EXPECT(plx_ssim_gaussian(&a, &a) == 1 && plx_ms_ssim(&a, &a) == 1, "%.17g, %.17g",
           plx_ssim_gaussian(&a, &a), plx_ms_ssim(&a, &a));
    EXPECT(plx_flip(&a, &a) == 0, "%g", plx_flip(&a, &a));
    EXPECT(plx_flip(&a, &b) > 0, "%g", plx_flip(&a, &b));
    double turned = plx_flip(&a, &b) - plx_flip(&b, &a); /* the same numbers, in the same order */
    EXPECT(turned == 0, "FLIP is not symmetric: %g", turned);
    EXPECT(plx_psnr(&black, &white) == 0, "%g", plx_psnr(&black, &white));
    /* Published to five digits (formats.md). */
    EXPECT(fabs(plx_flip(&black, &white) - 0.96738) < 5e-6, "%.6f", plx_flip(&black, &white));
    plx_image_free(&a);
    plx_image_free(&b);
    plx_image_free(&black);
    plx_image_free(&white);
}

TEST(metrics, are_of_8_bit_values) {
    plx_image a = flat(9, 9, 3, 100.4f / 255), b = flat(9, 9, 3, 99.6f / 255), c = flat(9, 9, 3, 101.f / 255);
    EXPECT(plx_psnr(&a, &b) == INFINITY && plx_flip(&a, &b) == 0, "both round to 100");
    /* One level of 255 everywhere: 20 log10(255). */
    EXPECT(fabs(plx_psnr(&a, &c) - 48.130803608679) < 1e-9, "%.12f", plx_psnr(&a, &c));
    set_pixels(&a, 1.7f), set_pixels(&b, 1);
    EXPECT(plx_psnr(&a, &b) == INFINITY, "values above 1 are clamped");
    plx_image_free(&a);
    plx_image_free(&b);
    plx_image_free(&c);
}

/* Two 4-column bands that share 2 columns: 2 / 6. */
TEST(metrics, silhouette_iou_counts) {
    plx_image a = flat(5, 12, 4, 0), b = flat(5, 12, 4, 0);
    EXPECT(plx_silhouette_iou(&a, &b) == 1, "two empty masks");
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 4; j++) a.data[(i * 12 + j) * 4 + 3] = b.data[(i * 12 + j + 2) * 4 + 3] = 0.9f;
    EXPECT(plx_silhouette_iou(&a, &b) == 2. / 6, "%g", plx_silhouette_iou(&a, &b));
    EXPECT(plx_silhouette_iou(&a, &a) == 1, "%g", plx_silhouette_iou(&a, &a));
    plx_image_free(&a);
    plx_image_free(&b);
}

/* A ramp of half the slope has a quarter of the energy; what is outside the mask does not count. */
TEST(metrics, sharpness_is_gradient_energy) {
    plx_image steep = flat(8, 10, 3, 0), gentle = flat(8, 10, 3, 0), mask = flat(8, 10, 1, 1);
    for (int i = 0; i < 8 * 10 * 3; i++) {
        steep.data[i] = (float)(10 * (i / 3 % 10)) / 255;
        gentle.data[i] = (float)(5 * (i / 3 % 10)) / 255;
    }
    EXPECT(plx_sharpness_ratio(&gentle, &steep, &mask) == 0.25, "%g",
           plx_sharpness_ratio(&gentle, &steep, &mask));
    for (int i = 0; i < 8; i++) {
        mask.data[i * 10 + 9] = 0;
        for (int c = 0; c < 3; c++) gentle.data[(i * 10 + 9) * 3 + c] = 1;
    }
    EXPECT(plx_sharpness_ratio(&gentle, &steep, &mask) == 0.25, "%g",
           plx_sharpness_ratio(&gentle, &steep, &mask));
    set_pixels(&mask, 0);
    EXPECT(isnan(plx_sharpness_ratio(&gentle, &steep, &mask)), "nothing is inside");
    plx_image_free(&steep);
    plx_image_free(&gentle);
    plx_image_free(&mask);
}

TEST(metrics, scales_that_fit) {
    const int sides[] = {10, 11, 20, 21, 64, 128, 160, 161, 4000}, truth[] = {0, 1, 1, 2, 3, 4, 4, 5, 5};
    for (int i = 0; i < 9; i++)
        EXPECT(plx_ms_ssim_scales(sides[i], 5000) == truth[i], "%d pixels: %d scales", sides[i],
               plx_ms_ssim_scales(sides[i], 5000));
}

/* A surface at 2 seen at 2.5, known in columns 1 to 3 of 4 and 2 to 4 of 4 (of 5). */
TEST(metrics, depth_error_where_both_are_known) {
    plx_image truth = flat(3, 5, 2, 0), depth = flat(3, 5, 2, 0);
    plx_depth_error none = plx_depth_compare(&depth, &truth);
    EXPECT(isnan(none.absolute) && isnan(none.coverage), "%g, %g of nothing", none.absolute, none.coverage);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 5; j++) {
            truth.data[(i * 5 + j) * 2] = j >= 1 && j <= 3 ? 2 : 0;
            depth.data[(i * 5 + j) * 2] = j >= 2 ? 2.5f : 0;
        }
    plx_depth_error e = plx_depth_compare(&depth, &truth);
    EXPECT(e.absolute == 0.5 && e.relative == 0.25 && e.coverage == 2. / 3, "%g, %g, %g", e.absolute,
           e.relative, e.coverage);
    plx_image_free(&truth);
    plx_image_free(&depth);
}

static double mean_swd(int count, const plx_image *a, const plx_image *b) {
    plx_swd swd;
    EXPECT(plx_sliced_wasserstein(&swd, count, a, b, 1) == 0, "%s", plx_error());
    return swd.mean;
}

/* Equal sets are at 0; one that is noisier or blurred is farther the more it is so; the order of a set changes only
 * the places of the patches. */
TEST(metrics, swd_orders_distortions) {
    plx_image a[2], noise[2], strong = {0}, soft = {0};
    long sums[2];
    make_pair(&a[0], &noise[0], 32, 48, "noise", sums);
    make_pair(&noise[1], &a[1], 32, 48, "shift", sums);
    EXPECT(mean_swd(2, a, a) == 0, "%g", mean_swd(2, a, a));
    REQUIRE(!plx_image_copy(&strong, &a[0]) && !plx_image_copy(&soft, &a[0]), "%s", plx_error());
    for (int i = 0; i < 32 * 48 * 3; i++) strong.data[i] += 3 * (noise[0].data[i] - a[0].data[i]);
    for (int i = 0; i < 32 * 48 * 3; i++) /* the mean of five neighbours of a row */
        for (int k = -2; k <= 2; k++) {
            int x = i / 3 % 48 + k;
            if (x >= 0 && x < 48) soft.data[i] += k ? (a[0].data[i + 3 * k] - a[0].data[i]) / 5 : 0;
        }
    double weak = mean_swd(1, a, noise), much = mean_swd(1, a, &strong), blurred = mean_swd(1, a, &soft);
    EXPECT(weak > 0 && much > weak, "noise: %g, three times as much: %g", weak, much);
    EXPECT(blurred > weak, "noise: %g, blur: %g", weak, blurred);
    plx_image turned[2] = {a[1], a[0]};
    EXPECT(mean_swd(2, a, turned) < weak, "the same set in another order: %g", mean_swd(2, a, turned));
    plx_image white = flat(32, 48, 3, 1);
    EXPECT(mean_swd(1, &white, &white) == 0 && isfinite(mean_swd(1, &white, a)), "a flat image");
    for (int i = 0; i < 2; i++) plx_image_free(&a[i]), plx_image_free(&noise[i]);
    plx_image_free(&strong);
    plx_image_free(&soft);
    plx_image_free(&white);
}
