/* Inside datasets/ only: the kinds of data sets that are written, each as SRN or as nerfstudio has it. */
#ifndef PLX_DATASETS_WRITER_H
#define PLX_DATASETS_WRITER_H

#include "datasets/reader.h"

struct plx_dataset_writer {
    const struct plx_writer_kind *kind;
    char *folder; /* DIRECTORY/NAME */
    int count, capacity;
    plx_camera *cameras; /* (count) of the views that are written */
    int depths;          /* how many of them have depth */
};

typedef struct plx_writer_kind {
    const char *name;
    const char *const *folders; /* made in the object's, NULL at the end */
    int (*add)(const plx_dataset_writer *writer,
               const plx_view *view); /* the next view, number writer->count */
    int (*finish)(
        const plx_dataset_writer *writer); /* writes the file without which the folder is no object */
    const char *last;                      /* that file's name */
} plx_writer_kind;

/* The object's PART/FILE, malloc'ed; PART, which only some views need, is made where it is not there. */
int plx_dataset_writer_part(char **path, const plx_dataset_writer *writer, const char *part,
                            const char *file);

/* The view's colours as the PNG NAME in the object's folder. Neither this nor other parts of a view wait for the disk: finishing the
 * object does, before its last file. */
int plx_dataset_writer_picture(const plx_dataset_writer *writer, const plx_view *view, const char *name);

extern const plx_writer_kind plx_srn_kind, plx_nerfstudio_kind;

#endif
