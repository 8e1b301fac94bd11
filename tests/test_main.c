/* Runs the registered tests:  tests [WORD...]  keeps those whose group.name contains a WORD. */
#include "tests/test.h"

#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct test {
    const char *group, *name;
    test_fn fn;
} test;

static test tests[4096];
static int test_count, failures_here;
static const char *skip_reason;
static char directory[64], program[4096];

void test_register(const char *group, const char *name, test_fn fn) {
    if (test_count == (int)(sizeof tests / sizeof *tests)) abort();
    tests[test_count++] = (test){group, name, fn};
}

void test_fail(const char *file, int line, const char *what, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("    %s:%d: %s -- ", file, line, what);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    failures_here++;
}

void test_skip(const char *reason) {
    skip_reason = reason;
}

const char *test_directory(void) {
    if (!directory[0]) {
        strcpy(directory, "/tmp/parallax-tests-XXXXXX");
        if (!mkdtemp(directory)) abort();
    }
    return directory;
}

const char *test_file_in(const char *before, const char *name) {
    static char paths[16][512];
    static int turn;
    char *path = paths[turn++ % 16];
    if (snprintf(path, sizeof *paths, "%s/%s%s", test_directory(), before, name) >= (int)sizeof *paths)
        abort();
    return path;
}

const char *test_file(const char *name) {
    return test_file_in("", name);
}

/* Runs a command by the shell; keeps the start of what it prints, reads the rest. Returns the exit status. */
static int capture(char *text, size_t size, const char *command) {
    FILE *pipe = popen(command, "r");
    if (!pipe) abort();
    text[fread(text, 1, size - 1, pipe)] = 0;
    char rest[4096];
    while (fread(rest, 1, sizeof rest, pipe) > 0) continue;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int test_run_parallax(const char *arguments, const char **stderr_text) {
    static char text[4096];
    char command[8192];
    snprintf(command, sizeof command, "exec %s %s 2>&1 >/dev/null </dev/null", program, arguments);
    int status = capture(text, sizeof text, command);
    if (stderr_text) *stderr_text = text;
    return status;
}

int test_run_parallax_output(const char *arguments, const char **stdout_text) {
    static char text[16384];
    char command[8192];
    snprintf(command, sizeof command, "exec %s %s 2>/dev/null </dev/null", program, arguments);
    int status = capture(text, sizeof text, command);
    if (stdout_text) *stdout_text = text;
    return status;
}

int test_signal_parallax(const char *signal, int seconds, const char *arguments, const char **stderr_text) {
    static char text[4096];
    char command[8192];
    snprintf(command, sizeof command,
             "exec timeout --preserve-status -s %s %d %s %s 2>&1 >/dev/null </dev/null", signal, seconds,
             program, arguments);
    int status = capture(text, sizeof text, command);
    if (stderr_text) *stderr_text = text;
    return status;
}

static int compare(const void *a, const void *b) {
    const test *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

static int wanted(const test *t, int count, char **words) {
    char full[256];
    snprintf(full, sizeof full, "%s.%s", t->group, t->name);
    for (int i = 0; i < count; i++)
        if (strstr(full, words[i])) return 1;
    return count == 0;
}

/* Of all threads and of the programs that were run. */
static double processor_seconds(void) {
    double seconds = 0;
    for (int who = 0; who < 2; who++) {
        struct rusage use;
        getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &use);
        seconds += (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec);
        seconds += 1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    }
    return seconds;
}

int main(int count, char **words) {
    /* The program stands beside the test runner. */
    const char *slash = strrchr(words[0], '/');
    snprintf(program, sizeof program, "%.*s/parallax", slash ? (int)(slash - words[0]) : 1,
             slash ? words[0] : ".");
    setvbuf(stdout, NULL, _IOLBF, 0);
    qsort(tests, (size_t)test_count, sizeof *tests, compare);
    int passed = 0, failed = 0, skipped = 0;
    for (int i = 0; i < test_count; i++) {
        if (!wanted(&tests[i], count - 1, words + 1)) continue;
        failures_here = 0;
        skip_reason = NULL;
        double before = processor_seconds();
        tests[i].fn();
        double seconds = processor_seconds() - before;
        const char *word = failures_here ? "FAILED" : skip_reason ? "skipped" : "ok";
        printf("%-8s %s.%s%s%s", word, tests[i].group, tests[i].name, skip_reason ? ": " : "",
               skip_reason ? skip_reason : "");
        if (seconds > 1) printf(" (%.1f s of processor time)", seconds);
        printf("\n");
        if (failures_here)
            failed++;
        else if (skip_reason)
            skipped++;
        else
            passed++;
    }
    if (directory[0]) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", directory);
        if (system(command)) fprintf(stderr, "could not remove %s\n", directory);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0 || passed == 0;
}
