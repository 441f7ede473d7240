"""Segmentations and doses that contradict themselves."""

from __future__ import annotations

from random import Random

from .case import HONEST, NOT_SILENT, REFUSED, SAFE, TOLD, Case
from .mutation import mutation
from .raw import walk
from .sources import Base, us


def is_seg(base: Base) -> bool:
    return bool(base.images) and base.modality == "SEG"


def is_dose(base: Base) -> bool:
    return bool(base.images) and base.modality == "RTDOSE"


@mutation("a frame of a segment that nobody described", NOT_SILENT, is_seg)
def _(case: Case, rng: Random) -> None:
    numbers = [e for _, e in walk(case.one().elements) if e.keyword in {"SegmentNumber", "ReferencedSegmentNumber"}]
    rng.choice(numbers).value = us(rng.choice([0, 2, 77, 65535]))


@mutation("segmentation of another type or scale", SAFE, is_seg)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    if rng.random() < 0.6:
        value = rng.choice(["BINARY", "FRACTIONAL", "LABELMAP", "", "X"])
        case.note = value
        file.set("SegmentationType", value)
    else:
        file.set_number("MaximumFractionalValue", rng.choice([0, 1, 100, 65535]))


@mutation("frames and functional groups that do not add up", {REFUSED, TOLD}, is_seg, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    groups = file.get("PerFrameFunctionalGroupsSequence")
    assert groups is not None
    assert groups.items
    if rng.random() < 0.5:
        groups.items = groups.items[:-1] if rng.random() < 0.5 else [*groups.items, groups.items[-1]]
    else:
        file.set("NumberOfFrames", str(int(file.text("NumberOfFrames")) + rng.choice([-1, 1, 10**8])))


@mutation("a frame of a segmentation moved, turned or without a place", NOT_SILENT | {HONEST}, is_seg)
def _(case: Case, rng: Random) -> None:
    found = [
        e for _, e in walk(case.one().elements) if e.keyword in {"ImagePositionPatient", "ImageOrientationPatient"}
    ]
    rng.choice(found).value = rng.choice([b"", b"1\\2\\3 ", b"0\\0\\0\\0\\0\\0 ", b"1\\0\\0\\0\\0\\1 ", b"x "])


@mutation("spacing of a segmentation changed or gone", SAFE, is_seg)
def _(case: Case, rng: Random) -> None:
    keywords = {"PixelSpacing", "SpacingBetweenSlices", "SliceThickness"}
    found = [e for _, e in walk(case.one().elements) if e.keyword in keywords]
    rng.choice(found).value = rng.choice([b"", b"0 ", b"-1", b"5\\5 ", b"NaN ", b"1e99"])


@mutation("dose scaling that is none", {REFUSED, TOLD}, is_dose, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    case.one().set("DoseGridScaling", rng.choice(["", "0", "-1", "NaN", "inf", "x", "1e300"]))


@mutation("dose of another kind or unit", {REFUSED, TOLD}, is_dose, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    keyword, value = rng.choice(
        [("DoseUnits", "RELATIVE"), ("DoseUnits", ""), ("DoseType", "ERROR"), ("DoseType", "EFFECTIVE")]
    )
    case.one().set(keyword, value)


@mutation("frame offsets cut, doubled or uneven", {REFUSED, TOLD}, is_dose, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    offsets = file.text("GridFrameOffsetVector").split("\\")
    n = rng.randrange(1, len(offsets))
    match rng.randrange(4):
        case 0:
            offsets = offsets[:-1]
        case 1:
            offsets[n] = offsets[n - 1]
        case 2:
            offsets[n] = str(float(offsets[n]) + 1.7)
        case _:
            offsets[n] = rng.choice(["NaN", "x", ""])
    file.set("GridFrameOffsetVector", "\\".join(offsets))


@mutation("histograms cut or of text", NOT_SILENT, is_dose)
def _(case: Case, rng: Random) -> None:
    found = [e for _, e in walk(case.one().elements) if e.keyword == "DVHData"]
    data = rng.choice(found)
    data.value = rng.choice([b"", data.value[: len(data.value) // 2 // 2 * 2], b"1\\x ", b"1 ", b"NaN\\NaN "])
