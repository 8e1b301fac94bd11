#include "tools/evaluation_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/parallax.h"

enum { JOURNAL_MAX = 1 << 30, EXACT = 17 /* digits that give a double back */ };

/* ---- numbers: JSON has neither Infinity nor NaN ------------------------------------------------------------------- */

static json_t *to_json(double value) {
    return isfinite(value) ? json_real(value) : isnan(value) ? json_null() : json_string("inf");
}

static double from_json(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : json_is_string(value) ? INFINITY : NAN;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

/* The first setting that differs, or NULL. */
static const char *difference(const json_t *a, const json_t *b) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key,
                        value) if (!json_equal(value, json_object_get(b, key))) return key;
    return json_equal(a, b) ? NULL : "format";
}

static int key_of(char out[512], const json_t *entry) {
    const char *method = json_string_value(json_object_get(entry, "method"));
    const char *object = json_string_value(json_object_get(entry, "object"));
    if (!method || !object) return PLX_ERROR_INPUT;
    snprintf(out, 512, "%s %s", method, object);
    return PLX_OK;
}

/* text: lines; the first holds the settings. *whole: bytes up to the end of the last whole line. */
static int parse(const char *path, char *text, json_t **settings, json_t *entries, size_t *whole) {
    int number = 0;
    *whole = 0;
    for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1) {
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        char key[512];
        bool fine = json_is_object(line);
        if (fine && !number)
            *settings = json_incref(line);
        else if (fine && (fine = key_of(key, line) == PLX_OK))
            json_object_set(entries, key, line);
        json_decref(line);
        if (!fine) return plx_fail(PLX_ERROR_INPUT, "%s: line %d is damaged", path, number + 1);
        number++;
        *whole = (size_t)(end + 1 - text);
    }
    return PLX_OK;
}

static int read_all(const plx_eval_journal *journal, char **text, size_t *size) {
    struct stat info;
    const char *name = journal->path ? journal->path : "eval";
    if (fstat(journal->file, &info)) return plx_fail(PLX_ERROR_IO, "%s: %s", name, strerror(errno));
    if (info.st_size > JOURNAL_MAX) return plx_fail(PLX_ERROR_INPUT, "%s: larger than 1 GB", name);
    *size = (size_t)info.st_size;
    *text = malloc(*size + 1);
    if (!*text) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", name);
    size_t got = 0;
    while (got < *size) {
        ssize_t n = pread(journal->file, *text + got, *size - got, (off_t)got);
        if (n <= 0) break;
        got += (size_t)n;
    }
    (*text)[got] = 0;
    *size = got;
    return PLX_OK;
}

int plx_eval_journal_read(const plx_eval_journal *journal, json_t **entries) {
    char *text = NULL;
    size_t size, whole;
    json_t *settings = NULL;
    *entries = json_object();
    int status = read_all(journal, &text, &size);
    if (!status) status = parse(journal->path ? journal->path : "eval", text, &settings, *entries, &whole);
    free(text);
    json_decref(settings);
    if (!status) return PLX_OK;
    json_decref(*entries);
    *entries = NULL;
    return status;
}

bool plx_eval_journal_find(const json_t *entries, plx_eval_entry *entry) {
    char key[512];
    snprintf(key, sizeof key, "%s %s", entry->method, entry->object);
    const json_t *found = json_object_get(entries, key), *views = json_object_get(found, "views");
    if (!found || (int)json_array_size(views) != entry->count) return false;
    entry->seconds = from_json(json_object_get(found, "seconds"));
    for (int k = 0; k < entry->count; k++) {
        const json_t *view = json_array_get(views, (size_t)k);
        entry->samples[k].gap = from_json(json_object_get(view, "gap"));
        for (int m = 0; m < PLX_EVAL_METRICS; m++)
            entry->samples[k].values[m] = from_json(json_object_get(view, plx_eval_kinds[m].name));
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static int append(const plx_eval_journal *journal, json_t *line) {
    const char *name = journal->path ? journal->path : "eval";
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(EXACT)) : NULL;
    if (!text) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", name);
    size_t size = strlen(text);
    text[size++] = '\n'; /* in place of the 0 */
    ssize_t written = write(journal->file, text, size);
    int why = errno;
    free(text);
    if (written == (ssize_t)size) return PLX_OK;
    return plx_fail(PLX_ERROR_IO, "%s: cannot be written: %s", name,
                    written < 0 ? strerror(why) : "disk full?");
}

int plx_eval_journal_add(const plx_eval_journal *journal, const plx_eval_entry *entry) {
    json_t *views = json_array();
    for (int k = 0; k < entry->count; k++) {
        json_t *view = json_object();
        json_object_set_new(view, "gap", to_json(entry->samples[k].gap));
        for (int m = 0; m < PLX_EVAL_METRICS; m++) /* what is not there is read as NAN */
            if (!isnan(entry->samples[k].values[m]))
                json_object_set_new(view, plx_eval_kinds[m].name, to_json(entry->samples[k].values[m]));
        json_array_append_new(views, view);
    }
    json_t *line = json_pack("{s:s, s:s, s:o, s:o}", "method", entry->method, "object", entry->object,
                             "seconds", to_json(entry->seconds), "views", views);
    int status = append(journal, line);
    json_decref(line);
    return status;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

static int open_named(plx_eval_journal *journal, const char *path) {
    journal->path = strdup(path);
    if (!journal->path) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    journal->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (journal->file < 0) return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    if (flock(journal->file, LOCK_EX | LOCK_NB))
        return plx_fail(PLX_ERROR_IO, "%s: another evaluation is at work on it", path);
    return PLX_OK;
}

static int open_unnamed(plx_eval_journal *journal) {
    FILE *file = tmpfile();
    if (!file) return plx_fail(PLX_ERROR_IO, "a temporary file: %s", strerror(errno));
    journal->file = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    int why = errno;
    fclose(file);
    if (journal->file < 0 || fcntl(journal->file, F_SETFL, O_APPEND))
        return plx_fail(PLX_ERROR_IO, "a temporary file: %s", strerror(why));
    return PLX_OK;
}

/* Of the same settings, and cut to whole lines; or empty, and then begun. */
static int check(const plx_eval_journal *journal, const json_t *settings) {
    char *text = NULL;
    size_t size, whole = 0;
    json_t *old = NULL, *entries = json_object();
    int status = read_all(journal, &text, &size);
    if (!status) status = parse(journal->path, text, &old, entries, &whole);
    const char *differs = !status && old ? difference(settings, old) : NULL;
    if (differs)
        status = plx_fail(
            PLX_ERROR_INPUT,
            "%s: an unfinished evaluation with another '%s'; finish or delete it, or write elsewhere",
            journal->path, differs);
    if (!status && whole < size && ftruncate(journal->file, (off_t)whole))
        status = plx_fail(PLX_ERROR_IO, "%s: %s", journal->path, strerror(errno));
    if (!status && !whole) status = append(journal, (json_t *)(uintptr_t)settings);
    free(text);
    json_decref(old);
    json_decref(entries);
    return status;
}

int plx_eval_journal_open(plx_eval_journal *journal, const char *path, const json_t *settings) {
    *journal = (plx_eval_journal){.file = -1};
    int status = path ? open_named(journal, path) : open_unnamed(journal);
    if (!status) status = check(journal, settings);
    if (status) plx_eval_journal_close(journal, false);
    return status;
}

void plx_eval_journal_close(plx_eval_journal *journal, bool remove) {
    if (remove && journal->path) unlink(journal->path);
    if (journal->file > 0) close(journal->file);
    free(journal->path);
    *journal = (plx_eval_journal){0};
}
