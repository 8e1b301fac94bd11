#include "tools/reconstruct_seeds.h"

#include <math.h>
#include <stdlib.h>

#include "tools/parallax.h"

int plx_seed_views_create(plx_seed_views *out, int seeds) {
    *out = (plx_seed_views){.seeds = seeds,
                            .images = calloc((size_t)seeds * PLX_SEED_VIEWS, sizeof *out->images)};
    return out->images ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "seeds: out of memory");
}

void plx_seed_views_free(plx_seed_views *v) {
    for (int i = 0; v->images && i < v->seeds * PLX_SEED_VIEWS; i++) plx_image_free(&v->images[i]);
    free(v->images);
    *v = (plx_seed_views){0};
}

int plx_seed_views_draw(plx_seed_views *v, int which, plx_field *field, const plx_camera *input, int size) {
    plx_render_options o = plx_render_options_default();
    int status = PLX_OK;
    for (int k = 0; k < PLX_SEED_VIEWS && !status; k++) {
        float azimuth = plx_camera_azimuth(input) + 2 * (float)M_PI * (float)k / PLX_SEED_VIEWS;
        plx_view view = {.camera = plx_camera_orbit(azimuth, plx_camera_elevation(input),
                                                    PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size)};
        status = plx_field_render(field, &view, &o);
        v->images[which * PLX_SEED_VIEWS + k] = view.colour;
    }
    return status;
}

int plx_seed_views_save(const plx_seed_views *v, const char *path) {
    int height = v->images[0].height, width = v->images[0].width;
    plx_image sheet = {0};
    int status = plx_image_create(&sheet, v->seeds * height, PLX_SEED_VIEWS * width, 3);
    for (int i = 0; i < v->seeds * PLX_SEED_VIEWS && !status; i++) {
        plx_image flat = {0};
        status = plx_image_over(&flat, &v->images[i], 1);
        if (!status) plx_image_paste(&sheet, &flat, i / PLX_SEED_VIEWS * height, i % PLX_SEED_VIEWS * width);
        plx_image_free(&flat);
    }
    if (!status) status = plx_png_save(path, &sheet);
    plx_image_free(&sheet);
    return status;
}

/* The sum over channels of the variance over seeds of pixel p; -1: no seed has the object there. */
static double variance_of(const plx_seed_views *v, int view, size_t p) {
    double sum[3] = {0}, squares = 0, mean_squares = 0;
    float most = 0;
    for (int s = 0; s < v->seeds; s++) {
        const float *rgba = v->images[s * PLX_SEED_VIEWS + view].data + 4 * p;
        most = fmaxf(most, rgba[3]);
        for (int c = 0; c < 3; c++) {
            double value = (double)rgba[c] * rgba[3] + 1 - rgba[3];
            sum[c] += value, squares += value * value;
        }
    }
    if (most <= 0.5f) return -1;
    for (int c = 0; c < 3; c++) mean_squares += sum[c] / v->seeds * (sum[c] / v->seeds);
    return fmax(0, squares / v->seeds - mean_squares);
}

int plx_seed_spread(double deviation[PLX_SEED_VIEWS], const plx_seed_views *v) {
    for (int k = 0; k < PLX_SEED_VIEWS; k++) {
        const plx_image *image = &v->images[k];
        double sum = 0;
        size_t pixels = 0;
        for (int s = 0; s < v->seeds; s++)
            if (v->images[s * PLX_SEED_VIEWS + k].channels != 4)
                return plx_fail(PLX_ERROR_INPUT, "seeds: a view that is not RGBA");
        for (size_t p = 0; p < (size_t)image->height * (size_t)image->width; p++) {
            double variance = variance_of(v, k, p);
            if (variance >= 0) sum += variance, pixels++;
        }
        deviation[k] = pixels ? sqrt(sum / (3 * (double)pixels)) : 0;
    }
    return PLX_OK;
}

/* Degrees between view k and the input, 0 to 180. */
static double gap_of(int k) {
    double turn = 360. * k / PLX_SEED_VIEWS;
    return fmin(turn, 360 - turn);
}

plx_seed_sides plx_seed_spread_sides(const double deviation[PLX_SEED_VIEWS]) {
    double sums[2] = {0};
    int counts[2] = {0};
    for (int k = 0; k < PLX_SEED_VIEWS; k++) {
        int side = gap_of(k) < 60 ? 0 : gap_of(k) > 120 ? 1 : -1;
        if (side >= 0) sums[side] += deviation[k] * deviation[k], counts[side]++;
    }
    return (plx_seed_sides){sqrt(sums[0] / counts[0]), sqrt(sums[1] / counts[1])};
}

json_t *plx_seed_spread_json(const double deviation[PLX_SEED_VIEWS]) {
    plx_seed_sides sides = plx_seed_spread_sides(deviation);
    json_t *azimuths = json_array(), *deviations = json_array();
    for (int k = 0; k < PLX_SEED_VIEWS; k++) {
        json_array_append_new(azimuths, json_real(360. * k / PLX_SEED_VIEWS));
        json_array_append_new(deviations, json_real(deviation[k]));
    }
    return json_pack("{s:o, s:o, s:f, s:f}", "azimuth_degrees", azimuths, "deviation", deviations, "seen",
                     sides.seen, "unseen", sides.unseen);
}
