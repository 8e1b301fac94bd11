/* The results of `parallax eval` as a table, as nerfstudio's ns-eval JSON with more beside, and as CSV. */
#ifndef PLX_TOOLS_EVALUATION_REPORT_H
#define PLX_TOOLS_EVALUATION_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "tools/evaluation.h"

typedef struct plx_eval_result {
    const char *method; /* "feedforward", ... */
    int count;
    plx_eval_sample *samples; /* (count), those of an object adjacent */
    double seconds;           /* an object, of predicting; NAN when unknown */
} plx_eval_result;

/* Means with standard errors over the objects; then PSNR, IoU and so on by azimuth gap. */
void plx_eval_print(FILE *out, int count, const plx_eval_result *results);

/* {"experiment_name", "method_name", "checkpoint", "results"}: ns-eval's; `results` holds NAME and NAME_std (over
 * objects) for every metric, NAME_error, and by_gap. Infinite and missing values are null. */
json_t *plx_eval_json(const plx_eval_result *result, const char *experiment, const char *checkpoint);

/* method,object,view,gap,psnr,...: a line a view. `ids` by sample's object. */
int plx_eval_csv(const char *path, int count, const plx_eval_result *results, const char *const *ids);

#endif
