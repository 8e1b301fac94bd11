/* How good predicted views are: metrics of a view, their means over views and then objects, silhouettes swept along the
 * input's rays. What `parallax eval` computes with. */
#ifndef PLX_TOOLS_EVALUATION_H
#define PLX_TOOLS_EVALUATION_H

#include "nerf/nerf.h"

enum plx_eval_metric {
    PLX_EVAL_PSNR,
    PLX_EVAL_SSIM,
    PLX_EVAL_FLIP,
    PLX_EVAL_IOU,
    PLX_EVAL_SHARPNESS,
    PLX_EVAL_METRICS
};
extern const char *const plx_eval_metric_names[PLX_EVAL_METRICS]; /* "psnr", ... */

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

/* truth->colour and `prediction` are (H,W,4). silhouette_only: no metric but the IoU. Sets values, not object and gap. */
int plx_eval_measure(plx_eval_sample *out, const plx_view *truth, const plx_image *prediction,
                     bool silhouette_only);

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

/* The input's mask swept along its viewing rays through the bounding sphere, seen from `camera`: out (H,W,4), white, opacity
 * 0 or 1. What a method reaches that knows the outline and nothing of depth. */
int plx_eval_extrude(plx_image *out, const plx_view *input, const plx_camera *camera);

#endif
