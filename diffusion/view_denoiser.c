#include "diffusion/view_denoiser.h"

#include <stdlib.h>

enum { ARENA_GIB = 8 }; /* address space */

int plx_view_denoiser_open(plx_view_denoiser *d, const plx_model *m, const plx_view *input,
                           bool elevation_known, int count) {
    int size = m->config.size, tokens = 0;
    plx_device device;
    *d = (plx_view_denoiser){.denoiser = plx_model_denoiser(m)};
    int status = plx_model_context(&d->context, &tokens, m, input, elevation_known);
    if (!status) status = plx_device_open(&device, NULL);
    if (!status) status = plx_tape_create(&d->tape, device, (size_t)ARENA_GIB << 30, false);
    d->views = (plx_denoiser_views){.denoiser = &d->denoiser,
                                    .tape = d->tape,
                                    .count = count,
                                    .height = size,
                                    .width = size,
                                    .context = d->context,
                                    .context_tokens = tokens,
                                    .keep_render = true};
    return status;
}

void plx_view_denoiser_close(plx_view_denoiser *d) {
    plx_tape_free(d->tape);
    free(d->context);
    *d = (plx_view_denoiser){0};
}

size_t plx_view_denoiser_values(const plx_view_denoiser *d) {
    return (size_t)d->views.count * (size_t)d->views.height * (size_t)d->views.width *
           (size_t)d->denoiser.config.view_channels;
}
