/* What the tools share: the library's public headers, the table of commands, and how they speak to the user.
 *
 * A new subcommand is one file, tools/cmd_NAME.c, that defines `const plx_command plx_cmd_NAME` (its values, its
 * table of options, its run function: see cmd_info.c), declared below and listed in parallax.c. */
#ifndef PLX_PARALLAX_H
#define PLX_PARALLAX_H

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "nerf/core/rng.h"
#include "nerf/consistency.h"
#include "nerf/latents.h"
#include "nerf/nerf.h"
#include "render/render.h"
#include "datasets/datasets.h"
#include "diffusion/diffusion.h"
#include "tools/options.h"

extern const plx_command plx_cmd_info, plx_cmd_train, plx_cmd_reconstruct, plx_cmd_fit, plx_cmd_render,
    plx_cmd_eval, plx_cmd_eval_images, plx_cmd_consistency, plx_cmd_bench;
extern const plx_command plx_cmd_dataset_render, plx_cmd_dataset_info, plx_cmd_dataset_sheet,
    plx_cmd_dataset_convert, plx_cmd_dataset_check;
extern const plx_command plx_cmd_path, plx_cmd_mesh, plx_cmd_curves;
extern const plx_command plx_cmd_store_ls, plx_cmd_store_info, plx_cmd_store_get, plx_cmd_store_put,
    plx_cmd_store_rm, plx_cmd_store_export, plx_cmd_store_import, plx_cmd_store_verify, plx_cmd_store_gc;

/* The model file: the given one, or (NULL) the shipped weights of the program's source tree. */
int plx_model_path(char *out, size_t size, const char *given);

/* ---- speaking to the user: `parallax: LINE` on stderr ---------------------------------------------------- */

void plx_note(const char *format, ...) __attribute__((format(printf, 1, 2))); /* not under --quiet */
void plx_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- progress and stopping ---------------------------------------------------------------------------------- */

/* The progress callback for every library call of the tools (user: NULL). On a terminal one line that is drawn
 * over: percent, count, rate, time left; elsewhere a line every few seconds; nothing under --quiet. It returns
 * non-zero once SIGINT or SIGTERM has come, and the work then ends with PLX_ERROR_CANCELLED: exit code 130. A second
 * signal ends the process at once. */
int plx_show_progress(const plx_progress *progress, void *user);
int plx_quiet_progress(const plx_progress *progress, void *user); /* the same without a line */

bool plx_stop_requested(void);

/* For main: */
void plx_progress_start(bool quiet); /* installs the handlers */
void plx_progress_end(void);         /* leaves the line; before anything else is printed */

#endif
