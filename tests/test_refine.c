/* Refinement from a model: the parts fit, the seed decides everything, the input stays what it was. What a trained
 * denoiser adds is measured, not tested here. */
#include "tests/test.h"
#include "diffusion/model.h"
#include "diffusion/refine.h"
#include "nerf/field.h"

static plx_model *small_model(void) {
    plx_model_config config = plx_model_config_default();
    plx_model *model = NULL;
    config.size = 32;
    config.encoder.unet.width = config.denoiser.unet.width = 16;
    config.denoiser.unet.context = plx_encoder_features(&config.encoder);
    int status = plx_model_create(&model, &config, 3, false);
    EXPECT(status == PLX_OK, "%s", plx_error());
    return model;
}

static plx_view small_input(void) {
    plx_view input = {.camera = plx_camera_orbit(0, 0.35f, 1.3f, PLX_DEFAULT_FOV, 32, 32)};
    if (plx_image_create(&input.colour, 32, 32, 4)) abort();
    for (int p = 0; p < 32 * 32; p++) {
        int i = p / 32, j = p % 32;
        float *rgba = input.colour.data + 4 * p;
        rgba[0] = 0.8f, rgba[1] = 0.1f, rgba[2] = (float)i / 32;
        rgba[3] = (i - 16) * (i - 16) + (j - 16) * (j - 16) < 100;
    }
    return input;
}

static plx_distill_options quick(plx_distill_options o) {
    o.steps = 2, o.field_steps = 2, o.final_steps = 1, o.rays = 64;
    o.step.coarse = 8, o.step.fine = 8;
    return o;
}

static bool same_planes(const plx_field *a, const plx_field *b) {
    size_t size = plx_tensor_size(a->operands.xz);
    return !memcmp(a->operands.xz->data, b->operands.xz->data, size * sizeof(float));
}

TEST(refine, changes_the_field_the_same_way_twice) {
    plx_model *model = small_model();
    plx_view input = small_input();
    plx_field *plain = NULL, *a = NULL, *b = NULL, *c = NULL;
    plx_distill_options paper = quick(plx_distill_options_paper()),
                        blend = quick(plx_distill_options_blend());
    paper.classifier_guidance = 1.5; /* the unconditional path too */
    REQUIRE(model && plx_model_reconstruct(&plain, model, &input, true, false) == 0, "%s", plx_error());
    REQUIRE(plx_model_refine(&a, model, &input, true, 5, &paper, NULL, NULL) == 0, "%s", plx_error());
    REQUIRE(plx_model_refine(&b, model, &input, true, 5, &paper, NULL, NULL) == 0, "%s", plx_error());
    REQUIRE(plx_model_refine(&c, model, &input, true, 5, &blend, NULL, NULL) == 0, "%s", plx_error());
    EXPECT(!same_planes(plain, a), "nothing was refined");
    EXPECT(same_planes(a, b), "the same seed gave two fields");
    EXPECT(!same_planes(a, c), "paper and blend are the same");
    plx_field_free(plain), plx_field_free(a), plx_field_free(b), plx_field_free(c);
    plx_image_free(&input.colour);
    plx_model_free(model);
}

static int stop(const plx_progress *progress, void *user) {
    (void)user;
    return progress->done == 1;
}

TEST(refine, stops_and_refuses_without_a_field) {
    plx_model *model = small_model();
    plx_view input = small_input();
    plx_field *field = NULL;
    plx_distill_options o = quick(plx_distill_options_paper());
    EXPECT(plx_model_refine(&field, model, &input, true, 2, &o, stop, NULL) == PLX_ERROR_CANCELLED && !field,
           "did not stop");
    EXPECT(plx_model_refine(&field, model, &input, true, 0, &o, NULL, NULL) == PLX_ERROR_INPUT && !field,
           "0 views");
    o.input_fraction = 0;
    EXPECT(plx_model_refine(&field, model, &input, true, 2, &o, NULL, NULL) == PLX_ERROR_INPUT && !field,
           "no rays of the input");
    plx_image_free(&input.colour);
    plx_model_free(model);
}
