"""The tables of the README's results, from what `make results` measured.

results.py FOLDER                   prints them as Markdown
results.py FOLDER --fill README.md  puts them between README.md's lines <!-- results: NAME --> and <!-- end -->, and the plots
                                    of those that have one into datasets/samples; says which have no such lines
results.py --time FILE.json CMD...  runs CMD; FILE.json gets its seconds, its largest memory and what it printed
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time

NAMES = {
    "truth": "true views",
    "copy": "input copied",
    "extruded": "extruded silhouette",
    "nearest": "nearest training object",
    "pixel": "pixel-aligned field (`--compare pixel=`)",
    "equal": "triplane trained as little (`--compare equal=`)",
    "feedforward": "feed-forward",
    "views": "views sampled alone",
    "paper": "`--refine paper`",
    "blend": "`--refine blend`",
}
GAPS = ["0-30", "30-60", "60-120", "120-180"]
SAMPLES = "datasets/samples"  # beside README.md; gets the plots, NAME.svg


def load(folder, name):
    path = os.path.join(folder, name)
    return json.load(open(path)) if os.path.exists(path) else None


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(head, rows):
    return row(head) + "|---" * len(head) + "|\n" + "".join(row(r) for r in rows)


def name_of(method):
    return NAMES.get(method["method_name"], method["method_name"])


def number(results, key, digits):
    value = results.get(key)
    return "" if value is None else f"{value:.{digits}f}"


def interval(results, key, digits):
    text = number(results, key, digits)
    return text and f"{text} [{number(results, key + '_low', digits)}, {number(results, key + '_high', digits)}]"


def at_gaps(results, key, digits):
    return ", ".join(filter(None, (number(results["by_gap"][g], key, digits) for g in GAPS)))


# ---- tables: None where the file is not there -------------------------------------------------------------------------


def main(folder):
    methods = load(folder, "main.json")
    if not methods:
        return None
    head = ["", "PSNR dB", "SSIM", "FLIP", "IoU", "sharpness", "SWD"]
    head += ["PSNR at azimuth gaps 0-30, 30-60, 60-120, 120-180", "IoU at the same", "seconds an object, 1 thread"]
    rows = []
    for m in methods:
        r, seconds = m["results"], m["seconds_per_object"]
        psnr = number(r, "psnr", 2)
        cells = [name_of(m), psnr and f"{psnr} ±{number(r, 'psnr_error', 2)}"]
        cells += [number(r, "ssim", 3), number(r, "flip", 3), number(r, "iou", 3), number(r, "sharpness", 2), number(r, "swd", 1)]
        cells += [at_gaps(r, "psnr", 2), at_gaps(r, "iou", 3), f"{seconds:.1f}" if seconds > 0.1 else ""]
        rows.append(cells)
    return table(head, rows)


def gaps(folder):
    methods = load(folder, "main.json")
    if not methods:
        return None
    rows = [
        [name_of(m), at_gaps(m["results"], "ssim", 3), at_gaps(m["results"], "flip", 3), at_gaps(m["results"], "sharpness", 2)]
        for m in methods
        if m["results"].get("psnr") is not None
    ]
    return table(["at azimuth gaps 0-30, 30-60, 60-120, 120-180", "SSIM", "FLIP", "sharpness"], rows)


def against(method, other, key, digits):
    """`method` minus `other`, or over it."""
    pair = method["paired"].get(other, {}).get(key)
    if not pair or pair["low"] is None:
        return ""
    value, sign = ("difference", "+") if "difference" in pair else ("ratio", "")
    mean, low, high = (format(pair[k], f"{sign}.{digits}f") for k in (value, "low", "high"))
    return f"{mean} [{low}, {high}]"


def paired(folder):
    methods = load(folder, "main.json")
    if not methods:
        return None
    keys = [("psnr", 2), ("ssim", 3), ("flip", 3), ("iou", 3), ("sharpness", 2), ("swd", 1)]
    rows = [
        [name_of(m)] + [against(m, "feedforward", k, d) for k, d in keys]
        for m in methods
        if m["method_name"] not in ("feedforward", "extruded")
    ]
    return table(["minus feed-forward (sharpness: over it)", "PSNR dB", "SSIM", "FLIP", "IoU", "sharpness", "SWD"], rows)


def consistency(folder):
    methods = load(folder, "consistency.json")
    if not methods:
        return None
    columns = [("field_psnr", 2), ("field_ssim", 3), ("field_flip", 3), ("tsed_0.5", 2), ("tsed_2", 2), ("tsed_matches", 1)]
    columns += [("reprojection_rms", 3), ("variance_deviation", 3), ("detail", 1)]
    head = ["24 views of an orbit", "field PSNR", "its SSIM", "its FLIP", "TSED at 0.5 px", "at 2 px", "matches a pair"]
    head += ["reprojection RMS", "variance", "detail"]
    rows = [[name_of(m)] + [number(m["results"], k, d) for k, d in columns] for m in methods]
    return table(head, rows)


def at_value(m):
    """What a sweep's table says of one method at one value."""
    r = m["results"]
    cells = [against(m, "feedforward", "psnr", 2), number(r, "flip", 3), number(r, "sharpness", 2), number(r, "swd", 1)]
    return cells + [f"{m['seconds_per_object']:.1f}"]


def plot(folder, name, title):
    """The line that shows FOLDER/NAME.svg where --fill puts it."""
    return f"\n![{title}]({SAMPLES}/{name}.svg)\n" if os.path.exists(os.path.join(folder, f"{name}.svg")) else ""


def sweep(folder):
    """A row a value, the columns of each method side by side; the plot below, where --fill puts it."""
    methods = load(folder, "sweep.json")
    if not methods:
        return None
    swept, plain = {}, {m["method_name"]: m for m in methods if "swept" not in m}
    for m in methods:
        if "swept" in m:
            of = m["swept"]
            swept.setdefault(of["parameter"], {}).setdefault(of["value"], {})[of["method"]] = m
    names = [n for n in plain if any(n in at for values in swept.values() for at in values.values())]
    for parameter, values in swept.items():
        for n in names:
            values.setdefault(plain[n]["parameters"][parameter], {})[n] = plain[n]
    rows = []
    for parameter, values in swept.items():
        for value, at in sorted(values.items()):
            cells = [at_value(at[n]) if n in at else [""] * 5 for n in names]
            rows.append([f"{parameter} {value:g}"] + sum(cells, []))
    head = [""]
    for n in names:
        head += [f"`{n}`: PSNR minus feed-forward", "FLIP", "sharpness", "SWD", "seconds an object, 1 thread"]
    return table(head, rows) + plot(folder, "sweep", "the sweeps, with 95 % intervals over objects")


def refinement_seconds(folder, run):
    record = load(folder, os.path.join(run, "run.json"))
    return f"{record['seconds']['refine']:.1f} s" if record else ""


def quality(folder):
    methods = load(folder, "quality.json")
    if not methods:
        return None
    keys = [("psnr", 2), ("flip", 3), ("sharpness", 2), ("swd", 1), ("field_psnr", 2)]
    runs = {"blend-fast": ("`fast`", "reconstruct-fast"), "blend": ("`default`", "reconstruct")}
    runs["blend-best"] = ("`best`", "reconstruct-best")
    rows = []
    for m in methods:
        if m["method_name"] in runs:
            (title, run), numbers = runs[m["method_name"]], m["parameters"]
            cells = [against(m, "feedforward", k, d) for k, d in keys]
            rows.append([title, f"{numbers['views']:g}, {numbers['steps']:g}"] + cells + [refinement_seconds(folder, run)])
    head = ["", "views, levels", "PSNR dB", "FLIP", "sharpness, over it", "SWD", "field PSNR dB", "time"]
    return table(head, rows)


def validation(folder):
    runs = [("the exact frame and elevation", ""), ("`--input auto`: through `--crop auto`", "-auto")]
    runs += [("`--elevation unknown`: estimated", "-unknown")]
    rows = []
    for title, ending in runs:
        methods = load(folder, f"validation{ending}.json")
        if methods:
            r = methods[0]["results"]
            cells = [f"{title}, {r['objects']} objects", interval(r, "psnr", 2)]
            rows.append(cells + [number(r, "ssim", 3), number(r, "flip", 3), number(r, "iou", 3)])
    return table(["validation objects, feed-forward", "PSNR dB", "SSIM", "FLIP", "IoU"], rows) if rows else None


def timing(folder):
    commands = [("`reconstruct datasets/samples/stone-lantern.png -o OUT`", "reconstruct")]
    commands += [("the same with `--refine none --frames 1`", "reconstruct-quick"), ("`fit VIEWS --holdout 8 -o FILE`", "fit")]
    rows = []
    for title, file in commands:
        run = load(folder, file + ".json")
        if run:
            found = re.search(r"PSNR ([0-9.]+ dB)", run["output"])
            held = f"held-out views: {found.group(1)}" if found else ""
            rows.append([title, f"{run['seconds']:.1f} s", f"{run['megabytes'] / 1000:.1f} GB", held])
    return table(["two cores", "time", "memory", ""], rows) if rows else None


def validations(folder, run):
    path = os.path.join(folder, run, "log.jsonl")
    lines = [json.loads(line) for line in open(path)] if os.path.exists(path) else []
    return [x for x in lines if "validation_psnr" in x]


def ended(folder, run, steps=2500):
    """The last validation of a training run, if the run came to its end."""
    return next((x for x in reversed(validations(folder, run)) if x["step"] == steps), None)


def rates(folder):
    """Of `make rates`: folders PLANES_RATE; the best of each field's rates is bold."""
    fields = {"pixel": "pixel-aligned field", "triplane": "triplane"}
    names = [n.split("_") for n in os.listdir(folder) if re.fullmatch(r"(pixel|triplane)_[0-9.e+-]+", n)]
    runs = {(planes, rate): validations(folder, f"{planes}_{rate}") for planes, rate in names}
    ends = [lines[-1]["step"] for lines in runs.values() if lines]
    last = {run: lines[-1] for run, lines in runs.items() if lines and lines[-1]["step"] == max(ends)}
    if not last:
        return None
    rows = []
    for planes, rate in sorted(last, key=lambda run: (run[0], float(run[1]))):
        x, best = last[planes, rate], max(y["validation_psnr"] for run, y in last.items() if run[0] == planes)
        psnr = number(x, "validation_psnr", 2)
        psnr = f"**{psnr}**" if x["validation_psnr"] == best else psnr
        rows.append([fields[planes], rate, psnr] + [number(x, "validation_iou", 3), number(x, "validation_iou_60_120", 3)])
    head = [f"{next(iter(last.values()))['encodes']:,} encodes at 32 px, geometry", "encoder's rate", "PSNR dB", "IoU"]
    text = table(head + ["IoU at gaps 60-120"], rows)
    return text + plot(folder, "rates", "validation objects against encodes, at each rate")


def ablations(folder):
    """Of `make ablations`: what is compared, against today's choice."""
    pairs = [
        ("the defaults: camera's axes, pooled heads, first-hit likelihood", "base"),
        ("the camera's pitch removed", "upright"),
        ("side planes from one pixel's features", "skip"),
        ("photometric losses alone", "photometric"),
        ("denoiser: v, blurred condition (default)", "denoiser"),
        ("denoiser: eps", "eps"),
        ("denoiser: its field's own renders", "own"),
        ("denoiser: renders by the field of two that did not see the object", "two-fold"),
    ]
    rows = []
    for title, run in pairs:
        last = ended(folder, run)
        if last:
            gains = [number(last, f"denoiser_gain_db_t{t}", 2) for t in ("0.3", "0.5", "0.8")]
            cells = [number(last, "validation_psnr", 2), number(last, "validation_iou", 3), number(last, "validation_iou_60_120", 3)]
            rows.append([title] + cells + [", ".join(filter(None, gains))])
    head = ["20,000 encodes at 32 px, 24 validation objects", "PSNR dB", "IoU", "IoU at gaps 60-120"]
    return table(head + ["denoiser against its condition at t = 0.3, 0.5, 0.8: dB"], rows) if rows else None


TABLES = [main, gaps, paired, quality, validation, consistency, sweep, timing, rates, ablations]


# ---- commands ------------------------------------------------------------------------------------------------------------


def measure(path, command):
    begun = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - begun
    sys.stdout.write(done.stdout)
    if done.returncode:
        sys.exit(done.returncode)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = {"command": command, "seconds": seconds, "megabytes": usage.ru_maxrss / 1024, "output": done.stdout}
    with open(path + ".new", "w") as file:
        json.dump(record, file, indent=1)
    os.replace(path + ".new", path)


def fill(folder, path, tables):
    text = open(path).read()
    begins = {name: f"<!-- results: {name} -->\n" for name in tables}
    missing = [begin.strip() for begin in begins.values() if begin not in text]
    if missing:
        print(f"{path}: left out, has no line {', '.join(missing)}", file=sys.stderr)
    tables = {name: lines for name, lines in tables.items() if begins[name] in text}
    if not tables:
        sys.exit(1)
    for name, lines in tables.items():
        begin = begins[name]
        start = text.index(begin) + len(begin)
        text = text[:start] + "\n" + lines + "\n" + text[text.index("<!-- end -->", start) :]
    with open(path + ".new", "w") as file:
        file.write(text)
    for name in tables:
        drawn = os.path.join(folder, f"{name}.svg")
        if os.path.exists(drawn):
            shutil.copyfile(drawn, os.path.join(os.path.dirname(path), SAMPLES, f"{name}.svg"))
    os.replace(path + ".new", path)


def run(words):
    if len(words) > 2 and words[0] == "--time":
        return measure(words[1], words[2:])
    if len(words) not in (1, 3) or (len(words) == 3 and words[1] != "--fill"):
        sys.exit(__doc__)
    tables = {of.__name__: of(words[0]) for of in TABLES}
    tables = {name: lines for name, lines in tables.items() if lines}
    if len(words) == 3:
        fill(words[0], words[2], tables)
    else:
        print("\n".join(tables.values()), end="")


if __name__ == "__main__":
    run(sys.argv[1:])
