/* Table `cuda`: the launchers of cuda_*.cu, cuda_linear.c and cuda_conv.c. */
#include "nerf/tensor/cuda_card.h"
#include "nerf/tensor/cuda_kernels.h"

void plx_kernels_cuda(plx_kernels *table) {
#define PLX_KERNEL_FILL(name, arguments) table->name = plx_cuda_##name;
    PLX_KERNEL_LIST(PLX_KERNEL_FILL)
#undef PLX_KERNEL_FILL
}
