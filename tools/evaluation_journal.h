/* What an evaluation has measured so far, a line of JSON for each object and method, written as it goes: a run that was
 * stopped takes up where it was. */
#ifndef PLX_TOOLS_EVALUATION_JOURNAL_H
#define PLX_TOOLS_EVALUATION_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>

#include "tools/evaluation.h"

typedef struct plx_eval_journal {
    int file;   /* descriptor, appended to; several processes may */
    char *path; /* NULL: a file without a name, gone with the process */
} plx_eval_journal;

/* One object by one method. */
typedef struct plx_eval_entry {
    const char *method, *object;
    double seconds;
    int count;
    plx_eval_sample *samples; /* (count) */
} plx_eval_entry;

/* path NULL: without a name. A journal that is there must be of the same `settings` (PLX_ERROR_INPUT names the first that
 * differs); its last line, if it was cut off, is dropped. PLX_ERROR_IO when another process is at it. */
int plx_eval_journal_open(plx_eval_journal *journal, const char *path, const json_t *settings);
int plx_eval_journal_add(const plx_eval_journal *journal, const plx_eval_entry *entry); /* in one write */
/* All entries as JSON objects, keyed "METHOD OBJECT"; a new reference. */
int plx_eval_journal_read(const plx_eval_journal *journal, json_t **entries);
/* entry->method and ->object say which; fills seconds and samples[0 .. count-1]. False if it is not there whole. */
bool plx_eval_journal_find(const json_t *entries, plx_eval_entry *entry);
void plx_eval_journal_close(plx_eval_journal *journal, bool remove);

#endif
