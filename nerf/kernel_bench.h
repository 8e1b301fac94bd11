/* How each kernel of PLX_KERNEL_LIST is run to be timed: its arrays for given sizes, and its call. */
#ifndef PLX_KERNEL_BENCH_H
#define PLX_KERNEL_BENCH_H

#include "nerf/core/arena.h"
#include "nerf/nerf.h"
#include "nerf/tensor/kernels.h"

enum { PLX_KERNEL_MAX_ARRAYS = 20 };

/* A kernel's arguments. */
typedef struct plx_kernel_work {
    const plx_kernels *kernels;
    const int *n;     /* sizes, in the order of the kernel's letters */
    plx_arena *arena; /* all arrays, on the host; `first` is the first byte */
    char *first;
    const struct plx_memory *memory; /* the device's, and the arrays there; NULL on the host */
    char *block;
    size_t block_bytes;
    float *a[PLX_KERNEL_MAX_ARRAYS];
    int arrays;
    double flops, bytes;
    plx_points points;
    plx_rays rays;
    int *slab;
    plx_field_tensors tensors, gradients;
    plx_ray *ray;
    plx_ray_target *targets;
    int *many, *object_start;
    plx_frame *frame;
    unsigned char *occupied;
    plx_chunk *chunk;
    int chunks;
    double *sums, *number; /* number (2) */
} plx_kernel_work;

typedef struct plx_kernel_bench {
    const char *letters; /* of the sizes, as kernels.h has them */
    void (*prepare)(plx_kernel_work *w);
    int (*run)(void *work);
} plx_kernel_bench;

extern const plx_kernel_bench *const plx_kernel_benches[]; /* in the list's order */

#endif
