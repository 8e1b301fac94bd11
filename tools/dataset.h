/* What the `dataset` commands share. */
#ifndef PLX_TOOLS_DATASET_H
#define PLX_TOOLS_DATASET_H

#include "datasets/datasets.h"

#define PLX_SPLIT_WORDS "all|train|validation|test"

/* The objects of a split (an index into PLX_SPLIT_WORDS) that are wanted: `words` (class, or part of an id, with commas) or
 * NULL for all. Free the array. PLX_ERROR_INPUT when there are none. */
int plx_select_objects(const plx_object ***out, int *count, const plx_catalogue *catalogue, int split,
                       const char *words);

#endif
