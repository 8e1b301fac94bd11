/* The numbers of refinement and of sampling that --set and `parallax eval --sweep` reach, by name. */
#ifndef PLX_TOOLS_EVALUATION_PARAMETERS_H
#define PLX_TOOLS_EVALUATION_PARAMETERS_H

#include <jansson.h>
#include <stdbool.h>

#include "diffusion/diffusion.h"
#include "tools/options.h"

/* Those of a method; one that has neither ignores them. */
typedef struct plx_eval_numbers {
    plx_refine_options refine;
    plx_view_sampling sampling;
} plx_eval_numbers;

enum { PLX_EVAL_REFINES = 1, PLX_EVAL_SAMPLES = 2 }; /* which of the two a method has */

enum { PLX_EVAL_VALUES = 16 };

#define PLX_QUALITY_WORDS "fast|default|best" /* enum plx_quality */

/* "gamma=0,0.25,0.5": values of one parameter. */
typedef struct plx_eval_setting {
    int parameter, count;
    double values[PLX_EVAL_VALUES];
} plx_eval_setting;

/* Up to `most` values, each in the parameter's range and none twice. PLX_ERROR_USAGE, as of --OPTION. */
int plx_eval_setting_parse(plx_eval_setting *out, const char *option, const char *text, int most);

/* "gamma=0.25" of --set, several: into `out`, at most PLX_EVAL_VALUES. PLX_ERROR_USAGE. */
int plx_eval_settings_parse(plx_eval_setting out[PLX_EVAL_VALUES], const plx_list *texts);

const char *plx_eval_parameter_name(int parameter);
bool plx_eval_parameter_of(int parameter, unsigned has); /* whether methods with those numbers have it */
double plx_eval_parameter_get(const plx_eval_numbers *numbers, int parameter, unsigned has);
json_t *plx_eval_parameters_json(const plx_eval_numbers *numbers,
                                 unsigned has); /* {name: value} of all of them */
void plx_eval_parameter_set(plx_eval_numbers *numbers, int parameter, double value);

#endif
