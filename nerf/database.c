/* The one file that knows LMDB: a database of named tables, and its transactions. */
#define _GNU_SOURCE /* asprintf, fallocate */
#include "nerf/database.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nerf/core/file.h"

#define STORE_FORMAT "parallax-latents 1"

static const char *const table_names[PLX_TABLES] = {"planes",  "state",    "thumbnail",
                                                    "objects", "decoders", "store"};

struct plx_latents {
    MDB_env *env;
    MDB_dbi table[PLX_TABLES];
    char *folder;
    dev_t device; /* of the folder */
    ino_t inode;
    plx_latents *next; /* of those that are open in this process */
    bool write, writing;
    pthread_t writer;       /* while writing */
    bool made, made_folder; /* by this opening; made: and nothing was committed to it yet */
};

struct plx_transaction {
    plx_latents *latents;
    MDB_txn *txn;
    bool write, failed, erased;
    size_t growth; /* bytes that the file may grow by */
};

/* ---- errors -------------------------------------------------------------------------------------------- */

static int fail_lmdb(const plx_latents *latents, int code) {
    const char *folder = latents->folder;
    switch (code) {
    case MDB_MAP_FULL:
        return plx_fail(PLX_ERROR_IO, "%s: is full: more addresses than were reserved for it", folder);
    case MDB_MAP_RESIZED:
        return plx_fail(PLX_ERROR_IO, "%s: has grown past the addresses that were reserved for it", folder);
    case EACCES:
        return plx_fail(PLX_ERROR_IO, "%s: %s%s", folder, strerror(code),
                        latents->write ? "" : " (readers, too, take a place in its lock.mdb)");
    case EIO: /* LMDB's word for a write that was cut short, too */
        return plx_fail(PLX_ERROR_IO, "%s: the disk is full, or fails", folder);
    case ENOENT:
        return plx_fail(PLX_ERROR_INPUT, "%s: there is no store", folder);
    case MDB_READERS_FULL:
        return plx_fail(PLX_ERROR_IO, "%s: too many readers at once", folder);
    case MDB_VERSION_MISMATCH:
        return plx_fail(PLX_ERROR_SUPPORT, "%s: made by another version of LMDB", folder);
    case MDB_INVALID:
        return plx_fail(PLX_ERROR_INPUT, "%s: data.mdb is no LMDB file", folder);
    case MDB_TXN_FULL:
    case ENOMEM:
        return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory: too much in one transaction", folder);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_BAD_TXN:
        return plx_fail(PLX_ERROR_INPUT, "%s: is damaged: %s", folder, mdb_strerror(code));
    default:
        return plx_fail(PLX_ERROR_IO, "%s: %s", folder, mdb_strerror(code));
    }
}

static char *file_in(const plx_latents *latents, const char *name) { /* malloc'ed; NULL without memory */
    char *file;
    return asprintf(&file, "%s/%s", latents->folder, name) < 0 ? NULL : file;
}

static int check_lmdb(const plx_latents *latents, int code) {
    return code ? fail_lmdb(latents, code) : PLX_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

plx_latents_options plx_latents_options_default(void) {
    return (plx_latents_options){.write = false, .map = (uint64_t)16 << 40};
}

/* LMDB must not open a database twice in a process: closing one would release the other's locks. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static plx_latents *open_stores;

static int register_store(plx_latents *latents) {
    struct stat info;
    if (stat(latents->folder, &info))
        return plx_fail(PLX_ERROR_IO, "%s: %s", latents->folder, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return plx_fail(PLX_ERROR_INPUT, "%s: is not a folder", latents->folder);
    pthread_mutex_lock(&open_lock);
    bool twice = false;
    for (plx_latents *l = open_stores; l; l = l->next)
        twice |= l->device == info.st_dev && l->inode == info.st_ino;
    if (!twice) {
        latents->device = info.st_dev;
        latents->inode = info.st_ino;
        latents->next = open_stores;
        open_stores = latents;
    }
    pthread_mutex_unlock(&open_lock);
    return twice ? plx_fail(PLX_ERROR_INPUT, "%s: is open in this process already", latents->folder) : PLX_OK;
}

static void unregister_store(plx_latents *latents) {
    pthread_mutex_lock(&open_lock);
    for (plx_latents **at = &open_stores; *at; at = &(*at)->next)
        if (*at == latents) {
            *at = latents->next;
            break;
        }
    pthread_mutex_unlock(&open_lock);
}

/* The file must reach as far as its pages: beyond its end a mapping is a bus error. plx_transaction_commit sees to it that
 * it always does. */
static int check_length(plx_latents *latents) {
    MDB_envinfo info;
    MDB_stat pages;
    mdb_filehandle_t file;
    struct stat status;
    if (mdb_env_info(latents->env, &info) || mdb_env_stat(latents->env, &pages) ||
        mdb_env_get_fd(latents->env, &file) || fstat(file, &status))
        return plx_fail(PLX_ERROR_IO, "%s: cannot be examined", latents->folder);
    uint64_t needed = ((uint64_t)info.me_last_pgno + 1) * pages.ms_psize;
    if ((uint64_t)status.st_size >= needed) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "%s: data.mdb is cut short: %llu bytes of %llu", latents->folder,
                    (unsigned long long)status.st_size, (unsigned long long)needed);
}

enum { READERS = 1024, LOCK_BYTES = 72 << 10 /* LMDB's lock.mdb for so many: 64 bytes each, and a head */ };

/* LMDB writes into lock.mdb by a map, and makes it with holes: on a full disk that is a bus error. Blocks are reserved for it
 * here, or there is an error. Its size stays LMDB's. */
static int reserve_lock(const plx_latents *latents) {
    char *file = file_in(latents, "lock.mdb");
    int lock = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
    bool full = lock >= 0 && fallocate(lock, FALLOC_FL_KEEP_SIZE, 0, LOCK_BYTES) &&
                (errno == ENOSPC || errno == EDQUOT);
    if (lock >= 0) close(lock);
    free(file);
    return full ? fail_lmdb(latents, EIO) : PLX_OK; /* what else there may be, LMDB will say */
}

static bool data_is_there(const plx_latents *latents) {
    struct stat info;
    char *file = file_in(latents, "data.mdb");
    bool there = !file || (stat(file, &info) == 0 && info.st_size); /* or a writer died at once */
    free(file);
    return there;
}

/* With as many addresses as the system gives. */
static int open_environment(plx_latents *latents, uint64_t map) {
    if (!latents->write && !data_is_there(latents))
        return plx_fail(PLX_ERROR_INPUT, "%s: there is no store", latents->folder);
    const unsigned flags = MDB_NOTLS | (latents->write ? 0 : MDB_RDONLY);
    int code = reserve_lock(latents);
    if (code) return code;
    do {
        code = mdb_env_create(&latents->env);
        if (!code) code = mdb_env_set_maxdbs(latents->env, PLX_TABLES);
        if (!code) code = mdb_env_set_maxreaders(latents->env, READERS);
        if (!code) code = mdb_env_set_mapsize(latents->env, map);
        if (!code) code = mdb_env_open(latents->env, latents->folder, flags, 0666);
        if (!code) break;
        mdb_env_close(latents->env);
        latents->env = NULL;
        map /= 2;
    } while (code == ENOMEM && map >= (uint64_t)1 << 30);
    return check_lmdb(latents, code);
}

/* Compares the format that the store names with ours; an empty database gets ours if it may be written. */
static int check_format(plx_latents *latents, MDB_txn *txn) {
    MDB_val key = {6, "format"}, value;
    MDB_stat entries;
    mdb_stat(txn, 1, &entries); /* 1: the table of tables */
    int code = mdb_dbi_open(txn, table_names[PLX_TABLE_STORE], 0, &latents->table[PLX_TABLE_STORE]);
    if (!code) code = mdb_get(txn, latents->table[PLX_TABLE_STORE], &key, &value);
    if (code && code != MDB_NOTFOUND && code != MDB_INCOMPATIBLE) return fail_lmdb(latents, code);
    if (code && (!latents->write || entries.ms_entries))
        return plx_fail(PLX_ERROR_INPUT, "%s: a database, but not of latents", latents->folder);
    if (!code &&
        (value.mv_size != strlen(STORE_FORMAT) || memcmp(value.mv_data, STORE_FORMAT, value.mv_size)))
        return plx_fail(PLX_ERROR_SUPPORT, "%s: is '%.*s'; this program reads '%s'", latents->folder,
                        value.mv_size > 60 ? 60 : (int)value.mv_size, (const char *)value.mv_data,
                        STORE_FORMAT);
    for (int i = 0; i < PLX_TABLES; i++) {
        int status =
            check_lmdb(latents, mdb_dbi_open(txn, table_names[i], code ? MDB_CREATE : 0, &latents->table[i]));
        if (status) return status;
    }
    value = (MDB_val){strlen(STORE_FORMAT), STORE_FORMAT};
    return code ? check_lmdb(latents, mdb_put(txn, latents->table[PLX_TABLE_STORE], &key, &value, 0))
                : PLX_OK;
}

static int open_tables(plx_latents *latents) {
    MDB_txn *txn;
    int status =
        check_lmdb(latents, mdb_txn_begin(latents->env, NULL, latents->write ? 0 : MDB_RDONLY, &txn));
    if (status) return status;
    status = check_format(latents, txn);
    if (!status) return check_lmdb(latents, mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return status;
}

/* Whether nothing was ever put into it. In a transaction that writes, so that nobody puts anything meanwhile. */
static bool holds_nothing(const plx_latents *latents, MDB_txn *txn) {
    MDB_stat tables, objects;
    if (mdb_stat(txn, 1, &tables)) return false;
    return !tables.ms_entries ||
           (!mdb_stat(txn, latents->table[PLX_TABLE_OBJECTS], &objects) && !objects.ms_entries);
}

/* Takes away what this opening has made, unless another process uses it: LMDB's have a lock on the first byte. */
static void remove_made(const plx_latents *latents) {
    struct flock alone = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    char *data = file_in(latents, "data.mdb"), *lock = file_in(latents, "lock.mdb");
    MDB_txn *txn = NULL;
    int file = data && lock ? open(lock, O_RDWR | O_CLOEXEC) : -1;
    bool unused =
        !latents->env || (!mdb_txn_begin(latents->env, NULL, 0, &txn) && holds_nothing(latents, txn));
    if (unused && file >= 0 && !fcntl(file, F_SETLK, &alone)) {
        unlink(data);
        unlink(lock);
    }
    if (latents->made_folder) rmdir(latents->folder); /* if it is empty */
    if (txn) mdb_txn_abort(txn);
    if (file >= 0) close(file);
    free(data);
    free(lock);
}

int plx_latents_open(plx_latents **out, const char *folder, const plx_latents_options *options) {
    *out = NULL;
    plx_latents *latents = calloc(1, sizeof *latents);
    if (latents) latents->folder = strdup(folder);
    if (!latents || !latents->folder) {
        free(latents);
        return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    }
    latents->write = options->write;
    latents->made_folder = options->write && access(folder, F_OK);
    int status = latents->made_folder ? plx_make_directories(folder) : PLX_OK, dead;
    if (!status) status = register_store(latents);
    latents->made = !status && options->write && !data_is_there(latents);
    if (!status) status = open_environment(latents, options->map);
    if (!status) status = check_length(latents);
    if (!status) status = open_tables(latents);
    if (status) {
        plx_latents_free(latents);
        return status;
    }
    mdb_reader_check(latents->env, &dead); /* of processes that were killed */
    *out = latents;
    return PLX_OK;
}

void plx_latents_free(plx_latents *latents) {
    if (!latents) return;
    if (latents->made) remove_made(latents);
    if (latents->env) mdb_env_close(latents->env);
    unregister_store(latents);
    free(latents->folder);
    free(latents);
}

/* ---- transactions -------------------------------------------------------------------------------------- */

int plx_transaction_begin(plx_transaction **out, plx_latents *latents, bool write) {
    int dead;
    *out = NULL;
    if (write && !latents->write)
        return plx_fail(PLX_ERROR_INPUT, "%s: was opened only to be read", latents->folder);
    PLX_CHECK(!(write && latents->writing && pthread_equal(latents->writer, pthread_self())),
              "a thread that writes begins to write again: it would wait for itself");
    plx_transaction *t = calloc(1, sizeof *t);
    if (!t) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", latents->folder);
    t->latents = latents;
    t->write = write;
    if (write) mdb_reader_check(latents->env, &dead); /* or the pages that killed readers saw stay taken */
    int status = check_lmdb(latents, mdb_txn_begin(latents->env, NULL, write ? 0 : MDB_RDONLY, &t->txn));
    if (status) {
        free(t);
        return status;
    }
    if (write) latents->writing = true, latents->writer = pthread_self();
    *out = t;
    return PLX_OK;
}

void plx_transaction_free(plx_transaction *t) {
    if (!t) return;
    if (t->write) t->latents->writing = false;
    if (t->txn) mdb_txn_abort(t->txn);
    free(t);
}

enum { MARGIN = 1 << 20 }; /* bytes: the list of free pages */

/* Makes the file, sparse, at least as long as the pages after this transaction can need (LMDB does not write pages that
 * were taken and given back within it). */
static int lengthen(plx_transaction *t) {
    MDB_envinfo info;
    MDB_stat pages;
    mdb_filehandle_t file;
    struct stat status;
    if (mdb_env_info(t->latents->env, &info) || mdb_env_stat(t->latents->env, &pages) ||
        mdb_env_get_fd(t->latents->env, &file) || fstat(file, &status))
        return plx_fail(PLX_ERROR_IO, "%s: cannot be examined", t->latents->folder);
    off_t needed = (off_t)((info.me_last_pgno + 1) * pages.ms_psize + t->growth + MARGIN);
    if (status.st_size < needed && ftruncate(file, needed))
        return plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", t->latents->folder, strerror(errno));
    return PLX_OK;
}

/* LMDB gives the pages that a commit left not to the next one, but to the one after that. On a full disk there would be no
 * next one: this, of a page or two, is it. What becomes of it does not matter. */
static void pass_on(plx_latents *latents) {
    MDB_txn *txn;
    MDB_val key = {6, "format"}, value = {strlen(STORE_FORMAT), STORE_FORMAT};
    if (mdb_txn_begin(latents->env, NULL, 0, &txn)) return;
    if (mdb_put(txn, latents->table[PLX_TABLE_STORE], &key, &value, 0))
        mdb_txn_abort(txn);
    else
        mdb_txn_commit(txn);
}

int plx_transaction_commit(plx_transaction *t) {
    int status = PLX_OK;
    if (t->failed)
        status = plx_fail(PLX_ERROR_INPUT, "%s: nothing was written, because of an earlier failure",
                          t->latents->folder);
    else if (t->write && t->growth)
        status = lengthen(t);
    if (!status) {
        int code = mdb_txn_commit(t->txn);
        t->txn = NULL; /* freed, whatever came of it */
        status = check_lmdb(t->latents, code);
        if (!status && t->write) t->latents->made = false;
        if (!status && t->erased) pass_on(t->latents);
    }
    plx_transaction_free(t);
    return status;
}

const char *plx_transaction_folder(const plx_transaction *t) {
    return t->latents->folder;
}

bool plx_transaction_writes(const plx_transaction *t) {
    return t->write;
}

void plx_transaction_spoil(plx_transaction *t) {
    t->failed = true;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

/* Bytes of pages that a change of one entry copies, at most: a leaf and its branches. */
enum { LEAF = 64 << 10 };

const char *plx_table_name(int table) {
    return table_names[table];
}

static MDB_val value_of(plx_bytes bytes) {
    return (MDB_val){bytes.size, (void *)bytes.data};
}

static plx_bytes bytes_of(MDB_val value) {
    return (plx_bytes){value.mv_data, value.mv_size};
}

int plx_table_get(plx_bytes *out, plx_transaction *t, int table, plx_bytes key) {
    MDB_val place = value_of(key), value;
    *out = (plx_bytes){NULL, 0};
    int code = mdb_get(t->txn, t->latents->table[table], &place, &value);
    if (!code) *out = bytes_of(value);
    return check_lmdb(t->latents, code == MDB_NOTFOUND ? 0 : code);
}

int plx_table_reserve(void **out, plx_transaction *t, int table, plx_bytes key, size_t size) {
    MDB_val place = value_of(key), value = {size, NULL};
    int code = mdb_put(t->txn, t->latents->table[table], &place, &value, MDB_RESERVE);
    t->growth += size + LEAF;
    *out = value.mv_data;
    return check_lmdb(t->latents, code);
}

int plx_table_erase(plx_transaction *t, int table, plx_bytes key) {
    MDB_val place = value_of(key);
    int code = mdb_del(t->txn, t->latents->table[table], &place, NULL);
    t->growth += LEAF;
    t->erased |= !code;
    return check_lmdb(t->latents, code == MDB_NOTFOUND ? 0 : code);
}

int plx_table_walk(plx_transaction *t, int table, plx_bytes from, plx_table_fn visit, void *user) {
    MDB_cursor *cursor;
    MDB_val key = value_of(from), value;
    int answer = PLX_WALK_ON, code = mdb_cursor_open(t->txn, t->latents->table[table], &cursor);
    if (code) return fail_lmdb(t->latents, code);
    code = mdb_cursor_get(cursor, &key, &value, from.size ? MDB_SET_RANGE : MDB_FIRST);
    while (!code) {
        answer = visit(bytes_of(key), bytes_of(value), user);
        if (answer == PLX_WALK_END || answer < 0) break;
        if (answer == PLX_WALK_ERASE) {
            t->growth += LEAF;
            code = mdb_cursor_del(cursor, 0);
            t->erased |= !code;
            if (code) break;
        }
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (answer < 0) return answer;
    return check_lmdb(t->latents, code == MDB_NOTFOUND ? 0 : code);
}

/* ---- the whole store ----------------------------------------------------------------------------------- */

/* Pages on LMDB's list of free pages: table 0, each value a count and the pages. */
static int count_free(int64_t *pages, plx_transaction *t) {
    MDB_cursor *cursor;
    MDB_val key, value;
    *pages = 0;
    int code = mdb_cursor_open(t->txn, 0, &cursor);
    if (code) return fail_lmdb(t->latents, code);
    while (!(code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof count);
        *pages += (int64_t)count;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? PLX_OK : fail_lmdb(t->latents, code);
}

static int count_readers(const char *line, void *user) {
    line += strspn(line, " ");
    *(int *)user += *line >= '0' && *line <= '9'; /* a line a reader, under one of titles */
    return 0;
}

int plx_latents_describe(plx_latents_info *out, plx_latents *latents) {
    plx_transaction *t;
    MDB_envinfo info;
    MDB_stat stat;
    int64_t pages;
    *out = (plx_latents_info){0};
    mdb_reader_list(latents->env, count_readers, &out->readers);
    int status = plx_transaction_begin(&t, latents, false);
    if (status) return status;
    mdb_env_info(latents->env, &info);
    status = check_lmdb(latents, mdb_stat(t->txn, latents->table[PLX_TABLE_OBJECTS], &stat));
    out->objects = (int64_t)stat.ms_entries;
    if (!status) status = check_lmdb(latents, mdb_stat(t->txn, latents->table[PLX_TABLE_DECODERS], &stat));
    out->decoders = (int64_t)stat.ms_entries;
    if (!status) status = count_free(&pages, t);
    if (!status) {
        out->free = pages * (int64_t)stat.ms_psize;
        out->used = ((int64_t)info.me_last_pgno + 1) * (int64_t)stat.ms_psize - out->free;
        out->map = (int64_t)info.me_mapsize;
    }
    plx_transaction_free(t);
    return status;
}

int plx_latents_copy(plx_latents *latents, const char *folder) {
    if (!access(folder, F_OK)) return plx_fail(PLX_ERROR_INPUT, "%s: is there already", folder);
    char *beside = NULL, *file = NULL;
    if (asprintf(&beside, "%s.part", folder) < 0 || asprintf(&file, "%s/data.mdb", beside) < 0) {
        free(beside);
        return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    }
    int status = plx_make_directories(beside);
    if (!status && !access(file, F_OK)) unlink(file); /* of a copy that was stopped */
    if (!status) {
        int code = mdb_env_copy2(latents->env, beside, MDB_CP_COMPACT);
        if (!code && rename(beside, folder)) code = errno;
        if (code) {
            status = plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", folder, mdb_strerror(code));
            unlink(file);
            rmdir(beside);
        }
    }
    free(beside);
    free(file);
    return status;
}
