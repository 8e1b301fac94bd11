"""The denoiser's U-Net and the encoder."""
import ctypes

import numpy as np

import library
import scenes
from stages import GRADIENT_BOUND, Difference, Stage, compare, compare_gradients


class UNet(Stage):
    def __init__(self, lib, model, quick, folder, train, batch=1):
        super().__init__(lib, model, quick, folder)
        self.train, self.N, size = train, batch, self.config["size"]
        unet, features = self.config["encoder"]["unet"], self.config["denoiser"]["unet"]["context"]
        tokens = (size // unet["patch"] >> len(unet["multiplier"]) - 1) ** 2
        if not train and not quick:
            self.variants += ("traced", "traced channels-last")
        rng = np.random.RandomState(1)
        self.z, self.render, self.target = rng.randn(3, batch, size, size, 4).astype(np.float32)
        self.context = rng.randn(batch, tokens, features).astype(np.float32)
        self.t = (np.arange(batch) + 0.5) / batch
        self.out = np.empty_like(self.z)
        self.arguments = library.Denoise(
            batch, size, tokens, library.pointer(self.t, library.doubles), library.pointer(self.z),
            library.pointer(self.render), library.pointer(self.context),
            library.pointer(self.target) if train else None, library.pointer(self.out))

    def open_ours(self):
        self.peer = self.lib.open(self.model, library.DENOISER, self.train)

    def ours(self):
        self.lib.call("peer_denoise", self.peer, ctypes.byref(self.arguments))

    def torch(self, variant):
        import torch
        import torch.nn.functional as F
        import joint
        import networks

        model = self.torch_model("channels-last" if "channels-last" in variant else variant, ["denoiser."], self.train)
        denoiser = networks.Denoiser(model)
        t = torch.from_numpy(self.t)
        z, render, target = (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=model.memory_format)
                             for x in (self.z, self.render, self.target))
        context = torch.from_numpy(self.context)
        if not self.train:
            call = traced(denoiser, t, z, render, context) if "traced" in variant else denoiser

            @torch.inference_mode()
            def infer():
                return call(t, z, render, context)

            return infer
        optimiser = joint.Optimiser(model.p)

        def step(keep_gradient=False):
            out = denoiser(t, z, render, context)
            loss = F.mse_loss(out, target)
            loss.backward()
            gradient = {n: p.grad.clone() for n, p in model.p.items()} if keep_gradient else None
            return out, float(loss), gradient, optimiser.step(), model

        return step

    def check(self, report):
        import weights

        self.open_ours()
        self.ours()
        if not self.train:
            for variant in self.variants:
                compare(report, variant, self.out, self.torch(variant)().permute(0, 2, 3, 1).numpy())
            return
        out, loss, gradient, norm, model = self.torch("channels-last")(True)
        compare(report, "output", self.out, out.detach().permute(0, 2, 3, 1).numpy())
        compare(report, "loss", self.arguments.loss, loss)
        compare(report, "norm", self.arguments.norm / norm, 1, GRADIENT_BOUND)
        parameters = {name: self.lib.parameter(self.peer, name) for name in gradient}
        theirs = {n: weights.from_torch(n, g, model.config) for n, g in gradient.items()}
        compare_gradients(report, {n: p[1].copy() for n, p in parameters.items()}, theirs)
        # AdamW's first step is about rate * sign(gradient): compared where the gradient is not all rounding.
        for name, p in parameters.items():
            g = theirs[name]
            sure = np.abs(g) > 1e-2 * np.sqrt(np.square(g).mean())
            ours = np.where(sure, p[0], 0)
            if not np.abs(ours - np.where(sure, weights.from_torch(name, model.p[name], model.config), 0)).max() < 1e-5:
                raise Difference(f"{name} after the step")


def traced(denoiser, *arguments):
    import torch

    class Module(torch.nn.Module):
        def forward(self, *x):
            return denoiser(*x)

    with torch.no_grad():
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(Module().eval(), arguments)))


class Encoder(Stage):
    """The encoder's outputs: checked, and the field's planes."""

    def __init__(self, lib, model, quick, folder, batch=8):
        super().__init__(lib, model, quick, folder)
        self.N = batch
        c, size = self.config["encoder"], self.config["size"]
        views = scenes.batch(lib, batch, 0, size)
        self.cameras, self.rgba = views.cameras, views.colour
        self.told = np.array([n % 3 > 0 for n in range(batch)], np.int32)
        fine = size // c["unet"]["patch"]
        levels = len(c["unet"]["multiplier"])
        coarse, features = fine >> levels - 1, c["unet"]["width"] * c["unet"]["multiplier"][-1]
        C, depth = c["channels"], c["depth"]
        self.planes = ((size, size, C + 6), (depth, fine, C), (fine, depth, C))
        shapes = [(batch,) + plane for plane in self.planes]
        shapes += [(batch, size, size, 5), (batch, 2), (batch, coarse, coarse, features)]
        self.out = [np.empty(shape, np.float32) for shape in shapes]
        self.arguments = library.Encode(
            batch, self.cameras, library.pointer(self.told, library.ints), library.pointer(self.rgba),
            (library.floats * 6)(*map(library.pointer, self.out)))

    def open_ours(self):
        self.peer = self.lib.open(self.model, library.ENCODER, False)

    def ours(self):
        self.lib.call("peer_encode", self.peer, ctypes.byref(self.arguments))

    def torch(self, variant):
        import torch
        import joint
        import networks

        encoder = networks.Encoder(self.torch_model(variant, ["encoder."], False))
        pose, _ = joint.poses(self.cameras, self.told, np.zeros(self.N))
        rgba = torch.from_numpy(self.rgba).permute(0, 3, 1, 2).contiguous()

        @torch.inference_mode()
        def infer():
            return encoder(rgba, pose)

        return infer

    def check(self, report):
        self.open_ours()
        self.ours()
        for variant in self.variants:
            planes, surface, elevation, features = self.torch(variant)()
            theirs = [x.permute(0, 2, 3, 1) for x in planes + [surface]] + [elevation, features.permute(0, 2, 3, 1)]
            for name, a, b in zip(("xy", "xz", "yz", "surface", "elevation", "features"), self.out, theirs):
                compare(report, name, a, b.numpy())
