/* What a sweep says: every method's metrics against the value that was swept, as a table and as a picture. */
#ifndef PLX_TOOLS_EVALUATION_SWEEP_H
#define PLX_TOOLS_EVALUATION_SWEEP_H

#include "tools/evaluation_entrants.h"
#include "tools/evaluation_report.h"

/* results[i] is entrant i's. A line a value: PSNR, FLIP, sharpness, sliced Wasserstein distance with their intervals, seconds. */
int plx_eval_sweeps_print(FILE *out, const plx_eval_set *set, const plx_eval_entrants *entrants,
                          const plx_eval_result *results);

/* SVG: a row or column a sweep, a panel a metric: what it differs by from entrant `reference` (a dashed line), object by object; -1: as it is.
 * Bars are the intervals. Atomic. */
int plx_eval_sweeps_plot(const char *path, const plx_eval_set *set, const plx_eval_entrants *entrants,
                         const plx_eval_result *results, int reference);

/* SVG: PSNR, FLIP, sharpness, sliced Wasserstein distance of those that are compared as they are against their seconds an object; a
 * line a method, through its qualities. Atomic. */
int plx_eval_time_plot(const char *path, const plx_eval_set *set, const plx_eval_entrants *entrants,
                       const plx_eval_result *results);

/* The panels of one sweep, each an <svg> of its own, for a page. */
int plx_eval_sweeps_panels(FILE *out, const plx_eval_set *set, const plx_eval_entrants *entrants, int sweep,
                           const plx_eval_result *results, int reference);

#endif
