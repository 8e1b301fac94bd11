"""A step of joint training: all networks, all losses, the optimiser."""
import ctypes
import itertools
import json
import os
import tempfile
import time

import numpy as np

import library
import scenes
import stages
import tensor_file
from stages import GRADIENT_BOUND, Stage, compare, compare_gradients, seconds_of


class Joint(Stage):
    # The first step with this seed tells the first input's elevation, with almost the largest error, and withholds the
    # second's. Torch goes round the inputs of the first three steps.
    SEED, TARGETS, INPUTS = 16, 3, 3

    def __init__(self, lib, model, quick, folder):
        super().__init__(lib, model, quick, folder)
        self.batch = 2 if quick else 8
        self.views = scenes.batch(lib, self.batch, self.TARGETS, self.config["size"])
        self.inputs = None

    def arguments(self, run, steps, progress):
        return library.Train(self.model.encode(), run.encode(), steps, self.batch, self.TARGETS, self.SEED,
                             self.views.struct, library.Progress(lambda *_: int(bool(progress()))))

    def train(self, steps, progress, after=lambda run: None):
        """Runs plx_train; progress() is called behind each step, and ends the run when it is true; after(folder) before
        the run's folder goes."""
        with tempfile.TemporaryDirectory(dir=self.folder) as run:
            arguments = self.arguments(run, steps, progress)
            try:
                self.lib.call("peer_train", ctypes.byref(arguments))
            except RuntimeError as error:
                if "stopped at step" not in str(error):
                    raise
            return after(run)

    def prepare(self, side):
        super().prepare(side)
        if side == "torch" and not self.inputs:
            import joint

            arguments = self.arguments("", 1, lambda: False)
            self.inputs = [joint.prepare(self.lib, arguments, self.views, step) for step in range(self.INPUTS)]

    def torch(self, variant):
        import joint

        self.prepare("torch")
        model = self.torch_model(variant, ["encoder.", "decoder.", "denoiser."], True)
        network, optimiser, steps = joint.Joint(model), joint.Optimiser(model.p), itertools.count()

        def step():
            number = next(steps)
            joint.train_step(network, optimiser, self.inputs[number % self.INPUTS], 4e-4 * (number + 1) / 300)

        return step

    def turns(self, seconds):
        runs = {variant: self.torch(variant) for variant in self.variants}
        for run in runs.values():
            run()
        ours, theirs = [], {variant: [] for variant in runs}
        order, clock = itertools.cycle(runs), {"began": None, "step": None}

        def progress():
            now = time.perf_counter()
            if clock["began"] is None:  # the first step loads and warms
                clock["began"] = now
            else:
                variant = next(order)
                ours.append(now - clock["step"])
                theirs[variant].append(seconds_of(runs[variant]))
            clock["step"] = time.perf_counter()
            return len(ours) >= stages.TURNS * len(runs) and clock["step"] - clock["began"] > seconds

        self.train(10000, progress)
        return ours, theirs

    def peak(self, side, variant, settle, read):
        if side == "torch":
            return super().peak(side, variant, settle, read)
        peaks = []

        def progress():  # before the run is saved, which takes memory of its own
            peaks.append(read())
            return len(peaks) == 3

        self.train(10000, progress)
        return peaks[-1]

    def check(self, report):
        import joint
        import weights

        def read(run):
            with open(os.path.join(run, "log.jsonl")) as file:
                log = json.loads(file.readline())
            tensors, _ = tensor_file.read(os.path.join(run, "state.safetensors"))
            return log, {name[2:]: x for name, x in tensors.items() if name.startswith("m/")}

        self.prepare("torch")
        assert 0 < int(self.inputs[0].withheld.sum()) < self.batch, "both kinds of input are to be compared"
        log, moments = self.train(1, lambda: False, read)
        for variant in self.variants:
            model = self.torch_model(variant, ["encoder.", "decoder.", "denoiser."], True)
            losses = joint.Joint(model).losses(self.inputs[0])
            for name, loss in losses.items():
                compare(report, name, log[name] / float(loss), 1)
            sum(joint.FACTORS[name] * loss for name, loss in losses.items()).backward()
            gradient = {n: weights.from_torch(n, p.grad, model.config) for n, p in model.p.items()}
            norm = sum(float(np.square(g, dtype=np.float64).sum()) for g in gradient.values()) ** 0.5
            compare(report, "norm", log["gradient_norm"] / norm, 1, GRADIENT_BOUND)
            # Adam's first moment after one step is a tenth of the clipped gradient.
            compare_gradients(report, {n: m * 10 * max(1, norm) for n, m in moments.items()}, gradient)
