/* For tests of kernels: arrays with guards, and comparison of a table with `ref`. */
#ifndef PLX_KERNEL_CHECK_H
#define PLX_KERNEL_CHECK_H

#include "tests/test.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

/* TESTED(conv_fwd) outside any function: the kernel is compared with `ref` by a test of this file. */
#define TESTED(kernel)                                               \
    __attribute__((constructor)) static void tested_##kernel(void) { \
        kernel_is_tested(#kernel);                                   \
    }
void kernel_is_tested(const char *kernel);

/* `count` numbers N(0,1) from (stream, index), between guards that check_guards looks at; freed by free_arrays. */
float *array(size_t count, unsigned stream);
float *array_copy(const float *from, size_t count); /* with guards of its own */
int *int_array(const int *from, size_t count);      /* the same */
void *bytes_array(const void *from, size_t bytes);  /* of anything, at a multiple of 8; NULL: any bytes */
void free_arrays(void);                             /* all; a broken guard fails the test */
/* Where they stand one behind the other in a copy: a number of bytes from its start, a multiple of 256 apart; the copy's size with
 * p NULL, SIZE_MAX where p is in none of them. And the copy itself, guards included, there or back. */
size_t arrays_place(const void *p);
void arrays_move(char *copy, bool back);
uint64_t bits_hash(const void *data, size_t words); /* of 32 bits */
uint64_t arrays_hash(void);                         /* of the bits of all */
extern int array_shift; /* floats that arrays start behind a multiple of 64 bytes; set before any is made */

/* |a - b| <= tolerance (largest |ref|, at least 1) for every element; says where not. */
void expect_close(const char *what, const float *seen, const float *ref, size_t count, double tolerance);

const plx_kernels *table(const char *device);
/* The one under test: `cpu`, or the environment's TESTED_TABLE=cuda; under tests/cuda the kernels' own. */
const plx_kernels *tested_table(void);
const plx_kernels *card_table(void); /* `cuda`, which takes arrays of the host's: tests/card_table.cpp */

/* Sums of n terms of order 1 in float: 6e-8 sqrt(n) each way, and order of n once; 2e-6 is ten times that for n = 1000. */
#define SUMS 2e-6

/* Runs the statement with k = the table, out = 0 for ref and 1 for the table under test. */
#define ON_BOTH(statement)                                          \
    for (int out = 0; out < 2; out++) {                             \
        const plx_kernels *k = out ? tested_table() : table("ref"); \
        statement;                                                  \
    }

/* Two equal arrays, for the results of ref and the table under test. */
#define PAIR(name, count, stream)   \
    float *name[2];                 \
    name[0] = array(count, stream); \
    name[1] = array_copy(name[0], count)

#endif
