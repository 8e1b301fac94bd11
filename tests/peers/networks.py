"""The encoder and the denoiser as diffusion/unet.c, encoder.c and denoiser.c have them, on (N,C,H,W) tensors."""
import math

import torch
import torch.nn.functional as F


def groups_of(channels):
    return next(g for g in range(32, 0, -1) if channels % g == 0 and channels // g >= 4 or g == 1)


class UNet:
    def __init__(self, model, prefix, config):
        self.p, self.prefix, self.c = model.p, prefix, config
        self.padding = {name: x.shape[2] // 2 for name, x in model.p.items() if x.ndim == 4}

    def get(self, name):
        return self.p[f"{self.prefix}.{name}.weight"], self.p[f"{self.prefix}.{name}.bias"]

    def conv(self, name, x, stride=1):
        return F.conv2d(x, *self.get(name), stride=stride, padding=self.padding[f"{self.prefix}.{name}.weight"])

    def linear(self, name, x):
        return F.linear(x, *self.get(name))

    def norm(self, name, x):
        return F.group_norm(x, groups_of(x.shape[1]), self.p[f"{self.prefix}.{name}.gamma"],
                            self.p[f"{self.prefix}.{name}.beta"], 1e-5)

    def silu(self, x):
        return F.silu(x, inplace=not torch.is_grad_enabled())

    def residual(self, name, x, embedding):
        h = self.conv(f"{name}.conv1", self.silu(self.norm(f"{name}.norm1", x)))
        h = self.norm(f"{name}.norm2", h)
        if embedding is not None:
            scale, shift = self.linear(f"{name}.scale_shift", embedding)[:, :, None, None].chunk(2, 1)
            h = torch.addcmul(shift, h, 1 + scale)
        h = self.conv(f"{name}.conv2", self.silu(h))
        if x.shape[1] != h.shape[1]:
            x = self.conv(f"{name}.skip", x)
        return x + h

    def heads(self, x):
        """(N,K,C) -> (N heads,K,d)"""
        n, k, channels = x.shape
        h = self.c["heads"]
        return x.view(n, k, h, channels // h).transpose(1, 2).reshape(n * h, k, channels // h)

    def attention(self, q, k, v):
        n, length, channels = q.shape
        q, k, v = self.heads(q), self.heads(k), self.heads(v)
        empty = torch.empty(1, 1, 1, dtype=q.dtype)
        scores = torch.baddbmm(empty, q, k.transpose(1, 2), beta=0, alpha=1 / math.sqrt(q.shape[2]))
        out = torch.bmm(scores.softmax(-1), v)
        return out.view(n, -1, length, q.shape[2]).transpose(1, 2).reshape(n, length, channels)

    def attend(self, name, x, context):
        shape = x.shape

        def image(tokens):
            return tokens.transpose(1, 2).view(shape)

        h = self.norm(f"{name}.norm", x).flatten(2).transpose(1, 2)
        x = x + image(self.linear(f"{name}.out", self.attention(*self.linear(f"{name}.qkv", h).chunk(3, 2))))
        if context is None:
            return x
        h = self.norm(f"{name}.cross_norm", x).flatten(2).transpose(1, 2)
        h = self.attention(self.linear(f"{name}.cross_q", h), *self.linear(f"{name}.cross_kv", context).chunk(2, 2))
        return x + image(self.linear(f"{name}.cross_out", h))

    def stage(self, name, level, x, embedding, context, attention=True):
        x = self.residual(name, x, embedding)
        if attention and self.c["attention"][level]:
            x = self.attend(f"{name}.attention", x, context)
        return x

    def __call__(self, x, embedding, context=None):
        """(N,C,H,W), (N,E), (N,K,F) -> out, and the way up's features, coarsest first."""
        levels, blocks, patch = len(self.c["multiplier"]), self.c["blocks"], self.c["patch"]
        embedding = F.silu(embedding)
        x = self.conv("in", F.pixel_unshuffle(x, patch))
        skips, features = [], []
        for l in range(levels):
            for b in range(blocks):
                x = self.stage(f"down{l}.block{b}", l, x, embedding, context)
                skips.append(x)
            if l + 1 < levels:
                x = self.conv(f"down{l}.half", x, 2)
        x = self.stage("middle0", levels - 1, x, embedding, context)
        x = self.stage("middle1", levels - 1, x, embedding, context, False)
        for l in reversed(range(levels)):
            for b in range(blocks):
                x = self.stage(f"up{l}.block{b}", l, torch.cat([x, skips.pop()], 1), embedding, context)
            features.append(x)
            if l:
                x = self.conv(f"up{l}.twice", F.interpolate(x, scale_factor=2, mode="nearest"))
        return F.pixel_shuffle(self.conv("out", self.silu(self.norm("out_norm", x))), patch), features


# ---- the denoiser --------------------------------------------------------------------------------------------------


def noise_level(t):
    """Cosine schedule: alpha, sigma, logSNR in double."""
    s = 0.008
    alpha = torch.cos(math.pi / 2 * (t + s) / (1 + s)) / math.cos(math.pi / 2 * s / (1 + s))
    alpha = alpha.clamp(0, 1)
    sigma = torch.sqrt(1 - alpha * alpha)
    return alpha, sigma, (2 * torch.log(alpha / sigma)).clamp(-20, 20)


class Denoiser:
    FREQUENCIES = 6

    def __init__(self, model):
        self.p, self.format = model.p, model.memory_format
        self.unet = UNet(model, "denoiser", model.config["denoiser"]["unet"])

    def time_embedding(self, t):
        value = (noise_level(t)[2] / 20).float().double()
        angle = math.pi * value[:, None] * 2.0 ** torch.arange(self.FREQUENCIES, dtype=torch.float64)
        x = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
        h = F.silu(self.unet.linear("time.linear1", torch.cat([value[:, None], x], 1).float()))
        return self.unet.linear("time.linear2", h)

    def __call__(self, t, z, render, context, render_kept=None, input_kept=None):
        """t (N) double; z, render (N,4,H,W); context (N,K,F); kept (N) of 0 and 1, or None = all."""
        def mask(kept):
            shape = z[:, :1].shape
            return z.new_zeros(shape) if kept is None else (1 - kept)[:, None, None, None].expand(shape)

        if render_kept is not None:
            render = render * render_kept[:, None, None, None]
        if input_kept is not None:
            context = context * input_kept[:, None, None]
        x = torch.cat([z, render, mask(render_kept), mask(input_kept)], 1)
        return self.unet(x.contiguous(memory_format=self.format), self.time_embedding(t), context)[0]


# ---- the encoder ---------------------------------------------------------------------------------------------------


class Encoder:
    def __init__(self, model):
        self.c, self.format = model.config["encoder"], model.memory_format
        self.unet = UNet(model, "encoder.unet", self.c["unet"])
        self.p = model.p

    def linear(self, name, x):
        return F.linear(x, self.p[f"encoder.{name}.weight"], self.p[f"encoder.{name}.bias"])

    def side(self, name, pooled):
        """(N,L,bins F) -> (N,L,depth,C)"""
        h = self.linear(f"{name}2", F.silu(self.linear(f"{name}1", pooled)))
        return h.view(*h.shape[:2], self.c["depth"], self.c["channels"])

    def __call__(self, rgba, pose):
        """rgba (N,4,S,S), pose (N,7) -> planes xy, xz, yz (N,channels,rows,columns), surface (N,5,S,S),
        elevation (N,2), features (N,F,S/8,S/8)."""
        n, _, size, _ = rgba.shape
        ramp = (torch.arange(size) + 0.5) * 2 / size - 1
        u, v = ramp.expand(n, 1, size, size), ramp[:, None].expand(n, 1, size, size)
        colour, alpha = rgba[:, :3], rgba[:, 3:]
        x = torch.cat([2 * (colour * alpha + 1 - alpha) - 1, 2 * alpha - 1, u, v], 1)
        embedding = self.linear("pose2", F.silu(self.linear("pose1", pose)))
        out, features = self.unet(x.contiguous(memory_format=self.format), embedding)
        channels, bins, fine, coarse = self.c["channels"], self.c["bins"], features[-1], features[0]
        xy = torch.cat([out[:, : channels + 2], rgba], 1)
        columns = F.avg_pool2d(fine, (fine.shape[2] // bins, 1)).permute(0, 3, 2, 1).flatten(2)
        rows = F.avg_pool2d(fine, (1, fine.shape[3] // bins)).permute(0, 2, 3, 1).flatten(2)
        xz = self.side("xz", columns).permute(0, 3, 2, 1)
        yz = self.side("yz", rows).permute(0, 3, 1, 2)
        elevation = self.linear("elevation", coarse.mean((2, 3)))
        return [xy, xz, yz], out[:, channels : channels + 5], elevation, coarse
