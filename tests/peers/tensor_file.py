"""Reading safetensors files of F16 and F32 tensors."""
import json
import struct

import numpy as np


def read_header(path):
    with open(path, "rb") as file:
        return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


def read(path):
    """{name: float32 array}, {key: text}"""
    with open(path, "rb") as file:
        begin = 8 + struct.unpack("<Q", file.read(8))[0]
    data, header = np.memmap(path, np.uint8, "r", begin), read_header(path)
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        kind = {"F16": "<f2", "F32": "<f4"}[entry["dtype"]]
        tensors[name] = data[first:last].view(kind).astype(np.float32).reshape(entry["shape"])
    return tensors, metadata
