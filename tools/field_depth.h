/* Depth of views from a field. */
#ifndef PLX_TOOLS_FIELD_DEPTH_H
#define PLX_TOOLS_FIELD_DEPTH_H

#include "nerf/nerf.h"

/* Every view's depth becomes what the field has there. PLX_ERROR_CANCELLED after SIGINT. */
int plx_field_depth(plx_views *views, plx_field *field);

#endif
