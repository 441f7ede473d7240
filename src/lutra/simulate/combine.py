"""What can be done with shapes: union, intersection and difference with rounded edges, layers, scaling.

A smooth union fills the groove where two surfaces meet, a smooth intersection takes the edge off, an offset peels a layer away.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import FloatArray, float64
from lutra.simulate.shapes import Shape, components, some

UNBOUNDED_MM = ((-1e6,) * 3, (1e6,) * 3)
FAR_MM = 12.0
"""Further out than this no voxel of an image in use is cut by the surface, and a level need only be negative. [mm]"""


def _unit(vector: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return float64(np.asarray(vector, float) / np.linalg.norm(vector))


@frozen(eq=False)
class HalfSpace:
    """Everything behind a plane.

    Parameters
    ----------
    inwards
        Unit vector into it. (3,)
    """

    point_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    inwards: npt.NDArray[np.float64] = field(converter=_unit)
    name: str = ""

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        box = np.array(UNBOUNDED_MM)
        for axis in np.flatnonzero(np.abs(self.inwards) == 1):
            box[0 if self.inwards[axis] > 0 else 1, axis] = self.point_lps_mm[axis]
        return box

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        (a, b, c), offset = self.inwards.tolist(), float(self.inwards @ self.point_lps_mm)
        x, y, z = components(points_lps_mm)
        return np.asarray(a * x + b * y + c * z - offset)


@frozen(eq=False)
class Union:
    """What is in any of its parts; `rounding_mm` fills the groove where they meet. [mm]"""

    name: str
    parts: tuple[Shape, ...]
    rounding_mm: float = 0.0

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        boxes = np.array([part.bounds_lps_mm for part in self.parts])
        return np.array([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)]) + _margin(self.rounding_mm / 4)

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        levels = (-part.level_mm(points_lps_mm) for part in self.parts)
        return np.asarray(-reduce(lambda one, other: smooth_minimum(one, other, self.rounding_mm), levels))


@frozen(eq=False)
class Intersection:
    """What is in all of its parts; `rounding_mm` takes the edge off where they meet. [mm]

    Later parts are looked at only where they can matter, so the smallest belongs first.
    """

    name: str
    parts: tuple[Shape, ...]
    rounding_mm: float = 0.0

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        boxes = np.array([part.bounds_lps_mm for part in self.parts])
        return np.array([boxes[:, 0].max(axis=0), boxes[:, 1].min(axis=0)])

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        first, *others = self.parts
        level = first.level_mm(points_lps_mm)
        for part in others:
            near = level > -FAR_MM
            if isinstance(part, Outside):
                near &= _in_box(points_lps_mm, part.shape.bounds_lps_mm + _margin(FAR_MM))
            if near.all():
                level = smooth_minimum(level, part.level_mm(points_lps_mm), self.rounding_mm)
            elif near.any():
                level[near] = smooth_minimum(level[near], part.level_mm(some(points_lps_mm, near)), self.rounding_mm)
        return level


def _in_box(points: FloatArray, box: FloatArray) -> npt.NDArray[np.bool_]:
    inside = np.ones(points.shape[:-1], bool)
    for p, low, high in zip(components(points), *box.tolist(), strict=True):
        inside &= (p > low) & (p < high)
    return inside


@frozen(eq=False)
class Outside:
    """Everything but a shape; with an intersection it makes a difference."""

    shape: Shape
    name: str = ""

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        return np.array(UNBOUNDED_MM)

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        return np.asarray(-self.shape.level_mm(points_lps_mm))


@frozen(eq=False)
class Offset:
    """A shape whose outer layer is peeled off; a negative depth adds one. [mm]"""

    name: str
    shape: Shape
    depth_mm: float

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        box = self.shape.bounds_lps_mm
        return box + _margin(-self.depth_mm) if self.depth_mm < 0 else box

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        return np.asarray(self.shape.level_mm(points_lps_mm) - self.depth_mm)


@frozen(eq=False)
class Scaled:
    """A shape grown or shrunk about a point."""

    name: str
    shape: Shape
    about_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    factor: float

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        return np.asarray((self.shape.bounds_lps_mm - self.about_lps_mm) * self.factor + self.about_lps_mm)

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        shift = (self.about_lps_mm * (1 - 1 / self.factor)).tolist()
        own = [p * (1 / self.factor) + s for p, s in zip(components(points_lps_mm), shift, strict=True)]
        return np.asarray(self.shape.level_mm(np.moveaxis(np.stack(own), 0, -1)) * self.factor)


def smooth_minimum(one: FloatArray, other: FloatArray, rounding_mm: float) -> FloatArray:
    """Minimum of two levels whose edge is rounded over a width. [mm]"""
    smaller = np.minimum(one, other)
    if not rounding_mm:
        return smaller
    overlap = np.maximum(rounding_mm - np.abs(one - other), 0)
    return np.asarray(smaller - overlap * overlap * (0.25 / rounding_mm))


def _margin(mm: float) -> npt.NDArray[np.float64]:
    return np.array([[-mm], [mm]])
