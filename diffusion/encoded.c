#include "diffusion/encoded.h"

#include <string.h>

plx_encoded plx_encode_items(plx_tape *tape, const plx_model *model, int N, const int *items,
                             const plx_views *batch, const plx_encoder_pose *poses) {
    plx_arena *arena = plx_tape_arena(tape);
    const int size = batch[items[0]].views[0].colour.width;
    const size_t pixels = (size_t)(size * size);
    plx_frame *frames = plx_arena_alloc(arena, sizeof *frames * (size_t)N);
    plx_encoder_pose *of = plx_arena_alloc(arena, sizeof *of * (size_t)N);
    float *rgba = plx_arena_alloc(arena, sizeof(float) * 4 * pixels * (size_t)N);
    for (int n = 0; n < N; n++) {
        const plx_view *input = &batch[items[n]].views[0];
        const plx_image *c = &input->colour;
        PLX_CHECK(c->height == size && c->width == size && c->channels == 4, "train: an input of %dx%dx%d",
                  c->height, c->width, c->channels);
        memcpy(rgba + 4 * pixels * (size_t)n, c->data, sizeof(float) * 4 * pixels);
        of[n] = poses[items[n]];
        frames[n] = plx_frame_make(model->config.frame, &input->camera, PLX_SCENE_RADIUS);
    }
    plx_encoded e = {.N = N, .items = items, .frames = frames};
    e.encoding = plx_model_encode(tape, model, N, size, rgba, of);
    e.field = plx_model_operands(model, &e.encoding);
    return e;
}
