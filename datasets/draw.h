/* Inside datasets/ only: drawing a scene reflected, and framing an object. */
#ifndef PLX_DATASETS_DRAW_H
#define PLX_DATASETS_DRAW_H

#include "datasets/datasets.h"

/* Draws the scene, or (mirror) the scene reflected in y: y -> -y for its points and its light. */
int plx_draw_mirrored(const plx_scene *scene, plx_view *view, const plx_draw_options *options, bool mirror);

typedef struct plx_framing {
    float coverage; /* the longer side of the object's box in the image, over the frame's side */
    float offset
        [2]; /* of the box's centre, right and down, over the frame's side; less where it would be cut */
} plx_framing;

/* Turns and zooms a square camera about its position until the object is framed so. The object's box is found by drawing
 * it small; an object that cannot be seen leaves the camera as it is. */
int plx_frame_camera(plx_camera *camera, const plx_scene *scene, const plx_draw_options *options, bool mirror,
                     const plx_framing *framing);

#endif
