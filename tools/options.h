/* Options: one table a subcommand, from which parsing, --help and the record of a run (JSON) come.
 *
 *   typedef struct render_values { const char *output; int frames, size[2], path; float fov; } render_values;
 *   static const plx_option render_table[] = {
 *       {PLX_OPTION_TEXT, "output", 'o', offsetof(render_values, output), NULL, .word = "FILE", .help = "where to"},
 *       {PLX_OPTION_INT, "frames", 'n', offsetof(render_values, frames), "48", 1, 100000, .help = "frames"},
 *       {PLX_OPTION_FLOAT, "fov", 0, offsetof(render_values, fov), "51.989", 0, 180, .open = true, .word = "DEG",
 *        .help = "vertical field of view"},
 *       {PLX_OPTION_CHOICE, "path", 0, offsetof(render_values, path), "orbit", .word = "orbit|spiral", .help = "..."},
 *       {PLX_OPTION_SIZE, "size", 0, offsetof(render_values, size), "256", 1, 16384, .help = "of the frames"},
 *       {.type = PLX_OPTION_END}};
 *
 * Every command also takes --help, --quiet and --threads; those that compute take --device and --precision. */
#ifndef PLX_OPTIONS_H
#define PLX_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What is wrong with a command line, as a status beside those of nerf/core/error.h: exit code 2. */
#define PLX_ERROR_USAGE (-100)

enum plx_option_type { /* the value in the command's struct */
                       PLX_OPTION_END,
                       PLX_OPTION_FLAG,   /* bool; takes no value, default false */
                       PLX_OPTION_INT,    /* int */
                       PLX_OPTION_INT64,  /* int64_t; min and max hold up to 2^53 */
                       PLX_OPTION_FLOAT,  /* float; NAN without a default */
                       PLX_OPTION_TEXT,   /* const char *; NULL without a default */
                       PLX_OPTION_CHOICE, /* int: which of the words */
                       PLX_OPTION_SET,    /* unsigned: bit i for word i; typed as a list with commas */
                       PLX_OPTION_SIZE,   /* int[2]: width, height; typed as WxH, or as one number for both */
                       PLX_OPTION_LIST,   /* plx_list: a text each time that the option is given */
};

typedef struct plx_list {
    int count;
    char **items;
} plx_list;

typedef struct plx_option {
    enum plx_option_type type;
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    size_t offset;    /* of the value in the command's struct */
    const char
        *value; /* the default, as it would be typed; NULL: none (INT: 0, CHOICE: -1, SET, SIZE, LIST: 0) */
    double min, max;  /* INT, FLOAT, SIZE: the range, checked unless both are 0 */
    bool open;        /* the ends are not in the range */
    const char *word; /* CHOICE, SET: the words, "none|paper|blend"; else what --help calls the value */
    const char *help; /* one line */
} plx_option;

struct plx_run;

typedef struct plx_command {
    const char *name;                 /* one word, or two: "dataset render" */
    const char *arguments;            /* as --help shows them: "IMAGE...", "[FILE...]" */
    const char *summary;              /* one line */
    int min_arguments, max_arguments; /* max -1: any number */
    const plx_option *options;
    size_t values_size; /* of the struct that the options' offsets are in */
    bool computes;      /* on tensors: takes --device */
    /* Returns a status; main prints plx_error() of what is not PLX_OK. */
    int (*run)(const struct plx_run *run);
} plx_command;

/* A command line, parsed. */
typedef struct plx_run {
    const plx_command *command;
    void *values; /* the command's struct */
    int count;
    char **arguments; /* (count) */
    struct plx_common {
        bool help, quiet;
        int threads; /* 0: all */
        const char *device;
        int precision;
    } common;
    bool *given; /* by index into the table: stood on the command line */
} plx_run;

/* words[0] is skipped. PLX_ERROR_USAGE says in plx_error() what is wrong. With --help nothing else is checked. */
int plx_run_parse(plx_run *out, const plx_command *command, int count, char **words);
void plx_run_free(plx_run *run);
/* Chooses the device of a command that computes. */
int plx_run_use_device(const plx_run *run);

/* True if the option stood on the command line, so that it is not the default. */
bool plx_run_given(const plx_run *run, const char *name);

void plx_command_help(const plx_command *command, FILE *out);

/* {"command", "arguments", "options": {name: value}}: what was asked for, defaults included; a new reference. */
json_t *plx_run_record(const plx_run *run);

#endif
