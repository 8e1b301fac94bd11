#!/bin/bash
# What ptxas reports of every kernel and architecture (build/ptxas) against the record: no more registers, no
# more bytes spilled, no kernel without a record, no record without a kernel. An architecture that the record lacks is passed over.
#   tests/cuda/check_registers.sh NVCC RECORD REPORT...    exit status 0: fine, 1: not, 77: the record is another toolkit's
#   tests/cuda/check_registers.sh --record NVCC REPORT...  prints the record
set -euo pipefail

toolkit() { # NVCC
    "$1" --version | sed -n 's/^Cuda compilation tools, //p'
}

# FILE KERNEL ARCHITECTURE REGISTERS SPILLED-BYTES
measured() { # REPORT...
    for report in "$@"; do
        awk -v file="$(basename "${report%.ptxas}")" -F"'" '
            /Compiling entry function/ { kernel = $2; architecture = $4 }
            /bytes spill stores/ {
                match($0, /[0-9]+ bytes spill stores/); spilled = substr($0, RSTART) + 0
                match($0, /[0-9]+ bytes spill loads/); spilled += substr($0, RSTART) + 0
            }
            / Used [0-9]+ registers/ {
                match($0, /Used [0-9]+/)
                print file "\t" kernel "\t" architecture "\t" substr($0, RSTART + 5, RLENGTH - 5) "\t" spilled
            }' "$report"
    done | c++filt | sed -E 's/\t(void )?([^\t(]*)\([^\t]*\t/\t\2\t/; s/\(bool\)0/false/g; s/\(bool\)1/true/g' | LC_ALL=C sort
}

if [ "$1" = --record ]; then
    echo "# Registers and spilled bytes of a thread of every CUDA kernel, by ptxas of: $(toolkit "$2"). Written by make cuda-record."
    measured "${@:3}"
    exit
fi

record=$2
expected=$(sed -n '1s/.*by ptxas of: \(.*\)\. Written.*/\1/p' "$record")
if [ "$(toolkit "$1")" != "$expected" ]; then
    echo "the record is of nvcc $expected, here is $(toolkit "$1")"
    exit 77
fi
measured "${@:3}" | awk -F'\t' '
    function complain(text) { print text; bad = 1 }
    FNR == NR { if ($0 !~ /^#/) { registers[$1 "\t" $2 "\t" $3] = $4; spilled[$1 "\t" $2 "\t" $3] = $5; recorded[$3] = 1 }; next }
    !($3 in recorded) { if (!($3 in measured)) print $3 ": not recorded, so only compiled"; measured[$3] = 1; next }
    {
        key = $1 "\t" $2 "\t" $3
        what = $1 ".cu: " $2 " for " $3
        seen[key] = 1
        measured[$3] = 1
        if (!(key in registers)) { complain(what ": " $4 " registers are not in the record (make cuda-record)"); next }
        if ($4 > registers[key]) complain(what ": " $4 " registers, the record says " registers[key])
        if ($5 > spilled[key]) complain(what ": " $5 " bytes spilled, the record says " spilled[key])
    }
    END {
        for (key in registers) {
            split(key, k, "\t")
            if (!(key in seen) && (k[3] in measured)) complain(k[1] ".cu: no kernel " k[2] " for " k[3] ", but a record of it") }
        exit bad
    }' "$record" -
