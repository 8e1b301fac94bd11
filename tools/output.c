#include "tools/output.h"
#include "tools/parallax.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int plx_output_join(char out[PLX_OUTPUT_PATH], const char *folder, const char *name) {
    int length = snprintf(out, PLX_OUTPUT_PATH, "%s/%s", folder, name);
    return length < PLX_OUTPUT_PATH ? PLX_OK
                                    : plx_fail(PLX_ERROR_INPUT, "%s/%s: the path is too long", folder, name);
}

static void remove_tree(const char *path) {
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char inner[PLX_OUTPUT_PATH];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!plx_output_join(inner, path, entry->d_name)) remove_tree(inner);
    }
    if (directory) closedir(directory);
    if (remove(path) && errno == ENOTDIR) unlink(path);
}

int plx_output_open(plx_output *o, const char *folder) {
    struct stat info;
    o->made = stat(folder, &info) != 0;
    int status = plx_make_directories(folder);
    if (!status) status = plx_output_join(o->temporary, folder, ".parallax-XXXXXX");
    if (status) return status;
    snprintf(o->folder, PLX_OUTPUT_PATH, "%s", folder);
    if (mkdtemp(o->temporary)) return PLX_OK;
    int why = errno;
    if (o->made) rmdir(folder);
    o->temporary[0] = 0;
    return plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", folder, strerror(why));
}

int plx_output_continue(plx_output *o, const char *folder, const char *temporary) {
    struct stat info;
    *o = (plx_output){.made = folder && stat(folder, &info) != 0};
    int status = folder ? plx_make_directories(folder) : PLX_OK;
    if (status) return status;
    snprintf(o->folder, PLX_OUTPUT_PATH, "%s", folder ? folder : "");
    snprintf(o->temporary, PLX_OUTPUT_PATH, "%s", temporary);
    if (!mkdir(temporary, 0777) || errno == EEXIST) return PLX_OK;
    int why = errno;
    if (o->made) rmdir(folder);
    o->temporary[0] = 0;
    return plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", temporary, strerror(why));
}

void plx_output_keep(plx_output *o) {
    if (o->made) rmdir(o->folder); /* empty still, or it stays */
    o->temporary[0] = 0;
}

int plx_output_commit(plx_output *o) {
    DIR *directory = opendir(o->temporary);
    int status = directory ? PLX_OK : plx_fail(PLX_ERROR_IO, "%s: %s", o->temporary, strerror(errno));
    for (struct dirent *entry; !status && (entry = readdir(directory));) {
        char from[PLX_OUTPUT_PATH], to[PLX_OUTPUT_PATH];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        status = plx_output_join(from, o->temporary, entry->d_name);
        if (!status) status = plx_output_join(to, o->folder, entry->d_name);
        struct stat info;
        if (!status && !stat(to, &info) && S_ISDIR(info.st_mode)) remove_tree(to);
        if (!status && rename(from, to)) status = plx_fail(PLX_ERROR_IO, "%s: %s", to, strerror(errno));
    }
    if (directory) closedir(directory);
    if (!status) o->made = false;
    return status;
}

void plx_output_close(plx_output *o) {
    if (!o->temporary[0]) return;
    remove_tree(o->temporary);
    if (o->made) rmdir(o->folder);
}
