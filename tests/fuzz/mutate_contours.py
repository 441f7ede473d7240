"""Damage to a structure set."""

from __future__ import annotations

from random import Random

from .case import HONEST, NOT_SILENT, REFUSED, SAME, TOLD, Case
from .mutation import NO_NUMBER, SPECIAL, has_structure, mutation
from .raw import walk


@mutation("drop or empty an element of the structure set", NOT_SILENT | {HONEST}, has_structure)
def _(case: Case, rng: Random) -> None:
    file = case.structure()
    holder, element = rng.choice(list(walk(file.elements)))
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


@mutation(
    "contour data cut, of odd number or out of plane", {REFUSED, TOLD, SAME}, has_structure, must_refuse=("contours",)
)
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


@mutation("region numbers doubled or unknown", NOT_SILENT | {HONEST}, has_structure)
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
