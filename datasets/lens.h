/* Lenses that bend straight lines: OpenCV's polynomial model. */
#ifndef PLX_DATASETS_LENS_H
#define PLX_DATASETS_LENS_H

#include "nerf/core/views.h"

typedef struct plx_lens {
    double k1, k2, k3, p1, p2; /* all 0: a pinhole */
} plx_lens;

bool plx_lens_bends(const plx_lens *lens);

/* Image plane at distance 1, x right, y down: where the point (x, y) of a pinhole appears through the lens. */
void plx_lens_apply(const plx_lens *lens, const double from[2], double to[2]);

/* For a picture taken by `bent` (its intrinsics, through the lens): the pinhole camera of the same size whose picture can be
 * had from it everywhere; it is zoomed in where the lens leaves corners empty. PLX_ERROR_SUPPORT when there is none. */
int plx_lens_pinhole(plx_camera *out, const plx_camera *bent, const plx_lens *lens);

/* Where the centre of the pinhole's pixel (row, column) lies in the bent picture, in pixels; never outside. */
void plx_lens_source(const plx_lens *lens, const plx_camera *pinhole, const plx_camera *bent, int row,
                     int column, double at[2]);

/* Resamples RGBA from the bent picture to the pinhole's, bilinear and premultiplied. */
int plx_lens_straighten(plx_image *rgba, const plx_lens *lens, const plx_camera *pinhole,
                        const plx_camera *bent);

#endif
