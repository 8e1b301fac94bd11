#include "nerf/nerf.h"

#include <stdio.h>

#include "nerf/tensor/tensor.h"

int plx_device_use(const char *device, const char *precision) {
    return plx_device_choose(device, precision);
}

const char *plx_device_used(void) {
    plx_device device;
    return plx_device_open(&device, NULL) ? "none" : device.name;
}

const char *plx_device_names(void) {
    static _Thread_local char text[1024];
    static const char *const names[] = {"cpu", "ref"};
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        plx_device device;
        if (plx_device_open(&device, names[i])) continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "", names[i]);
    }
    const int cards = plx_device_cards();
    for (int i = 0; i < cards && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ", cuda:%d (%s)", i, plx_device_card(i));
    if (!cards && *plx_device_card(0))
        snprintf(text + used, sizeof text - used, ", no cuda (%s)", plx_device_card(0));
    return text;
}
