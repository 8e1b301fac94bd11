/* One image -> field, feed-forward. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/model.h"
#include "nerf/tensor/memory.h"

enum { INFERENCE_ARENA = 1 << 30 };

static int encode_one(plx_tape **tape, plx_encoding *out, const plx_model *m, const plx_view *input,
                      bool elevation_known) {
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
    plx_encoder_pose pose = plx_encoder_pose_of(&input->camera, elevation_known);
    *out = plx_model_encode(*tape, m, 1, image->width, image->data, &pose);
    return PLX_OK;
}

static void copy(const plx_tape *tape, plx_tensor *to, const plx_tensor *from) {
    PLX_CHECK(plx_tensor_size(to) == plx_tensor_size(from), "reconstruct: %s has another size", to->name);
    plx_memory_copy(plx_tape_memory(tape), to->data, from->data, sizeof(float) * plx_tensor_size(from));
}

int plx_model_reconstruct(plx_field **out, const plx_model *m, const plx_view *input, bool elevation_known,
                          bool train) {
    plx_tape *tape = NULL;
    plx_encoding e;
    int status = encode_one(&tape, &e, m, input, elevation_known);
    if (status) return status;
    plx_field_operands p = plx_model_operands(m, &e);
    plx_frame frame = plx_frame_make(m->config.frame, &input->camera, PLX_SCENE_RADIUS);
    plx_field *field = NULL;
    status = plx_field_create(&field, plx_field_operands_size(&p), frame, 0, train);
    if (!status) {
        plx_field_operands *q = &field->operands;
        plx_tensor *const to[] = {q->xy, q->xz, q->yz, q->w1, q->b1, q->w2, q->b2, q->w3, q->b3};
        plx_tensor *const from[] = {p.xy, p.xz, p.yz, p.w1, p.b1, p.w2, p.b2, p.w3, p.b3};
        for (int i = 0; i < 9; i++) copy(tape, to[i], from[i]);
        status = plx_field_update_occupancy(field);
    }
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
    int status = encode_one(&tape, &e, m, input, elevation_known);
    if (status) return status;
    size_t bytes = sizeof(float) * plx_tensor_size(e.features);
    *tokens = e.features->shape[1] * e.features->shape[2];
    *context = malloc(bytes);
    if (*context) memcpy(*context, plx_tape_values(tape, e.features), bytes);
    plx_tape_free(tape);
    return *context ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "reconstruct: out of memory");
}

int plx_model_elevation(const plx_model *m, const plx_view *input, float *elevation) {
    plx_tape *tape = NULL;
    plx_encoding e;
    int status = encode_one(&tape, &e, m, input, false);
    if (status) return status;
    const float *direction = plx_tape_values(tape, e.elevation);
    *elevation = atan2f(direction[0], direction[1]);
    plx_tape_free(tape);
    return PLX_OK;
}
