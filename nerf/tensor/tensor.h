/* Tensors, the device they live on, and the eager tape.
 *
 * An op checks shapes, makes its output in the step's arena, calls its kernel through the device's table and
 * pushes a node. plx_tape_backward runs the nodes in reverse; gradients ADD into tensor->grad.
 * All data is float32, row-major; images are (N,H,W,C). */
#ifndef PLX_TENSOR_H
#define PLX_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nerf/core/arena.h"
#include "nerf/core/error.h"
#include "nerf/core/rng.h"

#define PLX_MAX_DIMENSIONS 4

typedef struct plx_tensor {
    int ndim;
    int shape[PLX_MAX_DIMENSIONS];
    float *data;
    float *grad;      /* NULL: no gradient is wanted */
    const char *name; /* a parameter's, or the op's that made it */
} plx_tensor;

size_t plx_tensor_size(const plx_tensor *x); /* number of elements */

struct plx_kernels;

typedef struct plx_device {
    const struct plx_kernels *kernels;
    const char *name;
} plx_device;

/* "ref", "cpu" (cuda later). A table that lacks a kernel is an error that names it. */
int plx_device_open(plx_device *out, const char *name);

typedef struct plx_tape plx_tape;
typedef void (*plx_backward_fn)(plx_tape *tape, void *saved);

/* `record` false: no nodes, no gradients (inference). The capacity is address space. */
int plx_tape_create(plx_tape **out, plx_device device, size_t arena_bytes, bool record);
void plx_tape_free(plx_tape *tape);
void plx_tape_reset(plx_tape *tape); /* forget all activations, gradients and nodes */
bool plx_tape_recording(const plx_tape *tape);
void plx_tape_set_recording(plx_tape *tape, bool record); /* e.g. off around a frozen encoder */
const struct plx_kernels *plx_tape_kernels(const plx_tape *tape);
plx_arena *plx_tape_arena(plx_tape *tape); /* step lifetime; ops mark and release scratch in it */
size_t plx_tape_peak_bytes(const plx_tape *tape);

/* A new tensor in the step's arena: uninitialised data; zeroed grad when recording and `wants_grad`. */
plx_tensor *plx_tape_tensor(plx_tape *tape, const char *name, int ndim, const int *shape, bool wants_grad);
/* The same with data copied in; a constant (no gradient) unless wants_grad. */
plx_tensor *plx_tape_input(plx_tape *tape, int ndim, const int *shape, const float *data, bool wants_grad);
/* Pushes a node; `saved` lives in the step's arena. Only called when recording and some input wants
 * gradients. */
void plx_tape_push(plx_tape *tape, plx_backward_fn backward, void *saved);

/* Seeds d(loss)/d(loss) = 1 for a one-element tensor, or leaves the given tensor's grad as filled by the
 * caller (loss NULL), and runs the tape backwards. */
void plx_tape_backward(plx_tape *tape, plx_tensor *loss);

#define PLX_SHAPE(...)                                      \
    (sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]) { \
        __VA_ARGS__                                         \
    }

#endif
