/* Parts of the table `cpu`, a file each. */
#ifndef PLX_KERNELS_CPU_H
#define PLX_KERNELS_CPU_H

#include "nerf/tensor/kernels.h"

void plx_kernels_cpu_norm(plx_kernels *table);
void plx_kernels_cpu_attention(plx_kernels *table);

#endif
