#include "tools/evaluation_methods.h"

#include "tools/evaluation.h"
#include "tools/parallax.h"

/* ---- without a model ------------------------------------------------------------------------------------------------ */

static int predict_truth(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of) {
    int status = PLX_OK;
    (void)means;
    for (int k = 0; k < count && !status; k++) {
        const plx_view *truth = &of->views.views[1 + k];
        if (!truth->colour.data)
            return plx_fail(PLX_ERROR_INPUT, "there are no true pictures along the path");
        status = plx_image_copy(&out[k].colour, &truth->colour);
        if (!status && truth->depth.data) status = plx_image_copy(&out[k].depth, &truth->depth);
    }
    return status;
}

static int predict_copy(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of) {
    int status = PLX_OK;
    (void)means;
    for (int k = 0; k < count && !status; k++)
        status = plx_image_copy(&out[k].colour, &of->views.views[0].colour);
    return status;
}

static int predict_extruded(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of) {
    int status = PLX_OK;
    (void)means;
    for (int k = 0; k < count && !status; k++)
        status = plx_eval_extrude(&out[k].colour, &of->views.views[0], &out[k].camera);
    return status;
}

static int predict_nearest(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of) {
    return plx_eval_nearest_draw(means->nearest, of->index, out, count);
}

/* ---- the model's field ------------------------------------------------------------------------------------------------ */

static int render_field(plx_view *out, int count, plx_field *field, const plx_eval_means *means) {
    plx_render_options o = plx_render_options_default();
    int status = PLX_OK;
    o.samples = means->samples;
    o.depth = true;
    for (int k = 0; k < count && !status; k++) status = plx_field_render(field, &out[k], &o);
    return status;
}

static int predict_feedforward(plx_view *out, int count, const plx_eval_means *means,
                               const plx_eval_case *of) {
    plx_field *field = NULL;
    int status = plx_model_reconstruct(&field, means->model, &of->input, means->elevation_known, false);
    if (!status) status = render_field(out, count, field, means);
    plx_field_free(field);
    return status;
}

static int predict_refined(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of) {
    plx_field *field = NULL;
    int status = plx_model_reconstruct(&field, means->model, &of->input, means->elevation_known, true);
    if (!status)
        status = plx_field_refine(field, means->model, &of->input, means->elevation_known,
                                  &means->numbers.refine, plx_quiet_progress, NULL);
    if (!status) status = render_field(out, count, field, means);
    plx_field_free(field);
    return status;
}

/* ---- the diffusion model alone ----------------------------------------------------------------------------------------- */

static int predict_views(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of) {
    return plx_model_sample_views(out, count, means->model, &of->input, means->elevation_known,
                                  &means->numbers.sampling, plx_quiet_progress, NULL);
}

/* ---- all of them -------------------------------------------------------------------------------------------------------- */

const plx_eval_method plx_eval_methods[PLX_EVAL_METHODS] = {
    {.name = "truth", .predict = predict_truth},
    {.name = "copy", .predict = predict_copy},
    {.name = "extruded", .silhouette_only = true, .predict = predict_extruded},
    {.name = "nearest", .needs = PLX_EVAL_NEEDS_NEAREST, .drawn = true, .predict = predict_nearest},
    {.name = "feedforward",
     .needs = PLX_EVAL_NEEDS_MODEL,
     .drawn = true,
     .reference = true,
     .predict = predict_feedforward},
    {.name = "views",
     .needs = PLX_EVAL_NEEDS_MODEL,
     .has = PLX_EVAL_SAMPLES,
     .drawn = true,
     .predict = predict_views},
    {.name = "paper",
     .needs = PLX_EVAL_NEEDS_MODEL,
     .has = PLX_EVAL_REFINES,
     .mode = PLX_REFINE_PAPER,
     .drawn = true,
     .predict = predict_refined},
    {.name = "blend",
     .needs = PLX_EVAL_NEEDS_MODEL,
     .has = PLX_EVAL_REFINES,
     .mode = PLX_REFINE_BLEND,
     .drawn = true,
     .predict = predict_refined},
};
