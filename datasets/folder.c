/* Paths and folders as data sets name them. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"

#define NAMES_MAX 2000000 /* in one folder */

bool plx_path_inside(const char *path) {
    if (!*path || *path == '/' || strlen(path) >= PATH_MAX) return false;
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.') return false;
        path += length;
        while (*path == '/') path++;
    }
    return true;
}

char *plx_path_join(const char *folder, const char *name) {
    size_t a = strlen(folder), b = strlen(name);
    char *path = malloc(a + b + 2);
    if (!path) return NULL;
    memcpy(path, folder, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b + 1);
    return path;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void plx_names_free(char **names, int count) {
    for (int i = 0; i < count; i++) free(names[i]);
    free(names);
}

int plx_folder_list(char ***names, int *count, const char *path) {
    *names = NULL;
    *count = 0;
    DIR *folder = opendir(path);
    if (!folder) return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    int capacity = 0, status = PLX_OK;
    for (struct dirent *entry; !status && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **more = *count < NAMES_MAX ? realloc(*names, (size_t)capacity * sizeof *more) : NULL;
            if (!more) {
                status = plx_fail(PLX_ERROR_MEMORY, "%s: too many files", path);
                break;
            }
            *names = more;
        }
        if (!((*names)[*count] = strdup(entry->d_name)))
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        else
            ++*count;
    }
    closedir(folder);
    if (status) {
        plx_names_free(*names, *count);
        *names = NULL;
        *count = 0;
    } else if (*count) {
        qsort(*names, (size_t)*count, sizeof **names, compare_names);
    }
    return status;
}
