/* Structural similarity: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
 * similarity", IEEE TIP 2004; at several scales: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image
 * quality assessment", Asilomar 2003. */
#include <math.h>
#include <stdlib.h>

#include "nerf/filter.h"

/* Two planes (H,W) of levels. */
typedef struct plane_pair {
    int H, W;
    float *a, *b;
} plane_pair;

typedef struct ssim_window {
    plx_filter filter;
    double scale; /* of what it sums */
    double
        offset; /* of the levels from what the planes hold: small numbers have small squares, exact in a float */
    double bias; /* of variances and covariance: n / (n - 1) for the samples', 1 for the population's */
} ssim_window;

/* Means over the pixels whose window lies inside: of l * cs, and of cs alone, with
 *   l  = (2 x y + C1) / (x^2 + y^2 + C1)   = 1 - (x - y)^2 / (x^2 + y^2 + C1),
 *   cs = (2 vxy + C2) / (vx + vy + C2)     = 1 - v(x-y) / (vx + vy + C2):
 * equal images have exactly 1, and four moments serve. */
enum { MOMENTS = 4 };
typedef struct similarity {
    double whole, structure;
} similarity;

typedef double lanes __attribute__((vector_size(32)));
typedef float half_lanes __attribute__((vector_size(16), aligned(4), may_alias));
enum { LANES = sizeof(lanes) / sizeof(double) };

static inline lanes load(const float *p) {
    return __builtin_convertvector(*(const half_lanes *)p, lanes);
}

/* 1 - cs and 1 - l cs of one row's windows, added up; m[k] (count): x, y, x^2 + y^2, (x - y)^2, which are set to 0 up to a whole
 * number of vectors: there nothing is added. */
static void add_row(lanes sums[2], float *const m[MOMENTS], int count, const ssim_window *window) {
    const double c1 = (0.01 * 255) * (0.01 * 255), c2 = (0.03 * 255) * (0.03 * 255);
    const double bias = window->bias, scale = window->scale, offset = window->offset;
    for (int k = 0; k < MOMENTS; k++)
        for (int i = count; i % LANES; i++) m[k][i] = 0;
    for (int i = 0; i < count; i += LANES) {
        lanes u = scale * load(m[0] + i), v = scale * load(m[1] + i);
        lanes apart = (u - v) * (u - v), structure = bias * (scale * load(m[3] + i) - apart);
        lanes both = bias * (scale * load(m[2] + i) - u * u - v * v) + c2;
        lanes light = (u + offset) * (u + offset) + (v + offset) * (v + offset) + c1;
        lanes inverse = 1 / (both * light);
        lanes unlike = structure * light * inverse, darker = apart * both * inverse;
        sums[0] += unlike;
        sums[1] += unlike + darker - unlike * darker;
    }
}

static double sum_of(lanes v) {
    return (v[0] + v[1]) + (v[2] + v[3]);
}

static similarity compare(const plane_pair *p, const ssim_window *window) {
    const size_t pixels = (size_t)p->H * (size_t)p->W, line = plx_filter_line(p->W);
    const int radius = window->filter.radius, across = p->W - 2 * radius, down = p->H - 2 * radius;
    float *memory = plx_plane_alloc(2 * pixels + (1 + MOMENTS) * line);
    float *squares = memory, *differences = squares + pixels, *row = differences + pixels;
    float *const moments[MOMENTS] = {row + line, row + 2 * line, row + 3 * line, row + 4 * line};
    const float *const planes[MOMENTS] = {p->a, p->b, squares, differences};
    for (size_t i = 0; i < pixels; i++) {
        float a = p->a[i], b = p->b[i];
        squares[i] = a * a + b * b, differences[i] = (a - b) * (a - b);
    }
    lanes sums[2] = {{0}, {0}};
    for (int y = radius; y < radius + down; y++) {
        for (int m = 0; m < MOMENTS; m++) {
            plx_filter_down(planes[m], p->H, p->W, &window->filter, y, row);
            plx_filter_along(row, radius, across, &window->filter, moments[m]);
        }
        add_row(sums, moments, across, window);
    }
    double count = (double)down * across;
    free(memory);
    return (similarity){.whole = 1 - sum_of(sums[1]) / count, .structure = 1 - sum_of(sums[0]) / count};
}

/* Its sums are of whole numbers below 2^24: exact. */
static ssim_window uniform_window(void) {
    enum { SIDE = PLX_SSIM_SIDE, N = SIDE * SIDE };
    ssim_window w = {.filter = {.radius = SIDE / 2}, .scale = 1. / N, .bias = (double)N / (N - 1)};
    for (int i = 0; i < SIDE; i++) w.filter.weight[i] = 1;
    return w;
}

static ssim_window gaussian_window(void) {
    return (ssim_window){
        .filter = plx_filter_gaussian(PLX_SSIM_GAUSSIAN_SIDE / 2, 1.5), .scale = 1, .offset = 128, .bias = 1};
}

static void check(const char *metric, const plx_image *a, const plx_image *b, int side) {
    PLX_CHECK(a->height == b->height && a->width == b->width && a->channels == 3 && b->channels == 3,
              "%s: images of %dx%dx%d and %dx%dx%d", metric, a->width, a->height, a->channels, b->width,
              b->height, b->channels);
    PLX_CHECK(a->height >= side && a->width >= side, "%s: images of %dx%d pixels, at least %dx%d are needed",
              metric, a->width, a->height, side, side);
}

double plx_levels_ssim(const plx_levels *a, const plx_levels *b) {
    const ssim_window window = uniform_window();
    size_t pixels = (size_t)a->H * (size_t)a->W;
    double sum = 0;
    for (size_t c = 0; c < 3; c++)
        sum +=
            compare(&(plane_pair){a->H, a->W, a->planes + c * pixels, b->planes + c * pixels}, &window).whole;
    return sum / 3;
}

double plx_ssim(const plx_image *a, const plx_image *b) {
    check("ssim", a, b, PLX_SSIM_SIDE);
    return plx_levels_measure(plx_levels_ssim, a, b);
}

/* ---- several scales ----------------------------------------------------------------------------------------------- */

static const double scale_weights[PLX_MS_SSIM_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

int plx_ms_ssim_scales(int height, int width) {
    int side = height < width ? height : width, scales = 0;
    for (; scales < PLX_MS_SSIM_SCALES && side >= PLX_SSIM_GAUSSIAN_SIDE; scales++) side = (side + 1) / 2;
    return scales;
}

/* In place: the mean of 2x2 pixels, every second one; an odd last row or column is repeated. */
static void halve(float *plane, int H, int W) {
    int h = (H + 1) / 2, w = (W + 1) / 2;
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            size_t top = (size_t)(2 * i) * (size_t)W, left = (size_t)(2 * j);
            size_t bottom = 2 * i + 1 < H ? top + (size_t)W : top, right = 2 * j + 1 < W ? left + 1 : left;
            plane[(size_t)i * (size_t)w + (size_t)j] =
                (plane[top + left] + plane[top + right] + plane[bottom + left] + plane[bottom + right]) / 4;
        }
}

/* `single`: at the first scale. */
typedef struct channel_scores {
    double single, several;
} channel_scores;

static channel_scores one_channel(plane_pair p, const ssim_window *window, int scales) {
    channel_scores out = {0, 1};
    double total = 0;
    for (int s = 0; s < scales; s++) total += scale_weights[s];
    for (int s = 0; s < scales; s++) {
        similarity found = compare(&p, window);
        double value = s + 1 < scales ? found.structure : found.whole;
        out.several *= pow(fmax(value, 0), scale_weights[s] / total);
        if (!s) out.single = found.whole;
        if (s + 1 == scales) break;
        halve(p.a, p.H, p.W);
        halve(p.b, p.H, p.W);
        p.H = (p.H + 1) / 2, p.W = (p.W + 1) / 2;
    }
    return out;
}

static channel_scores gaussian_scores(plx_levels *a, plx_levels *b, int scales) {
    const ssim_window window = gaussian_window();
    channel_scores sum = {0};
    size_t pixels = (size_t)a->H * (size_t)a->W;
    for (size_t i = 0; i < 3 * pixels; i++)
        a->planes[i] -= (float)window.offset, b->planes[i] -= (float)window.offset;
    for (size_t c = 0; c < 3; c++) {
        channel_scores one = one_channel(
            (plane_pair){a->H, a->W, a->planes + c * pixels, b->planes + c * pixels}, &window, scales);
        sum.single += one.single, sum.several += one.several;
    }
    return (channel_scores){sum.single / 3, sum.several / 3};
}

void plx_levels_gaussian(double *single, double *several, plx_levels *a, plx_levels *b) {
    channel_scores found = gaussian_scores(a, b, plx_ms_ssim_scales(a->H, a->W));
    *single = found.single, *several = found.several;
}

static channel_scores scores_of(const plx_image *a, const plx_image *b, int scales) {
    plx_levels p = plx_levels_of(a), q = plx_levels_of(b);
    channel_scores found = gaussian_scores(&p, &q, scales);
    free(p.planes);
    free(q.planes);
    return found;
}

double plx_ssim_gaussian(const plx_image *a, const plx_image *b) {
    check("ssim", a, b, PLX_SSIM_GAUSSIAN_SIDE);
    return scores_of(a, b, 1).single;
}

double plx_ms_ssim(const plx_image *a, const plx_image *b) {
    check("ms-ssim", a, b, PLX_SSIM_GAUSSIAN_SIDE);
    return scores_of(a, b, plx_ms_ssim_scales(a->height, a->width)).several;
}
