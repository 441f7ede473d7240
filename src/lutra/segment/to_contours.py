"""Regions of voxels to contours as one would draw them, slice by slice."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import ContourSet, Region
from lutra.imaging.isolines import borders, outlines
from lutra.imaging.keyhole import keyholes
from lutra.segment.doubts import doubt, unusable

VOLUME_FLOOR = 0.01
"""Share of its volume that a region may gain or lose by being drawn before it is said."""
BISECTIONS = 12
"""The level is found to 1/4096; the volume changes by less than that of the contours it encloses."""
WHOLE = 1e-6

Holes = Literal["keyhole", "inner"]
Lines = list[npt.NDArray[np.float64]]


def contours_of_region(region: Region, holes: Holes = "keyhole") -> Outcome[ContourSet]:
    """Draw a region on the slices of its grid.

    Voxels that are all in or all out are walked round along their edges, so that their volume is kept exactly. With partial
    voxels the line lies where the share crosses the one level, near one half, at which the contours enclose the region's
    volume; rasterised again they keep it within 1 % for regions of some voxels across, and a Finding says so where they do not.

    Parameters
    ----------
    holes
        `keyhole`: one contour with a seam to each hole, as DICOM asks for contours of type CLOSED_PLANAR [PS3.3 C.8.8.6].
        `inner`: contours of their own, which most programs read as holes.

    Returns
    -------
    Outcome
        Closed polygons in the region's frame of reference; none if no slice has an outline.
    """
    lines, level = _whole(region), None
    if lines is None:
        level, lines = _level(region)
    drawn_ml = _volume_ml(region, lines)
    evidence = {"source": region.source}
    if not any(lines):
        why = "no slice of it has an outline: it fills less than half a voxel everywhere"
        return Outcome(None, (unusable("segment.no-outline", region.name, why, evidence),))
    findings: tuple[Finding, ...] = ()
    change = drawn_ml / region.volume_ml - 1
    if abs(change) > VOLUME_FLOOR:
        text = f"drawn as contours its {region.volume_ml:.4g} mL become {drawn_ml:.4g} mL ({change:+.1%}), the nearest there is."
        evidence = {**evidence, "level": "edges of voxels" if level is None else f"{level:.4f}"}
        findings = (doubt(Severity.WARNING, "segment.contours-change-volume", region.name, text, evidence),)
    i, j, k = region.start_ijk
    polygons = []
    for slice_k, on_slice in enumerate(lines):
        for line in keyholes(on_slice) if holes == "keyhole" else on_slice:
            ijk = np.column_stack([np.add(line, (i, j)), np.full(len(line), slice_k + k)])
            polygons.append(region.grid.to_lps_mm(ijk))
    contours = ContourSet(
        region.name, tuple(polygons), region.grid.frame_of_reference, region.referenced_series_uid, region.source
    )
    return Outcome(contours, findings)


def _whole(region: Region) -> list[Lines] | None:
    """Edges of the voxels; None if some are partial."""
    inside = region.fraction > 1 - WHOLE
    if np.any((region.fraction > WHOLE) & ~inside):
        return None
    return [borders(inside[:, :, k]) for k in range(inside.shape[2])]


def _level(region: Region) -> tuple[float, list[Lines]]:
    """Level at which the contours enclose the region's volume, by bisection: a higher level encloses less."""
    low, high = 0.0, 1.0
    best: tuple[float, float, list[Lines]] | None = None
    for _ in range(BISECTIONS):
        level = (low + high) / 2
        lines = [outlines(region.fraction[:, :, k], level) for k in range(region.fraction.shape[2])]
        excess_ml = _volume_ml(region, lines) - region.volume_ml
        if best is None or abs(excess_ml) < abs(best[0]):
            best = excess_ml, level, lines
        low, high = (level, high) if excess_ml > 0 else (low, level)
    assert best is not None  # noqa: S101  (there is at least one bisection)
    return best[1], best[2]


def _volume_ml(region: Region, lines: list[Lines]) -> float:
    """Volume the contours enclose, each a slice thick; holes run the other way and count against it. [mL]"""
    area = 0.0
    for line in (line for on_slice in lines for line in on_slice):
        x, y = line.T
        area += float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    return area * region.grid.voxel_volume_ml
