/* The launches of tests/cuda/emulation.h: blocks one after the other, a block's threads as fibers. */
#include "tests/cuda/emulation.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <algorithm>
#include <numeric>
#include <vector>

#ifndef __SANITIZE_ADDRESS__ /* nobody to tell */
#define __sanitizer_start_switch_fiber(a, b, c) ((void)(a), (void)(b), (void)(c))
#define __sanitizer_finish_switch_fiber(a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;
int emulation_order;
void (*emulation_launching)(const char *kernel);
void (*emulation_launched)(const char *kernel);

size_t emulation_shared_limit = 64 << 10;

/* What every card from sm_75 on has. */
enum { MAX_THREADS = 1024, STACK = 128 << 10, PAGE = 4096 };

/* ---- fibers: x86-64's System V registers that a call keeps ------------------------------------------------------- */

extern "C" void emulation_switch(void **save, void *load);
asm(".text\n"
    "emulation_switch:\n"
    "    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
    "    ret\n");

enum { EXCHANGE = 16 }; /* bytes of the largest value that is shuffled */

struct fiber {
    void *pointer; /* its stack's top while it waits */
    unsigned char *stack;
    void *fake_stack; /* AddressSanitizer's */
    dim3 index;
    int number; /* in the block: lane number % 32 of warp number / 32 */
    bool done;
    unsigned barriers; /* passed or waited at */
    unsigned meetings; /* of its warp */
    unsigned mask;     /* of the one it waits at; 0: none */
    const char *site;  /* where it waits */
    unsigned char value[2][EXCHANGE];
};

static std::vector<fiber> fibers(MAX_THREADS);
static int thread_count;
static fiber *running;
static void *scheduler, *scheduler_fake_stack;
static const void *scheduler_stack;
static size_t scheduler_size;
static const std::function<void()> *body;
static const char *kernel_name;

static struct {
    int arrived, ones, result;
    unsigned passed;
    const char *site;
} barrier;

[[noreturn]] static void fail(const char *format, ...) {
    fprintf(stderr, "kernel %s: ", kernel_name);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (block %u,%u,%u, order %d)\n", blockIdx.x, blockIdx.y, blockIdx.z, emulation_order);
    fflush(stdout);
    _Exit(1);
}

static void to_scheduler(bool last) {
    __sanitizer_start_switch_fiber(last ? nullptr : &running->fake_stack, scheduler_stack, scheduler_size);
    emulation_switch(&running->pointer, scheduler);
    __sanitizer_finish_switch_fiber(running->fake_stack, nullptr, nullptr);
}

static void fiber_main() {
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
    (*body)();
    running->done = true;
    to_scheduler(true);
    abort();
}

static void resume(fiber *f) {
    running = f;
    threadIdx = f->index;
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, f->stack, STACK);
    emulation_switch(&scheduler, f->pointer);
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}

static void start(fiber *f, int number) {
    if (!f->stack) { /* a page that nobody may touch lies before it */
        unsigned char *pages = (unsigned char *)mmap(nullptr, PAGE + STACK, PROT_READ | PROT_WRITE,
                                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pages == MAP_FAILED || mprotect(pages, PAGE, PROT_NONE)) abort();
        f->stack = pages + PAGE;
    }
    ASAN_UNPOISON_MEMORY_REGION(f->stack + STACK - 256, 256);
    void **top = (void **)(f->stack + STACK) - 2;
    *top = (void *)fiber_main;              /* popped by the switch's ret */
    memset(top - 6, 0, 6 * sizeof(void *)); /* and the registers before it */
    f->pointer = top - 6;
    f->number = number;
    f->index = dim3((unsigned)number % blockDim.x, (unsigned)number / blockDim.x % blockDim.y,
                    (unsigned)number / (blockDim.x * blockDim.y));
    f->done = false;
    f->barriers = f->meetings = 0;
    f->mask = 0;
    f->site = nullptr;
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

int emulation_barrier_count(const char *site, bool one) {
    if (barrier.arrived > 0 && strcmp(barrier.site, site) != 0)
        fail("threads wait at different barriers, %s and %s", barrier.site, site);
    barrier.site = site;
    barrier.ones += one;
    running->barriers++;
    if (++barrier.arrived == thread_count) {
        barrier.result = barrier.ones;
        barrier.arrived = barrier.ones = 0;
        barrier.passed++;
    }
    running->site = site;
    to_scheduler(false); /* the last one too: the others' turn is in the order */
    running->site = nullptr;
    return barrier.result;
}

void emulation_barrier(const char *site) {
    emulation_barrier_count(site, false);
}

int emulation_lane(void) {
    return running->number % 32;
}

/* The fiber of a lane of the running one's warp; NULL: not there, or done. */
static fiber *lane_of(int warp, int lane) {
    const int number = 32 * warp + lane;
    return number < thread_count && !fibers[(size_t)number].done ? &fibers[(size_t)number] : nullptr;
}

static bool all_met(const fiber *f) {
    for (int lane = 0; lane < 32; lane++) {
        const fiber *other = f->mask >> lane & 1 ? lane_of(f->number / 32, lane) : nullptr;
        if (other && (int)(other->meetings - f->meetings) < 0) return false;
    }
    return true;
}

/* Two values a lane: one that is a meeting ahead does not overwrite what others still read. */
static void meet(const char *site, unsigned mask, const void *value, size_t bytes) {
    fiber *f = running;
    if (bytes > EXCHANGE) fail("%s: a shuffle of %zu bytes", site, bytes);
    if (!(mask >> f->number % 32 & 1))
        fail("%s: lane %d is not in its own mask %x", site, f->number % 32, mask);
    f->meetings++;
    if (bytes) memcpy(f->value[f->meetings % 2], value, bytes);
    f->mask = mask;
    f->site = site;
    for (int lane = 0; lane < 32; lane++) {
        const fiber *other = mask >> lane & 1 ? lane_of(f->number / 32, lane) : nullptr;
        if (other && other->mask && other->meetings == f->meetings && strcmp(other->site, site) != 0)
            fail("lanes of a warp meet at %s and %s", site, other->site);
    }
    to_scheduler(false);
    f->mask = 0;
    f->site = nullptr;
}

/* What a lane brought to the running one's meeting; NULL: it took no part. */
static const unsigned char *brought(unsigned mask, int lane) {
    const int number = running->number / 32 * 32 + lane;
    if (lane < 0 || lane >= 32 || !(mask >> lane & 1) || number >= thread_count) return nullptr;
    const fiber *f = &fibers[(size_t)number];
    return (int)(f->meetings - running->meetings) >= 0 ? f->value[running->meetings % 2] : nullptr;
}

void emulation_meet(const char *site, unsigned mask, int from, const void *value, void *out, size_t bytes) {
    meet(site, mask, value, bytes);
    if (!out) return;
    const unsigned char *seen = brought(mask, from);
    if (seen)
        memcpy(out, seen, bytes);
    else
        memset(out, 0xff, bytes); /* undefined: NaN */
}

unsigned emulation_ballot(const char *site, unsigned mask, bool vote) {
    meet(site, mask, &vote, sizeof vote);
    unsigned votes = 0;
    for (int lane = 0; lane < 32; lane++) {
        const unsigned char *seen = brought(mask, lane);
        if (seen && *seen) votes |= 1u << lane;
    }
    return votes;
}

static bool may_run(const fiber *f) {
    if (f->done) return false;
    if (f->mask) return all_met(f);
    return !f->site || (int)(barrier.passed - f->barriers) >= 0;
}

/* ---- shared memory ------------------------------------------------------------------------------------------------ */

static struct {
    const void *key;
    void *memory;
} shared[64];
static int shared_count;
static size_t shared_bytes;
static const char dynamic_key = 0;

void *emulation_shared(const void *key, size_t bytes) {
    for (int k = 0; k < shared_count; k++)
        if (shared[k].key == key) return shared[k].memory;
    shared_bytes += bytes;
    if (shared_bytes > emulation_shared_limit || shared_count == 64)
        fail("%zu bytes of shared memory", shared_bytes);
    shared[shared_count].key = key;
    void *memory = aligned_alloc(16, (bytes + 15) / 16 * 16);
    memset(memory, 0xff, bytes); /* NaN */
    ASAN_POISON_MEMORY_REGION((char *)memory + bytes, (bytes + 15) / 16 * 16 - bytes);
    return shared[shared_count++].memory = memory;
}

void *emulation_shared_dynamic(void) {
    if (shared_count == 0 || shared[0].key != &dynamic_key) fail("dynamic shared memory of 0 bytes");
    return shared[0].memory;
}

static void free_shared() {
    for (int k = 0; k < shared_count; k++) free(shared[k].memory);
    shared_count = 0;
    shared_bytes = 0;
}

/* ---- orders ------------------------------------------------------------------------------------------------------- */

static uint64_t draw_state;
static unsigned draw(unsigned below) { /* splitmix64 */
    uint64_t z = draw_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ z >> 31) % below);
}

static bool backward() {
    return emulation_order == 1 || emulation_order == 3;
}
static bool drawn() {
    return emulation_order >= 4;
}
/* A warp runs as far as it can before the next one; else every thread runs to its next meeting. */
static bool warp_by_warp() {
    return emulation_order == 2 || emulation_order == 3 || emulation_order == 5;
}

static void put_in_order(std::vector<int> &list) {
    std::iota(list.begin(), list.end(), 0);
    if (backward()) std::reverse(list.begin(), list.end());
    for (size_t i = list.size(); drawn() && i > 1; i--) std::swap(list[i - 1], list[draw((unsigned)i)]);
}

static std::vector<int> lane_order(32), warp_order;

/* Each lane of a warp that may run does, once. */
static bool run_warp(int warp) {
    bool progress = false;
    if (drawn()) put_in_order(lane_order);
    for (const int lane : lane_order) {
        fiber *f = lane_of(warp, lane);
        if (!f || !may_run(f)) continue;
        resume(f);
        progress = true;
    }
    return progress;
}

static void run_block() {
    for (int k = 0; k < thread_count; k++) start(&fibers[(size_t)k], k);
    barrier = {0, 0, 0, 0, nullptr};
    warp_order.resize((size_t)(thread_count + 31) / 32);
    put_in_order(lane_order);
    for (bool progress = true; progress;) {
        progress = false;
        put_in_order(warp_order);
        for (const int warp : warp_order)
            while (run_warp(warp)) {
                progress = true;
                if (!warp_by_warp()) break;
            }
    }
    for (int k = 0; k < thread_count; k++)
        if (!fibers[(size_t)k].done)
            fail("threads wait at %s for others that never come", fibers[(size_t)k].site);
}

void emulation_launch(const char *kernel, dim3 grid, dim3 block, size_t dynamic_bytes,
                      const std::function<void()> &thread) {
    kernel_name = kernel;
    if (emulation_launching) emulation_launching(kernel);
    blockIdx = dim3(0, 0, 0);
    const size_t threads = (size_t)block.x * block.y * block.z;
    if (threads == 0 || threads > MAX_THREADS || block.z > 64)
        fail("a block of %u x %u x %u threads", block.x, block.y, block.z);
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535)
        fail("a grid of %u x %u x %u blocks", grid.x, grid.y, grid.z);
    thread_count = (int)threads;
    blockDim = block;
    gridDim = grid;
    body = &thread;
    draw_state = (uint64_t)emulation_order;
    std::vector<int> blocks((size_t)grid.x * grid.y * grid.z);
    put_in_order(blocks);
    for (const int b : blocks) {
        const unsigned at = (unsigned)b;
        blockIdx = dim3(at % grid.x, at / grid.x % grid.y, at / (grid.x * grid.y));
        if (dynamic_bytes) emulation_shared(&dynamic_key, dynamic_bytes);
        run_block();
        free_shared();
    }
    if (emulation_launched) emulation_launched(kernel);
}
