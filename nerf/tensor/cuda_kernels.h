/* The launchers of cuda_*.cu and kernels_cuda.c, one a kernel of the list and of its signature: pointers to numbers are the
 * device's, the small structs live on the host and hold such pointers. */
#ifndef PLX_CUDA_KERNELS_H
#define PLX_CUDA_KERNELS_H

#include "nerf/tensor/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_CUDA_DECLARE(name, arguments) void plx_cuda_##name arguments;
PLX_KERNEL_LIST(PLX_CUDA_DECLARE)
#undef PLX_CUDA_DECLARE

#ifdef __cplusplus
}
#endif

#endif
