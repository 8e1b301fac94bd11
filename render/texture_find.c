/* Finds the picture that a material names: as exporters on other systems write it. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "render/texture_find.h"

static bool is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

/* Appends "/part" to path, in the case that the folder has it. */
static bool append_part(char path[PLX_PATH_SIZE], const char *part) {
    size_t length = strlen(path);
    if (length + strlen(part) + 2 > PLX_PATH_SIZE) return false;
    path[length] = '/';
    strcpy(path + length + 1, part);
    struct stat s;
    if (stat(path, &s) == 0) return true;
    path[length] = 0;
    DIR *folder = opendir(path);
    if (!folder) return false;
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(folder));) {
        if (strcasecmp(entry->d_name, part) != 0) continue;
        path[length] = '/';
        strcpy(path + length + 1, entry->d_name); /* same length as part */
        found = true;
    }
    closedir(folder);
    return found;
}

static bool find_below(const char *folder, const char *name, char path[PLX_PATH_SIZE]) {
    char parts[PLX_PATH_SIZE], *rest = NULL;
    if (strlen(folder) >= PLX_PATH_SIZE) return false;
    strcpy(path, folder);
    strcpy(parts, name);
    for (char *part = strtok_r(parts, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
        if (strcmp(part, ".") != 0 && !append_part(path, part)) return false;
    return is_file(path);
}

/* "%20" and the like, in place. */
static void decode_percent(char *name) {
    char *out = name;
    for (const char *in = name; *in; in++) {
        unsigned value;
        if (*in == '%' && isxdigit((unsigned char)in[1]) && isxdigit((unsigned char)in[2]) &&
            sscanf(in + 1, "%2x", &value) == 1 && value) {
            *out++ = (char)value;
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = 0;
}

static bool find_in(const char *folder, const char *name, char path[PLX_PATH_SIZE]) {
    const char *base = strrchr(name, '/');
    bool absolute = name[0] == '/' || (isalpha((unsigned char)name[0]) && name[1] == ':');
    if (!absolute && find_below(folder, name, path)) return true;
    return base && base[1] && find_below(folder, base + 1, path);
}

/* Below the folder that was named, if one was, the mesh's, then where data sets keep textures apart from meshes (Google Scanned Objects:
 * meshes/model.obj, materials/textures/texture.png). All are the mesh's own: no other object's texture can be met. */
static bool find_around(const char *folder, const char *further, const char *name, char path[PLX_PATH_SIZE]) {
    static const char *const apart[] = {"textures", "../textures", "../materials/textures"};
    if ((further && find_in(further, name, path)) || find_in(folder, name, path)) return true;
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        char other[PLX_PATH_SIZE + 32];
        snprintf(other, sizeof other, "%s/%s", folder, apart[i]);
        if (find_in(other, name, path)) return true;
    }
    return false;
}

bool plx_texture_find(const char *name, const char *folder, const char *further, char path[PLX_PATH_SIZE]) {
    char clean[PLX_PATH_SIZE];
    while (isspace((unsigned char)*name) || *name == '"') name++;
    size_t length = strlen(name);
    while (length > 0 && (isspace((unsigned char)name[length - 1]) || name[length - 1] == '"')) length--;
    if (length == 0 || length >= PLX_PATH_SIZE) return false;
    memcpy(clean, name, length);
    clean[length] = 0;
    if (strncmp(clean, "file://", 7) == 0) memmove(clean, clean + 7, length - 6);
    for (char *c = clean; *c; c++)
        if (*c == '\\') *c = '/';
    for (int attempt = 0; attempt < 2; attempt++) {
        if (find_around(folder, further, clean, path)) return true;
        decode_percent(clean);
    }
    return false;
}
