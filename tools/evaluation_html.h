/* The results of an evaluation as one page of HTML that needs nothing else: tables with intervals, plots, pictures, turntables, and
 * the settings that made them. */
#ifndef PLX_TOOLS_EVALUATION_HTML_H
#define PLX_TOOLS_EVALUATION_HTML_H

#include "tools/evaluation_examples.h"
#include "tools/options.h"

typedef struct plx_eval_page {
    const char *title, *lead; /* plain text; lead: what was measured, in a sentence */
    const plx_eval_set *set;
    int count;                      /* methods */
    const plx_eval_result *results; /* (count); with entrants all theirs, the first `count` are the methods */
    const plx_eval_entrants *entrants; /* whose sweeps are drawn, or NULL */
    int reference;                     /* the method that the others are compared with */
    int example_count;
    const plx_eval_example *examples; /* with shown[] of as many methods */
    const json_t *record;             /* command line, options, seeds, versions */
} plx_eval_page;

/* Of what a run depends on: its options, versions, seeds, the machine; a new reference. */
json_t *plx_eval_page_record(const plx_run *run);

int plx_eval_html_save(const char *path, const plx_eval_page *page);

#endif
