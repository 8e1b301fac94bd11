/* The command `parallax`: finds the subcommand, parses its options by its table, runs it. */
#include "tools/parallax.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const plx_command *const commands[] = {&plx_cmd_reconstruct,
                                              &plx_cmd_render,
                                              &plx_cmd_path,
                                              &plx_cmd_mesh,
                                              &plx_cmd_fit,
                                              &plx_cmd_train,
                                              &plx_cmd_curves,
                                              &plx_cmd_eval_images,
                                              &plx_cmd_eval,
                                              &plx_cmd_consistency,
                                              &plx_cmd_dataset_render,
                                              &plx_cmd_dataset_info,
                                              &plx_cmd_dataset_sheet,
                                              &plx_cmd_dataset_convert,
                                              &plx_cmd_dataset_check,
                                              &plx_cmd_store_ls,
                                              &plx_cmd_store_info,
                                              &plx_cmd_store_get,
                                              &plx_cmd_store_put,
                                              &plx_cmd_store_rm,
                                              &plx_cmd_store_export,
                                              &plx_cmd_store_import,
                                              &plx_cmd_store_verify,
                                              &plx_cmd_store_gc,
                                              &plx_cmd_bench,
                                              &plx_cmd_info};
enum { COMMANDS = sizeof commands / sizeof *commands };

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_STOPPED = 130 };

static void print_usage(FILE *out) {
    fputs("One image of an object in, a radiance field and novel views out.\n\n"
          "Usage: parallax COMMAND [ARGUMENT...] [OPTION...]\n\n",
          out);
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help [COMMAND]   this, or a command's options\n"
          "  --version\n",
          out);
}

/* A name of one word takes one of the given words, a name of two takes two. Returns how many, 0 for no match. */
static int matches(const char *name, int count, char **words) {
    size_t first = strcspn(name, " ");
    if (count < 1 || strlen(words[0]) != first || strncmp(words[0], name, first)) return 0;
    if (!name[first]) return 1;
    return count >= 2 && !strcmp(words[1], name + first + 1) ? 2 : 0;
}

/* Which command the words begin with, and how many words its name has. */
static const plx_command *find_command(int count, char **words, int *used) {
    for (int i = 0; i < COMMANDS; i++)
        if ((*used = matches(commands[i]->name, count, words))) return commands[i];
    return NULL;
}

static int unknown_command(int count, char **words) {
    size_t first = count ? strlen(words[0]) : 0;
    char known[256] = ""; /* the second words of the commands that begin so */
    for (int i = 0; i < COMMANDS; i++) {
        const char *name = commands[i]->name;
        if (strlen(name) > first && name[first] == ' ' && !strncmp(name, words[0], first)) {
            size_t used = strlen(known);
            snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", name + first + 1);
        }
    }
    if (!count)
        plx_warn("no command given: see parallax help");
    else if (!*known)
        plx_warn("unknown command '%s': see parallax help", words[0]);
    else
        plx_warn("parallax %s takes one of: %s", words[0], known);
    return EXIT_USAGE;
}

/* What was printed must have arrived: a full disk behind `parallax info >file` is a failure. */
static int flush_output(int code) {
    if (!fflush(stdout) && !ferror(stdout)) return code;
    plx_warn("standard output: could not be written");
    return code ? code : EXIT_FAILED;
}

static int help(int count, char **words) {
    int used;
    const plx_command *command = find_command(count, words, &used);
    if (count && !command) return unknown_command(count, words);
    if (command)
        plx_command_help(command, stdout);
    else
        print_usage(stdout);
    return flush_output(EXIT_DONE);
}

static int run_command(const plx_command *command, int count, char **words) {
    plx_run run;
    int status = plx_run_parse(&run, command, count, words);
    if (!status && run.common.help) {
        plx_command_help(command, stdout);
    } else if (!status) {
        plx_progress_start(run.common.quiet);
        if (run.common.threads) omp_set_num_threads(run.common.threads);
        status = plx_run_use_device(&run);
        if (!status) status = command->run(&run);
        plx_progress_end();
    }
    plx_run_free(&run);
    if (status == PLX_ERROR_CANCELLED && plx_stop_requested()) {
        plx_warn("stopped");
        return flush_output(EXIT_STOPPED);
    }
    if (status == PLX_ERROR_USAGE) {
        plx_warn("%s (see parallax help %s)", plx_error(), command->name);
        return EXIT_USAGE;
    }
    if (status) plx_warn("%s", plx_error());
    return flush_output(status ? EXIT_FAILED : EXIT_DONE);
}

int main(int count, char **words) {
    if (count < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *first = words[1];
    if (!strcmp(first, "--version")) {
        puts("parallax " PLX_VERSION);
        return flush_output(EXIT_DONE);
    }
    if (!strcmp(first, "help") || !strcmp(first, "--help") || !strcmp(first, "-h"))
        return help(count - 2, words + 2);
    int used;
    const plx_command *command = find_command(count - 1, words + 1, &used);
    if (!command) return unknown_command(count - 1, words + 1);
    return run_command(command, count - used, words + used);
}
