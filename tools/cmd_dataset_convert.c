/* parallax dataset convert: any data set that is read, as SRN folders or as nerfstudio has it. */
#include "tools/parallax.h"

#include <stdlib.h>
#include <string.h>

#include "tools/dataset.h"
#include "tools/jobs.h"

typedef struct convert_values {
    int to;
    const char *objects;
} convert_values;

static const plx_option options[] = {{PLX_OPTION_CHOICE, "to", 0, offsetof(convert_values, to), "srn",
                                      .word = PLX_WRITTEN_WORDS, .help = "the layout that is written"},
                                     {PLX_OPTION_TEXT, "objects", 0, offsetof(convert_values, objects), NULL,
                                      .word = "WORD,...",
                                      .help = "only objects with such a word in their name"},
                                     {.type = PLX_OPTION_END}};

typedef struct conversion {
    const plx_dataset *dataset;
    const char *kind, *output;
    const int *objects;
    int skipped;
} conversion;

/* View by view: one is in memory. */
static int convert_object(int index, void *user) {
    conversion *c = user;
    int object = c->objects[index];
    const char *name = plx_dataset_name(c->dataset, object);
    if (plx_dataset_is_written(c->kind, c->output, name)) {
#pragma omp atomic
        c->skipped++;
        return PLX_OK;
    }
    plx_dataset_writer *writer;
    int views = plx_dataset_view_count(c->dataset, object);
    int status = plx_dataset_writer_open(&writer, c->kind, c->output, name);
    for (int i = 0; i < views && !status; i++) {
        plx_views one = {0};
        status = plx_stop_requested() ? plx_fail(PLX_ERROR_CANCELLED, "stopped")
                                      : plx_dataset_load(c->dataset, object, &i, 1, &one);
        if (!status) status = plx_dataset_writer_add(writer, &one.views[0]);
        plx_views_free(&one);
    }
    if (!status) status = plx_dataset_writer_finish(writer);
    plx_dataset_writer_free(writer);
    return status;
}

static int run_convert(const plx_run *run) {
    const convert_values *values = run->values;
    plx_dataset *dataset;
    int status = plx_dataset_open(&dataset, run->arguments[0]);
    if (status) return status;
    int total = plx_dataset_count(dataset), count = 0;
    int *objects = malloc((size_t)total * sizeof *objects);
    if (!objects) status = plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < total && !status; i++)
        if (plx_wanted(values->objects, NULL, plx_dataset_name(dataset, i))) objects[count++] = i;
    if (!status && !count)
        status = plx_fail(PLX_ERROR_INPUT, "%s: no object is wanted: --objects %s", run->arguments[0],
                          values->objects);
    conversion c = {dataset, plx_written_kinds[values->to], run->arguments[1], objects, 0};
    if (!status) status = plx_make_directories(c.output);
    if (!status) status = plx_run_jobs("convert", count, convert_object, &c);
    if (!status && c.skipped) plx_note("%d of %d objects were there already", c.skipped, count);
    if (!status) plx_note("%s: %d objects (%s to %s)", c.output, count, plx_dataset_kind(dataset), c.kind);
    free(objects);
    plx_dataset_free(dataset);
    return status;
}

const plx_command plx_cmd_dataset_convert = {.name = "dataset convert",
                                             .arguments = "SRC DST",
                                             .summary =
                                                 "a data set of any kind as SRN folders or nerfstudio's",
                                             .min_arguments = 2,
                                             .max_arguments = 2,
                                             .options = options,
                                             .values_size = sizeof(convert_values),
                                             .run = run_convert};
