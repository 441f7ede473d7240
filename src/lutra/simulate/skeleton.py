"""Spine, sacrum and hip bones: a cortical shell around marrow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import FloatArray, float64
from lutra.simulate.combine import Offset, Union, smooth_minimum
from lutra.simulate.shapes import Ellipsoid, Shape, Tube, components, rotation, smooth_line
from lutra.simulate.trunk import SPINE_Y_MM

VERTEBRAE_MM = {
    **{f"T{n}": 52 + 28.5 * (12 - n) - 0.25 * (12 - n) ** 2 for n in range(3, 13)},
    **{f"L{n}": 18 - 36.5 * (n - 1) for n in range(1, 6)},
}
"""Height of the middle of each vertebral body of the 1.75 m adult. [mm]"""
CORTEX_MM = 2.2


def spine_y_mm(z_mm: float) -> float:
    """Where the middle of the vertebral bodies is: hollow in the loins, bent back in the chest. [mm]"""
    return (
        SPINE_Y_MM - 12 * float(np.exp(-(((z_mm + 70) / 75) ** 2))) + 12 * float(np.exp(-(((z_mm - 190) / 110) ** 2)))
    )


@frozen(eq=False)
class Drum:
    """A vertebral body: an elliptic cylinder with a waist and rounded edges, tilted about x.

    Parameters
    ----------
    half_mm
        Half-width, half-depth and half-height. [mm] (3,)
    """

    name: str
    centre_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    half_mm: npt.NDArray[np.float64] = field(converter=float64)
    tilt: float = 0.0

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        half = self.half_mm + abs(self.tilt) * self.half_mm[[0, 2, 1]] * np.array([0, 1, 1])
        return np.array([self.centre_lps_mm - half, self.centre_lps_mm + half])

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        x, y, z = (p - float(c) for p, c in zip(components(points_lps_mm), self.centre_lps_mm, strict=True))
        y, z = y - self.tilt * z, z + self.tilt * y
        a, b, h = (float(n) for n in self.half_mm)
        waist = 1 - 0.1 * np.maximum(1 - (z * (1 / h)) ** 2, 0)
        across = np.sqrt(x * x + (y * (a / b)) ** 2)
        return smooth_minimum((a * waist - across) * (0.5 + 0.5 * b / a), h - np.abs(z), 5.0)


@frozen(eq=False)
class Mirrored:
    """A right half made of its left half, about x = 0."""

    shape: Shape
    name: str = ""

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        box = np.array(self.shape.bounds_lps_mm)
        box[0, 0] = -box[1, 0]
        return box

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        x, y, z = components(points_lps_mm)
        return self.shape.level_mm(np.moveaxis(np.stack([np.abs(x), y, z]), 0, -1))


def vertebra(label: str, size: float) -> tuple[Shape, Shape]:
    """Bone and marrow of one vertebra, `L3` or `T10`. Marrow is that of the body; the arch is taken as bone."""
    z = VERTEBRAE_MM[label]
    level = (-z / 36.5) if z < 40 else 0.0  # lumbar bodies grow downwards
    y = spine_y_mm(z)
    tilt = (spine_y_mm(z + 10) - spine_y_mm(z - 10)) / 20
    half = np.array([21.5 + 0.9 * level, 16.0 + 0.3 * level, 13.6 if z < 60 else 11.9]) * size
    body = Drum("", np.multiply((0, y, z), size), half, tilt)
    middle = np.array((0, y, z))
    back = np.array([(9, 11, 4), (14, 24, 2), (4, 37, -5), (0, 58, -15)], float)
    side = np.array([(14, 25, 2), (34, 31, 4)], float)
    arch = Tube("", (back + middle) * size, np.array([5, 5.5, 4.5, 3.5]) * size)
    transverse = Tube("", (side + middle) * size, np.array([5, 3.5]) * size)
    return Union(f"vertebra {label}", (body, Mirrored(arch), Mirrored(transverse))), Offset(
        f"marrow {label}", body, CORTEX_MM * size
    )


def discs(size: float) -> Shape:
    """Column of discs; vertebrae are painted over it."""
    heights = np.array([VERTEBRAE_MM["L5"] - 24, *sorted(VERTEBRAE_MM.values())[::2], VERTEBRAE_MM["T3"] + 15])
    line = np.array([(0, spine_y_mm(z), z) for z in heights]) * size
    return Tube("discs", line, np.full(len(line), 17.0 * size))


def spinal_canal(size: float) -> Shape:
    """Dural sac behind the vertebral bodies."""
    heights = np.linspace(VERTEBRAE_MM["L5"] - 30, VERTEBRAE_MM["T3"] + 10, 9)
    line = np.array([(0, spine_y_mm(z) + 25, z) for z in heights]) * size
    return Tube("spinal canal", line, np.full(len(line), 7.5 * size))


def pelvis(size: float) -> tuple[tuple[Shape, Shape], ...]:
    """Bone and marrow of sacrum and hip bones; the heads of the femora belong to the latter."""
    sacrum = Ellipsoid(
        "sacrum", np.multiply((0, 64, -196), size), np.multiply((50, 17, 52), size), rotation(x_deg=-28), 3, taper=-0.35
    )
    halves = []
    for name, side in (("left hip bone", 1), ("right hip bone", -1)):
        turn = rotation(y_deg=16 * side, z_deg=-38 * side)
        wing = Ellipsoid("", np.multiply((92 * side, 28, -172), size), np.multiply((8.5, 52, 66), size), turn)
        socket = Ellipsoid("", np.multiply((88 * side, 6, -258), size), np.multiply((31, 30, 36), size))
        line, radii = smooth_line([(80 * side, 0, -272), (48 * side, -38, -284), (8 * side, -52, -292)], [12, 8, 10])
        pubis = Tube("", line * size, radii * size)
        bone = Union(name, (wing, socket, pubis), 8)
        halves.append((bone, Offset(f"marrow {name}", bone, 3.0)))
    return ((sacrum, Offset("marrow sacrum", sacrum, 3.0)), *halves)
