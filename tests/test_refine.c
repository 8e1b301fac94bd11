/* Refinement from a model: the parts fit, the seed decides everything, the input stays what it was. What a trained
 * denoiser adds is measured, not tested here. */
#include "tests/test.h"
#include "diffusion/model.h"
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

static plx_refine_options quick(enum plx_refine_mode mode) {
    plx_refine_options o = plx_refine_options_default(mode);
    o.views = 5;
    o.distill.steps = 2, o.distill.field_steps = 2, o.distill.final_steps = 1, o.distill.rays = 64;
    return o;
}

/* A fresh field of the model, refined. */
static int refined(plx_field **out, const plx_model *model, const plx_view *input,
                   const plx_refine_options *o, plx_progress_fn progress) {
    int status = plx_model_reconstruct(out, model, input, true, true);
    return status ? status : plx_field_refine(*out, model, input, true, o, progress, NULL);
}

static bool same_planes(const plx_field *a, const plx_field *b) {
    size_t size = plx_tensor_size(a->operands.xz);
    return !memcmp(a->operands.xz->data, b->operands.xz->data, size * sizeof(float));
}

TEST(refine, changes_the_field_the_same_way_twice) {
    plx_model *model = small_model();
    plx_view input = small_input();
    plx_field *plain = NULL, *a = NULL, *b = NULL, *c = NULL;
    plx_refine_options paper = quick(PLX_REFINE_PAPER), blend = quick(PLX_REFINE_BLEND);
    paper.distill.classifier_guidance = 1.5f; /* the unconditional path too */
    REQUIRE(model && plx_model_reconstruct(&plain, model, &input, true, false) == 0, "%s", plx_error());
    REQUIRE(refined(&a, model, &input, &paper, NULL) == 0, "%s", plx_error());
    REQUIRE(refined(&b, model, &input, &paper, NULL) == 0, "%s", plx_error());
    REQUIRE(refined(&c, model, &input, &blend, NULL) == 0, "%s", plx_error());
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

TEST(refine, stops_and_refuses_bad_options) {
    plx_model *model = small_model();
    plx_view input = small_input();
    plx_field *a = NULL, *b = NULL;
    plx_refine_options o = quick(PLX_REFINE_PAPER);
    EXPECT(refined(&a, model, &input, &o, stop) == PLX_ERROR_CANCELLED, "did not stop");
    o.views = 0;
    EXPECT(refined(&b, model, &input, &o, NULL) == PLX_ERROR_INPUT, "0 views");
    plx_field_free(a), plx_field_free(b);
    plx_image_free(&input.colour);
    plx_model_free(model);
}
