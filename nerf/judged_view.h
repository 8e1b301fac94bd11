/* What every consistency score takes: views that are sound, and their colours as they are judged. Inside nerf/ only. */
#ifndef PLX_NERF_JUDGED_VIEW_H
#define PLX_NERF_JUDGED_VIEW_H

#include "nerf/core/views.h"

/* PLX_ERROR_INPUT names the view and what is wrong: no image of its camera's size, a camera that cannot be, pixels that are no
 * numbers. */
int plx_judged_view_check(const plx_views *views, int index);

/* (H,W,3) over white, in steps of 1/255. */
int plx_judged_view_colour(plx_image *out, const plx_view *view);

#endif
