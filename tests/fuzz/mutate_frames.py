"""Multi-frame objects whose frames, vectors or maps contradict each other."""

from __future__ import annotations

import struct
from random import Random

from .case import NOT_SILENT, REFUSED, SAFE, SAME, TOLD, Case
from .mutation import is_nm, mutation
from .raw import Element, RawFile
from .sources import us


def _vector(file: RawFile, keyword: str) -> list[int]:
    element = file.get(keyword)
    return list(struct.unpack(f"<{len(element.value) // 2}H", element.value)) if element else []


def _set_vector(file: RawFile, keyword: str, values: list[int]) -> None:
    element = file.get(keyword)
    assert element is not None
    element.value = b"".join(us(v) for v in values)


@mutation("slice vector doubled, beyond its end or of another length", {REFUSED, TOLD}, is_nm, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    vector = _vector(file, "SliceVector")
    n = rng.randrange(len(vector))
    match rng.randrange(5):
        case 0:
            vector[n] = vector[n - 1]
        case 1:
            vector[n] = rng.choice([0, 99, 65535])
        case 2:
            vector = vector[:-1]
        case 3:
            vector.append(1)
        case _:
            vector = []
    _set_vector(file, "SliceVector", vector)


@mutation("slices of a multi-frame image stored in another order", {SAME}, is_nm)
def _(case: Case, rng: Random) -> None:
    """Vector and pixels changed together: the same image."""
    file = case.one()
    vector = _vector(file, "SliceVector")
    n = max(vector)
    order = list(range(n))
    rng.shuffle(order)
    size = file.number("Rows") * file.number("Columns") * 2
    pixels = next(e for e in file.elements if e.keyword == "PixelData")
    planes = [pixels.value[k * size : (k + 1) * size] for k in range(len(vector))]
    whole = [window * n + k for window in range(len(vector) // n) for k in order]
    _set_vector(file, "SliceVector", [vector[k] for k in whole])
    pixels.value = b"".join(planes[k] for k in whole)


@mutation("two entries of the slice vector exchanged", SAFE, is_nm)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    vector = _vector(file, "SliceVector")
    a, b = rng.sample(range(max(vector)), 2)
    vector[a], vector[b] = vector[b], vector[a]
    _set_vector(file, "SliceVector", vector)


@mutation("frames and slices that do not add up", {REFUSED, TOLD}, is_nm, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    if rng.random() < 0.5:
        file.set_number("NumberOfSlices", file.number("NumberOfSlices") + rng.choice([-1, 1, 60000]))
    else:
        file.set("NumberOfFrames", str(int(file.text("NumberOfFrames")) + rng.choice([-1, 1, 1000, 10**9])))


@mutation("frame increment pointer missing or to elsewhere", {REFUSED, TOLD}, is_nm, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    element = case.one().get("FrameIncrementPointer")
    assert element is not None
    element.value = rng.choice([b"", b"\x54\x00\x90\x00", b"\x10\x00\x10\x00", b"\x54\x00\x20\x00" * 2])


@mutation(
    "no distance between the slices of a multi-frame image", {REFUSED, TOLD}, is_nm, must_refuse=("image", "affine")
)
def _(case: Case, rng: Random) -> None:
    case.one().set("SpacingBetweenSlices", rng.choice(["", "0", "NaN", "inf", "1e-9", "1e9", "x"]))


@mutation("slices run the other way", SAFE, is_nm)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set("SpacingBetweenSlices", str(-float(file.text("SpacingBetweenSlices"))))


@mutation(
    "a real world map that is none",
    NOT_SILENT,
    lambda b: is_nm(b) and b.images[0].get("RealWorldValueMappingSequence") is not None,
    must_refuse=("total",),
)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    item = file.sequence("RealWorldValueMappingSequence")
    for element in item:
        if element.keyword == "RealWorldValueSlope":
            element.value = struct.pack("<d", rng.choice([float("nan"), 0.0, float("inf"), 1e308]))


@mutation(
    "a second real world map of another slope",
    NOT_SILENT,
    lambda b: is_nm(b) and b.images[0].get("RealWorldValueMappingSequence") is not None,
)
def _(case: Case, rng: Random) -> None:
    sequence = case.one().get("RealWorldValueMappingSequence")
    assert sequence is not None
    assert sequence.items
    again = [e.copy() for e in sequence.items[0]]
    for element in again:
        if element.keyword == "RealWorldValueSlope":
            element.value = struct.pack("<d", 99.0)
    sequence.items.append(again)


@mutation(
    "projections or gated images instead of a reconstruction", {REFUSED, TOLD}, is_nm, must_refuse=("image", "total")
)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    kind = rng.choice(["TOMO", "GATED", "RECON GATED TOMO", "STATIC", ""])
    file.set("ImageType", f"ORIGINAL\\PRIMARY\\{kind}\\EMISSION")


@mutation("a detector without geometry", {REFUSED, TOLD}, is_nm, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    item = file.sequence("DetectorInformationSequence")
    keyword = rng.choice(["ImagePositionPatient", "ImageOrientationPatient"])
    if rng.random() < 0.5:
        item[:] = [e for e in item if e.keyword != keyword]
    else:
        next(e for e in item if e.keyword == keyword).value = rng.choice([b"", b"1\\2 ", b"NaN\\0\\0", b"x "])


@mutation("frames turned into a sequence", NOT_SILENT, is_nm)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    element = file.get(rng.choice(["SliceVector", "FrameIncrementPointer", "NumberOfFrames", "PixelSpacing"]))
    assert element is not None
    element.vr, element.value, element.items = b"SQ", b"", [[Element(0x00080100, b"SH", b"X ")]]
