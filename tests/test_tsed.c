/* SIFT on pictures whose keypoints are known, and TSED on true views and negative controls. */
#include "tests/consistency_scene.h"
#include "nerf/consistency.h"
#include "nerf/sift.h"

static const float contrast = 0.0133f;

/* A Gaussian spot is a keypoint at its centre, of about its own width. */
TEST(tsed, a_spot_is_a_keypoint) {
    const float x = 30.7f, y = 25.2f, width = 3;
    plx_image image;
    plx_keypoint *found;
    int count, near = 0;
    REQUIRE(plx_image_create(&image, 48, 64, 3) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 48 * 64; i++) {
        float u = (float)(i % 64) + 0.5f - x, v = (float)(i / 64) + 0.5f - y;
        for (int c = 0; c < 3; c++)
            image.data[3 * i + c] = 0.8f * expf(-(u * u + v * v) / (2 * width * width));
    }
    REQUIRE(plx_sift_find(&found, &count, &image, contrast) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < count; i++) {
        /* Keypoints are refined to a fraction of a pixel; half a pixel's slip would be the convention's. */
        float off = hypotf(found[i].x - x, found[i].y - y), norm = 0;
        near += off < 0.15f && found[i].scale > 0.7f * width && found[i].scale < 1.4f * width;
        for (int k = 0; k < 128; k++) norm += found[i].descriptor[k] * found[i].descriptor[k];
        EXPECT(fabsf(norm - 1) < 1e-3f, "a descriptor of length %g",
               sqrtf(norm)); /* floats, by VLFeat's fast root */
    }
    EXPECT(near > 0, "%d keypoints, the first at %g, %g of %g pixels", count, count ? found[0].x : 0,
           count ? found[0].y : 0, count ? found[0].scale : 0);
    free(found);
    plx_image_free(&image);
}

/* A texture moved by 8 pixels (whole pixels in the octaves of 2, 1, 1/2, 1/4 and 1/8 of the size). */
TEST(tsed, matches_move_with_the_picture) {
    enum { N = 64, SHIFT = 8 };
    plx_image image[2];
    plx_keypoint *found[2];
    plx_match *matches;
    int counts[2], count, right = 0;
    for (int m = 0; m < 2; m++) {
        REQUIRE(plx_image_create(&image[m], N, N, 3) == PLX_OK, "%s", plx_error());
        for (int i = 0; i < N * N; i++) {
            const float p[3] = {(float)(i % N + m * SHIFT), (float)(i / N), 0};
            float value = texture_at((plx_rng){5, 0}, p, 6);
            for (int c = 0; c < 3; c++) image[m].data[3 * i + c] = value;
        }
        REQUIRE(plx_sift_find(&found[m], &counts[m], &image[m], contrast) == PLX_OK, "%s", plx_error());
    }
    REQUIRE(plx_sift_match(&matches, &count, found[0], counts[0], found[1], counts[1], 0.8f) == PLX_OK, "%s",
            plx_error());
    for (int i = 0; i < count; i++) {
        const plx_keypoint *a = &found[0][matches[i].a], *b = &found[1][matches[i].b];
        right += hypotf(a->x - b->x - SHIFT, a->y - b->y) < 0.1f;
    }
    /* Seen: all but those of the strip that only one picture has, and of descriptors that reach into it. */
    EXPECT(count >= 20 && right >= 0.8 * count, "%d of %d matches are right", right, count);
    free(matches);
    for (int m = 0; m < 2; m++) {
        free(found[m]);
        plx_image_free(&image[m]);
    }
}

TEST(tsed, controls_in_order) {
    plx_tsed score[CONTROLS];
    plx_tsed_options options = plx_tsed_options_default();
    for (int c = 0; c < CONTROLS; c++) {
        plx_views views = control_views((enum control)c, 12, 64, 1.2f);
        REQUIRE(plx_tsed_score(&score[c], &views, &options) == PLX_OK, "%s", plx_error());
        plx_views_free(&views);
    }
    const double *exact = score[CONTROL_TRUE].consistent, *noisy = score[CONTROL_NOISE].consistent;
    /* Seen at half a pixel: 0.80, 0.47, 0.20, 0. The mixed views' 0.2 are pairs of one object. */
    EXPECT(exact[0] > 0.7 && score[CONTROL_TRUE].median < 0.3, "true: %g of %d pairs, median %g", exact[0],
           score[CONTROL_TRUE].pairs, score[CONTROL_TRUE].median);
    EXPECT(noisy[0] < 0.8 * exact[0] && noisy[0] > 1.3 * score[CONTROL_MIXED].consistent[0] &&
               score[CONTROL_MIXED].consistent[0] > score[CONTROL_SHUFFLED].consistent[0],
           "%g, %g, %g, %g", exact[0], noisy[0], score[CONTROL_MIXED].consistent[0],
           score[CONTROL_SHUFFLED].consistent[0]);
    EXPECT(score[CONTROL_SHUFFLED].consistent[4] < 0.4 && score[CONTROL_SHUFFLED].median > 2,
           "shuffled: %g, %g px", score[CONTROL_SHUFFLED].consistent[4], score[CONTROL_SHUFFLED].median);
    /* Where it fails, as its header says: 6 degrees apart, the same picture everywhere passes. */
    EXPECT(score[CONTROL_REPEATED].consistent[1] == 1 &&
               score[CONTROL_REPEATED].median > 2 * score[CONTROL_TRUE].median,
           "repeated: %g, %g px", score[CONTROL_REPEATED].consistent[1], score[CONTROL_REPEATED].median);
    for (int c = 0; c < CONTROLS; c++)
        for (int t = 1; t < options.thresholds; t++)
            EXPECT(score[c].consistent[t] >= score[c].consistent[t - 1], "%s: more at a smaller threshold",
                   control_names[c]);
}

/* The other failure: true views without texture have no matches. */
TEST(tsed, texture_is_needed) {
    plx_views views = box_views(1, 3, 48, 0.3f);
    plx_tsed_options options = plx_tsed_options_default();
    plx_tsed score;
    for (int i = 0; i < 3; i++)
        for (int p = 0; p < 48 * 48 * 4; p++) views.views[i].colour.data[p] = 1;
    REQUIRE(plx_tsed_score(&score, &views, &options) == PLX_OK, "%s", plx_error());
    EXPECT(score.pairs == 3 && score.matched == 0 && score.matches == 0 && score.consistent[4] == 0 &&
               isnan(score.median),
           "%d of %d pairs matched", score.matched, score.pairs);
    views.views[1].colour.data[5] = INFINITY;
    EXPECT(plx_tsed_score(&score, &views, &options) == PLX_ERROR_INPUT && strstr(plx_error(), "view 1"), "%s",
           plx_error());
    options.thresholds = 0;
    EXPECT(plx_tsed_score(&score, &views, &options) == PLX_ERROR_INPUT, "no thresholds");
    plx_views_free(&views);
}
