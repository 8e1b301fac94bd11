#define _GNU_SOURCE /* asprintf, syncfs */
#include "nerf/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nerf/core/error.h"

/* Reads until the end or until `limit` bytes are passed, so that pipes work and a file that grows is bounded. */
static int read_all(int fd, char **data, size_t *size, size_t expected, size_t limit, const char *path) {
    size_t capacity = expected + 2, used = 0; /* one byte to see the end, one for the 0 */
    char *buffer = malloc(capacity);
    while (buffer) {
        ssize_t got = read(fd, buffer + used, capacity - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int why = errno;
            free(buffer);
            return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(why));
        }
        if (got == 0) {
            buffer[used] = 0;
            *data = buffer;
            *size = used;
            return PLX_OK;
        }
        used += (size_t)got;
        if (used > limit) {
            free(buffer);
            return plx_fail(PLX_ERROR_INPUT, "%s: larger than %zu bytes", path, limit);
        }
        if (used == capacity - 1) {
            capacity *= 2;
            char *more = realloc(buffer, capacity);
            if (!more) free(buffer);
            buffer = more;
        }
    }
    return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
}

int plx_file_read(char **data, size_t *size, const char *path, size_t max_bytes) {
    *data = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    struct stat info;
    int status;
    if (fstat(fd, &info))
        status = plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(info.st_mode))
        status = plx_fail(PLX_ERROR_INPUT, "%s: is a folder, not a file", path);
    else if (S_ISREG(info.st_mode) && (uintmax_t)info.st_size > max_bytes)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %jd bytes, larger than %zu", path, (intmax_t)info.st_size,
                          max_bytes);
    else
        status =
            read_all(fd, data, size, S_ISREG(info.st_mode) ? (size_t)info.st_size : 65536, max_bytes, path);
    close(fd);
    return status;
}

/* ---- paths ---------------------------------------------------------------------------------------------- */

const char *plx_path_last(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- writing beside ------------------------------------------------------------------------------------ */

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* A name of this process that is not there yet, in the folder where the file will be; umask sets its mode. */
static int open_beside(plx_writer *writer) {
    static atomic_uint serial;
    char *folder = folder_of(writer->path);
    if (!folder) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->path);
    int fd = -1;
    do {
        free(writer->beside);
        if (asprintf(&writer->beside, "%s/.parallax-%ld-%u.part", folder, (long)getpid(),
                     atomic_fetch_add(&serial, 1)) < 0) {
            writer->beside = NULL;
            free(folder);
            return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->path);
        }
        fd = open(writer->beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EEXIST);
    int why = errno;
    free(folder);
    if (fd < 0) {
        free(writer->beside);
        writer->beside = NULL;
        return plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", writer->path, strerror(why));
    }
    writer->file = fdopen(fd, "w+b");
    if (writer->file) return PLX_OK;
    close(fd);
    return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->path);
}

int plx_writer_open(plx_writer *writer, const char *path) {
    *writer = (plx_writer){0};
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return plx_fail(PLX_ERROR_INPUT, "%s: is a folder, not a file", path);
    /* A rename would replace the device or pipe itself. */
    if (exists && !S_ISREG(info.st_mode)) return plx_fail(PLX_ERROR_INPUT, "%s: is not a regular file", path);
    size_t length = strlen(path);
    if (!length || path[length - 1] == '/') return plx_fail(PLX_ERROR_INPUT, "'%s' names no file", path);
    writer->path = exists ? realpath(path, NULL) : strdup(path); /* a link stays, its target is replaced */
    int status = writer->path ? open_beside(writer) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (status) plx_writer_abort(writer);
    return status;
}

static int sync_folder(const char *path) {
    char *folder = folder_of(path);
    if (!folder) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = PLX_OK;
    /* Some file systems cannot fsync a folder (EINVAL), and one may be writable but not readable (EACCES). */
    if (fd >= 0 && fsync(fd) && errno != EINVAL)
        status = plx_fail(PLX_ERROR_IO, "%s: %s", folder, strerror(errno));
    if (fd >= 0) close(fd);
    free(folder);
    return status;
}

int plx_writer_commit(plx_writer *writer) {
    bool failed =
        ferror(writer->file) || fflush(writer->file) || (!writer->later && fsync(fileno(writer->file)));
    int why = errno;
    if (fclose(writer->file) && !failed) {
        failed = true;
        why = errno;
    }
    writer->file = NULL;
    if (!failed && rename(writer->beside, writer->path)) {
        failed = true;
        why = errno;
    }
    int status =
        failed ? plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", writer->path, strerror(why)) : PLX_OK;
    if (!failed) {
        free(writer->beside); /* it has become the file: nothing to remove */
        writer->beside = NULL;
        if (!writer->later) status = sync_folder(writer->path);
    }
    plx_writer_abort(writer);
    return status;
}

void plx_writer_abort(plx_writer *writer) {
    if (writer->file) fclose(writer->file);
    if (writer->beside) unlink(writer->beside);
    free(writer->beside);
    free(writer->path);
    *writer = (plx_writer){0};
}

void plx_writer_sweep(const char *path, long process) {
    enum { SERIALS = 64 }; /* a process has hardly more files open at once, and they are numbered from 0 */
    char *folder = folder_of(path), *left;
    if (process < 1 || kill((pid_t)process, 0) == 0 || errno != ESRCH) process = 0;
    for (unsigned i = 0; folder && process && i < SERIALS; i++) {
        if (asprintf(&left, "%s/.parallax-%ld-%u.part", folder, process, i) < 0) break;
        unlink(left);
        free(left);
    }
    free(folder);
}

static int write_file(const char *path, const void *data, size_t size, bool later) {
    plx_writer writer;
    int status = plx_writer_open(&writer, path);
    if (status) return status;
    writer.later = later;
    if (size && fwrite(data, 1, size, writer.file) != size) {
        status = plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
        plx_writer_abort(&writer);
        return status;
    }
    return plx_writer_commit(&writer);
}

int plx_file_write(const char *path, const void *data, size_t size) {
    return write_file(path, data, size, false);
}

int plx_file_write_later(const char *path, const void *data, size_t size) {
    return write_file(path, data, size, true);
}

int plx_folder_sync(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd < 0 || syncfs(fd) ? plx_fail(PLX_ERROR_IO, "%s: %s", folder, strerror(errno)) : PLX_OK;
    if (fd >= 0) close(fd);
    return status;
}

int plx_make_directories(const char *path) {
    char *part = strdup(path);
    if (!part) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    int status = PLX_OK;
    for (char *end = part; !status && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = 0;
        struct stat info;
        if (mkdir(part, 0777) && errno != EEXIST)
            status = plx_fail(PLX_ERROR_IO, "%s: cannot be made: %s", part, strerror(errno));
        else if (stat(part, &info) == 0 && !S_ISDIR(info.st_mode))
            status = plx_fail(PLX_ERROR_IO, "%s: is not a folder", part);
        *end = kept;
    }
    free(part);
    return status;
}
