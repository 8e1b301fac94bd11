/* SIFT keypoints (Lowe, IJCV 2004) and their matches. VLFeat stands behind nerf/sift.c. Inside nerf/ only. */
#ifndef PLX_NERF_SIFT_H
#define PLX_NERF_SIFT_H

#include "nerf/core/image.h"

typedef struct plx_keypoint {
    float x, y;            /* pixels, the first pixel's centre at 0.5 */
    float scale, angle;    /* pixels, radians */
    float descriptor[128]; /* of unit length */
} plx_keypoint;

/* Of the luma of colours (H,W,3). Octaves from twice the size on, 3 levels each; Lowe's edge limit (curvatures up to
 * 10 : 1); `contrast`: least |difference of Gaussians|, of values in [0,1]. Up to 4 keypoints a place, one a
 * dominant direction. Free *keypoints. */
int plx_sift_find(plx_keypoint **keypoints, int *count, const plx_image *image, float contrast);

typedef struct plx_match {
    int a, b;
} plx_match;

/* Lowe's ratio test: the b nearest to each a, where it is nearer than `ratio` times the second nearest. Free *matches. */
int plx_sift_match(plx_match **matches, int *count, const plx_keypoint *a, int count_a, const plx_keypoint *b,
                   int count_b, float ratio);

#endif
