"""The field and its rendering as nerf/ has them: plane lookup, MLP, samples along rays, compositing. Everything is
batched by object: coordinates (N,P,5), rays (N,R,...), samples (N,R,S); a ray or sample that is not there has
length 0."""
import math

import torch
import torch.nn.functional as F

RADIUS = 0.5


class TruncatedExp(torch.autograd.Function):
    """exp(clamp(x, -12, 9)), differentiated as if unclamped."""

    @staticmethod
    def forward(ctx, x):
        y = x.clamp(-12, 9).exp_()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.saved_tensors[0]


class Decoder:
    def __init__(self, parameters, frequencies, guided):
        self.p, self.frequencies, self.guided = parameters, frequencies, guided

    def linear(self, layer, x):
        return F.linear(x, self.p[f"decoder.w{layer}"], self.p[f"decoder.b{layer}"])

    def __call__(self, planes, coords):
        """planes [xy, xz, yz] (N,C,rows,columns), coords (N,P,5) -> density (N,P), colour (N,P,3)."""
        training = torch.is_grad_enabled()
        grids = (coords[..., 0:2], coords[..., 2::2], coords[..., 3:5].flip(-1))
        xy, xz, yz = (
            F.grid_sample(plane, grid.unsqueeze(2), padding_mode="border", align_corners=False)
            .squeeze(3).transpose(1, 2) for plane, grid in zip(planes, grids))
        z, channels = coords[..., 4:], xz.shape[2]
        angle = z * (math.pi * 2.0 ** torch.arange(self.frequencies))
        waves = torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)
        if self.guided:
            rgba = xy[..., channels + 2 :]
            parts = [xy[..., :channels], xz, yz, rgba, z - xy[..., channels : channels + 2]]
        else:
            parts = [xy, xz, yz]
        x = torch.cat(parts + [coords[..., 0:2], z, waves], -1)
        x = F.silu(self.linear(1, x), inplace=not training)
        x = F.silu(self.linear(2, x), inplace=not training)
        raw = self.linear(3, x)
        density, colour = TruncatedExp.apply(raw[..., 0]), raw[..., 1:4].sigmoid()
        if self.guided:
            colour = torch.lerp(colour, rgba[..., :3], raw[..., 4:].sigmoid())
        return density, colour


# ---- frames --------------------------------------------------------------------------------------------------------


def camera_frames(c2w, intrinsics, size):
    """Of the inputs' cameras: c2w (N,3,4), intrinsics (N,4) fx fy cx cy. -> a function points (N,P,3) -> (N,P,5)."""
    rotation = c2w[:, :, :3].transpose(1, 2)
    shift = -(rotation.double() @ c2w[:, :, 3:].double()).float()
    origin_depth = -shift[:, 2]
    fx, fy, cx, cy = intrinsics[:, :, None].unbind(1)

    def coordinates(points):
        local = torch.baddbmm(shift.transpose(1, 2), points, rotation.transpose(1, 2))
        depth = -local[..., 2]
        inverse = 1 / depth.clamp(min=1e-4)
        u = 2 * (cx + fx * local[..., 0] * inverse) / size - 1
        v = 2 * (cy - fy * local[..., 1] * inverse) / size - 1
        return torch.stack([u, v, u, v, (depth - origin_depth) / RADIUS], -1)

    return coordinates


def world_frame(radius):
    def coordinates(points):
        x, y, z = (points / radius).unbind(-1)
        return torch.stack([x, -z, x, -z, y], -1)

    return coordinates


# ---- rays and samples ----------------------------------------------------------------------------------------------


def view_rays(c2w, intrinsics, size):
    """All pixels of N views: (N,S S,8): origin, unit direction, chord t0, t1 in the sphere of RADIUS (0, 0: none)."""
    n = c2w.shape[0]
    at = torch.arange(size) + 0.5
    fx, fy, cx, cy = intrinsics[:, :, None].unbind(1)
    x = (at.repeat(size) - cx) / fx
    y = (cy - at.repeat_interleave(size)) / fy
    local = torch.stack([x, y, -torch.ones_like(x)], -1)
    direction = F.normalize(local @ c2w[:, :, :3].transpose(1, 2), dim=-1)
    origin = c2w[:, None, :, 3].expand(n, size * size, 3)
    along = (origin * direction).sum(-1)
    across = (origin - along[..., None] * direction).square().sum(-1)
    inside = RADIUS * RADIUS - across
    half = inside.clamp(min=0).sqrt()
    hit = (inside > 0) & (half - along > 0)
    t0, t1 = (-along - half).clamp(min=0) * hit, (half - along) * hit
    return torch.cat([origin, direction, t0[..., None], t1[..., None]], -1)


def compact(keep):
    """keep (N,R) bool -> index (N,M) of the kept ones in order, padded with others, and valid (N,M)."""
    counts = keep.sum(1)
    most = int(counts.max()) if keep.numel() else 0
    index = torch.argsort(keep.byte(), dim=1, descending=True, stable=True)[:, :most]
    return index, torch.arange(most) < counts[:, None]


def pick(x, index):
    """Rows index (N,M) of x (N,R,...)."""
    shape = index.shape + x.shape[2:]
    return x.gather(1, index.reshape(index.shape + (1,) * (x.ndim - 2)).expand(shape))


def put(x, index, valid, count):
    """The inverse: rows of x (N,M,C) where they came from; the others are 0. -> (N,count,C)"""
    out = x.new_zeros(x.shape[0], count, x.shape[2])
    return out.scatter_add(1, index[..., None].expand_as(x), x * valid[..., None])


def stratified(rays, jitter):
    """One sample in each of S equal intervals of the chord; jitter (N,R,S). -> t, length (N,R,S)."""
    count = jitter.shape[-1]
    step = (rays[..., 7:] - rays[..., 6:7]) / count
    return rays[..., 6:7] + step * (torch.arange(count) + jitter), step.expand(jitter.shape)


def importance(rays, t, length, density, jitter):
    """jitter.shape[-1] more samples where the coarse ones' weights are, merged with them in order."""
    tau = density * length
    weight = torch.exp(tau - tau.cumsum(-1)) * -torch.expm1(-tau) + 1e-3
    zero = torch.zeros_like(t[..., :1])
    cumulative = torch.cat([zero, weight.cumsum(-1)], -1)
    edges = torch.cat([zero, length.cumsum(-1)], -1) + rays[..., 6:7]
    count = jitter.shape[-1]
    at = (torch.arange(count) + jitter) / count * cumulative[..., -1:]
    k = torch.searchsorted(cumulative[..., 1:-1].contiguous(), at, right=True)
    c0, c1 = cumulative.gather(-1, k), cumulative.gather(-1, k + 1)
    e0, e1 = edges.gather(-1, k), edges.gather(-1, k + 1)
    fine = e0 + (e1 - e0) * ((at - c0) / (c1 - c0))
    merged = torch.cat([t, fine], -1).sort(-1)[0]
    middle = 0.5 * (merged[..., 1:] + merged[..., :-1])
    bounds = torch.cat([rays[..., 6:7], middle, rays[..., 7:]], -1)
    return merged, (bounds[..., 1:] - bounds[..., :-1]).clamp(min=0)


def points(rays, t):
    """(N,R,S) -> (N,R S,3)"""
    return (rays[..., None, 0:3] + t[..., None] * rays[..., None, 3:6]).flatten(1, 2)


def evaluate(decoder, planes, coordinates, rays, t):
    density, colour = decoder(planes, coordinates(points(rays, t)))
    return density.view(t.shape), colour.view(*t.shape, 3)


def composite(density, colour, t, length):
    """-> (N,R,5): premultiplied r g b, opacity, sum of weight t."""
    tau = density * length
    weight = torch.exp(tau - tau.cumsum(-1)) * -torch.expm1(-tau)
    values = torch.cat([colour, torch.ones_like(t)[..., None], t[..., None]], -1)
    return torch.matmul(weight.unsqueeze(-2), values).squeeze(-2)


def over_white(out):
    """(...,5) -> (...,4): colour over white, opacity."""
    return torch.cat([out[..., :3] + (1 - out[..., 3:4]), out[..., 3:4]], -1)


# ---- a view of a scene, brute force --------------------------------------------------------------------------------


def render_view(decoder, planes, frame, c2w, intrinsics, size, samples, chunk, threads):
    """(S S,5) of one view: a sample in the middle of each interval of about 2 radius / samples of every chord. Rays
    that miss the sphere are left out. grid_sample runs a thread an object: the points are dealt to `threads`."""
    rays = view_rays(c2w, intrinsics, size)
    index, _ = compact(rays[..., 7] > rays[..., 6])
    hits = pick(rays, index)[0]
    chord = hits[:, 7] - hits[:, 6]
    step = 2 * RADIUS / samples
    count = torch.ceil(chord / step - 1e-3).clamp(min=1)
    step = chord / count
    planes = [plane.expand(threads, -1, -1, -1) for plane in planes]
    out = torch.empty(hits.shape[0], 5)
    for first in range(0, hits.shape[0], chunk):
        part = slice(first, first + chunk)
        most = int(count[part].max())
        here = torch.arange(most)
        inside = here < count[part, None]
        t = (hits[part, 6:7] + step[part, None] * (here + 0.5))
        p = (hits[part, None, 0:3] + t[..., None] * hits[part, None, 3:6])[inside]  # (P,3), packed
        pad = -p.shape[0] % threads
        coords = F.pad(frame(p), (0, 0, 0, pad)).view(threads, -1, 5)
        density, colour = decoder(planes, coords)
        density, colour = density.flatten()[: p.shape[0]], colour.reshape(-1, 3)[: p.shape[0]]
        dense = torch.zeros(t.shape).masked_scatter_(inside, density)
        shades = torch.zeros(*t.shape, 3).masked_scatter_(inside[..., None], colour)
        out[part] = composite(dense, shades, t, step[part, None].expand(t.shape))
    image = torch.zeros(size * size, 5)
    image[index[0]] = out
    return image
