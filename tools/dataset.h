/* What the `dataset` commands share. */
#ifndef PLX_TOOLS_DATASET_H
#define PLX_TOOLS_DATASET_H

#include <jansson.h>

#include "datasets/datasets.h"

#define PLX_SPLIT_WORDS "all|train|validation|test"
#define PLX_WRITTEN_WORDS "srn|nerfstudio"    /* layouts that are written */
extern const char *const plx_written_kinds[]; /* the same words */

/* True if the comma-separated `words` is NULL, or one of them is the class (NULL: there is none) or in the name. */
bool plx_wanted(const char *words, const char *class_name, const char *name);

/* The objects of a split (an index into PLX_SPLIT_WORDS) that are wanted: `words` (class, or part of an id, with commas) or
 * NULL for all. Free the array. PLX_ERROR_INPUT when there are none. */
int plx_select_objects(const plx_object ***out, int *count, const plx_catalogue *catalogue, int split,
                       const char *words);

/* Mesh files, and those in folders, as a catalogue without classes, licences and splits; plx_catalogue_free frees it. The
 * data folder of its objects is "". An object is called as its file's path below the folder that was named. */
int plx_list_meshes(plx_catalogue *out, int count, char **paths, char up);

/* A string for a report; where names are not UTF-8, '?' for each byte that is not ASCII. */
json_t *plx_json_text(const char *text);

/* Writes what a view shows beside what the data set's layout holds: one EXR with all, or PNGs. */
typedef struct plx_view_files {
    bool exr; /* FOLDER/exr/000000.exr: R G B A, Z, N.X N.Y N.Z, P.X P.Y P.Z */
    bool png; /* FOLDER/depth, normal, position */
} plx_view_files;
int plx_view_files_write(const plx_view_files *files, const char *folder, int number, const plx_view *view);

#endif
