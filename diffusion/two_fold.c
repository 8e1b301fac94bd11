#include "diffusion/two_fold.h"

#include "diffusion/train_record.h"

static int take(plx_two_fold *two, const char *const paths[PLX_HALVES], int i, const plx_model *like) {
    plx_model *m = NULL;
    int status = plx_model_load(&m, paths[i]), half = status ? -1 : plx_record_half(m);
    if (!status && half < 0)
        status = plx_fail(PLX_ERROR_INPUT, "%s: its field did not learn from one half of the objects alone",
                          paths[i]);
    if (!status && two->learned[half])
        status = plx_fail(PLX_ERROR_INPUT, "%s: learned from half %d, as %s did", paths[i], half, paths[0]);
    if (!status && !plx_model_same_field(m, like))
        status = plx_fail(PLX_ERROR_INPUT,
                          "%s: its field is not of the model's kind (planes, heads, frame, sizes)", paths[i]);
    if (status)
        plx_model_free(m);
    else
        two->learned[half] = m;
    return status;
}

int plx_two_fold_open(plx_two_fold *out, const plx_train_options *o, const plx_model *model) {
    int status = PLX_OK;
    *out = (plx_two_fold){{NULL}};
    PLX_CHECK(o->fold_of && o->fold_models[0] && o->fold_models[1], "train: two folds without models");
    for (int i = 0; i < PLX_HALVES && !status; i++) status = take(out, o->fold_models, i, model);
    if (status) plx_two_fold_free(out);
    return status;
}

void plx_two_fold_free(plx_two_fold *two) {
    for (int h = 0; h < PLX_HALVES; h++) {
        plx_model_free(two->learned[h]);
        two->learned[h] = NULL;
    }
}

int plx_two_fold_encode(plx_encoded out[PLX_HALVES], plx_tape *tape, const plx_two_fold *two, int N,
                        const int *half, const plx_views *batch, const plx_encoder_pose *poses) {
    bool recording = plx_tape_recording(tape);
    int count = 0;
    plx_tape_set_recording(tape, false);
    for (int h = 0; h < PLX_HALVES; h++) {
        int *items = plx_arena_alloc(plx_tape_arena(tape), sizeof *items * (size_t)N), taken = 0;
        for (int n = 0; n < N; n++)
            if (half[n] == h) items[taken++] = n;
        if (taken) out[count++] = plx_encode_items(tape, two->learned[1 - h], taken, items, batch, poses);
    }
    plx_tape_set_recording(tape, recording);
    return count;
}
