/* Errors. What the world can cause (files, devices, options, memory, disk) returns a negative plx_status and
 * leaves one line in plx_error(); what only a programmer can cause (shapes, NULL) is a PLX_CHECK, which
 * aborts. */
#ifndef PLX_CORE_ERROR_H
#define PLX_CORE_ERROR_H

#include <stdbool.h>

enum plx_status {
    PLX_OK = 0,
    PLX_ERROR_INPUT = -1,     /* a file, option or value that is not what it should be */
    PLX_ERROR_IO = -2,        /* the system refused: missing file, no permission, full disk */
    PLX_ERROR_MEMORY = -3,    /* allocation failed, or a stated cap was passed */
    PLX_ERROR_SUPPORT = -4,   /* right in itself, but not in this build or version */
    PLX_ERROR_NUMERIC = -5,   /* NaN or Inf where a number must be */
    PLX_ERROR_CANCELLED = -6, /* a progress callback returned non-zero */
};

/* The last error line of this thread: names the file and the thing, no newline. Never NULL. */
const char *plx_error(void);

/* Sets this thread's error line and returns `status`:  return plx_fail(PLX_ERROR_IO, "%s: %s", path, why); */
int plx_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the present line and returns `status`; for callers that know the file's name. */
int plx_fail_in(int status, const char *prefix);

/* The hook is called with one line before abort(); NULL restores the default, which prints to stderr. It may
 * longjmp (tests do). */
typedef void (*plx_check_hook)(const char *line);
void plx_set_check_hook(plx_check_hook hook);
void plx_check_failed(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* PLX_CHECK(ndim == 4, "conv2d: input has %d dimensions, not 4", ndim); */
#define PLX_CHECK(condition, ...)                                            \
    do {                                                                     \
        if (!(condition)) plx_check_failed(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

#endif
