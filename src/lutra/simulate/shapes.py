"""Closed surfaces given by a level: positive inside, zero on the surface, near it the distance to it.

Anatomy is built from a few bodies, here, and from what can be done with them, in :mod:`lutra.simulate.combine`. Far from the
surface a level is only a monotone measure of depth. Points are (..., 3); single precision stays single precision.
"""

from __future__ import annotations

from functools import cache, cached_property, reduce
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.core.frozen import FloatArray, float64
from lutra.core.grid import MM3_PER_ML

TINY = 1e-6


class Shape(Protocol):
    """A closed surface in the reference posture."""

    @property
    def name(self) -> str:
        """What it is; empty for a part of something."""
        ...

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        ...

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...) for points (..., 3)"""
        ...


def some(points: FloatArray, chosen: npt.NDArray[np.bool_]) -> FloatArray:
    """Points of a mask. [mm] (n, 3)"""
    return np.moveaxis(np.stack([p[chosen] for p in components(points)]), 0, -1)


def rotation(x_deg: float = 0.0, y_deg: float = 0.0, z_deg: float = 0.0) -> npt.NDArray[np.float64]:
    """Turn about x, then y, then z, right-handed. (3, 3)"""
    (cx, cy, cz), (sx, sy, sz) = (turn(np.deg2rad([x_deg, y_deg, z_deg])) for turn in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def components(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take points apart into x, y and z. [mm] each (...)"""
    return points[..., 0], points[..., 1], points[..., 2]


@frozen(eq=False)
class Ellipsoid:
    """An ellipsoid, made squarer, bent or tapered.

    Parameters
    ----------
    centre_lps_mm, semi_axes_mm
        Centre and half-lengths. [mm] (3,)
    axes
        Its own axes as columns. (3, 3)
    exponent
        2 is an ellipsoid, 4 nearly a box with rounded edges.
    bend_per_mm
        Own x of a point at own height z is shifted by `bend * z**2`: a bean. [1/mm]
    taper
        Own x and y are shrunk by this share from the middle to the upper end, and widened to the lower. [1]
    lower
        Length of the lower half over that of the upper. [1]
    """

    name: str
    centre_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    semi_axes_mm: npt.NDArray[np.float64] = field(converter=float64)
    axes: npt.NDArray[np.float64] = field(factory=lambda: np.eye(3), converter=float64)
    exponent: float = 2.0
    bend_per_mm: float = 0.0
    taper: float = 0.0
    lower: float = 1.0

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        a, b, c = self.semi_axes_mm * (1 + abs(self.taper) * np.array([1, 1, 0]))
        own = np.array([[-a, -b, -c * self.lower], [a, b, c]])
        own[:, 0] += sorted((0, self.bend_per_mm * (c * max(1, self.lower)) ** 2))
        corners = np.array([(own[i, 0], own[j, 1], own[k, 2]) for i, j, k in np.ndindex(2, 2, 2)])
        if self.exponent == 2 and not self.bend_per_mm and not self.taper and self.lower == 1:
            half = np.sqrt((self.axes**2) @ self.semi_axes_mm**2)
            return np.array([self.centre_lps_mm - half, self.centre_lps_mm + half])
        corners = corners @ self.axes.T + self.centre_lps_mm
        return np.array([corners.min(axis=0), corners.max(axis=0)])

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        x, y, z = self._own(points_lps_mm)
        if self.taper:
            width = 1 - self.taper * np.clip(z / float(self.semi_axes_mm[2]), -1, 1)
            x, y = x / width, y / width
        if self.bend_per_mm:
            x = x - self.bend_per_mm * z * z
        a, b, c = (float(n) for n in self.semi_axes_mm)
        if self.lower != 1:
            z = z * np.where(z < 0, np.float32(1 / self.lower), np.float32(1))
        u, v, w = x / a, y / b, z / c
        if self.exponent == 2:
            scaled = np.sqrt(u * u + v * v + w * w)
            u, v, w = u / a, v / b, w / c
            steepness = np.sqrt(u * u + v * v + w * w)
            return np.asarray((1 - scaled) * (scaled + TINY) / (steepness + TINY / min(a, b, c)))
        p = self.exponent
        u, v, w = np.abs(u), np.abs(v), np.abs(w)
        us, vs, ws = (_power(t, p - 1) for t in (u, v, w))
        scaled = np.exp(np.log(us * u + vs * v + ws * w + TINY**2) * (1 / p))
        us, vs, ws = us / a, vs / b, ws / c
        steepness = np.sqrt(us * us + vs * vs + ws * ws) / _power(scaled, p - 1)
        return np.asarray((1 - scaled) / np.maximum(steepness, 0.3 / max(a, b, c)))

    def _own(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        x, y, z = (p - float(c) for p, c in zip(components(points), self.centre_lps_mm, strict=True))
        if np.array_equal(self.axes, np.eye(3)):
            return x, y, z
        turn = self.axes.T.tolist()
        first, second, third = (row[0] * x + row[1] * y + row[2] * z for row in turn)
        return first, second, third


def _power(base: FloatArray, exponent: float) -> FloatArray:
    """Power of a positive base; products and exp(log) are several times faster than `np.power`."""
    if exponent in {2, 3}:
        return base * base if exponent == 2 else base * base * base
    return np.asarray(np.exp(np.log(base + TINY) * exponent))


@frozen(eq=False)
class Tube:
    """Round bodies strung along a line: a vessel, a gut, a process of a bone.

    Parameters
    ----------
    line_lps_mm
        Corners of the middle line. [mm] (n, 3)
    radii_mm
        Radius at each corner. [mm] (n,)
    """

    name: str
    line_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    radii_mm: npt.NDArray[np.float64] = field(converter=float64)

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        around = self.radii_mm[:, None]
        return np.array([(self.line_lps_mm - around).min(axis=0), (self.line_lps_mm + around).max(axis=0)])

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        x, y, z = components(points_lps_mm)
        pieces = zip(self.line_lps_mm, self.line_lps_mm[1:], self.radii_mm, self.radii_mm[1:], strict=False)
        return reduce(np.maximum, (_round_cone(x, y, z, *piece) for piece in pieces))


def _round_cone(
    x: FloatArray, y: FloatArray, z: FloatArray, start: FloatArray, end: FloatArray, first: float, last: float
) -> FloatArray:
    (sx, sy, sz), (dx, dy, dz) = start.tolist(), (end - start).tolist()
    x, y, z = x - sx, y - sy, z - sz
    along = np.clip((x * dx + y * dy + z * dz) * (1 / max(dx * dx + dy * dy + dz * dz, TINY)), 0, 1)
    x, y, z = x - along * dx, y - along * dy, z - along * dz
    return np.asarray(float(first) + along * float(last - first) - np.sqrt(x * x + y * y + z * z))


def smooth_line(corners_mm: npt.ArrayLike, radii_mm: npt.ArrayLike, pieces: int = 3) -> tuple[FloatArray, FloatArray]:
    """Round a polygon off by a Catmull-Rom spline through its corners.

    Returns
    -------
    tuple
        Line (m, 3) and radii (m,) with `pieces` straight pieces between any two corners. [mm]
    """
    nodes = np.column_stack((np.asarray(corners_mm, float), np.asarray(radii_mm, float)))
    padded = np.vstack((2 * nodes[0] - nodes[1], nodes, 2 * nodes[-1] - nodes[-2]))
    t = (np.arange(pieces) / pieces)[:, None]
    spans = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * (b - c) + d - a) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    line = np.vstack((*spans, nodes[-1:]))
    return line[:, :3], np.maximum(line[:, 3], 0.5)


@frozen(eq=False)
class Blob:
    """An irregular closed surface: a sphere whose radius is modulated by spherical harmonics.

    Each lobe is a zonal harmonic about its own direction; sums of those are all harmonics of that degree. The radius stays
    above zero in every direction, so that the surface is closed and star-shaped about its centre.

    Parameters
    ----------
    radius_mm
        Radius of the sphere. [mm]
    lobes
        Unit direction (3) and height relative to the radius of each lobe. [1] (n, 4)
    degrees
        Degree of each lobe, 2 to 5.
    stretch
        Factor along x, y and z, after the modulation. [1] (3,)
    """

    name: str
    centre_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    radius_mm: float
    lobes: npt.NDArray[np.float64] = field(factory=lambda: np.zeros((0, 4)), converter=float64)
    degrees: tuple[int, ...] = ()
    stretch: npt.NDArray[np.float64] = field(factory=lambda: np.ones(3), converter=float64)

    @cached_property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        reach = self.radius_mm * float(np.exp(np.abs(self.lobes[:, 3]).sum())) * self.stretch
        fine = _directions(4000)
        half = np.abs(fine * self._radius(*components(fine))[:, None] * self.stretch).max(axis=0) * 1.03
        half = np.minimum(reach, half)
        return np.array([self.centre_lps_mm - half, self.centre_lps_mm + half])

    @property
    def volume_ml(self) -> float:
        """Volume, exact to 1e-4. [mL]"""
        radius = self._radius(*components(_directions(4000)))
        return float(4 / 3 * np.pi * np.mean(radius**3) * np.prod(self.stretch)) / MM3_PER_ML

    def scaled(self, factor: float) -> Blob:
        """Grow or shrink about the centre."""
        return evolve(self, radius_mm=self.radius_mm * factor)

    def with_volume(self, volume_ml: float) -> Blob:
        """Grow or shrink about the centre to a volume. [mL]"""
        return self.scaled((volume_ml / self.volume_ml) ** (1 / 3))

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        x, y, z = (
            (p - float(c)) / float(s)
            for p, c, s in zip(components(points_lps_mm), self.centre_lps_mm, self.stretch, strict=True)
        )
        distance = np.sqrt(x * x + y * y + z * z) + TINY
        level = self._radius(x / distance, y / distance, z / distance) - distance
        u, v, w = (p * (1 / float(s)) for p, s in zip((x, y, z), self.stretch, strict=True))
        return np.asarray(level * (distance / (np.sqrt(u * u + v * v + w * w) + TINY)))

    def _radius(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        relief = np.zeros_like(x)
        for (dx, dy, dz, height), degree in zip(self.lobes.tolist(), self.degrees, strict=True):
            relief = relief + height * LEGENDRE[degree](x * dx + y * dy + z * dz)
        return np.asarray(self.radius_mm * np.exp(relief))


LEGENDRE: dict[int, Any] = {
    2: lambda c: 1.5 * c * c - 0.5,
    3: lambda c: c * (2.5 * c * c - 1.5),
    4: lambda c: (4.375 * c * c - 3.75) * c * c + 0.375,
    5: lambda c: c * ((7.875 * c * c - 8.75) * c * c + 1.875),
}
"""Legendre polynomials by degree."""


@cache
def _directions(n: int) -> npt.NDArray[np.float64]:
    """Spread directions evenly over the sphere, along a golden spiral. (n, 3)"""
    z = 1 - (2 * np.arange(n) + 1) / n
    angle = np.arange(n) * np.pi * (3 - np.sqrt(5))
    return np.column_stack((np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z))


def irregular_blob(
    name: str, centre_lps_mm: npt.ArrayLike, volume_ml: float, rng: np.random.Generator, irregularity: float = 0.12
) -> Blob:
    """Draw an irregular shape of a given volume.

    Parameters
    ----------
    irregularity
        Standard deviation of the logarithm of the radius over the surface, about. [1] 0 is a sphere.
    """
    degrees = (2, 2, 3, 3, 4, 5)
    heights = rng.normal(0, irregularity, len(degrees)) * [1, 1, 0.8, 0.8, 0.6, 0.5]
    directions = rng.normal(size=(len(degrees), 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    blob = Blob(name, centre_lps_mm, 10.0, np.column_stack((directions, heights)), degrees)
    return blob.with_volume(volume_ml)


def volume_ml(shape: Shape, samples: int = 64) -> float:
    """Volume by sampling its box with about so many points along the longest side. [mL] Within 0.2 % for a smooth organ."""
    low, high = shape.bounds_lps_mm
    step_mm = float((high - low).max()) / samples
    counts = np.ceil((high - low) / step_mm).astype(int) + 2
    axes = [lo - step_mm / 2 + step_mm * np.arange(n, dtype=np.float32) for lo, n in zip(low, counts, strict=True)]
    points = np.moveaxis(np.stack(np.meshgrid(*axes, indexing="ij")), 0, -1).astype(np.float32)
    inside = np.clip(shape.level_mm(points) / step_mm + 0.5, 0, 1)
    return float(inside.sum(dtype=np.float64)) * step_mm**3 / MM3_PER_ML
