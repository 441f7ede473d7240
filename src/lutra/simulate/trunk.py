"""The trunk: outline, subcutaneous fat, muscle wall and the cavity inside, with ribs in the wall.

Lengths are those of an adult of 1.75 m, the origin in the midline between L1 and L2, x to the left, y to the back, z upwards;
a `Build` scales them. Only the cavity widens with the build: skin and wall are layers around it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import FloatArray
from lutra.simulate.shapes import components

SPINE_Y_MM = 40.0
TOP_MM, BOTTOM_MM = 335.0, -335.0
STEP_MM = 0.25
"""Cross-sections are tabulated at these steps of height. [mm]"""
EXPONENT = 2.25
"""Of the superellipse of a cross-section: between an ellipse (2) and a box."""
WALL_FRONT_MM, WALL_SIDE_MM = 13.0, 16.0


@frozen
class Build:
    """How large and how wide a person is.

    Parameters
    ----------
    size
        Height relative to 1.75 m; every length of the skeleton follows it. [1]
    wide
        Width and depth of the cavity, beyond the size. [1]
    fat_mm
        Mean thickness of the subcutaneous fat. [mm]
    """

    size: float = 1.0
    wide: float = 1.0
    fat_mm: float = 15.0

    def place(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Where a point of the 1.75 m adult's cavity is: widened about the spine. [mm]"""
        across = self.size * self.wide
        return x * across, SPINE_Y_MM * self.size + (y - SPINE_Y_MM) * across, z * self.size

    @property
    def girth(self) -> float:
        """Factor for the semi-axes of what lies in the cavity. [1]"""
        return float(self.size * self.wide**0.5)


def ease(z: FloatArray, start: float, end: float) -> FloatArray:
    """Rise smoothly from 0 at `start` to 1 at `end`."""
    t = np.clip((z - start) * (1 / (end - start)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@frozen(eq=False)
class Trunk:
    """One surface of the trunk.

    Parameters
    ----------
    surface
        `skin`, `fascia` (under the fat) or `cavity` (under the muscle wall).
    """

    name: str
    build: Build
    surface: str = "skin"
    _layers: int = field(init=False, repr=False)
    _half_axes_mm: npt.NDArray[np.float32] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_layers", ("cavity", "fascia", "skin").index(self.surface))
        heights = np.arange(BOTTOM_MM, TOP_MM + STEP_MM, STEP_MM)
        object.__setattr__(self, "_half_axes_mm", self._half_axes_at(heights).astype(np.float32))

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        side, front, back = self._half_axes_mm.max(axis=1).tolist()
        return np.array(
            [
                [-side, self._middle_mm - front, BOTTOM_MM * self.build.size],
                [side, self._middle_mm + back, TOP_MM * self.build.size],
            ]
        )

    @property
    def _middle_mm(self) -> float:
        return SPINE_Y_MM * self.build.size * (1 - self.build.wide)

    def _half_axes_at(self, z: FloatArray) -> FloatArray:
        """Half-width and depth to the front and to the back of a cross-section, at heights of the 1.75 m adult. [mm] (3, n)"""
        b = self.build
        chest, hips, apex = ease(z, -50, 90), ease(-z, 80, 220), ease(z, 190, 330)
        side = (124 + 11 * chest - 3 * hips - 42 * apex) * b.size * b.wide
        front = (86 + 3 * chest - 4 * hips - 26 * apex) * b.size * b.wide
        back = (62 + 15 * chest + 4 * hips - 10 * apex) * b.size * b.wide
        if self._layers:
            side += (WALL_SIDE_MM + 30 * hips + 38 * apex) * b.size
            front += (WALL_FRONT_MM + 4 * apex) * b.size
            back += (34 - 12 * chest + 10 * hips) * b.size
        if self._layers > 1:
            side += b.fat_mm * (0.85 + 0.35 * hips - 0.2 * apex)
            front += b.fat_mm * (1.05 - 0.45 * chest)
            back += b.fat_mm * (0.8 + 0.3 * hips)
        return np.stack((side, front, back))

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        b = self.build
        x, y, z = components(points_lps_mm)
        y = y - self._middle_mm
        step = 1 / (b.size * STEP_MM)
        index = np.clip(z * step + (0.5 - BOTTOM_MM / STEP_MM), 0, self._half_axes_mm.shape[1] - 1).astype(np.intp)
        if self._layers > 1:  # the furrow over the spine
            y = y + np.maximum(y, 0) * (0.09 * np.exp(x * x * (-1 / (22 * b.size) ** 2)))
        side, front, back = (axis.take(index) for axis in self._half_axes_mm)
        u, v = np.abs(x) / side, np.abs(y) / np.where(y > 0, back, front)
        powers = u * u * np.sqrt(np.sqrt(u)) + v * v * np.sqrt(np.sqrt(v)) + 1e-6
        level = np.sqrt(x * x + y * y + 1e-3) * (np.exp(np.log(powers) * (-1 / EXPONENT)) - 1)
        return np.asarray(np.minimum(np.minimum(level, TOP_MM * b.size - z), z - BOTTOM_MM * b.size))


RIB_SPACING_MM, RIB_DROP, RIB_DEPTH_MM = 28.5, 0.42, 7.5
RIB_HALF_MM = (4.2, 6.5)


@frozen(eq=False)
class Ribs:
    """Twelve pairs of ribs in the wall around a cavity, falling from the back to the front; the lower ones end early."""

    name: str
    cavity: Trunk

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        box = np.array(self.cavity.bounds_lps_mm)
        box[:, :2] += np.array([[-14], [14]])
        box[:, 2] = np.array([-10, 325]) * self.cavity.build.size
        return box

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        b = self.cavity.build
        x, y, z = components(points_lps_mm)
        z, behind = z * (1 / b.size), 25 - (y - SPINE_Y_MM * b.size) * (1 / (b.size * b.wide))
        at_spine = z + RIB_DROP * behind
        order = (at_spine - 48) * (1 / RIB_SPACING_MM)
        half_depth, half_height = RIB_HALF_MM
        from_rib = (order - np.clip(np.rint(order), 0, 9)) * (RIB_SPACING_MM * half_depth / half_height)
        outwards = self.cavity.level_mm(points_lps_mm) + RIB_DEPTH_MM
        level = half_depth - np.sqrt(outwards * outwards + from_rib * from_rib)
        ends = 30 + 1.15 * np.clip(at_spine - 48, 0, 130) - behind  # how far forward a rib comes
        return np.asarray(np.minimum(np.minimum(level, ends), np.abs(x) - 22))
