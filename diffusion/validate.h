/* How good the model is on objects it has not seen, during training. */
#ifndef PLX_VALIDATE_H
#define PLX_VALIDATE_H

#include "diffusion/model.h"

typedef struct plx_validation_result {
    double psnr, iou, iou_side; /* means over views, then objects; iou_side: azimuth gap 60 to 120 degrees */
    int levels;                 /* 0, or how many of the next are set */
    double t[3], gain_db[3];    /* the denoiser's x0 against its own render condition: MSE ratio, dB */
    /* Its error with another object's input view over that with the right one, three ways: `swap` in all that follows
     * from it (the field's render and the features), `swap_features` in the features alone, `swap_alone` likewise
     * while the render is withheld. swap_overall: as `swap`, of the errors of all levels together. */
    double swap[3], swap_features[3], swap_alone[3], swap_overall;
    plx_image sheet; /* rows: object; columns: input, then truth and render by turns */
} plx_validation_result;

int plx_validate(plx_validation_result *out, const plx_model *model, const plx_validation *validation,
                 bool denoiser, uint64_t seed);

#endif
