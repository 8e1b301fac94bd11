"""The README's gallery: what the shipped model does well, middling and badly, and what unusual inputs do to it.

gallery.py PROGRAM DATA FOLDER: makes FOLDER/ranked.png, unusual.png, seeds.png and gallery.json (which objects, their PSNR)

ranked.png   the best, median and worst three test objects by feed-forward PSNR: input; for three views truth, feed-forward, blend
unusual.png  one object under other light, lenses and backgrounds, and shapes of no class of the catalogue: input as the model
             saw it; for three views truth and blend
seeds.png    several seeds of one input: rows seeds, columns views around
"""

import json
import math
import os
import random
import subprocess
import sys

from PIL import Image, ImageDraw

CATALOGUE = "datasets/objects.tsv"
ONE = "BlendSwap-CC-0-couch"  # under all conditions
SEEDS = "BlendSwap-CC-0-couch"
QUALITY = "fast"  # of all but the seeds: a minute in all
SIDE = 64
LABEL = 92
TURN = 30  # degrees between the drawn views; 12 of them
SHOWN = [1, 3, 5]  # 30, 90 and 150 degrees from the input
FOV, DISTANCE = 51.989, 1.3


class Gallery:
    def __init__(self, program, data, folder):
        self.program, self.data, self.folder = program, data, folder
        os.makedirs(folder, exist_ok=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, *words):
        print("parallax", *words, flush=True)
        subprocess.run([self.program, *words, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def labelled(rows, width):
    """rows: [(label, picture)]; all pictures of one width."""
    sheet = Image.new("RGB", (LABEL + width, SIDE * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (label, picture) in enumerate(rows):
        sheet.paste(picture, (LABEL, SIDE * i))
        draw.multiline_text((2, SIDE * i + 20), label, fill="black")
    return sheet


def save(sheet, path):
    """256 colours: a third of the size."""
    sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


# ---- best, median, worst ------------------------------------------------------------------------------------------------


def ranked(g):
    everything = g.path("all.json")
    if not os.path.exists(everything):
        g.run("eval", "--data", g.data, "--methods", "feedforward", "--json", everything)
    objects = sorted(json.load(open(everything))[0]["objects"], key=lambda o: -o["psnr"])
    middle = len(objects) // 2
    chosen = objects[:3] + objects[middle - 1 : middle + 2] + objects[-3:]
    table = [line for line in open(CATALOGUE) if not line.startswith("#")]
    by_id = {line.split("\t")[0]: line for line in table[1:]}
    with open(g.path("ranked.tsv"), "w") as file:
        file.writelines([table[0]] + [by_id[o["object"]] for o in chosen])
    words = ["--catalogue", g.path("ranked.tsv"), "--data", g.data, "--methods", "feedforward,blend", "--quality", QUALITY]
    g.run("eval", *words, "--json", g.path("ranked.json"), "--sheet", g.path("ranked-sheet.png"))
    sheet = Image.open(g.path("ranked-sheet.png")).convert("RGB")
    measured = {m["method_name"]: {o["object"]: o for o in m["objects"]} for m in json.load(open(g.path("ranked.json")))}
    rows, record = [], []
    for i, o in enumerate(chosen):
        name = o["object"]
        psnr = [measured[method][name]["psnr"] for method in ("feedforward", "blend-" + QUALITY)]
        rank = ["best", "median", "worst"][i // 3]
        rows.append((f"{rank}\n{psnr[0]:.1f}, {psnr[1]:.1f} dB", sheet.crop((0, SIDE * i, sheet.width, SIDE * (i + 1)))))
        record.append({"rank": rank, "object": name, "licence": by_id[name].split("\t")[4], "feedforward": psnr[0], "blend": psnr[1]})
    save(labelled(rows, sheet.width), g.path("ranked.png"))
    return record


# ---- unusual inputs -----------------------------------------------------------------------------------------------------


def draw(g, name, what, *words):
    """12 views around `what` at 20 degrees; their files."""
    folder = g.path(name)
    if not os.path.exists(folder):
        ring = ["--pattern", "ring", "--views", str(360 // TURN), "--size", "256"]
        g.run("dataset", "render", *what, "-o", folder, *ring, *words)
    found = [os.path.join(at, file) for at, _, files in os.walk(folder) for file in files if file.endswith(".png")]
    return sorted(found)


def flat(path, size=SIDE):
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB").resize((size, size), Image.Resampling.BOX)


def reconstruct(g, name, picture, truth, fov=FOV):
    """A row: the input as the model saw it; truth and blend at 30, 90, 150 degrees."""
    folder = g.path(name + "-made")
    if not os.path.exists(folder):
        words = ["--views", str(360 // TURN), "--frames", "1", "--size", "128", "--elevation", "20", "--fov", str(fov), "--quality", QUALITY]
        g.run("reconstruct", picture, "-o", folder, *words)
    row = Image.new("RGB", (SIDE * (1 + 2 * len(SHOWN)), SIDE), "white")
    row.paste(flat(os.path.join(folder, "input.png")), (0, 0))
    for i, k in enumerate(SHOWN):
        row.paste(flat(truth[k]), (SIDE * (1 + 2 * i), 0))
        row.paste(flat(os.path.join(folder, "views", f"{k:05d}.png")), (SIDE * (2 + 2 * i), 0))
    return row


def clutter(g, picture):
    """A careless matte: two pieces of what stood behind the object are still there."""
    back = Image.open(picture).convert("RGBA")
    draw_on = ImageDraw.Draw(back)
    draw_on.rectangle((20, 60, 75, 140), fill=(60, 110, 70, 255))
    draw_on.rectangle((190, 150, 250, 215), fill=(170, 60, 50, 255))
    path = g.path("clutter.png")
    Image.alpha_composite(back, Image.open(picture).convert("RGBA")).save(path)
    return path


def grey(g, picture):
    front = Image.open(picture).convert("RGBA")
    path = g.path("grey.png")
    Image.alpha_composite(Image.new("RGBA", front.size, (150, 150, 150, 255)), front).convert("RGB").save(path)
    return path


def write_mesh(g, name, quads, colours):
    """quads: [(material, four points)]"""
    with open(g.path(name + ".mtl"), "w") as file:
        for i, (r, green, b) in enumerate(colours):
            file.write(f"newmtl m{i}\nKd {r} {green} {b}\n")
    with open(g.path(name + ".obj"), "w") as file:
        file.write(f"mtllib {name}.mtl\n")
        for i, (material, points) in enumerate(quads):
            file.writelines("v %g %g %g\n" % p for p in points)
            file.write(f"usemtl m{material}\nf {4 * i + 1} {4 * i + 2} {4 * i + 3} {4 * i + 4}\n")
    return [g.path(name + ".obj")]


def knot(g):
    """A trefoil's tube, in stripes."""
    along, around, radius = 120, 12, 0.42

    def centre(t):
        return (math.sin(t) + 2 * math.sin(2 * t), math.cos(t) - 2 * math.cos(2 * t), -math.sin(3 * t))

    def unit(v):
        length = math.sqrt(sum(x * x for x in v))
        return tuple(x / length for x in v)

    def cross(a, b):
        return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])

    def point(i, j):
        t, s = 2 * math.pi * i / along, 2 * math.pi * j / around
        c, ahead = centre(t), centre(t + 1e-3)
        tangent = unit(tuple(b - a for a, b in zip(c, ahead)))
        side = unit(cross(tangent, (0, 0, 1)))
        up = cross(side, tangent)
        return tuple(c[k] + radius * (math.cos(s) * side[k] + math.sin(s) * up[k]) for k in range(3))

    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    quads = [((i // 10) % 2, [point(i + a, j + b) for a, b in corners]) for i in range(along) for j in range(around)]
    return write_mesh(g, "knot", quads, [(0.8, 0.25, 0.1), (0.9, 0.8, 0.5)])


def stairs(g):
    """Five steps, each a box, each of its own colour."""
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    quads = []
    for step in range(5):
        corner = [(x, y, z) for x in (0.2 * step, 0.2 * step + 0.2) for y in (0, 0.2 * step + 0.2) for z in (0, 0.8)]
        quads += [(step, [corner[i] for i in face]) for face in faces]
    return write_mesh(g, "stairs", quads, [(0.2, 0.3, 0.7), (0.2, 0.6, 0.6), (0.3, 0.7, 0.2), (0.8, 0.7, 0.2), (0.8, 0.2, 0.2)])


def unusual(g):
    chosen = ["--data", g.data, "--split", "test", "--objects", ONE]
    usual = draw(g, "usual", chosen)
    rows = [("as trained", reconstruct(g, "usual", usual[0], usual))]
    for label, light in (("other light", "random"), ("no shading", "even")):
        views = draw(g, light, chosen, "--light", light)
        rows.append((label, reconstruct(g, light, views[0], usual)))
    for label, fov in (("fov 25", 25), ("fov 80", 80)):
        away = DISTANCE * math.tan(math.radians(FOV / 2)) / math.tan(math.radians(fov / 2))
        views = draw(g, f"fov{fov}", chosen, "--fov", str(fov), "--distance", f"{away:.4f}")
        rows.append((label, reconstruct(g, f"fov{fov}", views[0], usual, fov)))
    rows.append(("grey, opaque", reconstruct(g, "grey", grey(g, usual[0]), usual)))
    rows.append(("bad matte", reconstruct(g, "clutter", clutter(g, usual[0]), usual)))
    for label, mesh in (("a knot", knot(g)), ("stairs", stairs(g))):
        views = draw(g, label.split()[-1] + "-views", mesh)
        rows.append((label, reconstruct(g, label.split()[-1], views[1], views[1:] + views[:1])))
    save(labelled(rows, rows[0][1].width), g.path("unusual.png"))


# ---- seeds --------------------------------------------------------------------------------------------------------------


def seeds(g):
    picture = draw(g, "seeds-views", ["--data", g.data, "--split", "test", "--objects", SEEDS])[0]
    folder = g.path("seeds-made")
    if not os.path.exists(folder):
        g.run("reconstruct", picture, "-o", folder, "--elevation", "20", "--seeds", "3", "--size", str(SIDE), "--frames", "1")
    save(Image.open(os.path.join(folder, "seeds.png")).convert("RGB"), g.path("seeds.png"))
    return json.load(open(os.path.join(folder, "run.json")))["spread"]


def main(words):
    if len(words) != 3:
        sys.exit(__doc__)
    g = Gallery(*words)
    record = {"ranked": ranked(g)}
    unusual(g)
    record["spread"] = seeds(g)
    with open(g.path("gallery.json"), "w") as file:
        json.dump(record, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
