/* What `parallax consistency` found: one record an object, as a table and as JSON. */
#ifndef PLX_TOOLS_CONSISTENCY_REPORT_H
#define PLX_TOOLS_CONSISTENCY_REPORT_H

#include <jansson.h>

#include "nerf/consistency.h"

enum {
    PLX_SCORE_FIELD = 1,
    PLX_SCORE_TSED = 2,
    PLX_SCORE_REPROJECTION = 4,
    PLX_SCORE_VARIANCE = 8
}; /* a set */
#define PLX_SCORE_WORDS "field|tsed|reprojection|variance"

typedef struct plx_consistency_record {
    char name[128];
    int views;
    plx_field_score field;
    plx_tsed tsed;
    plx_reprojection reprojection;
    plx_surface_variance variance;
} plx_consistency_record;

typedef struct plx_consistency_report {
    unsigned scores;      /* which were made */
    const char *geometry; /* where depth came from, for people; NULL if none was needed */
    const plx_tsed_options *tsed;
    int count;
    plx_consistency_record *records; /* (count) */
} plx_consistency_report;

/* One line an object, and their mean below if there are several. */
void plx_consistency_print(const plx_consistency_report *report, FILE *out);

/* {"results": means over objects, "objects": [...], "geometry", "thresholds"}; what is no number is null. A new reference. */
json_t *plx_consistency_json(const plx_consistency_report *report);

#endif
