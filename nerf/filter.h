/* Separable filters of planes of double, as the image metrics use them. */
#ifndef PLX_NERF_FILTER_H
#define PLX_NERF_FILTER_H

#include <stddef.h>

#include "nerf/nerf.h"

enum { PLX_FILTER_RADIUS = 10 }; /* the largest */

typedef struct plx_filter {
    int radius;
    double weight[2 * PLX_FILTER_RADIUS + 1]; /* of the pixels at -radius .. radius */
} plx_filter;

/* exp(-i^2 / (2 sigma^2)), sum 1. */
plx_filter plx_filter_gaussian(int radius, double sigma);

/* in (H,W) -> out (H,W): correlated with `row` along x and `column` along y; edges repeated. out may be in. */
void plx_filter_plane(const double *in, int H, int W, const plx_filter *row, const plx_filter *column,
                      double *out);

/* In [0,1]; of NaN, 0. Unlike fmin and fmax no call: loops with it become vectors. */
static inline double plx_clamp(double x) {
    x = x > 0 ? x : 0;
    return x < 1 ? x : 1;
}

/* The 8-bit value, 0 to 255. */
static inline int plx_level(float value) {
    return (int)(plx_clamp((double)value) * 255 + 0.5);
}

/* 8-bit levels 0 to 255 of an image (H,W,3): planes (3,H,W), to be freed. */
typedef struct plx_levels {
    int H, W;
    double *planes;
} plx_levels;

plx_levels plx_levels_of(const plx_image *image); /* aborts without memory */

/* What `metric` says of the levels of two images. */
double plx_levels_measure(double (*metric)(const plx_levels *a, const plx_levels *b), const plx_image *a,
                          const plx_image *b);

/* The metrics of nerf.h, on levels of one size. */
double plx_levels_psnr(const plx_levels *a, const plx_levels *b);
double plx_levels_sharpness(const plx_levels *image, const plx_levels *truth, const plx_image *mask);
double plx_levels_ssim(const plx_levels *a, const plx_levels *b);
double plx_levels_flip(const plx_levels *reference, const plx_levels *test);
/* 11x11 Gaussian windows at the first scale, and at several; the planes are used up. */
void plx_levels_gaussian(double *single, double *several, plx_levels *a, plx_levels *b);

double *plx_plane_alloc(size_t count); /* aborts without memory */

#endif
