/* Each parser of ours, fed with any bytes: it may refuse them, it may not crash, leak, or take memory past its cap. */
#ifndef PLX_TESTS_FUZZ_TARGETS_H
#define PLX_TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_target {
    const char *name; /* its inputs are kept in tests/fixtures/fuzz/NAME */
    void (*run)(const uint8_t *data, size_t size);
} fuzz_target;

extern const fuzz_target fuzz_targets[]; /* ends with a NULL name */

#endif
