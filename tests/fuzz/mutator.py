"""Every way in which a file of a scanner, an archive or a USB stick has been seen to be wrong, and some that have not.

A mutation says what may become of the numbers. The strictest that can be defended is chosen: a contradiction within a series must
be refused or told, damage that cannot matter must change nothing, a change that every slice agrees on must give exactly the number
worked out here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from .case import CONTRADICTION, HONEST, NOT_SILENT, REFUSED, SAFE, SAME, TOLD, Case, Mutation
from .raw import PIXELS, Element, RawFile, put, walk
from .sources import Base, decimals, numbers_of, us

MUTATIONS: list[Mutation] = []
Change = Callable[[Case, Random], None]

NUMERIC = [b"DS", b"IS", b"US", b"UL", b"FD", b"FL", b"SS", b"SL"]
THAT_MATTER = [
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
    *("PhotometricInterpretation", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
    *("SOPClassUID", "Modality", "PatientID", "PatientWeight", "PatientSize", "PatientSex", "Units", "DecayCorrection"),
    *("AcquisitionDate", "AcquisitionTime", "SeriesDate", "SeriesTime", "TimezoneOffsetFromUTC", "DecayFactor"),
    *("FrameReferenceTime", "ActualFrameDuration", "CorrectedImage", "ImageType", "NumberOfSlices", "Manufacturer"),
    *("RadiopharmaceuticalInformationSequence", "SpecificCharacterSet", "NumberOfFrames"),
]
SPECIAL = ["NaN", "inf", "-inf", "1e400", "-1e400", "0", "-0", "-1", "1e-400", "1e39", "999999999999", "0x10", "1,5", "1_000", "١٢"]
NO_NUMBER = ["forty-two", "--", "?", "n/a", "1.2.3", "12 mm", "\0", "\x1b$B", "1\\2\\3\\4\\5\\6\\7", "é"]


def mutation(
    name: str,
    allowed: frozenset[str] = SAFE,
    fits: Callable[[Base], bool] = lambda base: bool(base.images),
    must_refuse: tuple[str, ...] = (),
) -> Callable[[Change], Change]:
    def register(change: Change) -> Change:
        MUTATIONS.append(Mutation(name, change, frozenset(allowed), fits, frozenset(must_refuse)))
        return change

    return register


def is_pt(base: Base) -> bool:
    return bool(base.images) and base.modality == "PT"


def has_agent(base: Base) -> bool:
    return is_pt(base) and bool(base.images[0].sequence("RadiopharmaceuticalInformationSequence"))


def has_structure(base: Base) -> bool:
    return bool(base.others) and base.others[0].text("Modality") == "RTSTRUCT"


def stacked(base: Base) -> bool:
    """Slices at different places, one volume."""
    places = {f.text("ImagePositionPatient") for f in base.images}
    return len(base.images) > 3 and len(places) == len(base.images)


def has(keyword: str) -> Callable[[Base], bool]:
    return lambda base: bool(base.images) and base.images[0].get(keyword) is not None


def tag_of(file: RawFile, rng: Random) -> Element:
    """An element that matters, or any."""
    if rng.random() < 0.6:
        known = [e for k in THAT_MATTER if (e := file.get(k))]
        if known:
            return rng.choice(known)
    return rng.choice([e for _, e in walk(file.elements)])


# ---- any element ----
@mutation("drop an element of one slice")
def _(case: Case, rng: Random) -> None:
    file = case.one()
    element = tag_of(file, rng)
    case.note = element.keyword
    for holder, each in list(walk(file.elements)):
        if each is element:
            holder.remove(element)


@mutation("drop an element of every slice")
def _(case: Case, rng: Random) -> None:
    tag = tag_of(case.image(0), rng).tag
    case.note = f"{tag:08X}"
    for file in case.all():
        file.elements = [e for e in file.elements if e.tag != tag]


@mutation("empty an element")
def _(case: Case, rng: Random) -> None:
    tag = tag_of(case.image(0), rng).tag
    case.note = f"{tag:08X}"
    for file in case.some():
        for _, e in walk(file.elements):
            if e.tag == tag:
                e.value, e.items = b"", None if e.items is None else []


@mutation("swap the values of two elements")
def _(case: Case, rng: Random) -> None:
    one, other = tag_of(case.image(0), rng).tag, tag_of(case.image(0), rng).tag
    case.note = f"{one:08X} {other:08X}"
    for file in case.some():
        here = [e for e in file.elements if e.tag == one]
        there = [e for e in file.elements if e.tag == other]
        if here and there:
            a, b = here[0], there[0]
            a.value, b.value, a.items, b.items = b.value, a.value, b.items, a.items


@mutation("wrong value representation")
def _(case: Case, rng: Random) -> None:
    tag = tag_of(case.image(0), rng).tag
    vr = rng.choice([b"UI", b"DS", b"US", b"FD", b"SQ", b"OB", b"UN", b"LO", b"ZZ", b"\0\0", b"AT", b"DT", b"PN"])
    case.note = f"{tag:08X} {vr!r}"
    for file in case.some():
        for e in file.elements:
            if e.tag == tag:
                e.vr = vr


@mutation("text in a number")
def _(case: Case, rng: Random) -> None:
    _replace(case, rng, NUMERIC, NO_NUMBER)


@mutation("a number that is none, negative, zero or huge")
def _(case: Case, rng: Random) -> None:
    _replace(case, rng, [b"DS", b"IS"], SPECIAL)


@mutation("binary number at its limits")
def _(case: Case, rng: Random) -> None:
    file = case.image(0)
    candidates = [e for _, e in walk(file.elements) if e.vr in {b"US", b"UL", b"FD", b"FL", b"SS", b"SL"}]
    if not candidates:
        return
    tag = rng.choice(candidates).tag
    pattern = rng.choice([b"\xff", b"\0", b"\x80", b"\x7f", b"\x01"])
    case.note = f"{tag:08X} {pattern!r}"
    for each in case.some():
        for _, e in walk(each.elements):
            if e.tag == tag:
                e.value = pattern * len(e.value)


def _replace(case: Case, rng: Random, vrs: list[bytes], values: list[str]) -> None:
    file = case.image(0)
    candidates = [e for k in THAT_MATTER if (e := file.get(k)) and e.vr in vrs]
    if rng.random() < 0.4 or not candidates:
        candidates = [e for _, e in walk(file.elements) if e.vr in vrs]
    tag, value = rng.choice(candidates).tag, rng.choice(values)
    case.note = f"{tag:08X} {value!r}"
    for each in case.some():
        for _, e in walk(each.elements):
            if e.tag == tag:
                parts = e.value.split(b"\\")
                parts[rng.randrange(len(parts))] = value.encode("utf-8")
                e.value = b"\\".join(parts)
                e.value += b" " * (len(e.value) % 2)


@mutation("huge or odd length of an element")
def _(case: Case, rng: Random) -> None:
    file = case.one()
    element = tag_of(file, rng)
    element.stated_length = rng.choice([0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0xFFFF, len(element.value) + 1, 1, 0])
    case.note = f"{element.keyword} {element.stated_length:X}"


@mutation("an element twice, with other content")
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        element = tag_of(file, rng)
        again = element.copy()
        again.value = element.value[::-1]
        at = file.elements.index(element) if element in file.elements else 0
        file.elements.insert(at + rng.randrange(2), again)


@mutation("elements in random order")
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        last = file.elements[-1:]
        rng.shuffle(rest := file.elements[:-1])
        file.elements = rest + last


# ---- bytes ----
@mutation("file cut off at a random byte", {REFUSED, TOLD, SAME}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    content = file.written()
    at = rng.choice([rng.randrange(len(content)), rng.randrange(min(1000, len(content))), len(content) - rng.randrange(1, 64)])
    case.extra[file.name] = content[:at]
    case.note = f"{file.name} at {at}"


@mutation("flipped bytes in the header")
def _(case: Case, rng: Random) -> None:
    file = case.one()
    content = bytearray(file.written())
    header = len(content) - len(next(e for e in file.elements if e.tag == PIXELS).value)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        content[rng.randrange(128, header)] = rng.randrange(256)
    case.extra[file.name] = bytes(content)


@mutation("flipped bytes in the pixels", {REFUSED, TOLD, HONEST, SAME})
def _(case: Case, rng: Random) -> None:
    file = case.one()
    pixels = next(e for e in file.elements if e.tag == PIXELS)
    value = bytearray(pixels.value)
    for _ in range(rng.choice([1, 8, 64])):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    pixels.value = bytes(value)


@mutation("a stretch of the file overwritten, doubled or removed")
def _(case: Case, rng: Random) -> None:
    file = case.any_file()
    content = file.written()
    start = rng.randrange(len(content))
    stop = min(len(content), start + rng.choice([1, 2, 8, 64, 1024]))
    middle = rng.choice([b"", b"\0" * (stop - start), content[start:stop] * 2, rng.randbytes(stop - start)])
    case.extra[file.name] = content[:start] + middle + content[stop:]


@mutation("no DICM mark", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        file.mark = rng.choice([b"DICN", b"\0\0\0\0", b"dicm"])


@mutation("an empty file, or noise, instead of a slice", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    case.extra[case.one().name] = rng.choice([b"", rng.randbytes(500), b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + rng.randbytes(300)])


# ---- pixels and their description ----
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


@mutation("rows and columns exchanged in one slice", CONTRADICTION)
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


@mutation("bits allocated, stored or high bit changed in one slice", NOT_SILENT)
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


@mutation("pixel representation changed in one slice", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set_number("PixelRepresentation", rng.choice([1 - file.number("PixelRepresentation"), 2, 65535]))


@mutation("samples per pixel or photometric interpretation changed", NOT_SILENT)
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
        ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"]
        + ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", "1.2.3", "", "ä", "1.2.840.10008.1.2.4.70"]
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


# ---- values ----
@mutation("rescale slope of one slice changed", {SAME, HONEST}, has("RescaleSlope"))
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


@mutation("a modality lookup table in place of the rescale", {REFUSED, TOLD}, must_refuse=("image",))
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


# ---- geometry ----
def _moved(file: RawFile, by: Any) -> None:
    position = np.array(numbers_of(file.text("ImagePositionPatient")))
    file.set("ImagePositionPatient", decimals(position + by))


def _normal(file: RawFile) -> Any:
    axes = np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)
    return np.cross(*axes)


def _spacing(base: Base) -> float:
    heights = sorted(float(np.dot(numbers_of(f.text("ImagePositionPatient")), _normal(f))) for f in base.images)
    return heights[1] - heights[0]


@mutation("one slice shifted in its plane", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    n = rng.randrange(len(case.base.images))
    file = case.image(n)
    axes = np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)
    _moved(file, rng.choice([-1, 1]) * rng.uniform(2, 50) * axes[rng.randrange(2)])


@mutation("one slice shifted along the normal", CONTRADICTION, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    n = rng.randrange(1, len(case.base.images) - 1)
    file = case.image(n)
    _moved(file, rng.choice([-1, 1]) * rng.uniform(0.02, 0.9) * _spacing(case.base) * _normal(file))


@mutation("two slices at one place", {REFUSED, TOLD}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    a, b = rng.sample(range(len(case.base.images)), 2)
    case.image(a).set("ImagePositionPatient", case.base.images[b].text("ImagePositionPatient"))


@mutation("every slice shifted alike", {SAME, HONEST}, stacked)
def _(case: Case, rng: Random) -> None:
    by = np.array([rng.randrange(-50, 50) for _ in range(3)])
    for file in case.all():
        _moved(file, by)


@mutation("orientation of one slice changed", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    axes = np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)
    angle = rng.uniform(0.01, 1)
    turned = np.array([math.cos(angle) * axes[0] + math.sin(angle) * axes[1], math.cos(angle) * axes[1] - math.sin(angle) * axes[0]])
    file.set("ImageOrientationPatient", decimals(rng.choice([turned, -axes, axes[::-1]])))


@mutation("orientation that is no rotation", {REFUSED, TOLD}, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    wrong = rng.choice(["1\\0\\0\\1\\0\\0", "0\\0\\0\\0\\0\\0", "1\\0\\0\\0\\0.5\\0", "1\\0\\0\\0\\1", "2\\0\\0\\0\\2\\0", "1e200\\0\\0\\0\\1\\0"])
    case.note = wrong
    for file in case.some():
        file.set("ImageOrientationPatient", wrong)


@mutation("pixel spacing of one slice changed", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    a, b = numbers_of(file.text("PixelSpacing"))
    file.set("PixelSpacing", decimals(rng.choice([[a * 1.01, b * 1.01], [a, b * 2], [b * 1.1, a]])))


@mutation("pixel spacing impossible", {REFUSED, TOLD}, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    wrong = rng.choice(["0\\0", "-1\\-1", "NaN\\1", "1", "1\\1\\1", "1e-320\\1", "inf\\inf", ""])
    case.note = wrong
    for file in case.some():
        file.set("PixelSpacing", wrong)


@mutation("pixel spacing of every slice doubled", {SAME, HONEST, TOLD}, stacked)
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        file.set("PixelSpacing", decimals(2 * np.array(numbers_of(file.text("PixelSpacing")))))


@mutation("a slice missing in the middle", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    case.drop_file(case.base.images[rng.randrange(1, len(case.base.images) - 1)])


@mutation("a slice missing at an end", SAFE, stacked)
def _(case: Case, rng: Random) -> None:
    case.drop_file(case.base.images[rng.choice([0, -1])])


@mutation("a slice missing at an end of a PET that states their number", {REFUSED}, lambda b: stacked(b) and has("NumberOfSlices")(b), must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    case.drop_file(case.base.images[rng.choice([0, -1])])


@mutation("a slice twice, same bytes", {SAME})
def _(case: Case, rng: Random) -> None:
    case.extra["copy"] = rng.choice(case.base.images).written()


@mutation("a slice twice under another instance identifier", {REFUSED, TOLD}, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    file = rng.choice(case.base.images).copy()
    file.set("SOPInstanceUID", file.text("SOPInstanceUID")[:50] + ".99")
    case.extra["copy"] = file.written()


@mutation("a slice twice with other content", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = rng.choice(case.base.images).copy()
    file.set("SeriesDescription", "other")
    case.extra["copy"] = file.written()


@mutation("two slices with one instance identifier", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    a, b = rng.sample(range(len(case.base.images)), 2)
    case.image(a).set("SOPInstanceUID", case.base.images[b].text("SOPInstanceUID"))


@mutation("files renamed and in another order", {SAME})
def _(case: Case, rng: Random) -> None:
    names = [f"{n:x}" for n in range(len(case.base.images))]
    rng.shuffle(names)
    for file, name in zip(case.base.images, names, strict=True):
        case.drop_file(file)
        case.extra[name] = file.written()


# ---- who, what, when ----
@mutation("another patient's identifier in one slice", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    case.one().set("PatientID", rng.choice(["OTHER", "0", "ä"]))


@mutation("another patient's identifier in every slice", {SAME, HONEST})
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        file.set("PatientID", "OTHER")
    case.expected["subject_id"] = lambda _: "OTHER"


@mutation("another series, class, modality or frame of reference in one slice")
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["SeriesInstanceUID", "SOPClassUID", "Modality", "FrameOfReferenceUID", "StudyInstanceUID"])
    value = rng.choice(["1.2.3", "", "CT", "MR", "PT", "NM", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128", "x" * 70])
    case.note = f"{keyword} {value}"
    case.one().set(keyword, value)


@mutation("another class or modality in every slice", {REFUSED, TOLD, SAME})
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["SOPClassUID", "Modality"])
    value = rng.choice(["", "OT", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.481.1", "x", "1.2"])
    case.note = f"{keyword} {value}"
    for file in case.all():
        file.set(keyword, value)


@mutation("weight of one slice changed", NOT_SILENT, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    case.one().set("PatientWeight", rng.choice(["71", "0", "-70", "700", "NaN", "", "70000", "7O"]))


@mutation("weight of every slice changed", {SAME}, is_pt)
def _(case: Case, rng: Random) -> None:
    before = float(case.base.images[0].text("PatientWeight") or 0)
    for file in case.all():
        file.set("PatientWeight", "55.5")
    if before:
        case.expected["suv"] = lambda factor: factor and factor * 55.5 / before


@mutation("weight missing or impossible", {REFUSED, SAME}, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["", "0", "-70", "NaN", "inf"])
    for file in case.all():
        file.set("PatientWeight", value)


def _agent(file: RawFile) -> list[Element]:
    return file.sequence("RadiopharmaceuticalInformationSequence")


@mutation("activity or half-life of one slice changed", NOT_SILENT, has_agent, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file, keyword = case.one(), rng.choice(["RadionuclideTotalDose", "RadionuclideHalfLife"])
    file.set(keyword, rng.choice(["1", "4.0e8", "0", "-1", "5000", ""]), _agent(file))


@mutation("activity of every slice changed", {SAME}, has_agent)
def _(case: Case, rng: Random) -> None:
    before = next((e.text for e in _agent(case.base.images[0]) if e.keyword == "RadionuclideTotalDose"), "")
    for file in case.all():
        file.set("RadionuclideTotalDose", "1.5e8", _agent(file))
    if before:
        case.expected["suv"] = lambda factor: factor and factor * float(before) / 1.5e8


@mutation("half-life of every slice changed", CONTRADICTION | {SAME}, has_agent, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["1000", "0", "-6586", "NaN", "109.77", "1e-300", "1e300", ""])
    case.note = value
    for file in case.all():
        file.set("RadionuclideHalfLife", value, _agent(file))


@mutation("administration time changed in one slice", NOT_SILENT, has_agent, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set("RadiopharmaceuticalStartTime", "010203.00", _agent(file))
    file.set("RadiopharmaceuticalStartDateTime", rng.choice(["", "20010203040506", "29991231235959", "x"]), _agent(file))


@mutation("administration after the scan, or years before", CONTRADICTION | {SAME, HONEST}, has_agent)
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["29990101000000", "20991231235959.9+0100", "00010101000000", "99991231235959-1200", "20260231000000"])
    case.note = value
    for file in case.all():
        file.set("RadiopharmaceuticalStartDateTime", value, _agent(file))


@mutation("units of one slice changed", {REFUSED, TOLD, SAME}, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    case.one().set("Units", rng.choice(["CNTS", "GML", "PROPCPS", "", "bqml", "KBQML", "Bq/ml"]))


@mutation("units of every slice that are no activity", {REFUSED, TOLD, SAME}, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["CNTS", "PROPCPS", "", "KBQML", "MBQML", "1CM", "é"])
    case.note = value
    for file in case.all():
        file.set("Units", value)


@mutation("decay correction of one slice changed", {REFUSED, TOLD, SAME}, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set("DecayCorrection", rng.choice([v for v in ("START", "ADMIN", "NONE", "", "NO") if v != file.text("DecayCorrection")]))


@mutation("decay correction of every slice changed", SAFE, is_pt)
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["START", "ADMIN", "NONE", "", "SCAN"])
    case.note = value
    for file in case.all():
        file.set("DecayCorrection", value)


@mutation("date or time of one slice changed", NOT_SILENT | {HONEST})
def _(case: Case, rng: Random) -> None:
    file = case.one()
    keyword = rng.choice(["AcquisitionTime", "AcquisitionDate", "SeriesTime", "SeriesDate", "ContentTime"])
    value = rng.choice(["", "240000", "000000", "235959.999999", "19000101", "29991231", "20260230", "10:20:30", "noon", "1020"])
    case.note = f"{keyword} {value}"
    file.set(keyword, value)


@mutation("acquisition of one slice a day or more away", CONTRADICTION, lambda b: stacked(b) and has("AcquisitionDate")(b), must_refuse=("acquired_at",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    day = datetime.strptime(file.text("AcquisitionDate"), "%Y%m%d")  # noqa: DTZ007
    file.set("AcquisitionDate", (day + timedelta(days=rng.choice([-400, -30, -1]))).strftime("%Y%m%d"))


@mutation("no acquisition time in one slice", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.drop("AcquisitionTime")
    file.drop("AcquisitionDateTime")


@mutation("dates and times of every slice changed", SAFE)
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["AcquisitionTime", "AcquisitionDate", "SeriesTime", "SeriesDate"])
    value = rng.choice(["", "240000", "000000", "235959.999999", "19000101", "29991231", "20260230", "noon"])
    case.note = f"{keyword} {value}"
    for file in case.all():
        file.set(keyword, value)


@mutation("time zone of one slice changed", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    case.one().set("TimezoneOffsetFromUTC", rng.choice(["+0900", "-1100", "+9900", "CET", "0900", "+09"]))


@mutation("time zone of every slice changed", {SAME, HONEST, REFUSED, TOLD})
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["+0900", "-1100", "+0530", "+2400", "-0000", "CET", "+99999"])
    case.note = value
    for file in case.all():
        file.set("TimezoneOffsetFromUTC", value)


# ---- structure of the data set ----
@mutation("a sequence replaced by text", NOT_SILENT, lambda b: any(e.items is not None for e in b.files[-1].elements))
def _(case: Case, rng: Random) -> None:
    file = case.any_file()
    sequences = [e for _, e in walk(file.elements) if e.items is not None]
    if sequences:
        chosen = rng.choice(sequences)
        chosen.items, chosen.value, chosen.undefined = None, b"not a sequence  ", False
        chosen.vr = rng.choice([b"SQ", b"UT", b"LO", b"UN"])
        case.note = chosen.keyword


@mutation("deep nesting", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    depth, undefined = rng.choice([3, 60, 400, 1500]), rng.random() < 0.5
    case.note = f"{depth} {'undefined' if undefined else 'defined'}"
    nested = b""
    for _ in range(depth):
        if undefined:
            nested = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" + nested
            nested += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
        else:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(nested)) + nested
            nested = b"\x40\x00\x75\x02SQ\0\0" + struct.pack("<I", len(item)) + item
    file = case.one()
    if file.explicit:
        content = file.written()
        at = content.index(struct.pack("<HH", 0x7FE0, 0x10))
        case.extra[file.name] = content[:at] + nested + content[at:]


@mutation("a sequence of undefined length that never ends", {REFUSED, TOLD, SAME})
def _(case: Case, rng: Random) -> None:
    file = case.one()
    lead = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" if rng.random() < 0.5 else b""
    new = Element(0x00081110, b"SQ", lead, None, undefined=True)
    put(file.elements, new)


@mutation("group length, padding and unknown groups", {SAME})
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        file.elements.insert(0, Element(0x00080000, b"UL", struct.pack("<I", rng.randrange(2**32))))
        file.elements.append(Element(0xFFFCFFFC, b"OB", rng.randbytes(64)))


@mutation("private blocks broken", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        private = [e for e in file.elements if (e.tag >> 16) % 2]
        if not private:
            continue
        match rng.randrange(3):
            case 0:
                file.elements = [e for e in file.elements if not ((e.tag >> 16) % 2 and e.tag & 0xFFFF < 0x100)]
            case 1:
                for e in private:
                    e.value = rng.randbytes(len(e.value))
            case _:
                for e in private:
                    e.vr = b"UN"


@mutation("text of another character set", {SAME})
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        for keyword in ("SeriesDescription", "PatientName", "InstitutionName", "StudyDescription"):
            file.set(keyword, rng.choice([b"\xff\xfe\xfd ", b"\xc3\x28", b"\x1b$B\x3b\x33", b"\0\0\0\0", "ü".encode() * 200]))


@mutation("a bad character set", {SAME, REFUSED, TOLD})
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["ISO_IR 999", "utf8", "\\ISO 2022 IR 87", "\\\\\\", "", "ISO 2022 IR 6\\x", "GB18030", "\xff"])
    case.note = value
    for file in case.some():
        file.set("SpecificCharacterSet", value)


@mutation("instance or series identifiers that are none", NOT_SILENT | {HONEST})
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
    value = rng.choice(["", "not a uid", "1.2.3." + "9" * 100, "../../etc", "\0", "é"])
    case.note = f"{keyword} {value}"
    for file in case.some():
        file.set(keyword, value)


# ---- folders ----
@mutation("links and folders among the files", {SAME})
def _(case: Case, rng: Random) -> None:
    def clutter(folder: Path) -> None:
        (folder / "loop").symlink_to(folder, target_is_directory=True)
        (folder / "self").symlink_to("self")
        (folder / "gone.dcm").symlink_to(folder / "nowhere")
        (folder / "deep" / "empty.dcm").mkdir(parents=True)

    case.fresh = clutter


# ---- contours ----
@mutation("drop or empty an element of the structure set", NOT_SILENT | {HONEST}, has_structure)
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    holder, element = rng.choice([p for p in walk(file.elements)])
    case.note = element.keyword
    if rng.random() < 0.5:
        holder.remove(element)
    else:
        element.value, element.items = b"", None if element.items is None else []


@mutation("text or an impossible number in the structure set", NOT_SILENT | {HONEST}, has_structure)
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    element = rng.choice([e for _, e in walk(file.elements) if e.vr in {b"DS", b"IS"}])
    parts = element.value.split(b"\\")
    parts[rng.randrange(len(parts))] = rng.choice(SPECIAL + NO_NUMBER).encode()
    element.value = b"\\".join(parts)
    element.value += b" " * (len(element.value) % 2)
    case.note = element.keyword


@mutation("contour data cut, of odd number or out of plane", {REFUSED, TOLD, SAME}, has_structure, must_refuse=("contours",))
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    contour = rng.choice([e for _, e in walk(file.elements) if e.keyword == "ContourData"])
    numbers = contour.value.split(b"\\")
    match rng.randrange(3):
        case 0:
            numbers = numbers[: -rng.choice([1, 2])]
        case 1:
            numbers = numbers[:3]
        case _:
            numbers[2] = b"%.3f" % (float(numbers[2]) + 50)
    contour.value = b"\\".join(numbers)
    contour.value += b" " * (len(contour.value) % 2)


@mutation("another frame of reference in the structure set", {REFUSED, TOLD, SAME}, has_structure)
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    for _, e in walk(file.elements):
        if e.keyword in {"FrameOfReferenceUID", "ReferencedFrameOfReferenceUID"}:
            e.value = b"1.2.3\0"


@mutation("region numbers doubled or unknown", NOT_SILENT, has_structure)
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    numbers = [e for _, e in walk(file.elements) if e.keyword in {"ROINumber", "ReferencedROINumber"}]
    rng.choice(numbers).value = rng.choice([b"1 ", b"99", b"-1", b"2 ", b"x ", b""])


@mutation("damaged bytes in the structure set", NOT_SILENT | {HONEST}, has_structure)
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    content = bytearray(file.written())
    if rng.random() < 0.4:
        content = content[: rng.randrange(len(content))]
    else:
        for _ in range(rng.choice([1, 3, 20])):
            content[rng.randrange(132, len(content))] = rng.randrange(256)
    case.extra[file.name] = bytes(content)
