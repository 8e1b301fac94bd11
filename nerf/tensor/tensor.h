/* Tensors, the device they live on, and the eager tape.
 *
 * An op checks shapes, makes its output and hands both to plx_tape_apply, which runs it and, while recording, keeps it
 * for plx_tape_backward. That runs the ops in reverse; gradients ADD into tensor->grad.
 * All data is float32, row-major, in the device's memory; images are (N,H,W,C). */
#ifndef PLX_TENSOR_H
#define PLX_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nerf/core/arena.h"
#include "nerf/core/error.h"
#include "nerf/core/rng.h"

#define PLX_MAX_DIMENSIONS 4

typedef struct plx_op plx_op;

typedef struct plx_tensor {
    int ndim;
    int shape[PLX_MAX_DIMENSIONS];
    float *data;
    float *grad;      /* a parameter's or input's; an op's output has one inside plx_tape_backward only */
    const char *name; /* a parameter's, or the op's that made it */
    const plx_op *made_by;    /* the recorded op; NULL: a parameter, an input, a constant */
    struct plx_tensor *older; /* the one that the tape made before */
    bool kept;                /* the backward pass reads the data */
    bool let_go;              /* by plx_tape_leave */
    bool shared;              /* the data are another tensor's too */
} plx_tensor;

size_t plx_tensor_size(const plx_tensor *x); /* number of elements */

struct plx_kernels;

struct plx_memory;

typedef struct plx_device {
    const struct plx_kernels *kernels;
    const char *name;
    const struct plx_memory *memory; /* NULL: the host's own */
} plx_device;

/* "ref", "cpu", "cuda", "cuda:N", "auto" (cuda where there is a card, else cpu), or NULL: the one of plx_device_choose,
 * at first cpu. A table that lacks a kernel is an error that names it. */
int plx_device_open(plx_device *out, const char *name);

/* How cuda's matrix products and convolutions take their factors; sums and all that is kept are float32. */
enum plx_precision { PLX_PRECISION_F32, PLX_PRECISION_TF32, PLX_PRECISION_BF16 };
/* What plx_device_open gives for NULL, and so where models and fields are made from now on: to be called before any is. */
int plx_device_choose(const char *name, const char *precision);
int plx_device_cards(void); /* CUDA cards; 0 without them, their driver, or CUDA in this build */
const char *plx_device_card(
    int index); /* "NVIDIA H100, 80 GB", of the next call's lifetime; with index 0 and no card: why */

/* ---- the tape ------------------------------------------------------------------------------------------------ */

typedef struct plx_tape plx_tape;

/* `record` false: no gradients (inference). The capacity, of tensors and of the arena, is address space. */
int plx_tape_create(plx_tape **out, plx_device device, size_t capacity, bool record);
void plx_tape_free(plx_tape *tape);
void plx_tape_reset(plx_tape *tape); /* forget all tensors and ops */
bool plx_tape_recording(const plx_tape *tape);
void plx_tape_set_recording(plx_tape *tape, bool record); /* e.g. off around a frozen encoder */
const struct plx_kernels *plx_tape_kernels(const plx_tape *tape);
plx_arena *plx_tape_arena(plx_tape *tape); /* the host's, step lifetime; ops mark and release scratch in it */
const struct plx_memory *plx_tape_memory(const plx_tape *tape);
size_t plx_tape_peak_bytes(const plx_tape *tape);

/* A new tensor that lives until the next reset, or until plx_tape_leave: uninitialised data. */
plx_tensor *plx_tape_tensor(plx_tape *tape, const char *name, int ndim, const int *shape);
/* The same with the host's data copied in; a constant (no gradient) unless wants_grad. */
plx_tensor *plx_tape_input(plx_tape *tape, int ndim, const int *shape, const float *data, bool wants_grad);

/* Arrays that live until the next reset. In the device's memory: uninitialised; and with the host's data, which are used
 * as they are where the two memories are one, so that they must live as long. On the host: what the device computed, when
 * it is done. */
void *plx_tape_array(plx_tape *tape, size_t bytes);
const void *plx_tape_constant(plx_tape *tape, const void *host, size_t bytes);
const void *plx_tape_copy(plx_tape *tape, const void *host, size_t bytes); /* a copy in any case */
const void *plx_tape_read(plx_tape *tape, const void *array, size_t bytes);
const float *plx_tape_values(plx_tape *tape, const plx_tensor *x); /* plx_tape_read of the data */

/* One of another shape on the same data. */
plx_tensor *plx_tape_view(plx_tape *tape, plx_tensor *x, int ndim, const int *shape);

/* What is made between the two is only for use in between, but for `result`: leave gives its memory back, at once or
 * when the backward pass has used it. */
typedef struct plx_scope {
    plx_tensor *outside; /* the newest tensor of before */
} plx_scope;
plx_scope plx_tape_enter(const plx_tape *tape);
plx_tensor *plx_tape_leave(plx_tape *tape, plx_scope scope, plx_tensor *result);

/* Seeds d(loss)/d(loss) = 1 for a one-element tensor, or takes the gradients that the caller filled (plx_tape_grad;
 * loss NULL), and runs the tape backwards. */
void plx_tape_backward(plx_tape *tape, plx_tensor *loss);
/* A tensor's gradient, zeros at first; NULL if it wants none. */
float *plx_tape_grad(plx_tape *tape, plx_tensor *x);

/* ---- ops, for op_*.c ----------------------------------------------------------------------------------------- */

typedef void (*plx_op_fn)(plx_tape *tape, const plx_op *op);

enum plx_op_property {
    PLX_READS_INPUTS = 1, /* backward reads the inputs' data */
    PLX_READS_OUTPUT = 2, /* and the output's */
    PLX_RUNS_AGAIN = 4, /* a cheap one: its output is not stored, but computed again when backward reads it */
    PLX_PASSES = 8      /* an input's gradient is the output's; no function */
};
#define PLX_OP_INPUTS 9

struct plx_op {
    plx_op_fn forward;  /* output->data from the inputs' */
    plx_op_fn backward; /* adds to the gradients of the inputs that have one */
    int properties;
    plx_tensor *output, *input[PLX_OP_INPUTS]; /* NULL where there is none */
    void *saved;                               /* in the step's arena */
    const plx_op *previous;
};

/* Runs an op forward; keeps it if the tape records and some input wants a gradient. Returns the output. */
plx_tensor *plx_tape_apply(plx_tape *tape, plx_op op);
void *plx_tape_save(plx_tape *tape, const void *value, size_t bytes); /* a copy in the step's arena */
bool plx_wants_grad(const plx_tensor *x);

#define PLX_SHAPE(...)                                      \
    (sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]) { \
        __VA_ARGS__                                         \
    }

#endif
