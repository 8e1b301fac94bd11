/* The networks, the field, the renderer and a joint training step against the same in PyTorch: tests/peers. */
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

/* The library of single stages stands beside the test runner. */
static bool find_library(char path[4096]) {
    ssize_t length = readlink("/proc/self/exe", path, 4000);
    if (length < 0) return false;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    strcpy(slash + 1, "libstages.so");
    return access(path, R_OK) == 0;
}

TEST(peers, same_as_pytorch) {
    char library[4096], command[8192], text[8192];
    if (system("/usr/bin/python3 -c 'import torch' 2>/dev/null")) SKIP("no python3-torch (make deps-peers)");
    if (!find_library(library)) SKIP("no libstages.so beside the tests: make test builds it in release");
    snprintf(command, sizeof command,
             "/usr/bin/python3 tests/peers/peers.py --check --library %s --folder %s/peers 2>&1", library,
             test_directory());
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe, "popen");
    text[fread(text, 1, sizeof text - 1, pipe)] = 0;
    int status = pclose(pipe);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
}
