#include "tools/evaluation_consistency.h"

#include <math.h>
#include <stdlib.h>

#include "tools/consistency_report.h"
#include "tools/field_depth.h"
#include "tools/parallax.h"

enum { NEEDS_DEPTH = PLX_SCORE_REPROJECTION | PLX_SCORE_VARIANCE };

/* ---- the views that are scored ------------------------------------------------------------------------------------- */

/* Over white and opaque, as truth without opacity is. */
static int flatten(plx_image *rgba) {
    plx_image flat;
    int status = plx_image_over(&flat, rgba, 1);
    if (status) return status;
    for (size_t i = 0; i < (size_t)flat.height * (size_t)flat.width; i++) {
        for (int c = 0; c < 3; c++) rgba->data[4 * i + (size_t)c] = flat.data[3 * i + (size_t)c];
        rgba->data[4 * i + 3] = 1;
    }
    plx_image_free(&flat);
    return PLX_OK;
}

/* Copies of colour; copies of the true depth if every view has it. */
static int gather(plx_views *out, const plx_eval_case *of, const plx_view *predicted) {
    int status = plx_views_create(out, of->views.count - of->scored);
    bool depth = true;
    out->has_alpha = of->views.has_alpha;
    for (int k = of->scored; k < of->views.count; k++) depth = depth && of->views.views[k].depth.data;
    for (int k = 0; k < out->count && !status; k++) {
        const plx_view *truth = &of->views.views[of->scored + k];
        plx_view *view = &out->views[k];
        view->camera = truth->camera;
        status = plx_image_copy(&view->colour, &predicted[of->scored - 1 + k].colour);
        if (!status && !out->has_alpha) status = flatten(&view->colour);
        if (!status && depth) status = plx_image_copy(&view->depth, &truth->depth);
    }
    return status;
}

/* ---- scores ---------------------------------------------------------------------------------------------------------- */

static int score_field(double *values, plx_field **field, const plx_views *views, const plx_view *input,
                       int steps) {
    plx_field_score score;
    plx_field_score_options o = plx_field_score_options_default();
    o.fit.steps = steps;
    int status = plx_field_score_views(&score, field, views, input, &o, plx_quiet_progress, NULL);
    if (status) return status;
    values[PLX_EVAL_FIELD_PSNR] = score.psnr;
    values[PLX_EVAL_FIELD_SSIM] = score.ssim;
    values[PLX_EVAL_FIELD_FLIP] = score.flip;
    return PLX_OK;
}

static int score_tsed(double *values, const plx_views *views) {
    plx_tsed score;
    plx_tsed_options o = plx_tsed_options_default();
    PLX_CHECK(o.thresholds == PLX_EVAL_TSED_LAST - PLX_EVAL_TSED_FIRST + 1, "TSED has %d thresholds",
              o.thresholds);
    int status = plx_tsed_score(&score, views, &o);
    if (status) return status;
    values[PLX_EVAL_TSED_MATCHES] = score.matches;
    values[PLX_EVAL_TSED_MATCHED] = score.pairs ? (double)score.matched / score.pairs : NAN;
    values[PLX_EVAL_TSED_MEDIAN] = score.median;
    for (int t = 0; t < o.thresholds; t++)
        values[PLX_EVAL_TSED_FIRST + t] = score.pairs ? score.consistent[t] : NAN;
    return PLX_OK;
}

static int score_surfaces(double *values, unsigned scores, const plx_views *views) {
    plx_reprojection warp;
    plx_surface_variance spread;
    plx_surface_options o = plx_surface_options_default();
    int status = PLX_OK;
    if (scores & PLX_SCORE_REPROJECTION) {
        status = plx_reprojection_score(&warp, views, &o);
        if (status) return status;
        values[PLX_EVAL_REPROJECTION] = warp.rms;
        values[PLX_EVAL_REPROJECTION_COVERAGE] = warp.coverage;
    }
    if (scores & PLX_SCORE_VARIANCE) {
        status = plx_surface_variance_score(&spread, views, &o);
        if (status) return status;
        values[PLX_EVAL_VARIANCE] = spread.deviation;
        values[PLX_EVAL_VARIANCE_COVERAGE] = spread.coverage;
    }
    return status;
}

/* Mean squared difference of neighbouring pixels over white, summed over channels and both directions, times 1000: blur
 * has little. */
static int measure_detail(double *values, const plx_views *views) {
    double sum = 0, pixels = 0;
    for (int v = 0; v < views->count; v++) {
        plx_image flat;
        int status = plx_image_over(&flat, &views->views[v].colour, 1);
        if (status) return status;
        size_t width = (size_t)flat.width;
        for (size_t i = 0; i + 1 < (size_t)flat.height; i++)
            for (size_t j = 0; j + 1 < width; j++)
                for (size_t c = 0; c < 3; c++) {
                    const float *p = flat.data + 3 * (i * width + j) + c;
                    double x = (double)p[3] - (double)p[0], y = (double)p[3 * width] - (double)p[0];
                    sum += x * x + y * y;
                }
        pixels += (double)(flat.height - 1) * (double)(flat.width - 1);
        plx_image_free(&flat);
    }
    if (pixels > 0) values[PLX_EVAL_DETAIL] = 1000 * sum / pixels;
    return PLX_OK;
}

int plx_eval_consistency(plx_eval_sample *out, unsigned scores, int field_steps, const plx_eval_case *of,
                         const plx_view *predicted) {
    plx_views views = {0};
    plx_field *fitted = NULL;
    double fields[PLX_EVAL_METRICS] = {0};
    int status = gather(&views, of, predicted);
    bool fit_depth = (scores & NEEDS_DEPTH) && views.count && !views.views[0].depth.data;
    if (!status) status = measure_detail(out->values, &views);
    if (!status && ((scores & PLX_SCORE_FIELD) || fit_depth))
        status = score_field(fields, &fitted, &views, &of->views.views[0], field_steps);
    for (int m = PLX_EVAL_FIELD_PSNR; m <= PLX_EVAL_FIELD_FLIP && (scores & PLX_SCORE_FIELD); m++)
        out->values[m] = fields[m];
    if (!status && (scores & PLX_SCORE_TSED)) status = score_tsed(out->values, &views);
    if (!status && fit_depth) status = plx_field_depth(&views, fitted);
    if (!status && (scores & NEEDS_DEPTH)) status = score_surfaces(out->values, scores, &views);
    plx_field_free(fitted);
    plx_views_free(&views);
    return status;
}
