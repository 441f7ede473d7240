"""Couinaud's segments of the liver, roughly: planes that divide a liver into parts of the usual sizes, and follow no vessels.

Two thirds of the volume are the right lobe, a sixth is segment 4 with the caudate at its back, a sixth the left part. Readers
differ by as much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.simulate.shapes import Shape

SAMPLES = 24
"""Along each side of the box: the planes are as good as a twentieth of the liver."""


def liver_segment(centre_lps_mm: npt.ArrayLike, liver: Shape) -> int:
    """Find the segment of a place in a liver."""
    x, y, z = (float(v) for v in np.asarray(centre_lps_mm, float))
    planes = _liver_planes(liver)
    if x < planes.right_end:
        behind = y > planes.right_back
        return (7 if behind else 8) if z > planes.right_height else (6 if behind else 5)
    if x < planes.middle_end:
        return 1 if y > planes.caudate_back else 4
    return 2 if z > planes.left_height else 3


@frozen
class _Planes:
    """Where the parts of a liver meet. [mm]"""

    right_end: float
    right_back: float
    right_height: float
    middle_end: float
    caudate_back: float
    left_height: float


def _liver_planes(liver: Shape) -> _Planes:
    low, high = liver.bounds_lps_mm
    axes = [a + (b - a) * (np.arange(SAMPLES) + 0.5) / SAMPLES for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = points[liver.level_mm(points) > 0]
    right_end, middle_end = (float(q) for q in np.quantile(inside[:, 0], (0.66, 0.83)))
    right, left = inside[inside[:, 0] < right_end], inside[inside[:, 0] >= middle_end]
    middle = inside[(inside[:, 0] >= right_end) & (inside[:, 0] < middle_end)]
    return _Planes(
        right_end,
        float(np.median(right[:, 1])),
        float(np.quantile(right[:, 2], 0.45)),
        middle_end,
        float(np.quantile(middle[:, 1], 0.85)),
        float(np.median(left[:, 2])),
    )
