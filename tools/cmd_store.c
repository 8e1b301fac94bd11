/* parallax store ls|info|get|rm|export|verify|gc: the triplane latent store; put and import: cmd_store_put.c. */
#include "tools/output.h"
#include "tools/store_session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct store_values {
    const char *output, *thumbnail, *class_name, *sheet, *copy;
    int shard, shards;
} store_values;

#define AT(member) offsetof(store_values, member)

static const plx_option no_options[] = {{.type = PLX_OPTION_END}};

#define SHARDS                                                                                    \
    {PLX_OPTION_INT,                                                                              \
     "shards",                                                                                    \
     0,                                                                                           \
     AT(shards),                                                                                  \
     "1",                                                                                         \
     1,                                                                                           \
     1e6,                                                                                         \
     .help = "cut the store into so many parts, by the ids' hashes"},                             \
    {                                                                                             \
        PLX_OPTION_INT, "shard", 0, AT(shard), "0", 0, 1e6, .help = "take only this part, from 0" \
    }

/* ---- what all do ------------------------------------------------------------------------------------------------ */

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The given objects, which must be there, or those of the shard, sorted; free(*ids). */
static int chosen_ids(const char ***ids, int64_t *count, plx_store_session *s, const plx_run *run,
                      int first) {
    const store_values *v = run->values;
    int shards = v && v->shards ? v->shards : 1, shard = v ? v->shard : 0;
    if (shard >= shards)
        return plx_fail(PLX_ERROR_USAGE, "store: there is no --shard %d of %d", shard, shards);
    if (run->count <= first) {
        int status = plx_latents_ids(ids, count, s->t, shard, shards);
        if (!status && *count) qsort(*ids, (size_t)*count, sizeof **ids, compare_texts);
        return status;
    }
    *count = run->count - first;
    *ids = malloc((size_t)*count * sizeof **ids);
    if (!*ids) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int64_t i = 0; i < *count; i++) {
        (*ids)[i] = run->arguments[first + i];
        if (!plx_latent_exists(s->t, (*ids)[i]))
            return plx_fail(PLX_ERROR_INPUT, "%s: %s: there is no such object", run->arguments[0], (*ids)[i]);
    }
    return PLX_OK;
}

/* ---- ls, info --------------------------------------------------------------------------------------------------- */

/* A text from a file may hold anything: on one line, without what would separate columns or steer a terminal. */
static void print_text(const char *text, size_t length, const char *then) {
    for (size_t i = 0; i < length; i++)
        putchar((unsigned char)text[i] < 32 || text[i] == 127 ? '?' : text[i]);
    printf("%s", then);
}

static void print_planes(const plx_latent *l) {
    printf("%s", plx_latent_type_name(l->type));
    for (int i = 0; i < l->planes; i++)
        printf(" %s %dx%dx%d", l->plane[i].name, l->plane[i].rows, l->plane[i].columns, l->plane[i].channels);
}

static int thumbnail_of(plx_image *out, const plx_latent *l) {
    int status = plx_image_create(out, l->thumbnail_height, l->thumbnail_width, 4);
    for (int k = 0; k < 4 * l->thumbnail_height * l->thumbnail_width && !status; k++)
        out->data[k] = (float)l->thumbnail[k] / 255;
    return status;
}

/* Thumbnails side by side in a square, each in the middle of a cell as large as the largest. */
static int save_sheet(const char *path, plx_store_session *s, const char **ids, int64_t count) {
    enum { MOST = 1024 };
    int cell = 1, columns = 1, status = PLX_OK;
    int64_t shown = count < MOST ? count : MOST;
    plx_image sheet = {0};
    plx_latent l;
    for (int64_t i = 0; i < shown && !status; i++) {
        status = plx_latent_get(&l, s->t, ids[i]);
        int side = l.thumbnail_height > l.thumbnail_width ? l.thumbnail_height : l.thumbnail_width;
        if (!status && side > cell) cell = side;
    }
    while ((int64_t)columns * columns < shown) columns++;
    int rows = (int)((shown + columns - 1) / columns);
    if (!status) status = plx_image_create(&sheet, (rows ? rows : 1) * cell, columns * cell, 4);
    for (int64_t i = 0; i < shown && !status; i++) {
        plx_image thumbnail;
        status = plx_latent_get(&l, s->t, ids[i]);
        if (status || !l.thumbnail) continue;
        status = thumbnail_of(&thumbnail, &l);
        if (status) break;
        plx_image_paste(&sheet, &thumbnail, (int)(i / columns) * cell + (cell - l.thumbnail_height) / 2,
                        (int)(i % columns) * cell + (cell - l.thumbnail_width) / 2);
        plx_image_free(&thumbnail);
    }
    if (!status) status = plx_png_save(path, &sheet);
    plx_image_free(&sheet);
    return status;
}

static int run_ls(const plx_run *run) {
    const store_values *v = run->values;
    plx_store_session s = {NULL, NULL};
    const char **ids = NULL;
    int64_t count = 0, kept = 0;
    int status = plx_store_begin(&s, run->arguments[0], false, false);
    if (!status) status = chosen_ids(&ids, &count, &s, run, 1);
    for (int64_t i = 0; i < count && !status; i++) {
        plx_latent l;
        status = plx_latent_get(&l, s.t, ids[i]);
        if (status || (v->class_name && strcmp(v->class_name, l.class_name))) continue;
        ids[kept++] = ids[i];
        printf("%s\t%s", l.id, *l.class_name ? "" : "-");
        print_text(l.class_name, strlen(l.class_name), "\t");
        print_planes(&l);
        printf("%s\t", l.state_numbers ? " +state" : "");
        print_text(l.source, strlen(l.source), "\n");
    }
    if (!status && v->sheet) status = save_sheet(v->sheet, &s, ids, kept);
    free(ids);
    return plx_store_end(&s, status);
}

static int print_store(plx_store_session *s, const char *folder) {
    plx_latents_info info;
    int status = plx_latents_describe(&info, s->latents);
    if (status) return status;
    printf("%s: latent store, %lld objects, %lld decoders\n", folder, (long long)info.objects,
           (long long)info.decoders);
    printf("%.1f MB used, %.1f MB free for the next, room for %.0f GB; %d other readers\n",
           1e-6 * (double)info.used, 1e-6 * (double)info.free, 1e-9 * (double)info.map,
           info.readers - (s->t != NULL));
    return PLX_OK;
}

static int print_object(plx_store_session *s, const char *id) {
    plx_latent l;
    char when[32];
    int status = plx_latent_get(&l, s->t, id);
    if (status) return status;
    time_t written = (time_t)l.written;
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", gmtime_r(&written, &utc));
    printf("%s: ", id);
    print_planes(&l);
    printf(", %zu numbers\nclass     ", plx_latent_numbers(&l));
    print_text(l.class_name, strlen(l.class_name), "\nsource    ");
    print_text(l.source, strlen(l.source), "\nwritten   ");
    printf("%s UTC\ndecoder   ", when);
    for (int i = 0; i < 16 && l.decoder_numbers; i++) printf("%02x", l.decoder_hash[i]);
    if (l.decoder_numbers) printf(", %zu numbers %s", l.decoder_numbers, l.decoder_layout);
    printf("%s\nthumbnail ", l.decoder_numbers ? "" : "none");
    if (l.thumbnail_height) printf("%dx%d", l.thumbnail_width, l.thumbnail_height);
    printf("%s\nstate     ", l.thumbnail_height ? "" : "none");
    if (l.state_numbers) printf("%zu numbers, %lld steps", l.state_numbers, (long long)l.steps);
    printf("%s\n", l.state_numbers ? "" : "none");
    printf("rules     %s\nhistory\n", l.rules);
    for (const char *line = l.history; *line;) {
        size_t length = strcspn(line, "\n");
        printf("  ");
        print_text(line, length, "\n");
        line += length + (line[length] == '\n');
    }
    return PLX_OK;
}

static int run_store_info(const plx_run *run) {
    plx_store_session s = {NULL, NULL};
    int status = plx_store_begin(&s, run->arguments[0], false, false);
    if (!status && run->count == 1) status = print_store(&s, run->arguments[0]);
    for (int i = 1; i < run->count && !status; i++) status = print_object(&s, run->arguments[i]);
    return plx_store_end(&s, status);
}

/* ---- get, export ------------------------------------------------------------------------------------------------ */

static int save_thumbnail(plx_store_session *s, const char *id, const char *path, bool needed) {
    plx_latent l;
    plx_image image;
    int status = plx_latent_get(&l, s->t, id);
    if (!status && !l.thumbnail)
        return needed ? plx_fail(PLX_ERROR_INPUT, "%s: has no thumbnail", id) : PLX_OK;
    if (!status) status = thumbnail_of(&image, &l);
    if (status) return status;
    status = plx_png_save(path, &image);
    plx_image_free(&image);
    return status;
}

static int run_get(const plx_run *run) {
    const store_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "store get: --output FILE is needed");
    plx_store_session s = {NULL, NULL};
    int status = plx_store_begin(&s, run->arguments[0], false, false);
    if (!status) status = plx_latent_check(s.t, run->arguments[1]);
    if (!status) status = plx_latent_get_file(s.t, run->arguments[1], v->output);
    if (!status && v->thumbnail) status = save_thumbnail(&s, run->arguments[1], v->thumbnail, true);
    return plx_store_end(&s, status);
}

static int export_one(plx_store_session *s, const char *folder, const char *id) {
    char name[PLX_LATENT_ID + 16], file[PLX_OUTPUT_PATH];
    snprintf(name, sizeof name, "%s.safetensors", id);
    int status = plx_latent_check(s->t, id);
    if (!status) status = plx_output_join(file, folder, name);
    if (!status) status = plx_latent_get_file(s->t, id, file);
    snprintf(name, sizeof name, "%s.png", id);
    if (!status) status = plx_output_join(file, folder, name);
    return status ? status : save_thumbnail(s, id, file, false);
}

static int run_export(const plx_run *run) {
    plx_store_session s = {NULL, NULL};
    plx_output output = {.made = false};
    const char **ids = NULL;
    int64_t count = 0;
    int status = plx_store_begin(&s, run->arguments[0], false, false);
    if (!status) status = chosen_ids(&ids, &count, &s, run, 2);
    if (!status) status = plx_output_open(&output, run->arguments[1]);
    for (int64_t i = 0; i < count && !status; i++) {
        status = export_one(&s, output.temporary, ids[i]);
        if (!status) status = plx_store_progress("export", i + 1, count);
    }
    free(ids);
    status = plx_store_end(&s, status);
    plx_progress_end();
    if (!status) status = plx_output_commit(&output);
    plx_output_close(&output);
    if (!status) printf("%s: %lld scenes\n", run->arguments[1], (long long)count);
    return status;
}

/* ---- rm, verify, gc --------------------------------------------------------------------------------------------- */

static int run_rm(const plx_run *run) {
    plx_store_session s = {NULL, NULL};
    int status = plx_store_begin(&s, run->arguments[0], true, false);
    for (int i = 1; i < run->count && !status; i++) status = plx_latent_remove(s.t, run->arguments[i]);
    return plx_store_end(&s, status);
}

static int run_verify(const plx_run *run) {
    plx_store_session s = {NULL, NULL};
    const char **ids = NULL;
    int64_t count = 0, damaged = 0;
    int status = plx_store_begin(&s, run->arguments[0], false, false);
    if (!status) status = chosen_ids(&ids, &count, &s, run, 1);
    for (int64_t i = 0; i < count && !status; i++) {
        if (plx_latent_check(s.t, ids[i])) {
            plx_progress_end();
            printf("%s\n", plx_error());
            damaged++;
        }
        status = plx_store_progress("verify", i + 1, count);
    }
    if (!status && damaged)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %lld of %lld objects are damaged", run->arguments[0],
                          (long long)damaged, (long long)count);
    free(ids);
    status = plx_store_end(&s, status);
    plx_progress_end();
    if (!status) printf("%s: %lld objects, all whole\n", run->arguments[0], (long long)count);
    return status;
}

static int run_gc(const plx_run *run) {
    const store_values *v = run->values;
    plx_store_session s = {NULL, NULL};
    int64_t removed = 0;
    int status = plx_store_begin(&s, run->arguments[0], true, false);
    if (!status) status = plx_latents_collect(s.t, &removed);
    if (!status) {
        status = plx_transaction_commit(s.t);
        s.t = NULL;
    }
    if (!status && v->copy) status = plx_latents_copy(s.latents, v->copy);
    if (!status) printf("%lld decoders removed\n", (long long)removed);
    if (!status) status = print_store(&s, run->arguments[0]);
    return plx_store_end(&s, status);
}

/* ---- the commands ----------------------------------------------------------------------------------------------- */

static const plx_option ls_options[] = {
    {PLX_OPTION_TEXT, "class", 0, AT(class_name), NULL, .word = "NAME", .help = "only objects of this class"},
    {PLX_OPTION_TEXT, "sheet", 0, AT(sheet), NULL, .word = "FILE",
     .help = "a PNG of the thumbnails, in the same order"},
    SHARDS,
    {.type = PLX_OPTION_END}};

static const plx_option get_options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "FILE", .help = "the scene (safetensors)"},
    {PLX_OPTION_TEXT, "thumbnail", 0, AT(thumbnail), NULL, .word = "FILE", .help = "the thumbnail (PNG)"},
    {.type = PLX_OPTION_END}};

static const plx_option export_options[] = {SHARDS, {.type = PLX_OPTION_END}};

static const plx_option gc_options[] = {{PLX_OPTION_TEXT, "copy", 0, AT(copy), NULL, .word = "FOLDER",
                                         .help = "write a compact copy; the store's own file never shrinks"},
                                        {.type = PLX_OPTION_END}};

#define COMMAND(word, args, least, most, table, text)                              \
    const plx_command plx_cmd_store_##word = {.name = "store " #word,              \
                                              .arguments = args,                   \
                                              .summary = text,                     \
                                              .min_arguments = least,              \
                                              .max_arguments = most,               \
                                              .options = table,                    \
                                              .values_size = sizeof(store_values), \
                                              .run = run_##word}

#define run_info run_store_info
COMMAND(ls, "STORE [ID...]", 1, -1, ls_options, "the objects of a latent store");
COMMAND(info, "STORE [ID...]", 1, -1, no_options, "a latent store, or objects with their history");
COMMAND(get, "STORE ID", 2, 2, get_options, "an object as a scene file");
COMMAND(rm, "STORE ID...", 2, -1, no_options, "remove objects: all or none");
COMMAND(export, "STORE FOLDER [ID...]", 2, -1, export_options, "objects as scene files and thumbnails");
COMMAND(verify, "STORE [ID...]", 1, -1, export_options, "read all and compare the checksums");
COMMAND(gc, "STORE", 1, 1, gc_options, "remove decoders that no object has");
