/* Folders of results: everything is made in a folder of its own inside and moved at the end, so that a run that
 * fails or is stopped leaves what was there before. */
#ifndef PLX_TOOLS_OUTPUT_H
#define PLX_TOOLS_OUTPUT_H

#include <stdbool.h>

#define PLX_OUTPUT_PATH 4096 /* bytes of a path */

typedef struct plx_output {
    char folder[PLX_OUTPUT_PATH], temporary[PLX_OUTPUT_PATH]; /* write into `temporary` */
    bool made;                                                /* the folder was not there before */
} plx_output;

/* Makes both; PLX_ERROR_IO names the folder that cannot be written. */
int plx_output_open(plx_output *output, const char *folder);
/* The same with a folder of its own that outlives a stop: `temporary`, which may be there already. `folder` may be NULL: then
 * nothing is committed. */
int plx_output_continue(plx_output *output, const char *folder, const char *temporary);
/* Leaves `temporary` for a later plx_output_continue: plx_output_close then removes nothing. */
void plx_output_keep(plx_output *output);
/* Each result takes the place of its namesake of an earlier run; nothing else in the folder is touched. */
int plx_output_commit(plx_output *output);
/* Removes what was not committed, and the folder if it was made for it; for a zeroed output it does nothing. */
void plx_output_close(plx_output *output);

/* out = "folder/name"; PLX_ERROR_INPUT when that is too long. */
int plx_output_join(char out[PLX_OUTPUT_PATH], const char *folder, const char *name);

#endif
