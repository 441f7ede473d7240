"""The same region on another grid: its share of each voxel there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.core.grid import Grid, Shape

ALIGNED_TOLERANCE = 0.1
"""Voxels this close to each other, in voxels, are the same one: positions are text in DICOM, and the slices of a PET of
several beds lie a little unevenly. [voxels]"""
PARALLEL_TOLERANCE = 0.02
"""Axes that drift apart by less than this over a region count as parallel. [voxels]"""
SAMPLES_PER_EDGE = 6
"""Points along each edge at which a voxel cut by the border of an oblique region is looked at, twice that where the source is
finer. [1]"""
POINTS_AT_ONCE = 2_000_000
"""Keeps the memory of the sampling below 200 MB."""


def same_voxels(
    box: tuple[Shape, Shape], source: Grid, target: Grid
) -> tuple[tuple[int, ...], npt.NDArray[np.int64]] | None:
    """Tell whether the voxels of a box on one grid are voxels of another: shifted, flipped or with axes exchanged.

    Parameters
    ----------
    box
        First index and shape on `source`.

    Returns
    -------
    tuple or None
        Axis of the source that runs along each axis of the target, and the target indices of the box's first and last
        voxel. (2, 3)
    """
    start, shape = (np.asarray(n) for n in box)
    matrix = _index_map(source, target)
    order = np.abs(matrix).argmax(axis=1)
    if len(set(order.tolist())) < 3:
        return None
    ends = np.array([start, start + shape - 1])
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(8, 3)
    exact = target.to_ijk(source.to_lps_mm(ends))
    first, last = np.rint(exact).astype(int)
    steps = np.sign(matrix[np.arange(3), order]).astype(int)
    if np.any((last - first) * steps != (shape - 1)[order]):
        return None
    whole = np.rint(exact[0]) + (corners - start)[:, order] * steps
    if np.abs(target.to_ijk(source.to_lps_mm(corners)) - whole).max() > ALIGNED_TOLERANCE:
        return None
    if (
        np.abs(matrix[np.arange(3), order] * steps - 1).max() > ALIGNED_TOLERANCE
    ):  # one voxel thick says nothing of spacing
        return None
    return tuple(order.tolist()), np.array([first, last])


def regrid(
    start_ijk: Shape, fraction: npt.NDArray[np.float32], source: Grid, target: Grid
) -> tuple[Shape, npt.NDArray[np.float32]]:
    """Share of each voxel of `target` inside a region given by shares on `source`.

    Voxels that coincide keep their share as it is. Between grids with parallel axes the overlap of the voxels is
    computed, so that the volume is kept exactly. Otherwise each target voxel that the border may cut is looked at on
    at least 6 x 6 x 6 points, a source voxel having one share all over; what that gains or loses of the volume is taken
    from the partial voxels.

    Parameters
    ----------
    start_ijk, fraction
        Bounding box of the region on `source`, and the share of each of its voxels. [1] (i, j, k)

    Returns
    -------
    start_ijk
        First voxel of the bounding box on `target`.
    fraction
        Share of each voxel of the box. [1] (i, j, k) Parts off the grid are cut.

    Raises
    ------
    GridMismatch
        If the grids are in different frames of reference.
    OutsideValidity
        If no part of the region lies on `target`.
    """
    if source.frame_of_reference != target.frame_of_reference:
        raise GridMismatch(
            f"a region in frame {source.frame_of_reference or 'unknown'} has no place in frame "
            f"{target.frame_of_reference or 'unknown'}",
            do="register the two images",
        )
    same = same_voxels((start_ijk, _shape(fraction)), source, target)
    if same:
        return _moved(fraction, *same, target)
    corners = target.to_ijk(source.to_lps_mm(_corners(start_ijk, fraction.shape)))
    low = np.maximum(np.floor(corners.min(axis=0) + 0.5), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) - 0.5), np.subtract(target.shape, 1)).astype(int)
    if np.any(high < low):
        raise _outside(target)
    matrix = _index_map(source, target)
    order = np.abs(matrix).argmax(axis=1)
    drift = matrix.copy()
    drift[np.arange(3), order] = 0
    if len(set(order.tolist())) == 3 and (np.abs(drift) @ fraction.shape).max() <= PARALLEL_TOLERANCE:
        share = _overlapped(start_ijk, fraction, source, target, order, low, high)
    else:
        share = _sampled(start_ijk, fraction, source, target, low, high)
        if np.all((corners > -0.5) & (corners < np.subtract(target.shape, 0.5))):
            share = conserved(
                share, float(fraction.sum(dtype=np.float64)) * source.voxel_volume_ml / target.voxel_volume_ml
            )
    return _trimmed(low, share, target)


def _index_map(source: Grid, target: Grid) -> npt.NDArray[np.float64]:
    """Take a step along each source axis, in target indices. (3, 3)"""
    return np.asarray(np.linalg.solve(target.affine_lps_mm[:3, :3], source.affine_lps_mm[:3, :3]))


def _corners(start: Shape, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    ends = [(first - 0.5, first + n - 0.5) for first, n in zip(start, shape, strict=True)]
    return np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)


def _moved(
    fraction: npt.NDArray[np.float32], order: tuple[int, ...], ends: npt.NDArray[np.int64], target: Grid
) -> tuple[Shape, npt.NDArray[np.float32]]:
    turned = fraction.transpose(order)
    turned = turned[tuple(slice(None, None, 1 if last >= first else -1) for first, last in ends.T)]
    start = ends.min(axis=0)
    first = np.maximum(-start, 0)
    stop = np.minimum(np.subtract(target.shape, start), turned.shape)
    if np.any(stop <= first):
        raise _outside(target)
    cut = turned[tuple(slice(a, b) for a, b in zip(first, stop, strict=True))]
    return _shape_of(start + first), np.ascontiguousarray(cut)


def _overlapped(
    start: Shape,
    fraction: npt.NDArray[np.float32],
    source: Grid,
    target: Grid,
    order: npt.NDArray[np.int64],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Parallel axes: what a voxel takes of another is the product of three overlaps of intervals."""
    matrix = _index_map(source, target)
    centre = np.add(start, np.subtract(fraction.shape, 1) / 2)
    at_centre = target.to_ijk(source.to_lps_mm(centre))
    share = fraction.transpose(order).astype(np.float64)
    for axis in range(3):
        step = matrix[axis, order[axis]]
        middle = (
            at_centre[axis] + (np.arange(fraction.shape[order[axis]]) + start[order[axis]] - centre[order[axis]]) * step
        )
        voxel = np.arange(low[axis], high[axis] + 1)[:, None]
        half = abs(step) / 2
        overlap = np.minimum(middle + half, voxel + 0.5) - np.maximum(middle - half, voxel - 0.5)
        share = np.moveaxis(np.tensordot(np.clip(overlap, 0, None), share, (1, axis)), 0, axis)
    return np.clip(share, 0, 1)


def _sampled(
    start: Shape,
    fraction: npt.NDArray[np.float32],
    source: Grid,
    target: Grid,
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    axes = (np.arange(a - 1, b + 2) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return shares_of_mapped(start, fraction, source.to_ijk(target.to_lps_mm(index)))


def shares_of_mapped(
    start_ijk: Shape,
    fraction: npt.NDArray[np.float32],
    at_ijk: npt.NDArray[np.float64],
    samples_per_edge: int = SAMPLES_PER_EDGE,
) -> npt.NDArray[np.float64]:
    """Share of each voxel of a box inside a region that lies on another grid, however the box is bent on its way there.

    Only voxels that the border may cut are looked at more than once; within one of them the map is taken as affine.

    Parameters
    ----------
    start_ijk, fraction
        Bounding box of the region on its grid, and the share of each of its voxels. [1]
    at_ijk
        Where the centres of the voxels lie, in indices of the region's grid; of one voxel more on every side than is asked for.
        (i + 2, j + 2, k + 2, 3)
    samples_per_edge
        Points along each edge of a cut voxel; up to twice as many where the region's grid is finer. [1]

    Returns
    -------
    array
        [1] (i, j, k)
    """
    steps = np.array([np.abs(np.diff(at_ijk, axis=axis)).max(axis=(0, 1, 2)) for axis in range(3)])
    reach = np.ceil(steps.sum(axis=0) / 2 + 0.5).astype(int)
    padded = np.pad(fraction, [(n + 1, n + 1) for n in reach])
    at = (at_ijk - np.subtract(start_ijk, reach + 1)).astype(np.float32)
    last = np.subtract(padded.shape, 1).astype(np.float32)

    def look_up(values: npt.NDArray[np.float32], ijk: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        nearest = np.clip(np.rint(ijk), 0, last).astype(np.int32)
        return np.asarray(values[nearest[..., 0], nearest[..., 1], nearest[..., 2]])

    size = tuple((2 * reach + 1).tolist())
    centres = at[1:-1, 1:-1, 1:-1]
    share = look_up(minimum_filter(padded, size, mode="constant"), centres).astype(np.float64)
    # Where all source voxels that reach into a target voxel have one share, that is its share.
    cut = np.nonzero(look_up(maximum_filter(padded, size, mode="constant"), centres) > share)
    per_edge = np.clip(np.ceil(steps.max(axis=1)), samples_per_edge, 2 * samples_per_edge).astype(int)
    offsets = [(np.arange(n, dtype=np.float32) + 0.5) / n - 0.5 for n in per_edge]
    points = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1).reshape(-1, 3)
    batch = max(1, POINTS_AT_ONCE // len(points))
    for first in range(0, len(cut[0]), batch):
        i, j, k = (n[first : first + batch] for n in cut)
        along = (
            np.stack(
                [
                    at[i + 2, j + 1, k + 1] - at[i, j + 1, k + 1],
                    at[i + 1, j + 2, k + 1] - at[i + 1, j, k + 1],
                    at[i + 1, j + 1, k + 2] - at[i + 1, j + 1, k],
                ],
                axis=1,
            )
            / 2
        )
        share[i, j, k] = look_up(padded, centres[i, j, k][:, None, :] + points @ along).mean(axis=1)
    return share


def conserved(share: npt.NDArray[np.float64], total: float) -> npt.NDArray[np.float64]:
    """Take what sampling gained or lost from the partial voxels, most from the half-filled ones, which are least certain.

    Parameters
    ----------
    total
        What the shares should add up to. [voxels]
    """
    uncertain = share * (1 - share)
    if not uncertain.any():
        return share
    return np.asarray(np.clip(share + uncertain * (total - share.sum()) / uncertain.sum(), 0, 1))


def _trimmed(
    low: npt.NDArray[np.int64], share: npt.NDArray[np.float64], target: Grid
) -> tuple[Shape, npt.NDArray[np.float32]]:
    filled = np.argwhere(share > 0)
    if not len(filled):
        raise _outside(target)
    first, last = filled.min(axis=0), filled.max(axis=0)
    box = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
    return _shape_of(low + first), np.ascontiguousarray(share[box], np.float32)


def _outside(target: Grid) -> OutsideValidity:
    return OutsideValidity(f"the region lies outside {target.describe()}", do="check that it was drawn on this image")


def _shape(array: npt.NDArray[np.float32]) -> Shape:
    return _shape_of(np.array(array.shape))


def _shape_of(numbers: npt.NDArray[np.int64]) -> Shape:
    i, j, k = (int(n) for n in numbers)
    return i, j, k
