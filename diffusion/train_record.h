/* A model's record of its training: JSON with an entry a stage, {"stages": [...]}, beside what plx_train_options.record
 * gives. */
#ifndef PLX_TRAIN_RECORD_H
#define PLX_TRAIN_RECORD_H

#include "diffusion/model.h"

const char *plx_train_stage_name(enum plx_train_stage stage);
const char *plx_train_condition_name(enum plx_train_condition condition);

/* This stage's entry after `steps`; replaces the entry of an earlier save of the same run. */
int plx_record_stage(plx_model *model, const plx_train_options *options, int64_t steps, double best);
/* A model that another run left half-way keeps that run's entry: it is closed. */
int plx_record_close(plx_model *model);
/* The half of the objects that the field learned from; -1: from both, or it is not known. */
int plx_record_half(const plx_model *model);
/* The half of the last entry's run; -1: all. */
int plx_record_last_fold(const char *record);

#endif
