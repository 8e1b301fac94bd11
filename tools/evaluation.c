#include "tools/evaluation.h"

#include <math.h>
#include <stdlib.h>

const plx_eval_kind plx_eval_kinds[PLX_EVAL_METRICS] = {
    [PLX_EVAL_PSNR] = {.name = "psnr", .heading = "PSNR dB", .decimals = 2, .by_gap = true},
    [PLX_EVAL_SSIM] = {.name = "ssim", .heading = "SSIM", .decimals = 3, .by_gap = true},
    [PLX_EVAL_FLIP] =
        {.name = "flip", .heading = "FLIP", .decimals = 3, .better = PLX_EVAL_LOWER, .by_gap = true},
    [PLX_EVAL_IOU] = {.name = "iou", .heading = "IoU", .decimals = 3, .by_gap = true},
    [PLX_EVAL_SHARPNESS] = {.name = "sharpness",
                            .heading = "sharpness",
                            .decimals = 2,
                            .better = PLX_EVAL_NEAR_ONE,
                            .geometric = true,
                            .by_gap = true},
    [PLX_EVAL_SSIM_GAUSSIAN] = {.name = "ssim_gaussian", .heading = "SSIM 11x11", .decimals = 3},
    [PLX_EVAL_MS_SSIM] = {.name = "ms_ssim", .heading = "MS-SSIM", .decimals = 3},
    [PLX_EVAL_DEPTH] = {.name = "depth_error",
                        .heading = "depth error",
                        .decimals = 4,
                        .better = PLX_EVAL_LOWER},
    [PLX_EVAL_DEPTH_RELATIVE] = {.name = "depth_relative",
                                 .heading = "  relative",
                                 .decimals = 4,
                                 .better = PLX_EVAL_LOWER},
    [PLX_EVAL_DEPTH_COVERAGE] = {.name = "depth_coverage", .heading = "  coverage", .decimals = 3},
    [PLX_EVAL_SWD] =
        {.name = "swd", .heading = "SWD x1000", .decimals = 1, .better = PLX_EVAL_LOWER, .of_object = true},
    [PLX_EVAL_FIELD_PSNR] = {.name = "field_psnr", .heading = "field PSNR", .decimals = 2, .of_object = true},
    [PLX_EVAL_FIELD_SSIM] = {.name = "field_ssim", .heading = "  SSIM", .decimals = 3, .of_object = true},
    [PLX_EVAL_FIELD_FLIP] = {.name = "field_flip",
                             .heading = "  FLIP",
                             .decimals = 3,
                             .better = PLX_EVAL_LOWER,
                             .of_object = true},
    [PLX_EVAL_TSED_MATCHES] = {.name = "tsed_matches",
                               .heading = "TSED matches",
                               .decimals = 1,
                               .of_object = true},
    [PLX_EVAL_TSED_MATCHED] = {.name = "tsed_matched",
                               .heading = "  enough",
                               .decimals = 3,
                               .of_object = true},
    [PLX_EVAL_TSED_MEDIAN] = {.name = "tsed_median",
                              .heading = "  median px",
                              .decimals = 2,
                              .better = PLX_EVAL_LOWER,
                              .of_object = true},
    [PLX_EVAL_TSED_FIRST] = {.name = "tsed_0.5", .heading = "  at 0.5 px", .decimals = 3, .of_object = true},
    [PLX_EVAL_TSED_FIRST + 1] = {.name = "tsed_1", .heading = "  at 1 px", .decimals = 3, .of_object = true},
    [PLX_EVAL_TSED_FIRST +
        2] = {.name = "tsed_1.5", .heading = "  at 1.5 px", .decimals = 3, .of_object = true},
    [PLX_EVAL_TSED_FIRST + 3] = {.name = "tsed_2", .heading = "  at 2 px", .decimals = 3, .of_object = true},
    [PLX_EVAL_TSED_LAST] = {.name = "tsed_4", .heading = "  at 4 px", .decimals = 3, .of_object = true},
    [PLX_EVAL_REPROJECTION] = {.name = "reprojection_rms",
                               .heading = "reprojection",
                               .decimals = 4,
                               .better = PLX_EVAL_LOWER,
                               .of_object = true},
    [PLX_EVAL_REPROJECTION_COVERAGE] = {.name = "reprojection_coverage",
                                        .heading = "  shared",
                                        .decimals = 3,
                                        .of_object = true},
    [PLX_EVAL_VARIANCE] = {.name = "variance_deviation",
                           .heading = "variance",
                           .decimals = 4,
                           .better = PLX_EVAL_LOWER,
                           .of_object = true},
    [PLX_EVAL_VARIANCE_COVERAGE] = {.name = "variance_coverage",
                                    .heading = "  seen",
                                    .decimals = 3,
                                    .of_object = true},
    [PLX_EVAL_DETAIL] = {.name = "detail",
                         .heading = "detail x1000",
                         .decimals = 2,
                         .better = PLX_EVAL_NO_ORDER,
                         .of_object = true},
};

const double plx_eval_gap_limits[PLX_EVAL_GAPS + 1] = {0, 30, 60, 120, 180};

int plx_eval_gap_bin(double degrees) {
    int bin = 0;
    while (bin + 1 < PLX_EVAL_GAPS && degrees >= plx_eval_gap_limits[bin + 1]) bin++;
    return bin;
}

static int over_white(plx_image *out, const plx_image *colour) {
    return colour->channels == 4 ? plx_image_over(out, colour, 1) : plx_image_copy(out, colour);
}

/* Colours (H,W,3). */
static void measure_colours(double *values, const plx_image *truth, const plx_image *image,
                            const plx_image *mask) {
    plx_image_scores scores = plx_image_compare(image, truth, mask);
    values[PLX_EVAL_PSNR] = scores.psnr;
    values[PLX_EVAL_SSIM] = scores.ssim;
    values[PLX_EVAL_FLIP] = scores.flip;
    values[PLX_EVAL_SHARPNESS] = scores.sharpness;
    values[PLX_EVAL_SSIM_GAUSSIAN] = scores.ssim_gaussian;
    values[PLX_EVAL_MS_SSIM] = scores.ms_ssim;
}

/* Where the truth is, or everywhere: (H,W,1). */
static int make_mask(plx_image *out, const plx_image *colour) {
    int status = plx_image_create(out, colour->height, colour->width, 1);
    for (int i = 0; !status && i < colour->height * colour->width; i++)
        out->data[i] = colour->channels == 4 ? colour->data[4 * (size_t)i + 3] : 1;
    return status;
}

int plx_eval_measure(plx_eval_sample *out, const plx_view *truth, const plx_view *prediction,
                     bool silhouette_only) {
    plx_image a = {0}, b = {0}, mask = {0};
    for (int m = 0; m < PLX_EVAL_METRICS; m++) out->values[m] = NAN;
    if (truth->colour.channels == 4 && prediction->colour.channels == 4)
        out->values[PLX_EVAL_IOU] = plx_silhouette_iou(&truth->colour, &prediction->colour);
    if (silhouette_only) return PLX_OK;
    int status = over_white(&a, &truth->colour);
    if (!status) status = over_white(&b, &prediction->colour);
    if (!status) status = make_mask(&mask, &truth->colour);
    if (!status) measure_colours(out->values, &a, &b, &mask);
    if (!status && truth->depth.data && prediction->depth.data) {
        plx_depth_error depth = plx_depth_compare(&prediction->depth, &truth->depth);
        out->values[PLX_EVAL_DEPTH] = depth.absolute;
        out->values[PLX_EVAL_DEPTH_RELATIVE] = depth.relative;
        out->values[PLX_EVAL_DEPTH_COVERAGE] = depth.coverage;
    }
    plx_image_free(&a);
    plx_image_free(&b);
    plx_image_free(&mask);
    return status;
}

int plx_eval_measure_object(plx_eval_sample *samples, int count, const plx_view *truth,
                            const plx_view *prediction) {
    enum { SWD_LEAST = 16, SWD_SEED = 1 };
    const plx_image *first = &truth->colour;
    bool same = first->height >= SWD_LEAST && first->width >= SWD_LEAST;
    for (int k = 1; k < count; k++)
        same = same && truth[k].colour.height == first->height && truth[k].colour.width == first->width;
    plx_image *a = calloc(2 * (size_t)count, sizeof *a), *b = a ? a + count : NULL;
    int status = a ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "metrics: out of memory");
    bool failed = false;
#pragma omp parallel for schedule(static) reduction(|| : failed)
    for (int k = 0; k < (same && !status ? count : 0); k++)
        failed = over_white(&a[k], &truth[k].colour) || over_white(&b[k], &prediction[k].colour) || failed;
    if (failed) status = plx_fail(PLX_ERROR_MEMORY, "metrics: out of memory");
    plx_swd swd;
    if (same && !status && !(status = plx_sliced_wasserstein(&swd, count, a, b, SWD_SEED)))
        samples[0].values[PLX_EVAL_SWD] = swd.mean;
    for (int k = 0; a && k < 2 * count; k++) plx_image_free(&a[k]);
    free(a);
    return status;
}

/* Sharpness is a ratio with a long tail above (a nearly flat truth): its mean is the geometric one. */
static double to_scale(double value, enum plx_eval_metric metric) {
    return plx_eval_kinds[metric].geometric ? log(fmax(value, 1e-3)) : value;
}

/* Back, by the delta method: d exp(x) = exp(x) dx. */
static void from_scale(plx_eval_mean *m, enum plx_eval_metric metric) {
    if (!plx_eval_kinds[metric].geometric) return;
    m->mean = exp(m->mean);
    m->deviation *= m->mean;
    m->error *= m->mean;
}

plx_eval_mean plx_eval_average(const plx_eval_sample *samples, int count, enum plx_eval_metric metric,
                               int gap) {
    plx_eval_mean out = {.mean = NAN, .deviation = NAN, .error = NAN};
    double sum = 0, squares = 0; /* of deviations from the running mean: Welford */
    for (int i = 0; i < count;) {
        int object = samples[i].object, views = 0;
        double of_object = 0;
        for (; i < count && samples[i].object == object; i++) {
            double value = samples[i].values[metric];
            if (isnan(value) || (gap >= 0 && plx_eval_gap_bin(samples[i].gap) != gap)) continue;
            of_object += to_scale(value, metric);
            views++;
        }
        if (!views) continue;
        of_object /= views;
        double before = out.objects ? sum / out.objects : 0;
        sum += of_object;
        out.objects++;
        out.views += views;
        squares += (of_object - before) * (of_object - sum / out.objects);
    }
    if (out.objects) out.mean = sum / out.objects;
    if (out.objects > 1) {
        out.deviation = sqrt(squares / (out.objects - 1));
        out.error = out.deviation / sqrt(out.objects);
    }
    from_scale(&out, metric);
    return out;
}

int plx_eval_object_means(const plx_eval_sample *samples, int count, enum plx_eval_metric metric, int objects,
                          double *means) {
    int missing = 0;
    for (int i = 0; i < objects; i++) means[i] = NAN;
    for (int i = 0; i < count;) {
        int object = samples[i].object, views = 0, absent = 0;
        double sum = 0;
        for (; i < count && samples[i].object == object; i++) {
            double value = samples[i].values[metric];
            absent += isnan(value);
            if (isnan(value)) continue;
            sum += to_scale(value, metric);
            views++;
        }
        if (views) means[object] = sum / views;
        missing += plx_eval_kinds[metric].of_object ? !views : absent;
    }
    return missing;
}

/* ---- the swept silhouette --------------------------------------------------------------------------------------- */

enum { MARCH_STEPS = 128 }; /* through the sphere: 0.008 units, under half a pixel of a 64-pixel view */

static bool in_mask(const plx_view *input, const float point[3]) {
    float x, y, depth;
    if (!plx_camera_project(&input->camera, point, &x, &y, &depth)) return false;
    int row = (int)floorf(y), column = (int)floorf(x), width = input->colour.width;
    if (row < 0 || column < 0 || row >= input->colour.height || column >= width) return false;
    return input->colour.data[4 * ((size_t)row * (size_t)width + (size_t)column) + 3] > 0.5f;
}

static bool ray_meets_mask(const plx_view *input, const plx_camera *camera, int row, int column) {
    float origin[3], direction[3], near, far;
    plx_camera_ray(camera, (float)column + 0.5f, (float)row + 0.5f, origin, direction);
    if (!plx_ray_sphere(origin, direction, PLX_SCENE_RADIUS, &near, &far)) return false;
    for (int s = 0; s < MARCH_STEPS; s++) {
        float t = near + (far - near) * ((float)s + 0.5f) / MARCH_STEPS, point[3];
        for (int c = 0; c < 3; c++) point[c] = origin[c] + t * direction[c];
        if (in_mask(input, point)) return true;
    }
    return false;
}

int plx_eval_extrude(plx_image *out, const plx_view *input, const plx_camera *camera) {
    int status = plx_image_create(out, camera->height, camera->width, 4);
    if (status) return status;
#pragma omp parallel for schedule(dynamic, 4)
    for (int row = 0; row < camera->height; row++)
        for (int column = 0; column < camera->width; column++) {
            float *pixel = out->data + 4 * ((size_t)row * (size_t)camera->width + (size_t)column);
            pixel[0] = pixel[1] = pixel[2] = 1;
            pixel[3] = ray_meets_mask(input, camera, row, column);
        }
    return PLX_OK;
}
