#include "datasets/lens.h"

#include <math.h>
#include <string.h>

#include "nerf/core/error.h"

#define ZOOM_STEP 1.005
#define ZOOM_MAX 3.0

bool plx_lens_bends(const plx_lens *lens) {
    return lens->k1 != 0 || lens->k2 != 0 || lens->k3 != 0 || lens->p1 != 0 || lens->p2 != 0;
}

/* x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x y + p2 (r^2 + 2 x^2), y' likewise (OpenCV, calib3d). */
void plx_lens_apply(const plx_lens *lens, const double from[2], double to[2]) {
    double x = from[0], y = from[1], r2 = x * x + y * y;
    double radial = 1 + r2 * (lens->k1 + r2 * (lens->k2 + r2 * lens->k3));
    to[0] = x * radial + 2 * lens->p1 * x * y + lens->p2 * (r2 + 2 * x * x);
    to[1] = y * radial + lens->p1 * (r2 + 2 * y * y) + 2 * lens->p2 * x * y;
}

static void find_source(const plx_lens *lens, const plx_camera *pinhole, const plx_camera *bent, int row,
                        int column, double at[2]) {
    double from[2] = {(column + 0.5 - (double)pinhole->cx) / (double)pinhole->fx,
                      (row + 0.5 - (double)pinhole->cy) / (double)pinhole->fy};
    plx_lens_apply(lens, from, at);
    at[0] = at[0] * (double)bent->fx + (double)bent->cx;
    at[1] = at[1] * (double)bent->fy + (double)bent->cy;
}

void plx_lens_source(const plx_lens *lens, const plx_camera *pinhole, const plx_camera *bent, int row,
                     int column, double at[2]) {
    find_source(lens, pinhole, bent, row, column, at);
    at[0] = fmin(fmax(at[0], 0), bent->width);
    at[1] = fmin(fmax(at[1], 0), bent->height);
}

/* Beyond some radius the polynomial may turn back, so that two points would be one. */
static bool grows_up_to(const plx_lens *lens, double radius) {
    for (int i = 1; i <= 256; i++) {
        double r2 = pow(radius * i / 256, 2);
        if (1 + r2 * (3 * lens->k1 + r2 * (5 * lens->k2 + r2 * 7 * lens->k3)) <= 0) return false;
    }
    return true;
}

/* The pinhole's border, pixel by pixel, is in the bent picture, and the lens is one-to-one inside it. */
static bool covered(const plx_lens *lens, const plx_camera *pinhole, const plx_camera *bent) {
    int width = pinhole->width, height = pinhole->height;
    double radius = 0;
    for (int i = 0; i < 2 * (width + height); i++) {
        int side = i < 2 * width ? i % width : (i - 2 * width) % height;
        int column = i < 2 * width ? side : i < 2 * width + height ? 0 : width - 1;
        int row = i >= 2 * width ? side : i < width ? 0 : height - 1;
        double at[2];
        find_source(lens, pinhole, bent, row, column, at);
        if (!(at[0] >= 0 && at[0] <= width && at[1] >= 0 && at[1] <= height)) return false;
        radius = fmax(radius, hypot((column + 0.5 - (double)pinhole->cx) / (double)pinhole->fx,
                                    (row + 0.5 - (double)pinhole->cy) / (double)pinhole->fy));
    }
    return grows_up_to(lens, radius);
}

int plx_lens_pinhole(plx_camera *out, const plx_camera *bent, const plx_lens *lens) {
    for (double zoom = 1; zoom < ZOOM_MAX; zoom *= ZOOM_STEP) {
        *out = *bent;
        out->fx = (float)((double)bent->fx * zoom);
        out->fy = (float)((double)bent->fy * zoom);
        if (covered(lens, out, bent)) return PLX_OK;
    }
    return plx_fail(PLX_ERROR_SUPPORT,
                    "a lens that no pinhole camera can stand for (k1 %g, k2 %g, k3 %g, p1 %g, p2 %g)",
                    lens->k1, lens->k2, lens->k3, lens->p1, lens->p2);
}

static int clamp(int value, int count) {
    return value < 0 ? 0 : value >= count ? count - 1 : value;
}

static void sample(const plx_image *rgba, const double at[2], float out[4]) {
    double x = at[0] - 0.5, y = at[1] - 0.5, sum[4] = {0};
    int left = (int)floor(x), top = (int)floor(y);
    for (int k = 0; k < 4; k++) {
        int column = left + (k & 1), row = top + (k >> 1);
        double weight = (k & 1 ? x - left : 1 - (x - left)) * (k >> 1 ? y - top : 1 - (y - top));
        const float *p = rgba->data + 4 * ((size_t)clamp(row, rgba->height) * (size_t)rgba->width +
                                           (size_t)clamp(column, rgba->width));
        for (int c = 0; c < 3; c++) sum[c] += weight * (double)(p[3] * p[c]);
        sum[3] += weight * (double)p[3];
    }
    for (int c = 0; c < 3; c++) out[c] = sum[3] > 0 ? (float)fmin(sum[c] / sum[3], 1) : 0;
    out[3] = (float)fmin(sum[3], 1);
}

int plx_lens_straighten(plx_image *rgba, const plx_lens *lens, const plx_camera *pinhole,
                        const plx_camera *bent) {
    plx_image straight;
    int status = plx_image_create(&straight, rgba->height, rgba->width, 4);
    if (status) return status;
    for (int row = 0; row < rgba->height; row++)
        for (int column = 0; column < rgba->width; column++) {
            double at[2];
            plx_lens_source(lens, pinhole, bent, row, column, at);
            sample(rgba, at, straight.data + 4 * ((size_t)row * (size_t)rgba->width + (size_t)column));
        }
    plx_image_free(rgba);
    *rgba = straight;
    return PLX_OK;
}
