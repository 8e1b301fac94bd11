"""The field at points and along rays, and a view of a fitted scene."""
import ctypes
import json
import os

import numpy as np

import library
import network_stages
import scenes
import tensor_file
from stages import BOUND, Difference, Stage, compare, compare_gradients


class Field(Stage):
    """8 objects of 512 rays of 32 samples: 131,072 points."""

    def __init__(self, lib, model, quick, folder, train):
        super().__init__(lib, model, quick, folder)
        self.train, self.N, self.R, self.S = train, 8, 16 if quick else 512, 32
        encoder = network_stages.Encoder(lib, model, quick, folder, self.N)
        encoder.open_ours()
        encoder.ours()
        encoder.close()
        self.planes = encoder.out[:3]
        self.dplanes = [np.zeros_like(x) for x in self.planes]
        self.draw(encoder.cameras)
        points = self.N * self.R * self.S
        self.points, self.values = points, None
        self.start = np.arange(self.N + 1, dtype=np.int32) * (self.R * self.S)
        three = ctypes.c_int * 3
        rows, columns, channels = (three(*x) for x in zip(*encoder.planes))
        p = library.pointer
        self.arguments = library.Field(
            self.N, rows, columns, channels, (library.floats * 3)(*map(p, self.planes)),
            (library.floats * 3)(*map(p, self.dplanes)), p(self.start, library.ints), p(self.coords), None,
            self.N * self.R, self.S, p(self.t), p(self.length), p(self.truth), p(self.weight))

    def draw(self, inputs):
        """Rays from other views through the sphere; coordinates in each input's frame."""
        rng = np.random.RandomState(3)
        coords, ts, lengths = [], [], []
        for n in range(self.N):
            camera = self.lib.orbit(rng.uniform(0, 6), rng.uniform(0, 0.9), 64)
            angle, radius = rng.uniform(0, 2 * np.pi, self.R), 27 * np.sqrt(rng.uniform(0, 1, self.R))
            origin, direction = scenes.rays(camera, 32 + radius * np.cos(angle), 32 + radius * np.sin(angle))
            along = direction @ origin
            half = np.sqrt(0.25 - np.square(origin - along[:, None] * direction).sum(1))
            step = (2 * half / self.S)[:, None]
            t = (-along - half)[:, None] + step * (np.arange(self.S) + rng.uniform(0, 1, (self.R, self.S)))
            point = origin + t[..., None] * direction[:, None]
            c2w = scenes.matrix(inputs[n]).astype(np.float64)
            local = (point - c2w[:, 3]) @ c2w[:, :3]
            depth = -local[..., 2]
            u = 2 * (inputs[n].cx + inputs[n].fx * local[..., 0] / depth) / inputs[n].width - 1
            v = 2 * (inputs[n].cy - inputs[n].fy * local[..., 1] / depth) / inputs[n].height - 1
            z = (depth - np.linalg.norm(c2w[:, 3])) / 0.5
            coords.append(np.stack([u, v, u, v, z], -1).reshape(-1, 5))
            ts.append(t)
            lengths.append(np.repeat(step, self.S, 1))
        self.coords, self.t, self.length = (np.concatenate(x).astype(np.float32) for x in (coords, ts, lengths))
        self.truth = rng.uniform(0, 1, (self.N * self.R, 4)).astype(np.float32)
        self.weight = np.tile(np.array([1 / 3, 1 / 3, 1 / 3, 0.5], np.float32), (self.N * self.R, 1))

    def open_ours(self):
        self.peer = self.lib.open(self.model, library.DECODER, self.train)
        if not self.train:
            self.values = np.empty((self.points, 4), np.float32)
            self.arguments.values = library.pointer(self.values)

    def ours(self):
        self.lib.call("peer_field_train" if self.train else "peer_field", self.peer, ctypes.byref(self.arguments))

    def torch(self, variant):
        import torch
        import radiance

        model = self.torch_model(variant, ["decoder."], self.train)
        decoder = radiance.Decoder(model.p, model.config["decoder"]["frequencies"], True)
        planes = [torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=model.memory_format)
                  .requires_grad_(self.train) for x in self.planes]
        coords = torch.from_numpy(self.coords).view(self.N, -1, 5)
        if not self.train:

            @torch.inference_mode()
            def infer():
                return decoder(planes, coords)

            return infer
        t, length, truth, weight = (torch.from_numpy(x).view(self.N, self.R, -1)
                                    for x in (self.t, self.length, self.truth, self.weight))
        leaves = dict(model.p, xy=planes[0], xz=planes[1], yz=planes[2])

        def step():
            for x in leaves.values():
                x.grad = None
            density, colour = decoder(planes, coords)
            out = radiance.composite(density.view(t.shape), colour.view(*t.shape, 3), t, length)
            loss = (weight * (radiance.over_white(out) - truth).square()).sum() / weight.sum()
            loss.backward()
            return float(loss), leaves

        return step

    def check(self, report):
        self.open_ours()
        self.ours()
        for variant in self.variants:
            if not self.train:
                density, colour = self.torch(variant)()
                theirs = np.concatenate([density.numpy()[..., None], colour.numpy()], -1).reshape(-1, 4)
                compare(report, variant, self.values, theirs)
                continue
            loss, leaves = self.torch(variant)()
            compare(report, variant, self.arguments.loss, loss)
            ours = dict(zip(("xy", "xz", "yz"), self.dplanes))
            theirs = {n: (x.grad.permute(0, 2, 3, 1) if n in ours else x.grad).numpy() for n, x in leaves.items()}
            for name in leaves.keys() - ours.keys():
                ours[name] = self.lib.parameter(self.peer, name)[1]
            for part in (("xy", "xz", "yz"), sorted(leaves.keys() - {"xy", "xz", "yz"})):
                compare_gradients(report, {n: ours[n] for n in part}, {n: theirs[n] for n in part})


class View(Stage):
    SAMPLES = 96
    # What skipping may change of a number, at most and in the mean: the cells left out are those where the density, asked
    # at two points, gives a sample less than 0.01 of opacity; a short fit leaves more haze.
    BOUNDS, QUICK_BOUNDS = (0.03, 2e-4), (0.06, 1e-3)

    def __init__(self, lib, model, quick, folder):
        super().__init__(lib, model, quick, folder)
        self.variants = ("chunks of 1024 rays",) if quick else ("chunks of 1024 rays", "chunks of 4096 rays", "whole")
        size, steps, resolution = (32, 120, 32) if quick else (128, 600, 128)
        self.size = size
        self.scene = os.path.join(folder, "fitted-quick.safetensors" if quick else "fitted.safetensors")
        if not os.path.exists(self.scene):
            views = scenes.around(lib, 3, 12 if quick else 48, size)
            lib.call("peer_fit", self.scene.encode(), ctypes.byref(views.struct), steps, resolution)
        self.camera = (library.Camera * 1)(lib.orbit(0.7, 0.5, size))
        self.rgba = np.empty((size, size, 4), np.float32)
        self.view = library.Views(1, size, self.camera, library.pointer(self.rgba), None, None)

    def open_ours(self):
        self.field = ctypes.c_void_p()
        self.lib.call("peer_scene_open", ctypes.byref(self.field), self.scene.encode())

    def ours(self, skip_empty=True):
        self.lib.call("peer_view", self.field, ctypes.byref(self.view), self.SAMPLES, int(skip_empty))

    def torch(self, variant):
        import torch
        import joint
        import radiance

        arrays, metadata = tensor_file.read(self.scene)
        frame = json.loads(metadata["frame"])
        assert frame["kind"] == "world" and frame["radius"] == radiance.RADIUS
        planes = [torch.from_numpy(arrays[f"planes.{n}"]).permute(0, 3, 1, 2).contiguous() for n in ("xy", "xz", "yz")]
        parameters = {n: torch.from_numpy(x) for n, x in arrays.items() if n.startswith("decoder.")}
        decoder = radiance.Decoder(parameters, int(metadata["frequencies"]), metadata["guided"] == "1")
        c2w, intrinsics = joint.cameras_of(self.camera)
        chunk = int(variant.split()[2]) if variant != "whole" else self.size * self.size

        @torch.inference_mode()
        def render():
            return radiance.render_view(decoder, planes, radiance.world_frame(radiance.RADIUS), c2w, intrinsics,
                                        self.size, self.SAMPLES, chunk, torch.get_num_threads())

        return render

    def over_white(self):
        colour, alpha = self.rgba[..., :3], self.rgba[..., 3:]
        return np.concatenate([colour * alpha + 1 - alpha, alpha], -1)

    def check(self, report):
        import radiance

        self.open_ours()
        self.ours(False)
        everywhere = self.over_white()
        self.ours()
        skipped = self.over_white()
        for variant in self.variants:
            image = radiance.over_white(self.torch(variant)()).view(everywhere.shape).numpy()
            # A ray of ours ends when less than 1e-4 of its light is left.
            compare(report, variant, everywhere, image, 2 * BOUND)
            most, mean = np.abs(skipped - image).max(), np.abs(skipped - image).mean()
        report.append(f"skipping empty cells: most {most:.1e}, mean {mean:.1e}")
        bounds = self.QUICK_BOUNDS if self.quick else self.BOUNDS
        if not (most <= bounds[0] and mean <= bounds[1]):
            raise Difference(f"skipping empty cells changes the view by {most:.2e}, in the mean {mean:.2e}; {bounds}")
