#include "diffusion/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/condition.h"

enum { SHEET_OBJECTS = 12, SHEET_TARGETS = 4 };

typedef struct sums {
    double psnr, iou, side;
    int sides;
} sums;

static void paste(plx_image *sheet, const plx_image *rgba, int row, int column) {
    plx_image flat = {0};
    if (sheet->data && !plx_image_over(&flat, rgba, 1)) plx_image_paste(sheet, &flat, row, column);
    plx_image_free(&flat);
}

static int one_object(sums *sum, plx_field *field, const plx_views *item, plx_image *sheet, int row) {
    plx_render_options options = plx_render_options_default();
    double psnr = 0, iou = 0;
    int status = PLX_OK, size = item->views[0].colour.width;
    paste(sheet, &item->views[0].colour, row * size, 0);
    for (int k = 1; k < item->count && !status; k++) {
        const plx_view *truth = &item->views[k];
        plx_view view = {.camera = truth->camera};
        plx_image a = {0}, b = {0};
        status = plx_field_render(field, &view, &options);
        if (!status) status = plx_image_over(&a, &truth->colour, 1);
        if (!status) status = plx_image_over(&b, &view.colour, 1);
        if (!status) {
            double overlap = plx_silhouette_iou(&truth->colour, &view.colour);
            double gap = plx_camera_azimuth_gap(&item->views[0].camera, &truth->camera);
            psnr += plx_psnr(&a, &b);
            iou += overlap;
            if (gap >= 60 && gap < 120) sum->side += overlap, sum->sides++;
            if (k <= SHEET_TARGETS) {
                paste(sheet, &truth->colour, row * size, (2 * k - 1) * size);
                paste(sheet, &view.colour, row * size, 2 * k * size);
            }
        }
        plx_image_free(&a);
        plx_image_free(&b);
        plx_image_free(&view.colour);
    }
    sum->psnr += psnr / (item->count - 1);
    sum->iou += iou / (item->count - 1);
    return status;
}

/* ---- the denoiser -------------------------------------------------------------------------------------------------- */

/* What the denoiser is given of the right object (own) and of another. */
enum trial { OWN, SWAPPED, FEATURES_SWAPPED, ALONE, ALONE_SWAPPED, TRIALS };

/* Its squared error in each trial, and its condition's own, per level. */
typedef struct errors {
    double render, denoised[3][TRIALS];
} errors;

/* A reconstructed object as a source of conditions. */
typedef struct conditions {
    plx_field *field;
    float *context;
    int tokens;
} conditions;

/* Of the colours of (H,W,4). */
static double squared(size_t pixels, const float *a, const float *b) {
    double sum = 0;
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < 3; c++) {
            double d = (double)a[4 * p + c] - b[4 * p + c];
            sum += d * d;
        }
    return sum;
}

/* The field's render as the denoiser sees it (H,W,4). */
static int render_condition(plx_field *field, const plx_camera *camera, float *out) {
    plx_view view = {.camera = *camera};
    plx_render_options options = plx_render_options_default();
    int status = plx_field_render(field, &view, &options);
    if (!status)
        plx_condition_channels((size_t)camera->width * (size_t)camera->height, view.colour.data, out);
    plx_image_free(&view.colour);
    return status;
}

/* One level, every trial. block: truth, z, x0, own render, other render, n each. */
static int denoise_level(errors *e, int k, plx_noise_level level, plx_denoiser_views views,
                         const conditions *own, const conditions *other, float *block, plx_rng rng) {
    size_t pixels = (size_t)(views.height * views.width), n = 4 * pixels;
    float *truth = block, *z = block + n, *x0 = block + 2 * n;
    int status = PLX_OK;
    for (size_t i = 0; i < n; i++) z[i] = (float)plx_noise_add(level, truth[i], plx_rng_normal(rng, i));
    for (int trial = 0; trial < TRIALS && !status; trial++) {
        bool swap = trial == SWAPPED || trial == FEATURES_SWAPPED || trial == ALONE_SWAPPED;
        views.render = block + (trial == SWAPPED ? 4 : 3) * n;
        views.context = swap ? other->context : own->context;
        views.context_tokens = own->tokens;
        views.without_render = trial >= ALONE;
        status = plx_denoiser_denoise(level, false, z, x0, n, &views);
        for (size_t i = 0; i < n; i++) x0[i] = fminf(fmaxf(x0[i], -1), 1);
        if (!status) e->denoised[k][trial] += squared(pixels, truth, x0);
    }
    return status;
}

/* The first target view of one object. */
static int denoise_object(errors *e, const plx_model *m, const plx_view *target, const conditions *own,
                          const conditions *other, const double *levels, plx_rng rng) {
    int H = target->camera.height, W = target->camera.width;
    size_t pixels = (size_t)(H * W), n = 4 * pixels;
    plx_denoiser denoiser = plx_model_denoiser(m);
    plx_device device;
    plx_tape *tape = NULL;
    float *block = malloc(sizeof(float) * 5 * n);
    int status = block ? plx_device_open(&device, NULL) : plx_fail(PLX_ERROR_MEMORY, "validation: memory");
    if (!status) status = plx_tape_create(&tape, device, (size_t)1 << 32, false);
    if (!status) status = render_condition(own->field, &target->camera, block + 3 * n);
    if (!status) status = render_condition(other->field, &target->camera, block + 4 * n);
    if (!status) {
        plx_condition_channels(pixels, target->colour.data, block);
        e->render += squared(pixels, block, block + 3 * n);
    }
    plx_denoiser_views views = {.denoiser = &denoiser, .tape = tape, .count = 1, .height = H, .width = W};
    for (int k = 0; k < 3 && !status; k++)
        status = denoise_level(e, k, plx_schedule_at(denoiser.config.schedule, levels[k]), views, own, other,
                               block, rng);
    plx_tape_free(tape);
    free(block);
    return status;
}

static void conditions_free(conditions *c) {
    plx_field_free(c->field);
    free(c->context);
    *c = (conditions){0};
}

int plx_validate(plx_validation_result *out, const plx_model *m, const plx_validation *v, bool denoiser,
                 uint64_t seed) {
    static const double levels[3] = {0.3, 0.5, 0.8};
    sums sum = {0};
    errors error = {0};
    *out = (plx_validation_result){0};
    int rows = v->objects < SHEET_OBJECTS ? v->objects : SHEET_OBJECTS,
        size = v->items[0].views[0].colour.width;
    int status =
        v->sheet ? plx_image_create(&out->sheet, rows * size, (1 + 2 * SHEET_TARGETS) * size, 3) : PLX_OK;
    conditions previous = {0}; /* of the object before: "another object's input view" */
    plx_image none = {0};
    for (int i = 0; i < v->objects && !status; i++) {
        conditions own = {0};
        const plx_view *input = &v->items[i].views[0];
        status = plx_model_reconstruct(&own.field, m, input, true, false);
        if (!status && denoiser) status = plx_model_context(&own.context, &own.tokens, m, input, true);
        if (!status) status = one_object(&sum, own.field, &v->items[i], i < rows ? &out->sheet : &none, i);
        if (!status && denoiser && previous.field)
            status = denoise_object(&error, m, &v->items[i].views[1], &own, &previous, levels,
                                    plx_rng_fork((plx_rng){seed, 0x766c}, (uint64_t)i));
        conditions_free(&previous);
        previous = own;
    }
    conditions_free(&previous);
    if (status) {
        plx_image_free(&out->sheet);
        return status;
    }
    out->psnr = sum.psnr / v->objects;
    out->iou = sum.iou / v->objects;
    out->iou_side = sum.sides ? sum.side / sum.sides : 0;
    out->levels = denoiser && v->objects > 1 ? 3 : 0;
    double own = 0, swapped = 0;
    for (int k = 0; k < out->levels; k++) {
        own += error.denoised[k][OWN], swapped += error.denoised[k][SWAPPED];
        out->t[k] = levels[k];
        const double *e = error.denoised[k];
        out->gain_db[k] = 10 * log10(error.render / e[OWN]);
        out->swap[k] = e[SWAPPED] / e[OWN];
        out->swap_features[k] = e[FEATURES_SWAPPED] / e[OWN];
        out->swap_alone[k] = e[ALONE_SWAPPED] / e[ALONE];
    }
    out->swap_overall = own > 0 ? swapped / own : 0;
    return PLX_OK;
}
