/* A picture and its mirror image: what holds for any weights. */
#include "tests/test.h"
#include "diffusion/model.h"
#include "nerf/field.h"

enum { SIZE = 32 };

static plx_view lopsided_input(bool mirror) {
    plx_view input = {.camera = plx_camera_orbit(0, 0.35f, 1.3f, PLX_DEFAULT_FOV, SIZE, SIZE)};
    input.camera.cx += mirror ? -3 : 3; /* the object is not in the middle */
    if (plx_image_create(&input.colour, SIZE, SIZE, 4)) abort();
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            float *rgba = input.colour.data + 4 * (i * SIZE + (mirror ? SIZE - 1 - j : j));
            rgba[0] = (float)j / SIZE, rgba[1] = 0.1f, rgba[2] = (float)i / SIZE;
            rgba[3] = (i - 16) * (i - 16) + (j - 12) * (j - 12) < 100;
        }
    return input;
}

/* How far plane b is from being a with its columns turned about, at most. */
static float difference(const plx_tensor *a, const plx_tensor *b, bool flip) {
    const int H = a->shape[1], W = a->shape[2], C = a->shape[3];
    float most = 0;
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++)
            for (int c = 0; c < C; c++)
                most = fmaxf(most, fabsf(a->data[(i * W + j) * C + c] -
                                         b->data[(i * W + (flip ? W - 1 - j : j)) * C + c]));
    return most;
}

TEST(mirror, a_mirrored_picture_gives_mirrored_planes) {
    plx_model_config config = plx_model_config_default();
    config.size = SIZE;
    config.encoder.unet.width = config.denoiser.unet.width = 16;
    config.denoiser.unet.context = plx_encoder_features(&config.encoder);
    plx_model *model = NULL;
    plx_view input = lopsided_input(false), mirrored = lopsided_input(true);
    plx_field *a = NULL, *b = NULL;
    REQUIRE(plx_model_create(&model, &config, 3, false) == 0, "%s", plx_error());
    for (int i = 0; i < plx_params_count(model->params); i++) { /* fresh ones have zeros that hide the pose */
        const plx_tensor *x = &plx_params_at(model->params, i)->tensor;
        for (size_t k = 0; k < plx_tensor_size(x); k++) x->data[k] += 0.02f * sinf((float)(k + (size_t)i));
    }
    REQUIRE(plx_model_reconstruct(&a, model, &input, true, false) == 0, "%s", plx_error());
    REQUIRE(plx_model_reconstruct(&b, model, &mirrored, true, false) == 0, "%s", plx_error());
    const plx_field_operands *p = &a->operands, *q = &b->operands;
    /* The same two encodings in the other order: a batch's items do not see each other. */
    EXPECT(difference(p->xy, q->xy, true) < 1e-5f, "XY: %g", difference(p->xy, q->xy, true));
    EXPECT(difference(p->xz, q->xz, true) < 1e-5f, "XZ: %g", difference(p->xz, q->xz, true));
    EXPECT(difference(p->yz, q->yz, false) < 1e-5f, "YZ: %g", difference(p->yz, q->yz, false));
    EXPECT(difference(p->xy, q->xy, false) > 1e-2f, "the picture is symmetric");
    plx_field_free(a), plx_field_free(b);
    plx_image_free(&input.colour), plx_image_free(&mirrored.colour);
    plx_model_free(model);
}
