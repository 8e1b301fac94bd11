#include "nerf/occupancy.h"
#include "nerf/tensor/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- decoder
 * ---------------------------------------------------------------------------------------------------- */

enum { NAME_SIZE = 96 };

static const char *join(char out[NAME_SIZE], const char *prefix, const char *name) {
    int length = snprintf(out, NAME_SIZE, "%s.%s", prefix, name);
    PLX_CHECK(length < NAME_SIZE, "parameter name %s.%s is too long", prefix, name);
    return out;
}

/* `live`: how many of the inputs are not always zero. */
static int declare_layer(plx_params *params, const char *prefix, int layer, int in, int live, int outs,
                         float rate) {
    char name[NAME_SIZE], part[8];
    snprintf(part, sizeof part, "w%d", layer);
    int status = plx_params_add(params, join(name, prefix, part), PLX_SHAPE(outs, in), 1 / sqrtf((float)live),
                                0, rate, true);
    if (status < 0) return status;
    part[0] = 'b';
    status = plx_params_add(params, join(name, prefix, part), PLX_SHAPE(outs), 0, 0, rate, false);
    return status < 0 ? status : PLX_OK;
}

int plx_decoder_declare(plx_params *params, const char *prefix, plx_field_size size, float rate) {
    int in = plx_field_inputs(size), live = plx_field_pixel_aligned(size) ? in - 2 * size.C : in;
    int status = declare_layer(params, prefix, 1, in, live, size.H, rate);
    if (!status) status = declare_layer(params, prefix, 2, size.H, size.H, size.H, rate);
    if (!status) status = declare_layer(params, prefix, 3, size.H, size.H, plx_field_outputs(size), rate);
    return status;
}

plx_field_operands plx_decoder_bind(plx_params *params, const char *prefix, plx_field_size size) {
    char name[NAME_SIZE];
    return (plx_field_operands){
        .w1 = plx_params_get(params, join(name, prefix, "w1")),
        .b1 = plx_params_get(params, join(name, prefix, "b1")),
        .w2 = plx_params_get(params, join(name, prefix, "w2")),
        .b2 = plx_params_get(params, join(name, prefix, "b2")),
        .w3 = plx_params_get(params, join(name, prefix, "w3")),
        .b3 = plx_params_get(params, join(name, prefix, "b3")),
        .frequencies = size.F,
        .guided = size.guided,
    };
}

/* ---- field
 * ------------------------------------------------------------------------------------------------------ */

#define STEP_ADDRESSES ((size_t)4 << 30) /* bytes of address space for a step's or a chunk of rays' arrays */

static int declare_planes(plx_params *params, plx_field_size s) {
    bool sides = !plx_field_pixel_aligned(s);
    float std = s.guided ? 0 : 0.1f, side_std = sides ? std : 0, side_rate = sides;
    int wide = plx_field_xy_channels(s);
    int status = plx_params_add(params, "planes.xy", PLX_SHAPE(1, s.xy[0], s.xy[1], wide), std, 0, 1, false);
    if (status >= 0)
        status = plx_params_add(params, "planes.xz", PLX_SHAPE(1, s.xz[0], s.xz[1], s.C), side_std, 0,
                                side_rate, false);
    if (status >= 0)
        status = plx_params_add(params, "planes.yz", PLX_SHAPE(1, s.yz[0], s.yz[1], s.C), side_std, 0,
                                side_rate, false);
    return status < 0 ? status : PLX_OK;
}

/* Adam for planes: most texels see few rays, so that gradients are small (epsilon) and no weight decays. */
static plx_optimiser field_optimiser(void) {
    plx_optimiser o = plx_optimiser_default();
    o.epsilon = 1e-12f;
    o.weight_decay = 0;
    o.clip = 0;
    return o;
}

int plx_field_create(plx_field **out, plx_field_size size, plx_frame frame, uint64_t seed, bool train) {
    PLX_CHECK(size.N == 1, "a field of %d objects", size.N);
    *out = NULL;
    plx_field *field = calloc(1, sizeof *field);
    if (!field) return plx_fail(PLX_ERROR_MEMORY, "no memory for a field");
    field->size = size;
    field->frame = frame;
    field->empty_below = 0.01f / (2 * frame.radius); /* 1 % opacity on the longest chord */
    field->optimiser = field_optimiser();
    plx_device device;
    int status = plx_device_open(&device, NULL);
    if (!status) status = plx_tape_create(&field->tape, device, STEP_ADDRESSES, false);
    if (!status) status = plx_params_create(&field->params);
    if (!status) status = declare_planes(field->params, size);
    if (!status) status = plx_decoder_declare(field->params, "decoder", size, 1);
    if (!status) status = plx_params_allocate(field->params, seed, train);
    if (status) {
        plx_field_free(field);
        return status;
    }
    field->operands = plx_decoder_bind(field->params, "decoder", size);
    field->operands.xy = plx_params_get(field->params, "planes.xy");
    field->operands.xz = plx_params_get(field->params, "planes.xz");
    field->operands.yz = plx_params_get(field->params, "planes.yz");
    if (plx_field_pixel_aligned(size)) field->operands.xz->grad = field->operands.yz->grad = NULL;
    *out = field;
    return PLX_OK;
}

void plx_field_free(plx_field *field) {
    if (!field) return;
    plx_params_free(field->params);
    if (field->tape)
        plx_memory_give(plx_tape_memory(field->tape), field->occupancy, PLX_GRID * PLX_GRID * PLX_GRID);
    plx_tape_free(field->tape);
    free(field);
}

float plx_field_radius(const plx_field *field) {
    return field->frame.radius;
}

bool plx_field_input_camera(const plx_field *field, plx_camera *camera) {
    if (field->frame.kind == PLX_FRAME_WORLD) return false;
    *camera = field->frame.camera;
    return true;
}
