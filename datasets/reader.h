/* Inside datasets/ only: what the readers share. */
#ifndef PLX_DATASETS_READER_H
#define PLX_DATASETS_READER_H

#include "datasets/datasets.h"

/* One object of a data set as it was found on opening; its images are read on loading. */
typedef struct plx_source {
    char *name, *note; /* note may be NULL */
    char *path;        /* what errors name: the object's folder, or its JSON file */
    char *folder;      /* all its files lie inside */
    char *fault;       /* NULL, or why none of its views is loaded: what was seen on opening */
    int views;
    const struct plx_reader *reader;
    void *own; /* the reader's */
} plx_source;

/* A kind of data set. The table of them is in dataset.c; the first whose probe says yes reads the data set. */
typedef struct plx_reader {
    const char *kind;
    const char *looks;               /* what a folder of this kind holds, for the user */
    bool (*probe)(const char *path); /* objects of this kind are right in this folder, or are this file */
    /* Adds them by plx_dataset_add. `name` is the path below the data set's folder, "" for that folder itself. */
    int (*open)(plx_dataset *dataset, const char *path, const char *name);
    /* Reads view `index` into *view; sets what it knows of views->near, far and has_alpha. */
    int (*view)(const plx_source *source, int index, plx_view *view, plx_views *views);
    void (*close)(void *own);                                 /* NULL is fine */
    const char *(*name)(const plx_source *source, int index); /* of a view's file; NULL: it has none */
} plx_reader;

extern const plx_reader plx_transforms_reader, plx_srn_reader, plx_nmr_reader, plx_zero123_reader,
    plx_colmap_reader;

struct plx_dataset {
    const plx_reader *reader;
    int count, capacity;
    plx_source *sources;
};

/* Sets name ("": the path's last part), path and folder of a new source; on failure it is to be freed all the same. */
int plx_source_create(plx_source *source, const plx_reader *reader, const char *name, const char *path,
                      const char *folder);
void plx_source_free(plx_source *source);
/* Appends a source, which it then owns; on failure the source is freed. */
int plx_dataset_add(plx_dataset *dataset, plx_source *source);
/* Appends an object whose views are the wanted files of its folder `part`; they are its plx_names. PLX_ERROR_INPUT where
 * there are none. */
int plx_dataset_add_files(plx_dataset *dataset, const plx_reader *reader, const char *path, const char *name,
                          const char *part, bool (*wanted)(const char *name));

/* The wanted files of the source's folder `part` ("": itself) that have no partner of their stem among its plx_names are its fault: with
 * a view missing, the later ones' numbers would mean others. */
int plx_source_pair(plx_source *source, const char *part, bool (*wanted)(const char *name));

/* The path of a file that must be in the source's folder, links followed; malloc'ed. PLX_ERROR_IO where it is not there,
 * PLX_ERROR_INPUT where it leads out. */
int plx_source_file(char **out, const plx_source *source, const char *name);

/* ---- files and folders (folder.c) ---------------------------------------------------------------------------------- */

/* The names in a folder, sorted, without those that start with '.'. Free each and the array. */
int plx_folder_list(char ***names, int *count, const char *path);
void plx_names_free(char **names, int count);

/* True for a relative path that stays inside its folder: not empty, not absolute, no ".." part. */
bool plx_path_inside(const char *path);
char *plx_path_join(const char *folder, const char *name); /* malloc'ed; NULL when out of memory */

bool plx_is_folder(const char *path);
bool plx_is_file(const char *path);
bool plx_folder_holds(const char *folder, const char *name,
                      bool (*kind)(const char *path)); /* kind: one of the two */

/* Some of the names in a folder, sorted: what SRN-like readers keep of an object. */
typedef struct plx_names {
    int count;
    char **names;
} plx_names;
int plx_names_list(plx_names **out, const char *folder, bool (*wanted)(const char *name));
void plx_names_close(void *names);
const char *plx_names_view(const plx_source *source,
                           int index); /* of a source whose own they are, one a view */
bool plx_is_picture(const char *name); /* by its ending: PNG or JPEG */
/* "FOLDER/STEM.ENDING" of "STEM.anything"; the folder and its '/' are left out where it is "". malloc'ed. */
char *plx_name_with(const char *folder, const char *name, const char *ending);

/* ---- pictures (picture.c) ------------------------------------------------------------------------------------------ */

/* Loads a file of the source as the view's colour, RGBA; an opacity below 1 sets views->has_alpha. */
int plx_view_picture(plx_view *view, plx_views *views, const plx_source *source, const char *name);
/* What the mask blackens is no part of the object: opacity 0, and views->has_alpha. */
int plx_view_mask(plx_view *view, plx_views *views, const plx_source *source, const char *name);
/* A picture of the same size as the view's colour. */
int plx_picture_beside(plx_image *out, const plx_view *view, const plx_source *source, const char *name);

/* ---- poses and numbers (pose.c) ------------------------------------------------------------------------------------ */

#define PLX_POSE_TOLERANCE \
    1e-3f /* how far a rotation may be from orthonormal: text files have about 6 digits */

/* Right, down, forward (OpenCV) -> right, up, back: times diag(1,-1,-1,1). The same turns ours into OpenCV's. */
void plx_pose_turn_axes(double c2w[12]);
/* [R t] -> [R' -R't]: world-to-camera <-> camera-to-world, for a rotation R. */
void plx_pose_invert(double out[12], const double in[12]);
/* Sets c2w; PLX_ERROR_INPUT if it is no rotation and position or the camera's other numbers are no camera. */
int plx_pose_set(plx_camera *camera, const double c2w[12]);

/* Reads up to `capacity` finite numbers from a text, up to its end or (line) the line's end; returns how many there were,
 * or -1 for anything else. *text moves behind what was read. */
int plx_numbers_read(const char **text, bool line, double *out, int capacity);

/* ---- the catalogue ------------------------------------------------------------------------------------------------- */

/* The per-axis scale of a baked variant; 1 for variant 0. */
void plx_object_scale(const plx_object *object, int variant, float scale[3]);

#endif
