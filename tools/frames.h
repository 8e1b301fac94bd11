/* Frames of a field along a camera path, drawn and written: a video, one sheet, or numbered files. */
#ifndef PLX_TOOLS_FRAMES_H
#define PLX_TOOLS_FRAMES_H

#include "tools/parallax.h"

enum plx_picture { PLX_PICTURE_RGB, PLX_PICTURE_DEPTH, PLX_PICTURE_ALPHA, PLX_PICTURE_NORMAL, PLX_PICTURES };
#define PLX_PICTURE_WORDS "rgb|depth|alpha|normal"

typedef struct plx_frames {
    plx_field *field;
    const plx_path *path;
    const char *scene; /* the field's file: a render that is stopped goes on. NULL: it begins again */
    const char *stage; /* of the progress line; NULL: none */
    unsigned pictures; /* bit i: plx_picture i */
    bool exr;          /* numbered files are EXRs (plx_view_save), not PNGs */
    bool side_by_side; /* numbered PNGs show all pictures in one, as a video and a sheet do */
    int samples;       /* of a ray */
    bool all_space;    /* empty space is not skipped */
} plx_frames;

plx_frames plx_frames_default(plx_field *field, const plx_path *path);

/* output: a video (plx_video_is_name); FILE.png, a sheet of all frames in the path's columns; or a folder of numbered files, in
 * folders of their own (rgb/, depth/, ...) when there are several pictures. A folder of PNGs with colour has a
 * transforms.json. note: empty, or the line for the user when there is no ffmpeg.
 *
 * With a scene's name the frames that are finished stand in OUTPUT.partial until the end: the same call goes on after them, and
 * a different one is refused. Without, nothing is left of what was not finished. */
int plx_frames_write(const plx_frames *frames, const char *output, char note[256]);

#endif
