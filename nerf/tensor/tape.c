#include "nerf/tensor/tensor.h"

#include <stdlib.h>

typedef struct node {
    plx_backward_fn backward;
    void *saved;
    struct node *previous;
} node;

struct plx_tape {
    plx_device device;
    plx_arena *arena; /* activations, gradients, nodes, what ops save; emptied by reset */
    node *last;
    bool record;
};

int plx_tape_create(plx_tape **out, plx_device device, size_t arena_bytes, bool record) {
    *out = NULL;
    plx_tape *tape = calloc(1, sizeof *tape);
    if (!tape) return plx_fail(PLX_ERROR_MEMORY, "no memory for a tape");
    tape->device = device;
    tape->record = record;
    int status = plx_arena_create(&tape->arena, arena_bytes);
    if (status < 0) {
        free(tape);
        return status;
    }
    *out = tape;
    return PLX_OK;
}

void plx_tape_free(plx_tape *tape) {
    if (!tape) return;
    plx_arena_free(tape->arena);
    free(tape);
}

void plx_tape_reset(plx_tape *tape) {
    plx_arena_release(tape->arena, 0);
    tape->last = NULL;
}

bool plx_tape_recording(const plx_tape *tape) {
    return tape->record;
}
void plx_tape_set_recording(plx_tape *tape, bool record) {
    tape->record = record;
}
const struct plx_kernels *plx_tape_kernels(const plx_tape *tape) {
    return tape->device.kernels;
}
plx_arena *plx_tape_arena(plx_tape *tape) {
    return tape->arena;
}
size_t plx_tape_peak_bytes(const plx_tape *tape) {
    return plx_arena_peak(tape->arena);
}

void plx_tape_push(plx_tape *tape, plx_backward_fn backward, void *saved) {
    PLX_CHECK(tape->record, "a node was pushed on a tape that does not record");
    node *n = plx_arena_alloc(tape->arena, sizeof *n);
    *n = (node){backward, saved, tape->last};
    tape->last = n;
}

void plx_tape_backward(plx_tape *tape, plx_tensor *loss) {
    if (loss) {
        PLX_CHECK(plx_tensor_size(loss) == 1, "backward from %s with %zu elements, not 1", loss->name,
                  plx_tensor_size(loss));
        PLX_CHECK(loss->grad, "backward from %s, which depends on nothing that wants a gradient", loss->name);
        loss->grad[0] = 1;
    }
    for (node *n = tape->last; n; n = n->previous) n->backward(tape, n->saved);
    tape->last = NULL; /* a second call would add everything again */
}
