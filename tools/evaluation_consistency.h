/* 3D consistency of the views that a method predicts, as metrics of an evaluation (nerf/consistency.h). */
#ifndef PLX_TOOLS_EVALUATION_CONSISTENCY_H
#define PLX_TOOLS_EVALUATION_CONSISTENCY_H

#include "tools/evaluation.h"
#include "tools/evaluation_protocol.h"

/* Sets in out->values the metrics of the `scores` (PLX_SCORE_...) of predicted views, RGBA: predicted[k] is of->views.views[1 + k].
 * Those from of->scored on count; the input's view joins the field's fit of
 * field_steps. Depth is the truth's; without it, that of the
 * field that is fitted to these views. */
int plx_eval_consistency(plx_eval_sample *out, unsigned scores, int field_steps, const plx_eval_case *of,
                         const plx_view *predicted);

#endif
