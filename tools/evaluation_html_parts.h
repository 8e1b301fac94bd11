/* What the parts of the page of an evaluation share. */
#ifndef PLX_TOOLS_EVALUATION_HTML_PARTS_H
#define PLX_TOOLS_EVALUATION_HTML_PARTS_H

#include "tools/evaluation_html.h"
#include "tools/plot.h"

/* The numbers behind the tables, each computed once. */
typedef struct plx_html_numbers {
    double *objects;                 /* (methods, metrics, objects) of plx_eval_object_means */
    plx_eval_interval *means;        /* (methods, metrics) */
    plx_eval_interval *paired;       /* (methods, metrics): minus the reference */
    bool *equal_best;                /* (methods, metrics): the best, or not told apart from it */
    int best[PLX_EVAL_METRICS];      /* the method, or -1: none, or none to compare with */
    bool measured[PLX_EVAL_METRICS]; /* by some method */
} plx_html_numbers;

int plx_html_compute(plx_html_numbers *out, const plx_eval_page *page);
void plx_html_numbers_free(plx_html_numbers *numbers);

double plx_html_badness(double mean, int metric);                   /* lower is better */
bool plx_html_decided(const plx_eval_interval *paired, int metric); /* leaves out no difference */
const double *plx_html_objects(const plx_eval_page *page, const plx_html_numbers *n, int method, int metric);

const char *plx_html_heading(const plx_eval_page *page, int metric);
void plx_html_number(FILE *out, double value, int metric); /* with the metric's decimals; a dash for NAN */

/* A legend of the methods in their colours. */
void plx_html_legend(FILE *out, const plx_eval_page *page);

/* Inline SVG. */
void plx_html_gap_plots(FILE *out, const plx_eval_page *page, const plx_html_numbers *n);
void plx_html_distributions(FILE *out, const plx_eval_page *page, const plx_html_numbers *n);
void plx_html_scatters(FILE *out, const plx_eval_page *page, const plx_html_numbers *n);
int plx_html_sweeps(FILE *out, const plx_eval_page *page);

/* Pictures as data: URLs. */
int plx_html_examples(FILE *out, const plx_eval_page *page);

#endif
