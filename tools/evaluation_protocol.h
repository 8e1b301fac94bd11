/* What is evaluated: objects, and of each an input view and the true views of it that a method is to predict. */
#ifndef PLX_TOOLS_EVALUATION_PROTOCOL_H
#define PLX_TOOLS_EVALUATION_PROTOCOL_H

#include <jansson.h>

#include "datasets/datasets.h"

/* One object. */
typedef struct plx_eval_case {
    plx_view
        input; /* what a method is given: colour (size,size,4) of the protocol's size, camera; no depth */
    plx_views views; /* [0]: the input as the data have it; [1 ..]: the true targets, all of one size */
} plx_eval_case;

void plx_eval_case_free(plx_eval_case *of);

typedef struct plx_eval_protocol {
    char name[64];  /* of the experiment in files: "test-64" */
    char title[96]; /* for people, behind a number of objects: "objects of the test split" */
    int count;
    const char **ids, **classes; /* (count); classes NULL: there are none */
    int *targets;                /* (count) target views of each object: 1 or more */
    int size;                    /* pixels of the methods' input */
    int target_size;             /* pixels a side of the target views; 0: they differ or are not square */
    json_t *record;              /* all that the views depend on: goes into the journal and the results */

    /* Object `index`, possibly in a process of its own. */
    int (*load)(const struct plx_eval_protocol *protocol, int index, plx_eval_case *out);
    /* Its true mesh in the views' world, or *out = NULL. NULL: no object has one. */
    int (*mesh)(const struct plx_eval_protocol *protocol, int index, plx_scene **out);
    void (*close)(struct plx_eval_protocol *protocol); /* frees source */
    void *source;
} plx_eval_protocol;

void plx_eval_protocol_close(plx_eval_protocol *protocol); /* and empties it */

int plx_eval_targets_max(const plx_eval_protocol *protocol); /* of an object */
int plx_eval_targets_all(const plx_eval_protocol *protocol);

/* For those who open one: ids, classes (or not) and targets for `count` objects. */
int plx_eval_protocol_allocate(plx_eval_protocol *protocol, int count, bool classes);

/* ---- the default object set: the protocol of datasets.h, one input view and eight targets -------------------------- */

typedef struct plx_eval_objects_options {
    const char *catalogue, *data; /* files: outlive the protocol */
    enum plx_split split;
    const char *licence; /* only objects whose licence begins so, or NULL */
    int objects;         /* so many, evenly over those; 0: all */
    int size;            /* pixels of all views */
    bool crop;           /* the input as `reconstruct --crop auto` frames it */
} plx_eval_objects_options;

int plx_eval_objects_open(plx_eval_protocol *out, const plx_eval_objects_options *options);

#endif
