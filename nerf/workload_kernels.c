/* Every kernel as work to be timed, at sizes that our models use: the encoder (width 64) and the denoiser (width 48)
 * at batch 8, 64x64 pixels in patches of 2, and the model's field. A kernel without a size is found by tests/test_bench.c,
 * and so is a size that no model uses. */
#include "nerf/workload_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/kernel_bench.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/tensor.h"

enum { MAX_SIZES = PLX_KERNEL_MAX_SIZES };
static const size_t address_space = (size_t)4 << 30; /* for one kernel's arrays */

/* ---- the sizes ----------------------------------------------------------------------------------------- */

enum kernel {
#define PLX_KERNEL_NUMBER(name, arguments) KERNEL_##name,
    PLX_KERNEL_LIST(PLX_KERNEL_NUMBER)
#undef PLX_KERNEL_NUMBER
        KERNELS
};

static const char *const names[] = {
#define PLX_KERNEL_NAME(name, arguments) #name,
    PLX_KERNEL_LIST(PLX_KERNEL_NAME)
#undef PLX_KERNEL_NAME
};

typedef struct kernel_case {
    enum kernel kernel;
    int n[MAX_SIZES];
} kernel_case;

#define ONE(kernel, ...) {KERNEL_##kernel, {__VA_ARGS__}},
#define BOTH(family, ...) ONE(family##_fwd, __VA_ARGS__) ONE(family##_bwd, __VA_ARGS__)

static const kernel_case cases[] = {
    /* the encoder's, from its finest level to its coarsest, and its strided and 1x1 ones */
    BOTH(conv, 8, 32, 32, 24, 64, 3, 1) BOTH(conv, 8, 32, 32, 64, 64, 3, 1)
        BOTH(conv, 8, 32, 32, 128, 64, 3, 1) BOTH(conv, 8, 16, 16, 128, 128, 3, 1)
            BOTH(conv, 8, 8, 8, 256, 256, 3, 1) BOTH(conv, 8, 8, 8, 512, 256, 3, 1)
                BOTH(conv, 8, 32, 32, 64, 64, 3, 2) BOTH(conv, 8, 16, 16, 256, 128, 1, 1)
    /* the denoiser's */
    BOTH(conv, 8, 32, 32, 48, 48, 3, 1) BOTH(conv, 8, 32, 32, 96, 48, 3, 1)
        BOTH(conv, 8, 16, 16, 96, 96, 3, 1) BOTH(conv, 8, 16, 16, 192, 96, 3, 1)
    /* q, k, v of 16x16 tokens; scale and shift; a head of the sides */
    BOTH(linear, 2048, 96, 288) BOTH(linear, 8, 128, 96) BOTH(linear, 256, 512, 256)
        BOTH(norm, 8, 1024, 64, 16, 0) BOTH(norm, 8, 1024, 64, 16, 1) BOTH(norm, 8, 256, 96, 24, 1)
            BOTH(silu, 65536) BOTH(sigmoid, 65536) ONE(axpy, 524288)
    /* self- and cross-attention at 16x16, self-attention at 8x8 */
    BOTH(attention, 8, 256, 256, 4, 24) BOTH(attention, 8, 256, 64, 4, 24) BOTH(attention, 8, 64, 64, 4, 24)
        BOTH(concat, 8192, 64, 64) BOTH(slice, 2048, 288, 96, 192) BOTH(swap_hw, 8, 8, 32, 64)
            BOTH(upsample2, 8, 16, 16, 128) BOTH(pool, 8, 32, 32, 64, 4, 1)
                BOTH(space_to_depth, 8, 64, 64, 10, 2) BOTH(depth_to_space, 8, 32, 32, 84, 2)
    /* a training step's samples on 8 objects, a refinement step's on one, a fit's */
    BOTH(field, 8, 16384, 64, 32, 1, 64) BOTH(field, 1, 16384, 64, 32, 1, 64)
        BOTH(field, 1, 65536, 128, 128, 0, 32) BOTH(composite, 5376, 32) BOTH(first_hit, 5376, 8)
    /* their rays, a batch's conditions, a fit's planes, a batch of cells, a prediction, the model's parameters */
    ONE(sample_stratified, 5376, 16) ONE(sample_importance, 5376, 16) ONE(points_along, 5376, 32)
        ONE(seen_lengths, 5376, 32) ONE(ray_loss, 5376, 32) ONE(drop_faint, 5376, 32)
            ONE(condition_channels, 32768, 1) ONE(plane_variation, 128, 128, 32)
                ONE(clear_channels, 64, 64, 22) ONE(disturb, 64, 64, 4) ONE(cell_points, 16384, 64)
                    ONE(cell_occupied, 16384, 64) ONE(grow_cells, 64)
    /* a fit's march, a picture's rounds, a batch of views and their noise */
    ONE(march_starts, 2048, 128) ONE(march_samples, 2048, 128) ONE(round_starts, 4096, 16)
        ONE(round_samples, 4096, 16) ONE(add_round, 4096, 16) ONE(noise_views, 8, 16384) BOTH(lp, 131072)
            BOTH(loss_sum, 1) ONE(gradient_norm, 4194304) ONE(adamw, 4194304)};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- as workloads -------------------------------------------------------------------------------------- */

int plx_kernel_workloads(void) {
    return CASES;
}

void plx_kernel_workload_case(int index, plx_kernel_case *out) {
    out->kernel = names[cases[index].kernel];
    out->letters = plx_kernel_benches[cases[index].kernel]->letters;
    memcpy(out->n, cases[index].n, sizeof out->n);
}

/* "conv_fwd N8 H32 W32 I64 O64 K3 s1" */
static void write_name(char *out, size_t size, const kernel_case *c) {
    int used = snprintf(out, size, "%s", names[c->kernel]);
    const char *letter = plx_kernel_benches[c->kernel]->letters;
    for (int i = 0; *letter; i++) {
        int length = (int)strcspn(letter, " ");
        used += snprintf(out + used, size - (size_t)used, " %.*s%d", length, letter, c->n[i]);
        letter += length + (letter[length] == ' ');
    }
}

void plx_kernel_workload_name(int index, char name[96]) {
    write_name(name, 96, &cases[index]);
}

static void free_work(void *state) {
    plx_kernel_work *w = state;
    if (w->memory) plx_memory_give(w->memory, w->block, w->block_bytes);
    plx_arena_free(w->arena);
    free(w);
}

/* What every kernel may ask for. */
static int make_arena(plx_kernel_work *w, const int n[MAX_SIZES]) {
    int status = plx_arena_create(&w->arena, address_space);
    if (status) return status;
    w->number = plx_arena_zalloc(w->arena, 2 * sizeof *w->number);
    w->number[0] = 1;
    w->first = (char *)w->number;
    w->n = memcpy(plx_arena_alloc(w->arena, sizeof(int) * MAX_SIZES), n, sizeof(int) * MAX_SIZES);
    w->frame = plx_arena_alloc(w->arena, sizeof *w->frame);
    *w->frame = (plx_frame){.kind = PLX_FRAME_WORLD, .radius = 0.5f};
    return PLX_OK;
}

/* All arrays to the device, and every pointer with them. */
static int move_to_device(plx_kernel_work *w) {
    w->block_bytes = plx_arena_mark(w->arena);
    w->block = plx_memory_take(w->memory, w->block_bytes);
    if (!w->block) return plx_fail_in(PLX_ERROR_MEMORY, "bench");
    w->memory->write(w->block, w->first, w->block_bytes);
    float **const tensors[] = {w->a, &w->tensors.xy, &w->gradients.xy};
    const int counts[] = {w->arrays, sizeof w->tensors / sizeof(float *),
                          sizeof w->gradients / sizeof(float *)};
#define MOVE(p) \
    if (p) (p) = (void *)(w->block + ((const char *)(p)-w->first));
    MOVE(w->points.start)
    MOVE(w->points.coords)
    MOVE(w->rays.start)
    MOVE(w->rays.t)
    MOVE(w->rays.length)
    MOVE(w->slab)
    MOVE(w->ray)
    MOVE(w->targets)
    MOVE(w->many)
    MOVE(w->object_start)
    MOVE(w->frame)
    MOVE(w->occupied)
    MOVE(w->chunk)
    MOVE(w->sums)
    MOVE(w->number)
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < counts[t]; i++) MOVE(tensors[t][i])
#undef MOVE
    return PLX_OK;
}

int plx_kernel_workload_at(plx_workload *out, const char *device_name, const plx_kernel_case *at) {
    *out = (plx_workload){0};
    kernel_case c = {.kernel = 0};
    while (c.kernel < KERNELS && strcmp(names[c.kernel], at->kernel) != 0) c.kernel++;
    PLX_CHECK(c.kernel < KERNELS, "no kernel is called %s", at->kernel);
    memcpy(c.n, at->n, sizeof c.n);
    plx_device device;
    int status = plx_device_open(&device, device_name);
    if (status) return status;
    plx_kernel_work *w = calloc(1, sizeof *w);
    if (!w) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", at->kernel);
    w->kernels = device.kernels;
    w->memory = device.memory;
    const plx_kernel_bench *bench = plx_kernel_benches[c.kernel];
    status = make_arena(w, at->n);
    if (!status) bench->prepare(w);
    if (!status && w->memory) status = move_to_device(w);
    if (status) {
        free_work(w);
        return status;
    }
    *out = (plx_workload){
        .flops = w->flops, .bytes = w->bytes, .run = bench->run, .free = free_work, .state = w};
    write_name(out->name, sizeof out->name, &c);
    return PLX_OK;
}

int plx_kernel_workload(plx_workload *out, const char *device_name, int index) {
    PLX_CHECK(index >= 0 && index < CASES, "kernel workload %d of %d", index, CASES);
    plx_kernel_case at;
    plx_kernel_workload_case(index, &at);
    return plx_kernel_workload_at(out, device_name, &at);
}
