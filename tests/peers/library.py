"""libparallax by ctypes: the structs and functions of stage.h, and random numbers as its training draws them."""
import ctypes as c

import numpy as np

floats = c.POINTER(c.c_float)
ints = c.POINTER(c.c_int)
doubles = c.POINTER(c.c_double)


def pointer(array, kind=floats):
    """Of a C-contiguous array of the right type, which the caller keeps alive."""
    if array is None:
        return None
    wanted = {floats: np.float32, ints: np.int32, doubles: np.float64}[kind]
    assert array.dtype == wanted and array.flags.c_contiguous, (array.dtype, array.shape)
    return array.ctypes.data_as(kind)


class Camera(c.Structure):
    _fields_ = [("c2w", c.c_float * 12), ("fx", c.c_float), ("fy", c.c_float), ("cx", c.c_float),
                ("cy", c.c_float), ("width", c.c_int), ("height", c.c_int)]


class Rng(c.Structure):
    _fields_ = [("seed", c.c_uint64), ("stream", c.c_uint64)]


class DenoiserTraining(c.Structure):
    _fields_ = [("t_min", c.c_double), ("t_max", c.c_double), ("drop_render", c.c_double), ("drop_input", c.c_double),
                ("weight", c.c_int), ("gamma", c.c_double)]


class Tensor(c.Structure):
    _fields_ = [("ndim", c.c_int), ("shape", c.c_int * 4), ("data", floats), ("grad", floats), ("name", c.c_char_p)]


class Denoise(c.Structure):
    _fields_ = [("N", c.c_int), ("size", c.c_int), ("tokens", c.c_int), ("t", doubles), ("z", floats),
                ("render", floats), ("context", floats), ("target", floats), ("out", floats),
                ("loss", c.c_double), ("norm", c.c_double)]


class Encode(c.Structure):
    _fields_ = [("N", c.c_int), ("cameras", c.POINTER(Camera)), ("told", ints), ("rgba", floats), ("out", floats * 6)]


class Field(c.Structure):
    _fields_ = [("N", c.c_int), ("rows", c.c_int * 3), ("columns", c.c_int * 3), ("channels", c.c_int * 3),
                ("planes", floats * 3), ("dplanes", floats * 3), ("start", ints), ("coords", floats),
                ("values", floats), ("R", c.c_int), ("samples", c.c_int), ("t", floats), ("length", floats),
                ("truth", floats), ("weight", floats), ("loss", c.c_double)]


class Views(c.Structure):
    _fields_ = [("count", c.c_int), ("size", c.c_int), ("cameras", c.POINTER(Camera)), ("colour", floats),
                ("depth", floats), ("normal", floats)]


Progress = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p)


class Train(c.Structure):
    _fields_ = [("model", c.c_char_p), ("folder", c.c_char_p), ("steps", c.c_int), ("batch", c.c_int),
                ("targets", c.c_int), ("seed", c.c_uint64), ("views", Views), ("progress", Progress)]


class Supervision(c.Structure):
    _fields_ = [("rays", floats), ("weight", floats), ("colour", floats), ("over_white", floats), ("hit", floats)]


ENCODER, DECODER, DENOISER = 1, 2, 4


class Library:
    def __init__(self, path):
        self.c = c.CDLL(path)
        self.c.plx_error.restype = c.c_char_p
        self.c.plx_rng_fork.restype = Rng
        self.c.plx_rng_fork.argtypes = [Rng, c.c_uint64]
        self.c.plx_camera_orbit.restype = Camera
        self.c.plx_camera_orbit.argtypes = [c.c_float] * 4 + [c.c_int] * 2
        for name in ("plx_rng_fill_uniform", "plx_rng_fill_normal"):
            getattr(self.c, name).argtypes = [Rng, floats, c.c_size_t]
        self.c.plx_denoiser_training_default.restype = DenoiserTraining
        self.c.peer_parameter.restype = c.POINTER(Tensor)
        self.c.peer_parameter.argtypes = [c.c_void_p, c.c_char_p]
        self.c.peer_supervise.argtypes = [c.POINTER(Train), Rng, c.POINTER(Supervision)]
        self.c.peer_threads.argtypes = [c.c_int]

    def call(self, name, *arguments):
        if getattr(self.c, name)(*arguments):
            raise RuntimeError(self.c.plx_error().decode())

    def open(self, model, parts, train):
        peer = c.c_void_p()
        self.call("peer_open", c.byref(peer), model.encode(), parts, int(train))
        return peer

    def parameter(self, peer, name):
        """(values, gradient) as arrays on the library's memory; the gradient is None at inference."""
        x = self.c.peer_parameter(peer, name.encode()).contents
        shape = tuple(x.shape[: x.ndim])
        return [np.ctypeslib.as_array(a, shape) if a else None for a in (x.data, x.grad)]

    def orbit(self, azimuth, elevation, size, distance=1.3, fov=0.9073878):
        return self.c.plx_camera_orbit(azimuth, elevation, distance, fov, size, size)

    def fork(self, rng, *ids):
        for i in ids:
            rng = self.c.plx_rng_fork(rng, i)
        return rng

    def uniform(self, rng, count):
        out = np.empty(count, np.float32)
        self.c.plx_rng_fill_uniform(rng, pointer(out), count)
        return out

    def normal(self, rng, count):
        out = np.empty(count, np.float32)
        self.c.plx_rng_fill_normal(rng, pointer(out), count)
        return out
