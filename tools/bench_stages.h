/* Whole stages as work to be timed: the networks, the field, its views, refinement and the drawing of data. */
#ifndef PLX_TOOLS_BENCH_STAGES_H
#define PLX_TOOLS_BENCH_STAGES_H

#include "tools/parallax.h"

/* What the stages share: made when the first asks for it. */
typedef struct plx_bench_object {
    const char *model_path;
    plx_scene *scene; /* a chair of 14,112 triangles */
    plx_model *model;
    plx_view input; /* the chair as the model takes it */
} plx_bench_object;

void plx_bench_object_free(plx_bench_object *object);

/* The stages, in order; `quick`: a refinement of few steps, and its name says so. */
int plx_stage_count(void);
void plx_stage_name(int index, bool quick, char name[96]);
bool plx_stage_computes(int index); /* on the device in use, else on the CPU */
/* The object outlives the work. */
int plx_stage_open(plx_workload *out, int index, bool quick, plx_bench_object *object);

/* ---- stages at other sizes ------------------------------------------------------------------------------------ */

/* A view of the reconstructed chair of size x size pixels, `samples` across the sphere. */
int plx_stage_view(plx_workload *out, plx_bench_object *object, int size, int samples);
/* A gradient step of the reconstructed field on `rays` rays, coarse + fine samples each. */
int plx_stage_field_step(plx_workload *out, plx_bench_object *object, int rays, int coarse, int fine);
/* Reconstruction and refinement ("blend") with so many views and noise levels. */
int plx_stage_refine(plx_workload *out, plx_bench_object *object, int views, int steps);
/* `views` views of the chair of size x size pixels, 4 samples each, colour and depth. */
int plx_stage_draw(plx_workload *out, plx_bench_object *object, int size, int views);
/* All metrics of `pairs` pictures of one object against as many. */
int plx_stage_metrics(plx_workload *out, int pairs, int size);

#endif
