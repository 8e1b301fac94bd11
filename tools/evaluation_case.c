#include "tools/evaluation_case.h"

#include "tools/evaluation_consistency.h"
#include "tools/parallax.h"

static int check_predicted(const plx_eval_entry *entry, const plx_eval_case *of, const plx_view *predicted) {
    for (int k = 0; k + 1 < of->views.count; k++) {
        const plx_camera *camera = &of->views.views[1 + k].camera;
        const plx_image *colour = &predicted[k].colour;
        if (!plx_image_is_finite(colour) || !plx_image_is_finite(&predicted[k].depth))
            return plx_fail(PLX_ERROR_NUMERIC, "%s by %s: view %d has pixels that are no numbers",
                            entry->object, entry->method, 1 + k);
        PLX_CHECK(colour->width == camera->width && colour->height == camera->height && colour->channels == 4,
                  "%s: view %d is (%d,%d,%d)", entry->method, 1 + k, colour->height, colour->width,
                  colour->channels);
    }
    return PLX_OK;
}

/* Truth without opacity is opaque: it has no silhouette. */
static int measure_view(plx_eval_sample *sample, const plx_eval_case *of, int k, const plx_view *predicted,
                        bool silhouette_only) {
    plx_view truth = of->views.views[1 + k];
    plx_image flat = {0};
    int status = of->views.has_alpha ? PLX_OK : plx_image_over(&flat, &truth.colour, 1);
    if (flat.data) truth.colour = flat;
    sample->gap = plx_camera_azimuth_gap(&of->views.views[0].camera, &truth.camera);
    if (!status) status = plx_eval_measure(sample, &truth, predicted, silhouette_only);
    plx_image_free(&flat);
    return status;
}

int plx_eval_measure_case(plx_eval_entry *entry, const plx_eval_measuring *what, const plx_eval_case *of,
                          const plx_view *predicted) {
    int status = check_predicted(entry, of, predicted);
    for (int k = 0; k < of->targets && !status; k++)
        status = measure_view(&entry->samples[k], of, k, &predicted[k], what->silhouette_only);
    if (status || what->silhouette_only) return status;
    status = plx_eval_measure_object(entry->samples, of->targets, &of->views.views[1], predicted);
    if (!status && what->scores)
        status = plx_eval_consistency(&entry->samples[0], what->scores, what->field_steps, of, predicted);
    return status;
}
