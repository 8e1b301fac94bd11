/* One object by one method: what was predicted is checked and measured. */
#ifndef PLX_TOOLS_EVALUATION_CASE_H
#define PLX_TOOLS_EVALUATION_CASE_H

#include "tools/evaluation_journal.h"
#include "tools/evaluation_protocol.h"

typedef struct plx_eval_measuring {
    bool silhouette_only;
    unsigned scores; /* of consistency, PLX_SCORE_...; 0: none */
    int field_steps; /* of its field's fit */
} plx_eval_measuring;

/* predicted[k], RGBA, is to be of->views.views[1 + k]. Fills entry->samples (of->targets). PLX_ERROR_NUMERIC names the first view
 * with a pixel or depth that is no number. */
int plx_eval_measure_case(plx_eval_entry *entry, const plx_eval_measuring *what, const plx_eval_case *of,
                          const plx_view *predicted);

#endif
