#define _GNU_SOURCE /* asprintf */
#include "tools/bench_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A latent of 384 KiB as floats: 3 planes of 64x64 texels, 8 channels. The sources, and what is got, are LATENTS of them:
 * 192 MiB, more than caches hold. */
enum { SIDE = 64, CHANNELS = 8, PLANE = SIDE * SIDE * CHANNELS, NUMBERS = 3 * PLANE };
enum { LATENTS = 512, BATCH = 64, GETS = 256, FINDS = 4096 };

enum { PUT, PUT_EACH, FILES, READ, READ_HALF, COPY, FIND, WORKS };

static const struct {
    const char *name;
    int objects; /* a run */
} works[WORKS] = {
    [PUT] = {"put 64 latents of 384 KiB, one commit", BATCH},
    [PUT_EACH] = {"put 64 latents of 384 KiB, a commit each", BATCH},
    [FILES] = {"write and sync a file of the same 64 (plain copy)", BATCH},
    [READ] = {"get 256 random latents of 384 KiB into a batch", GETS},
    [READ_HALF] = {"get 256 random latents, kept as halves, as floats", GETS},
    [COPY] = {"copy the same 256 in memory (plain copy)", GETS},
    [FIND] = {"find 4096 random latents where they lie", FINDS},
};

typedef struct store_work {
    int kind;
    char folder[4096];
    plx_latents *latents;
    float *texels, *batch; /* (LATENTS, NUMBERS), (GETS, NUMBERS) */
    char ids[LATENTS][12];
    uint64_t sum; /* so that what is found is used */
} store_work;

int plx_bench_store_count(void) {
    return WORKS;
}

void plx_bench_store_name(int index, char name[96]) {
    snprintf(name, 96, "%s", works[index].name);
}

static void free_work(void *state) {
    static const char *const files[] = {"store/data.mdb", "store/lock.mdb", "store", "copy", ""};
    store_work *w = state;
    char path[4200];
    plx_latents_free(w->latents);
    for (size_t i = 0; *w->folder && i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", w->folder, files[i]);
        remove(path);
    }
    free(w->texels);
    free(w->batch);
    free(w);
}

/* `count` latents from the first on, `commits` of them a transaction. */
static int put(store_work *w, int count, int commits, enum plx_latent_type as) {
    static const char *const names[] = {"xy", "xz", "yz"};
    plx_transaction *t = NULL;
    int status = PLX_OK;
    for (int i = 0; i < count && !status; i++) {
        plx_latent latent = {.id = w->ids[i], .planes = 3};
        for (int k = 0; k < 3; k++) {
            latent.plane[k] = (plx_latent_plane){.rows = SIDE, .columns = SIDE, .channels = CHANNELS};
            strcpy(latent.plane[k].name, names[k]);
            latent.plane[k].texels = w->texels + (size_t)i * NUMBERS + (size_t)k * PLANE;
        }
        if (!t) status = plx_transaction_begin(&t, w->latents, true);
        if (!status) status = plx_latent_put(t, &latent, as);
        if (!status && ((i + 1) % commits == 0 || i + 1 == count)) {
            status = plx_transaction_commit(t);
            t = NULL;
        }
    }
    plx_transaction_free(t);
    return status;
}

static int write_file(store_work *w) {
    char path[4200];
    snprintf(path, sizeof path, "%s/copy", w->folder);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const char *at = (const char *)w->texels;
    size_t left = (size_t)BATCH * NUMBERS * sizeof(float);
    while (file >= 0 && left) {
        ssize_t written = write(file, at, left);
        if (written <= 0) break;
        at += written;
        left -= (size_t)written;
    }
    bool failed = file < 0 || left || fdatasync(file);
    if (file >= 0) close(file);
    return failed ? plx_fail(PLX_ERROR_IO, "%s: cannot be written: %m", path) : PLX_OK;
}

static void copy_batch(store_work *w, const int which[GETS]) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < GETS; i++)
        memcpy(w->batch + (size_t)i * NUMBERS, w->texels + (size_t)which[i] * NUMBERS,
               NUMBERS * sizeof(float));
}

static int find(store_work *w, plx_transaction *t) {
    int status = PLX_OK;
    for (int i = 0; i < FINDS && !status; i++) {
        plx_latent latent;
        status = plx_latent_get(&latent, t, w->ids[plx_rng_below((plx_rng){2, 0}, (uint64_t)i, LATENTS)]);
        if (!status) w->sum += (uint64_t)(uintptr_t)latent.plane[2].texels;
    }
    return status;
}

static int run_work(void *state) {
    store_work *w = state;
    plx_transaction *t;
    const char *ids[GETS];
    int which[GETS];
    if (w->kind == PUT) return put(w, BATCH, BATCH, PLX_LATENT_F32);
    if (w->kind == PUT_EACH) return put(w, BATCH, 1, PLX_LATENT_F32);
    if (w->kind == FILES) return write_file(w);
    for (int i = 0; i < GETS; i++) {
        which[i] = (int)plx_rng_below((plx_rng){1, 0}, (uint64_t)i, LATENTS);
        ids[i] = w->ids[which[i]];
    }
    if (w->kind == COPY) {
        copy_batch(w, which);
        return PLX_OK;
    }
    int status = plx_transaction_begin(&t, w->latents, false);
    if (status) return status;
    status = w->kind == FIND ? find(w, t) : plx_latents_read(t, GETS, ids, NUMBERS, w->batch);
    plx_transaction_free(t);
    return status;
}

static int prepare(store_work *w) {
    const char *temporary = getenv("TMPDIR");
    char folder[4000], path[4200];
    snprintf(folder, sizeof folder, "%s/parallax-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) return plx_fail(PLX_ERROR_IO, "%s: cannot be made: %m", folder);
    strcpy(w->folder, folder);
    w->texels = malloc((size_t)LATENTS * NUMBERS * sizeof(float));
    w->batch = malloc((size_t)GETS * NUMBERS * sizeof(float));
    if (!w->texels || !w->batch) return plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    for (int i = 0; i < LATENTS; i++) {
        snprintf(w->ids[i], sizeof w->ids[i], "%d", i);
        for (int k = 0; k < NUMBERS; k++)
            w->texels[(size_t)i * NUMBERS + (size_t)k] = (float)((i + k) % 1000) / 1000;
    }
    memset(w->batch, 0, (size_t)GETS * NUMBERS * sizeof(float));
    if (w->kind == FILES || w->kind == COPY) return PLX_OK;
    plx_latents_options options = plx_latents_options_default();
    options.write = true;
    snprintf(path, sizeof path, "%s/store", w->folder);
    int status = plx_latents_open(&w->latents, path, &options);
    if (!status && w->kind >= READ)
        status = put(w, LATENTS, BATCH, w->kind == READ_HALF ? PLX_LATENT_F16 : PLX_LATENT_F32);
    return status;
}

int plx_bench_store_open(plx_workload *out, int index) {
    *out = (plx_workload){.run = run_work, .free = free_work};
    store_work *w = calloc(1, sizeof *w);
    if (!w) return plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    w->kind = index;
    int status = prepare(w);
    if (status) {
        free_work(w);
        return status;
    }
    out->state = w;
    if (index != FIND) out->bytes = (double)works[index].objects * NUMBERS * sizeof(float);
    plx_bench_store_name(index, out->name);
    return PLX_OK;
}
