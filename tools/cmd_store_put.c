/* parallax store put|import: scene files into a latent store. */
#define _GNU_SOURCE /* asprintf */
#include "tools/keep.h"
#include "tools/store_session.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct store_values {
    const char *id, *class_name, *source;
    int as;
} store_values;

#define AT(member) offsetof(store_values, member)

enum { BATCH = 64 /* objects a transaction, where there are many */ };

#define AS                                                                                                \
    {                                                                                                     \
        PLX_OPTION_CHOICE, "as", 0, AT(as), "same",                                                       \
            .word = "same|f32|f16|q8",                                                                    \
            .help =                                                                                       \
                "how planes are kept: as in the file, as floats, halves, or 8 bits and a scale a channel" \
    }

static const plx_option put_options[] = {{PLX_OPTION_TEXT, "id", 0, AT(id), NULL, .word = "ID",
                                          .help = "(default: the file's name without its ending)"},
                                         AS,
                                         {PLX_OPTION_TEXT, "class", 0, AT(class_name), NULL, .word = "NAME",
                                          .help = "of the object (default: as it was)"},
                                         {PLX_OPTION_TEXT, "source", 0, AT(source), NULL, .word = "TEXT",
                                          .help = "where it comes from (default: as it was)"},
                                         {.type = PLX_OPTION_END}};

static const plx_option import_options[] = {AS, {.type = PLX_OPTION_END}};

/* The file's name without folder and ending. */
static int stem(char out[PLX_LATENT_ID + 1], const char *path) {
    const char *name = plx_path_last(path), *dot = strrchr(name, '.');
    size_t length = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    if (length > PLX_LATENT_ID) return plx_fail(PLX_ERROR_INPUT, "%s: its name is too long for an id", path);
    snprintf(out, PLX_LATENT_ID + 1, "%.*s", (int)length, name);
    return PLX_OK;
}

static int compare_files(const void *a, const void *b) {
    char id[2][PLX_LATENT_ID + 1] = {"", ""};
    stem(id[0], *(char *const *)a);
    stem(id[1], *(char *const *)b);
    return strcmp(id[0], id[1]);
}

/* Two files of one id: the second would take the first's place. */
static int check_ids(char *const *files, int64_t count) {
    char id[PLX_LATENT_ID + 1];
    char **sorted = malloc((size_t)count * sizeof *sorted);
    int status = sorted ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int64_t i = 0; i < count && !status; i++) status = stem(id, sorted[i] = files[i]);
    if (!status) qsort(sorted, (size_t)count, sizeof *sorted, compare_files);
    for (int64_t i = 0; i + 1 < count && !status; i++)
        if (!compare_files(&sorted[i], &sorted[i + 1]))
            status = plx_fail(PLX_ERROR_INPUT, "%s: has the id of %s", sorted[i], sorted[i + 1]);
    free(sorted);
    return status;
}

/* A store is not made for files that it would refuse. */
static int check_before_making(const char *folder, char *const *files, int64_t count) {
    int status = PLX_OK;
    for (int64_t i = 0; i < count && !status && access(folder, F_OK); i++) {
        plx_field *field;
        status = plx_field_load(&field, files[i], false);
        plx_field_free(field);
    }
    return status;
}

/* Files into the store, `batch` a transaction; 0: all in one. */
static int put_files(const plx_run *run, const char *folder, char *const *files, int64_t count,
                     int64_t batch) {
    const store_values *v = run->values;
    plx_store_session s = {NULL, NULL};
    plx_latent_note note = plx_latent_note_default();
    char id[PLX_LATENT_ID + 1], *what = plx_keep_what(run);
    note.as = v->as - 1; /* "same" is -1 */
    note.class_name = v->class_name;
    note.source = v->source;
    note.what = what;
    int64_t replaced = 0;
    int status = check_ids(files, count);
    if (!status) status = check_before_making(folder, files, count);
    if (!status) status = plx_store_begin(&s, folder, true, true);
    for (int64_t i = 0; i < count && !status; i++) {
        status = stem(id, v->id ? "" : files[i]);
        const char *name = v->id ? v->id : id;
        replaced += plx_latent_exists(s.t, name);
        if (!status) status = plx_latent_put_file(s.t, name, files[i], &note);
        if (!status && batch && (i + 1) % batch == 0 && i + 1 < count) {
            status = plx_transaction_commit(s.t);
            s.t = NULL;
            if (!status) status = plx_transaction_begin(&s.t, s.latents, true);
        }
        if (!status) status = plx_store_progress("put", i + 1, count);
    }
    free(what);
    status = plx_store_end(&s, status);
    plx_progress_end();
    if (!status && replaced)
        printf("%s: %lld put, %lld of them in place of older ones\n", folder, (long long)count,
               (long long)replaced);
    else if (!status)
        printf("%s: %lld put\n", folder, (long long)count);
    return status;
}

static int run_put(const plx_run *run) {
    const store_values *v = run->values;
    if (v->id && run->count > 2) return plx_fail(PLX_ERROR_USAGE, "store put: --id is for one file");
    return put_files(run, run->arguments[0], run->arguments + 1, run->count - 1, 0);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The folder's *.safetensors, sorted; *files and its strings are malloc'ed. */
static int list_scenes(char ***files, int64_t *count, const char *folder) {
    DIR *directory = opendir(folder);
    int status = directory ? PLX_OK : plx_fail(PLX_ERROR_IO, "%s: %s", folder, strerror(errno));
    *files = NULL;
    *count = 0;
    for (struct dirent *entry; !status && (entry = readdir(directory));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || dot == entry->d_name || strcmp(dot, ".safetensors")) continue;
        char **more = realloc(*files, (size_t)(*count + 1) * sizeof *more), *path;
        if (more) *files = more;
        if (!more || asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
        else
            more[(*count)++] = path;
    }
    if (directory) closedir(directory);
    if (!status && !*count) status = plx_fail(PLX_ERROR_INPUT, "%s: holds no scene (.safetensors)", folder);
    if (!status) qsort(*files, (size_t)*count, sizeof **files, compare_texts);
    return status;
}

static int run_import(const plx_run *run) {
    char **files;
    int64_t count;
    int status = list_scenes(&files, &count, run->arguments[1]);
    if (!status) status = put_files(run, run->arguments[0], files, count, BATCH);
    for (int64_t i = 0; i < count; i++) free(files[i]);
    free(files);
    return status;
}

const plx_command plx_cmd_store_put = {.name = "store put",
                                       .arguments = "STORE SCENE...",
                                       .summary =
                                           "scene files into a store, which is made if needed: all or none",
                                       .min_arguments = 2,
                                       .max_arguments = -1,
                                       .options = put_options,
                                       .values_size = sizeof(store_values),
                                       .run = run_put};

const plx_command plx_cmd_store_import = {.name = "store import",
                                          .arguments = "STORE FOLDER",
                                          .summary = "a folder's scene files into a store",
                                          .min_arguments = 2,
                                          .max_arguments = 2,
                                          .options = import_options,
                                          .values_size = sizeof(store_values),
                                          .run = run_import};
