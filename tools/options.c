#include "tools/options.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

#include "tools/parallax.h"

static const char precisions[] = "f32|tf32|bf16";

/* The first DEVICE_OPTIONS are of commands that compute. */
enum { DEVICE_OPTIONS = 2 };
static const plx_option common_options[] = {
    {PLX_OPTION_TEXT, "device", 0, offsetof(struct plx_common, device), "auto", .word = "auto|cpu|cuda[:N]",
     .help = "what computes; auto: an NVIDIA card where this program is built for them and there is one"},
    {PLX_OPTION_CHOICE, "precision", 0, offsetof(struct plx_common, precision), "f32", .word = precisions,
     .help = "cuda: how products take their factors; all that is kept is float32"},
    {PLX_OPTION_INT, "threads", 0, offsetof(struct plx_common, threads), NULL, 1, 1024,
     .help = "threads to use (default: all)"},
    {PLX_OPTION_FLAG, "quiet", 'q', offsetof(struct plx_common, quiet), .help = "no progress, no notes"},
    {PLX_OPTION_FLAG, "help", 'h', offsetof(struct plx_common, help), .help = "show this"},
    {.type = PLX_OPTION_END}};

static int count_options(const plx_option *options) {
    int count = 0;
    while (options && options[count].type != PLX_OPTION_END) count++;
    return count;
}

static int count_all(const plx_command *command) {
    return count_options(command->options) + count_options(common_options) -
           (command->computes ? 0 : DEVICE_OPTIONS);
}

/* The command's options come first, then the common ones. */
static const plx_option *option_at(const plx_command *command, int index) {
    int own = count_options(command->options);
    return index < own ? &command->options[index]
                       : &common_options[index - own + (command->computes ? 0 : DEVICE_OPTIONS)];
}

static void *value_at(const plx_run *run, int index) {
    bool own = index < count_options(run->command->options);
    char *base = own ? run->values : (char *)(uintptr_t)&run->common;
    return base + option_at(run->command, index)->offset;
}

/* ---- words --------------------------------------------------------------------------------------------- */

/* Which of "a|b|c" the first `length` characters of `text` are, or -1. */
static int word_index(const char *words, const char *text, size_t length) {
    for (int i = 0;; i++) {
        size_t n = strcspn(words, "|");
        if (n == length && !strncmp(words, text, n)) return i;
        if (!words[n]) return -1;
        words += n + 1;
    }
}

static int word_length(const char *words, int index, const char **start) {
    while (index-- > 0) words += strcspn(words, "|") + 1;
    *start = words;
    return (int)strcspn(words, "|");
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static int bad_value(const plx_option *option, const char *text, const char *why) {
    return plx_fail(PLX_ERROR_USAGE, "--%s %s: %s", option->name, text, why);
}

static int check_range(const plx_option *option, const char *text, double value) {
    if (option->min == 0 && option->max == 0) return PLX_OK;
    bool inside = option->open ? value > option->min && value < option->max
                               : value >= option->min && value <= option->max;
    if (inside) return PLX_OK;
    return plx_fail(PLX_ERROR_USAGE,
                    option->open ? "--%s %s: must be between %.16g and %.16g, both excluded"
                                 : "--%s %s: must be from %.16g to %.16g",
                    option->name, text, option->min, option->max);
}

static int parse_integer(const plx_option *option, const char *text, int64_t least, int64_t most,
                         int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end) return bad_value(option, text, "not a whole number");
    if (errno || value < least || value > most) return bad_value(option, text, "too large a number");
    *out = value;
    return check_range(option, text, (double)value);
}

static int parse_float(const plx_option *option, const char *text, float *out) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite((float)value)) return bad_value(option, text, "not a number");
    *out = (float)value;
    return check_range(option, text, value);
}

static int parse_set(const plx_option *option, const char *text, unsigned *out) {
    *out = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        int word = word_index(option->word, at, length);
        if (word < 0)
            return plx_fail(PLX_ERROR_USAGE, "--%s %s: '%.*s' is none of %s", option->name, text, (int)length,
                            at, option->word);
        *out |= 1u << word;
        at += length;
        if (!*at) return PLX_OK;
    }
}

static int parse_size(const plx_option *option, const char *text, int out[2]) {
    char *end;
    errno = 0;
    long width = strtol(text, &end, 10), height = width;
    bool wrong = end == text;
    if (!wrong && *end == 'x') {
        const char *second = end + 1;
        height = strtol(second, &end, 10);
        wrong = end == second;
    }
    if (wrong || *end || errno || labs(width) > INT_MAX || labs(height) > INT_MAX)
        return bad_value(option, text, "not a size such as 256 or 320x240");
    out[0] = (int)width;
    out[1] = (int)height;
    int status = check_range(option, text, (double)width);
    return status ? status : check_range(option, text, (double)height);
}

static int add_item(plx_list *list, const char *text) {
    char **items = realloc(list->items, ((size_t)list->count + 1) * sizeof *items);
    if (items) list->items = items;
    char *item = items ? strdup(text) : NULL;
    if (!item) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    list->items[list->count++] = item;
    return PLX_OK;
}

static int parse_value(const plx_option *option, const char *text, void *value) {
    int64_t integer = 0;
    int status;
    switch (option->type) {
    case PLX_OPTION_END:
        break;
    case PLX_OPTION_FLAG:
        *(bool *)value = true;
        break;
    case PLX_OPTION_INT:
        if ((status = parse_integer(option, text, INT_MIN, INT_MAX, &integer))) return status;
        *(int *)value = (int)integer;
        break;
    case PLX_OPTION_INT64:
        return parse_integer(option, text, INT64_MIN, INT64_MAX, value);
    case PLX_OPTION_FLOAT:
        return parse_float(option, text, value);
    case PLX_OPTION_TEXT:
        free(*(char **)value);
        *(char **)value = strdup(text);
        if (!*(char **)value) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
        break;
    case PLX_OPTION_CHOICE:
        *(int *)value = word_index(option->word, text, strlen(text));
        if (*(int *)value < 0)
            return plx_fail(PLX_ERROR_USAGE, "--%s %s: must be one of %s", option->name, text, option->word);
        break;
    case PLX_OPTION_SET:
        return parse_set(option, text, value);
    case PLX_OPTION_SIZE:
        return parse_size(option, text, value);
    case PLX_OPTION_LIST:
        return add_item(value, text);
    }
    return PLX_OK;
}

static void set_default(const plx_option *option, void *value) {
    if (option->value) {
        int status = parse_value(option, option->value, value);
        PLX_CHECK(status == PLX_OK, "the table of options is wrong: %s", plx_error());
    } else if (option->type == PLX_OPTION_FLOAT)
        *(float *)value = NAN;
    else if (option->type == PLX_OPTION_CHOICE)
        *(int *)value = -1;
}

/* ---- parsing, by popt -------------------------------------------------------------------------------------- */

/* popt's table: it cuts the command line, the values are read above. val is the index + 1. */
static struct poptOption *popt_table(const plx_command *command, char **descriptions) {
    int count = count_all(command);
    struct poptOption *table = calloc((size_t)count + 1, sizeof *table);
    for (int i = 0; table && i < count; i++) {
        const plx_option *option = option_at(command, i);
        static const char *const words[] = {
            [PLX_OPTION_INT] = "N",     [PLX_OPTION_INT64] = "N",      [PLX_OPTION_FLOAT] = "X",
            [PLX_OPTION_TEXT] = "TEXT", [PLX_OPTION_SET] = "WORD,...", [PLX_OPTION_SIZE] = "WxH",
            [PLX_OPTION_LIST] = "TEXT"};
        bool flag = option->type == PLX_OPTION_FLAG, set = option->type == PLX_OPTION_SET;
        table[i] = (struct poptOption){.longName = option->name,
                                       .shortName = option->letter,
                                       .argInfo = flag ? POPT_ARG_NONE : POPT_ARG_STRING,
                                       .val = i + 1,
                                       .descrip = descriptions ? descriptions[i] : NULL,
                                       .argDescrip = flag                   ? NULL
                                                     : option->word && !set ? option->word
                                                                            : words[option->type]};
    }
    return table;
}

static int parse_words(plx_run *run, poptContext context) {
    for (int index; (index = poptGetNextOpt(context)) != -1;) {
        if (index < -1) {
            const char *word = poptBadOption(context, POPT_BADOPTION_NOALIAS);
            if (index == POPT_ERROR_BADOPT) return plx_fail(PLX_ERROR_USAGE, "unknown option %s", word);
            if (index == POPT_ERROR_NOARG) return plx_fail(PLX_ERROR_USAGE, "%s needs a value", word);
            return plx_fail(PLX_ERROR_USAGE, "%s: %s", word, poptStrerror(index));
        }
        char *text = poptGetOptArg(context);
        int status = parse_value(option_at(run->command, index - 1), text, value_at(run, index - 1));
        free(text);
        if (status) return status;
        run->given[index - 1] = true;
    }
    const char **arguments = poptGetArgs(context);
    for (; arguments && arguments[run->count]; run->count++) {
        run->arguments[run->count] = strdup(arguments[run->count]);
        if (!run->arguments[run->count]) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    }
    return PLX_OK;
}

static int check_arguments(const plx_run *run) {
    const plx_command *command = run->command;
    if (run->count < command->min_arguments)
        return plx_fail(PLX_ERROR_USAGE, "missing argument: %s", command->arguments);
    if (command->max_arguments >= 0 && run->count > command->max_arguments)
        return plx_fail(PLX_ERROR_USAGE, "one argument too many: %s", run->arguments[command->max_arguments]);
    return PLX_OK;
}

int plx_run_use_device(const plx_run *run) {
    if (!run->command->computes) return PLX_OK;
    const char *start;
    char precision[8];
    int length = word_length(precisions, run->common.precision, &start);
    snprintf(precision, sizeof precision, "%.*s", length, start);
    return plx_device_use(run->common.device, precision);
}

int plx_run_parse(plx_run *out, const plx_command *command, int count, char **words) {
    int options = count_all(command);
    *out = (plx_run){.command = command,
                     .values = calloc(1, command->values_size + 1),
                     .arguments = calloc((size_t)count + 1, sizeof *out->arguments),
                     .given = calloc((size_t)options, sizeof *out->given)};
    struct poptOption *table = popt_table(command, NULL);
    poptContext context = NULL;
    int status = PLX_OK;
    if (out->values && out->arguments && out->given && table)
        context = poptGetContext(NULL, count, (const char **)(uintptr_t)words, table, 0);
    if (!context) {
        status = plx_fail(PLX_ERROR_MEMORY, "out of memory");
        goto done;
    }
    for (int i = 0; i < options; i++) set_default(option_at(command, i), value_at(out, i));
    status = parse_words(out, context);
    if (!status && !out->common.help) status = check_arguments(out);
done:
    poptFreeContext(context);
    free(table);
    if (status) plx_run_free(out);
    return status;
}

static void free_list(plx_list *list) {
    for (int i = 0; i < list->count; i++) free(list->items[i]);
    free(list->items);
}

void plx_run_free(plx_run *run) {
    const plx_option *options = run->command ? run->command->options : NULL;
    for (int i = 0; run->values && i < count_options(options); i++) {
        if (options[i].type == PLX_OPTION_TEXT) free(*(char **)value_at(run, i));
        if (options[i].type == PLX_OPTION_LIST) free_list(value_at(run, i));
    }
    for (int i = 0; i < run->count; i++) free(run->arguments[i]);
    free((char *)(uintptr_t)run->common.device);
    free(run->arguments);
    free(run->values);
    free(run->given);
    *run = (plx_run){0};
}

bool plx_run_given(const plx_run *run, const char *name) {
    int count = count_options(run->command->options);
    for (int i = 0; i < count; i++)
        if (!strcmp(run->command->options[i].name, name)) return run->given[i];
    PLX_CHECK(false, "%s has no option --%s", run->command->name, name);
    return false;
}

/* ---- help -------------------------------------------------------------------------------------------------- */

/* "help (default 48; 1 to 100000)", malloc'ed. */
static char *describe(const plx_option *option) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fputs(option->help, out);
    if (option->type == PLX_OPTION_SET) fprintf(out, ": of %s", option->word);
    bool range = option->type != PLX_OPTION_FLAG && (option->min != 0 || option->max != 0);
    if (range || option->value) fputs(" (", out);
    if (option->value) fprintf(out, "default %s%s", option->value, range ? "; " : "");
    if (range) fprintf(out, "%s%.16g to %.16g", option->open ? "within " : "", option->min, option->max);
    if (range || option->value) fputc(')', out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

void plx_command_help(const plx_command *command, FILE *out) {
    char *descriptions[128] = {0};
    int count = count_all(command);
    PLX_CHECK(count <= 128, "%s has %d options", command->name, count);
    for (int i = 0; i < count; i++) descriptions[i] = describe(option_at(command, i));
    struct poptOption *table = popt_table(command, descriptions);
    char name[64];
    snprintf(name, sizeof name, "parallax %s", command->name);
    const char *words[] = {name, NULL};
    poptContext context = poptGetContext(NULL, 1, words, table, 0);
    if (context) {
        char arguments[128];
        bool any = command->arguments && *command->arguments;
        snprintf(arguments, sizeof arguments, "%s%s[OPTION...]", any ? command->arguments : "",
                 any ? " " : "");
        poptSetOtherOptionHelp(context, arguments);
        fprintf(out, "%s\n\n", command->summary);
        poptPrintHelp(context, out, 0);
    }
    poptFreeContext(context);
    free(table);
    for (int i = 0; i < count; i++) free(descriptions[i]);
}

/* ---- the record of a run -------------------------------------------------------------------------------- */

static json_t *word_value(const char *words, int index) {
    const char *start;
    int length = word_length(words, index, &start);
    return json_stringn(start, (size_t)length);
}

static json_t *text_value(const char *text) {
    json_t *string = json_string(text);
    return string ? string : json_string("(not UTF-8)");
}

static json_t *record_value(const plx_option *option, const void *value) {
    switch (option->type) {
    case PLX_OPTION_END:
        break;
    case PLX_OPTION_FLAG:
        return json_boolean(*(const bool *)value);
    case PLX_OPTION_INT:
        return json_integer(*(const int *)value);
    case PLX_OPTION_INT64:
        return json_integer(*(const int64_t *)value);
    case PLX_OPTION_FLOAT: {
        float x = *(const float *)value;
        char text[32]; /* the shortest decimal that is this float: 0.1, not 0.10000000149 */
        for (int digits = 6; digits <= 9; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, (double)x);
            if (strtof(text, NULL) == x) break;
        }
        return isnan(x) ? json_null() : json_real(strtod(text, NULL));
    }
    case PLX_OPTION_TEXT: {
        const char *text = *(char *const *)value;
        return text ? text_value(text) : json_null();
    }
    case PLX_OPTION_CHOICE: {
        int index = *(const int *)value;
        return index < 0 ? json_null() : word_value(option->word, index);
    }
    case PLX_OPTION_SET: {
        json_t *list = json_array();
        for (int i = 0; i < 32; i++)
            if (*(const unsigned *)value >> i & 1) json_array_append_new(list, word_value(option->word, i));
        return list;
    }
    case PLX_OPTION_SIZE:
        return json_pack("[ii]", ((const int *)value)[0], ((const int *)value)[1]);
    case PLX_OPTION_LIST: {
        const plx_list *items = value;
        json_t *list = json_array();
        for (int i = 0; i < items->count; i++) json_array_append_new(list, text_value(items->items[i]));
        return list;
    }
    }
    return json_null();
}

json_t *plx_run_record(const plx_run *run) {
    json_t *arguments = json_array(), *options = json_object();
    for (int i = 0; i < run->count; i++) json_array_append_new(arguments, text_value(run->arguments[i]));
    int count = count_options(run->command->options);
    for (int i = 0; i < count; i++)
        json_object_set_new(options, run->command->options[i].name,
                            record_value(&run->command->options[i], value_at(run, i)));
    return json_pack("{s:s, s:s, s:o, s:o}", "version", PLX_VERSION, "command", run->command->name,
                     "arguments", arguments, "options", options);
}
