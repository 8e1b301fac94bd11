/* The host's side of CUDA: the card, its memory, the one stream, and what went wrong on it. Compiled with make CUDA=1 only. */
#ifndef PLX_CUDA_CARD_H
#define PLX_CUDA_CARD_H

#include "nerf/tensor/memory.h"
#include "nerf/tensor/probes.h"

int plx_cuda_cards(void);
const char *
plx_cuda_card(int card); /* its name and memory; or why there is none. In this thread, until the next call */
int plx_cuda_open(int card); /* the process's one card from now on */
void plx_cuda_set_precision(enum plx_precision precision);
enum plx_precision plx_cuda_precision(void);
extern const plx_memory plx_cuda_memory;
extern const plx_probes plx_cuda_probes;

/* Of a library's call in a kernel: keeps the first for the next synchronisation. */
void plx_cuda_failed(const char *kernel, const char *why);

struct plx_kernels;
void plx_kernels_cuda(struct plx_kernels *table); /* fills */

#endif
