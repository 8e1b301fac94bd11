#include "tools/evaluation_examples.h"

#include <math.h>
#include <stdlib.h>

#include "tools/parallax.h"

typedef struct ranked {
    int index;
    double value;
} ranked;

/* Ascending; of equal ones the first is first. */
static int by_value(const void *a, const void *b) {
    const ranked *p = a, *q = b;
    if (p->value != q->value) return p->value < q->value ? -1 : 1;
    return p->index - q->index;
}

/* Those that have a value, from the lowest to the highest; returns how many. */
static int rank_objects(ranked *out, const plx_eval_set *set, const plx_eval_result *r, double *means) {
    static const enum plx_eval_metric metrics[] = {PLX_EVAL_PSNR, PLX_EVAL_IOU};
    int count = 0;
    for (int m = 0; m < 2 && !count; m++) {
        plx_eval_object_means(r->samples, r->count, metrics[m], set->count, means);
        for (int i = 0; i < set->count; i++)
            if (!isnan(means[i])) out[count++] = (ranked){i, means[i]};
    }
    qsort(out, (size_t)count, sizeof *out, by_value);
    return count;
}

static void choose_views(plx_eval_example *e, const plx_eval_set *set, const plx_eval_result *r,
                         ranked *order) {
    int first = 0, count = 0;
    while (r->samples[first].object != e->object) first++;
    for (; first + count < r->count && r->samples[first + count].object == e->object; count++)
        order[count] = (ranked){count, set->gaps ? r->samples[first + count].gap : count};
    qsort(order, (size_t)count, sizeof *order, by_value);
    e->count = count < PLX_EVAL_EXAMPLE_VIEWS ? count : PLX_EVAL_EXAMPLE_VIEWS;
    for (int k = 0; k < e->count; k++)
        e->views[k] = order[e->count > 1 ? k * (count - 1) / (e->count - 1) : 0].index;
}

int plx_eval_examples_choose(plx_eval_example out[PLX_EVAL_EXAMPLES], int *count, const plx_eval_set *set,
                             const plx_eval_result *result, int methods) {
    static const char *const ranks[] = {"best", "median", "worst"};
    int most = set->count > result->count ? set->count : result->count, status = PLX_OK;
    double *means = malloc((size_t)(set->count + 1) * sizeof *means);
    ranked *order = malloc((size_t)(most + 1) * sizeof *order);
    *count = 0;
    if (!means || !order) status = plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    int ranked_count = status ? 0 : rank_objects(order, set, result, means);
    int places[] = {ranked_count - 1, (ranked_count - 1) / 2, 0}, objects[PLX_EVAL_EXAMPLES];
    for (int k = 0; k < PLX_EVAL_EXAMPLES && ranked_count; k++) objects[k] = order[places[k]].index;
    for (int k = 0; k < PLX_EVAL_EXAMPLES && ranked_count && !status; k++) {
        bool again = false;
        for (int before = 0; before < *count; before++) again = again || out[before].object == objects[k];
        if (again || (k == 1 && ranked_count < 3)) continue;
        plx_eval_example *e = &out[*count];
        *e = (plx_eval_example){.object = objects[k], .rank = ranked_count > 1 ? ranks[k] : "only"};
        e->shown = calloc((size_t)methods + 1, sizeof *e->shown);
        if (e->shown)
            ++*count;
        else
            status = plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
        if (!status) choose_views(e, set, result, order);
    }
    free(means);
    free(order);
    return status;
}

void plx_eval_example_free(plx_eval_example *e, int methods) {
    plx_image_free(&e->input);
    for (int k = 0; k < PLX_EVAL_EXAMPLE_VIEWS; k++) plx_image_free(&e->truth[k]);
    for (int m = 0; e->shown && m < methods; m++) {
        for (int k = 0; k < PLX_EVAL_EXAMPLE_VIEWS; k++) plx_image_free(&e->shown[m].views[k]);
        plx_image_free(&e->shown[m].ring);
    }
    free(e->shown);
    *e = (plx_eval_example){0};
}

int plx_eval_example_picture(plx_image *out, const plx_image *colour) {
    return colour->channels == 4 ? plx_image_over(out, colour, 1) : plx_image_copy(out, colour);
}

/* ---- predicted ------------------------------------------------------------------------------------------------------ */

/* The object with the cameras of a turntable behind its targets: views is malloc'ed, its pictures are of->views'. */
static int add_ring(plx_views *views, const plx_eval_case *of) {
    plx_path ring = {0};
    plx_path_options o = plx_path_options_default();
    const plx_camera *camera = &of->views.views[1].camera;
    o.frames = PLX_EVAL_RING;
    o.width = camera->width, o.height = camera->height;
    int status = plx_path_make(&ring, &o), known = 1 + of->targets;
    *views = of->views;
    views->count = known + PLX_EVAL_RING;
    views->views = calloc((size_t)views->count, sizeof *views->views);
    if (!status && !views->views) status = plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    for (int k = 0; k < known && !status; k++) views->views[k] = of->views.views[k];
    for (int k = 0; k < PLX_EVAL_RING && !status; k++) views->views[known + k].camera = ring.cameras[k];
    plx_path_free(&ring);
    return status;
}

static int keep(struct plx_eval_shown *shown, const plx_eval_example *e, const plx_view *predicted,
                const plx_view *ring) {
    int status = PLX_OK, height = ring->colour.height, width = ring->colour.width;
    for (int k = 0; k < e->count && !status; k++)
        status = plx_eval_example_picture(&shown->views[k], &predicted[e->views[k]].colour);
    if (!status) status = plx_image_create(&shown->ring, height, width * PLX_EVAL_RING, 3);
    for (int k = 0; k < PLX_EVAL_RING && !status; k++) {
        plx_image flat = {0};
        status = plx_eval_example_picture(&flat, &ring[k].colour);
        if (!status) plx_image_paste(&shown->ring, &flat, 0, k * width);
        plx_image_free(&flat);
    }
    return status;
}

static int predict(struct plx_eval_shown *shown, const plx_eval_example *e, const plx_eval_entrant *entrant,
                   const plx_eval_case *of) {
    int count = of->views.count - 1;
    plx_view *predicted = calloc((size_t)count, sizeof *predicted);
    int status = predicted ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    for (int k = 0; k < count && !status; k++) predicted[k].camera = of->views.views[1 + k].camera;
    if (!status) status = entrant->method->predict(predicted, count, &entrant->means, of);
    if (!status) status = keep(shown, e, predicted, &predicted[of->targets]);
    for (int k = 0; predicted && k < count; k++)
        plx_image_free(&predicted[k].colour), plx_image_free(&predicted[k].depth);
    free(predicted);
    return status;
}

static int show(plx_eval_example *e, const plx_eval_protocol *protocol, const plx_eval_entrants *entrants) {
    plx_eval_case of;
    int status = protocol->load(protocol, e->object, &of);
    if (status) return status;
    plx_eval_case extended = of;
    extended.views.views = NULL;
    status = plx_eval_example_picture(&e->input, &of.input.colour);
    for (int k = 0; k < e->count && !status; k++)
        status = plx_eval_example_picture(&e->truth[k], &of.views.views[1 + e->views[k]].colour);
    if (!status) status = add_ring(&extended.views, &of);
    for (int m = 0; m < entrants->plain && !status; m++)
        if (entrants->list[m].method->drawn) status = predict(&e->shown[m], e, &entrants->list[m], &extended);
    free(extended.views.views);
    plx_eval_case_free(&of);
    return status;
}

int plx_eval_examples_predict(int count, plx_eval_example *examples, const plx_eval_protocol *protocol,
                              const plx_eval_entrants *entrants) {
    int status = PLX_OK;
    for (int k = 0; k < count && !status; k++) {
        status = show(&examples[k], protocol, entrants);
        if (!status && plx_progress_report(plx_show_progress, NULL, "pictures", k + 1, count, NULL))
            status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    return status;
}
