/* The field's kernels (listed by kernels.h). */
#ifndef PLX_KERNELS_FIELD_H
#define PLX_KERNELS_FIELD_H

#define PLX_FIELD_KERNEL_LIST(X)

#endif
