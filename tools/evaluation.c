#include "tools/evaluation.h"

#include <math.h>
#include <stddef.h>

const char *const plx_eval_metric_names[PLX_EVAL_METRICS] = {"psnr", "ssim", "flip", "iou", "sharpness"};

const double plx_eval_gap_limits[PLX_EVAL_GAPS + 1] = {0, 30, 60, 120, 180};

int plx_eval_gap_bin(double degrees) {
    int bin = 0;
    while (bin + 1 < PLX_EVAL_GAPS && degrees >= plx_eval_gap_limits[bin + 1]) bin++;
    return bin;
}

int plx_eval_measure(plx_eval_sample *out, const plx_view *truth, const plx_image *prediction,
                     bool silhouette_only) {
    plx_image a = {0}, b = {0};
    for (int m = 0; m < PLX_EVAL_METRICS; m++) out->values[m] = NAN;
    out->values[PLX_EVAL_IOU] = plx_silhouette_iou(&truth->colour, prediction);
    if (silhouette_only) return PLX_OK;
    int status = plx_image_over(&a, &truth->colour, 1);
    if (!status) status = plx_image_over(&b, prediction, 1);
    if (!status) {
        out->values[PLX_EVAL_PSNR] = plx_psnr(&a, &b);
        out->values[PLX_EVAL_SSIM] = plx_ssim(&a, &b);
        out->values[PLX_EVAL_FLIP] = plx_flip(&a, &b);
        out->values[PLX_EVAL_SHARPNESS] = plx_sharpness_ratio(&b, &a, &truth->colour);
    }
    plx_image_free(&a);
    plx_image_free(&b);
    return status;
}

/* Sharpness is a ratio with a long tail above (a nearly flat truth): its mean is the geometric one. */
static double to_scale(double value, enum plx_eval_metric metric) {
    return metric == PLX_EVAL_SHARPNESS ? log(fmax(value, 1e-3)) : value;
}

/* Back, by the delta method: d exp(x) = exp(x) dx. */
static void from_scale(plx_eval_mean *m, enum plx_eval_metric metric) {
    if (metric != PLX_EVAL_SHARPNESS) return;
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
