/* A device's memory. Where it is the host's own there is no such table (NULL): its pointers are used as they are. What is
 * started on the device runs in the order of the calls; the host does not wait but in `read` and `finish`. */
#ifndef PLX_MEMORY_H
#define PLX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct plx_memory {
    int (*reserve)(char **range, size_t bytes); /* addresses, behind which there is nothing yet */
    void (*release)(char *range, size_t bytes); /* with what is behind them */
    int (*commit)(char *range, size_t bytes);   /* makes the first `bytes` usable; what was there stays */
    void (*write)(void *to, const void *from,
                  size_t bytes); /* from the host, whose array may change at once */
    void (*read)(void *to, const void *from, size_t bytes); /* to the host */
    void (*copy)(void *to, const void *from, size_t bytes); /* within the device */
    void (*zero)(void *to, size_t bytes);
    /* From the first error on nothing is started any more and reading gives zeros, until `finish` tells it, by its kernel's name.
     * `fail`: plx_error() is one, of `what`. */
    void (*fail)(const char *what);
    bool (*failed)(void); /* so far; does not wait */
    int (*finish)(void);  /* waits */
} plx_memory;

static inline void plx_memory_write(const plx_memory *m, void *to, const void *from, size_t bytes) {
    if (m)
        m->write(to, from, bytes);
    else
        memcpy(to, from, bytes);
}

static inline void plx_memory_read(const plx_memory *m, void *to, const void *from, size_t bytes) {
    if (m)
        m->read(to, from, bytes);
    else
        memcpy(to, from, bytes);
}

static inline void plx_memory_copy(const plx_memory *m, void *to, const void *from, size_t bytes) {
    if (m)
        m->copy(to, from, bytes);
    else
        memcpy(to, from, bytes);
}

static inline void plx_memory_zero(const plx_memory *m, void *to, size_t bytes) {
    if (m)
        m->zero(to, bytes);
    else
        memset(to, 0, bytes);
}

static inline int plx_memory_finish(const plx_memory *m) {
    return m ? m->finish() : 0;
}

/* An error that is known already; without one it does not wait. */
static inline int plx_memory_check(const plx_memory *m) {
    return m && m->failed() ? m->finish() : 0;
}

/* A block of its own, zeros; NULL without memory. */
void *plx_memory_take(const plx_memory *m, size_t bytes);
void plx_memory_give(const plx_memory *m, void *block, size_t bytes);

#endif
