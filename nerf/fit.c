/* A field of one object from many posed views: random rays of all views, sampled first everywhere, then only
 * where the field holds density. */
#include "nerf/occupancy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WARM_UP = 100,        /* steps before empty space is skipped */
    WARM_UP_SAMPLES = 48, /* a ray */
    REFRESH = 50,         /* steps between looks at what is empty */
    SAMPLES = 128,        /* across the sphere's diameter: about one a texel */
    BOX_MARGIN = 4,       /* pixels around the object of a view */
    FREQUENCIES = 4,
    REPORT = 10, /* steps */
};

/* Opacity of a sample in space that is skipped. What is skipped is also no longer trained, so that the field is
 * drawn with the same limit. */
static const float empty_opacity = 0.01f;

plx_fit_options plx_fit_options_default(void) {
    return (plx_fit_options){.steps = 1000,
                             .rays = 2048,
                             .resolution = 128,
                             .channels = 16,
                             .hidden = 32,
                             .radius = PLX_SCENE_RADIUS,
                             .rate = 4e-2f,
                             .seed = 1};
}

float plx_fit_radius(const plx_views *views) {
    if (views->far > views->near) return 0.5f * (views->far - views->near);
    float nearest = INFINITY;
    for (int i = 0; i < views->count; i++) {
        float p[3];
        plx_camera_position(&views->views[i].camera, p);
        nearest = fminf(nearest, sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]));
    }
    return nearest * PLX_SCENE_RADIUS / PLX_DEFAULT_DISTANCE;
}

/* ---- rays
 * -------------------------------------------------------------------------------------------------------- */

typedef struct box {
    int top, left, height, width;
} box;

static bool is_object(const float rgba[4], bool has_alpha) {
    if (has_alpha) return rgba[3] > 0;
    return rgba[0] < 1 || rgba[1] < 1 || rgba[2] < 1;
}

/* Of the object in a view, with a margin; the whole view when there is none. */
static box object_box(const plx_view *view, bool has_alpha) {
    int H = view->colour.height, W = view->colour.width, top = H, left = W, bottom = -1, right = -1;
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            if (!is_object(view->colour.data + 4 * ((size_t)i * (size_t)W + (size_t)j), has_alpha)) continue;
            if (i < top) top = i;
            if (i > bottom) bottom = i;
            if (j < left) left = j;
            if (j > right) right = j;
        }
    if (bottom < 0) return (box){0, 0, H, W};
    top = top > BOX_MARGIN ? top - BOX_MARGIN : 0;
    left = left > BOX_MARGIN ? left - BOX_MARGIN : 0;
    bottom = bottom + BOX_MARGIN < H ? bottom + BOX_MARGIN : H - 1;
    right = right + BOX_MARGIN < W ? right + BOX_MARGIN : W - 1;
    return (box){top, left, bottom - top + 1, right - left + 1};
}

static plx_ray_target target_at(const plx_view *view, bool has_alpha, int row, int column) {
    plx_ray_target target = {.weight = 1};
    const float *rgba = view->colour.data + 4 * ((size_t)row * (size_t)view->colour.width + (size_t)column);
    plx_camera_ray(&view->camera, (float)column + 0.5f, (float)row + 0.5f, target.origin, target.direction);
    for (int c = 0; c < 3; c++) target.colour[c] = rgba[3] * rgba[c] + 1 - rgba[3];
    target.opacity = has_alpha ? rgba[3] : -1;
    return target;
}

/* Three rays of four through the object's box, the others anywhere. */
static void draw_rays(const plx_views *views, const box *boxes, int count, plx_rng rng,
                      plx_ray_target *targets) {
#pragma omp parallel for schedule(static)
    for (int r = 0; r < count; r++) {
        uint64_t at = 4 * (uint64_t)r;
        int v = (int)plx_rng_below(rng, at, (uint32_t)views->count);
        const plx_view *view = &views->views[v];
        box b = r % 4 ? boxes[v] : (box){0, 0, view->colour.height, view->colour.width};
        int row = b.top + (int)plx_rng_below(rng, at + 1, (uint32_t)b.height);
        int column = b.left + (int)plx_rng_below(rng, at + 2, (uint32_t)b.width);
        targets[r] = target_at(view, views->has_alpha, row, column);
    }
}

/* ---- fitting
 * ----------------------------------------------------------------------------------------------------- */

static int check_views(const plx_views *views) {
    if (views->count < 1) return plx_fail(PLX_ERROR_INPUT, "%s: there are no views to fit", views->name);
    for (int i = 0; i < views->count; i++) {
        const plx_view *v = &views->views[i];
        if (v->colour.channels != 4 || v->camera.width != v->colour.width ||
            v->camera.height != v->colour.height)
            return plx_fail(PLX_ERROR_INPUT, "%s: view %d has no image of its camera's size", views->name, i);
        if (!plx_camera_valid(&v->camera, 1e-3f))
            return plx_fail(PLX_ERROR_INPUT, "%s: view %d has a camera that cannot be", views->name, i);
    }
    return PLX_OK;
}

static int check_options(const plx_fit_options *o) {
    if (o->steps < 1 || o->rays < 1 || o->rays > 1 << 16 || !(o->rate > 0) || !(o->seconds >= 0))
        return plx_fail(PLX_ERROR_INPUT, "fit: %d steps of %d rays at a rate of %g for %g s", o->steps,
                        o->rays, (double)o->rate, (double)o->seconds);
    if (!(o->radius > 1e-3f && o->radius < 1e3f))
        return plx_fail(PLX_ERROR_INPUT, "fit: a sphere of radius %g", (double)o->radius);
    if (o->resolution < 2 || o->resolution > 1024)
        return plx_fail(PLX_ERROR_INPUT, "fit: planes of %d texels a side, not 2 to 1024", o->resolution);
    if (o->channels < 16 || o->channels > 64 || o->channels % 16 || o->hidden < 16 || o->hidden > 256 ||
        o->hidden % 16)
        return plx_fail(PLX_ERROR_INPUT, "fit: %d channels (16 to 64) and %d hidden (16 to 256), both by 16",
                        o->channels, o->hidden);
    return PLX_OK;
}

/* Share of the work that is done: of the steps, or of the time where that is nearer its end. */
static double share_done(const plx_fit_options *options, int step, double began) {
    double share = (double)step / options->steps;
    return options->seconds > 0 ? fmax(share, (plx_now() - began) / options->seconds) : share;
}

static plx_step_options step_options(const plx_fit_options *options, int step, double share) {
    plx_step_options o = plx_step_options_default();
    double warm = fmin(1, (step + 1) / 30.);
    o.rate = (float)(options->rate * warm * plx_rate_schedule((int64_t)(share * 1e6), 0, 1000000, 0.03));
    o.decoder_rate = 0.25f;
    o.coarse = step < WARM_UP ? WARM_UP_SAMPLES : SAMPLES;
    o.fine = 0;
    o.total_variation = 3;
    o.skip_empty = step >= WARM_UP;
    return o;
}

static int run_steps(plx_field *field, const plx_views *views, const box *boxes, plx_ray_target *targets,
                     const plx_fit_options *options, plx_progress_fn progress, void *user) {
    double began = plx_now(), mean = 0, share;

    field->empty_below = empty_opacity * SAMPLES / (2 * options->radius);
    for (int step = 0; step < options->steps && (share = share_done(options, step, began)) < 1; step++) {
        int status = PLX_OK, rays = step < WARM_UP ? (options->rays + 3) / 4 : options->rays;
        /* A device with its own memory is waited for only to report. */
        const bool report = (step + 1) % REPORT == 0, read = report || !plx_tape_memory(field->tape);
        double loss;
        if (step >= WARM_UP && step % REFRESH == 0) status = plx_field_update_occupancy(field);
        if (status) return status;
        plx_step_options o = step_options(options, step, share);
        draw_rays(views, boxes, rays, plx_rng_fork((plx_rng){options->seed, 1}, (uint64_t)step), targets);
        status = plx_field_step(field, rays, targets, &o, options->seed, read ? &loss : NULL);
        if (status) return status;
        if (read) mean += (loss - mean) / (step < 20 ? step + 1 : 20);
        char note[48];
        snprintf(note, sizeof note, "loss %.5f", mean);
        if (report && plx_progress_report(progress, user, "fit", step + 1, options->steps, note))
            return plx_fail(PLX_ERROR_CANCELLED, "fit: stopped at step %d", step + 1);
    }
    return plx_field_update_occupancy(field);
}

static int new_field(plx_field **out, const plx_fit_options *options) {
    int side = options->resolution;
    plx_field_size size = {.N = 1,
                           .C = options->channels,
                           .F = FREQUENCIES,
                           .H = options->hidden,
                           .xy = {side, side},
                           .xz = {side, side},
                           .yz = {side, side}};
    plx_frame frame = plx_frame_make(PLX_FRAME_WORLD, NULL, options->radius);
    int status = plx_field_create(out, size, frame, options->seed, true);
    /* A ray across starts half transparent at any radius. */
    const float first[4] = {logf(PLX_SCENE_RADIUS / options->radius)};
    if (!status) plx_params_set((*out)->params, "decoder.b3", first);
    return status;
}

int plx_fit(plx_field **out, const plx_views *views, const plx_fit_options *options, plx_progress_fn progress,
            void *user) {
    *out = NULL;
    int status = check_options(options);
    if (!status) status = check_views(views);
    if (status) return status;
    plx_field *field = NULL;
    box *boxes = malloc(sizeof *boxes * (size_t)views->count);
    plx_ray_target *targets = malloc(sizeof *targets * (size_t)options->rays);
    status = boxes && targets ? new_field(&field, options)
                              : plx_fail(PLX_ERROR_MEMORY, "%s: no memory to fit it", views->name);
    if (!status) {
        for (int i = 0; i < views->count; i++) boxes[i] = object_box(&views->views[i], views->has_alpha);
        status = run_steps(field, views, boxes, targets, options, progress, user);
    }
    free(boxes);
    free(targets);
    if (status)
        plx_field_free(field);
    else
        *out = field;
    return status;
}
