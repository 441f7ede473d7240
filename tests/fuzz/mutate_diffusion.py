"""Diffusion weightings that contradict each other or the makers' own elements."""

from __future__ import annotations

import struct
from random import Random

from .case import HONEST, NOT_SILENT, REFUSED, SAFE, TOLD, Case
from .mutation import classic, mutation
from .raw import Element, RawFile, put, walk
from .sources import Base

PRIVATE_B = {0x00431039, 0x20011003, 0x00651009}
"""b-values of GE, Philips and UIH."""


def _b_values(file: RawFile) -> list[Element]:
    return [e for _, e in walk(file.elements) if e.keyword == "DiffusionBValue" or e.tag in PRIVATE_B]


def is_diffusion(base: Base) -> bool:
    return bool(base.images) and bool(_b_values(base.images[0]))


def classic_diffusion(base: Base) -> bool:
    return classic(base) and is_diffusion(base)


@mutation("b-value of one slice changed", NOT_SILENT, classic_diffusion)
def _(case: Case, rng: Random) -> None:
    for element in _b_values(case.one()):
        size = len(element.value)
        if element.vr == b"FD":
            element.value = struct.pack("<d", rng.choice([-1.0, 7.0, 1e9, float("nan")]))
        elif element.vr == b"FL":
            element.value = struct.pack("<f", rng.choice([-1.0, 7.0, 1e9, float("nan")]))
        else:
            element.value = rng.choice([b"7", b"-1", b"x", b"700\\8\\0\\0"]).ljust(size + size % 2)


@mutation("b-value of one slice missing", NOT_SILENT | {HONEST}, classic_diffusion)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    gone = {e.tag for e in _b_values(file)}
    file.elements = [e for e in file.elements if e.tag not in gone]


@mutation("no b-values at all", {REFUSED, TOLD}, classic_diffusion, must_refuse=("b_values",))
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        gone = {e.tag for e in _b_values(file)}
        file.elements = [e for e in file.elements if e.tag not in gone]


@mutation("b-value in a functional group damaged", SAFE, lambda b: is_diffusion(b) and not b.classic)
def _(case: Case, rng: Random) -> None:
    element = rng.choice(_b_values(case.one()))
    element.value = rng.choice(
        [b"", struct.pack("<d", float("nan")), struct.pack("<d", -5.0), struct.pack("<d", 31.0), b"\\1\\2"]
    )


@mutation("a second b-value that says otherwise", NOT_SILENT, classic_diffusion)
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        if file.get("DiffusionBValue") is None:
            put(file.elements, Element(0x00189087, b"FD", struct.pack("<d", 321.0)))
        else:
            put(file.elements, Element(0x00650010, b"LO", b"Image Private Header"))
            put(file.elements, Element(0x00651009, b"FD", struct.pack("<d", 321.0)))


@mutation("diffusion gradient of no length, or of a slice turned", NOT_SILENT | {HONEST}, is_diffusion)
def _(case: Case, rng: Random) -> None:
    gradient = struct.pack("<3d", *rng.choice([(0, 0, 0), (1, 0, 0), (float("nan"), 0, 0), (3, 4, 5)]))
    for file in case.some():
        for _, element in walk(file.elements):
            if element.keyword == "DiffusionGradientOrientation":
                element.value = gradient
