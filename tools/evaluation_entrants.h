/* Who is compared in one evaluation: the methods that were asked for, the fields of other models, and each of a sweep's
 * values with each method that has the parameter. */
#ifndef PLX_TOOLS_EVALUATION_ENTRANTS_H
#define PLX_TOOLS_EVALUATION_ENTRANTS_H

#include "tools/evaluation_methods.h"
#include "tools/options.h"

enum { PLX_EVAL_ENTRANTS = 64, PLX_EVAL_MODELS = 8, PLX_EVAL_SWEEPS = 8 };
enum { PLX_EVAL_SWEPT = 1 + 2 * PLX_QUALITIES }; /* at most: views; paper and blend at each quality */

typedef struct plx_eval_entrant {
    char name[64]; /* "blend", "blend-best", "blend(gamma=0.25)", or what --compare calls a model's field */
    const plx_eval_method *method;
    plx_eval_means means;
    int sweep; /* whose value `means` has; -1: compared as it is */
    double value;
} plx_eval_entrant;

typedef struct plx_eval_sweep {
    plx_eval_setting setting;
    int methods;
    int plain[PLX_EVAL_SWEPT];                    /* entrants that are swept */
    int entrant[PLX_EVAL_SWEPT][PLX_EVAL_VALUES]; /* at each value; the plain one where it has that value */
} plx_eval_sweep;

/* A model whose feed-forward field is compared: "NAME=FILE". */
typedef struct plx_eval_compared {
    char name[64];
    const char *path;
    plx_model *model;
} plx_eval_compared;

typedef struct plx_eval_entrants {
    int count, plain; /* those compared as they are come first */
    plx_eval_entrant list[PLX_EVAL_ENTRANTS];
    int sweep_count;
    plx_eval_sweep sweeps[PLX_EVAL_SWEEPS];
} plx_eval_entrants;

typedef struct plx_eval_entrants_options {
    unsigned methods;      /* bit m: plx_eval_methods[m] */
    unsigned qualities;    /* bit q: enum plx_quality; refinements are measured at each */
    plx_eval_means means;  /* of all, but the refinement's numbers, which are its mode's */
    uint64_t seed;         /* of refinement and sampling */
    const plx_list *set;   /* "gamma=0.25": of every method that has it */
    const plx_list *sweep; /* "gamma=0,0.5,1" */
    int compared_count;
    const plx_eval_compared *compared;
} plx_eval_entrants_options;

/* PLX_ERROR_USAGE says what is wrong with a text, also that none of the methods has the parameter. */
int plx_eval_entrants_make(plx_eval_entrants *out, const plx_eval_entrants_options *options);

/* Reads "NAME=FILE"s; models are loaded by the caller. */
int plx_eval_compared_parse(plx_eval_compared *out, int *count, const plx_list *texts);

#endif
