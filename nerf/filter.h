/* Levels of images as planes, and separable filters of these a row at a time, as the image metrics use them. */
#ifndef PLX_NERF_FILTER_H
#define PLX_NERF_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "nerf/nerf.h"

enum { PLX_FILTER_RADIUS = 10 }; /* the largest */

typedef struct plx_filter {
    int radius;
    float weight[2 * PLX_FILTER_RADIUS + 1]; /* of the pixels at -radius .. radius */
    bool
        differences; /* weights of sum 0, of each pixel's difference from the middle one: exactly 0 where all are equal */
} plx_filter;

/* exp(-i^2 / (2 sigma^2)), sum 1; without its ends where they are below 1e-9 of the whole. */
plx_filter plx_filter_gaussian(int radius, double sigma);

/* A line holds W pixels from PLX_FILTER_RADIUS on, its edges repeated before and behind, and room for whole vectors. */
size_t plx_filter_line(int W);
/* in (H,W), with room behind as of plx_plane_alloc, filtered along y, edges repeated: its row y -> line. */
void plx_filter_down(const float *in, int H, int W, const plx_filter *f, int y, float *line);
/* The pixels first .. first+count-1 of the line, filtered along x -> out, which has the size of a line. */
void plx_filter_along(const float *line, int first, int count, const plx_filter *f, float *out);

/* Pixels side by side, anywhere in an array of floats, and one bit mask each. */
typedef float plx_pixels __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t plx_choice __attribute__((vector_size(32)));
enum { PLX_PIXELS = sizeof(plx_pixels) / sizeof(float) };

/* a where the condition holds, else b. */
static inline plx_pixels plx_either(plx_choice condition, plx_pixels a, plx_pixels b) {
    return (plx_pixels)(((plx_choice)a & condition) | ((plx_choice)b & ~condition));
}

/* In [0,1]; of NaN, 0. */
static inline plx_pixels plx_clamp(plx_pixels x) {
    const plx_pixels zero = {0}, one = zero + 1;
    x = plx_either(x > zero, x, zero);
    return plx_either(x < one, x, one);
}

/* 8-bit levels 0 to 255 of an image (H,W,3): planes (3,H,W), to be freed. */
typedef struct plx_levels {
    int H, W;
    float *planes;
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

float *plx_plane_alloc(size_t count); /* room for a vector's overrun behind; aborts without memory */

#endif
