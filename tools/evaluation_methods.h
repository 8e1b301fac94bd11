/* The methods that are compared: each predicts views of an object from its input view. */
#ifndef PLX_TOOLS_EVALUATION_METHODS_H
#define PLX_TOOLS_EVALUATION_METHODS_H

#include "tools/evaluation_nearest.h"
#include "tools/evaluation_parameters.h"
#include "tools/evaluation_protocol.h"

#define PLX_EVAL_METHOD_WORDS \
    "truth|copy|extruded|nearest|feedforward|views|paper|blend" /* the names of plx_eval_methods, in order */

enum {
    PLX_EVAL_TRUTH, /* what is true: the reference of consistency */
    PLX_EVAL_NEAREST = 3,
    PLX_EVAL_FEEDFORWARD,
    PLX_EVAL_METHODS = 8
};
enum { PLX_EVAL_NEEDS_MODEL = 1, PLX_EVAL_NEEDS_NEAREST = 2 };

/* What a method may use; the same for all objects. */
typedef struct plx_eval_means {
    plx_model *model;                /* NULL when no method needs one */
    const plx_eval_nearest *nearest; /* likewise */
    bool elevation_known;
    int samples; /* across the scene, a ray */
    plx_eval_numbers numbers;
} plx_eval_means;

typedef struct plx_eval_method {
    const char *name;
    unsigned needs;
    unsigned has; /* PLX_EVAL_REFINES, PLX_EVAL_SAMPLES: which numbers it uses */
    enum plx_refine_mode mode;
    bool silhouette_only; /* no colour: only the IoU is measured */
    bool drawn;           /* on the sheet */
    bool reference;       /* the others are compared with it, where it is measured */
    /* out[k] is to become of->views.views[1 + k], whose camera it has, for k < count: colour (H,W,4) of the camera's size and,
     * where the method has it, depth. */
    int (*predict)(plx_view *out, int count, const plx_eval_means *means, const plx_eval_case *of);
} plx_eval_method;

extern const plx_eval_method plx_eval_methods[PLX_EVAL_METHODS];

#endif
