/* The list behind plx_kernel_workload (nerf.h), for the tests that hold it against the kernels and the models. */
#ifndef PLX_WORKLOAD_KERNELS_H
#define PLX_WORKLOAD_KERNELS_H

#define PLX_KERNEL_MAX_SIZES 8

typedef struct plx_kernel_case {
    const char *kernel;
    const char *letters; /* of the sizes: "N H W I O K s" */
    int n[PLX_KERNEL_MAX_SIZES];
} plx_kernel_case;

void plx_kernel_workload_case(int index, plx_kernel_case *out);

#endif
