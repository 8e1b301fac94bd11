/* The kernels of nerf/tensor/cuda_*.cu under tests/cuda/emulation.h, in the loops of tests/test_kernels*.c. The environment says how:
 *   EMULATION_ORDER=0..5   the order of threads and blocks
 *   EMULATION_LOG=FILE     a line for every launch: the kernel, and a hash of all arrays behind it. Files of two orders are equal, or
 *                          the kernel of the first line that differs has a race
 *   EMULATION_SHIFT=1      every array starts a float behind a multiple of 16 bytes
 *   EMULATION_SHARED=64    KiB of shared memory for a block; 99, unless said: an Ada card's */
extern "C" {
#include "tests/kernel_check.h"
}
#include "nerf/tensor/cuda_bf16.h"
#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_launch.h"
#include "nerf/tensor/cuda_linear.h"
#include "nerf/tensor/cuda_probe.h"

/* ---- the device layer, as far as kernels see it ------------------------------------------------------------------ */

static struct {
    float *memory;
    size_t floats;
} scratch[PLX_CUDA_SLOTS];

cudaStream_t plx_cuda_stream(void) {
    return nullptr;
}

/* Exactly as large as asked for, and NaN everywhere. */
float *plx_cuda_workspace(const char *, int slot, size_t floats) {
    free(scratch[slot].memory);
    scratch[slot].memory = (float *)aligned_alloc(256, (floats * sizeof(float) + 255) / 256 * 256);
    scratch[slot].floats = floats;
    memset(scratch[slot].memory, 0xff, floats * sizeof(float));
    return scratch[slot].memory;
}

bool plx_cuda_stopped(void) {
    return false;
}

static FILE *launch_log;

void plx_cuda_launched(const char *kernel) {
    if (!launch_log) return;
    uint64_t hash = arrays_hash();
    for (const auto &one : scratch) hash = hash * 31 + bits_hash(one.memory, one.floats);
    fprintf(launch_log, "%s %016llx\n", kernel, (unsigned long long)hash);
}

/* ---- the tables --------------------------------------------------------------------------------------------------- */

/* Those of cuBLASLt and cuDNN, which tests/cuda/standins.c tests. */
static bool of_a_library(const char *kernel) {
    return strncmp(kernel, "conv_", 5) == 0 || strncmp(kernel, "linear_", 7) == 0;
}

#define WEAK(name, arguments) extern "C" __attribute__((weak)) void plx_cuda_##name arguments;
PLX_KERNEL_LIST(WEAK)

static plx_kernels ref_table, cuda_table;

const plx_kernels *table(const char *) {
    return &ref_table;
}

const plx_kernels *tested_table(void) {
    return &cuda_table;
}

TEST(kernels, every_kernel_has_a_launcher) {
#define PRESENT(name, arguments) EXPECT(cuda_table.name || of_a_library(#name), "nothing launches %s", #name);
    PLX_KERNEL_LIST(PRESENT)
}

/* The bias's gradient, which is in no table. Sums in float of up to 2048 / 8 terms a thread. */
TEST(kernels, sums_of_rows) {
    static const size_t sizes[][2] = {{1, 1}, {37, 33}, {2049, 40}, {5000, 7}};
    for (const auto &size : sizes) {
        const size_t M = size[0], C = size[1];
        const float *x = array(M * C, 1);
        PAIR(y, C, 2);
        for (size_t c = 0; c < C; c++) {
            double sum = y[0][c];
            for (size_t m = 0; m < M; m++) sum += x[m * C + c];
            y[0][c] = (float)sum;
        }
        plx_cuda_add_rows(M, (int)C, x, y[1]);
        expect_close("sums of rows", y[1], y[0], C, SUMS);
        free_arrays();
    }
}

/* bfloat16, around cuDNN's convolutions. Rounding by adding half a unit in double, exact here; ties come as 1 + 2^-8. */
TEST(kernels, bfloat16) {
    static const size_t sizes[][2] = {{1, 1}, {37, 300}, {513, 255}};
    for (const auto &size : sizes) {
        const size_t A = size[0], B = size[1];
        float *a = array(A, 1), *b = array(B, 2);
        a[0] = 1 + 0x1p-8f, b[0] = -1 - 3 * 0x1p-8f;
        if (A > 2) a[1] = NAN, a[2] = INFINITY;
        float *to_a = array((A + 1) / 2, 3), *to_b = array((B + 1) / 2, 4);
        plx_cuda_to_bf16(A, a, (uint16_t *)to_a, B, b, (uint16_t *)to_b);
        PAIR(y, B, 5);
        PAIR(biased, B, 6);
        const float *bias = array(7, 7);
        for (size_t i = 0; i < B; i++) {
            int exponent;
            frexp(b[i], &exponent); /* |b| in [1/2,1) 2^exponent, of 8 bits */
            const float rounded = (float)ldexp(nearbyint(ldexp(b[i], 8 - exponent)), exponent - 8);
            y[0][i] += rounded, biased[0][i] = rounded + bias[i % 7];
        }
        plx_cuda_from_bf16(B, 7, (uint16_t *)to_b, nullptr, true, y[1]);
        plx_cuda_from_bf16(B, 7, (uint16_t *)to_b, bias, false, biased[1]);
        expect_close("added", y[1], y[0], B, 0);
        expect_close("biased", biased[1], biased[0], B, 0);
        plx_cuda_from_bf16(A, 7, (uint16_t *)to_a, nullptr, false, a);
        EXPECT(a[0] == 1 && (A < 3 || (isnan(a[1]) && a[2] == INFINITY)), "%g, %g, %g", a[0], a[1], a[2]);
        free_arrays();
    }
}

/* What parallax bench measures a card by. */
TEST(kernels, probes) {
    const size_t n = 1028;
    if (array_shift) return; /* they run on blocks of their own */
    const float *b = array(n, 1), *c = array(n, 2);
    PAIR(a, n, 3);
    for (size_t i = 0; i < n; i++) a[0][i] = b[i] + c[i] / 2;
    plx_cuda_probe_triad(2, n, b, c, a[1]);
    expect_close("triad", a[1], a[0], n, 0);
    EXPECT(plx_cuda_probe_multiply_add(2, 1, a[1]) == 2.0 * 2 * 2048 * 8 * 128, "operations");
    expect_close("after multiply-adds", a[1], a[0], n, 0);
    free_arrays();
}

__attribute__((constructor)) static void prepare(void) {
    plx_kernels_ref(&ref_table);
    plx_kernels_field_ref(&ref_table);
    plx_kernels_rays(&ref_table);
    plx_kernels_train(&ref_table);
#define FILL(name, arguments)          \
    cuda_table.name = plx_cuda_##name; \
    if (of_a_library(#name)) kernel_is_tested(#name);
    PLX_KERNEL_LIST(FILL)
    const char *order = getenv("EMULATION_ORDER"), *log = getenv("EMULATION_LOG"),
               *shift = getenv("EMULATION_SHIFT"), *shared = getenv("EMULATION_SHARED");
    emulation_shared_limit = (size_t)(shared ? atoi(shared) : 99) << 10;
    emulation_order = order ? atoi(order) : 0;
    array_shift = shift && atoi(shift);
    if (log && !(launch_log = fopen(log, "w"))) abort();
}
