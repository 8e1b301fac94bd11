"""Objects made of boxes, ray-traced exactly: views with colour, opacity, first and last hit, and normals."""
import numpy as np

import library


def chair(number):
    """Boxes (low, high, colour) of a chair within a sphere of radius 0.45; `number` varies its proportions."""
    rng = np.random.RandomState(number)
    w, d, h = rng.uniform(0.16, 0.24, 3)
    seat, leg, back = rng.uniform(-0.12, 0.02), rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.06)
    colours = rng.uniform(0.15, 0.9, (3, 3))
    boxes = [((-d, -w, seat), (d, w, seat + 0.05), colours[0]),
             ((-d, -w, seat + 0.05), (-d + back, w, seat + 0.05 + h), colours[1])]
    for x in (-d, d - leg):
        for y in (-w, w - leg):
            boxes.append(((x, y, -0.3), (x + leg, y + leg, seat), colours[2]))
    if number % 2:
        boxes.append(((-d, w - leg, seat + 0.05), (d, w, seat + 0.05 + h / 2), colours[2]))
    low, high, colour = (np.array(part, np.float32) for part in zip(*boxes))
    return low, high, colour


def matrix(camera):
    return np.ctypeslib.as_array(camera.c2w).reshape(3, 4).copy()


def rays(camera, x, y):
    """Origin (3) and unit directions (...,3) through image points in pixels."""
    c2w = matrix(camera)
    local = np.stack([(x - camera.cx) / camera.fx, (camera.cy - y) / camera.fy, -np.ones_like(x)], -1)
    direction = local @ c2w[:, :3].T
    return c2w[:, 3], direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def trace(boxes, origin, direction):
    """-> hit mask, colour over nothing, distance of the first and of the last surface, normal of the first."""
    low, high, colour = boxes
    inverse = 1 / np.where(np.abs(direction) < 1e-9, 1e-9, direction)[..., None, :]
    a, b = (low - origin) * inverse, (high - origin) * inverse
    near, far = np.minimum(a, b), np.maximum(a, b)
    axis, t0, t1 = near.argmax(-1), near.max(-1), far.min(-1)
    inside = (t0 < t1) & (t0 > 0)
    t0 = np.where(inside, t0, np.inf)
    box = t0.argmin(-1)
    hit = inside.any(-1)
    first = np.take_along_axis(t0, box[..., None], -1)[..., 0]
    last = np.where(inside, t1, 0).max(-1)
    axis = np.take_along_axis(axis, box[..., None], -1)[..., 0]
    along = np.take_along_axis(direction, axis[..., None], -1)[..., 0]
    normal = np.eye(3)[axis] * -np.sign(along)[..., None]
    point = origin + np.where(hit, first, 0)[..., None] * direction
    light = 0.55 + 0.45 * np.abs(normal @ np.array([0.36, 0.48, 0.8]))
    grain = 0.9 + 0.1 * np.sin(60 * point.sum(-1))
    shade = np.where(hit[..., None], colour[box] * (light * grain)[..., None], 0)
    return hit, shade, np.where(hit, first, 0), last, np.where(hit[..., None], normal, 0)


def view(boxes, camera):
    """colour (S,S,4) straight RGBA of 2x2 points a pixel, depth (S,S,2), normal (S,S,3)."""
    size = camera.width
    y, x = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5, indexing="ij")
    total, count = np.zeros((size, size, 3)), np.zeros((size, size))
    for dx in (-0.25, 0.25):
        for dy in (-0.25, 0.25):
            hit, shade, _, _, _ = trace(boxes, *rays(camera, x + dx, y + dy))
            total += shade
            count += hit
    hit, _, first, last, normal = trace(boxes, *rays(camera, x, y))
    straight = np.where(count[..., None] > 0, total / np.maximum(count, 1)[..., None], 1)
    colour = np.concatenate([straight, count[..., None] / 4], -1)
    return [np.ascontiguousarray(a, np.float32) for a in (colour, np.stack([first, last], -1), normal)]


class Views:
    """Views as arrays, and as the struct that stage.h takes."""

    def __init__(self, objects, cameras):
        size = cameras[0].width
        parts = [view(o, camera) for o, camera in zip(objects, cameras)]
        self.cameras = (library.Camera * len(cameras))(*cameras)
        self.colour, self.depth, self.normal = (np.stack(part) for part in zip(*parts))
        self.struct = library.Views(len(cameras), size, self.cameras, *map(
            library.pointer, (self.colour, self.depth, self.normal)))


def around(lib, number, count, size):
    """Views of one chair from all about."""
    rng = np.random.RandomState(100 + number)
    cameras = [lib.orbit(2 * np.pi * i / count, float(np.arcsin(rng.uniform(-0.05, 0.85))), size) for i in range(count)]
    return Views([chair(number)] * count, cameras)


def batch(lib, items, targets, size):
    """An input view at azimuth 0 and `targets` others of each of `items` chairs."""
    rng = np.random.RandomState(7)
    objects, cameras = [], []
    for n in range(items):
        for k in range(1 + targets):
            azimuth = rng.uniform(0, 2 * np.pi) if k else 0.0
            objects.append(chair(n))
            cameras.append(lib.orbit(azimuth, float(np.arcsin(rng.uniform(-0.05, 0.85))), size))
    return Views(objects, cameras)
