"""A region made smaller or larger all round by a distance, partial voxels kept.

Voxels are cut into finer ones of about a millimetre. The border lies where the interpolated share encloses the region's volume;
how far a fine voxel is from it says whether it belongs to the new region, and what share of each voxel does is counted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, zoom

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid, Shape
from lutra.imaging.labels import trimmed

Shares = npt.NDArray[np.float32]
Box = tuple[Shape, Shares]

FINE_MM = 1.0
"""Voxels are cut so that none is much longer than this. The border of balls then lies
within 0.2 mm of where it belongs; of masks of whole voxels within a fifth of a voxel. [mm]"""
MOST_FINE_VOXELS = 40_000_000
"""Of a region that would need more, voxels are not cut: it is large, and the memory is not."""
RIM = 2
"""Empty voxels laid around the region, so that its border is found everywhere."""


def with_margin(start_ijk: Shape, fraction: Shares, grid: Grid, distance_mm: float) -> Box | None:
    """Move the border of a region outwards, or inwards where the distance is negative.

    Parameters
    ----------
    start_ijk, fraction
        Bounding box of the region on `grid`, and the share of each of its voxels. [1] (i, j, k)
    distance_mm
        The new border is this far from the old one, round at corners. [mm]

    Returns
    -------
    tuple or None
        Bounding box and shares of the new region, cut at the edge of the image; a smaller one lies within the old one, a larger
        one holds it. None if nothing is left.

    Raises
    ------
    OutsideValidity
        If the axes of the grid are not at right angles, or the distance is no number.
    """
    _require_right_angles(grid, distance_mm)
    filled = trimmed(start_ijk, fraction)
    if filled is None:
        return None
    start_ijk, fraction = filled
    spacing = np.array(grid.spacing_mm)
    grown = np.ceil(max(distance_mm, 0.0) / spacing).astype(int) + RIM
    old = np.pad(fraction, [(n, n) for n in grown])
    cuts = tuple(max(1, round(float(step) / FINE_MM)) for step in spacing)
    if old.size * float(np.prod(cuts)) > MOST_FINE_VOXELS:
        cuts = (1, 1, 1)
    fine, level = _fine(old, cuts)
    fine_mm = (float(spacing[0] / cuts[0]), float(spacing[1] / cuts[1]), float(spacing[2] / cuts[2]))
    if distance_mm < 0:
        share = np.minimum(_blocks(_depth_mm(fine, level, fine_mm) > -distance_mm, cuts), old)
    else:
        share = np.maximum(_blocks(_depth_mm(-fine, -level, fine_mm) < distance_mm, cuts), old)
    first = np.subtract(start_ijk, grown)
    cut = tuple(
        slice(max(0, -int(a)), min(n, size - int(a))) for a, n, size in zip(first, share.shape, grid.shape, strict=True)
    )
    i, j, k = (int(max(a, 0)) for a in first)
    return trimmed((i, j, k), share[cut])


def _fine(share: Shares, cuts: tuple[int, ...]) -> tuple[Shares, float]:
    """Cut voxels into finer ones, their shares interpolated, and find the level that encloses the region's volume."""
    fine = zoom(share, cuts, order=1, grid_mode=True, mode="nearest") if max(cuts) > 1 else share
    count = int(np.clip(round(float(share.sum(dtype=np.float64)) * float(np.prod(cuts))), 1, fine.size - 1))
    below, above = np.partition(fine.ravel(), (fine.size - count - 1, fine.size - count))[
        fine.size - count - 1 : fine.size - count + 1
    ]
    return fine, float(below + above) / 2 if below < above else float(np.nextafter(above, np.float32(0)))


def _depth_mm(fine: Shares, level: float, fine_mm: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Distance of each voxel above a level from the border where the values fall to it; 0 below. [mm]

    It is that of the nearest voxel below, less what that voxel itself is beyond the border by its value and slope.
    """
    distance, nearest = distance_transform_edt(fine > level, fine_mm, return_indices=True)
    slope = np.zeros(fine.shape, np.float32)
    for axis, step in enumerate(fine_mm):
        change = np.abs(np.diff(fine, axis=axis)) / np.float32(step)
        ends = [(0, 0)] * 3
        ends[axis] = (1, 1)
        both = np.pad(change, ends)
        steepest = np.maximum(both.take(range(1, both.shape[axis]), axis), both.take(range(both.shape[axis] - 1), axis))
        slope += steepest**2
    beyond = np.divide(level - fine, np.sqrt(slope), out=np.zeros_like(fine), where=slope > 0)
    np.clip(beyond, 0, max(fine_mm), out=beyond)
    return np.where(distance > 0, distance - beyond[tuple(nearest)], 0).astype(np.float32)


def _blocks(fine: npt.NDArray[np.bool_], cuts: tuple[int, ...]) -> Shares:
    (a, i), (b, j), (c, k) = ((n // cut, cut) for n, cut in zip(fine.shape, cuts, strict=True))
    return np.asarray(fine.reshape(a, i, b, j, c, k).mean(axis=(1, 3, 5), dtype=np.float32))


def _require_right_angles(grid: Grid, distance_mm: float) -> None:
    axes = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3) or not np.isfinite(distance_mm):
        raise OutsideValidity(
            f"a margin of {distance_mm:g} mm on {grid.describe()}",
            required="a distance, and axes at right angles",
            do="put the region on an image without a leaning stack",
        )
