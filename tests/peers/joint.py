"""The joint training step as diffusion/train.c, supervise.c and condition.c have it. What a step draws at random (rays,
jitter, noise, drops) is made by the library's own generator before the step and is not timed here."""
import ctypes
import math

import numpy as np
import torch
import torch.nn.functional as F

import library
import networks
import radiance
import scenes

COARSE, FINE, FREE, SLAB, SLAB_LENGTH = 16, 16, 6, 2, 0.04
FACTORS = {"colour": 1, "likelihood": 0.01, "hit_colour": 0.05, "surface": 0.1, "elevation": 0.1, "denoise": 1}


class Inputs:
    """What one step gets: tensors named as they are used."""


def cameras_of(cameras):
    c2w = np.stack([scenes.matrix(camera) for camera in cameras])
    intrinsics = np.array([(camera.fx, camera.fy, camera.cx, camera.cy) for camera in cameras], np.float32)
    return torch.from_numpy(c2w), torch.from_numpy(intrinsics)


def poses(cameras, told, jitter):
    """(N,7), and the true (sin, cos) of the elevation (N,2): plx_encoder_pose_of and embed."""
    rows, truths = [], []
    for camera, known, error in zip(cameras, told, jitter):
        c2w = scenes.matrix(camera).astype(np.float64)
        x, y, z = c2w[:, 3]
        elevation = math.atan2(z, math.hypot(x, y))
        local = c2w[:, :3].T @ -c2w[:, 3]
        depth = -local[2]
        px, py = camera.cx + camera.fx * local[0] / depth, camera.cy - camera.fy * local[1] / depth
        log_focal = math.log(2 * math.tan(0.9073878 / 2) * camera.fy / camera.height)
        e = elevation + float(error)
        rows.append([math.sin(e) * known, math.cos(e) * known, known, 2 * log_focal,
                     2 * (2 * px / camera.width - 1), 2 * (2 * py / camera.height - 1), 2 * (depth - 1.3)])
        truths.append([math.sin(elevation), math.cos(elevation)])
    return torch.tensor(rows, dtype=torch.float32), torch.tensor(truths, dtype=torch.float32)


def surface_truth(views, inputs, size):
    """(N,5,S,S) front, back, normal in the camera's axes, and weights: plx_loss_surface."""
    truth, weight = np.zeros((len(inputs), 5, size, size)), np.zeros((len(inputs), 5, size, size))
    y, x = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5, indexing="ij")
    for n, i in enumerate(inputs):
        c2w = scenes.matrix(views.cameras[i]).astype(np.float64)
        origin, direction = scenes.rays(views.cameras[i], x, y)
        hit = views.depth[i, ..., 0] > 0
        for k in range(2):
            point = origin + views.depth[i, ..., k : k + 1] * direction
            depth = -(point - c2w[:, 3]) @ c2w[:, 2]
            truth[n, k] = (depth - c2w[:, 2] @ c2w[:, 3]) / radiance.RADIUS * hit
        truth[n, 2:] = (views.normal[i] @ c2w[:, :3]).transpose(2, 0, 1) * hit
        weight[n] = hit * np.array([1, 1, 0.2, 0.2, 0.2])[:, None, None]
    return torch.from_numpy(truth.astype(np.float32)), torch.from_numpy(weight.astype(np.float32))


class Ray(ctypes.Structure):
    _fields_ = [("number", ctypes.c_float * 8)]


def hits_of_views(lib, cameras):
    """(N, S S) whether the library's ray through each pixel meets the sphere."""
    lib.c.plx_ray_through.restype = Ray
    through, f = lib.c.plx_ray_through, ctypes.c_float
    size = cameras[0].width
    return np.array([[r[7] > r[6] for r in (through(ctypes.byref(camera), f(j + 0.5), f(i + 0.5), f(0.5)).number
                                            for i in range(size) for j in range(size))] for camera in cameras])


def packed(lib, rng, hits, samples):
    """Jitter of stratified samples: numbered along the rays that hit. hits (N,R) -> (N,R,S)"""
    out = np.zeros(hits.shape + (samples,), np.float32)
    out[hits] = lib.uniform(rng, int(hits.sum()) * samples).reshape(-1, samples)
    return torch.from_numpy(out)


def prepare(lib, train, views, step):
    """The Inputs of step `step` of peer_train(train)."""
    s, N, K, size = Inputs(), train.batch, 1 + train.targets, views.cameras[0].width
    rng = lib.fork(library.Rng(train.seed, 0x7472), step)
    first, second = range(0, N * K, K), range(1, N * K, K)

    u = lib.uniform(lib.fork(rng, 0), 2 * N).reshape(N, 2)
    told = u[:, 0] >= np.float32(0.2)
    inputs = [views.cameras[i] for i in first]
    s.pose, s.elevation = poses(inputs, told, (u[:, 1] * 2 - 1) * 2 * math.pi / 180)
    s.withheld = torch.from_numpy(~told)
    s.c2w, s.intrinsics = cameras_of(inputs)
    s.size, s.rgba = size, torch.from_numpy(views.colour[::K]).permute(0, 3, 1, 2).contiguous()
    s.surface, s.surface_weight = surface_truth(views, first, size)

    R = N * (96 + 192 * train.targets)
    arrays = [np.empty((R,) + shape, np.float32) for shape in ((8,), (), (3,), (4,), ())]
    struct = library.Supervision(*map(library.pointer, arrays))
    lib.call("peer_supervise", ctypes.byref(train), lib.fork(rng, 1), ctypes.byref(struct))
    s.rays, s.weight, s.colour, s.over_white, s.hit = (
        torch.from_numpy(a.reshape((N, R // N) + a.shape[1:])) for a in arrays)
    s.hits = s.rays[..., 7] > s.rays[..., 6]
    s.coarse = packed(lib, lib.fork(rng, 2, 1), s.hits.numpy(), COARSE)
    s.fine = torch.from_numpy(lib.uniform(lib.fork(rng, 2, 2), R * FINE).reshape(N, -1, FINE))
    s.geometry = torch.from_numpy(lib.uniform(lib.fork(rng, 3), R * 8).reshape(N, -1, 8))

    targets, pixels = [views.cameras[i] for i in second], size * size
    s.view_c2w, s.view_intrinsics = cameras_of(targets)
    s.view_coarse = packed(lib, lib.fork(rng, 4, 0, 1), hits_of_views(lib, targets), COARSE)
    s.view_fine = torch.from_numpy(lib.uniform(lib.fork(rng, 4, 0, 2), N * pixels * FINE).reshape(N, pixels, FINE))
    s.blur, amplitude, noise, shifts = [], [], [], []
    for n in range(N):
        u = lib.uniform(lib.fork(rng, 4, 1 + n), 3)
        sigma = float(u[0]) * 1.5 * size / 64
        s.blur.append(sigma if u[2] < 0.5 and sigma > 0.1 else 0)
        amplitude.append(float(u[1]) * 0.06)
        u = lib.uniform(lib.fork(rng, 4, 1 + n, 1), 4)
        shifts.append(np.append((u[:3] * 2 - 1) * 0.2 if u[3] < 0.5 else np.zeros(3), 0))
        noise.append(lib.normal(lib.fork(rng, 4, 1 + n), 3 + 4 * pixels)[3:])

    s.shift = torch.tensor(np.array(shifts), dtype=torch.float32)[:, :, None, None]

    def images(rows):
        return torch.from_numpy(np.stack(rows)).view(N, size, size, 4).permute(0, 3, 1, 2).contiguous()

    s.disturbance = images(noise) * torch.tensor(amplitude)[:, None, None, None]
    rgba = torch.from_numpy(views.colour[1::K]).permute(0, 3, 1, 2)
    s.view = torch.cat([2 * (rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]) - 1, 2 * rgba[:, 3:] - 1], 1).contiguous()

    offset = float(lib.uniform(lib.fork(rng, 5, 0), 1)[0])
    o = lib.c.plx_denoiser_training_default()
    assert o.weight == 0, "the loss of every noise level weighs the same"
    s.t = o.t_min + torch.remainder(offset + torch.arange(N, dtype=torch.float64) / N, 1) * (o.t_max - o.t_min)
    s.noise = images([lib.normal(lib.fork(rng, 5, 1), N * 4 * pixels)])
    s.render_kept, s.input_kept = (
        torch.from_numpy((lib.uniform(lib.fork(rng, 5, k), N) >= share).astype(np.float32))
        for k, share in ((2, o.drop_render), (3, o.drop_input)))
    return s


# ---- losses --------------------------------------------------------------------------------------------------------


def weighted(errors, weight):
    """sum w e / sum w, 0 when there is no weight."""
    total = weight.sum()
    return (weight * errors).sum() / (total if total > 0 else 1)


class Joint:
    def __init__(self, model):
        self.model = model
        self.encoder, self.denoiser = networks.Encoder(model), networks.Denoiser(model)
        self.decoder = radiance.Decoder(model.p, model.config["decoder"]["frequencies"], True)

    def photometric(self, s, planes, frame, index, valid):
        rays = radiance.pick(s.rays, index)
        t, length = radiance.stratified(rays, radiance.pick(s.coarse, index))
        with torch.no_grad():
            density, _ = radiance.evaluate(self.decoder, planes, frame, rays, t)
            t, length = radiance.importance(rays, t, length, density, radiance.pick(s.fine, index))
        out = radiance.composite(*radiance.evaluate(self.decoder, planes, frame, rays, t), t, length)
        out = radiance.over_white(radiance.put(out, index, valid, s.rays.shape[1]))
        scale = torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.5])
        return 1.5 * weighted((out - s.over_white).square(), s.weight[..., None] * scale)

    def geometry(self, s, planes, frame, index, valid):
        rays, hit, u = (radiance.pick(x, index) for x in (s.rays, s.hit, s.geometry))
        t0, t1, hits = rays[..., 6:7], rays[..., 7:], (hit > 0) & valid
        front = (hit[..., None] - SLAB_LENGTH / 2).clamp(min=0)
        free = (front - t0).clamp(min=0) / FREE
        before = t0 + free * (torch.arange(FREE) + u[..., :FREE])
        slab = front + SLAB_LENGTH / SLAB * (torch.arange(SLAB) + u[..., FREE:])
        step = (t1 - t0) / (FREE + SLAB)
        miss = t0 + step * (torch.arange(FREE + SLAB) + u)
        t = torch.where(hits[..., None], torch.cat([before, slab], -1), miss)
        lengths = torch.cat([free.expand_as(before), torch.full_like(slab, SLAB_LENGTH / SLAB)], -1)
        length = torch.where(hits[..., None], lengths, step) * valid[..., None]
        density, colour = radiance.evaluate(self.decoder, planes, frame, rays, t)
        tau = density * length
        slab_tau = torch.where(hits, tau[..., FREE:].sum(-1), torch.ones_like(hit))
        likelihood = torch.where(hits, tau[..., :FREE].sum(-1) - torch.log(-torch.expm1(-slab_tau)), tau.sum(-1))
        truth, weight = radiance.pick(s.colour, index), radiance.pick(s.weight, index)
        error = (colour[..., FREE:, :] - truth[..., None, :]).square().sum(-1).mean(-1)
        return (weight * likelihood.abs() * valid).sum() / s.weight.sum(), weighted(error, weight * hits)

    @torch.no_grad()
    def render(self, s, planes, frame):
        """(N,4,S,S): the field's own views, colour over white and opacity in [-1,1]."""
        size = s.size
        rays = radiance.view_rays(s.view_c2w, s.view_intrinsics, size)
        index, valid = radiance.compact(rays[..., 7] > rays[..., 6])
        near = radiance.pick(rays, index)
        t, length = radiance.stratified(near, radiance.pick(s.view_coarse, index))
        density, colour = radiance.evaluate(self.decoder, planes, frame, near, t)
        found = radiance.composite(density, colour, t, length)[..., 3] > 0.004
        again, kept = radiance.compact(found & valid)
        near, t, length, density = (radiance.pick(x, again) for x in (near, t, length, density))
        index = index.gather(1, again)
        t, length = radiance.importance(near, t, length, density, radiance.pick(s.view_fine, index))
        out = radiance.composite(*radiance.evaluate(self.decoder, planes, frame, near, t), t, length)
        out = radiance.over_white(radiance.put(out, index, kept, size * size))
        image = (2 * out - 1).view(-1, size, size, 4).permute(0, 3, 1, 2).contiguous()
        for n, sigma in enumerate(s.blur):
            if sigma:
                reach = min(math.ceil(3 * sigma), 16)
                kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
                kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
                x = F.pad(image[n][:, None], (reach, reach, reach, reach), mode="replicate")
                image[n] = F.conv2d(F.conv2d(x, kernel), kernel.transpose(2, 3))[:, 0]
        return image + s.shift * 0.5 * (image[:, 3:] + 1) + s.disturbance

    def denoise(self, s, planes, frame, features):
        alpha, sigma, _ = (x[:, None, None, None] for x in networks.noise_level(s.t))
        z = (alpha * s.view + sigma * s.noise).float()
        target = (alpha * s.noise - sigma * s.view).float()
        context = features.flatten(2).transpose(1, 2)
        out = self.denoiser(s.t, z, self.render(s, planes, frame), context, s.render_kept, s.input_kept)
        return F.mse_loss(out, target)

    def losses(self, s):
        planes, surface, elevation, features = self.encoder(s.rgba, s.pose)
        frame = radiance.camera_frames(s.c2w, s.intrinsics, s.size)
        index, valid = radiance.compact(s.hits)
        likelihood, hit_colour = self.geometry(s, planes, frame, index, valid)
        losses = {"colour": self.photometric(s, planes, frame, index, valid), "likelihood": likelihood,
                  "hit_colour": hit_colour, "surface": weighted((surface - s.surface).abs(), s.surface_weight),
                  "denoise": self.denoise(s, planes, frame, features)}
        if s.withheld.any():
            losses["elevation"] = (elevation - s.elevation)[s.withheld].square().mean()
        return losses


# ---- the optimiser -------------------------------------------------------------------------------------------------


class Optimiser:
    """AdamW by PyTorch, behind clipping by the global norm; exponential moving average of the values: optim.c."""

    def __init__(self, parameters, rate=4e-4, ema=0.999):
        self.parameters, self.rate, self.ema_decay, self.step_count = list(parameters.values()), rate, ema, 0
        groups = {}
        for name, p in parameters.items():
            factor = 5 if name.startswith("decoder.") else 1
            decay = name.endswith(".weight") or name.rsplit(".", 1)[-1] in ("w1", "w2", "w3")
            groups.setdefault((factor, decay), []).append(p)
        self.factors = [factor for factor, _ in groups]
        self.adam = torch.optim.AdamW(
            [{"params": group, "weight_decay": 0.01 if decay else 0.0} for (_, decay), group in groups.items()],
            lr=rate, betas=(0.9, 0.99), eps=1e-8, foreach=True)
        self.ema = [p.detach().clone() for p in self.parameters]

    def step(self, rate=None):
        """-> the gradient's norm before clipping"""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = float(torch.stack(torch._foreach_norm(gradients)).norm())
        if norm > 1:
            torch._foreach_mul_(gradients, 1 / norm)
        for group, factor in zip(self.adam.param_groups, self.factors):
            group["lr"] = factor * (self.rate if rate is None else rate)
        self.adam.step()
        self.step_count += 1
        decay = min(self.ema_decay, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            torch._foreach_mul_(self.ema, decay)
            torch._foreach_add_(self.ema, self.parameters, alpha=1 - decay)
        self.adam.zero_grad(set_to_none=True)
        return norm


def train_step(joint, optimiser, s, rate):
    """-> the losses by name, the gradient's norm"""
    losses = joint.losses(s)
    sum(FACTORS[name] * loss for name, loss in losses.items()).backward()
    return {name: float(loss) for name, loss in losses.items()}, optimiser.step(rate)
