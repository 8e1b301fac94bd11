/* How well one field explains all views: 3DiM's neural-field scoring. */
#include "nerf/consistency.h"

#include <math.h>
#include <stdlib.h>

#include "nerf/core/rng.h"
#include "nerf/judged_view.h"

enum { SPLIT_STREAM = 0x5eed };

plx_field_score_options plx_field_score_options_default(void) {
    plx_field_score_options options = {.fit = plx_fit_options_default(), .share = 0.8f, .samples = 96};
    options.fit.steps = 400;
    options.fit.rays = 1024;
    options.fit.resolution = 64;
    return options;
}

/* 0 .. count-1 in a random order: Fisher and Yates. */
static void shuffle(int *order, int count, uint64_t seed) {
    const plx_rng rng = {seed, SPLIT_STREAM};
    for (int i = 0; i < count; i++) order[i] = i;
    for (int i = count - 1; i > 0; i--) {
        int j = (int)plx_rng_below(rng, (uint64_t)i, (uint32_t)i + 1), held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
}

static int fitted_count(int count, float share) {
    int fitted = (int)lround((double)share * count);
    return fitted < 1 ? 1 : fitted < count ? fitted : count - 1;
}

static int check(const plx_views *views, const plx_view *input, const plx_field_score_options *options) {
    if (!(options->share > 0 && options->share < 1))
        return plx_fail(PLX_ERROR_INPUT, "field score: a share of %g, not between 0 and 1",
                        (double)options->share);
    if (views->count < 2)
        return plx_fail(PLX_ERROR_INPUT, "%s: %d views, of which one is to be fitted and one measured",
                        views->name, views->count);
    for (int i = 0; i < views->count; i++) {
        int status = plx_judged_view_check(views, i);
        const plx_camera *c = &views->views[i].camera;
        if (!status && (c->width < 7 || c->height < 7))
            status = plx_fail(PLX_ERROR_INPUT, "%s: view %d has %dx%d pixels, at least 7x7 are needed",
                              views->name, i, c->width, c->height);
        if (status) return status;
    }
    if (!input) return PLX_OK;
    plx_views one = {.count = 1, .views = (plx_view *)input};
    return plx_judged_view_check(&one, 0) ? plx_fail_in(PLX_ERROR_INPUT, "the input") : PLX_OK;
}

static int measure(plx_field_score *out, plx_field *field, const plx_view *truth, int samples) {
    plx_render_options o = plx_render_options_default();
    plx_view view = {.camera = truth->camera};
    plx_image ours = {0}, theirs = {0};
    o.samples = samples;
    int status = plx_field_render(field, &view, &o);
    if (!status) status = plx_judged_view_colour(&ours, &view);
    if (!status) status = plx_judged_view_colour(&theirs, truth);
    if (!status) {
        out->psnr += plx_psnr(&ours, &theirs);
        out->ssim += plx_ssim(&ours, &theirs);
        out->flip += plx_flip(&theirs, &ours);
    }
    plx_image_free(&view.colour);
    plx_image_free(&ours);
    plx_image_free(&theirs);
    return status;
}

int plx_field_score_views(plx_field_score *out, plx_field **field, const plx_views *views,
                          const plx_view *input, const plx_field_score_options *options,
                          plx_progress_fn progress, void *user) {
    plx_field *fitted = NULL;
    plx_views seen = *views;
    if (field) *field = NULL;
    int status = check(views, input, options);
    if (status) return status;
    plx_field_score score = {.fitted = fitted_count(views->count, options->share)};
    score.held = views->count - score.fitted;
    int *order = malloc(sizeof *order * (size_t)views->count);
    seen.views = malloc(sizeof *seen.views * (size_t)(views->count + 1)); /* the images stay theirs */
    if (!order || !seen.views) {
        status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory for %d views", views->name, views->count);
    } else {
        shuffle(order, views->count, options->fit.seed);
        for (int i = 0; i < score.fitted; i++) seen.views[i] = views->views[order[i]];
        seen.count = score.fitted;
        if (input) seen.views[seen.count++] = *input;
        status = plx_fit(&fitted, &seen, &options->fit, progress, user);
    }
    for (int i = score.fitted; i < views->count && !status; i++)
        status = measure(&score, fitted, &views->views[order[i]], options->samples);
    if (!status) {
        score.psnr /= score.held, score.ssim /= score.held, score.flip /= score.held;
        *out = score;
    }
    if (field && !status)
        *field = fitted;
    else
        plx_field_free(fitted);
    free(order);
    free(seen.views);
    return status;
}
