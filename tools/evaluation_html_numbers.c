/* The numbers behind the page's tables and plots. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_html_parts.h"
#include "tools/parallax.h"

const char *plx_html_heading(const plx_eval_page *page, int metric) {
    static const char *const few[] = {"MS-SSIM", "MS-SSIM /1", "MS-SSIM /2", "MS-SSIM /3", "MS-SSIM /4"};
    /* Where the table's heading continues that of the line above. */
    static const char *const whole[PLX_EVAL_METRICS] = {
        [PLX_EVAL_DEPTH_RELATIVE] = "depth error, relative",
        [PLX_EVAL_DEPTH_COVERAGE] = "depth coverage",
        [PLX_EVAL_FIELD_SSIM] = "field SSIM",
        [PLX_EVAL_FIELD_FLIP] = "field FLIP",
        [PLX_EVAL_TSED_MATCHED] = "TSED enough matches",
        [PLX_EVAL_TSED_MEDIAN] = "TSED median px",
        [PLX_EVAL_TSED_FIRST] = "TSED at 0.5 px",
        [PLX_EVAL_TSED_FIRST + 1] = "TSED at 1 px",
        [PLX_EVAL_TSED_FIRST + 2] = "TSED at 1.5 px",
        [PLX_EVAL_TSED_FIRST + 3] = "TSED at 2 px",
        [PLX_EVAL_TSED_LAST] = "TSED at 4 px",
        [PLX_EVAL_REPROJECTION_COVERAGE] = "reprojection, shared",
        [PLX_EVAL_VARIANCE_COVERAGE] = "variance, seen",
    };
    if (metric == PLX_EVAL_MS_SSIM && page->set->scales < PLX_MS_SSIM_SCALES) return few[page->set->scales];
    const char *heading = plx_eval_kinds[metric].heading;
    return whole[metric] ? whole[metric] : heading;
}

const double *plx_html_objects(const plx_eval_page *page, const plx_html_numbers *n, int method, int metric) {
    return n->objects + ((size_t)method * PLX_EVAL_METRICS + (size_t)metric) * (size_t)page->set->count;
}

static size_t at(int method, int metric) {
    return (size_t)method * PLX_EVAL_METRICS + (size_t)metric;
}

double plx_html_badness(double mean, int metric) {
    switch (plx_eval_kinds[metric].better) {
    case PLX_EVAL_HIGHER:
        return -mean;
    case PLX_EVAL_LOWER:
        return mean;
    default:
        return fabs(log(fmax(mean, 1e-9)));
    }
}

/* What is true is compared with, but is no method. */
static bool is_truth(const plx_eval_page *page, int method) {
    return !strcmp(page->results[method].method, "truth");
}

static void find_best(const plx_eval_page *page, plx_html_numbers *n, int metric) {
    int measured = 0, best = -1;
    for (int i = 0; i < page->count; i++) {
        double mean = n->means[at(i, metric)].mean;
        if (isnan(mean)) continue;
        n->measured[metric] = true;
        if (is_truth(page, i)) continue;
        measured++;
        if (best < 0 ||
            plx_html_badness(mean, metric) < plx_html_badness(n->means[at(best, metric)].mean, metric))
            best = i;
    }
    n->best[metric] = measured > 1 && plx_eval_kinds[metric].better != PLX_EVAL_NO_ORDER ? best : -1;
}

static int pair(const plx_eval_page *page, const plx_html_numbers *n, int a, int b, int metric,
                plx_eval_interval *out) {
    return plx_eval_paired_interval(out, plx_html_objects(page, n, a, metric),
                                    plx_html_objects(page, n, b, metric), page->set->count,
                                    (enum plx_eval_metric)metric);
}

bool plx_html_decided(const plx_eval_interval *i, int metric) {
    double none = plx_eval_kinds[metric].geometric ? 1 : 0;
    return i->low > none || i->high < none;
}

static int compare_metric(const plx_eval_page *page, plx_html_numbers *n, int metric) {
    int status = PLX_OK, best = n->best[metric];
    for (int i = 0; i < page->count && !status; i++) {
        plx_eval_interval to_best;
        status = pair(page, n, i, page->reference, metric, &n->paired[at(i, metric)]);
        if (status || best < 0 || isnan(n->means[at(i, metric)].mean) || is_truth(page, i)) continue;
        n->equal_best[at(i, metric)] = i == best;
        /* How near to 1 two methods are is not what their ratio tells. */
        if (i == best || plx_eval_kinds[metric].better == PLX_EVAL_NEAR_ONE) continue;
        status = pair(page, n, i, best, metric, &to_best);
        n->equal_best[at(i, metric)] = !isnan(to_best.low) && !plx_html_decided(&to_best, metric);
    }
    return status;
}

int plx_html_compute(plx_html_numbers *n, const plx_eval_page *page) {
    size_t cells = (size_t)page->count * PLX_EVAL_METRICS;
    *n = (plx_html_numbers){.objects = malloc((cells * (size_t)page->set->count + 1) * sizeof *n->objects),
                            .means = malloc((cells + 1) * sizeof *n->means),
                            .paired = malloc((cells + 1) * sizeof *n->paired),
                            .equal_best = calloc(cells + 1, sizeof *n->equal_best)};
    if (!n->objects || !n->means || !n->paired || !n->equal_best)
        return plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    int status = PLX_OK;
    for (int m = 0; m < PLX_EVAL_METRICS && !status; m++) {
        enum plx_eval_metric metric = (enum plx_eval_metric)m;
        for (int i = 0; i < page->count && !status; i++) {
            double *objects = n->objects + at(i, m) * (size_t)page->set->count;
            plx_eval_object_means(page->results[i].samples, page->results[i].count, metric, page->set->count,
                                  objects);
            status = plx_eval_mean_interval(&n->means[at(i, m)], objects, page->set->count, metric);
        }
        find_best(page, n, m);
        if (!status) status = compare_metric(page, n, m);
    }
    return status;
}

void plx_html_numbers_free(plx_html_numbers *n) {
    free(n->objects);
    free(n->means);
    free(n->paired);
    free(n->equal_best);
}
