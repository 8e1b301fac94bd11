#include "tools/bench_data.h"

#include <stdlib.h>
#include <string.h>

#include "tools/jobs.h"

const char plx_bench_data_name[] = "data-load-draw 24 views of 64x64, 9 samples a pixel";

typedef struct drawing {
    plx_catalogue catalogue;
    const char *data;
    int objects;
    double *seconds; /* (objects) */
} drawing;

static int draw_object(int index, void *user) {
    drawing *d = user;
    const plx_object *object = &d->catalogue.objects[(int64_t)index * d->catalogue.count / d->objects];
    double began = plx_now();
    plx_scene *scene = NULL;
    int status = plx_object_scene(&scene, object, d->data, 0);
    for (int i = 0; i < PLX_BENCH_DATA_VIEWS && !status; i++) {
        plx_view view = {.camera = plx_default_camera(1, object->id, i, 64)};
        status = plx_scene_draw(scene, &view, NULL);
        plx_image_free(&view.colour);
    }
    plx_scene_free(scene);
    d->seconds[index] = plx_now() - began;
    return status;
}

int plx_bench_data_measure(plx_timing *out, double *rate, const char *catalogue, const char *data) {
    drawing d = {.data = data, .seconds = out->seconds};
    *out = (plx_timing){.repetitions = 1};
    int status = plx_catalogue_load(&d.catalogue, catalogue);
    if (!status && !d.catalogue.count) status = plx_fail(PLX_ERROR_INPUT, "%s: no objects", catalogue);
    d.objects = d.catalogue.count < PLX_TIMING_RUNS ? d.catalogue.count : PLX_TIMING_RUNS;
    double began = plx_now();
    if (!status) status = plx_run_jobs("draw", d.objects, draw_object, &d);
    *rate = d.objects * PLX_BENCH_DATA_VIEWS / (plx_now() - began);
    out->runs = d.objects;
    if (!status) qsort(out->seconds, (size_t)out->runs, sizeof *out->seconds, plx_ascending);
    plx_catalogue_free(&d.catalogue);
    return status;
}
