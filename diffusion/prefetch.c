#include "diffusion/prefetch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 3 }; /* one in use, one ready, one in the making */

typedef struct slot {
    plx_views *items;
    int status;
    char error[512]; /* the worker's error line: plx_error() is a thread's own */
} slot;

struct plx_prefetch {
    plx_batch_request request;
    int batch;
    int64_t next, last; /* steps: to be made, to end at */
    int64_t made, taken;
    double waited; /* seconds; the caller's */
    plx_batch_fn fn;
    void *user;
    slot slots[DEPTH];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stop, started;
};

static void clear(plx_prefetch *p, slot *s) {
    for (int i = 0; s->items && i < p->batch; i++) plx_views_free(&s->items[i]);
}

static void make(plx_prefetch *p, slot *s, int64_t step) {
    clear(p, s);
    s->status = PLX_OK;
    for (int i = 0; i < p->batch && !s->status; i++) {
        plx_batch_request request = p->request;
        request.step = step;
        request.item = i;
        s->status = p->fn(&request, &s->items[i], p->user);
        if (s->status) snprintf(s->error, sizeof s->error, "%s", plx_error());
    }
}

static void *work(void *argument) {
    plx_prefetch *p = argument;
    for (int64_t step = p->next; step < p->last; step++) {
        pthread_mutex_lock(&p->mutex);
        while (!p->stop && p->made - p->taken >= DEPTH - 1) pthread_cond_wait(&p->changed, &p->mutex);
        bool stop = p->stop;
        slot *s = &p->slots[p->made % DEPTH];
        pthread_mutex_unlock(&p->mutex);
        if (stop) break;
        make(p, s, step);
        pthread_mutex_lock(&p->mutex);
        p->made++;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->mutex);
        if (s->status) break;
    }
    return NULL;
}

int plx_prefetch_start(plx_prefetch **out, const plx_train_options *o, int64_t first, int64_t last,
                       plx_batch_fn fn, void *user) {
    plx_prefetch *p = calloc(1, sizeof *p);
    if (!p) return plx_fail(PLX_ERROR_MEMORY, "batches: out of memory");
    p->request = (plx_batch_request){.seed = o->seed, .size = o->size, .targets = o->targets};
    p->batch = o->batch;
    p->next = first, p->last = last;
    p->fn = fn, p->user = user;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    for (int i = 0; i < DEPTH; i++)
        if (!(p->slots[i].items = calloc((size_t)p->batch, sizeof(plx_views)))) goto failed;
    if (pthread_create(&p->thread, NULL, work, p)) goto failed;
    p->started = true;
    *out = p;
    return PLX_OK;
failed:
    plx_prefetch_stop(p);
    return plx_fail(PLX_ERROR_MEMORY, "batches: no memory or no thread");
}

int plx_prefetch_next(plx_prefetch *p, plx_views **items) {
    pthread_mutex_lock(&p->mutex);
    double began = plx_now();
    while (p->made == p->taken) pthread_cond_wait(&p->changed, &p->mutex);
    p->waited += plx_now() - began;
    slot *s = &p->slots[p->taken % DEPTH];
    p->taken++; /* frees the slot before it: the worker keeps DEPTH - 1 ahead of `taken` */
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    if (s->status) return plx_fail(s->status, "%s", s->error);
    *items = s->items;
    return PLX_OK;
}

double plx_prefetch_waited(const plx_prefetch *p) {
    return p->waited;
}

void plx_prefetch_stop(plx_prefetch *p) {
    if (!p) return;
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    if (p->started) pthread_join(p->thread, NULL);
    for (int i = 0; i < DEPTH; i++) {
        clear(p, &p->slots[i]);
        free(p->slots[i].items);
    }
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->changed);
    free(p);
}
