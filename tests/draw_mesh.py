"""A mesh file drawn by libparallax from Python, into a numpy array:  draw_mesh.py LIBRARY MESH OUT.f32

The file is read in a process of its own. OUT gets the picture's floats (48,48,4), straight RGBA. The structs are those of
render/render.h."""
import ctypes as c
import sys

from render_scene import View, check, declare, take_pixels


class MeshOptions(c.Structure):
    _fields_ = [("up", c.c_char), ("rotation", c.c_float * 9), ("scale", c.c_float * 3), ("smooth_angle", c.c_float),
                ("normalise", c.c_bool), ("texture_dir", c.c_char_p), ("trusted", c.c_bool)]


class Light(c.Structure):
    _fields_ = [("key_direction", c.c_float * 3), ("key", c.c_float), ("sky", c.c_float), ("ground", c.c_float)]


class DrawOptions(c.Structure):
    _fields_ = [("samples", c.c_int), ("light", Light), ("colour", c.c_bool), ("depth", c.c_bool), ("normal", c.c_bool),
                ("stretch", c.c_float * 3), ("white_cap", c.c_float)]


class MeshInfo(c.Structure):
    _fields_ = [("vertices", c.c_int64), ("triangles", c.c_int64), ("materials", c.c_int), ("textures", c.c_int),
                ("textures_missing", c.c_int), ("transparent", c.c_float), ("box_min", c.c_float * 3),
                ("box_max", c.c_float * 3)]


def declare_meshes(library):
    library.plx_mesh_options_default.restype = MeshOptions
    library.plx_draw_options_default.restype = DrawOptions
    library.plx_mesh_load.argtypes = [c.POINTER(c.c_void_p), c.c_char_p, c.POINTER(MeshOptions)]
    library.plx_mesh_describe.argtypes = [c.c_void_p]
    library.plx_mesh_describe.restype = MeshInfo
    library.plx_scene_create.argtypes = [c.POINTER(c.c_void_p), c.c_void_p]
    library.plx_scene_draw.argtypes = [c.c_void_p, c.POINTER(View), c.POINTER(DrawOptions)]
    library.plx_scene_free.argtypes = [c.c_void_p]
    library.plx_scene_free.restype = None


def draw(library, path):
    mesh, scene = c.c_void_p(), c.c_void_p()
    options = library.plx_mesh_options_default()
    check(library, library.plx_mesh_load(c.byref(mesh), path.encode(), c.byref(options)))
    triangles = library.plx_mesh_describe(mesh).triangles
    check(library, library.plx_scene_create(c.byref(scene), mesh))
    view = View(camera=library.plx_camera_orbit(0.6, 0.3, 1.3, 0.9, 48, 48))
    how = library.plx_draw_options_default()
    check(library, library.plx_scene_draw(scene, c.byref(view), c.byref(how)))
    array = take_pixels(library, view.colour)
    library.plx_scene_free(scene)
    return triangles, array


if __name__ == "__main__":
    parallax = c.CDLL(sys.argv[1])
    declare(parallax)
    declare_meshes(parallax)
    triangles, picture = draw(parallax, sys.argv[2])
    picture.tofile(sys.argv[3])
    print(triangles, "triangles", picture.shape, picture.dtype, "opacity %.3f" % picture[..., 3].mean())
