/* The tables that the kernels' tests take. */
#include "tests/kernel_check.h"

__attribute__((weak)) const plx_kernels *card_table(void); /* there with CUDA=1, and on the stand-ins */

const plx_kernels *table(const char *name) {
    plx_device device;
    if (plx_device_open(&device, name) < 0) {
        test_fail(__FILE__, __LINE__, name, "%s", plx_error());
        abort();
    }
    return device.kernels;
}

const plx_kernels *tested_table(void) {
    const char *name = getenv("TESTED_TABLE");
    return name && strcmp(name, "cuda") == 0 && card_table ? card_table() : table(name ? name : "cpu");
}
