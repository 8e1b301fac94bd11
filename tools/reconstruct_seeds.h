/* What several seeds of one refinement make of the same picture: their views side by side, and how far they are apart. */
#ifndef PLX_TOOLS_RECONSTRUCT_SEEDS_H
#define PLX_TOOLS_RECONSTRUCT_SEEDS_H

#include <jansson.h>

#include "nerf/nerf.h"

enum { PLX_SEED_VIEWS = 8 }; /* once around at the input's elevation, from the input's azimuth on */

typedef struct plx_seed_views {
    int seeds;
    plx_image *images; /* (seeds, PLX_SEED_VIEWS), RGBA, of one size */
} plx_seed_views;

int plx_seed_views_create(plx_seed_views *out, int seeds);
void plx_seed_views_free(plx_seed_views *views);

/* Row `which`; `size` in pixels. */
int plx_seed_views_draw(plx_seed_views *views, int which, plx_field *field, const plx_camera *input,
                        int size);

/* A row a seed, a column a view, over white. */
int plx_seed_views_save(const plx_seed_views *views, const char *path);

/* deviation[view]: sqrt of the mean over pixels of the object (in any seed's view), channels and seeds of (colour over white - its
 * mean over the seeds)^2; 0 where nothing is seen. */
int plx_seed_spread(double deviation[PLX_SEED_VIEWS], const plx_seed_views *views);

/* Of the spread: the views within 60 degrees of azimuth from the input's, and those beyond 120. */
typedef struct plx_seed_sides {
    double seen, unseen;
} plx_seed_sides;
plx_seed_sides plx_seed_spread_sides(const double deviation[PLX_SEED_VIEWS]);

/* {"azimuth_degrees": [...], "deviation": [...], "seen", "unseen"}; a new reference. */
json_t *plx_seed_spread_json(const double deviation[PLX_SEED_VIEWS]);

#endif
