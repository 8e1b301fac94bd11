#!/usr/bin/env python3
"""Makes datasets/objects.tsv, the catalogue of the default object set, from Debian's sweethome3d-furniture as
`make data` unpacks it.

    python3 datasets/make_catalogue.py --data data -o datasets/objects.tsv            (about four minutes, 2 cores)

Names, files, rotations and credits come from each collection's PluginFurnitureCatalog.properties, licences from the
package's copyright file and, where a model's own licence file is stricter, from that. Two columns hold judgements by
eye and are taken from the present catalogue (--judged): `class`, and `note` (thin; flat; transparent = over 60 % of the
surface, and under 0.7 of mean opacity inside the silhouette; texmissing=N; broken).
`group` is computed: objects of one collection with the same name stem, and objects of equal shape anywhere: equal up
to a scale per axis, a mirror and quarter turns. `split` is a function of the group, which so never crosses splits.

The published split is frozen: results depend on it. Run this to check it or after a new package version, and look
at the difference before committing it.
"""
import argparse
import hashlib
import multiprocessing
import os
import re
import sys

import numpy as np

COLLECTIONS = {  # folder: (licence, credit; {creator} from the properties), by the package's copyright file
    "BlendSwap-CC-0": ("CC0-1.0", "Blend Swap: {creator}; OBJ conversion E. Puybaret/eTeks"),
    "BlendSwap-CC-BY": ("CC-BY-3.0", "Blend Swap: {creator}; OBJ conversion E. Puybaret/eTeks"),
    "KatorLegaz": ("CC-BY-3.0-US", "Andrew Kator & Jennifer Legaz"),
    "Reallusion": ("CC-BY-3.0-US", "Reallusion"),
    "Scopia": ("CC-BY-3.0", "Scopia Visual Interfaces Systems / eTeks"),
}
COLUMNS = ("id", "name", "class", "file", "licence", "credit", "up", "rotation", "group", "split", "train_ok", "note")
UNTRAINED = ("thin", "flat", "transparent", "broken")  # notes that keep an object out of training
POINTS = 1024  # on each surface, for the comparison of shapes
# Mean distance to the other's nearest point, over that between two samplings of one shape: below EQUAL shapes are
# one, below SERIES they are if the names, in one collection, share a word (wooden_office_pear_table and _teak_table).
EQUAL, SERIES = 1.2, 1.5
LARGE_GROUP = 4


def properties(path):
    """The numbered entries of a Java properties file (ISO 8859-1, \\uXXXX escapes): {number: {key: value}}."""
    entries = {}
    with open(path, encoding="latin-1") as file:
        for line in file:
            match = re.match(r"(\w+)#(\d+)\s*=\s*(.*?)\s*$", line)
            if match:
                value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), match.group(3))
                entries.setdefault(int(match.group(2)), {})[match.group(1)] = value.replace("\\", "")
    return entries


def licence_of(folder, licence):
    """CC0 unless the model's own licence file asks for attribution."""
    if licence != "CC0-1.0":
        return licence
    for name in os.listdir(folder):
        if "licen" in name.lower():
            with open(os.path.join(folder, name), encoding="latin-1") as file:
                if re.search(r"Released under\s*(<[^>]*>)?\s*Creative Commons Attribution 3\.0", file.read()):
                    return "CC-BY-3.0"
    return licence


def read_obj(path):
    """Vertices (V,3) and triangles (T,3) of an OBJ file; polygons as fans."""
    vertices, triangles = [], []
    with open(path, encoding="latin-1") as file:
        for line in file:
            if line.startswith("v "):
                vertices.append(line.split()[1:4])
            elif line.startswith("f "):
                corner = [int(word.split("/", 1)[0]) for word in line.split()[1:]]
                corner = [c - 1 if c > 0 else len(vertices) + c for c in corner]
                triangles += [(corner[0], corner[i], corner[i + 1]) for i in range(1, len(corner) - 1)]
    return np.array(vertices, np.float64), np.array(triangles, np.int64)


def surface(job):
    """Two samplings of a surface, (2, POINTS, 3), uniform by area after each axis is scaled to [-1,1], and the
    quantiles of height, (32,), from many more points. What no triangle uses is ignored."""
    path, rotation = job
    vertices, triangles = read_obj(path)
    if rotation:
        vertices = vertices @ np.array(rotation).reshape(3, 3).T
    used = vertices[np.unique(triangles)]
    low, high = used.min(0), used.max(0)
    vertices = (vertices - (low + high) / 2) * (2 / np.maximum(high - low, 1e-9 * (high - low).max()))
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).cumsum()
    random = np.random.default_rng(1)

    def sample(count):
        # Stratified over the area: less noise than independent draws.
        at = (np.arange(count) + random.random(count)) / count * area[-1]
        t = np.minimum(np.searchsorted(area, at), len(area) - 1)
        u, v = random.random((2, count, 1))
        fold = u + v > 1
        u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
        return a[t] + u * (b[t] - a[t]) + v * (c[t] - a[t])

    height = np.quantile(sample(1 << 14)[:, 1], (np.arange(32) + 0.5) / 32)
    return np.stack([sample(POINTS), sample(POINTS)]).astype(np.float32), height


def distance(p, q):
    """Mean distance from a point of either set to the nearest of the other; (N,3), (N,3)."""
    squared = (p * p).sum(1)[:, None] + (q * q).sum(1)[None] - 2 * p @ q.T
    squared = np.maximum(squared, 0)
    return (np.sqrt(squared.min(0)).mean() + np.sqrt(squared.min(1)).mean()) / 2


def likeness(p, q, self_distance):
    """The distance of two shapes over the distance of a shape from itself, the least over turns and mirrors."""
    best = np.inf
    for quarter in range(4):
        x, z = (p[:, 0], p[:, 2]) if quarter % 2 == 0 else (p[:, 2], p[:, 0])
        for sign_x in (1, -1):
            turned = np.stack([x * sign_x, p[:, 1], z * (1 if quarter < 2 else -1)], 1)
            best = min(best, distance(turned, q))
    return best / self_distance


def words_of(name):
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return [w for w in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])", name) if w]


def stem(name):
    """The name without what tells variants apart: case, numbers, sides, sizes, colours and separators."""
    words = words_of(name)
    plain = {"left", "right", "small", "big", "large", "medium", "single", "double", "open", "opened", "closed",
             "black", "white", "red", "green", "blue", "brown", "grey", "gray", "yellow", "orange", "pink", "with",
             "texture", "old", "new", "simple", "l", "r", "v"}
    kept = [w for w in words if w not in plain and not re.fullmatch(r"\d+[a-z]?\d*", w)]
    return "".join(kept) or "".join(words)


def unite(count, pairs):
    """Connected components: the least member of each one's own."""
    parent = list(range(count))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        i, j = sorted((root(i), root(j)))
        parent[j] = i
    return [root(i) for i in range(count)]


def split_of(group, members):
    """80 / 10 / 10 by the first 8 hex digits of the group's md5; a group of many trains, or it would be a large part
    of a small test (29 plain boxes)."""
    if members > LARGE_GROUP:
        return "train"
    at = int(hashlib.md5(group.encode()).hexdigest()[:8], 16) / 2**32
    return "train" if at < 0.8 else "validation" if at < 0.9 else "test"


def rows_of(data, judged):
    for collection, (licence, credit) in COLLECTIONS.items():
        root = os.path.join(data, "sweethome3d", collection)
        for _, entry in sorted(properties(os.path.join(root, "PluginFurnitureCatalog.properties")).items()):
            file = entry["model"].lstrip("/")
            folder = os.path.dirname(file)
            name = os.path.basename(folder)
            identifier = re.sub(r"[^A-Za-z0-9_-]", "_", f"{collection}-{name}")
            class_name, note = judged.get(identifier, ("other", "unjudged"))
            yield {
                "id": identifier,
                "name": entry.get("name", name),
                "class": class_name,
                "file": f"sweethome3d/{collection}/{file}",
                "licence": licence_of(os.path.join(root, folder), licence),
                "credit": credit.format(creator=entry["creator"]),
                "up": "y",
                "rotation": entry.get("modelRotation", ""),
                "stem": f"{collection}/{stem(name)}",
                "words": {f"{collection}/{w}" for w in words_of(name) if len(w) >= 4},
                "note": note,
            }


def equal_shapes(rows, data):
    jobs = [(os.path.join(data, r["file"]), [float(x) for x in r["rotation"].split()]) for r in rows]
    with multiprocessing.Pool() as pool:
        shapes = pool.map(surface, jobs, chunksize=8)
        own = [distance(*points) for points, _ in shapes]
        heights = np.stack([height for _, height in shapes])
        near = []
        for i in range(len(rows)):
            spread = np.abs(heights[i + 1:] - heights[i]).mean(1)
            for j in range(i + 1, len(rows)):
                if spread[j - i - 1] < (0.1 if rows[i]["words"] & rows[j]["words"] else 0.04):
                    near.append((i, j))
        print(f"{len(near)} pairs to compare", file=sys.stderr)
        work = [(shapes[i][0][0], shapes[j][0][1], (own[i] + own[j]) / 2) for i, j in near]
        found = pool.starmap(likeness, work, chunksize=64)
    return [(pair, value) for pair, value in zip(near, found)]


def read_judged(path):
    """class and note by id, from a catalogue."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    head = {name: i for i, name in enumerate(lines[0])}
    return {line[head["id"]]: (line[head["class"]], line[head["note"]]) for line in lines[1:]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data", help="the folder `make data` filled")
    parser.add_argument("--judged", default="datasets/objects.tsv", help="catalogue with the columns judged by eye")
    parser.add_argument("--pairs", help="also write the likeness of every pair compared, for looking at")
    parser.add_argument("-o", "--output", default="datasets/objects.tsv")
    arguments = parser.parse_args()

    rows = sorted(rows_of(arguments.data, read_judged(arguments.judged)), key=lambda r: r["id"])
    assert len({r["id"] for r in rows}) == len(rows), "ids are not unique"
    measured = equal_shapes(rows, arguments.data)
    pairs = [(i, j) for (i, j), value in measured
             if value < (SERIES if rows[i]["words"] & rows[j]["words"] else EQUAL)]
    stems = {}
    for i, row in enumerate(rows):
        stems.setdefault(row["stem"], []).append(i)
    pairs += [(members[0], other) for members in stems.values() for other in members[1:]]
    firsts = unite(len(rows), pairs)
    for row, first in zip(rows, firsts):
        row["group"] = rows[first]["id"]
        row["split"] = split_of(row["group"], firsts.count(first))
        row["train_ok"] = "0" if any(word in row["note"] for word in UNTRAINED) else "1"

    if arguments.pairs:
        with open(arguments.pairs, "w", encoding="utf-8") as file:
            for (i, j), value in sorted(measured, key=lambda m: m[1]):
                file.write(f"{value:.3f}\t{rows[i]['id']}\t{rows[j]['id']}\n")
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write("# The default object set; made by datasets/make_catalogue.py. Groups and splits are frozen.\n")
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            file.write("\t".join(row[name] for name in COLUMNS) + "\n")
    groups = len({r["group"] for r in rows})
    counts = {s: sum(r["split"] == s for r in rows) for s in ("train", "validation", "test")}
    print(f"{len(rows)} objects in {groups} groups: {counts}", file=sys.stderr)


if __name__ == "__main__":
    main()
