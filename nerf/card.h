/* The card in use: to wait for it, and what it can do at best. Public.
 *
 *     #include "nerf/card.h"
 *     #include "nerf/nerf.h"
 *     #include <stdio.h>
 *     // example: multiply-adds on a card, or why there are none.
 *     int main(void) {
 *         plx_workload probe = {0};
 *         int status = plx_device_use("auto", "f32");
 *         if (!status) status = plx_probe_workload(&probe, PLX_PROBE_MULTIPLY_ADD, 0, 1000);
 *         if (!status) status = probe.run(probe.state);
 *         if (!status) status = plx_card_wait();
 *         if (!status) printf("%.0f operations\n", probe.flops);
 *         else printf("%s\n", plx_error());
 *         plx_workload_free(&probe);
 *         return 0;
 *     }
 */
#ifndef PLX_CARD_H
#define PLX_CARD_H

#include <stddef.h>

#include "nerf/core/workload.h"

int plx_card_wait(
    void); /* until it has done what it was given; its first error. At once where there is none in use */
size_t plx_card_cache(void); /* bytes of its last cache; 0: no card is in use */

/* What it does `times` over in one run, or a product of matrices of side `size`. PLX_ERROR_SUPPORT: no card is in use. */
enum plx_probe {
    PLX_PROBE_MULTIPLY_ADD, /* float32, in registers */
    PLX_PROBE_MEMORY,       /* a = b + c / 2 over `size` bytes in all */
    PLX_PROBE_PRODUCT       /* in the precision in use */
};
int plx_probe_workload(plx_workload *out, enum plx_probe probe, size_t size, int times);

#endif
