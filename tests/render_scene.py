"""A scene file drawn by libparallax from Python, into a numpy array:  render_scene.py LIBRARY SCENE OUT.f32

OUT gets the picture's floats (64,64,4), straight RGBA. The structs are those of nerf/core/camera.h, image.h, views.h and of nerf/nerf.h."""
import ctypes as c
import sys

import numpy as np


class Camera(c.Structure):
    _fields_ = [("c2w", c.c_float * 12), ("fx", c.c_float), ("fy", c.c_float), ("cx", c.c_float), ("cy", c.c_float),
                ("width", c.c_int), ("height", c.c_int)]


class Image(c.Structure):
    _fields_ = [("height", c.c_int), ("width", c.c_int), ("channels", c.c_int), ("data", c.POINTER(c.c_float))]


class View(c.Structure):
    _fields_ = [("camera", Camera), ("colour", Image), ("depth", Image), ("normal", Image)]


class RenderOptions(c.Structure):
    _fields_ = [("samples", c.c_int), ("skip_empty", c.c_bool), ("depth", c.c_bool), ("normal", c.c_bool)]


def declare(library):
    library.plx_error.restype = c.c_char_p
    library.plx_camera_orbit.restype = Camera
    library.plx_camera_orbit.argtypes = [c.c_float] * 4 + [c.c_int] * 2
    library.plx_render_options_default.restype = RenderOptions
    library.plx_field_load.argtypes = [c.POINTER(c.c_void_p), c.c_char_p, c.c_bool]
    library.plx_field_render.argtypes = [c.c_void_p, c.POINTER(View), c.POINTER(RenderOptions)]
    library.plx_field_free.argtypes = [c.c_void_p]
    library.plx_field_free.restype = None
    library.plx_image_free.argtypes = [c.POINTER(Image)]
    library.plx_image_free.restype = None


def check(library, status):
    if status:
        sys.exit(library.plx_error().decode())


def take_pixels(library, image):
    """Its pixels (H,W,C); the image is freed."""
    array = np.ctypeslib.as_array(image.data, (image.height, image.width, image.channels)).copy()
    library.plx_image_free(c.byref(image))
    return array


def render(library, scene):
    field = c.c_void_p()
    check(library, library.plx_field_load(c.byref(field), scene.encode(), False))
    view = View(camera=library.plx_camera_orbit(0.6, 0.3, 1.3, 0.9, 64, 64))
    options = library.plx_render_options_default()
    check(library, library.plx_field_render(field, c.byref(view), c.byref(options)))
    array = take_pixels(library, view.colour)
    library.plx_field_free(field)
    return array


if __name__ == "__main__":
    parallax = c.CDLL(sys.argv[1])
    declare(parallax)
    picture = render(parallax, sys.argv[2])
    picture.tofile(sys.argv[3])
    print(picture.shape, picture.dtype, "opacity %.3f" % picture[..., 3].mean())
