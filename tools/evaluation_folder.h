/* Folders of pictures as other programs leave them, and which pictures of two folders belong together. */
#ifndef PLX_TOOLS_EVALUATION_FOLDER_H
#define PLX_TOOLS_EVALUATION_FOLDER_H

typedef struct plx_eval_pictures {
    char *name, *path; /* the object's; of its folder */
    int count;
    char **files; /* (count) sorted names of PNGs */
} plx_eval_pictures;

typedef struct plx_eval_folder {
    char *path;
    int count;
    plx_eval_pictures *objects; /* (count) sorted by name */
} plx_eval_folder;

/* Views by name or number, "64,104" (000064.png is 64); NULL: all, none. */
typedef struct plx_eval_choice {
    const char *only, *except;
} plx_eval_choice;

/* PNGs in the folder itself are one object, "."; otherwise each folder in it that holds PNGs is one (pixelNeRF's eval_out), or that
 * has them in its folder rgb (SRN) or image (NMR). Left out: names that begin with '.', pixelNeRF's _compare.png and
 * _depth_norm.png. PLX_ERROR_INPUT: no picture, pictures at both levels, or a view of `only` that an object has not. */
int plx_eval_folder_open(plx_eval_folder *out, const char *path, const plx_eval_choice *choice);
void plx_eval_folder_free(plx_eval_folder *folder);

/* PLX_ERROR_INPUT names the first object or picture that one has and the other has not. */
int plx_eval_folder_match(const plx_eval_folder *a, const plx_eval_folder *b);

#endif
