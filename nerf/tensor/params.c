#define _GNU_SOURCE /* qsort_r */
#include "nerf/tensor/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct param_init {
    float std, fill;
} param_init;

int plx_params_create(plx_params **out) {
    *out = calloc(1, sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "no memory for parameters");
    int status = plx_device_open(&(*out)->device, NULL);
    if (!status) return PLX_OK;
    free(*out);
    *out = NULL;
    return status;
}

static size_t bytes_of_block(const plx_params *params) {
    return params->block * sizeof(float);
}

void plx_params_free(plx_params *params) {
    if (!params) return;
    free(params->param);
    free(params->init);
    free(params->by_name);
    float *const blocks[] = {params->value, params->grad, params->m, params->v, params->ema};
    for (int i = 0; i < 5; i++) plx_memory_give(params->device.memory, blocks[i], bytes_of_block(params));
    const size_t chunks = (size_t)params->chunk_count;
    if (params->device.memory)
        plx_memory_give(params->device.memory, params->device_work, chunks * sizeof *params->work);
    plx_memory_give(params->device.memory, params->sums, (chunks + 2) * sizeof *params->sums);
    free(params->chunk);
    free(params->work);
    free(params);
}

static int grow(plx_params *params) {
    int capacity = params->capacity ? 2 * params->capacity : 64;
    plx_param *param = realloc(params->param, (size_t)capacity * sizeof *param);
    if (param) params->param = param;
    param_init *init = realloc(params->init, (size_t)capacity * sizeof *init);
    if (init) params->init = init;
    if (!param || !init) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d parameters", capacity);
    params->capacity = capacity;
    return PLX_OK;
}

int plx_params_add(plx_params *params, const char *name, int ndim, const int *shape, float std, float fill,
                   float rate, bool decay) {
    PLX_CHECK(!params->value, "parameter %s was added after plx_params_allocate", name);
    PLX_CHECK(ndim >= 1 && ndim <= PLX_MAX_DIMENSIONS, "parameter %s: %d dimensions", name, ndim);
    if (params->count == params->capacity) {
        int status = grow(params);
        if (status < 0) return status;
    }
    plx_param *p = &params->param[params->count];
    *p = (plx_param){.tensor.ndim = ndim, .rate = rate, .decay = decay};
    PLX_CHECK(strlen(name) < sizeof p->name, "parameter %s: the name is too long", name);
    strcpy(p->name, name);
    for (int i = 0; i < ndim; i++) {
        PLX_CHECK(shape[i] > 0, "parameter %s: size %d in dimension %d", name, shape[i], i);
        p->tensor.shape[i] = shape[i];
    }
    params->init[params->count] = (param_init){std, fill};
    return params->count++;
}

/* FNV-1a: the stream of a parameter's first values is named by its name alone. */
static uint64_t hash_name(const char *name) {
    uint64_t hash = 14695981039346656037u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash;
}

static int compare_names(const void *a, const void *b, void *param) {
    const plx_param *p = param;
    return strcmp(p[*(const int *)a].name, p[*(const int *)b].name);
}

static int sort_names(plx_params *params) {
    params->by_name = malloc((size_t)params->count * sizeof *params->by_name);
    if (!params->by_name) return plx_fail(PLX_ERROR_MEMORY, "no memory for the names of parameters");
    for (int i = 0; i < params->count; i++) params->by_name[i] = i;
    qsort_r(params->by_name, (size_t)params->count, sizeof *params->by_name, compare_names, params->param);
    for (int i = 1; i < params->count; i++) {
        const char *name = params->param[params->by_name[i]].name;
        PLX_CHECK(strcmp(params->param[params->by_name[i - 1]].name, name) != 0,
                  "two parameters are called %s", name);
    }
    return PLX_OK;
}

static int no_memory(const plx_params *params) {
    return params->device.memory ? plx_fail_in(PLX_ERROR_MEMORY, "parameters")
                                 : plx_fail(PLX_ERROR_MEMORY, "no memory for %zu parameters", params->block);
}

static int make_chunks(plx_params *params) {
    int count = 0;
    for (int i = 0; i < params->count; i++)
        count += (int)((plx_param_size(&params->param[i]) + PLX_PARAM_CHUNK - 1) / PLX_PARAM_CHUNK);
    params->chunk = malloc((size_t)count * sizeof *params->chunk);
    params->work = calloc((size_t)count, sizeof *params->work);
    params->sums = plx_memory_take(params->device.memory, ((size_t)count + 2) * sizeof *params->sums);
    params->device_work = params->device.memory
                              ? plx_memory_take(params->device.memory, (size_t)count * sizeof *params->work)
                              : params->work;
    if (!params->chunk || !params->work || !params->sums || !params->device_work) return no_memory(params);
    for (int i = 0; i < params->count; i++) {
        const size_t begin = params->param[i].offset, end = begin + plx_param_size(&params->param[i]);
        for (size_t at = begin; at < end; at += PLX_PARAM_CHUNK)
            params->chunk[params->chunk_count++] =
                (plx_param_chunk){i, at, end - at < PLX_PARAM_CHUNK ? end : at + PLX_PARAM_CHUNK};
    }
    return PLX_OK;
}

/* value: a block on the host. */
static void draw(const plx_params *params, uint64_t seed, float *value) {
    for (int i = 0; i < params->count; i++) {
        const plx_param *p = &params->param[i];
        const param_init init = params->init[i];
        const size_t size = plx_param_size(p);
        float *data = value + p->offset;
        if (init.std != 0) plx_rng_fill_normal((plx_rng){seed, hash_name(p->name)}, data, size);
        for (size_t k = 0; k < size; k++) data[k] = (init.std != 0 ? init.std * data[k] : 0) + init.fill;
    }
}

static int draw_values(plx_params *params, uint64_t seed) {
    const plx_memory *memory = params->device.memory;
    float *value = memory ? calloc(params->block, sizeof *value) : params->value;
    if (!value) return plx_fail(PLX_ERROR_MEMORY, "no memory for %zu parameters", params->block);
    draw(params, seed, value);
    if (!memory) return PLX_OK;
    memory->write(params->value, value, bytes_of_block(params));
    free(value);
    return PLX_OK;
}

static float *new_block(const plx_params *params) {
    return plx_memory_take(params->device.memory, bytes_of_block(params));
}

static void point_tensors(plx_params *params) {
    for (int i = 0; i < params->count; i++) {
        plx_param *p = &params->param[i];
        p->tensor.name = p->name;
        p->tensor.data = params->value + p->offset;
        p->tensor.grad = params->grad ? params->grad + p->offset : NULL;
    }
}

int plx_params_allocate(plx_params *params, uint64_t seed, bool train) {
    PLX_CHECK(!params->value && params->count > 0, "plx_params_allocate with %d parameters%s", params->count,
              params->value ? ", again" : "");
    for (int i = 0; i < params->count; i++) {
        params->param[i].offset = params->block;
        params->block += (plx_param_size(&params->param[i]) + 15) / 16 * 16;
    }
    int status = sort_names(params);
    if (status < 0) return status;
    params->value = new_block(params);
    bool complete = params->value != NULL;
    if (train) {
        params->grad = new_block(params);
        params->m = new_block(params);
        params->v = new_block(params);
        params->ema = new_block(params);
        complete = complete && params->grad && params->m && params->v && params->ema;
    }
    if (!complete) return no_memory(params);
    status = make_chunks(params);
    if (status < 0) return status;
    point_tensors(params);
    status = draw_values(params, seed);
    if (train) plx_memory_copy(params->device.memory, params->ema, params->value, bytes_of_block(params));
    free(params->init);
    params->init = NULL;
    return status;
}

plx_tensor *plx_params_get(plx_params *params, const char *name) {
    PLX_CHECK(params->value, "parameter %s was asked for before plx_params_allocate", name);
    int low = 0, high = params->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        plx_param *p = &params->param[params->by_name[middle]];
        const int order = strcmp(name, p->name);
        if (order == 0) return &p->tensor;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    plx_check_failed(__FILE__, __LINE__, "there is no parameter %s", name);
}

int plx_params_count(const plx_params *params) {
    return params->count;
}

plx_param *plx_params_at(plx_params *params, int index) {
    PLX_CHECK(index >= 0 && index < params->count, "parameter %d of %d", index, params->count);
    return &params->param[index];
}

size_t plx_params_size(const plx_params *params) {
    size_t size = 0;
    for (int i = 0; i < params->count; i++) size += plx_param_size(&params->param[i]);
    return size;
}

void plx_params_zero_grad(plx_params *params) {
    PLX_CHECK(params->grad, "these parameters are not for training");
    if (params->device.memory) {
        params->device.memory->zero(params->grad, bytes_of_block(params));
        return;
    }
#pragma omp parallel for schedule(static)
    for (int k = 0; k < params->chunk_count; k++) {
        const plx_param_chunk c = params->chunk[k];
        memset(params->grad + c.begin, 0, (c.end - c.begin) * sizeof(float));
    }
}

void plx_params_set(plx_params *params, const char *name, const float *values) {
    plx_tensor *tensor = plx_params_get(params, name);
    size_t bytes = plx_tensor_size(tensor) * sizeof(float);
    plx_memory_write(params->device.memory, tensor->data, values, bytes);
    if (params->ema)
        plx_memory_write(params->device.memory, params->ema + (tensor->data - params->value), values, bytes);
}

void plx_params_read(const plx_params *params, const plx_tensor *tensor, float *values) {
    plx_memory_read(params->device.memory, values, tensor->data, plx_tensor_size(tensor) * sizeof(float));
}

void plx_params_copy(plx_params *to, const char *name, const plx_tensor *from) {
    plx_tensor *tensor = plx_params_get(to, name);
    size_t bytes = plx_tensor_size(tensor) * sizeof(float);
    PLX_CHECK(plx_tensor_size(from) == plx_tensor_size(tensor), "%s has another size", name);
    plx_memory_copy(to->device.memory, tensor->data, from->data, bytes);
    if (to->ema) plx_memory_copy(to->device.memory, to->ema + (tensor->data - to->value), from->data, bytes);
}

void plx_params_use_ema(plx_params *params, bool use) {
    PLX_CHECK(params->ema, "these parameters are not for training and have no EMA");
    if (params->ema_in_use == use) return;
    float *value = params->value;
    params->value = params->ema;
    params->ema = value;
    params->ema_in_use = use;
    point_tensors(params);
}

void plx_params_set_rate(plx_params *params, const char *prefix, float rate) {
    for (int i = 0; i < params->count; i++)
        if (strncmp(params->param[i].name, prefix, strlen(prefix)) == 0) params->param[i].rate *= rate;
}
