/* Folders of pictures as other programs leave them, and which pictures of two folders belong together. */
#ifndef PLX_TOOLS_EVALUATION_FOLDER_H
#define PLX_TOOLS_EVALUATION_FOLDER_H

#include <stdbool.h>

#include "datasets/datasets.h"

typedef struct plx_eval_pictures {
    char *name, *path; /* the object's; of its folder */
    char *
        class_name; /* chairs of a data set's chairs/1a2b, or (pixelNeRF's) 02958343 of a folder 02958343_1a2b; or NULL */
    int count;
    char **files; /* (count) sorted names of PNGs */
    int object;   /* of a data set: which it is, */
    int *views;   /* (count) and which of its views, else NULL */
} plx_eval_pictures;

typedef struct plx_eval_folder {
    char *path;
    int count;
    plx_eval_pictures *objects; /* (count) sorted by name */
    plx_dataset *dataset;       /* where the pictures are views of one, else NULL */
} plx_eval_folder;

/* Views by name or number, "64,104" (000064.png and r_64.png are 64); NULL: all, none. */
typedef struct plx_eval_choice {
    const char *only, *except;
} plx_eval_choice;

bool plx_eval_is_chosen(const plx_eval_choice *choice, const char *file);
size_t plx_eval_stem(const char *file); /* the length of a file's name without its ending */
long plx_eval_number(const char *file); /* the number that this ends in, or -1 */

/* PNGs in the folder itself are one object, "."; otherwise each folder in it that holds PNGs is one (pixelNeRF's eval_out), or that
 * has them in its folder rgb (SRN) or image (NMR). Left out: names that begin with '.', pixelNeRF's _compare.png and
 * _depth_norm.png. PLX_ERROR_INPUT: no picture, pictures at both levels, or a view of `only` that an object has not. */
int plx_eval_folder_open(plx_eval_folder *out, const char *path, const plx_eval_choice *choice);
void plx_eval_folder_free(plx_eval_folder *folder);

/* PLX_ERROR_INPUT names the first object or picture that one has and the other has not. */
int plx_eval_folder_match(const plx_eval_folder *a, const plx_eval_folder *b);

/* The true pictures of the same objects and views as `like`, in its order and by its names. Of a data set, if the path is
 * one: an object or view is known by its name, a view also by its number; a data set of one object is that of a folder without
 * objects. Otherwise of a folder, which has all names alike. PLX_ERROR_INPUT names the first that one has and the other
 * has not. */
int plx_eval_truth_open(plx_eval_folder *out, const char *path, const plx_eval_choice *choice,
                        const plx_eval_folder *like);

/* Picture k of an object: (H,W,4), or (H,W,3) where it has no opacity. Several threads may. */
int plx_eval_picture_load(plx_image *out, const plx_eval_folder *folder, int object, int k);

#endif
