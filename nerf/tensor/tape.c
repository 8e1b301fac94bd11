/* The tape: ops in the order they ran, and the memory of what they made.
 *
 * Data and gradients of tensors come from a pool. Backward, an op's output gets its gradient from the first of its users
 * (they all stand later on the tape), and gives it back when the op itself has been reversed; data that the forward pass
 * has let go is given back with it. So a gradient lives from its first use to its last. */
#include "nerf/tensor/tensor.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/pool.h"

#include <stdlib.h>
#include <string.h>

struct plx_tape {
    plx_device device;
    plx_arena *arena; /* tensors' and ops' structs, what ops save; emptied by reset */
    plx_pool *pool;   /* data and gradients */
    const plx_op *last;
    plx_tensor *newest;
    bool record;
};

int plx_tape_create(plx_tape **out, plx_device device, size_t capacity, bool record) {
    *out = NULL;
    plx_tape *tape = calloc(1, sizeof *tape);
    if (!tape) return plx_fail(PLX_ERROR_MEMORY, "no memory for a tape");
    tape->device = device;
    tape->record = record;
    int status = plx_arena_create(&tape->arena, capacity);
    if (!status) status = plx_pool_create(&tape->pool, device.memory, capacity);
    if (status < 0) {
        plx_tape_free(tape);
        return status;
    }
    *out = tape;
    return PLX_OK;
}

void plx_tape_free(plx_tape *tape) {
    if (!tape) return;
    plx_arena_free(tape->arena);
    plx_pool_free(tape->pool);
    free(tape);
}

void plx_tape_reset(plx_tape *tape) {
    plx_arena_release(tape->arena, 0);
    plx_pool_reset(tape->pool);
    tape->last = NULL;
    tape->newest = NULL;
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
const plx_memory *plx_tape_memory(const plx_tape *tape) {
    return tape->device.memory;
}
size_t plx_tape_peak_bytes(const plx_tape *tape) {
    return plx_arena_peak(tape->arena) + plx_pool_peak(tape->pool);
}

/* ---- arrays --------------------------------------------------------------------------------------------------- */

/* An array belongs to the op that is being made, whose tensor is the newest. */
void *plx_tape_array(plx_tape *tape, size_t bytes) {
    return tape->device.memory
               ? plx_pool_take(tape->pool, tape->newest ? tape->newest->name : "a step's arrays", bytes)
               : plx_arena_alloc(tape->arena, bytes);
}

const void *plx_tape_constant(plx_tape *tape, const void *host, size_t bytes) {
    return tape->device.memory ? plx_tape_copy(tape, host, bytes) : host;
}

const void *plx_tape_copy(plx_tape *tape, const void *host, size_t bytes) {
    void *array = plx_tape_array(tape, bytes);
    plx_memory_write(tape->device.memory, array, host, bytes);
    return array;
}

const void *plx_tape_read(plx_tape *tape, const void *array, size_t bytes) {
    if (!tape->device.memory) return array;
    void *host = plx_arena_alloc(tape->arena, bytes);
    tape->device.memory->read(host, array, bytes);
    return host;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const plx_tensor *x) {
    return plx_tensor_size(x) * sizeof(float);
}

static plx_tensor *without_data(plx_tape *tape, const char *name, int ndim, const int *shape) {
    PLX_CHECK(ndim >= 1 && ndim <= PLX_MAX_DIMENSIONS, "%s: %d dimensions", name, ndim);
    plx_tensor *x = plx_arena_alloc(tape->arena, sizeof *x);
    *x = (plx_tensor){.ndim = ndim, .name = name, .older = tape->newest};
    memcpy(x->shape, shape, (size_t)ndim * sizeof *shape);
    for (int i = 0; i < ndim; i++) PLX_CHECK(shape[i] > 0, "%s: size %d in dimension %d", name, shape[i], i);
    return tape->newest = x;
}

plx_tensor *plx_tape_tensor(plx_tape *tape, const char *name, int ndim, const int *shape) {
    plx_tensor *x = without_data(tape, name, ndim, shape);
    x->data = plx_pool_take(tape->pool, name, bytes_of(x));
    return x;
}

plx_tensor *plx_tape_view(plx_tape *tape, plx_tensor *x, int ndim, const int *shape) {
    plx_tensor *y = without_data(tape, x->name, ndim, shape);
    y->data = x->data;
    y->shared = x->shared = true;
    return y;
}

const float *plx_tape_values(plx_tape *tape, const plx_tensor *x) {
    return plx_tape_read(tape, x->data, bytes_of(x));
}

static float *new_gradient(plx_tape *tape, const plx_tensor *x) {
    float *grad = plx_pool_take(tape->pool, x->name, bytes_of(x));
    plx_memory_zero(tape->device.memory, grad, bytes_of(x));
    return grad;
}

float *plx_tape_grad(plx_tape *tape, plx_tensor *x) {
    if (!x->grad && x->made_by) x->grad = new_gradient(tape, x);
    return x->grad;
}

plx_tensor *plx_tape_input(plx_tape *tape, int ndim, const int *shape, const float *data, bool wants_grad) {
    plx_tensor *x = plx_tape_tensor(tape, "input", ndim, shape);
    plx_memory_write(tape->device.memory, x->data, data, bytes_of(x));
    if (wants_grad && tape->record) x->grad = new_gradient(tape, x);
    return x;
}

static void give_data_back(plx_tape *tape, plx_tensor *x) {
    if (!x->data || x->shared) return;
    plx_pool_give(tape->pool, x->data);
    x->data = NULL;
}

static bool runs_again(const plx_op *op) {
    return op && op->properties & PLX_RUNS_AGAIN;
}

plx_scope plx_tape_enter(const plx_tape *tape) {
    return (plx_scope){tape->newest};
}

plx_tensor *plx_tape_leave(plx_tape *tape, plx_scope scope, plx_tensor *result) {
    for (plx_tensor *x = tape->newest; x != scope.outside; x = x->older) {
        if (x == result) continue;
        x->let_go = true;
        if (!x->kept || runs_again(x->made_by)) give_data_back(tape, x);
    }
    return result;
}

/* ---- ops ------------------------------------------------------------------------------------------------------ */

void *plx_tape_save(plx_tape *tape, const void *value, size_t bytes) {
    return memcpy(plx_arena_alloc(tape->arena, bytes), value, bytes);
}

/* Marks what the op's backward, or its second run, will read. */
static void record(plx_tape *tape, plx_op op) {
    op.previous = tape->last;
    tape->last = op.output->made_by = plx_tape_save(tape, &op, sizeof op);
    if (op.properties & PLX_READS_OUTPUT) op.output->kept = true;
    for (int i = 0; i < PLX_OP_INPUTS; i++)
        if (op.input[i] && op.properties & (PLX_READS_INPUTS | PLX_RUNS_AGAIN)) op.input[i]->kept = true;
}

plx_tensor *plx_tape_apply(plx_tape *tape, plx_op op) {
    bool wanted = false;
    for (int i = 0; i < PLX_OP_INPUTS; i++) {
        if (!op.input[i]) continue;
        PLX_CHECK(op.input[i]->data, "%s of a %s that was let go", op.output->name, op.input[i]->name);
        wanted = wanted || plx_wants_grad(op.input[i]);
    }
    if (op.forward) op.forward(tape, &op);
    if (wanted && tape->record) record(tape, op);
    return op.output;
}

static void compute_again(plx_tape *tape, plx_tensor *x) {
    if (x->data) return;
    const plx_op *op = x->made_by;
    for (int i = 0; i < PLX_OP_INPUTS; i++)
        if (op->input[i]) compute_again(tape, op->input[i]);
    x->data = plx_pool_take(tape->pool, x->name, bytes_of(x));
    op->forward(tape, op);
}

/* Every input's gradient += the output's, whose memory one that has none yet takes over. */
static void pass(plx_tape *tape, const plx_op *op) {
    plx_tensor *y = op->output, *heir = NULL;
    for (int i = 0; i < PLX_OP_INPUTS; i++) {
        plx_tensor *x = op->input[i];
        if (!x || !plx_wants_grad(x)) continue;
        if (!x->grad && !heir)
            heir = x;
        else
            tape->device.kernels->axpy(plx_tensor_size(y), 1, y->grad, plx_tape_grad(tape, x));
    }
    if (heir && heir->grad) { /* an input twice */
        tape->device.kernels->axpy(plx_tensor_size(y), 1, y->grad, heir->grad);
    } else if (heir) {
        heir->grad = y->grad;
        y->grad = NULL;
    }
}

static void reverse(plx_tape *tape, const plx_op *op) {
    if (op->properties & PLX_PASSES) {
        pass(tape, op);
        return;
    }
    for (int i = 0; i < PLX_OP_INPUTS; i++) {
        if (!op->input[i]) continue;
        if (op->properties & PLX_READS_INPUTS) compute_again(tape, op->input[i]);
        plx_tape_grad(tape, op->input[i]);
    }
    op->backward(tape, op);
}

void plx_tape_backward(plx_tape *tape, plx_tensor *loss) {
    if (loss) {
        PLX_CHECK(plx_tensor_size(loss) == 1, "backward from %s with %zu elements, not 1", loss->name,
                  plx_tensor_size(loss));
        PLX_CHECK(plx_wants_grad(loss), "backward from %s, which depends on nothing that wants a gradient",
                  loss->name);
        const float one = 1;
        plx_memory_write(tape->device.memory, plx_tape_grad(tape, loss), &one, sizeof one);
    }
    for (const plx_op *op = tape->last; op; op = op->previous) {
        plx_tensor *y = op->output;
        const bool read = op->properties & PLX_READS_OUTPUT;
        if (y->let_go && !read) give_data_back(tape, y); /* its users are behind us */
        if (y->grad) reverse(tape, op);                  /* else nothing depends on it */
        if (y->grad) plx_pool_give(tape->pool, y->grad);
        y->grad = NULL;
        if (y->let_go && read) give_data_back(tape, y);
    }
    tape->last = NULL; /* a second call would add everything again */
}
