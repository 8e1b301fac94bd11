#!/usr/bin/env python3
"""Makes datasets/flightgear.tsv, a catalogue of aircraft, ships, buildings and vehicles, from Debian's flightgear-data-models
and flightgear-data-ai as `make data-flightgear` unpacks them.

    python3 datasets/make_flightgear.py --data data -o datasets/flightgear.tsv

What is kept, and as what, was judged on contact sheets: the tables below. An airliner's paint stands in a folder that an XML file
beside it names: the column `textures`; at most LIVERIES of an airframe are kept, evenly over their names. A model whose
textures are not all there is left out. `group` is the airframe's family, or the name without numbers and colours; `split` is a
function of it. The licence of all is the GPL, version 2 or later: for training and evaluation here, not for a model that is
given away.
"""
import argparse
import hashlib
import os
import re
import sys

COLUMNS = ("id", "name", "class", "file", "licence", "credit", "up", "rotation", "group", "split", "train_ok", "note", "textures")
LIVERIES = 6
# FlightGear's models have y up and look along -x: turned to look along +z.
ROTATION = "0 0 1 0 1 0 -1 0 0"
CREDIT = "FlightGear (Debian: {package}), Curtis L. Olson and the FlightGear team"

KEPT = (  # path below data/flightgear: class; the first that fits
    ("Aircraft/balloon/", "balloon"),
    ("Aircraft/", "aircraft"),
    ("Models/Aircraft/", "aircraft"),
    (r"Models/Geometry/(KA6-D|KC-130|KC135|A4-F|glider|tuxcopter)", "aircraft"),
    (r"Models/Geometry/(SanAntonio|Ferry|sailboat1|container_carrier|saratoga|platform)", "ship"),
    (r"Models/Geometry/Nimitz/Models/(mule-1[124]|mule-2[12]|deck-crane)", "vehicle"),
    (r"Models/Geometry/Clemenceau/Models/tracteur|Models/Geometry/Clemenceau/tracteur", "vehicle"),
    (r"Models/Maritime/(Civilian|Military)/", "ship"),
    (r"Models/Maritime/Misc/(?!pier|yachting)", "buoy"),
    (r"Models/(Airport/(Pushback|Vehicle|supacat)|Transport|Military)/?", "vehicle"),
    (r"Models/Airport/Jetway/(EHAM|generic|glass|jetway)", "jetway"),
    ("Models/(Residential|Commercial|Agriculture|Industrial|Buildings|Power)/", "building"),
)
DROPPED = re.compile(  # parts, lights, effects, groups of houses, what is blank, cut or flat
    r"(?i)light|flash|strobe|beacon_?$|/lights/|refuel|droptank|exhaust|tank\.ac|wheels|banner|SSME|OMSPods|towropes|testpilot|"
    r"farm\.ac|groundtile|zone|ad[123]c?-ba|banlieue|Modulevillerectangl|propeller|warning|ils\.ac|OSIL|ODAS|MarkerBuoy|"
    r"Commercial/(Office|Retail|Petrol|Cinema|Pizza|generic_)|Residential/(SD|Terrace|Detached)|jetway-[123]0|Trawler\.ac|Merchant|saratoga|"
    r"FerryBoat1|Civilian/Freighter|ContainerShip|Pre-?Positioning|OliverPerry|"  # with a wake that is half there
    r"ICE3|nav(back|[lr])\.ac|taxi|beacon\.ac|landing|gate_2")
FAMILIES = (  # airframes that share most of their shape
    "733 734 735 736 738 739", "A319 A320 A321", "A332 A333 339 A330-MRTT A342 A343 A345 A346", "A300 A310", "CR2 CR7 CR9",
    "E70 E90 E95", "DH3 DH4", "AT4 AT7", "BAE146-300 Bae146-200", "Fokker-70 Fokker-100", "717 MD80 MD90",
    "c172 c177 c182 c182rg", "c310 c310u3a Cessna-421-Golden-Eagle", "beech99 b1900d beech-200", "ERJ145 Embraer-Legacy",
    "767 757", "CCX Bombardier-Challenger", "F-15 F-15-lowpoly", "A300 A310", "SF3 Saab-2000")
# Airliners, light planes, buoys, jetways and towers look alike (`parallax dataset check` says so): all of them train.
ALIKE = re.compile(r"aircraft-(\d|A3|CR2|E70|ERJ|Fokker-|CCX|BAE|MD|M11|AT4|DH3|DH7|DHT|SF3|JS41|BNI|tu154|BAe|bae|beech|KC|"
                   r"Models|pa-28|c172|Cessna337|FK9|Dragonfly|Beechcraft)|buoy-|jetway-|building-tower")


def read_xml(path, depth=0):
    """The model (.ac) and the texture folder that a FlightGear XML names, its includes followed."""
    with open(path, encoding="latin-1") as file:
        text = re.sub(r"<!--.*?-->", "", file.read(), flags=re.S)
    found = {}
    include = re.search(r'<PropertyList[^>]*include="([^"]+)"', text)
    folder = os.path.dirname(path)
    if include and depth < 5 and os.path.exists(os.path.join(folder, include.group(1))):
        found = read_xml(os.path.join(folder, include.group(1)), depth + 1)
    texture = re.search(r"<texture-path>\s*([^<]*?)\s*</texture-path>", text)
    model = re.search(r"<PropertyList[^>]*>(?:(?!<model>).)*?<path>\s*([^<]*?\.ac)\s*</path>", text, flags=re.S)
    if texture:
        found["textures"] = os.path.normpath(os.path.join(folder, texture.group(1)))
    if model:
        found["file"] = os.path.normpath(os.path.join(folder, model.group(1)))
    return found


def files_below(root, ending):
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            if name.lower().endswith(ending):
                yield os.path.join(folder, name)


def texture_names(path):
    with open(path, encoding="latin-1") as file:
        return {os.path.basename(name) for name in re.findall(r'(?m)^texture "([^"]*)"', file.read())}


def present(names, *folders):
    have = set()
    for folder in folders:
        if folder and os.path.isdir(folder):
            have |= {name.lower() for name in os.listdir(folder)}
    return all(name.lower() in have for name in names)


def liveries_of(root):
    """{model: folders of textures}, those that hold what the model names."""
    found = {}
    for xml in files_below(os.path.join(root, "Aircraft"), ".xml"):
        pair = read_xml(xml)
        if "file" in pair and "textures" in pair and os.path.exists(pair["file"]):
            names = texture_names(pair["file"])
            own = os.path.dirname(pair["file"])
            if not present(names, own) and present(names, pair["textures"], own):
                found.setdefault(pair["file"], set()).add(pair["textures"])
    return {model: sorted(folders) for model, folders in found.items()}


def class_of(path):
    for pattern, class_name in KEPT:
        if re.match(pattern, path):
            return None if DROPPED.search(path) else class_name
    return None


def stem(name):
    """The name without numbers, colours and the initials of its author."""
    words = re.split(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    plain = {"", "ba", "red", "green", "yellow", "white", "grey", "blue", "black", "dark", "small", "smal", "medium", "large", "big", "low",
             "poly", "lowpoly", "generic", "tile"}
    kept = [word for word in words if word not in plain and not re.fullmatch(r"\d+[a-z]*\d*[a-z]*", word)]
    return "".join(kept) or "".join(words)


def group_of(path, class_name):
    parts = path.split("/")
    if class_name not in ("aircraft", "balloon") or parts[0] == "Models":
        return f"{class_name}-{stem(parts[-1][:-3])}"
    if class_name == "balloon":
        return f"balloon-{parts[-1][:-3]}"
    for family in FAMILIES:
        if parts[1] in family.split():
            return f"aircraft-{family.split()[0]}"
    return f"aircraft-{parts[1]}"


def split_of(group):
    if ALIKE.match(group):
        return "train"
    at = int(hashlib.md5(group.encode()).hexdigest()[:8], 16) / 2**32
    return "train" if at < 0.8 else "validation" if at < 0.9 else "test"


def rows_of(root):
    liveries = liveries_of(root)
    for path in files_below(root, ".ac"):
        inside = os.path.relpath(path, root)
        class_name = class_of(inside)
        folders = liveries.get(path, [])
        if not class_name or not (folders or present(texture_names(path), os.path.dirname(path))):
            continue
        if not folders and not texture_names(path) and class_name == "aircraft":
            continue  # blank
        kept = min(LIVERIES, len(folders))
        for folder in [folders[i * len(folders) // kept] for i in range(kept)] or [None]:
            name = os.path.basename(path)[:-3] + (f", {os.path.basename(folder)}" if folder else "")
            identifier = re.sub(r"/(Models?|Misc|Civilian|Military)/", "/", inside.split("/", 1)[1])[:-3]
            identifier += f"-{os.path.basename(folder)}" if folder else ""
            yield {
                "id": "fg-" + re.sub(r"[^A-Za-z0-9_-]", "_", identifier),
                "name": name,
                "class": class_name,
                "file": f"flightgear/{inside}",
                "licence": "GPL-2.0-or-later",
                "credit": CREDIT.format(package="flightgear-data-" + ("ai" if inside[0] == "A" else "models")),
                "up": "y",
                "rotation": ROTATION,
                "group": "fg-" + group_of(inside, class_name),
                "split": split_of(group_of(inside, class_name)),
                "train_ok": "1",
                "note": "",
                "textures": f"flightgear/{os.path.relpath(folder, root)}" if folder else "",
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data", help="the folder `make data-flightgear` filled")
    parser.add_argument("-o", "--output", default="datasets/flightgear.tsv")
    arguments = parser.parse_args()
    rows = sorted(rows_of(os.path.join(arguments.data, "flightgear")), key=lambda row: row["id"])
    assert len({row["id"] for row in rows}) == len(rows), "ids are not unique"
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write("# Aircraft, ships, buildings, vehicles of FlightGear; made by datasets/make_flightgear.py. GPL: not for a "
                   "model that is given away.\n")
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            file.write("\t".join(row[name] for name in COLUMNS) + "\n")
    for split in ("train", "validation", "test"):
        print(split, sum(row["split"] == split for row in rows), file=sys.stderr)
    for name in sorted({row["class"] for row in rows}):
        members = [row for row in rows if row["class"] == name]
        print(f"{name}: {len(members)} in {len({row['group'] for row in members})} groups", file=sys.stderr)


if __name__ == "__main__":
    main()
