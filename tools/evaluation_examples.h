/* The objects whose pictures a report shows, and the pictures. */
#ifndef PLX_TOOLS_EVALUATION_EXAMPLES_H
#define PLX_TOOLS_EVALUATION_EXAMPLES_H

#include "tools/evaluation_entrants.h"
#include "tools/evaluation_report.h"

enum {
    PLX_EVAL_EXAMPLES = 3,      /* the best, the median and the worst object */
    PLX_EVAL_EXAMPLE_VIEWS = 3, /* of each */
    PLX_EVAL_RING = 16          /* views of a turntable */
};

/* One object. */
typedef struct plx_eval_example {
    int object;
    const char *rank;                  /* "best", "median", "worst" */
    plx_image input;                   /* or empty */
    int count;                         /* views shown */
    int views[PLX_EVAL_EXAMPLE_VIEWS]; /* numbers within the object, from 0 */
    plx_image truth[PLX_EVAL_EXAMPLE_VIEWS];
    struct plx_eval_shown {
        plx_image views[PLX_EVAL_EXAMPLE_VIEWS]; /* or empty */
        plx_image ring; /* PLX_EVAL_RING pictures from left to right, one turn; or empty */
    } * shown;          /* (methods) */
} plx_eval_example;

/* By the object's mean PSNR of `result`, or by its IoU without one; fewer than PLX_EVAL_EXAMPLES where there are fewer objects, none
 * where nothing was measured. The views: the first, the middle and the last by azimuth gap, or by number. */
int plx_eval_examples_choose(plx_eval_example out[PLX_EVAL_EXAMPLES], int *count, const plx_eval_set *set,
                             const plx_eval_result *result, int methods);
void plx_eval_example_free(plx_eval_example *example, int methods);

/* Their input, truth, and what the plain entrants whose methods are drawn make of them, turntables too: shown[] of
 * entrants->plain methods. */
int plx_eval_examples_predict(int count, plx_eval_example *examples, const plx_eval_protocol *protocol,
                              const plx_eval_entrants *entrants);

/* (H,W,3 or 4) -> over white, (H,W,3). */
int plx_eval_example_picture(plx_image *out, const plx_image *colour);

#endif
