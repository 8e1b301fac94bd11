/* What stands in for cudart, cuBLASLt and cuDNN where there is no card: the functions that Parallax uses, on the CPU. A misuse that
 * the libraries would answer with an error, or with wrong numbers, ends the program with a line. Device memory can be touched
 * by kernels and by these libraries only: the host's access to it is a segmentation fault. */
#ifndef STANDIN_H
#define STANDIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

void standin_begin(void); /* a kernel begins, and device memory opens */
void standin_end(void);
void standin_close(void); /* now, and not only behind some launch */
void standin_check(int good, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `bytes` from `p` on are mapped device memory. */
void standin_check_device(const char *what, const void *p, size_t bytes);

/* So far: copies to the host; how often the host waited; copies to the card, and how often their stream waited for the kernels'. */
extern size_t standin_reads, standin_waits, standin_copies, standin_copy_waits;
/* Which waits do nothing, as if they had been forgotten. */
extern enum standin_wait { NONE_DEAF, KERNELS_FOR_COPIES, COPIES_FOR_KERNELS, HOST_FOR_COPIES } standin_deaf;
extern size_t standin_card_bytes;                   /* of memory that the card has */
extern int standin_cards;                           /* 0: a machine without one */
extern size_t standin_allocations, standin_refused; /* so far; the one that gets no memory */

/* To `bits` bits of the fraction, to the nearest, ties to even. */
static inline float standin_rounded(float x, int bits) {
    uint32_t u, drop = 23 - (uint32_t)bits;
    if (!drop) return x;
    memcpy(&u, &x, 4);
    u += ((1u << (drop - 1)) - 1) + (u >> drop & 1);
    u &= ~((1u << drop) - 1);
    memcpy(&x, &u, 4);
    return x;
}

#ifdef __cplusplus
}
#endif

#endif
