/* For tests of kernels: arrays with guards, and comparison of a table with `ref`. */
#ifndef PLX_KERNEL_CHECK_H
#define PLX_KERNEL_CHECK_H

#include "tests/test.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/tensor.h"

#include <stdbool.h>

/* TESTED(conv_fwd) outside any function: the kernel is compared with `ref` by a test of this file. */
#define TESTED(kernel)                                               \
    __attribute__((constructor)) static void tested_##kernel(void) { \
        kernel_is_tested(#kernel);                                   \
    }
void kernel_is_tested(const char *kernel);

/* `count` numbers N(0,1) from (stream, index), between guards that check_guards looks at; freed by free_arrays. */
float *array(size_t count, unsigned stream);
float *array_copy(const float *from, size_t count); /* with guards of its own */
void free_arrays(void);                             /* all; a broken guard fails the test */

/* |a - b| <= tolerance (largest |ref|, at least 1) for every element; says where not. */
void expect_close(const char *what, const float *seen, const float *ref, size_t count, double tolerance);

const plx_kernels *table(const char *device);

#endif
