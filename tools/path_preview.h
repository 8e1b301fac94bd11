/* A camera path as a picture: the object or its sphere, a ring on the ground, the way, and cameras along it. */
#ifndef PLX_TOOLS_PATH_PREVIEW_H
#define PLX_TOOLS_PATH_PREVIEW_H

#include "tools/parallax.h"

/* Seen from above, far enough to show all of it. The cameras' colours go from blue to red, the first is green and thick; at
 * most 24 of a motion are drawn. field: the object, or NULL: a sphere of `radius` about the origin. out (H,W,3). */
int plx_path_preview(plx_image *out, const plx_path *path, plx_field *field, float radius, int width,
                     int height);

#endif
