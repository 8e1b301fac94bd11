"""A model's weights as PyTorch lays them out."""
import json

import numpy as np
import torch

import tensor_file


def _patch_of(name, config):
    for prefix, unet in (("denoiser.", config["denoiser"]["unet"]), ("encoder.unet.", config["encoder"]["unet"])):
        if name.startswith(prefix):
            part = name[len(prefix):]
            return part, unet["patch"]
    return "", 1


def to_torch(name, array, config):
    """(O,K,K,I) -> (O,I,K,K); channels of a patch from (dy,dx,c) to pixel_shuffle's (c,dy,dx)."""
    part, r = _patch_of(name, config)
    x = torch.from_numpy(np.ascontiguousarray(array))
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
    if part == "in.weight" and r > 1:
        x = x.unflatten(1, (r * r, -1)).transpose(1, 2).flatten(1, 2)
    if part in ("out.weight", "out.bias") and r > 1:
        x = x.unflatten(0, (r * r, -1)).transpose(0, 1).flatten(0, 1)
    return x.contiguous()


def from_torch(name, tensor, config):
    """The inverse, as an array."""
    part, r = _patch_of(name, config)
    x = tensor.detach()
    if part == "in.weight" and r > 1:
        x = x.unflatten(1, (-1, r * r)).transpose(1, 2).flatten(1, 2)
    if part in ("out.weight", "out.bias") and r > 1:
        x = x.unflatten(0, (-1, r * r)).transpose(0, 1).flatten(0, 1)
    if x.ndim == 4:
        x = x.permute(0, 2, 3, 1)
    return x.contiguous().numpy()


class Model:
    """A model file's configuration and its parameters (those whose name starts with one of `prefixes`)."""

    def __init__(self, path, prefixes, memory_format, train):
        arrays, metadata = tensor_file.read(path)
        self.config = json.loads(metadata["config"])
        self.memory_format = memory_format
        self.p = {}
        for name, array in arrays.items():
            if not name.startswith(tuple(prefixes)):
                continue
            x = to_torch(name, array, self.config)
            if x.ndim == 4:
                x = x.contiguous(memory_format=memory_format)
            self.p[name] = x.requires_grad_(train)
