"""Outlines with holes as single contours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Line = npt.NDArray[np.float64]


def keyholes(lines: Sequence[Line]) -> list[Line]:
    """Join each hole to the outline around it by a seam of no width, walked in and back.

    Parameters
    ----------
    lines
        As :func:`~lutra.imaging.isolines.outlines` gives them: outlines counter-clockwise, holes clockwise. Each (n, 2)

    Returns
    -------
    list
        One closed line for each outline, which encloses the same area by the even-odd rule. Each (m, 2)
    """
    areas = [_signed_area(line) for line in lines]
    outlines = [line for line, area in zip(lines, areas, strict=True) if area > 0]
    holes: list[list[Line]] = [[] for _ in outlines]
    for hole, area in zip(lines, areas, strict=True):
        if area < 0:
            around = [n for n, outline in enumerate(outlines) if _inside(hole, outline)]
            # The smallest outline around a hole is the one it was cut from.
            if around:
                holes[min(around, key=lambda n: _signed_area(outlines[n]))].append(hole)
    return [_joined(outline, cut) for outline, cut in zip(outlines, holes, strict=True)]


def _joined(outline: Line, holes: Sequence[Line]) -> Line:
    line = outline
    for hole in holes:
        distance, nearest = cKDTree(line).query(hole)
        at_hole = int(np.argmin(distance))
        at_line = int(nearest[at_hole])
        walk = np.roll(hole, -at_hole, axis=0)
        line = np.concatenate([line[: at_line + 1], walk, walk[:1], line[at_line:]])
    return line


def _signed_area(line: Line) -> float:
    x, y = line.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def _inside(hole: Line, outline: Line) -> bool:
    """Even-odd test of a point just within the hole's own edge."""
    first, second = hole[0], hole[1]
    along = second - first
    # A hole runs clockwise, so that what it cuts out lies on its right.
    x, y = (first + second) / 2 + 1e-6 * np.array([along[1], -along[0]])
    begin, end = outline, np.roll(outline, -1, axis=0)
    crosses = (begin[:, 1] > y) != (end[:, 1] > y)
    b, e = begin[crosses], end[crosses]
    right_of = x < b[:, 0] + (y - b[:, 1]) / (e[:, 1] - b[:, 1]) * (e[:, 0] - b[:, 0])
    return bool(np.count_nonzero(right_of) % 2)
