"""Pixel data that contradict their description, and rescales."""

from __future__ import annotations

import struct
from random import Random

import numpy as np

from .case import CONTRADICTION, HONEST, NOT_SILENT, REFUSED, SAME, TOLD, Case
from .mutation import classic, has, is_image, is_pt, mutation, stacked
from .raw import PIXELS, Element, RawFile, put
from .sources import decimals, us


@mutation("pixel data of the wrong length", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    how = rng.choice([2, -2, 16, 1000, -1000, 10**6, "none", "double"])
    case.note = str(how)
    for file in case.some():
        pixels = next(e for e in file.elements if e.tag == PIXELS)
        if how == "none":
            pixels.value = b""
        elif how == "double":
            pixels.value *= 2
        else:
            pixels.value = pixels.value[:how] if int(how) < 0 else pixels.value + b"\0" * int(how)


@mutation("no pixel data", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        file.elements = [e for e in file.elements if e.tag != PIXELS]


@mutation("rows or columns that do not fit", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    keyword, by = rng.choice(["Rows", "Columns"]), rng.choice([-1, 1, -2, 7, 1000])
    case.note = f"{keyword} {by}"
    for file in case.some():
        file.set_number(keyword, max(0, file.number(keyword) + by))


@mutation("rows and columns exchanged in one slice", CONTRADICTION, fits=classic)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    rows, columns = file.number("Rows"), file.number("Columns")
    file.set_number("Rows", columns)
    file.set_number("Columns", rows)


@mutation("rows and columns of a giant image", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        file.set_number("Rows", 65535)
        file.set_number("Columns", 65535)
        if rng.random() < 0.5:
            file.set("NumberOfFrames", str(rng.choice([1, 1000, 10**6, 10**9])))


@mutation("bits allocated, stored or high bit changed in one slice", NOT_SILENT, fits=classic)
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["BitsAllocated", "BitsStored", "HighBit"])
    value = rng.choice([0, 1, 7, 8, 11, 12, 15, 16, 17, 32, 64, 65535])
    case.note = f"{keyword} {value}"
    case.one().set_number(keyword, value)


@mutation("bits allocated, stored or high bit changed in all slices")
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["BitsAllocated", "BitsStored", "HighBit"])
    value = rng.choice([0, 1, 7, 8, 11, 12, 15, 16, 17, 32, 64, 65535])
    case.note = f"{keyword} {value}"
    for file in case.all():
        file.set_number(keyword, value)


@mutation("pixel representation changed in one slice", NOT_SILENT, fits=classic)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set_number("PixelRepresentation", rng.choice([1 - file.number("PixelRepresentation"), 2, 65535]))


@mutation("samples per pixel or photometric interpretation changed", NOT_SILENT, fits=classic)
def _(case: Case, rng: Random) -> None:
    samples = rng.choice([None, 0, 2, 3, 65535])
    for file in case.some():
        if samples is None:
            file.set("PhotometricInterpretation", rng.choice(["RGB", "PALETTE COLOR", "YBR_FULL", "", "XYZ"]))
        else:
            file.set_number("SamplesPerPixel", samples)


@mutation("number of frames that is not there", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["2", "-1", "1000000", "3.5", "NaN", "1e9", "99999999999999999999", "two"])
    case.note = value
    for file in case.some():
        file.set("NumberOfFrames", value)


@mutation("another transfer syntax than the bytes have", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    syntax = rng.choice(
        [
            *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"),
            *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"),
            *("1.2.840.10008.1.2.4.90", "1.2.3", "", "ä"),
        ]
    )
    case.note = syntax
    for file in case.some():
        content = file.written()
        raw = syntax.encode("latin-1") + b"\0" * (len(syntax) % 2)
        for e in file.meta:
            if e.tag == 0x00020010:
                e.value = raw
        head = RawFile(file.name, file.meta, [], file.preamble, file.mark).written()
        old = 132 + 12 + struct.unpack_from("<I", content, 140)[0]
        case.extra[file.name] = head + content[old:]


@mutation("no file meta information, or only part of it", NOT_SILENT | {HONEST})
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        tag = rng.choice([e.tag for e in file.meta])
        content = file.written()
        old = 132 + 12 + struct.unpack_from("<I", content, 140)[0]
        meta = [] if rng.random() < 0.2 else [e for e in file.meta if e.tag != tag]
        case.note = f"{tag:08X}" if meta else "none"
        head = RawFile(file.name, meta, [], file.preamble, file.mark).written()
        case.extra[file.name] = (head if meta else file.preamble + file.mark) + content[old:]


@mutation("rescale slope of one slice changed", {SAME, HONEST, REFUSED, TOLD}, has("RescaleSlope"))
def _(case: Case, rng: Random) -> None:
    n, factor = rng.randrange(len(case.base.images)), rng.choice([0.5, 2.0, 1.01])
    file = case.image(n)
    intercept = float(file.text("RescaleIntercept") or 0)
    slope = float(file.text("RescaleSlope"))
    file.set("RescaleSlope", decimals(slope * factor))
    case.note = f"slice {n} x {factor}"
    if stacked(case.base) and not intercept:
        change = float(decimals(slope * factor)) / slope
        case.expected["image"] = lambda sums: [s * change if k == n else s for k, s in enumerate(sums)]


@mutation("rescale slope of every slice changed", {SAME, HONEST, TOLD}, has("RescaleSlope"))
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        slope = float(file.text("RescaleSlope"))
        file.set("RescaleSlope", decimals(slope * 0.5))


@mutation("stored values and slope changed together", {SAME}, lambda b: has("RescaleSlope")(b) and b.modality == "PT")
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        pixels = next(e for e in file.elements if e.tag == PIXELS)
        stored = np.frombuffer(pixels.value, "<i2")
        if np.abs(stored).max() < 2**14 and file.number("BitsStored") == 16:
            pixels.value = (stored * 2).astype("<i2").tobytes()
            file.set("RescaleSlope", repr(float(file.text("RescaleSlope")) / 2)[:16])


@mutation("rescale dropped, zero or no number", {REFUSED, TOLD}, has("RescaleSlope"), must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    how, which = rng.choice(["drop", "0", "NaN", "inf", "x"]), rng.choice(["RescaleSlope", "RescaleIntercept"])
    if which == "RescaleIntercept" and how == "0":
        how = "drop"
    case.note = f"{which} {how}"
    for file in case.some():
        file.drop(which) if how == "drop" else file.set(which, how)


@mutation("slope and intercept dropped in one slice", {REFUSED, TOLD}, has("RescaleSlope"), must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.drop("RescaleSlope")
    file.drop("RescaleIntercept")


@mutation("slope and intercept dropped in every slice", {REFUSED, TOLD}, is_pt, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        file.drop("RescaleSlope")
        file.drop("RescaleIntercept")


@mutation("a modality lookup table in place of the rescale", {REFUSED, TOLD}, is_image, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        item = [
            Element(0x00283002, b"US", us(256) + us(0) + us(16)),
            Element(0x00283004, b"LO", b"US"),
            Element(0x00283006, b"OW", b"\1\0" * 256),
        ]
        put(file.elements, Element(0x00283000, b"SQ", b"", [item]))
        if rng.random() < 0.5:
            file.drop("RescaleSlope")
            file.drop("RescaleIntercept")
