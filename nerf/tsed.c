/* TSED: Yu, Forghani, Derpanis, Brubaker, "Long-Term Photometric Consistent Novel View Synthesis with Diffusion Models",
 * ICCV 2023. */
#include "nerf/consistency.h"

#include <math.h>
#include <stdlib.h>

#include "nerf/judged_view.h"
#include "nerf/sift.h"

plx_tsed_options plx_tsed_options_default(void) {
    return (plx_tsed_options){.neighbours = 2,
                              .least_matches = 10,
                              .ratio = 0.8f,
                              .contrast = 0.0133f,
                              .thresholds = 5,
                              .threshold = {0.5f, 1, 1.5f, 2, 4}};
}

static int check(const plx_views *views, const plx_tsed_options *o) {
    if (o->neighbours < 0 || o->least_matches < 1 || !(o->ratio > 0 && o->ratio <= 1) ||
        !(o->contrast >= 0) || o->thresholds < 1 || o->thresholds > PLX_TSED_THRESHOLDS)
        return plx_fail(
            PLX_ERROR_INPUT,
            "TSED: %d neighbours, at least %d matches, ratio %g, contrast %g, %d thresholds (1 to %d)",
            o->neighbours, o->least_matches, (double)o->ratio, (double)o->contrast, o->thresholds,
            PLX_TSED_THRESHOLDS);
    for (int i = 0; i < views->count; i++) {
        int status = plx_judged_view_check(views, i);
        if (status) return status;
    }
    return PLX_OK;
}

/* ---- keypoints -------------------------------------------------------------------------------------------------- */

typedef struct features {
    plx_keypoint *keypoints;
    int count, status;
} features;

static void find_features(features *f, const plx_view *view, float contrast) {
    plx_image colour = {0};
    f->status = plx_judged_view_colour(&colour, view);
    if (!f->status) f->status = plx_sift_find(&f->keypoints, &f->count, &colour, contrast);
    plx_image_free(&colour);
}

/* ---- pairs ------------------------------------------------------------------------------------------------------ */

typedef struct pair_score {
    int matches, status;
    double median; /* pixels; NAN without matches */
} pair_score;

static int ascending(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Sorts. */
static double median_of(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count ? 0.5 * (values[(count - 1) / 2] + values[count / 2]) : NAN;
}

static pair_score score_pair(const plx_view *a, const features *fa, const plx_view *b, const features *fb,
                             float ratio) {
    pair_score score = {.median = NAN};
    plx_match *matches;
    double F[9], *distances = NULL;
    score.status =
        plx_sift_match(&matches, &score.matches, fa->keypoints, fa->count, fb->keypoints, fb->count, ratio);
    if (!score.status) distances = malloc(sizeof *distances * (size_t)(score.matches + 1));
    if (!score.status && !distances)
        score.status = plx_fail(PLX_ERROR_MEMORY, "no memory for %d matches", score.matches);
    if (!score.status) {
        int count = 0;
        plx_fundamental(&a->camera, &b->camera, F);
        for (int i = 0; i < score.matches; i++) {
            const plx_keypoint *p = &fa->keypoints[matches[i].a], *q = &fb->keypoints[matches[i].b];
            double d = plx_epipolar_distance(F, (float[]){p->x, p->y}, (float[]){q->x, q->y});
            if (!isnan(d)) distances[count++] = d; /* an epipole lies on every line */
        }
        score.matches = count;
        score.median = median_of(distances, count);
    }
    free(distances);
    free(matches);
    return score;
}

/* ---- the score -------------------------------------------------------------------------------------------------- */

/* `medians`: room for one a pair. */
static plx_tsed summarise(const pair_score *scores, int pairs, const plx_tsed_options *options,
                          double *medians) {
    plx_tsed out = {.pairs = pairs};
    int64_t matches = 0;
    for (int i = 0; i < pairs; i++) {
        matches += scores[i].matches;
        if (scores[i].matches < options->least_matches) continue;
        medians[out.matched++] = scores[i].median;
        for (int t = 0; t < options->thresholds; t++)
            out.consistent[t] += scores[i].median <= (double)options->threshold[t];
    }
    for (int t = 0; t < options->thresholds; t++) out.consistent[t] = pairs ? out.consistent[t] / pairs : NAN;
    out.matches = pairs ? (double)matches / pairs : NAN;
    out.median = median_of(medians, out.matched);
    return out;
}

static int score_pairs(plx_tsed *out, const plx_views *views, const features *found,
                       const plx_view_pair *pairs, int count, const plx_tsed_options *options) {
    pair_score *scores = calloc((size_t)count + 1, sizeof *scores);
    double *medians = malloc(sizeof *medians * (size_t)(count + 1));
    int status =
        scores && medians ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "no memory for %d pairs of views", count);
    if (!status) {
#pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < count; i++) {
            int a = pairs[i].a, b = pairs[i].b;
            scores[i] = score_pair(&views->views[a], &found[a], &views->views[b], &found[b], options->ratio);
        }
        for (int i = 0; i < count && !status; i++) status = scores[i].status;
        if (status) plx_fail(status, "%s: no memory for the matches of %d pairs", views->name, count);
        if (!status) *out = summarise(scores, count, options, medians);
    }
    free(scores);
    free(medians);
    return status;
}

int plx_tsed_score(plx_tsed *out, const plx_views *views, const plx_tsed_options *options) {
    int n = views->count, count = 0, status = check(views, options);
    plx_view_pair *pairs = NULL;
    if (!status) status = plx_view_pairs(&pairs, &count, views, options->neighbours);
    if (status) return status;
    features *found = calloc((size_t)n + 1, sizeof *found);
    if (!found) {
        status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %d views", views->name, n);
    } else {
#pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < n; i++) find_features(&found[i], &views->views[i], options->contrast);
        for (int i = 0; i < n && !status; i++)
            if (found[i].status)
                status = plx_fail(found[i].status, "%s: no memory for the keypoints", views->name);
        if (!status) status = score_pairs(out, views, found, pairs, count, options);
    }
    for (int i = 0; found && i < n; i++) free(found[i].keypoints);
    free(found);
    free(pairs);
    return status;
}
