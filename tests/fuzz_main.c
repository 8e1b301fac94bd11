/* libFuzzer's entry: FUZZ_TARGET names the target (make fuzz). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz_targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const fuzz_target *target;
    const char *name = getenv("FUZZ_TARGET");
    for (int i = 0; !target && name && fuzz_targets[i].name; i++)
        if (!strcmp(fuzz_targets[i].name, name)) target = &fuzz_targets[i];
    if (!target) {
        fputs("FUZZ_TARGET names no target\n", stderr);
        exit(1);
    }
    target->run(data, size);
    return 0;
}
