/* The CUDA kernels without a card: under tests/cuda/emulation.h in several orders of threads, with the sanitizers; and what ptxas
 * says of their registers. */
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "build/sanitize/run_cuda_kernels"
#define RECORD "tests/fixtures/cuda_registers.tsv"
#define REPORTS "build/ptxas/sm_80" /* the one that make test compiles for */

/* Exit status of a shell's command; what it prints is left in `text`. */
static int run(char *text, size_t size, const char *command) {
    FILE *pipe = popen(command, "r");
    if (!pipe) abort();
    size_t used = fread(text, 1, size - 1, pipe);
    text[used] = 0;
    char rest[4096];
    while (fread(rest, 1, sizeof rest, pipe) > 0) continue;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *skip_kernels(void) {
#ifdef __SANITIZE_ADDRESS__
    return "runs once, from the tests without sanitizers; the kernels have them";
#else
    return access(PROGRAM, X_OK) ? PROGRAM " is not there (make test builds it)" : NULL;
#endif
}

/* The first line in which two files differ, as the second has it; "" if there is none. Static storage. */
static const char *first_difference(const char *one, const char *two) {
    static char line[2][512];
    FILE *file[2] = {fopen(one, "r"), fopen(two, "r")};
    bool differ = !file[0] || !file[1];
    strcpy(line[1], differ ? "no log" : "");
    while (!differ) {
        char *a = fgets(line[0], sizeof *line, file[0]), *b = fgets(line[1], sizeof *line, file[1]);
        if (!a && !b) break;
        differ = !a || !b || strcmp(a, b) != 0;
        if (!b) strcpy(line[1], "the end");
    }
    for (int k = 0; k < 2; k++)
        if (file[k]) fclose(file[k]);
    return differ ? line[1] : "";
}

/* Whether a line of the log begins with the kernel, "name" or "name<..." or "(name<...". */
static bool launched(const char *log, const char *name, size_t length) {
    for (const char *line = log; line; line = (line = strchr(line, '\n')) ? line + 1 : NULL) {
        const char *at = line + (*line == '(');
        if (strncmp(at, name, length) == 0 && (at[length] == ' ' || at[length] == '<')) return true;
    }
    return false;
}

/* Every kernel that nvcc sees (the record has them all) was launched. */
static void expect_all_launched(const char *log_path) {
    static char text[1 << 20];
    FILE *log = fopen(log_path, "r"), *record = fopen(RECORD, "r");
    REQUIRE(log && record, "%s or " RECORD " is not there", log_path);
    text[fread(text, 1, sizeof text - 1, log)] = 0;
    char line[512];
    while (fgets(line, sizeof line, record)) {
        const char *name = strchr(line, '\t');
        if (line[0] == '#' || !name) continue;
        const size_t length = strcspn(++name, "<\t");
        EXPECT(launched(text, name, length), "no test launches %.*s", (int)length, name);
    }
    fclose(log);
    fclose(record);
}

/* Every kernel against `ref` in the loops of test_kernels*.c; its bits do not depend on the order. The last run has all arrays
 * off their alignment. */
TEST(cuda, kernels_in_every_order) {
    if (skip_kernels()) SKIP(skip_kernels());
    static const char orders[] = "015"; /* forward, backward, drawn and warp by warp */
    const char *directory = test_directory();
    char command[1024], text[8192], log[2][256];
    snprintf(command, sizeof command,
             "printf '3 1 off\\n0 0 0\\n1 0 1\\n5 0 5\\n' | xargs -P $(nproc) -L1 sh -c '"
             "EMULATION_ORDER=$0 EMULATION_SHIFT=$1 EMULATION_LOG=%s/cuda-$2 OMP_NUM_THREADS=1 " PROGRAM
             " kernels. >%s/cuda-$2.out 2>&1 || { echo order $2; tail -c 3000 %s/cuda-$2.out; }'",
             directory, directory, directory);
    EXPECT(run(text, sizeof text, command) == 0 && !text[0], "%s", text);
    snprintf(log[0], sizeof *log, "%s/cuda-0", directory);
    for (const char *order = orders + 1; *order; order++) {
        snprintf(log[1], sizeof *log, "%s/cuda-%c", directory, *order);
        const char *line = first_difference(log[0], log[1]);
        EXPECT(!line[0], "order %c: a race, other bits behind %s", *order, line);
    }
    expect_all_launched(log[0]);
}

/* Kernels that are wrong on purpose (tests/cuda/planted.cu): each defect is seen, and the right one is not blamed. */
TEST(cuda, planted_defects_are_caught) {
    if (skip_kernels()) SKIP(skip_kernels());
    static const struct {
        const char *defect, *message;
    } planted[] = {{"race", NULL}, /* other bits in another order */
                   {"two_writers", NULL},
                   {"beyond_the_array", "use-after-poison"},
                   {"beyond_shared", "index 64 out of bounds"},
                   {"lonely_barrier", "kernel planted_lonely_barrier: threads wait at"},
                   {"misaligned", "misaligned address"},
                   {"none", ""}};
    for (size_t k = 0; k < sizeof planted / sizeof *planted; k++) {
        char command[1024], text[2][8192];
        int status[2];
        for (int order = 0; order < 2; order++) {
            snprintf(command, sizeof command,
                     "EMULATION_LOG=%s/cuda-planted-%d EMULATION_ORDER=%d EMULATION_PLANTED=%s " PROGRAM
                     " planted 2>&1",
                     test_directory(), order, order, planted[k].defect);
            status[order] = run(text[order], sizeof *text, command);
        }
        char log[2][256];
        for (int order = 0; order < 2; order++)
            snprintf(log[order], sizeof *log, "%s/cuda-planted-%d", test_directory(), order);
        const char *line = first_difference(log[0], log[1]);
        if (!planted[k].message) /* the log's line names the kernel */
            EXPECT(status[0] == 0 && strstr(line, planted[k].defect), "%s: exit status %d, '%s'",
                   planted[k].defect, status[0], line);
        else if (planted[k].message[0])
            EXPECT(status[0] && status[1] && strstr(text[0], planted[k].message), "%s: exit status %d, %s",
                   planted[k].defect, status[0], text[0]);
        else
            EXPECT(!status[0] && !status[1] && !line[0], "%s: exit status %d, '%s', %s", planted[k].defect,
                   status[0], line, text[0]);
    }
}

/* nvcc compiles all kernels for all architectures, warnings are errors (make cuda-check); no kernel takes more registers or spills
 * more than is recorded. */
TEST(cuda, registers_are_as_recorded) {
#ifdef __SANITIZE_ADDRESS__
    SKIP("runs once, from the tests without sanitizers");
#endif
    const char *home = getenv("CUDA_HOME");
    char nvcc[512], command[2048], text[8192];
    snprintf(nvcc, sizeof nvcc, "%s/bin/nvcc", home ? home : "/usr/local/cuda");
    if (access(nvcc, X_OK)) SKIP("there is no nvcc; CUDA_HOME says where");
    if (access(REPORTS, R_OK)) SKIP(REPORTS " is not there (make test builds it)");
    snprintf(command, sizeof command, "tests/cuda/check_registers.sh %s " RECORD " " REPORTS "/*.ptxas 2>&1",
             nvcc);
    int status = run(text, sizeof text, command);
    if (status == 77) SKIP("the record is another toolkit's");
    EXPECT(status == 0, "%s", text);
    /* A kernel that has grown by a register is named. */
    snprintf(command, sizeof command,
             "awk -F'\\t' -vOFS='\\t' '$2 == \"adamw_step\" && $3 == \"sm_80\" { $4-- } 1' " RECORD
             " >%s/cuda-fewer && tests/cuda/check_registers.sh %s "
             "%s/cuda-fewer " REPORTS "/*.ptxas 2>&1",
             test_directory(), nvcc, test_directory());
    status = run(text, sizeof text, command);
    EXPECT(status == 1 && strstr(text, "cuda_train.cu: adamw_step for sm_80: ") == text, "exit status %d: %s",
           status, text);
}
