/* The blocks behind plx_params, for params.c, optim.c and the parameters' checkpoints. */
#ifndef PLX_BLOCKS_H
#define PLX_BLOCKS_H

#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/params.h"

#define PLX_PARAM_CHUNK \
    16384 /* elements; the optimiser's sums are cut here whatever the number of threads \
           */

typedef struct plx_param_chunk {
    int param;
    size_t begin, end; /* into the blocks, elements */
} plx_param_chunk;

struct plx_params {
    int count, capacity;
    plx_param *param;        /* in the order they were added */
    struct param_init *init; /* how each is drawn; freed by allocate */
    int *by_name;            /* indices sorted by name */
    plx_device device;
    size_t block;                      /* elements of a block, padding included */
    float *value, *grad, *m, *v, *ema; /* the blocks, on the device; all but `value` NULL unless training */
    plx_param_chunk *chunk;
    int chunk_count;
    plx_chunk *work;        /* (chunks) the optimiser's, with the rates of its last step */
    plx_chunk *device_work; /* the same on the device; `work` itself where that is the host */
    double *sums;           /* on the device: 2 numbers, the norm's, then (chunks) */
    bool ema_in_use;        /* value and ema have changed places */
};

static inline size_t plx_param_size(const plx_param *p) {
    return plx_tensor_size(&p->tensor);
}

#endif
