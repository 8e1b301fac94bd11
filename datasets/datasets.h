/* Data sets: the default object set (catalogue), readers and writers. Everything leaves here as plx_views in
 * the one camera convention. */
#ifndef PLX_DATASETS_H
#define PLX_DATASETS_H

#include "render/render.h"

/* ---- readers ------------------------------------------------------------------------------------------- */

typedef struct plx_dataset plx_dataset;

/* SRN folders ({object}/rgb, pose, intrinsics.txt; a folder of objects, of splits, or one object) or
 * transforms.json (NeRF-synthetic, nerfstudio). The kind is recognised from the folder. */
int plx_dataset_open(plx_dataset **out, const char *path);
void plx_dataset_free(plx_dataset *dataset);

const char *plx_dataset_kind(const plx_dataset *dataset); /* "srn", "transforms" */
int plx_dataset_count(const plx_dataset *dataset);        /* objects */
const char *plx_dataset_name(const plx_dataset *dataset, int object);
int plx_dataset_view_count(const plx_dataset *dataset, int object);

/* All views of an object, or (indices != NULL) the given ones; depth and normals where geometry EXRs stand
 * beside. */
int plx_dataset_load(const plx_dataset *dataset, int object, const int *indices, int count, plx_views *out);

/* Writes one object as an SRN folder DIR/NAME (rgb/%06d.png RGBA, pose/%06d.txt, intrinsics.txt, and
 * geometry/%06d.exr where the views have depth). */
int plx_srn_save(const char *directory, const plx_views *views);

/* ---- the default object set ---------------------------------------------------------------------------- */

enum plx_split { PLX_TRAIN, PLX_VALIDATION, PLX_TEST };

typedef struct plx_object {
    char *id; /* unique, a valid folder name */
    char *name, *class_name, *file /* relative to the data folder */, *licence, *credit, *group;
    char up;
    float rotation[9];
    enum plx_split split;
    bool train_ok; /* false for thin and flat things, which evaluation may still draw */
} plx_object;

typedef struct plx_catalogue {
    int count;
    plx_object *objects;
    char hash[65]; /* SHA-256 of the catalogue file, hex */
} plx_catalogue;

int plx_catalogue_load(plx_catalogue *out, const char *path);
void plx_catalogue_free(plx_catalogue *catalogue);
const char *plx_split_name(enum plx_split split); /* "train", "validation", "test" */

/* Loads an object's mesh from the unpacked data folder; `variant` 0 is the object as it is, 1.. are baked
 * variants (per-axis scale 0.7 to 1.4, a function of (id, variant)). */
int plx_object_scene(plx_scene **out, const plx_object *object, const char *data_directory, int variant);
plx_light plx_object_light(const plx_object *object, int variant); /* default for 0, jittered for others */

/* Cameras of the default set: azimuth uniform, sin(elevation) uniform over -3 to 60 degrees, distance 1.3,
 * PLX_DEFAULT_FOV; a function of (seed, object id, index). */
plx_camera plx_default_camera(uint64_t seed, const char *id, int index, int size);
/* ShapeNet-SRN's own patterns on the sphere of radius `distance`: random view i, and view i of n on the
 * spiral. */
plx_camera plx_srn_random_camera(uint64_t seed, const char *id, int index, int size);
plx_camera plx_srn_spiral_camera(int index, int count, int size);

#endif
