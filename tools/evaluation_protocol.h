/* What is evaluated: objects, and of each an input view and the true views of it that a method is to predict. */
#ifndef PLX_TOOLS_EVALUATION_PROTOCOL_H
#define PLX_TOOLS_EVALUATION_PROTOCOL_H

#include <jansson.h>

#include "datasets/datasets.h"
#include "diffusion/diffusion.h"

/* One object. Methods predict the views behind the first. */
typedef struct plx_eval_case {
    plx_view input; /* what a method is given: RGBA (size,size,4) of the protocol's size, and its camera */
    plx_views
        views; /* [0]: the input as the data have it, without its background; [1 .. targets]: true views; behind them those of a path, true
                      * or (no colour) a camera alone. All of one size; has_alpha: the truth has opacity */
    int index; /* of the protocol's objects */
    int targets; /* views that are measured against the truth */
    int scored; /* views[scored ..] are those whose consistency is scored: the path's, or without one the targets */
} plx_eval_case;

void plx_eval_case_free(plx_eval_case *of);

typedef struct plx_eval_protocol {
    char name[64];   /* of the experiment in files: "test-64" */
    char title[256]; /* for people, behind a number of objects: "objects of the test split" */
    int count;
    const char **ids, **classes; /* (count); classes NULL: there are none */
    int *targets;                /* (count) target views of each object: 1 or more */
    int size;                    /* pixels of the methods' input */
    int width, height;           /* of the true and predicted views */
    bool true_path;              /* the views that are scored have true pictures */
    bool gaps;                   /* targets stand at various azimuths from the input */
    json_t *record;              /* all that the views depend on: goes into the journal and the results */

    /* Object `index`, possibly in a process of its own. */
    int (*load)(const struct plx_eval_protocol *protocol, int index, plx_eval_case *out);
    void (*close)(struct plx_eval_protocol *protocol); /* frees source */
    void *source;
} plx_eval_protocol;

void plx_eval_protocol_close(plx_eval_protocol *protocol); /* and empties it */

int plx_eval_targets_max(const plx_eval_protocol *protocol); /* of an object */
int plx_eval_targets_all(const plx_eval_protocol *protocol);

/* ---- the protocols. Strings, path and model of the options outlive them ------------------------------------------- */

/* The default object set (datasets.h): one input view and eight targets, drawn live. A path is drawn too. */
typedef struct plx_eval_objects_options {
    const char *catalogue, *data; /* files */
    enum plx_split split;
    const char *licence;  /* only objects whose licence begins so, or NULL */
    int objects;          /* so many, evenly over those; 0: all */
    int size;             /* pixels of all views */
    bool crop;            /* the input as `reconstruct --crop auto` frames it */
    const plx_path *path; /* or NULL */
} plx_eval_objects_options;

int plx_eval_objects_open(plx_eval_protocol *out, const plx_eval_objects_options *options);

/* A data set of posed views: SRN's protocol, zero123's. Poses and depth are scaled so that the input's camera stands at the
 * model's distance from the origin: the sphere of radius PLX_SCENE_RADIUS is then 0.5 of SRN cars, 0.77 of SRN chairs. */
typedef struct plx_eval_posed_options {
    const char *data;
    const char *sources; /* views by number, "64,104": the first is the input, none is a target */
    const char *only;    /* of the other views only these are targets; "quick": SRN's list; NULL: all */
    int objects;         /* so many, evenly over those; 0: all */
    int size;            /* pixels of the input */
    bool crop;
    const plx_path *path; /* or NULL */
} plx_eval_posed_options;

int plx_eval_posed_open(plx_eval_protocol *out, const plx_eval_posed_options *options);

/* A folder of pictures without truth, framed as `reconstruct` does it: the one target is the input itself. The elevation is the
 * model's estimate; without a model the default. */
typedef struct plx_eval_pictures_options {
    const char *data;
    const plx_model *model; /* or NULL */
    int objects;            /* so many, evenly over those; 0: all */
    int size;               /* pixels of the input */
    const plx_path *path;   /* or NULL */
} plx_eval_pictures_options;

enum { PLX_EVAL_PICTURES_SIZE = 128 }; /* of the views that are predicted */
int plx_eval_pictures_open(plx_eval_protocol *out, const plx_eval_pictures_options *options);

/* ---- for those who write one ---------------------------------------------------------------------------------------- */

/* ids, classes (or not) and targets for `count` objects. */
int plx_eval_protocol_allocate(plx_eval_protocol *protocol, int count, bool classes);
/* The k-th of `kept` evenly over `all`. */
int plx_eval_evenly(int k, int kept, int all);
/* Room for the input, the targets and the path, whose cameras are set; what is there is kept. `path` may be NULL. */
int plx_eval_case_extend(plx_eval_case *of, int targets, const plx_path *path);

#endif
