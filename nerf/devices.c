#include "nerf/nerf.h"

#include <stdio.h>

#include "nerf/tensor/tensor.h"

const char *plx_device_names(void) {
    static _Thread_local char text[64];
    static const char *const names[] = {"cpu", "ref"};
    int used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        plx_device device;
        if (plx_device_open(&device, names[i])) continue;
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%s", used ? ", " : "", names[i]);
    }
    return text;
}
