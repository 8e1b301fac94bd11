#!/usr/bin/python3
"""Parallax and PyTorch side by side: the same stages, weights and inputs. Outputs are compared first, and the run ends where
they differ; then the two are timed in turns, and the memory of each is measured in a process of its own.

    make bench-peers                                  all stages -> build/peers.json
    python3 tests/peers/peers.py --check              compares only, on small sizes
    python3 tests/peers/peers.py unet-infer ...       some stages

PyTorch runs with the same number of threads, denormals flushed, in its better memory format (and, at inference,
traced and optimised if that is better): every variant is timed, and the one of the best median counts.

Memory is what a stage adds to the resident set at its peak: /proc/self/status VmHWM, set back after loading, less VmRSS
before the weights were loaded; so weights, gradients, optimiser state and activations count, the libraries' code and
the stage's inputs do not.
"""
import argparse
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import warnings

sys.dont_write_bytecode = True  # the source tree stays as it is

import field_stages
import joint_stage
import library
import network_stages
import stages

STAGES = {
    "encoder": network_stages.Encoder,
    "unet-train": lambda *a: network_stages.UNet(*a, train=True),
    "unet-infer": lambda *a: network_stages.UNet(*a, train=False),
    "unet-train-8": lambda *a: network_stages.UNet(*a, train=True, batch=8),
    "field-forward": lambda *a: field_stages.Field(*a, train=False),
    "field-train": lambda *a: field_stages.Field(*a, train=True),
    "view-128": field_stages.View,
    "joint-train": joint_stage.Joint,
}
EXTRA = "unet-train-8"  # printed, but not in the file


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare outputs on small sizes, time nothing")
    parser.add_argument("--library", default="build/release/libstages.so", metavar="FILE")
    parser.add_argument("--model", default="diffusion/weights/objects-64.safetensors", metavar="FILE")
    parser.add_argument("--folder", default="build/peers", metavar="DIR", help="for the fitted scene and training runs")
    parser.add_argument("-o", "--output", default="build/peers.json", metavar="FILE")
    parser.add_argument("--threads", type=int, help="default: 1 for --check, else all")
    parser.add_argument("--seconds", type=float, default=20, help="about, of timing a stage")
    parser.add_argument("--memory", nargs=2, metavar=("SIDE", "VARIANT"), help=argparse.SUPPRESS)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(STAGES))
    o = parser.parse_args()
    unknown = [name for name in o.stages if name not in STAGES]
    if unknown:
        parser.error(f"{unknown[0]}: not one of {', '.join(STAGES)}")
    o.threads = o.threads or (1 if o.check else len(os.sched_getaffinity(0)))
    return o


def open_torch(threads):
    import torch

    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def on_reference_blas():
    """PyTorch's matrix products by Debian's unoptimised BLAS would not be PyTorch at its best."""
    with open("/proc/self/maps") as file:
        maps = file.read()
    return not any(name in maps for name in ("openblas", "blis", "mkl"))


# ---- memory --------------------------------------------------------------------------------------------------------


def status_mb(key):
    with open("/proc/self/status") as file:
        return next(float(line.split()[1]) for line in file if line.startswith(key + ":")) * 1024 / 1e6


def settle():
    """Gives freed memory back and sets the peak to what is resident now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass  # not given everywhere; the peak of loading counts then


def measure(stage, side, variant):
    stage.prepare(side)
    settle()
    before = status_mb("VmRSS")
    peak = stage.peak(side, variant, settle, lambda: status_mb("VmHWM"))
    print(peak - before)


def memory_of(o, name, side, variant):
    command = [sys.executable, __file__, "--library", o.library, "--model", o.model, "--folder", o.folder, "--threads",
               str(o.threads), "--memory", side, variant, name]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(result.stdout)


# ---- the run -------------------------------------------------------------------------------------------------------


def check(name, stage):
    report = []
    try:
        stage.check(report)
    except stages.Difference as difference:
        sys.exit(f"peers: {name}: {difference} ({', '.join(report)})")
    print(f"{name}: the same: {', '.join(report)}", flush=True)


def time_stage(o, name, stage):
    ours, theirs = stage.turns(o.seconds)
    medians = {variant: statistics.median(times) for variant, times in theirs.items()}
    best = min(medians, key=medians.get)
    row = {"stage": name, "ours_s": statistics.median(ours), "torch_s": medians[best]}
    row["ratio"] = row["torch_s"] / row["ours_s"]
    row["ours_mb"] = memory_of(o, name, "ours", best)
    row["torch_mb"] = memory_of(o, name, "torch", best)
    tried = ", ".join(f"{variant} {seconds:.4g} s" for variant, seconds in medians.items())
    print(f"{name}: ours {row['ours_s']:.4g} s, PyTorch {row['torch_s']:.4g} s, ratio {row['ratio']:.2f}; "
          f"memory {row['ours_mb']:.1f} and {row['torch_mb']:.1f} MB ({len(ours)} turns; PyTorch {tried})", flush=True)
    return row


def main():
    o = arguments()
    os.makedirs(o.folder, exist_ok=True)
    lib = library.Library(o.library)
    lib.c.peer_threads(o.threads)

    def make(name):
        return STAGES[name](lib, o.model, o.check, o.folder)

    if o.memory:
        if o.memory[0] == "torch":
            open_torch(o.threads)
        measure(make(o.stages[0]), *o.memory)
        return
    open_torch(o.threads)
    lib.c.peer_threads(o.threads)
    names = o.stages or [name for name in STAGES if not (o.check and name == EXTRA)]
    if o.check:
        for name in names:
            check(name, make(name))
        return
    if on_reference_blas():
        sys.exit("peers: PyTorch runs on the reference BLAS here; `make deps-peers` installs OpenBLAS")
    rows = []
    for name in names:
        stage = make(name)
        check(name, stage)
        row = time_stage(o, name, stage) if name != "encoder" else None
        if row and name != EXTRA:
            rows.append(row)
        stage.close()
    with open(o.output + ".part", "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    os.replace(o.output + ".part", o.output)
    print(f"{o.output}: {o.threads} threads")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"peers: {error}")
