/* The metrics of an evaluation as work to be timed. */
#include <stdlib.h>

#include "tools/bench_stages.h"
#include "tools/evaluation.h"

typedef struct metrics_work {
    int pairs;
    plx_view *truth, *image; /* (pairs) */
    plx_eval_sample *samples;
} metrics_work;

static void free_work(void *state) {
    metrics_work *w = state;
    for (int k = 0; k < 2 * w->pairs && w->truth; k++) plx_image_free(&w->truth[k].colour);
    free(w->truth);
    free(w->samples);
    free(w);
}

static int run(void *state) {
    metrics_work *w = state;
    bool failed = false;
#pragma omp parallel for schedule(dynamic, 1) reduction(|| : failed)
    for (int k = 0; k < w->pairs; k++)
        failed = plx_eval_measure(&w->samples[k], &w->truth[k], &w->image[k], false) || failed;
    if (failed) return plx_fail(PLX_ERROR_MEMORY, "metrics: out of memory");
    return plx_eval_measure_object(w->samples, w->pairs, w->truth, w->image);
}

/* A disc of noise, RGBA. */
static int draw(plx_image *out, int size, uint64_t stream) {
    int status = plx_image_create(out, size, size, 4);
    for (int p = 0; p < size * size && !status; p++) {
        int row = p / size - size / 2, column = p % size - size / 2;
        for (int c = 0; c < 3; c++)
            out->data[4 * p + c] = plx_rng_uniform((plx_rng){1, stream}, (uint64_t)(4 * p + c));
        out->data[4 * p + 3] = row * row + column * column < size * size / 5;
    }
    return status;
}

int plx_stage_metrics(plx_workload *out, int pairs, int size) {
    metrics_work *w = calloc(1, sizeof *w);
    if (!w) return plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    *out = (plx_workload){.run = run, .free = free_work, .state = w};
    snprintf(out->name, sizeof out->name, "metrics of %d pairs of %dx%d", pairs, size, size);
    w->pairs = pairs;
    w->truth = calloc(2 * (size_t)pairs, sizeof *w->truth);
    w->samples = calloc((size_t)pairs, sizeof *w->samples);
    int status = w->truth && w->samples ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    w->image = w->truth ? w->truth + pairs : NULL;
    for (int k = 0; k < 2 * pairs && !status; k++) status = draw(&w->truth[k].colour, size, (uint64_t)k);
    if (status) plx_workload_free(out);
    return status;
}
