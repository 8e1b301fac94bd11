/* Work to be timed: each layer of the library offers what it does, at the sizes that matter (parallax bench). */
#ifndef PLX_CORE_WORKLOAD_H
#define PLX_CORE_WORKLOAD_H

typedef struct plx_workload {
    char name[96];
    double flops; /* of one run: a multiplication and an addition are two; 0: not stated */
    double
        bytes; /* of one run: each array that is read or written once, each that is added into twice; 0: not
                   * stated */
    int (*run)(void *state); /* a plx_status */
    void (*free)(void *state);
    void *state;
} plx_workload;

static inline void plx_workload_free(plx_workload *work) { /* a zeroed one is fine */
    if (work->free) work->free(work->state);
    *work = (plx_workload){0};
}

#endif
