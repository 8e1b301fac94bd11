#!/usr/bin/env python3
"""Makes meshes and a catalogue of KiCad's electronic components from Debian's kicad-packages3d: `make data-kicad` runs it.

    /usr/bin/python3 datasets/make_kicad.py FOLDER-OF-THE-UNPACKED-PACKAGE OUTPUT

The package holds VRML97 that one exporter wrote: Shapes, each an IndexedFaceSet with a Material that stands there or is named
(DEF, USE), in either order. Each file becomes OUTPUT/FAMILY/NAME.ply, triangles with a colour and an opacity a corner; a file
with any other node is left out and named. OUTPUT/catalogue.tsv lists them; licences and authors come from the package's
copyright file. `group` is the name up to its first number, so that a series of sizes is one; `split` is a function of it: what looks
like no other group is cut in three, all others train. The licences are CC-BY-SA-4.0 with an exception for
circuit designs, and the GPL: for training and evaluation here, not for a model that is given away.
"""
import fnmatch
import glob
import hashlib
import multiprocessing
import os
import re
import sys

import numpy as np

COLUMNS = ("id", "name", "class", "file", "licence", "credit", "up", "rotation", "group", "split", "train_ok", "note")
WORDS = set("""Shape geometry IndexedFaceSet coordIndex coord Coordinate point creaseAngle appearance Appearance material Material DEF USE
    ambientIntensity diffuseColor specularColor emissiveColor transparency shininess e""".split())
CORNER = np.dtype([("position", "<f4", 3), ("colour", "u1", 4)])
FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
FLAT, THIN = 0.03, 0.06  # the least and the middle side of the box over its diagonal
# Series that look like no other (`parallax dataset check` on 8 views of all, 32 px), with '/' those that look like each other alone. All
# others are black boxes, rows of pins and the like, in one chain of likeness: they train.
DISTINCT = """
    7SegmentLED_LTS6760_LTS6780 AMASS_XT AMS_TSL ATPAK Adafruit_SSD Analog_TO Autotransformer_ZS Balun_Johanson BarrelJack_CUI_PJ
    BatteryHolder_Bulgin_BX BatteryHolder_Eagle BatteryHolder_LINX_BAT-HLD BatteryHolder_MPD_BH BatteryHolder_Seiko_MS Battery_CR Broadcom_AFBR
    CA/CC CP_Elec/C_Elec CP_Radial_Tantal_D CUI_CMC C_Disc_D/Fuse_BelFuse/RV_Disc_D C_Trimmer_Murata_TZB C_Trimmer_Murata_TZC
    C_Trimmer_Murata_TZR C_Trimmer_Murata_TZW C_Trimmer_Murata_TZY/C_Trimmer_Voltronics_JV C_Trimmer_Sprague-Goodman_SGC C_Trimmer_Voltronics_JN
    C_Trimmer_Voltronics_JQ C_Trimmer_Voltronics_JR C_Trimmer_Voltronics_JZ Choke_EPCOS_B Converter_ACDC_Hahn_HS Converter_DCDC_TRACO_TEN
    Converter_DCDC_muRata_CRE Converter_DCDC_muRata_NMAxxxxDC_THT Converter_DCDC_muRata_OKI Crystal_SMD_HC Crystal_SMD_MicroCrystal_MS
    Crystal_SMD_TXC_AX DA DE DINRailAdapter DWM D_Bridge_DIP D_MELF/D_MiniMELF/R_MELF_MMB/R_MiniMELF_MMA D_MicroMELF/R_MicroMELF_MMU
    D_PowerDI/D_SC/D_SMF/D_SOD/D_TUMD DecaWave_DWM Diode_Bridge/Diode_Bridge_Vishay_KBPC
    Diode_Bridge_DIGITRON_KBPC_T/Diode_Bridge_GeneSiC_KBPC_T Diode_Bridge_DIP
    Diode_Bridge_Diotec_ABS/Diode_Bridge_Diotec_SO-DIL-Slim/Diode_Bridge_Vishay_DFS/Diode_Bridge_Vishay_DFSFlat/Diode_Bridge_Vishay_MBLS
    Diode_Bridge_Diotec_MicroDil Diode_Bridge_GeneSiC_KBPC_W Diode_Bridge_IXYS_GUFP Diode_Bridge_Round_D Diode_Bridge_Vishay_GBL
    Diode_Bridge_Vishay_GBU Diode_Bridge_Vishay_KBL Diode_Bridge_Vishay_KBU Diodes_DFN EA-eDIP EA_DOGS EA_T ELD ESP ESP-WROOM
    Everlight_ITR/Kodenshi_SG FanPinHeader Filter_Mini-Circuits_FV Fuseholder_Blade_Mini_Keystone Fuseholder_Schurter Fuseholder_TR HDMI_A_Molex
    HDSM HDSP/HDSP-A/HLCP-J Heatsink Heatsink_AAVID Infineon_EasyPIM/ST_ACEPACK JST_GH_SM KCSC Kingbright_KPS Kodenshi_LG
    LED_Inolux_IN-PI/LED_SK/LED_WS LED_RGB LED_Rectangular_W LED_SideEmitter_Rectangular_W LED_VCCLite LED_XINGLIGHT LEM_HO-NP LEM_LA
    LEM_LTSR-NP LM L_Bourns-SRN L_Bourns_SDR L_Bourns_SRN L_Bourns_SRR L_CommonMode_Toroid_Vertical_L L_CommonMode_Vertical_L L_Pulse_PA
    L_TDK_SLF MAN MMCX_Molex MagneticBuzzer_CUI_CST MagneticBuzzer_Kingstate_KCG Mini-Circuits_FG Molex_KK Molex_Picoflex NHD NXP_MPL
    OnSemi_CASE Oscillator_DIP Oscillator_SMD_Abracon_ASV Oscillator_SMD_Fox_FT Oscillator_SeikoEpson_SG Osram_LPT Potentiometer_Bourns
    PowerIntegrations_eDIP PowerIntegrations_eSIP RC RJ ROHM_DFN R_Bare_Metal_Element_L R_LDR Relay_SPDT_HJR Relay_SPDT_Omron_G
    Relay_SPDT_StandexMeder_SIL_Form/Relay_SPST_StandexMeder_MS_Form/Relay_SPST_StandexMeder_SIL_Form Relay_StandexMeder_DIP_HighProfile
    Relay_StandexMeder_DIP_LowProfile Resonator_SMD/Resonator_SMD_muRata_CDSCB/Resonator_SMD_muRata_SFSKA/Resonator_SMD_muRata_TPSKA
    Resonator_SMD_muRata_CSTxExxV Resonator_SMD_muRata_SFECV SBC SIP SLA SMA_Amphenol STK ST_SDIP ST_VL SW_CuK_JS SW_E-Switch_EG SW_NKK_BB
    SW_PUSH SW_SP SW_SPDT_PCM SW_SPST_B SW_SPST_CK_RS SW_SPST_EVQPE SW_SPST_Omron_B SW_SPST_PTS SW_SPST_TL SW_Tactile_SPST_Angled_PTS Sanyo_STK
    Sharp_GP Sharp_IS Siemens_SFH Taiyo-Yuden_EYSGJNZWY TestPoint_Bridge_Pitch Texas_DRT Texas_R-PWSON-N Transformer U.FL_Hirose_U.FL-R-SMT
    USB_A_TE USB_C_Receptacle_GCT_USB USB_Micro-B_Molex USB_Mini-B_Lumberg Vishay_CAST Vishay_CNY Vishay_MINICAST Vishay_MINIMOLD Vishay_MOLD
    WLP ZETA microSD_HC_Hirose_DM wemos_d
""".split()
SERIES = {name: group.split("/")[0] for group in DISTINCT for name in group.split("/")}


def numbers(text, kind):
    return np.fromstring(text.replace(",", " "), kind, sep=" ")


def colour_of(body):
    """sRGB and opacity, 0 to 255, of what stands in a Material's braces."""
    diffuse = re.search(r"diffuseColor\s+([^\n]*?)\s*(?=[a-zA-Z}\n]|$)", body)
    clear = re.search(r"transparency\s+([0-9.eE+-]+)", body)
    rgb = numbers(diffuse.group(1), float)[:3] if diffuse else np.full(3, 0.8)
    alpha = 1 - float(clear.group(1)) if clear else 1
    return np.rint(np.clip([*rgb, alpha], 0, 1) * 255)


def triangles_of(index):
    """(T,3) of a coordIndex: faces end with -1; polygons as fans."""
    if len(index) and index[-1] >= 0:
        index = np.append(index, -1)
    if len(index) % 4 == 0 and np.array_equal(np.flatnonzero(index < 0), np.arange(3, len(index), 4)):
        return index.reshape(-1, 4)[:, :3]
    fans, start = [], 0
    for end in np.flatnonzero(index < 0):
        face, start = index[start:end], end + 1
        fans += [(face[0], face[i], face[i + 1]) for i in range(1, len(face) - 1)]
    return np.array(fans, np.int64).reshape(-1, 3)


def read_wrl(path):
    """Corners and triangles of all its Shapes."""
    with open(path, encoding="latin-1") as file:
        text = re.sub(r"#[^\n]*", "", file.read())
    names = re.sub(r"\[[^\]]*\]|\b(DEF|USE)\s+\S+", "", text)
    other = set(re.findall(r"[A-Za-z_]\w*", names)) - WORDS
    if other:
        raise ValueError(f"holds {' '.join(sorted(other)[:3])}")
    corners, faces, colours, first = [], [], {}, 0
    for shape in re.split(r"\bShape\b", text)[1:]:
        defined = re.findall(r"(?:DEF\s+(\S+)\s+)?Material\s*\{([^}]*)\}", shape) if "Material " in shape or "Material{" in shape else ()
        for name, body in defined:
            colours[name] = colour = colour_of(body)
        used = re.search(r"material\s+USE\s+([^\s}]+)", shape)
        index, point = re.search(r"coordIndex\s*\[([^\]]*)\]", shape), re.search(r"point\s*\[([^\]]*)\]", shape)
        if not index or not point:
            continue
        position, triangles = numbers(point.group(1), np.float32).reshape(-1, 3), triangles_of(numbers(index.group(1), np.int64))
        if len(triangles) and triangles.max() >= len(position):
            raise ValueError("a face names a point that is not there")
        corner = np.zeros(len(position), CORNER)
        corner["position"], corner["colour"] = position, colours[used.group(1)] if used else colour
        corners.append(corner)
        faces.append(triangles + first)
        first += len(position)
    if not faces or not sum(map(len, faces)):
        raise ValueError("holds no triangles")
    return np.concatenate(corners), np.concatenate(faces)


def write_ply(path, corners, triangles):
    face = np.zeros(len(triangles), FACE)
    face["count"], face["corners"] = 3, triangles
    with open(path, "wb") as file:
        file.write(b"ply\nformat binary_little_endian 1.0\nelement vertex %d\n" % len(corners) +
                   b"".join(b"property float %c\n" % axis for axis in b"xyz") +
                   b"".join(b"property uchar %s\n" % name for name in (b"red", b"green", b"blue", b"alpha")) +
                   b"element face %d\nproperty list uchar int vertex_indices\nend_header\n" % len(face))
        file.write(corners.tobytes() + face.tobytes())


def convert(job):
    """What keeps it out of training ("", "flat", "thin"), or None and why it is left out."""
    source, target = job
    try:
        corners, triangles = read_wrl(source)
    except (ValueError, KeyError) as reason:
        return None, str(reason)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    write_ply(target, corners, triangles)
    used = corners["position"][np.unique(triangles)]
    sides = np.sort(used.max(0) - used.min(0)) / np.linalg.norm(used.max(0) - used.min(0))
    return "thin" if sides[1] < THIN else "flat" if sides[0] < FLAT else "", ""


def licences(path):
    """Of a Debian copyright file: [(pattern, licence, holder)], of which the last that fits is right."""
    found = []
    with open(path, encoding="utf-8") as file:
        for part in file.read().split("\n\n"):
            fields = {key: value.split() for key, value in re.findall(r"(?m)^(\w[\w-]*):((?:.*\n?)(?:[ \t].*\n?)*)", part)}
            if "Files" in fields and "License" in fields:
                holder = " ".join(word for word in fields["Copyright"] if not re.fullmatch(r"[\d,-]+", word))
                pattern = re.compile("|".join(map(fnmatch.translate, fields["Files"])))
                found.append((pattern, fields["License"][0], holder))
    return found


def split_of(group):
    at = int(hashlib.md5(group.encode()).hexdigest()[:8], 16) / 2**32
    return "train" if group not in SERIES or at < 1 / 3 else "validation" if at < 2 / 3 else "test"


def row_of(path, note, rules):
    family, name = os.path.split(path[:-4])
    licence, holder = [rule[1:] for rule in rules if rule[0].match(f"{family}.3dshapes/{name}.wrl")][-1]
    licence = {"GPL-3+": "GPL-3.0-or-later"}.get(licence, licence)
    series = (re.match(r"[^\d]*[A-Za-z]", name) or re.match(r"\w+", name)).group(0)
    group = SERIES.get(series, series)
    return {
        "id": "kicad-" + re.sub(r"[^A-Za-z0-9_.-]", "_", name),
        "name": name,
        "class": re.match("[A-Za-z]+", family).group(0).lower(),
        "file": f"kicad/{path}",
        "licence": licence,
        "credit": f"KiCad (Debian: kicad-packages3d), {holder}",
        "up": "z",
        "rotation": "",
        "group": f"kicad-{group}",
        "split": split_of(group),
        "train_ok": "0" if note else "1",
        "note": note,
    }


def main():
    package, output = sys.argv[1:]
    root = os.path.join(package, "usr/share/kicad/3dmodels")
    sources = sorted(glob.glob(os.path.join(glob.escape(root), "*", "*.wrl")))
    names = [os.path.relpath(source, root).replace(".3dshapes", "")[:-4] + ".ply" for source in sources]
    rules = licences(os.path.join(package, "usr/share/doc/kicad-packages3d/copyright"))
    with multiprocessing.Pool() as pool:
        notes = pool.map(convert, [(source, os.path.join(output, name)) for source, name in zip(sources, names)], 16)
    rows = []
    for name, source, (note, reason) in zip(names, sources, notes):
        if note is None:
            print(f"left out: {os.path.basename(source)}: {reason}", file=sys.stderr)
        else:
            rows.append(row_of(name, note, rules))
    rows.sort(key=lambda row: row["id"])
    assert len({row["id"] for row in rows}) == len(rows), "ids are not unique"
    with open(os.path.join(output, "catalogue.tsv"), "w", encoding="utf-8") as file:
        file.write("# KiCad's electronic components; made by datasets/make_kicad.py. Not for a model that is given away.\n")
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            file.write("\t".join(row[name] for name in COLUMNS) + "\n")
    print(f"{len(rows)} objects in {len({row['group'] for row in rows})} groups", file=sys.stderr)


if __name__ == "__main__":
    main()
