/* How good predicted views are: metrics of a view, their means over views and then objects, silhouettes swept along the
 * input's rays. What `parallax eval` computes with. */
#ifndef PLX_TOOLS_EVALUATION_H
#define PLX_TOOLS_EVALUATION_H

#include <stdbool.h>

#include "nerf/nerf.h"

enum plx_eval_metric {
    PLX_EVAL_PSNR,
    PLX_EVAL_SSIM,
    PLX_EVAL_FLIP,
    PLX_EVAL_IOU,
    PLX_EVAL_SHARPNESS,
    PLX_EVAL_SSIM_GAUSSIAN,
    PLX_EVAL_MS_SSIM,
    PLX_EVAL_DEPTH,          /* mean absolute error, world units, over the pixels where both have depth */
    PLX_EVAL_DEPTH_RELATIVE, /* over the true distance */
    PLX_EVAL_DEPTH_COVERAGE, /* those pixels over the truth's */
    PLX_EVAL_SWD,
    PLX_EVAL_FIELD_PSNR, /* 3D consistency (evaluation_consistency.h), from here on */
    PLX_EVAL_FIELD_SSIM,
    PLX_EVAL_FIELD_FLIP,
    PLX_EVAL_TSED_MATCHES, /* a pair of neighbouring views */
    PLX_EVAL_TSED_MATCHED, /* share of the pairs that have enough */
    PLX_EVAL_TSED_MEDIAN,  /* pixels, over those */
    PLX_EVAL_TSED_FIRST,   /* share of the pairs that are consistent, one a threshold */
    PLX_EVAL_TSED_LAST = PLX_EVAL_TSED_FIRST + 4,
    PLX_EVAL_REPROJECTION, /* root mean square */
    PLX_EVAL_REPROJECTION_COVERAGE,
    PLX_EVAL_VARIANCE, /* deviation */
    PLX_EVAL_VARIANCE_COVERAGE,
    PLX_EVAL_DETAIL, /* of the views that are scored: what blur takes away */
    PLX_EVAL_METRICS
};

typedef struct plx_eval_kind {
    const char *name, *heading; /* in files, in tables */
    int decimals;
    enum plx_eval_better { PLX_EVAL_HIGHER, PLX_EVAL_LOWER, PLX_EVAL_NEAR_ONE, PLX_EVAL_NO_ORDER } better;
    bool geometric; /* a ratio with a long tail above: means are of logarithms */
    bool of_object; /* one value an object: it stands in the object's first view */
    bool by_gap;    /* has a table by azimuth gap */
} plx_eval_kind;
extern const plx_eval_kind plx_eval_kinds[PLX_EVAL_METRICS];

/* Bins of the azimuth between input and target view: [0,30), [30,60), [60,120), [120,180] degrees. */
#define PLX_EVAL_GAPS 4
extern const double plx_eval_gap_limits[PLX_EVAL_GAPS + 1];
int plx_eval_gap_bin(double degrees);

/* One target view of one object. */
typedef struct plx_eval_sample {
    int object;
    double gap;                      /* degrees of azimuth from the input */
    double values[PLX_EVAL_METRICS]; /* NAN: there is none, such as the sharpness of a flat truth */
} plx_eval_sample;

/* Both views have colour (H,W,4) or (H,W,3), which is opaque, and depth or none, all of one size (PLX_CHECK). What they or
 * their size cannot give is NAN: an IoU without two opacities, Gaussian windows below 11 pixels. silhouette_only: no metric but the
 * IoU. Sets values, not object and gap; those of whole objects to NAN. */
int plx_eval_measure(plx_eval_sample *out, const plx_view *truth, const plx_view *prediction,
                     bool silhouette_only);

/* The metrics of one object's `count` views together, into samples[0]; after plx_eval_measure. NAN where sizes differ. */
int plx_eval_measure_object(plx_eval_sample *samples, int count, const plx_view *truth,
                            const plx_view *prediction);

typedef struct plx_eval_mean {
    double mean;      /* over the objects, of each object's mean over its views; NAN without any */
    double deviation; /* sample standard deviation over the objects; NAN below two */
    double error;     /* the standard error of `mean` = deviation / sqrt(objects) */
    int objects, views;
} plx_eval_mean;

/* Samples of one object are adjacent. `gap` is a bin, or -1 for all views. Values that are NAN are left out; infinite
 * ones make the mean infinite. Sharpness: geometric means. */
plx_eval_mean plx_eval_average(const plx_eval_sample *samples, int count, enum plx_eval_metric metric,
                               int gap);

/* means[object] for the objects 0 .. objects-1: over the object's views; NAN without any. Geometric metrics: the mean logarithm.
 * Returns how many views have no value (of an object's metric: how many objects). */
int plx_eval_object_means(const plx_eval_sample *samples, int count, enum plx_eval_metric metric, int objects,
                          double *means);

/* ---- how certain a mean over objects is ---------------------------------------------------------------------------- */

#define PLX_EVAL_RESAMPLES 10000

typedef struct plx_eval_interval {
    double mean, low,
        high; /* of the mean: the central 95 % of its bootstrap distribution; NAN below two objects */
    int objects;
} plx_eval_interval;

/* Over the values that are not NAN: PLX_EVAL_RESAMPLES draws of as many with replacement, the same for the same number of
 * values. An infinite value makes all infinite or NAN. PLX_ERROR_MEMORY. */
int plx_eval_bootstrap(plx_eval_interval *out, const double *values, int count);
/* Of means[i] of plx_eval_object_means, back on the metric's scale. */
int plx_eval_mean_interval(plx_eval_interval *out, const double *means, int objects,
                           enum plx_eval_metric metric);
/* Of a[i] - b[i] over the objects that both have; of geometric metrics the ratio. */
int plx_eval_paired_interval(plx_eval_interval *out, const double *a, const double *b, int objects,
                             enum plx_eval_metric metric);

/* The input's mask swept along its viewing rays through the bounding sphere, seen from `camera`: out (H,W,4), white, opacity
 * 0 or 1. What a method reaches that knows the outline and nothing of depth. */
int plx_eval_extrude(plx_image *out, const plx_view *input, const plx_camera *camera);

#endif
