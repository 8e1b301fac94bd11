/* The list behind plx_kernel_workload (nerf.h), for the tests that hold it against the kernels and the models. */
#ifndef PLX_WORKLOAD_KERNELS_H
#define PLX_WORKLOAD_KERNELS_H

#include "nerf/core/workload.h"

#define PLX_KERNEL_MAX_SIZES 8

typedef struct plx_kernel_case {
    const char *kernel;
    const char *letters; /* of the sizes: "N H W I O K s" */
    int n[PLX_KERNEL_MAX_SIZES];
} plx_kernel_case;

void plx_kernel_workload_case(int index, plx_kernel_case *out);
/* At other sizes than those of the list; its letters are not read. */
int plx_kernel_workload_at(plx_workload *out, const char *device, const plx_kernel_case *at);

#endif
