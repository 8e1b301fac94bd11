/* What a card is measured by: kernels that do nothing but compute, and nothing but move, `times` over. */
#ifndef PLX_PROBES_H
#define PLX_PROBES_H

#include "nerf/tensor/tensor.h"

typedef struct plx_probes {
    double (*multiply_add)(int times, float *sink); /* started; how many operations. sink (1) */
    void (*triad)(int times, size_t n, const float *b, const float *c,
                  float *a); /* a = b + c / 2; n % 4 = 0 */
    size_t (*cache)(void);   /* bytes of the last one */
} plx_probes;

const plx_probes *
plx_device_probes(const plx_device *device); /* NULL: the host's, which tools/bench_probe.c measures */

#endif
