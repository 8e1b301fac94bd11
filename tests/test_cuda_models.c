/* Table `cuda` without a card: whole models, the kernels' tests, memory that is refused, parallax bench (tests/cuda/run_*.c), side by
 * side. And with one: the kernels' tests on it. */
#include "tests/test.h"
#include "nerf/tensor/tensor.h"

#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "build/release/run_cuda_models"

TEST(cuda, models_train_as_on_the_cpu) {
#ifdef __SANITIZE_ADDRESS__
    SKIP("runs once, from the tests without sanitizers");
#endif
    if (access(PROGRAM, X_OK))
        SKIP(PROGRAM " is not there: make test builds it where CUDA_HOME has NVIDIA's headers");
    static const char *const parts[] = {"training_follows", "steps_wait precisions what_is",
                                        "machine memory_is copies fields occupied picture",
                                        "memory_that tensors_that",
                                        "kernels. grad.cuda rays_on_cuda convolutions_of bench"};
    enum { PARTS = sizeof parts / sizeof *parts };
    FILE *pipes[PARTS];
    for (int i = 0; i < PARTS; i++) {
        char command[256];
        /* Threads in other orders too; 4 and 5, which are drawn, take longer. */
        snprintf(command, sizeof command,
                 "OMP_NUM_THREADS=1 TESTED_TABLE=cuda EMULATION_ORDER=%d " PROGRAM " %s 2>&1", i % 4,
                 parts[i]);
        pipes[i] = popen(command, "r");
        if (!pipes[i]) abort();
    }
    for (int i = 0; i < PARTS; i++) {
        static char text[8192];
        text[fread(text, 1, sizeof text - 1, pipes[i])] = 0;
        int status = pclose(pipes[i]);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0 && strstr(text, " 0 failed"), "%s", text);
    }
}

/* The tests of test_kernels*.c a second time, in a process of their own, on the card. The others that take a table do so in this one. */
TEST(cuda, kernels_on_the_card) {
    if (!plx_device_cards()) SKIP("no CUDA card, or a build without CUDA");
    static char text[8192];
    char command[256];
    snprintf(command, sizeof command, "TESTED_TABLE=cuda /proc/%d/exe kernels. 2>&1", (int)getpid());
    FILE *pipe = popen(command, "r");
    if (!pipe) abort();
    text[fread(text, 1, sizeof text - 1, pipe)] = 0;
    int status = pclose(pipe);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0 && strstr(text, " 0 failed"), "%s", text);
}
