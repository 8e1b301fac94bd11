#include "nerf/core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char error_line[1024];
static plx_check_hook check_hook;

const char *plx_error(void) {
    return error_line;
}

/* One line stays one line, whatever a file name holds. */
static void flatten(char *line) {
    for (; *line; line++)
        if ((unsigned char)*line < ' ') *line = ' ';
}

int plx_fail(int status, const char *format, ...) {
    char line[sizeof error_line]; /* an argument may be plx_error() itself */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    flatten(line);
    memcpy(error_line, line, sizeof error_line);
    return status;
}

int plx_fail_in(int status, const char *prefix) {
    char line[sizeof error_line];
    memcpy(line, error_line, sizeof line);
    return plx_fail(status, "%s: %s", prefix, line);
}

void plx_set_check_hook(plx_check_hook hook) {
    check_hook = hook;
}

_Noreturn void plx_check_failed(const char *file, int line, const char *format, ...) {
    char text[1024];
    int used = snprintf(text, sizeof text, "%s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    if (used >= 0 && used < (int)sizeof text)
        vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    if (check_hook)
        check_hook(text);
    else
        fprintf(stderr, "%s\n", text);
    abort();
}
