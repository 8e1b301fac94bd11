/* One image -> field, feed-forward. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/model.h"
#include "nerf/tensor/memory.h"

enum { INFERENCE_ARENA = 1 << 30 };

/* The picture and, with `mirror`, its mirror image as a second one. */
static int encode(plx_tape **tape, plx_encoding *out, const plx_model *m, const plx_view *input,
                  bool elevation_known, bool mirror) {
    const plx_image *image = &input->colour;
    int size = m->config.size;
    PLX_CHECK(image->channels == 4, "reconstruct: image of %d channels, not RGBA", image->channels);
    if (image->width != image->height || image->width % 16 || image->width < 16)
        return plx_fail(PLX_ERROR_INPUT, "an input of %dx%d; the model takes squares such as %dx%d",
                        image->width, image->height, size, size);
    plx_device device;
    int status = plx_device_open(&device, NULL);
    if (!status) status = plx_tape_create(tape, device, INFERENCE_ARENA, false);
    if (status) return status;
    const size_t W = (size_t)image->width, floats = 4 * W * W;
    const plx_encoder_pose pose = plx_encoder_pose_of(&input->camera, elevation_known);
    plx_encoder_pose mirrored = pose;
    mirrored.origin[0] = -pose.origin[0];
    float *pictures = plx_arena_alloc(plx_tape_arena(*tape), sizeof(float) * 2 * floats);
    memcpy(pictures, image->data, sizeof(float) * floats);
    for (size_t p = 0; p < W * W && mirror; p++)
        memcpy(pictures + floats + 4 * p, image->data + 4 * (p - p % W + (W - 1 - p % W)), 4 * sizeof(float));
    *out = plx_model_encode(*tape, m, mirror ? 2 : 1, image->width, pictures,
                            (plx_encoder_pose[]){pose, mirrored});
    return PLX_OK;
}

static void copy(const plx_tape *tape, plx_tensor *to, const plx_tensor *from) {
    PLX_CHECK(plx_tensor_size(to) == plx_tensor_size(from), "reconstruct: %s has another size", to->name);
    plx_memory_copy(plx_tape_memory(tape), to->data, from->data, sizeof(float) * plx_tensor_size(from));
}

/* The mean of the picture's plane (from (2,H,W,C), the first) and of its mirror image's, mirrored back (`flip`: its
 * columns). The encoder is nearly equivariant: the mean is a plane as good as either, and the field 0.1 dB better. */
static int mean_plane(plx_tape *tape, plx_tensor *to, const plx_tensor *from, bool flip) {
    const size_t floats = plx_tensor_size(to), W = (size_t)to->shape[2], C = (size_t)to->shape[3];
    PLX_CHECK(2 * floats == plx_tensor_size(from), "reconstruct: %s has another size", to->name);
    const float *own = plx_tape_values(tape, from), *mirrored = own + floats;
    float *mean = malloc(sizeof(float) * floats);
    if (!mean) return plx_fail(PLX_ERROR_MEMORY, "reconstruct: out of memory");
    for (size_t i = 0; i < floats / C; i++) {
        const size_t j = flip ? i - i % W + (W - 1 - i % W) : i;
        for (size_t c = 0; c < C; c++) mean[i * C + c] = 0.5f * (own[i * C + c] + mirrored[j * C + c]);
    }
    plx_memory_write(plx_tape_memory(tape), to->data, mean, sizeof(float) * floats);
    free(mean);
    return PLX_OK;
}

int plx_model_reconstruct(plx_field **out, const plx_model *m, const plx_view *input, bool elevation_known,
                          bool train) {
    plx_tape *tape = NULL;
    plx_encoding e;
    int status = encode(&tape, &e, m, input, elevation_known, true);
    if (status) return status;
    plx_field_operands p = plx_model_operands(m, &e);
    plx_frame frame = plx_frame_make(m->config.frame, &input->camera, PLX_SCENE_RADIUS);
    plx_field *field = NULL;
    plx_field_size size = plx_field_operands_size(&p);
    size.N = 1;
    status = plx_field_create(&field, size, frame, 0, train);
    if (!status) {
        plx_field_operands *q = &field->operands;
        plx_tensor *const to[] = {q->w1, q->b1, q->w2, q->b2, q->w3, q->b3};
        plx_tensor *const from[] = {p.w1, p.b1, p.w2, p.b2, p.w3, p.b3};
        for (int i = 0; i < 6; i++) copy(tape, to[i], from[i]);
        status = mean_plane(tape, q->xy, p.xy, true);
        if (!status) status = mean_plane(tape, q->xz, p.xz, true);
        if (!status) status = mean_plane(tape, q->yz, p.yz, false);
    }
    if (!status) status = plx_field_update_occupancy(field);
    plx_tape_free(tape);
    if (status)
        plx_field_free(field);
    else
        *out = field;
    return status;
}

int plx_model_context(float **context, int *tokens, const plx_model *m, const plx_view *input,
                      bool elevation_known) {
    plx_tape *tape = NULL;
    plx_encoding e;
    int status = encode(&tape, &e, m, input, elevation_known, false);
    if (status) return status;
    size_t bytes = sizeof(float) * plx_tensor_size(e.features);
    *tokens = e.features->shape[1] * e.features->shape[2];
    *context = malloc(bytes);
    if (*context) memcpy(*context, plx_tape_values(tape, e.features), bytes);
    status = *context ? plx_memory_check(plx_tape_memory(tape))
                      : plx_fail(PLX_ERROR_MEMORY, "reconstruct: out of memory");
    plx_tape_free(tape);
    if (!status) return PLX_OK;
    free(*context);
    *context = NULL;
    return status;
}

int plx_model_elevation(const plx_model *m, const plx_view *input, float *elevation) {
    plx_tape *tape = NULL;
    plx_encoding e;
    int status = encode(&tape, &e, m, input, false, false);
    if (status) return status;
    const float *direction = plx_tape_values(tape, e.elevation);
    *elevation = atan2f(direction[0], direction[1]);
    status = plx_memory_check(plx_tape_memory(tape));
    plx_tape_free(tape);
    return status;
}
