/* The evaluation's contact sheet. Its pictures wait in a folder, a PNG an object and method, until all are there: objects
 * are drawn by several processes, and a run that was stopped goes on. */
#ifndef PLX_TOOLS_EVALUATION_SHEET_H
#define PLX_TOOLS_EVALUATION_SHEET_H

#include <stdbool.h>

#include "nerf/nerf.h"
#include "tools/output.h"

enum { PLX_EVAL_SHEET_TARGETS = 3 };

typedef struct plx_eval_sheet {
    const char *path; /* NULL: there is no sheet, and every function does nothing */
    char folder[PLX_OUTPUT_PATH];
    int size, rows; /* pixels of a picture; objects */
} plx_eval_sheet;

int plx_eval_sheet_open(plx_eval_sheet *sheet, const char *path, int size, int rows);
/* The targets whose azimuth is nearest to 30, 90 and 150 degrees from the input's, each once if there are as many; views[0] is
 * the input, the targets are views[1 .. targets]. */
void plx_eval_sheet_targets(int out[PLX_EVAL_SHEET_TARGETS], const plx_view *views, int targets);

/* `count` pictures of one object, RGBA, brought to size x size, by one method ("input" holds the input and the true targets). */
int plx_eval_strip_save(const plx_eval_sheet *sheet, const char *object, const char *method, int count,
                        const plx_image *const *pictures);
bool plx_eval_strip_exists(const plx_eval_sheet *sheet, const char *object, const char *method);

/* A row an object: the input; then for every target the truth and each method. */
int plx_eval_sheet_save(const plx_eval_sheet *sheet, const char *const *objects, int methods,
                        const char *const *names);
void plx_eval_sheet_close(plx_eval_sheet *sheet, bool remove);

#endif
