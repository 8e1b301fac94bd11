/* Neural-field scoring: the split, and the order of true views and negative controls at a tiny budget. */
#include "tests/consistency_scene.h"
#include "nerf/consistency.h"

static plx_field_score_options tiny(int steps) {
    plx_field_score_options options = plx_field_score_options_default();
    options.fit.steps = steps;
    options.fit.rays = 512;
    options.fit.resolution = 32;
    options.fit.hidden = 16;
    options.samples = 48;
    return options;
}

TEST(field_score, controls_in_order) {
    plx_field_score score[CONTROLS];
    plx_field_score_options options = tiny(160);
    for (int c = 0; c < CONTROLS; c++) {
        plx_views views = control_views((enum control)c, 20, 32, 3.1415927f);
        REQUIRE(plx_field_score_views(&score[c], NULL, &views, NULL, &options, NULL, NULL) == PLX_OK, "%s",
                plx_error());
        EXPECT(score[c].fitted == 16 && score[c].held == 4, "%d and %d", score[c].fitted, score[c].held);
        plx_views_free(&views);
    }
    /* Seen: 21.9, 20.8, 20.3, 19.2, 17.0 dB. At half a turn, the same picture everywhere beats shuffled ones. */
    static const enum control order[CONTROLS] = {CONTROL_TRUE, CONTROL_NOISE, CONTROL_MIXED, CONTROL_REPEATED,
                                                 CONTROL_SHUFFLED};
    for (int i = 1; i < CONTROLS; i++) {
        const plx_field_score *better = &score[order[i - 1]], *worse = &score[order[i]];
        EXPECT(better->psnr > worse->psnr + 0.2 && better->ssim > worse->ssim && better->flip < worse->flip,
               "%s: %g dB, %g, %g; %s: %g dB, %g, %g", control_names[order[i - 1]], better->psnr,
               better->ssim, better->flip, control_names[order[i]], worse->psnr, worse->ssim, worse->flip);
    }
}

/* A view counts as fitted if another picture in its place changes the field. */
static int count_fitted(plx_views *views, const plx_field_score_options *options, bool fitted[]) {
    plx_view drawn[2] = {{.camera = views->views[0].camera}, {.camera = views->views[0].camera}};
    plx_render_options render = plx_render_options_default();
    int count = 0;
    render.skip_empty = false;                /* so few steps leave next to nothing */
    for (int i = -1; i < views->count; i++) { /* -1: as they are */
        plx_field_score score;
        plx_field *field = NULL;
        float *pixels = i < 0 ? NULL : views->views[i].colour.data, held[16 * 16 * 4];
        for (int p = 0; pixels && p < 16 * 16 * 4; p++)
            held[p] = pixels[p], pixels[p] = p % 4 == 3 ? 1 : 0.2f;
        int status = plx_field_score_views(&score, &field, views, NULL, options, NULL, NULL);
        plx_view *view = &drawn[i >= 0];
        if (!status) status = plx_field_render(field, view, &render);
        EXPECT(status == PLX_OK, "%s", plx_error());
        if (i >= 0 && !status) {
            fitted[i] = memcmp(drawn[0].colour.data, drawn[1].colour.data, sizeof held) != 0;
            count += fitted[i];
        }
        if (pixels) memcpy(pixels, held, sizeof held);
        if (i >= 0) plx_image_free(&view->colour);
        plx_field_free(field);
    }
    plx_image_free(&drawn[0].colour);
    return count;
}

TEST(field_score, held_views_are_not_fitted) {
    enum { N = 6 };
    plx_views views = box_views(1, N, 16, 6.2831853f);
    plx_field_score_options options = tiny(5);
    bool fitted[2][N] = {{0}};
    int different = 0;
    options.share = 0.67f, options.fit.resolution = 16;
    for (int s = 0; s < 2; s++) {
        options.fit.seed = (uint64_t)s + 1;
        int count = count_fitted(&views, &options, fitted[s]);
        EXPECT(count == 4, "seed %d: %d of %d views are fitted", s + 1, count, N);
        different += memcmp(fitted[0], fitted[s], sizeof fitted[0]) != 0;
    }
    EXPECT(different > 0, "two seeds, one split");
    plx_views_free(&views);
}

TEST(field_score, input_and_refusals) {
    plx_views views = box_views(1, 4, 16, 6.2831853f), other = box_views(2, 1, 16, 1);
    plx_field_score_options options = tiny(40);
    plx_field_score without, with, again;
    plx_field *field = NULL;
    options.share = 0.5f;
    REQUIRE(plx_field_score_views(&without, NULL, &views, NULL, &options, NULL, NULL) == PLX_OK, "%s",
            plx_error());
    REQUIRE(plx_field_score_views(&with, NULL, &views, &other.views[0], &options, NULL, NULL) == PLX_OK, "%s",
            plx_error());
    REQUIRE(plx_field_score_views(&again, NULL, &views, &other.views[0], &options, NULL, NULL) == PLX_OK,
            "%s", plx_error());
    EXPECT(with.fitted == 2 && with.held == 2 && with.psnr != without.psnr && with.psnr == again.psnr,
           "%d and %d; %g dB with the input, %g without, %g again", with.fitted, with.held, with.psnr,
           without.psnr, again.psnr);
    other.views[0].colour.data[3] = NAN;
    EXPECT(plx_field_score_views(&with, &field, &views, &other.views[0], &options, NULL, NULL) ==
                   PLX_ERROR_INPUT &&
               strstr(plx_error(), "the input") && !field,
           "%s", plx_error());
    views.views[3].colour.data[0] = NAN;
    EXPECT(plx_field_score_views(&with, NULL, &views, NULL, &options, NULL, NULL) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "box: view 3"),
           "%s", plx_error());
    views.count = 1;
    EXPECT(plx_field_score_views(&with, NULL, &views, NULL, &options, NULL, NULL) == PLX_ERROR_INPUT,
           "one view");
    views.count = 3, options.share = 1;
    EXPECT(plx_field_score_views(&with, NULL, &views, NULL, &options, NULL, NULL) == PLX_ERROR_INPUT,
           "all of them");
    views.count = 4;
    plx_views_free(&views);
    plx_views_free(&other);
}
