"""Contours of one plane that run into each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.core.grid import Grid
from lutra.imaging.contours import coverage
from lutra.imaging.planes import Planes

NESTED = 0.95
"""A contour that holds this share of another is its outline, and the other a hole. [1]"""
PIXELS = 200
"""Pixels across a pair of contours on which their areas are compared."""


def shared_area_mm2(contours_lps_mm: Sequence[npt.NDArray[np.float64]], planes: Planes, grid: Grid) -> float:
    """Area that contours of one plane share without one being a hole of the other. [mm2]

    The even-odd rule leaves it out, where another program may count it: contours that cross each other, or one that is
    there twice. Which it is cannot be told from the file.
    """
    axes = planes.in_plane_axes(grid)[:, :2]
    polygons = [contour @ axes for contour in contours_lps_mm]
    boxes = np.array([[p.min(axis=0), p.max(axis=0)] for p in polygons])
    shared = 0.0
    for plane in range(len(planes.position_mm)):
        members = [n for n, of in enumerate(planes.plane_of_contour) if of == plane]
        for at, one in enumerate(members):
            for other in members[at + 1 :]:
                if np.all((boxes[one, 0] < boxes[other, 1]) & (boxes[other, 0] < boxes[one, 1])):
                    shared += _shared(polygons[one], polygons[other])
    return shared


def _shared(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    low = np.minimum(one.min(axis=0), other.min(axis=0))
    high = np.maximum(one.max(axis=0), other.max(axis=0))
    pixel_mm = max(float((high - low).max()) / PIXELS, 1e-6)
    start, stop = np.zeros(2, int), np.ceil((high - low) / pixel_mm).astype(int) + 1

    def area(*polygons: npt.NDArray[np.float64]) -> float:
        return float(coverage([(polygon - low) / pixel_mm for polygon in polygons], start, stop).sum()) * pixel_mm**2

    small, large = sorted((area(one), area(other)))
    both = (small + large - area(one, other)) / 2  # even-odd over both leaves out twice what they share
    outline_and_hole = both >= NESTED * small and both < NESTED * large
    return 0.0 if outline_and_hole or both <= (1 - NESTED) * small else both
