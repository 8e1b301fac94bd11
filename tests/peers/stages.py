"""What a stage is: it makes its inputs from a seed, runs once in the library (`ours`) or in PyTorch (`torch`: gives a
function for a variant of settings), and compares the two. Stages import torch only where they need it, so that the
library's memory is measured without it."""
import json
import time

import numpy as np

import tensor_file

BOUND = 1e-4  # of an output: |ours - torch| <= BOUND max(1, |torch|)
TURNS = 5  # of each variant, at least
GRADIENT_BOUND = 1e-3  # norm of the difference over the norm: sums of up to 1e5 products, in float


def seconds_of(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


class Difference(Exception):
    pass


def compare(report, name, ours, theirs, bound=BOUND):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise Difference(f"{name}: shapes {ours.shape} and {theirs.shape}")
    worst = float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())
    report.append(f"{name} {worst:.1e}")
    if not worst <= bound:
        raise Difference(f"{name}: differs by {worst:.2e}, bound {bound:.0e}")


def compare_gradients(report, ours, theirs, bound=GRADIENT_BOUND):
    """{name: array} each."""
    if ours.keys() != theirs.keys():
        raise Difference(f"gradients of different parameters: {sorted(ours.keys() ^ theirs.keys())[:4]}")
    squares = {name: float(np.square(ours[name] - theirs[name], dtype=np.float64).sum()) for name in ours}
    norm = sum(float(np.square(g, dtype=np.float64).sum()) for g in theirs.values())
    relative = (sum(squares.values()) / norm) ** 0.5
    report.append(f"gradient {relative:.1e}")
    if not relative <= bound:
        worst = max(squares, key=squares.get)
        raise Difference(f"gradient: differs by {relative:.2e}, bound {bound:.0e}, most in {worst}")


class Stage:
    variants = ("contiguous", "channels-last")

    def __init__(self, lib, model, quick, folder):
        self.lib, self.model, self.quick, self.folder, self.peer = lib, model, quick, folder, None
        self.config = json.loads(tensor_file.read_header(model)["__metadata__"]["config"])
        if quick:
            self.variants = ("channels-last",)

    def close(self):
        if self.peer:
            self.lib.c.peer_close(self.peer)
        self.peer = None

    def runner(self, side, variant):
        """Opens a side; -> what runs it once."""
        if side == "torch":
            return self.torch(variant)
        self.open_ours()
        return self.ours

    def turns(self, seconds):
        """Ours, a variant of PyTorch, ours, the next variant, ... for about so long; -> the times of ours, and of each
        variant."""
        runs = {variant: self.runner("torch", variant) for variant in self.variants}
        for run in [self.ours, *runs.values()] * 2:
            run()
        ours, theirs, began = [], {variant: [] for variant in runs}, time.monotonic()
        while len(ours) < TURNS * len(runs) or (time.monotonic() - began < seconds and len(ours) < 1000):
            for variant, run in runs.items():
                ours.append(seconds_of(self.ours))
                theirs[variant].append(seconds_of(run))
        return ours, theirs

    def prepare(self, side):
        """Whatever is not the stage's own memory."""
        if side == "torch":
            import joint, networks, radiance, weights  # noqa: F401

    def peak(self, side, variant, settle, read):
        """read() at the peak of three runs; settle() is called after loading."""
        run = self.runner(side, variant)
        settle()
        for _ in range(3):
            run()
        return read()

    def torch_model(self, variant, prefixes, train):
        import torch
        import weights

        formats = {"channels-last": torch.channels_last}
        return weights.Model(self.model, prefixes, formats.get(variant, torch.contiguous_format), train)
