/* Data sets: the default object set (catalogue), readers and writers. Everything leaves here as plx_views in
 * the one camera convention. Public.
 *
 *     #include "datasets/datasets.h"
 *     #include <stdio.h>
 *     // example DATA: the objects of a data set, and the first camera of each.
 *     int main(int count, char **words) {
 *         plx_dataset *dataset = NULL;
 *         int status = plx_dataset_open(&dataset, count > 1 ? words[1] : ".");
 *         for (int i = 0; !status && i < plx_dataset_count(dataset); i++) {
 *             plx_views views = {0};
 *             const int first = 0;
 *             status = plx_dataset_load(dataset, i, &first, 1, &views);
 *             if (!status)
 *                 printf("%s: %d views of %dx%d, vertical field of view %.1f degrees\n", plx_dataset_name(dataset, i),
 *                        plx_dataset_view_count(dataset, i), views.views[0].camera.width, views.views[0].camera.height,
 *                        (double)plx_camera_fov(&views.views[0].camera) * 57.29578);
 *             plx_views_free(&views);
 *         }
 *         if (status) fprintf(stderr, "%s\n", plx_error());
 *         plx_dataset_free(dataset);
 *         return status ? 1 : 0;
 *     }
 */
#ifndef PLX_DATASETS_H
#define PLX_DATASETS_H

#include "render/render.h"

/* ---- readers ------------------------------------------------------------------------------------------- */

typedef struct plx_dataset plx_dataset;

/* A folder in one of the field's layouts, recognised by what it holds: SRN ({object}/rgb, pose, intrinsics.txt),
 * transforms.json (NeRF-synthetic, nerfstudio, instant-ngp), NMR (image, mask, cameras.npz), zero123 (pictures beside .npy
 * poses), COLMAP text models (images, sparse/0). The folder is an object, or holds objects, or splits or classes of objects; a transforms.json may be named itself. No file that a data set names
 * may lie outside the object's folder, links followed. */
int plx_dataset_open(plx_dataset **out, const char *path);
void plx_dataset_free(plx_dataset *dataset);

const char *
plx_dataset_kind(const plx_dataset *dataset);      /* "srn", "transforms", "nmr", "zero123", "colmap" */
int plx_dataset_count(const plx_dataset *dataset); /* objects */
const char *plx_dataset_name(const plx_dataset *dataset, int object);
int plx_dataset_find(const plx_dataset *dataset, const char *name); /* the object's number, or -1 */
int plx_dataset_view_count(const plx_dataset *dataset, int object);
/* The name of the file that a view is read from, without its folder, or "" where the kind knows none. */
const char *plx_dataset_view_name(const plx_dataset *dataset, int object, int view);
/* What the source says was done to its poses (applied_transform, applied_scale), or NULL. Nothing is undone. */
const char *plx_dataset_note(const plx_dataset *dataset, int object);

/* All views of an object, or (indices != NULL) the given ones; depth and normals where geometry EXRs stand
 * beside. */
int plx_dataset_load(const plx_dataset *dataset, int object, const int *indices, int count, plx_views *out);

/* ---- writers ------------------------------------------------------------------------------------------- */

/* One object as the folder DIRECTORY/NAME, of kind "srn" (rgb, pose, intrinsics.txt; geometry/%06d.exr of views with depth
 * and normals) or "nerfstudio" (images, transforms.json). It is an object once it is finished; what an unfinished one
 * leaves is no data set. */
typedef struct plx_dataset_writer plx_dataset_writer;

int plx_dataset_writer_open(plx_dataset_writer **out, const char *kind, const char *directory,
                            const char *name);
int plx_dataset_writer_add(plx_dataset_writer *writer, const plx_view *view);
int plx_dataset_writer_finish(plx_dataset_writer *writer);
void plx_dataset_writer_free(plx_dataset_writer *writer);
const char *plx_dataset_writer_folder(const plx_dataset_writer *writer); /* DIRECTORY/NAME */

bool plx_dataset_is_written(const char *kind, const char *directory, const char *name); /* finished */
int plx_dataset_save(const char *kind, const char *directory,
                     const plx_views *views); /* all in one, views->name */

/* transforms.json of pictures FOLDER/00000.png... (folder "": beside it) and depths DEPTHS/00000.png... (NULL: none), one
 * a camera. */
int plx_transforms_save(const char *file, const char *folder, const char *depths, int count,
                        const plx_camera *cameras);

/* ---- the default object set ---------------------------------------------------------------------------- */

enum plx_split { PLX_TRAIN, PLX_VALIDATION, PLX_TEST };

typedef struct plx_object {
    char *id; /* unique, a valid folder name */
    char *name, *class_name, *file /* relative to the data folder */, *licence, *credit, *group;
    char *
        textures; /* folder of them, relative to the data folder too: an airliner's livery. NULL: where the file says */
    char up;
    float rotation[9];
    enum plx_split split;
    bool train_ok; /* false for thin and flat things, which evaluation may still draw */
    bool foreign;  /* not of a catalogue: its file is read in a process of its own */
} plx_object;

typedef struct plx_catalogue {
    int count;
    plx_object *objects;
    char hash[65]; /* SHA-256 of the catalogue file, hex; of several, of one after the other */
} plx_catalogue;

/* `paths`: a file, or several with commas between them. */
int plx_catalogue_load(plx_catalogue *out, const char *paths);
void plx_catalogue_free(plx_catalogue *catalogue);
/* Its licence lets a model that learned from it be given away: CC0 or CC-BY. Others are for training and evaluation here. */
bool plx_object_is_free(const plx_object *object);
const char *plx_split_name(enum plx_split split); /* "train", "validation", "test" */

/* The half that the objects of a group are in, 0 or 1: a hash of its name, so that near-identical ones stay together. Two fields
 * that learn from a half each leave every object with a field that did not see it. */
enum { PLX_FOLDS = 2, PLX_ALL_FOLDS = -1 };
int plx_fold_of(const char *group);

/* Objects that are fit for training. */
typedef struct plx_selection {
    enum plx_split split;
    int fold;  /* one half alone, or PLX_ALL_FOLDS */
    int limit; /* no more than so many, the first of the catalogue; 0 = all */
} plx_selection;

/* Their numbers in the catalogue, ascending, into `indices` (catalogue->count). Returns how many. */
int plx_catalogue_select(const plx_catalogue *catalogue, const plx_selection *selection, int *indices);

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

/* The evaluation protocol: views[0] is the input, views[1..PLX_PROTOCOL_TARGETS] are the targets, default cameras of
 * seed 1, drawn with depth and 16 samples a pixel. */
#define PLX_PROTOCOL_SEED 1
#define PLX_PROTOCOL_TARGETS 8
int plx_protocol_views(plx_views *out, const plx_object *object, const char *data_directory, int size);

/* ---- training samples, drawn live ---------------------------------------------------------------------------------- */

typedef struct plx_training_set plx_training_set;

/* Loads the selected objects; all threads. The catalogue must outlive the set. */
int plx_training_set_open(plx_training_set **out, const plx_catalogue *catalogue,
                          const plx_selection *selection, const char *data_directory,
                          plx_progress_fn progress, void *user);
void plx_training_set_free(plx_training_set *set);
int plx_training_set_count(const plx_training_set *set);
const plx_object *plx_training_set_object(const plx_training_set *set, int index);

typedef struct plx_sample_options {
    uint64_t seed, step; /* a sample is a function of (seed, step, item) and the options below */
    int item;
    int size, targets; /* pixels a side; target views beside the input */
    int samples;       /* per pixel, a square number */
    int variants;      /* an object is drawn as variant 0 .. variants-1: scale and light. 1 = as it is */
    bool mirror;       /* half of the samples: world reflected in y */
    bool recolour;     /* half of the samples: channels permuted; all: gains. The same for all views */
    bool
        framing; /* the input camera is turned and zoomed: the object covers 45 to 90 % of the frame, its centre
                        * off by up to 8 %. Otherwise it looks at the origin at the default fov */
    bool
        far_targets; /* every other target is more than 60 degrees of azimuth from the input, the rest less */
} plx_sample_options;
plx_sample_options plx_sample_options_default(void);

/* out: views[0] is the input, with depth and normals; views[1..targets] have depth. Objects are drawn so that the groups
 * of a class are equally likely, and a class in proportion to the square root of its number of groups.
 * Runs in the calling thread only; several may call it at once. */
int plx_training_sample(const plx_training_set *set, const plx_sample_options *options, plx_views *out,
                        int *object_index);

#endif
