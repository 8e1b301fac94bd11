/* Inside render/ only. */
#ifndef PLX_RENDER_TEXTURE_FIND_H
#define PLX_RENDER_TEXTURE_FIND_H

#include <stdbool.h>

#define PLX_PATH_SIZE 4096

/* The file that a material means by `name`: below `folder`, else `further` (or NULL), else
 * folder/textures, folder/../textures, folder/../materials/textures; with backslashes, in
 * another case, percent-encoded; of an absolute name only the last part is looked for. */
bool plx_texture_find(const char *name, const char *folder, const char *further, char path[PLX_PATH_SIZE]);

#endif
