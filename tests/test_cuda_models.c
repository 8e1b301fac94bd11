/* Whole models on table `cuda` without a card: tests/cuda/run_models.c, its parts side by side. */
#include "tests/test.h"

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
                                        "machine memory matrix convolutions fields picture"};
    enum { PARTS = sizeof parts / sizeof *parts };
    FILE *pipes[PARTS];
    for (int i = 0; i < PARTS; i++) {
        char command[256];
        snprintf(command, sizeof command, "OMP_NUM_THREADS=1 " PROGRAM " %s 2>&1", parts[i]);
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
