#define _GNU_SOURCE /* dl_iterate_phdr */
#include "tools/machine.h"

#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void plx_machine_processor(char *out, size_t size) {
    char text[512] = "";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(text, sizeof text, file) && strncmp(text, "model name", 10)) continue;
    if (file) fclose(file);
    const char *colon = strncmp(text, "model name", 10) ? NULL : strchr(text, ':');
    const char *name = colon && colon[1] == ' ' ? colon + 2 : "unknown";
    snprintf(out, size, "%.*s", (int)strcspn(name, "\n"), name);
}

/* One line of a file of the first processor's caches. */
static bool read_cache(int index, const char *what, char *out, int size) {
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, what);
    FILE *file = fopen(path, "r");
    bool read = file && fgets(out, size, file);
    if (file) fclose(file);
    return read;
}

/* sysconf(_SC_LEVEL3_CACHE_SIZE) takes the whole processor's for that of a virtual machine. */
size_t plx_machine_cache(int level) {
    char text[64];
    for (int i = 0; read_cache(i, "level", text, sizeof text); i++) {
        if (atoi(text) != level || !read_cache(i, "type", text, sizeof text) || *text == 'I') continue;
        if (read_cache(i, "size", text, sizeof text)) return (size_t)atoi(text) << 10; /* "32768K" */
    }
    return 0;
}

size_t plx_machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}

typedef struct listing {
    void (*each)(const char *file, void *user);
    void *user;
} listing;

/* The file behind the link holds the version. */
static int list_library(struct dl_phdr_info *info, size_t size, void *user) {
    (void)size;
    const listing *to = user;
    static const char *const names[] = {"libassimp", "libembree3", "libOpenEXRCore", "libdnnl", "libjansson",
                                        "libpopt",   "libzip",     "libvl",          "libgomp"};
    const char *slash = strrchr(info->dlpi_name, '/');
    for (size_t i = 0; slash && i < sizeof names / sizeof *names; i++) {
        if (strncmp(slash + 1, names[i], strlen(names[i]))) continue;
        char *file = realpath(info->dlpi_name, NULL);
        const char *base = file ? strrchr(file, '/') : NULL;
        to->each(base ? base + 1 : slash + 1, to->user);
        free(file);
    }
    return 0;
}

void plx_machine_libraries(void (*each)(const char *file, void *user), void *user) {
    listing to = {each, user};
    dl_iterate_phdr(list_library, &to);
}
