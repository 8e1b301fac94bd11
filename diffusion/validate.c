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

/* Its error, with the right and with another object's features, and its condition's own, per level. */
typedef struct errors {
    double render, denoised[3], swapped[3];
} errors;

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

/* The first target view of one object. */
static int denoise_object(errors *e, const plx_model *m, plx_field *field, const plx_views *item,
                          const float *context, const float *other, int tokens, const double *levels,
                          plx_rng rng) {
    const plx_view *target = &item->views[1];
    int H = target->camera.height, W = target->camera.width;
    size_t pixels = (size_t)(H * W), n = 4 * pixels;
    plx_view view = {.camera = target->camera};
    plx_render_options options = plx_render_options_default();
    plx_denoiser denoiser = plx_model_denoiser(m);
    plx_device device;
    plx_tape *tape = NULL;
    float *block = malloc(sizeof(float) * 4 * n), *truth = block, *z = block + n, *x0 = block + 2 * n;
    int status =
        block ? plx_field_render(field, &view, &options) : plx_fail(PLX_ERROR_MEMORY, "validation: memory");
    if (!status) status = plx_device_open(&device, "cpu");
    if (!status) status = plx_tape_create(&tape, device, (size_t)1 << 32, false);
    if (!status) {
        float *render = block + 3 * n;
        plx_condition_channels(pixels, target->colour.data, truth);
        plx_condition_channels(pixels, view.colour.data, render);
        e->render += squared(pixels, truth, render);
        for (int k = 0; k < 3 && !status; k++) {
            plx_noise_level level = plx_schedule_at(denoiser.config.schedule, levels[k]);
            for (size_t i = 0; i < n; i++)
                z[i] = (float)plx_noise_add(level, truth[i], plx_rng_normal(rng, i));
            for (int swap = 0; swap < 2 && !status; swap++) {
                plx_denoiser_views views = {.denoiser = &denoiser,
                                            .tape = tape,
                                            .count = 1,
                                            .height = H,
                                            .width = W,
                                            .render = render,
                                            .context = swap ? other : context,
                                            .context_tokens = tokens};
                status = plx_denoiser_denoise(level, false, z, x0, n, &views);
                for (size_t i = 0; i < n; i++) x0[i] = fminf(fmaxf(x0[i], -1), 1);
                if (!status) (swap ? e->swapped : e->denoised)[k] += squared(pixels, truth, x0);
            }
        }
    }
    plx_tape_free(tape);
    plx_image_free(&view.colour);
    free(block);
    return status;
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
    float *previous = NULL; /* the last object's features: "another object's input" */
    plx_image none = {0};
    for (int i = 0; i < v->objects && !status; i++) {
        plx_field *field = NULL;
        float *context = NULL;
        int tokens = 0;
        const plx_view *input = &v->items[i].views[0];
        status = plx_model_reconstruct(&field, m, input, true, false);
        if (!status && denoiser) status = plx_model_context(&context, &tokens, m, input, true);
        if (!status) status = one_object(&sum, field, &v->items[i], i < rows ? &out->sheet : &none, i);
        if (!status && denoiser && previous)
            status = denoise_object(&error, m, field, &v->items[i], context, previous, tokens, levels,
                                    plx_rng_fork((plx_rng){seed, 0x766c}, (uint64_t)i));
        free(previous);
        previous = context;
        plx_field_free(field);
    }
    free(previous);
    if (status) {
        plx_image_free(&out->sheet);
        return status;
    }
    out->psnr = sum.psnr / v->objects;
    out->iou = sum.iou / v->objects;
    out->iou_side = sum.sides ? sum.side / sum.sides : 0;
    out->levels = denoiser && v->objects > 1 ? 3 : 0;
    for (int k = 0; k < out->levels; k++) {
        out->t[k] = levels[k];
        out->gain_db[k] = 10 * log10(error.render / error.denoised[k]);
        out->swap[k] = error.swapped[k] / error.denoised[k];
    }
    return PLX_OK;
}
