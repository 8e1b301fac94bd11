/* Configurations of the networks as JSON, for a checkpoint's metadata. A reader refuses a missing or wrong
 * value in one line that names it, and checks the whole. */
#ifndef PLX_CONFIG_H
#define PLX_CONFIG_H

#include <jansson.h>

#include "diffusion/denoiser.h"
#include "diffusion/unet.h"

json_t *plx_unet_config_json(const plx_unet_config *config); /* a new reference */
int plx_unet_config_from_json(plx_unet_config *out, const json_t *json);

json_t *plx_denoiser_config_json(const plx_denoiser_config *config);
int plx_denoiser_config_from_json(plx_denoiser_config *out, const json_t *json);

const char *plx_prediction_name(enum plx_prediction prediction); /* "v", "eps", "x0" */
int plx_prediction_of(const char *name);                         /* or -1 */

/* The same as text; the string is malloc'ed. */
int plx_denoiser_config_write(const plx_denoiser_config *config, char **text);
int plx_denoiser_config_read(plx_denoiser_config *out, const char *text);

#endif
