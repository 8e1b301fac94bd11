/* Paths and folders as data sets name them. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

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

bool plx_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool plx_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool plx_folder_holds(const char *folder, const char *name, bool (*kind)(const char *path)) {
    char *path = plx_path_join(folder, name);
    bool found = path && kind(path);
    free(path);
    return found;
}

int plx_names_list(plx_names **out, const char *folder, bool (*wanted)(const char *name)) {
    *out = calloc(1, sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    char **names;
    int count, status = plx_folder_list(&names, &count, folder);
    if (status) return status;
    (*out)->names = names;
    for (int i = 0; i < count; i++) {
        if (wanted(names[i]))
            names[(*out)->count++] = names[i];
        else
            free(names[i]);
    }
    return PLX_OK;
}

void plx_names_close(void *names) {
    plx_names *list = names;
    if (list) plx_names_free(list->names, list->count);
    free(list);
}

const char *plx_names_view(const plx_source *source, int index) {
    return ((const plx_names *)source->own)->names[index];
}

bool plx_is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

char *plx_name_with(const char *folder, const char *name, const char *ending) {
    const char *dot = strrchr(name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    size_t size = strlen(folder) + strlen(name) + strlen(ending) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s%s%.*s%s", folder, *folder ? "/" : "", stem, name, ending);
    return path;
}

/* The same names up to the first '.'. */
static bool same_stem(const char *a, const char *b) {
    size_t length = strcspn(a, ".");
    return length == strcspn(b, ".") && !strncmp(a, b, length);
}

/* `first`: where it is most likely. */
static bool has_stem(const plx_names *among, const char *name, int first) {
    if (first < among->count && same_stem(among->names[first], name)) return true;
    for (int i = 0; i < among->count; i++)
        if (same_stem(among->names[i], name)) return true;
    return false;
}

int plx_source_pair(plx_source *source, const char *part, bool (*wanted)(const char *name)) {
    plx_names *names = NULL;
    char *folder = *part ? plx_path_join(source->folder, part) : strdup(source->folder), fault[2 * PATH_MAX];
    int status = folder ? plx_names_list(&names, folder, wanted)
                        : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", source->path);
    for (int i = 0; !status && !source->fault && i < names->count; i++) {
        if (has_stem(source->own, names->names[i], i)) continue;
        snprintf(fault, sizeof fault, "%s/%s: what belongs to it is not there", folder, names->names[i]);
        if (!(source->fault = strdup(fault)))
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", source->path);
    }
    plx_names_close(names);
    free(folder);
    return status;
}

/* `folder` itself or something below it. */
static bool is_below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == 0 || folder[length - 1] == '/');
}

int plx_source_file(char **out, const plx_source *source, const char *name) {
    *out = plx_path_join(source->folder, name);
    char *real_folder = realpath(source->folder, NULL), *real = *out ? realpath(*out, NULL) : NULL;
    int why = errno, status = PLX_OK;
    if (!*out)
        status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", source->path);
    else if (!real_folder || !real)
        status = plx_fail(PLX_ERROR_IO, "%s: %s", *out, strerror(why));
    else if (!plx_path_inside(name) || !is_below(real, real_folder))
        status = plx_fail(PLX_ERROR_INPUT, "%s: leads out of the data set's folder", *out);
    else if (!plx_is_file(real)) /* opening a pipe would wait for its writer */
        status = plx_fail(PLX_ERROR_INPUT, "%s: not a file", *out);
    free(real_folder);
    free(real);
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}
