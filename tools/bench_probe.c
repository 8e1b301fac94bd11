#include "tools/bench_probe.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "nerf/card.h"
#include "tools/bench_time.h"
#include "tools/machine.h"

enum { ATTEMPTS = 5 };
static const double attempt_seconds = 0.03;

/* ---- one loop for both ----------------------------------------------------------------------------------------- */

/* A probe's work on the calling thread, `count` times over. */
typedef void (*probe_fn)(int64_t count, void *user);

/* How often a second all threads together have done it, at best; each does it once before the clock starts. */
static double best_rate(int threads, probe_fn work, void *user) {
    int64_t count = 1;
    double best = 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        double seconds = 0;
        do {
            double began = 0;
#pragma omp parallel num_threads(threads)
            {
                work(1, user);
#pragma omp barrier
#pragma omp master
                began = plx_now();
#pragma omp barrier
                work(count, user);
#pragma omp barrier
            }
            seconds = plx_now() - began;
            if (seconds < attempt_seconds) count *= 2;
        } while (seconds < attempt_seconds);
        best = fmax(best, (double)count / seconds);
    }
    return best;
}

/* ---- multiply-adds ------------------------------------------------------------------------------------------ */

#ifdef __AVX512F__
enum { VECTOR_BYTES = 64 };
#else
enum { VECTOR_BYTES = 32 };
#endif
enum { LANES = VECTOR_BYTES / 4, CHAINS = 10 }; /* chains hide the latency: 4 cycles at 2 a cycle need 8 */
typedef float lanes __attribute__((vector_size(VECTOR_BYTES)));

static volatile float factor = 0.999f, term = 0.001f; /* the chains tend to 1 */
static volatile float sink;

static void multiply_add(int64_t count, void *user) {
    (void)user;
    lanes x[CHAINS], f, t;
    for (int l = 0; l < LANES; l++) f[l] = factor, t[l] = term;
    for (int c = 0; c < CHAINS; c++) x[c] = f * (float)c;
    for (int64_t i = 0; i < count; i++)
        for (int c = 0; c < CHAINS; c++) x[c] = x[c] * f + t;
    for (int c = 1; c < CHAINS; c++) x[0] += x[c];
    sink = x[0][0];
}

/* Operations a second of all threads, at best. */
static double measure_flops(int threads) {
    return 2.0 * CHAINS * LANES * threads * best_rate(threads, multiply_add, NULL);
}

/* ---- memory ------------------------------------------------------------------------------------------------- */

/* Three arrays of `floats` for each thread, one after the other. */
typedef struct triad_arrays {
    size_t floats, all;
    float *data; /* (3,all) */
} triad_arrays;

/* a = b + factor c, each thread on its own part. */
static void triad(int64_t count, void *user) {
    const triad_arrays *t = user;
    size_t from = t->floats * (size_t)omp_get_thread_num();
    float f = factor, *restrict a = t->data + from;
    const float *restrict b = t->data + t->all + from, *restrict c = t->data + 2 * t->all + from;
    for (int64_t k = 0; k < count; k++) {
        for (size_t i = 0; i < t->floats; i++) a[i] = b[i] + f * c[i];
        __asm__ volatile("" ::: "memory"); /* every pass is done */
    }
}

/* Each thread touches its own part first. */
static void fill(const triad_arrays *t, int threads) {
#pragma omp parallel num_threads(threads)
    for (int array = 0; array < 3; array++) {
        float *part = t->data + (size_t)array * t->all + t->floats * (size_t)omp_get_thread_num();
        for (size_t i = 0; i < t->floats; i++) part[i] = 1;
    }
}

/* Bytes a second: two arrays read and one written; the lines that a write fetches first are not counted. */
static double measure_bandwidth(size_t set_bytes, int threads) {
    triad_arrays t = {.floats = set_bytes / 3 / sizeof(float) / (size_t)threads / 16 * 16};
    t.all = t.floats * (size_t)threads;
    t.data = aligned_alloc(64, 3 * t.all * sizeof *t.data);
    if (!t.data) return 0;
    fill(&t, threads);
    double rate = best_rate(threads, triad, &t);
    free(t.data);
    return (double)(3 * t.all * sizeof(float)) * rate;
}

/* ---- a card's -------------------------------------------------------------------------------------------------- */

/* Operations, or bytes, a second at best: as many times in one run as fill a quarter of an attempt. */
static int probe_rate(double *rate, enum plx_probe probe, size_t size) {
    double seconds = 0;
    for (int times = 1; seconds < attempt_seconds / 4 && times <= 1 << 20; times *= 2) {
        plx_workload work;
        plx_timing timing;
        int status = plx_probe_workload(&work, probe, size, times);
        if (!status)
            status = plx_timing_measure(&timing, &work, (plx_timing_plan){ATTEMPTS, 1, attempt_seconds});
        double amount = work.flops + work.bytes;
        plx_workload_free(&work);
        if (status) return status;
        seconds = timing.seconds[0];
        *rate = amount / seconds;
        if (probe == PLX_PROBE_PRODUCT) return PLX_OK;
    }
    return PLX_OK;
}

/* The best of larger and larger products. */
static int probe_products(double *best) {
    double seconds = 0;
    *best = 0;
    for (size_t side = 256; side <= 8192 && seconds < attempt_seconds / 4; side *= 2) {
        double rate = 0;
        int status = probe_rate(&rate, PLX_PROBE_PRODUCT, side);
        if (status) return status;
        seconds = 2 * pow((double)side, 3) / rate;
        *best = fmax(*best, rate);
    }
    return PLX_OK;
}

/* Working sets from what the last cache holds to what it does not. */
int plx_peaks_measure_card(plx_peaks *out) {
    *out = (plx_peaks){.threads = 1};
    int status = probe_rate(&out->flops[0], PLX_PROBE_MULTIPLY_ADD, 0);
    if (!status) status = probe_products(&out->products);
    for (size_t bytes = plx_card_cache() / 8; out->sets < 4 && !status; bytes *= 4) {
        out->set_bytes[out->sets] = (double)bytes;
        status = probe_rate(&out->bandwidth[out->sets++], PLX_PROBE_MEMORY, bytes);
    }
    return status;
}

/* ---- both --------------------------------------------------------------------------------------------------- */

int plx_peaks_measure(plx_peaks *out, int threads) {
    *out = (plx_peaks){.threads = threads < PLX_PEAK_THREADS ? threads : PLX_PEAK_THREADS};
    for (int t = 1; t <= out->threads; t = t < out->threads && 2 * t > out->threads ? out->threads : 2 * t) {
        if (plx_stop_requested()) return plx_fail(PLX_ERROR_CANCELLED, "stopped");
        out->flops[t - 1] = measure_flops(t);
    }
    /* From what a core keeps to itself up to what no cache holds. */
    size_t last = 4 * plx_machine_cache(3);
    if (last < (size_t)128 << 20) last = (size_t)128 << 20;
    if (last > plx_machine_memory() / 4) last = plx_machine_memory() / 4;
    for (size_t bytes = (size_t)96 << 10; out->sets < PLX_PEAK_SETS; bytes *= 4) {
        bool is_last = bytes >= last || out->sets == PLX_PEAK_SETS - 1;
        if (plx_stop_requested()) return plx_fail(PLX_ERROR_CANCELLED, "stopped");
        out->set_bytes[out->sets] = (double)(is_last ? last : bytes);
        out->bandwidth[out->sets] = measure_bandwidth(is_last ? last : bytes, threads);
        if (!out->bandwidth[out->sets++]) return plx_fail(PLX_ERROR_MEMORY, "memory probe: out of memory");
        if (is_last) break;
    }
    return PLX_OK;
}

double plx_peaks_bound(const plx_peaks *peaks, double flops, double bytes, const char **bound) {
    int set = 0;
    while (set < peaks->sets - 1 && peaks->set_bytes[set] < bytes) set++;
    double computing = flops / peaks->flops[peaks->threads - 1], moving = bytes / peaks->bandwidth[set];
    *bound = computing <= 0 && moving <= 0 ? NULL : computing >= moving ? "flops" : "bytes";
    return fmax(computing, moving);
}

json_t *plx_peaks_json(const plx_peaks *peaks) {
    json_t *flops = json_array(), *memory = json_array();
    for (int t = 0; t < peaks->threads; t++)
        if (peaks->flops[t] > 0)
            json_array_append_new(flops,
                                  json_pack("{s:i, s:f}", "threads", t + 1, "gflops", peaks->flops[t] / 1e9));
    for (int i = 0; i < peaks->sets; i++)
        json_array_append_new(memory, json_pack("{s:I, s:f}", "set_bytes", (json_int_t)peaks->set_bytes[i],
                                                "gbytes_per_second", peaks->bandwidth[i] / 1e9));
    json_t *json = json_pack("{s:o, s:o}", "multiply_add", flops, "memory_triad", memory);
    if (peaks->products > 0) json_object_set_new(json, "products_gflops", json_real(peaks->products / 1e9));
    return json;
}
