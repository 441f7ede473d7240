"""Regions drawn once, on every other image of the person: the region is moved, the images stay as they were measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.errors import GridMismatch
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionOrigin
from lutra.core.transform import Transform
from lutra.imaging.labels import trimmed
from lutra.imaging.regrid import conserved, shares_of_mapped
from lutra.segment.doubts import doubt
from lutra.segment.settings import SegmentSettings

LOST_FLOOR = 1e-3
"""Share of its volume that a region may lose at the edge of the image before it is said."""
SAMPLES_PER_EDGE = 4
"""Points along each edge at which a voxel cut by the border is looked at."""
LOST_POINTS = 5000
"""Voxels of a region that are followed to see which share of it leaves the image."""
Box = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def propagate_region(
    region: Region, transform: Transform, grid: Grid, settings: SegmentSettings | None = None
) -> Outcome[Region]:
    """Put a region drawn on the moving image on the grid of the fixed one.

    A voxel gets the share of it that `transform.moving_points` sends into the region. An affine map keeps the volume (times its
    determinant) exactly, by the partial voxels at the border; a bent one changes it as it changes the tissue.

    Parameters
    ----------
    region
        In the moving frame of the transform.
    grid
        In the fixed frame.

    Returns
    -------
    Outcome
        The region with its name, kind, code and tracking ids; no value if it lies outside the grid.

    Raises
    ------
    GridMismatch
        If region, transform and grid do not meet in their frames of reference.
    """
    _require_frames(region, transform, grid)
    limit = (settings or SegmentSettings()).volume_change_limit
    low, high = _box_on(region, transform, grid)
    first, last = np.maximum(low, 0), np.minimum(high, np.subtract(grid.shape, 1))
    if np.any(last < first):
        return Outcome(None, (_outside(region, grid, transform),))
    axes = (np.arange(a - 1, b + 2) for a, b in zip(first, last, strict=True))
    points = grid.to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    at_ijk = region.grid.to_ijk(transform.moving_points(points))
    share = shares_of_mapped(region.start_ijk, region.fraction, at_ijk, SAMPLES_PER_EDGE)
    leaves = bool(np.any(first > low) or np.any(last < high))
    lost = _share_lost(region, transform, grid) if leaves else 0.0
    expected_ml = region.volume_ml * float(abs(np.linalg.det(transform.fixed_from_moving[:3, :3])))
    if transform.displacement is None and not lost:
        share = conserved(share, expected_ml / grid.voxel_volume_ml)
    i, j, k = (int(n) for n in first)
    filled = trimmed((i, j, k), share.astype(np.float32))
    if filled is None:
        return Outcome(None, (_outside(region, grid, transform),))
    moved = evolve(
        region,
        grid=grid,
        start_ijk=filled[0],
        fraction=filled[1],
        origin=RegionOrigin.PROPAGATED,
        source=f"{region.delineation}; moved by {transform.method}",
    )
    return Outcome(moved, _doubts(region, moved, lost, expected_ml, limit, transform))


def _require_frames(region: Region, transform: Transform, grid: Grid) -> None:
    for what, frame, required in (
        (f"region {region.name}", region.grid.frame_of_reference, transform.moving_frame),
        ("the grid", grid.frame_of_reference, transform.fixed_frame),
    ):
        if frame != required:
            raise GridMismatch(
                f"{what} is in frame {frame or 'unknown'}",
                required=f"frame {required or 'unknown'} of the transform",
                do="register the two images",
            )


def _box_on(region: Region, transform: Transform, grid: Grid) -> Box:
    """First and last voxel that the region may reach, on the grid or beyond its edges.

    A moving point m belongs to the fixed point p = F m - u(p), so the box of F m is moved by the extremes of u: first by those of
    all of the field, then by those of the part of it that the box has left.
    """
    straight = Transform(transform.fixed_frame, transform.moving_frame, transform.fixed_from_moving, None, "")
    corners = straight.fixed_points(region.box_corners_lps_mm)
    ends = np.stack([corners.min(axis=0), corners.max(axis=0)])
    reached = ends
    if transform.displacement is not None:
        own, u_mm = transform.displacement.grid, transform.displacement.lps_mm
        near = u_mm.reshape(-1, 3)
        for _ in range(2):
            reached = ends - np.stack([near.max(axis=0), near.min(axis=0)])
            low, high = _indices_within(reached, own)
            low, high = (np.clip(end, 0, np.subtract(own.shape, 1)) for end in (low - 1, high + 1))
            near = u_mm[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))].reshape(-1, 3)
    return _indices_within(reached, grid)


def _indices_within(ends_lps_mm: npt.NDArray[np.float64], grid: Grid) -> Box:
    corners = np.stack(np.meshgrid(*ends_lps_mm.T, indexing="ij"), axis=-1).reshape(8, 3)
    ijk = grid.to_ijk(corners)
    return np.floor(ijk.min(axis=0) + 0.5).astype(int), np.ceil(ijk.max(axis=0) - 0.5).astype(int)


def _share_lost(region: Region, transform: Transform, grid: Grid) -> float:
    """Share of the region's volume that the grid does not hold. [1]"""
    index = np.argwhere(region.fraction > 0)
    index = index[:: max(1, len(index) // LOST_POINTS)]
    weight = region.fraction[tuple(index.T)]
    ijk = grid.to_ijk(transform.fixed_points(region.grid.to_lps_mm(index + np.array(region.start_ijk))))
    inside = np.all((ijk >= -0.5) & (ijk <= np.subtract(grid.shape, 0.5)), axis=-1)
    return float(weight[~inside].sum(dtype=np.float64) / weight.sum(dtype=np.float64))


def _doubts(
    region: Region, moved: Region, lost: float, expected_ml: float, limit: float, transform: Transform
) -> list[Finding]:
    found = []
    evidence = {"source": region.source, "transform": transform.method}
    if lost > LOST_FLOOR:
        text = (
            f"{lost:.1%} of its {region.volume_ml:.4g} mL lie beyond the edge of the image it was moved to. Volume, activity and "
            "diameter are those of the part inside; check whether all of it was imaged."
        )
        found.append(doubt(Severity.WARNING, "segment.cut-by-edge", region.name, text, evidence))
    change = moved.volume_ml / (expected_ml * (1 - lost)) - 1 if lost < 1 else 0.0
    if abs(change) > limit:
        text = (
            f"it has {moved.volume_ml:.4g} mL where it was moved to and {expected_ml * (1 - lost):.4g} mL where it was drawn "
            f"({change:+.0%}; up to {limit:.0%} is plausible). Look at it on the image, or draw it there."
        )
        found.append(doubt(Severity.WARNING, "segment.volume-changed", region.name, text, evidence))
    return found


def _outside(region: Region, grid: Grid, transform: Transform) -> Finding:
    text = f"no part of it lies on {grid.describe()}, where it was to be moved. The image does not show it."
    evidence = {"source": region.source, "transform": transform.method}
    return doubt(Severity.UNDETERMINED, "segment.out-of-field", region.name, text, evidence)
