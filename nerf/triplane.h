/* Makes and names the triplane's frames. */
#ifndef PLX_TRIPLANE_H
#define PLX_TRIPLANE_H

#include "nerf/tensor/frame.h"

plx_frame plx_frame_make(enum plx_frame_kind kind, const plx_camera *camera, float radius);
const char *plx_frame_name(enum plx_frame_kind kind); /* "camera", "upright", "world" */
int plx_frame_kind_of(const char *name);              /* or -1 */

#endif
