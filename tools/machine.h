/* What the program runs on: processor, memory, and the libraries behind it. */
#ifndef PLX_TOOLS_MACHINE_H
#define PLX_TOOLS_MACHINE_H

#include <stddef.h>

void plx_machine_processor(char *out, size_t size); /* its model name, or "unknown" */
size_t plx_machine_cache(int level);                /* bytes of the data cache of level 1, 2, 3; 0: unknown */
size_t plx_machine_memory(void);                    /* bytes */

/* Calls `each` with the file name, version included, of every library of Parallax's that is loaded. */
void plx_machine_libraries(void (*each)(const char *file, void *user), void *user);

#endif
