#include "nerf/tensor/kernels.h"
#include "nerf/tensor/tensor.h"

#include <pthread.h>
#include <string.h>

static plx_kernels ref_table, cpu_table;

static void fill_tables(void) {
    plx_kernels_ref(&ref_table);
    plx_kernels_field_ref(&ref_table);
    plx_kernels_rays(&ref_table);
    plx_kernels_train(&ref_table);
    cpu_table = ref_table;
    plx_kernels_cpu(&cpu_table);
    plx_kernels_dnnl(&cpu_table);
    plx_kernels_field_cpu(&cpu_table);
}

/* The name of the first entry that is missing, or NULL. */
static const char *missing_entry(const plx_kernels *table) {
#define PLX_KERNEL_TEST(name, arguments) \
    if (!table->name) return #name;
    PLX_KERNEL_LIST(PLX_KERNEL_TEST)
#undef PLX_KERNEL_TEST
    return NULL;
}

int plx_device_open(plx_device *out, const char *name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_tables);
    if (strcmp(name, "ref") == 0)
        *out = (plx_device){&ref_table, "ref"};
    else if (strcmp(name, "cpu") == 0)
        *out = (plx_device){&cpu_table, "cpu"};
    else
        return plx_fail(PLX_ERROR_INPUT, "device '%s': this build has ref and cpu", name);
    const char *missing = missing_entry(out->kernels);
    if (missing) return plx_fail(PLX_ERROR_SUPPORT, "device '%s' has no kernel '%s'", name, missing);
    return PLX_OK;
}
