/* What would spoil training on a data set: found object by object, then between objects. */
#ifndef PLX_TOOLS_DATASET_CHECK_H
#define PLX_TOOLS_DATASET_CHECK_H

#include "tools/parallax.h"

#define PLX_CHECK_CELLS 32  /* a silhouette is kept as so many cells a side */
#define PLX_CHECK_HASHES 16 /* views of an object whose hash is kept, evenly spaced */

/* One thing that was found. */
typedef struct plx_finding {
    bool error;       /* would spoil training; else worth a look */
    const char *what; /* "unreadable", "pose", "silhouette", ... */
    int object, view; /* -1: the whole object, the whole set */
    char text[400];
} plx_finding;

typedef struct plx_findings {
    int count, capacity;
    plx_finding *list;
} plx_findings;

/* Safe from several threads; a list that cannot grow is an error that plx_findings_sort reports. */
void plx_find(plx_findings *findings, bool error, const char *what, int object, int view, const char *format,
              ...) __attribute__((format(printf, 6, 7)));
int plx_findings_sort(plx_findings *findings); /* by object, view, what: the same for any number of threads */
void plx_findings_free(plx_findings *findings);

/* What is kept of a view. */
typedef struct plx_seen_view {
    int index; /* in the object */
    plx_camera camera;
    bool has_silhouette;
    float near, far;  /* depth's range, 0 where there is none */
    uint64_t hash[4]; /* of its appearance: 256 bits, similar pictures differ in few */
    uint64_t pixels;  /* of its exact 8-bit pixels */
    uint8_t cells[PLX_CHECK_CELLS * PLX_CHECK_CELLS]; /* share of the object, 0 to 255 */
} plx_seen_view;

typedef struct plx_seen_object {
    int count; /* of views that could be read */
    plx_seen_view *views;
    float near, far; /* the data set's bounds, 0 where it has none */
} plx_seen_object;

/* Reads all views of an object, finds fault with each. Frees nothing on failure: plx_seen_free does. */
int plx_check_views(plx_seen_object *out, plx_findings *findings, const plx_dataset *dataset, int object);
void plx_seen_free(plx_seen_object *object);

/* Poses, silhouettes and bounds of an object against each other: what all silhouettes allow is carved out of a grid, and must
 * fill them again. */
void plx_check_shape(const plx_seen_object *seen, plx_findings *findings, int object);

/* The same or nearly the same object twice: an error across splits, else worth a look. Keeps the hashes of the views. */
int plx_check_twins(const plx_seen_object *objects, plx_findings *findings, const plx_dataset *dataset);

#endif
