/* The results of an evaluation as tables, as nerfstudio's ns-eval JSON with more beside, and as CSV. */
#ifndef PLX_TOOLS_EVALUATION_REPORT_H
#define PLX_TOOLS_EVALUATION_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "tools/evaluation.h"

/* What was measured on. */
typedef struct plx_eval_set {
    int count;                  /* objects */
    const char *const *ids;     /* (count) */
    const char *const *classes; /* (count), or NULL */
    int scales;                 /* of MS-SSIM; 0: not the same for all images */
    bool gaps;                  /* the azimuth from the input is known */
} plx_eval_set;

typedef struct plx_eval_result {
    const char *method; /* "feedforward", ... */
    int count;
    plx_eval_sample *samples; /* (count), those of an object adjacent */
    const char *const *views; /* (count) their names, or NULL: 1, 2, ... in each object */
    double seconds;           /* of one processor an object, of predicting; NAN when unknown */
} plx_eval_result;

/* Means with their intervals, a column a method; differences to the method `reference` (an index); then the main metrics by
 * azimuth gap and by class, with standard errors. */
int plx_eval_print(FILE *out, const plx_eval_set *set, int count, const plx_eval_result *results,
                   int reference);

/* {"experiment_name", "method_name", "checkpoint", "results", "objects", "paired"} of results[which]: ns-eval's, and more.
 * `results` holds for every metric NAME, NAME_std (over objects), NAME_error, NAME_low and NAME_high (95 %), NAME_missing
 * (views without), and by_gap and by_class; `paired` the differences to each other method. Infinite, missing and unmeasured
 * values are null, such as lpips and fid, for which there are no networks. NULL without memory. */
json_t *plx_eval_json(const plx_eval_set *set, int count, const plx_eval_result *results, int which,
                      const char *experiment, const char *checkpoint);

int plx_eval_json_save(const char *path, const json_t *json);

/* method,object,class,view,gap,psnr,...: a line a view; an object's own metrics stand in its first. */
int plx_eval_csv(const char *path, const plx_eval_set *set, int count, const plx_eval_result *results);

/* The part of a result that is of one class: samples is malloc'ed. */
int plx_eval_of_class(plx_eval_result *out, const plx_eval_set *set, const plx_eval_result *result,
                      const char *class_name);
/* The classes, each once, in the order of their first objects: names is malloc'ed. */
int plx_eval_classes(const char ***names, int *count, const plx_eval_set *set);

#endif
