/* cudart, and of the driver its virtual memory. There are two streams, in the order in which they are made. The kernels' does at once
 * what it is given. The copies' does it as late as CUDA may: when the other stream or the host waits for an event behind it; so a
 * wait that is missing shows in the numbers. What the copies' stream writes to, kernels cannot touch, and it must have waited for
 * whatever the kernels' stream has copied from there; the host, for what has crossed from pinned memory that it uses again. */
#define _GNU_SOURCE
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/cuda/standin.h"

enum { MAX_RANGES = 256, MAX_COPIES = 4096, GRANULARITY = 2 << 20, PINNED = 16 };
enum { KERNELS, COPIES, STREAMS };

typedef struct range {
    char *base, *all; /* aligned to a huge page, which is closed and opened as fast as a small one */
    size_t reserved, mapped, open; /* bytes; those that kernels may touch */
    int stage;                     /* the copies' stream writes to it: closed to kernels */
} range;

static range ranges[MAX_RANGES];
static int range_count, depth;
static size_t taken; /* bytes of the card's memory */
static struct {
    char *base;
    size_t bytes;
} pinned[PINNED];
static int pinned_count;
/* What waits in the copies' stream: number done + i of all that it was given, i < count. */
static struct {
    char *to;
    const char *from;
    size_t bytes;
} copies[MAX_COPIES];
static int copy_count;
static size_t copies_done;
/* Memory that a stream reads, by its number in the stream; who does not know yet that it has must leave it alone. */
typedef struct reading {
    const char *from;
    size_t bytes, number;
} reading;
typedef struct readings {
    reading each[MAX_COPIES];
    int count;
} readings;
static readings of_stages, of_pinned;
static size_t started; /* what the kernels' stream was given */
/* Of that, what the copies' stream has waited for; and of the copies, what the kernels' stream and the host have. */
static size_t copies_know, kernels_know, host_knows;

enum standin_wait standin_deaf;
size_t standin_reads, standin_waits, standin_copies, standin_copy_waits, standin_card_bytes = (size_t)1 << 30;
int standin_cards = 1;
size_t standin_allocations, standin_refused;

void standin_check(int good, const char *format, ...) {
    if (good) return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "stand-in: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    fflush(stdout);
    _Exit(1);
}

/* ---- who may touch device memory ------------------------------------------------------------------------------------- */

static void protect(int how) {
    for (int i = 0; i < range_count; i++)
        if (ranges[i].open && !ranges[i].stage) mprotect(ranges[i].base, ranges[i].open, how);
}

/* Closing takes as long as a small kernel: it is done behind every launch at first, then behind every CLOSE_EACH-th, another one
 * in each step of a training. */
enum { CLOSE_ALL = 1000, CLOSE_EACH = 61 };
static size_t launches;
static int closed = 1;

static void open_memory(void) {
    if (depth++ == 0 && closed) {
        protect(PROT_READ | PROT_WRITE);
        closed = 0;
    }
}

static void close_memory(void) {
    if (--depth) return;
    launches++;
    if (launches > CLOSE_ALL && launches % CLOSE_EACH) return;
    protect(PROT_NONE);
    closed = 1;
}

void standin_close(void) {
    protect(PROT_NONE);
    closed = 1;
}

void standin_begin(void) {
    started++;
    open_memory();
}

void standin_end(void) {
    close_memory();
}

static const range *range_of(const void *p) {
    for (int i = 0; i < range_count; i++)
        if ((const char *)p >= ranges[i].base && (const char *)p < ranges[i].base + ranges[i].reserved)
            return &ranges[i];
    return NULL;
}

void standin_check_device(const char *what, const void *p, size_t bytes) {
    const range *r = range_of(p);
    standin_check(r != NULL, "%s: %p is no device memory", what, p);
    standin_check((const char *)p + bytes <= r->base + r->open, "%s: %zu bytes from %p end behind the memory",
                  what, bytes, p);
}

/* A stage's memory: closed but here. */
static void stage_open(const void *p, int how) {
    const range *r = range_of(p);
    if (r && r->stage) mprotect(r->base, r->open, how);
}

/* The copies that wait in their stream, up to number `end`. */
static void run_copies(size_t end) {
    int ran = 0;
    for (; ran < copy_count && copies_done < end; ran++, copies_done++) {
        stage_open(copies[ran].to, PROT_READ | PROT_WRITE);
        memcpy(copies[ran].to, copies[ran].from, copies[ran].bytes);
        stage_open(copies[ran].to, PROT_NONE);
    }
    copy_count -= ran;
    memmove(copies, copies + ran, sizeof *copies * (size_t)copy_count);
}

static void note_reading(readings *r, const char *from, size_t bytes, size_t number, size_t known) {
    int kept = 0;
    for (int i = 0; i < r->count; i++)
        if (r->each[i].number > known) r->each[kept++] = r->each[i];
    standin_check(kept < MAX_COPIES, "more than %d copies wait", MAX_COPIES);
    r->each[kept] = (reading){from, bytes, number};
    r->count = kept + 1;
}

static void check_read(const char *what, const readings *r, const char *p, size_t bytes, size_t known) {
    for (int i = 0; i < r->count; i++)
        standin_check(r->each[i].number <= known || p + bytes <= r->each[i].from ||
                          r->each[i].from + r->each[i].bytes <= p,
                      "%s", what);
}

static void check_host(const char *what, const void *p) {
    standin_check(!range_of(p), "%s: %p is device memory", what, p);
}

static range *new_range(size_t bytes) {
    standin_check(range_count < MAX_RANGES, "more than %d ranges", MAX_RANGES);
    range *r = &ranges[range_count];
    char *all =
        mmap(NULL, bytes + GRANULARITY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return NULL;
    char *base = all + (GRANULARITY - (uintptr_t)all % GRANULARITY) % GRANULARITY;
    madvise(base, bytes, MADV_HUGEPAGE);
    *r = (range){.base = base, .all = all, .reserved = bytes};
    range_count++;
    return r;
}

static void drop_range(range *r) {
    munmap(r->all, r->reserved + GRANULARITY);
    *r = ranges[--range_count];
}

static int refuses(size_t bytes) {
    if (++standin_allocations == standin_refused || taken + bytes > standin_card_bytes) return 1;
    taken += bytes;
    return 0;
}

/* New memory holds NaN. */
static void open_more(range *r, size_t bytes) {
    mprotect(r->base + r->open, bytes, PROT_READ | PROT_WRITE);
    memset(r->base + r->open, 0xff, bytes);
    r->open += bytes;
    if (closed) mprotect(r->base, r->open, PROT_NONE);
}

/* ---- the driver ------------------------------------------------------------------------------------------------------- */

static range *range_at(CUdeviceptr base) {
    for (int i = 0; i < range_count; i++)
        if ((CUdeviceptr)ranges[i].base == base) return &ranges[i];
    standin_check(0, "%p is no range", (void *)base);
    return NULL;
}

static CUresult address_reserve(CUdeviceptr *out, size_t bytes, size_t alignment, CUdeviceptr hint,
                                unsigned long long flags) {
    standin_check(bytes && bytes % GRANULARITY == 0 && !alignment && !hint && !flags,
                  "cuMemAddressReserve of %zu bytes", bytes);
    range *r = new_range(bytes);
    if (!r) return CUDA_ERROR_OUT_OF_MEMORY;
    *out = (CUdeviceptr)r->base;
    return CUDA_SUCCESS;
}

static CUresult address_free(CUdeviceptr base, size_t bytes) {
    range *r = range_at(base);
    standin_check(r->reserved == bytes && !r->mapped, "cuMemAddressFree of %zu bytes, %zu of them mapped",
                  bytes, r->mapped);
    drop_range(r);
    return CUDA_SUCCESS;
}

static CUresult create(CUmemGenericAllocationHandle *out, size_t bytes, const CUmemAllocationProp *p,
                       unsigned long long flags) {
    standin_check(bytes && bytes % GRANULARITY == 0 && p->type == CU_MEM_ALLOCATION_TYPE_PINNED &&
                      p->location.type == CU_MEM_LOCATION_TYPE_DEVICE && p->location.id == 0 && !flags,
                  "cuMemCreate of %zu bytes", bytes);
    if (refuses(bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
    *out = bytes;
    return CUDA_SUCCESS;
}

static CUresult handle_release(CUmemGenericAllocationHandle handle) {
    (void)handle; /* what is mapped stays */
    return CUDA_SUCCESS;
}

static CUresult map(CUdeviceptr at, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                    unsigned long long flags) {
    range *r = (range *)range_of((void *)at);
    standin_check(r && !offset && !flags && handle == bytes && (char *)at == r->base + r->mapped &&
                      r->mapped + bytes <= r->reserved,
                  "cuMemMap of %zu bytes", bytes);
    r->mapped += bytes;
    return CUDA_SUCCESS;
}

static CUresult unmap(CUdeviceptr base, size_t bytes) {
    range *r = range_at(base);
    standin_check(r->mapped == bytes, "cuMemUnmap of %zu bytes, not %zu", bytes, r->mapped);
    standin_check(!r->stage, "cuMemUnmap of what copies go to");
    taken -= bytes;
    mprotect(r->base, r->open, PROT_NONE);
    r->mapped = r->open = 0;
    return CUDA_SUCCESS;
}

static CUresult set_access(CUdeviceptr at, size_t bytes, const CUmemAccessDesc *access, size_t count) {
    range *r = (range *)range_of((void *)at);
    standin_check(r && count == 1 && access->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE &&
                      access->location.id == 0 && (char *)at == r->base + r->open &&
                      r->open + bytes == r->mapped,
                  "cuMemSetAccess of %zu bytes", bytes);
    open_more(r, bytes);
    return CUDA_SUCCESS;
}

static CUresult granularity(size_t *out, const CUmemAllocationProp *p,
                            CUmemAllocationGranularity_flags flags) {
    (void)p, (void)flags;
    *out = GRANULARITY;
    return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned version,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *found) {
    static const struct {
        const char *name;
        void *function;
    } known[] = {{"cuMemAddressReserve", (void *)address_reserve},
                 {"cuMemAddressFree", (void *)address_free},
                 {"cuMemCreate", (void *)create},
                 {"cuMemRelease", (void *)handle_release},
                 {"cuMemMap", (void *)map},
                 {"cuMemUnmap", (void *)unmap},
                 {"cuMemSetAccess", (void *)set_access},
                 {"cuMemGetAllocationGranularity", (void *)granularity}};
    standin_check(version >= 10020 && !flags, "%s of version %u", symbol, version);
    *found = cudaDriverEntryPointSymbolNotFound;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, symbol))
            *function = known[i].function, *found = cudaDriverEntryPointSuccess;
    return cudaSuccess;
}

/* ---- cudart ------------------------------------------------------------------------------------------------------------- */

const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorNoDevice           ? "no CUDA-capable device is detected"
           : error == cudaErrorMemoryAllocation ? "out of memory"
                                                : "an error";
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = standin_cards;
    return standin_cards ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    standin_check(device < standin_cards, "card %d", device);
    memset(p, 0, sizeof *p);
    strcpy(p->name, "stand-in");
    p->totalGlobalMem = standin_card_bytes;
    p->major = 8;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    standin_check(device < standin_cards, "card %d", device);
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? 8
             : attribute == cudaDevAttrMultiProcessorCount  ? 1
             : attribute == cudaDevAttrL2CacheSize          ? 64 << 10
                                                            : 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    return device < standin_cards ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetLastError(void) {
    return cudaSuccess;
}

/* A stream is a pointer that says which it is. */
static int streams[STREAMS], stream_count;

static int stream_of(const char *what, cudaStream_t s) {
    const int *p = (const int *)s;
    standin_check(p >= streams && p < streams + stream_count, "%s on no stream", what);
    return (int)(p - streams);
}

static void check_stream(const char *what, cudaStream_t s) {
    standin_check(stream_of(what, s) == KERNELS, "%s on another stream", what);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    standin_check(stream_count < STREAMS && flags == cudaStreamNonBlocking, "stream %d of kind %u",
                  stream_count, flags);
    *out = (cudaStream_t)&streams[stream_count++];
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    check_stream("cudaStreamSynchronize", s);
    standin_waits++;
    if (kernels_know > host_knows) host_knows = kernels_know;
    copies_know = started; /* those to come */
    return cudaSuccess;
}

/* What the stream had been given when the event was last recorded; 0: it was not. */
struct CUevent_st {
    int stream;
    size_t number;
};

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags) {
    standin_check(flags == cudaEventDisableTiming, "event of kind %u", flags);
    *out = calloc(1, sizeof **out);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s) {
    standin_check(event != NULL, "no event");
    event->stream = stream_of("cudaEventRecord", s);
    event->number = event->stream == KERNELS ? started : copies_done + (size_t)copy_count;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    standin_check(event != NULL, "no event");
    if (event->stream == KERNELS || event->number <= host_knows || standin_deaf == HOST_FOR_COPIES)
        return cudaSuccess;
    standin_waits++;
    run_copies(event->number);
    host_knows = event->number;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event, unsigned flags) {
    standin_check(event != NULL && !flags, "no event");
    const int waiting = stream_of("cudaStreamWaitEvent", s);
    if (waiting == KERNELS && event->stream == COPIES) {
        if (standin_deaf == KERNELS_FOR_COPIES) return cudaSuccess;
        run_copies(event->number);
        if (event->number > kernels_know) kernels_know = event->number;
    } else if (waiting == COPIES && event->stream == KERNELS && event->number) {
        standin_copy_waits++;
        if (standin_deaf != COPIES_FOR_KERNELS && event->number > copies_know) copies_know = event->number;
    }
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags) {
    (void)flags;
    standin_check(pinned_count < PINNED, "more than %d pinned blocks", PINNED);
    pinned[pinned_count].base = *out = malloc(bytes);
    pinned[pinned_count++].bytes = bytes;
    return *out ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaMalloc(void **out, size_t bytes) {
    const size_t whole = (bytes + GRANULARITY - 1) / GRANULARITY * GRANULARITY;
    range *r = refuses(whole) ? NULL : new_range(whole);
    if (!r) return cudaErrorMemoryAllocation;
    *out = r->base;
    open_more(r, bytes); /* no more than was asked for */
    return cudaSuccess;
}

cudaError_t cudaFree(void *p) {
    if (!p) return cudaSuccess;
    taken -= range_at((CUdeviceptr)p)->reserved;
    drop_range(range_at((CUdeviceptr)p));
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all) {
    *left = standin_card_bytes - taken;
    *all = standin_card_bytes;
    return cudaSuccess;
}

static int is_pinned(const char *p, size_t bytes) {
    for (int i = 0; i < pinned_count; i++)
        if (p >= pinned[i].base && p + bytes <= pinned[i].base + pinned[i].bytes) return 1;
    return 0;
}

static cudaError_t copy_later(char *to, const char *from, size_t bytes, cudaStream_t s) {
    standin_check(stream_of("copy to the card", s) == COPIES, "copy to the card in the kernels' stream");
    check_host("copy to the card", from);
    standin_check(is_pinned(from, bytes), "copy to the card from memory that is not pinned");
    range *r = (range *)range_of(to);
    r->stage = 1;
    stage_open(to, PROT_NONE);
    check_read("copy to the card over what the kernels' stream may not have taken yet", &of_stages, to, bytes,
               copies_know);
    check_read("copy to the card from memory whose last copy may not be over", &of_pinned, from, bytes,
               host_knows);
    standin_check(copy_count < MAX_COPIES, "more than %d copies wait", MAX_COPIES);
    copies[copy_count].to = to;
    copies[copy_count].from = from;
    copies[copy_count++].bytes = bytes;
    note_reading(&of_pinned, from, bytes, copies_done + (size_t)copy_count, host_knows);
    standin_copies++;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t s) {
    if (kind == cudaMemcpyHostToDevice) {
        standin_check_device("copy to the card", to, bytes);
        return copy_later(to, from, bytes, s);
    }
    check_stream("cudaMemcpyAsync", s);
    standin_check_device("copy from the card", from, bytes);
    if (kind == cudaMemcpyDeviceToHost) {
        check_host("copy to the host", to);
        standin_reads++;
    } else {
        standin_check(kind == cudaMemcpyDeviceToDevice, "copy of kind %d", (int)kind);
        standin_check_device("copy on the card", to, bytes);
    }
    standin_begin();
    stage_open(from, PROT_READ);
    memcpy(to, from, bytes);
    stage_open(from, PROT_NONE);
    const range *r = range_of(from);
    if (r && r->stage) note_reading(&of_stages, from, bytes, started, copies_know);
    standin_end();
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t s) {
    check_stream("cudaMemsetAsync", s);
    standin_check_device("cudaMemsetAsync", to, bytes);
    standin_begin();
    memset(to, value, bytes);
    standin_end();
    return cudaSuccess;
}
