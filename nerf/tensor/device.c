/* Devices by name, and the one that this process computes on. */
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/probes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef PLX_CUDA
#include "nerf/tensor/cuda_card.h"
#endif

static plx_kernels ref_table, cpu_table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

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

/* ---- cuda ------------------------------------------------------------------------------------------------------- */

/* N of "cuda" or "cuda:N"; -1: another name. */
static int card_of(const char *name) {
    char *end;
    if (strncmp(name, "cuda", 4) != 0) return -1;
    if (!name[4]) return 0;
    if (name[4] != ':' || name[5] < '0' || name[5] > '9') return -1;
    long card = strtol(name + 5, &end, 10);
    return *end || card > 1023 ? -1 : (int)card;
}

#ifdef PLX_CUDA
static plx_kernels cuda_table;
static pthread_once_t cuda_once = PTHREAD_ONCE_INIT;

static void fill_cuda(void) {
    plx_kernels_cuda(&cuda_table);
}

int plx_device_cards(void) {
    return plx_cuda_cards();
}

const char *plx_device_card(int card) {
    return plx_cuda_card(card);
}

static int open_card(plx_device *out, int card) {
    int status = plx_cuda_open(card);
    if (status) return status;
    pthread_once(&cuda_once, fill_cuda);
    *out = (plx_device){&cuda_table, "cuda", &plx_cuda_memory};
    return PLX_OK;
}

const plx_probes *plx_device_probes(const plx_device *device) {
    return device->memory ? &plx_cuda_probes : NULL;
}

static int set_precision(enum plx_precision precision) {
    plx_cuda_set_precision(precision);
    return PLX_OK;
}
#else
int plx_device_cards(void) {
    return 0;
}

const char *plx_device_card(int card) {
    (void)card;
    return "";
}

static int open_card(plx_device *out, int card) {
    (void)out, (void)card;
    return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda': this build is without CUDA (make CUDA=1)");
}

const plx_probes *plx_device_probes(const plx_device *device) {
    (void)device;
    return NULL;
}

static int set_precision(enum plx_precision precision) {
    (void)precision;
    return PLX_OK;
}
#endif

/* ---- the process's ------------------------------------------------------------------------------------------------- */

static char chosen[16] = "cpu";

int plx_device_choose(const char *name, const char *precision) {
    static const char *const precisions[] = {"f32", "tf32", "bf16"};
    int p = 0;
    while (p < 3 && strcmp(precisions[p], precision) != 0) p++;
    if (p == 3) return plx_fail(PLX_ERROR_INPUT, "precision '%s': f32, tf32 or bf16", precision);
    if (strlen(name) >= sizeof chosen)
        return plx_fail(PLX_ERROR_INPUT, "device '%s': auto, cpu or cuda[:n]", name);
    plx_device device;
    int status = plx_device_open(&device, name);
    if (status) return status;
    if (p && !device.memory)
        return plx_fail(PLX_ERROR_SUPPORT, "precision '%s': device '%s' computes in f32", precision,
                        device.name);
    if (device.memory) {
        status = set_precision((enum plx_precision)p);
        if (status) return status;
    }
    strcpy(chosen, strcmp(name, "auto") ? name : device.name);
    return PLX_OK;
}

int plx_device_open(plx_device *out, const char *name) {
    if (!name) name = chosen;
    pthread_once(&once, fill_tables);
    if (strcmp(name, "auto") == 0) name = plx_device_cards() > 0 ? "cuda" : "cpu";
    const int card = card_of(name);
    if (strcmp(name, "ref") == 0)
        *out = (plx_device){&ref_table, "ref", NULL};
    else if (strcmp(name, "cpu") == 0)
        *out = (plx_device){&cpu_table, "cpu", NULL};
    else if (card < 0)
        return plx_fail(PLX_ERROR_INPUT, "device '%s': auto, cpu, ref or cuda[:n]", name);
    else if (open_card(out, card))
        return PLX_ERROR_SUPPORT;
    const char *missing = missing_entry(out->kernels);
    if (missing) return plx_fail(PLX_ERROR_SUPPORT, "device '%s' has no kernel '%s'", name, missing);
    return PLX_OK;
}
