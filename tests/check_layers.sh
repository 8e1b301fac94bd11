#!/bin/bash
# Who may include whom (architecture: core <- tensor <- nerf <- diffusion <- tools; core <- render <- datasets <- tools;
# tests see everything), and where each third-party library is known.
#   tests/check_layers.sh [ROOT]       checks the tree, after it has checked itself on planted violations
set -euo pipefail

check() { # ROOT
    (
        cd "$1"
        folders=$(ls -d nerf diffusion render datasets tools tests 2>/dev/null || true)
        for entry in *; do
            case $entry in
            Makefile | README.md | LICENSE | nerf | diffusion | render | datasets | tools | tests | build | data) ;;
            *) echo "$entry: not in the top level's layout" ;;
            esac
        done
        find $folders -name '*.[ch]' |
            sed -nE 's,^(.*/)?((utils?|helpers?|misc|common)\.[ch])$,\1\2: a file name is an idea,p'
        headers=$(find $folders -name '*.h')
        # A cycle of headers: tsort names its members on stderr.
        { [ -z "$headers" ] || grep -HE '^[ \t]*#[ \t]*include[ \t]*"' $headers || true; } |
            sed -E 's,^([^:]*):.*"(.*)".*,\1 \2,' | { tsort 2>&1 >/dev/null || true; } | sed 's,^tsort: -:* *,a cycle of headers: ,'
        find $folders -name '*.[ch]' -exec \
            grep -HnE '^[ \t]*#[ \t]*include' {} + | awk "$rules"
    )
}

rules='
BEGIN {
    allowed["nerf/core"] = "nerf/core"
    allowed["nerf/tensor"] = "nerf/tensor nerf/core"
    allowed["nerf"] = "nerf nerf/tensor nerf/core"
    allowed["diffusion"] = "diffusion nerf nerf/tensor nerf/core"
    allowed["render"] = "render nerf/core"
    allowed["datasets"] = "datasets render nerf/core"
    allowed["tools"] = "tools"
    split("nerf/nerf.h nerf/card.h nerf/consistency.h nerf/latents.h diffusion/diffusion.h render/render.h datasets/datasets.h", names)
    for (i in names) public[names[i]] = 1
    # Libraries with one .c file each: the folder that may hold it, and what its headers start with.
    split("assimp/ embree3/ OpenEXR/ stb/ meshoptimizer.h png.h zip.h nettle/sha2 nettle/base64 dnnl oneapi/dnnl popt.h vl/ lmdb.h xxhash.h cuda cublasLt.h cudnn.h", prefixes)
    split("render render render render render render datasets datasets tools nerf/tensor nerf/tensor tools nerf nerf nerf nerf/tensor nerf/tensor nerf/tensor", owners)
    split("Assimp Embree OpenEXR stb meshoptimizer libpng libzip nettle base64 oneDNN oneDNN popt VLFeat LMDB xxHash CUDA cuBLASLt cuDNN", libraries)
    split("assert ctype dirent dlfcn errno fcntl fenv float ftw immintrin inttypes libgen limits link locale malloc math omp poll pthread " \
          "pwd setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib string strings " \
          "termios time unistd wchar cpuid x86intrin", c)
    for (i in c) standard[c[i] ".h"] = 1
}
function complain(text) { print where ": " text }
function under(path) { return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : "" }
{
    split($0, part, ":")
    where = part[1] ":" part[2]
    file = part[1]
    folder = under(file)
    if (folder ~ /^tests/) folder = "tests"
}
/#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    header = quoted[2]
    target = under(header)
    if (target == "" || system("test -f " header)) { complain("\"" header "\" is no path from the root"); next }
    if (header == file) complain("includes itself")
    if (folder == "tests") next
    fine = 0
    n = split(allowed[folder], list, " ")
    for (i = 1; i <= n; i++) if (list[i] == target) fine = 1
    if (folder == "tools" && (header in public)) fine = 1
    if (file == "tools/parallax.h" && target == "nerf/core") fine = 1
    if (!fine) complain(folder " may not include " header)
    next
}
{
    match($0, /<[^>]*>/)
    header = substr($0, RSTART + 1, RLENGTH - 2)
    if ((header in standard) || header ~ /^sys\//) next
    if (header ~ /^(cglm|Random123)\// || header == "jansson.h") next
    if (folder == "tests") next
    for (i = 1; i in prefixes; i++) {
        if (index(header, prefixes[i]) != 1) continue
        if (folder != owners[i]) complain(libraries[i] " is known in " owners[i] " only")
        if (file ~ /\.h$/) complain("a header shows " libraries[i])
        key = libraries[i] == "stb" ? header : libraries[i] # stb is one library a header
        if ((key in seen) && seen[key] != file) complain(libraries[i] " is already included by " seen[key])
        seen[key] = file
        next
    }
    complain("<" header ">: a library that the rules do not know")
}'

self_test() {
    local path line # tree outlives the function, for the trap
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    reset() {
        rm -rf "${tree:?}"/*
        mkdir -p "$tree"/{nerf/core,nerf/tensor,diffusion,render,datasets,tools,tests}
        echo '#include <stdio.h>' >"$tree/nerf/core/image.h"
        echo '#include "nerf/core/image.h"' | tee "$tree/nerf/tensor/tensor.h" >"$tree/render/render.h"
        printf '#include "render/render.h"\n#include "nerf/core/image.h"\n' >"$tree/tools/parallax.h"
        printf '#include "render/render.h"\n#include <assimp/scene.h>\n' >"$tree/render/mesh.c"
    }
    reset
    if [ -n "$(check "$tree")" ]; then
        echo "check_layers.sh: finds fault with a right tree:"
        check "$tree"
        return 1
    fi
    while read -r path line; do
        reset
        echo "$line" >>"$tree/$path"
        if [ -z "$(check "$tree")" ]; then
            echo "check_layers.sh: does not see '$line' in $path"
            return 1
        fi
    done <<'PLANTED'
nerf/core/image.c #include "nerf/tensor/tensor.h"
nerf/tensor/op_x.c # include "render/render.h"
render/shade.c #include "nerf/tensor/tensor.h"
tools/cmd_x.c #include "nerf/core/image.h"
tools/cmd_x.c #include "nerf/tensor/tensor.h"
render/shade.c #include "render.h"
render/shade.c #include "render/absent.h"
render/exr.c #include <assimp/scene.h>
render/render.h #include <embree3/rtcore.h>
nerf/tensor/x.c #include <zip.h>
nerf/core/x.c #include <curl/curl.h>
nerf/core/image.h #include "nerf/core/image.h"
render/utils.c /* */
common.c /* */
notes.txt x
PLANTED
    reset
    echo '#include "nerf/core/b.h"' >"$tree/nerf/core/a.h"
    echo '#include "nerf/core/a.h"' >"$tree/nerf/core/b.h"
    if [ -z "$(check "$tree")" ]; then
        echo "check_layers.sh: does not see a cycle of headers"
        return 1
    fi
}

(self_test)
found=$(check "${1:-$(dirname "$0")/..}" 2>&1) || found+=" (the check itself failed)"
[ -z "$found" ] || {
    echo "$found"
    exit 1
}
