/* A mesh file that is not ours is read in a process of its own, with limits: Assimp has known overflows. The process is this
 * same program under another name (argv[0]), caught before main; a program that uses the shared library (Python, say) lends
 * that to /bin/true instead. What was read comes back through an anonymous file and is checked again, as any file would be. */
#define _GNU_SOURCE /* memfd_create, dladdr */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nerf/core/error.h"
#include "render/mesh.h"

#define READER_NAME "parallax-mesh-reader"
#define RESULT_FD 3
#define CPU_MAX 60                   /* seconds */
#define WALL_MAX 180                 /* seconds */
#define MEMORY_MAX ((rlim_t)8 << 30) /* bytes of address space */
#define RESULT_MAX ((rlim_t)4 << 30)

extern char **environ;

/* The result: a head, then materials, corners (triangles,3), material of each triangle, then each texture's size and texels. */
typedef struct head {
    char magic[8];
    int32_t status, materials, textures, textures_missing, has_uv, has_colour;
    int64_t triangles;
    char message[1000];
} head;

typedef struct flat_material {
    float colour[3], opacity, alpha_cutoff;
    int32_t texture, opacity_texture, ignore_alpha, clamp;
} flat_material;

static const char magic[8] = "plxmesh";

/* ---- the reading process ------------------------------------------------------------------------------------------- */

static void limit(int resource, rlim_t value) {
    setrlimit(resource, &(struct rlimit){value, value});
}

static void limit_process(void) {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_MAX);
    limit(RLIMIT_FSIZE, RESULT_MAX);
#ifndef __SANITIZE_ADDRESS__ /* its shadow is most of the address space */
    limit(RLIMIT_AS, MEMORY_MAX);
#endif
    alarm(WALL_MAX);
}

static bool write_result(FILE *out, const head *first, const plx_mesh *mesh, const plx_soup *soup) {
    bool right = fwrite(first, sizeof *first, 1, out) == 1;
    if (first->status) return right && fflush(out) == 0;
    for (int i = 0; i < mesh->material_count && right; i++) {
        const plx_material *m = &mesh->materials[i];
        flat_material flat = {{m->colour[0], m->colour[1], m->colour[2]},
                              m->opacity,
                              m->alpha_cutoff,
                              m->texture,
                              m->opacity_texture,
                              m->ignore_alpha,
                              m->clamp};
        right = fwrite(&flat, sizeof flat, 1, out) == 1;
    }
    size_t triangles = (size_t)soup->triangles;
    right = right && fwrite(soup->corners, 3 * sizeof *soup->corners, triangles, out) == triangles &&
            fwrite(soup->material, sizeof *soup->material, triangles, out) == triangles;
    for (int i = 0; i < mesh->texture_count && right; i++) {
        const plx_texture *t = &mesh->textures[i];
        int32_t size[2] = {t->width[0], t->height[0]};
        size_t bytes = plx_texture_bytes(size[0], size[1]);
        right = fwrite(size, sizeof size, 1, out) == 1 && fwrite(t->texels[0], 1, bytes, out) == bytes;
    }
    return right && fflush(out) == 0;
}

/* argv: its name, the mesh, a further folder for textures or "". Everything is freed by leaving. */
static int read_and_send(char **argv) {
    plx_mesh mesh = {0};
    plx_soup soup = {0};
    plx_mesh_options options = plx_mesh_options_default();
    if (*argv[2]) options.texture_dir = argv[2];
    head first = {.status = plx_mesh_import(&mesh, &soup, argv[1], &options)};
    memcpy(first.magic, magic, sizeof magic);
    first.materials = mesh.material_count;
    first.textures = mesh.texture_count;
    first.textures_missing = mesh.textures_missing;
    first.has_uv = soup.has_uv;
    first.has_colour = soup.has_colour;
    first.triangles = soup.triangles;
    snprintf(first.message, sizeof first.message, "%s", first.status ? plx_error() : "");
    FILE *out = fdopen(RESULT_FD, "wb");
    return out && write_result(out, &first, &mesh, &soup) ? 0 : 1;
}

/* The C library gives constructors main's arguments. */
__attribute__((constructor)) static void become_reader(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[0], READER_NAME) != 0) return;
    limit_process();
    _exit(read_and_send(argv));
}

/* ---- the asking process -------------------------------------------------------------------------------------------- */

/* True if this code is in the program itself; else `library` is where it was loaded from. */
static bool in_program(char library[PATH_MAX]) {
    Dl_info own = {0};
    struct stat code, program;
    library[0] = 0;
    dladdr((void *)(uintptr_t)&become_reader, &own);
    if (!own.dli_fname || !realpath(own.dli_fname, library) || stat(library, &code) ||
        stat("/proc/self/exe", &program))
        return !own.dli_fname ||
               !strstr(own.dli_fname, ".so"); /* a library that is not found again lends nothing */
    return code.st_ino == program.st_ino && code.st_dev == program.st_dev;
}

/* The environment with the library loaded before all others; one block. */
static char **environment_with(const char *library, char preload[PATH_MAX + 16]) {
    size_t count = 0, kept = 0;
    while (environ[count]) count++;
    char **out = malloc((count + 2) * sizeof *out);
    if (!out) return NULL;
    snprintf(preload, PATH_MAX + 16, "LD_PRELOAD=%s", library);
    out[kept++] = preload;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11)) out[kept++] = environ[i];
    out[kept] = NULL;
    return out;
}

static int run_reader(const char *path, const char *further, int result) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t process;
    int state = 0, failed;
    char name[] = READER_NAME, *argv[] = {name, (char *)path, (char *)(further ? further : ""), NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, result, RESULT_FD);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    char library[PATH_MAX], preload[PATH_MAX + 16], **lent = NULL;
    bool own = in_program(library);
    if (!own && !(lent = environment_with(library, preload)))
        failed = ENOMEM;
    else
        failed = posix_spawn(&process, own ? "/proc/self/exe" : "/bin/true", &actions, &attributes, argv,
                             own ? environ : lent);
    free(lent);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed) return plx_fail(PLX_ERROR_IO, "no process to read it in: %s", strerror(failed));
    while (waitpid(process, &state, 0) < 0)
        if (errno != EINTR) return plx_fail(PLX_ERROR_IO, "the process that reads it: %s", strerror(errno));
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return PLX_OK;
    int signal = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
    if (signal == SIGINT || signal == SIGTERM) return plx_fail(PLX_ERROR_CANCELLED, "stopped");
    if (signal == SIGALRM || signal == SIGXCPU || signal == SIGKILL)
        return plx_fail(PLX_ERROR_INPUT,
                        "reading it took too long or too much memory (%d s of computing, %d in all)", CPU_MAX,
                        WALL_MAX);
    if (signal)
        return plx_fail(PLX_ERROR_INPUT, "damaged: the process that read it crashed (signal %d)", signal);
    return plx_fail(PLX_ERROR_INPUT, "too large, or the process that read it failed");
}

/* What is left of the result. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static const void *take(cursor *c, size_t bytes) {
    if ((size_t)(c->end - c->at) < bytes) return NULL;
    const char *here = c->at;
    c->at += bytes;
    return here;
}

static bool take_materials(plx_mesh *mesh, cursor *c, const head *first) {
    size_t count = (size_t)first->materials;
    const char *from = take(c, count * sizeof(flat_material));
    if (!from || !(mesh->materials = calloc(count, sizeof *mesh->materials))) return false;
    mesh->material_count = first->materials;
    for (size_t i = 0; i < count; i++) {
        flat_material m;
        memcpy(&m, from + i * sizeof m, sizeof m);
        for (int k = 0; k < 3; k++)
            if (!(m.colour[k] >= 0 && m.colour[k] <= 1)) return false;
        if (!(m.opacity >= 0 && m.opacity <= 1) || !isfinite(m.alpha_cutoff) || m.texture < -1 ||
            m.texture >= first->textures || m.opacity_texture < -1 || m.opacity_texture >= first->textures)
            return false;
        mesh->materials[i] = (plx_material){.colour = {m.colour[0], m.colour[1], m.colour[2]},
                                            .opacity = m.opacity,
                                            .texture = m.texture,
                                            .opacity_texture = m.opacity_texture,
                                            .ignore_alpha = m.ignore_alpha != 0,
                                            .clamp = m.clamp != 0,
                                            .alpha_cutoff = m.alpha_cutoff};
    }
    return true;
}

static bool take_triangles(plx_soup *soup, cursor *c, const head *first) {
    size_t triangles = (size_t)first->triangles;
    const void *corners = take(c, triangles * 3 * sizeof(plx_corner));
    const void *materials = take(c, triangles * sizeof(uint16_t));
    if (!corners || !materials || plx_soup_reserve(soup, first->triangles) < 0) return false;
    memcpy(soup->corners, corners, triangles * 3 * sizeof(plx_corner));
    memcpy(soup->material, materials, triangles * sizeof(uint16_t));
    soup->triangles = first->triangles;
    soup->has_uv = first->has_uv != 0;
    soup->has_colour = first->has_colour != 0;
    for (size_t i = 0; i < triangles; i++)
        if (soup->material[i] >= first->materials) return false;
    for (size_t i = 0; i < 3 * triangles; i++) /* positions are checked when they are placed */
        if (!isfinite(soup->corners[i].uv[0]) || !isfinite(soup->corners[i].uv[1])) return false;
    return true;
}

static bool take_textures(plx_mesh *mesh, cursor *c, const head *first) {
    mesh->textures = calloc((size_t)first->textures + 1, sizeof *mesh->textures);
    if (!mesh->textures) return false;
    for (int i = 0; i < first->textures; i++) {
        int32_t size[2];
        const void *from = take(c, sizeof size);
        if (!from) return false;
        memcpy(size, from, sizeof size);
        if (size[0] < 1 || size[1] < 1 || size[0] > PLX_TEXTURE_MAX_SIDE || size[1] > PLX_TEXTURE_MAX_SIDE)
            return false;
        const void *texels = take(c, plx_texture_bytes(size[0], size[1]));
        if (!texels || plx_texture_restore(&mesh->textures[i], texels, size[0], size[1]) < 0) return false;
        mesh->texture_count++;
    }
    return true;
}

static int take_result(plx_mesh *mesh, plx_soup *soup, cursor c) {
    head first;
    const void *from = take(&c, sizeof first);
    if (from) memcpy(&first, from, sizeof first);
    if (!from || memcmp(first.magic, magic, sizeof magic) || !memchr(first.message, 0, sizeof first.message))
        return plx_fail(PLX_ERROR_INPUT, "the process that read it gave no result");
    if (first.status) return plx_fail(first.status, "%s", first.message);
    if (first.materials < 1 || first.materials > UINT16_MAX || first.textures < 0 ||
        first.textures > 2 * UINT16_MAX || first.triangles < 1 || first.triangles > PLX_MESH_MAX_TRIANGLES ||
        !take_materials(mesh, &c, &first) || !take_triangles(soup, &c, &first) ||
        !take_textures(mesh, &c, &first))
        return plx_fail(PLX_ERROR_INPUT, "the process that read it gave a damaged result");
    mesh->textures_missing = first.textures_missing;
    return PLX_OK;
}

int plx_mesh_import_apart(plx_mesh *mesh, plx_soup *soup, const char *path, const plx_mesh_options *options) {
    int result = memfd_create("mesh", MFD_CLOEXEC), status;
    if (result < 0) return plx_fail(PLX_ERROR_IO, "no anonymous file: %s", strerror(errno));
    struct stat info;
    void *data = MAP_FAILED;
    if ((status = run_reader(path, options->texture_dir, result)) < 0) goto done;
    if (fstat(result, &info) == 0 && info.st_size > 0)
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, result, 0);
    if (data == MAP_FAILED) {
        status = plx_fail(PLX_ERROR_INPUT, "the process that read it gave no result");
        goto done;
    }
    status = take_result(mesh, soup, (cursor){data, (const char *)data + info.st_size});
    munmap(data, (size_t)info.st_size);
done:
    close(result);
    return status;
}
