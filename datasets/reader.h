/* Inside datasets/ only: what the readers share. */
#ifndef PLX_DATASETS_READER_H
#define PLX_DATASETS_READER_H

#include "datasets/datasets.h"

/* One object of a data set as it was found on opening; its images are read on loading. */
typedef struct plx_source {
    char *name, *note; /* note may be NULL */
    char *path;        /* SRN: the object's folder; transforms: the JSON file */
    int views;
    char **stems;              /* SRN: (views) file names without ending, sorted; transforms: NULL */
    struct plx_frames *frames; /* transforms: what the JSON file says; SRN: NULL */
} plx_source;

struct plx_dataset {
    const char *kind;
    /* Reads view `index` into *view; sets what it knows of views->near, far and has_alpha. */
    int (*load)(const plx_source *source, int index, plx_view *view, plx_views *views);
    int count, capacity;
    plx_source *sources;
};

/* Appends a source, which it then owns; on failure the source is freed. */
int plx_dataset_add(plx_dataset *dataset, plx_source *source);
void plx_source_free(plx_source *source);

/* True if a folder holds one SRN object. */
bool plx_srn_is_object(const char *path);
int plx_srn_add(plx_dataset *dataset, const char *path, const char *name);
int plx_srn_load_view(const plx_source *source, int index, plx_view *view, plx_views *views);

/* True if a file is called transforms.json or transforms_NAME.json. */
bool plx_transforms_is_file(const char *path);
int plx_transforms_add(plx_dataset *dataset, const char *path, const char *name);
void plx_frames_free(struct plx_frames *frames);
int plx_transforms_load_view(const plx_source *source, int index, plx_view *view, plx_views *views);

/* The names in a folder, sorted, without those that start with '.'. Free each and the array. */
int plx_folder_list(char ***names, int *count, const char *path);
void plx_names_free(char **names, int count);

/* Three channels get an opacity of 1. */
int plx_widen_to_rgba(plx_image *image);
bool plx_has_opacity(const plx_image *rgba); /* some pixel is not opaque */

/* True for a relative path that stays inside its folder: not empty, not absolute, no ".." part. */
bool plx_path_inside(const char *path);
char *plx_path_join(const char *folder, const char *name); /* malloc'ed; NULL when out of memory */

/* The per-axis scale of a baked variant; 1 for variant 0. */
void plx_object_scale(const plx_object *object, int variant, float scale[3]);

#endif
