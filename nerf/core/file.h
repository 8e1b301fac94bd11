/* Whole files: read with a cap, and written beside, fsynced and renamed, so that a reader never sees half a
 * file and a failed write leaves what was there. */
#ifndef PLX_CORE_FILE_H
#define PLX_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The whole file, with a 0 byte behind it, malloc'ed. PLX_ERROR_INPUT above `max_bytes` or for a directory. */
int plx_file_read(char **data, size_t *size, const char *path, size_t max_bytes);

typedef struct plx_writer {
    FILE *file;   /* write here */
    char *path;   /* where it will be */
    char *beside; /* where it is until commit; same folder */
    bool later;   /* commit does not wait for the disk: of many files, plx_folder_sync does for all */
} plx_writer;

int plx_writer_open(plx_writer *writer, const char *path);
int plx_writer_commit(
    plx_writer *writer); /* flush, fsync, rename, fsync the folder; on error nothing is left */
void plx_writer_abort(plx_writer *writer); /* after a commit, or on a zeroed writer, it does nothing */
/* Removes what writers to `path`'s folder in a process that was killed have left beside. */
void plx_writer_sweep(const char *path, long process);

int plx_file_write(const char *path, const void *data, size_t size); /* the three above in one */
int plx_file_write_later(const char *path, const void *data, size_t size);
int plx_folder_sync(const char *folder); /* waits until all that was written to its file system is there */

const char *plx_path_last(const char *path); /* what stands behind the last '/' */

int plx_make_directories(const char *path); /* like mkdir -p; PLX_ERROR_IO names the part that failed */

#endif
