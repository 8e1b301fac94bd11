/* 3D consistency: are generated views with known poses views of one object? No score needs a true picture. Public.
 *
 *     #include "nerf/consistency.h"
 *     #include <stdio.h>
 *     // example: a ball coloured by its place in space is one object; coloured by the view it is none.
 *     static int make_view(plx_view *view, int i, bool one_object) {
 *         view->camera = plx_camera_orbit(0.3f * (float)i, 0.2f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 32, 32);
 *         int status = plx_image_create(&view->colour, 32, 32, 4);
 *         if (!status) status = plx_image_create(&view->depth, 32, 32, 2);
 *         for (int k = 0; k < 32 * 32 && !status; k++) {
 *             float o[3], d[3], *rgba = view->colour.data + 4 * k, *t = view->depth.data + 2 * k;
 *             plx_camera_ray(&view->camera, (float)(k % 32) + 0.5f, (float)(k / 32) + 0.5f, o, d);
 *             if (!plx_ray_sphere(o, d, 0.3f, &t[0], &t[1])) continue;
 *             for (int c = 0; c < 3; c++) rgba[c] = one_object ? 0.5f + o[c] + t[0] * d[c] : 0.1f * (float)i;
 *             rgba[3] = 1;
 *         }
 *         return status;
 *     }
 *     int main(void) {
 *         plx_surface_options options = plx_surface_options_default();
 *         for (int one_object = 0; one_object < 2; one_object++) {
 *             plx_views views = {0};
 *             plx_reprojection score;
 *             int status = plx_views_create(&views, 8);
 *             for (int i = 0; i < views.count && !status; i++) status = make_view(&views.views[i], i, one_object);
 *             if (!status) status = plx_reprojection_score(&score, &views, &options);
 *             if (!status) printf("%s: RMS %.3f\n", one_object ? "one object" : "eight", score.rms);
 *             else fprintf(stderr, "%s\n", plx_error());
 *             plx_views_free(&views);
 *             if (status) return 1;
 *         }
 *         return 0;
 *     }
 *
 * What each sees, and where it fails (tests/test_consistency*.c hold both):
 *  - All but TSED: a flat or blurred picture is consistent with its like, so that blur is never punished. Read them beside
 *    a score of quality.
 *  - Views of another object, all of the same one, are consistent: only depth of the right shape can tell, by the shape.
 *  - Reprojection and surface variance are as true as the depth. With true depth they also see wrong shape and wrong pose
 *    (as wrong colour); with depth from a field that was fitted to the same views they see only what the field could not
 *    explain. An object of one colour looks right from wrong poses, and a symmetric one from poses of its symmetry.
 *  - TSED asks for texture: without at least 10 matches a pair counts as inconsistent, true or not (`matched` tells how
 *    many had them). It tells views that are wrong in geometry, not in colour. At small baselines it passes
 *    the same picture shown at every pose: near the epipoles' horizon no motion is a legal motion.
 *  - The field score sees everything that a field of that budget cannot explain, true detail too: compare only scores
 *    of one budget, size and set of poses. The same picture at every pose scores well against views near by.
 *  - Views sampled each alone from the shipped diffusion model (tests/test_sample_views.c) are told from true ones by all four,
 *    but not by the field score's PSNR: they are paler, and a mean grey is then no costly guess. Its SSIM and FLIP tell. */
#ifndef PLX_NERF_CONSISTENCY_H
#define PLX_NERF_CONSISTENCY_H

#include "nerf/nerf.h"

/* ---- pairs of views and their epipolar geometry ------------------------------------------------------------ */

typedef struct plx_view_pair {
    int a, b; /* a < b */
} plx_view_pair;

/* Pairs in which one view is among the `neighbours` nearest of the other, by the distance of the cameras' centres; 0:
 * all pairs. Ordered by a, then b. Pairs without a baseline (centres closer than 1e-4 of their distance from the mean
 * centre) are left out: they have no epipolar geometry. Free *pairs. */
int plx_view_pairs(plx_view_pair **pairs, int *count, const plx_views *views, int neighbours);

/* F (3,3) with p_b' F p_a = 0 for the images p = (px, py, 1), in pixels, of one point; 0 without a baseline. */
void plx_fundamental(const plx_camera *a, const plx_camera *b, double F[9]);

/* Mean of the distances of each point from the other's epipolar line, pixels; NAN at an epipole or without a baseline. */
double plx_epipolar_distance(const double F[9], const float point_a[2], const float point_b[2]);

/* ---- TSED --------------------------------------------------------------------------------------------------- */

enum { PLX_TSED_THRESHOLDS = 8 }; /* at most */

typedef struct plx_tsed_options {
    int neighbours;    /* as of plx_view_pairs. Default 2 */
    int least_matches; /* that a consistent pair has. Default 10 (the paper's) */
    float ratio;       /* Lowe's. Default 0.8 (Lowe 2004) */
    float
        contrast; /* of SIFT's keypoints: least |difference of Gaussians|, colours in [0,1]. Default 0.0133 */
    int thresholds; /* on a pair's median symmetric epipolar distance, pixels. Default 5: 0.5, 1, 1.5, 2, 4 */
    float threshold[PLX_TSED_THRESHOLDS];
} plx_tsed_options;

plx_tsed_options plx_tsed_options_default(void);

typedef struct plx_tsed {
    int pairs, matched; /* pairs of neighbours, and those that have enough matches */
    double matches;     /* of a pair, mean over all */
    double median;      /* pixels: the median over matched pairs of their median distances; NAN if none */
    double consistent
        [PLX_TSED_THRESHOLDS]; /* share of all pairs: enough matches, median at or below the threshold */
} plx_tsed;

/* Thresholded symmetric epipolar distance (Yu et al., ICCV 2023) of SIFT matches under the views' own poses. Pixels are
 * the views': compare only scores of one size. PLX_ERROR_INPUT names the view that is not as it should be. */
int plx_tsed_score(plx_tsed *out, const plx_views *views, const plx_tsed_options *options);

/* ---- surfaces seen by several views ------------------------------------------------------------------------ */

/* Every view has depth of its colour's size. A surface point is seen by a view where the depth around its image is smooth
 * (no silhouette, fold or crease within a pixel: colours there are mixtures) and equals the point's distance. Lengths are
 * in footprints: what one pixel covers at that distance. Colours are over white, 8 bits, bilinear. */
typedef struct plx_surface_options {
    float tolerance; /* footprints between a point's distance and the view's depth. Default 1 */
    float roughness; /* largest second difference of depth that is smooth, footprints. Default 1 */
    int neighbours;  /* reprojection: pairs as of plx_view_pairs. Default 8 */
    int least_views; /* variance: points that fewer views see do not count; 2 or more. Default 3 */
    float cell;      /* variance: side of the cubes that each hold one point, footprints. Default 1 */
} plx_surface_options;

plx_surface_options plx_surface_options_default(void);

typedef struct plx_reprojection {
    int pairs;              /* ordered: from each view of a pair to the other */
    int64_t points, shared; /* surface points of the first views, and those that the second sees too */
    double coverage;        /* shared / points; NAN if there are none */
    double absolute,
        rms; /* of the colours' differences, mean over channels and shared points, [0,1]; NAN if none */
} plx_reprojection;

/* The points at one view's pixel centres, looked up in its neighbours. PLX_ERROR_INPUT names the view that is not as above. */
int plx_reprojection_score(plx_reprojection *out, const plx_views *views, const plx_surface_options *options);

typedef struct plx_surface_variance {
    int64_t points, seen; /* surface points, and those that enough views see */
    double coverage;      /* seen / points */
    double views;         /* that see a point of `seen`, mean */
    double
        deviation; /* root of the mean over seen points of the unbiased variance of colour, mean over channels */
} plx_surface_variance;

/* The points are those of all views' pixel centres, one a cube. */
int plx_surface_variance_score(plx_surface_variance *out, const plx_views *views,
                               const plx_surface_options *options);

/* ---- a field fitted to the views --------------------------------------------------------------------------- */

/* The budget is part of the score: compare only scores of one. */
typedef struct plx_field_score_options {
    plx_fit_options
        fit;     /* its seed is that of the split too. Default: 400 steps of 1024 rays, planes of 64 texels a
                          * side; the rest as of plx_fit_options_default */
    float share; /* of the views that are fitted; at least one is, and one is not. Default 0.8 */
    int samples; /* across the field, a ray, when it is drawn. Default 96 */
} plx_field_score_options;

plx_field_score_options plx_field_score_options_default(void);

typedef struct plx_field_score {
    int fitted, held;        /* views; the input is not counted */
    double psnr, ssim, flip; /* of the field's views against the held ones; means over views */
} plx_field_score;

/* Neural-field scoring (3DiM: Watson et al., ICLR 2023): a fresh field is fitted to a random share of the views and to the
 * input, if there is one (else NULL), and measured on the other views. `field` (or NULL) gets the field. */
int plx_field_score_views(plx_field_score *out, plx_field **field, const plx_views *views,
                          const plx_view *input, const plx_field_score_options *options,
                          plx_progress_fn progress, void *user);

#endif
