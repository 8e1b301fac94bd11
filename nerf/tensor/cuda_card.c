/* One card; kernels in one stream. Device memory is ranges of addresses behind which memory is mapped as they are used, so that a tape's
 * capacity costs nothing; that is the driver's own interface, whose functions are asked for by name, so that a machine without
 * a driver can still run the program. */
#include "nerf/tensor/cuda_card.h"

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/tensor/cuda_probe.h"
#include "nerf/tensor/cuda_stream.h"

static const size_t step_bytes = (size_t)32 << 20; /* what large ranges grow by */

typedef struct range {
    char *base;
    size_t reserved, committed; /* bytes */
    struct range *next;
} range;

static struct {
    pthread_mutex_t lock;
    int card; /* -1: none yet */
    cudaStream_t stream;
    size_t granularity;
    range *ranges;
    float *scratch[PLX_CUDA_SLOTS];
    size_t scratch_floats[PLX_CUDA_SLOTS];
    char error[256];      /* the first since the last synchronisation; "" */
    int status;           /* its code */
    char last_kernel[64]; /* that was launched */
    enum plx_precision precision;
} cuda = {.lock = PTHREAD_MUTEX_INITIALIZER, .card = -1};

/* The driver's functions, in the versions of CUDA 11. */
static struct {
    CUresult (*reserve)(CUdeviceptr *, size_t, size_t, CUdeviceptr, unsigned long long);
    CUresult (*free)(CUdeviceptr, size_t);
    CUresult (*create)(CUmemGenericAllocationHandle *, size_t, const CUmemAllocationProp *,
                       unsigned long long);
    CUresult (*release)(CUmemGenericAllocationHandle);
    CUresult (*map)(CUdeviceptr, size_t, size_t, CUmemGenericAllocationHandle, unsigned long long);
    CUresult (*unmap)(CUdeviceptr, size_t);
    CUresult (*access)(CUdeviceptr, size_t, const CUmemAccessDesc *, size_t);
    CUresult (*granularity)(size_t *, const CUmemAllocationProp *, CUmemAllocationGranularity_flags);
} driver;

/* ---- what every part needs ------------------------------------------------------------------------------------------ */

static void use_card(void) {
    static _Thread_local int card = -1; /* this thread's */
    if (card != cuda.card && cudaSetDevice(cuda.card) == cudaSuccess) card = cuda.card;
}

static void keep_error(int status, const char *kernel, const char *why) {
    if (cuda.error[0]) return;
    cuda.status = status;
    snprintf(cuda.error, sizeof cuda.error, "cuda: %s: %s", kernel, why);
}

void plx_cuda_failed(const char *kernel, const char *why) {
    keep_error(PLX_ERROR_SUPPORT, kernel, why);
}

bool plx_cuda_stopped(void) {
    return cuda.error[0] != 0;
}

static void check(const char *what, cudaError_t error) {
    if (error != cudaSuccess) plx_cuda_failed(what, cudaGetErrorString(error));
}

/* ---- what the host writes ------------------------------------------------------------------------------------------
 * crosses the bus in a stream of its own, while kernels that were launched before still run: from pinned memory into a stage on
 * the card, and from there, in the kernels' stream and as fast as the card's memory is, to its place, which those kernels may use
 * until then. Parts that are written one after the other cross together. There are two stages, each on both sides: the host waits
 * for one only when it is that far ahead of the bus. */

enum { STAGES = 2, PARTS = 64 };
static const size_t stage_bytes = (size_t)8 << 20;

static struct {
    cudaStream_t stream;
    char *host[STAGES], *card[STAGES];
    cudaEvent_t crossed[STAGES], emptied[STAGES]; /* the bus; by the kernels' stream */
    int turn;
    size_t staged, sent; /* bytes of the stage whose turn it is */
    struct {
        void *to;
        size_t at, bytes;
    } parts[PARTS]; /* that are staged, and not sent */
    int count;
} up;

#define THEN(call) \
    if (error == cudaSuccess) error = call

static cudaError_t start_uploads(void) {
    cudaError_t error = cudaStreamCreateWithFlags(&up.stream, cudaStreamNonBlocking);
    for (int i = 0; i < STAGES; i++) {
        THEN(cudaHostAlloc((void **)&up.host[i], stage_bytes, cudaHostAllocDefault));
        THEN(cudaMalloc((void **)&up.card[i], stage_bytes));
        THEN(cudaEventCreateWithFlags(&up.crossed[i], cudaEventDisableTiming));
        THEN(cudaEventCreateWithFlags(&up.emptied[i], cudaEventDisableTiming));
    }
    return error;
}

static void send_uploads(void) {
    if (!up.count) return;
    const char *stage = up.card[up.turn];
    cudaError_t error = cudaMemcpyAsync(up.card[up.turn] + up.sent, up.host[up.turn] + up.sent,
                                        up.staged - up.sent, cudaMemcpyHostToDevice, up.stream);
    THEN(cudaEventRecord(up.crossed[up.turn], up.stream));
    THEN(cudaStreamWaitEvent(cuda.stream, up.crossed[up.turn], 0));
    for (int i = 0; i < up.count; i++)
        THEN(cudaMemcpyAsync(up.parts[i].to, stage + up.parts[i].at, up.parts[i].bytes,
                             cudaMemcpyDeviceToDevice, cuda.stream));
    check("write", error);
    up.sent = up.staged;
    up.count = 0;
}

/* The other stage's turn: on the host once its bytes have crossed, on the card once they are in their places. */
static void turn_stages(void) {
    send_uploads();
    cudaError_t error = cudaEventRecord(up.emptied[up.turn], cuda.stream);
    up.turn = (up.turn + 1) % STAGES;
    THEN(cudaEventSynchronize(up.crossed[up.turn]));
    THEN(cudaStreamWaitEvent(up.stream, up.emptied[up.turn], 0));
    check("write", error);
    up.staged = up.sent = 0;
}

static void write_bytes(void *to, const void *from, size_t bytes) {
    if (plx_cuda_stopped()) return;
    use_card();
    for (size_t done = 0, part; done < bytes; done += part) {
        part = bytes - done < stage_bytes ? bytes - done : stage_bytes;
        if (up.staged + part > stage_bytes) turn_stages();
        if (up.count == PARTS) send_uploads();
        memcpy(up.host[up.turn] + up.staged, (const char *)from + done, part);
        up.parts[up.count].to = (char *)to + done;
        up.parts[up.count].at = up.staged;
        up.parts[up.count++].bytes = part;
        up.staged += (part + 63) / 64 * 64;
    }
}

/* ---- cards --------------------------------------------------------------------------------------------------------- */

int plx_cuda_cards(void) {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

const char *plx_cuda_card(int card) {
    static _Thread_local char text[320];
    struct cudaDeviceProp p;
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && card < count) error = cudaGetDeviceProperties(&p, card);
    if (error != cudaSuccess)
        snprintf(text, sizeof text, "%s", cudaGetErrorString(error));
    else if (card >= count)
        snprintf(text, sizeof text, count ? "this machine has %d" : "no card", count);
    else
        snprintf(text, sizeof text, "%s, %.0f GB, sm_%d%d", p.name, (double)p.totalGlobalMem / 1e9, p.major,
                 p.minor);
    return text;
}

static CUmemAllocationProp on_card(void) {
    return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = cuda.card}};
}

static int find_driver(void) {
    const struct {
        const char *name;
        void **function;
    } wanted[] = {{"cuMemAddressReserve", (void **)&driver.reserve},
                  {"cuMemAddressFree", (void **)&driver.free},
                  {"cuMemCreate", (void **)&driver.create},
                  {"cuMemRelease", (void **)&driver.release},
                  {"cuMemMap", (void **)&driver.map},
                  {"cuMemUnmap", (void **)&driver.unmap},
                  {"cuMemSetAccess", (void **)&driver.access},
                  {"cuMemGetAllocationGranularity", (void **)&driver.granularity}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        enum cudaDriverEntryPointQueryResult found;
        cudaError_t error =
            cudaGetDriverEntryPointByVersion(wanted[i].name, wanted[i].function, 11000, 0, &found);
        if (error != cudaSuccess || found != cudaDriverEntryPointSuccess)
            return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': the driver has no %s", cuda.card,
                            wanted[i].name);
    }
    return PLX_OK;
}

/* The card is set. */
static int start(void) {
    int status = find_driver();
    if (status) return status;
    const CUmemAllocationProp where = on_card();
    cudaError_t error = cudaStreamCreateWithFlags(&cuda.stream, cudaStreamNonBlocking);
    if (error == cudaSuccess) error = start_uploads();
    if (error != cudaSuccess)
        return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': %s", cuda.card, cudaGetErrorString(error));
    if (driver.granularity(&cuda.granularity, &where, CU_MEM_ALLOC_GRANULARITY_MINIMUM) != CUDA_SUCCESS)
        return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': no virtual memory", cuda.card);
    return PLX_OK;
}

static int open_locked(int card) {
    if (cuda.card == card) return PLX_OK;
    if (cuda.card >= 0)
        return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': this process computes on cuda:%d", card,
                        cuda.card);
    int count = 0, major = 0, minor = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || card >= count)
        return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': %s", card, plx_cuda_card(card));
    error = cudaSetDevice(card);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, card);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, card);
    if (error != cudaSuccess)
        return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': %s", card, cudaGetErrorString(error));
    if (10 * major + minor < 75)
        return plx_fail(PLX_ERROR_SUPPORT, "device 'cuda:%d': %s; sm_75 and newer are supported", card,
                        plx_cuda_card(card));
    cuda.card = card;
    int status = start();
    if (status) cuda.card = -1;
    return status;
}

int plx_cuda_open(int card) {
    pthread_mutex_lock(&cuda.lock);
    int status = open_locked(card);
    pthread_mutex_unlock(&cuda.lock);
    return status;
}

void plx_cuda_set_precision(enum plx_precision precision) {
    cuda.precision = precision;
}
enum plx_precision plx_cuda_precision(void) {
    return cuda.precision;
}

/* ---- the stream ---------------------------------------------------------------------------------------------------- */

cudaStream_t plx_cuda_stream(void) {
    use_card();
    send_uploads();
    return cuda.stream;
}

void plx_cuda_launched(const char *kernel) {
    cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) plx_cuda_failed(kernel, cudaGetErrorString(error));
    snprintf(cuda.last_kernel, sizeof cuda.last_kernel, "%s", kernel);
}

static void synchronise(void) {
    cudaError_t error = cudaStreamSynchronize(plx_cuda_stream());
    char kernel[128];
    snprintf(kernel, sizeof kernel, "at or before kernel '%s' (CUDA_LAUNCH_BLOCKING=1 tells which)",
             cuda.last_kernel);
    check(kernel, error);
}

static int finish(void) {
    synchronise();
    if (!cuda.error[0]) return PLX_OK;
    char line[sizeof cuda.error];
    snprintf(line, sizeof line, "%s", cuda.error);
    cuda.error[0] = 0;
    return plx_fail(cuda.status, "%s", line);
}

/* "out of memory, 1048576 bytes asked, 4096 of 8589934592 free" */
static const char *text_of_bytes(const char *why, size_t bytes) {
    static _Thread_local char text[160];
    size_t left = 0, all = 0;
    cudaMemGetInfo(&left, &all);
    snprintf(text, sizeof text, "%s, %zu bytes asked, %zu of %zu free", why, bytes, left, all);
    return text;
}

float *plx_cuda_workspace(const char *kernel, int slot, size_t floats) {
    if (floats <= cuda.scratch_floats[slot]) return cuda.scratch[slot];
    check("scratch", cudaFree(cuda.scratch[slot])); /* waits for what uses it */
    const size_t bytes = (floats + floats / 8) * sizeof(float);
    cudaError_t error = cudaMalloc((void **)&cuda.scratch[slot], bytes);
    cuda.scratch_floats[slot] = error == cudaSuccess ? floats + floats / 8 : 0;
    if (error == cudaSuccess) return cuda.scratch[slot];
    cudaGetLastError(); /* is no launch's */
    if (!strncmp(kernel, "plx_cuda_", 9)) kernel += 9;
    keep_error(PLX_ERROR_MEMORY, kernel, text_of_bytes(cudaGetErrorString(error), bytes));
    return cuda.scratch[slot] = NULL;
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t bytes, size_t to) {
    return (bytes + to - 1) / to * to;
}

static const char *text_of(CUresult result) {
    return result == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "the driver refuses";
}

static int reserve(char **out, size_t bytes) {
    CUdeviceptr base = 0;
    range *r = malloc(sizeof *r);
    use_card();
    if (!r) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    *r = (range){.reserved = round_up(bytes ? bytes : 1, cuda.granularity)};
    CUresult result = driver.reserve(&base, r->reserved, 0, 0, 0);
    if (result != CUDA_SUCCESS) {
        free(r);
        return plx_fail(PLX_ERROR_MEMORY, "cuda: %zu bytes of addresses: %s", bytes, text_of(result));
    }
    *out = r->base = (char *)base;
    pthread_mutex_lock(&cuda.lock);
    r->next = cuda.ranges;
    cuda.ranges = r;
    pthread_mutex_unlock(&cuda.lock);
    return PLX_OK;
}

static range *find(const char *base, bool take) {
    pthread_mutex_lock(&cuda.lock);
    range **at = &cuda.ranges;
    while (*at && (*at)->base != base) at = &(*at)->next;
    range *r = *at;
    if (r && take) *at = r->next;
    pthread_mutex_unlock(&cuda.lock);
    PLX_CHECK(r, "cuda: %p is no range of device memory", (const void *)base);
    return r;
}

static int commit(char *base, size_t bytes) {
    range *r = find(base, false);
    if (bytes <= r->committed) return PLX_OK;
    const size_t left = r->reserved - r->committed;
    size_t more = round_up(bytes - r->committed, r->reserved > step_bytes ? step_bytes : cuda.granularity);
    if (more > left) more = left;
    const CUmemAllocationProp where = on_card();
    const CUmemAccessDesc access = {where.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    const CUdeviceptr at = (CUdeviceptr)(r->base + r->committed);
    CUmemGenericAllocationHandle memory;
    CUresult result = driver.create(&memory, more, &where, 0);
    if (result != CUDA_SUCCESS) return plx_fail(PLX_ERROR_MEMORY, "%s", text_of_bytes(text_of(result), more));
    result = driver.map(at, more, 0, memory, 0);
    driver.release(memory); /* the mapping keeps it */
    if (result == CUDA_SUCCESS && (result = driver.access(at, more, &access, 1)) != CUDA_SUCCESS)
        driver.unmap(at, more);
    if (result != CUDA_SUCCESS)
        return plx_fail(PLX_ERROR_MEMORY, "cannot be mapped: %s", text_of_bytes(text_of(result), more));
    r->committed += more;
    return PLX_OK;
}

static void release(char *base, size_t bytes) {
    (void)bytes;
    range *r = find(base, true);
    check("release", cudaStreamSynchronize(plx_cuda_stream())); /* kernels may still use it */
    if (r->committed) driver.unmap((CUdeviceptr)base, r->committed);
    driver.free((CUdeviceptr)base, r->reserved);
    free(r);
}

static void fail(const char *what) {
    keep_error(PLX_ERROR_MEMORY, what, plx_error());
}

static void read_bytes(void *to, const void *from, size_t bytes) {
    if (!plx_cuda_stopped()) {
        check("read", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, plx_cuda_stream()));
        synchronise();
    }
    if (plx_cuda_stopped()) memset(to, 0, bytes);
}

static void copy_bytes(void *to, const void *from, size_t bytes) {
    if (plx_cuda_stopped()) return;
    check("copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, plx_cuda_stream()));
}

static void zero_bytes(void *to, size_t bytes) {
    if (plx_cuda_stopped()) return;
    check("zero", cudaMemsetAsync(to, 0, bytes, plx_cuda_stream()));
}

const plx_memory plx_cuda_memory = {.reserve = reserve,
                                    .release = release,
                                    .commit = commit,
                                    .write = write_bytes,
                                    .read = read_bytes,
                                    .copy = copy_bytes,
                                    .zero = zero_bytes,
                                    .fail = fail,
                                    .failed = plx_cuda_stopped,
                                    .finish = finish};

/* ---- probes -------------------------------------------------------------------------------------------------------- */

static int attribute(enum cudaDeviceAttr which) {
    int value = 0;
    cudaDeviceGetAttribute(&value, which, cuda.card);
    return value;
}

static double multiply_add(int times, float *sink) {
    return plx_cuda_probe_multiply_add(attribute(cudaDevAttrMultiProcessorCount), times, sink);
}

static size_t cache(void) {
    return (size_t)attribute(cudaDevAttrL2CacheSize);
}

const plx_probes plx_cuda_probes = {multiply_add, plx_cuda_probe_triad, cache};
