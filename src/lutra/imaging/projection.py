"""Maximum projections of a whole image, from the front or from the left, head on top, in true proportions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.imaging.colour import Scale, colours, level, png
from lutra.imaging.isolines import outlines
from lutra.imaging.regrid import regrid

Side = Literal["coronal", "sagittal"]
MOST_PIXELS = 160
"""Of the longest side of a body that is turned: the work grows with its cube."""


def mip_png(
    volume: Volume, window: tuple[float, float], scale: Scale, height_pixels: int = 320, side: Side = "coronal"
) -> bytes:
    """Project the largest value along the image axis nearest to front-back, or to left-right.

    Raises
    ------
    OutsideValidity
        If two axes of the image are nearest to the same axis of the body (oblique by more than 45 degrees).
    """
    rows = _turned(volume.values, volume.grid, side)
    shape = height_pixels, projected_width(volume.grid, height_pixels, side)
    row, column = ((np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(shape, rows.shape, strict=True))
    values = map_coordinates(rows, np.meshgrid(row, column, indexing="ij"), order=1, mode="nearest")
    return png(colours(level(values, window), scale), np.ones(shape, dtype=bool))


def turning_png(volume: Volume, window: tuple[float, float], scale: Scale, angles: int = 24) -> bytes:
    """Project the largest value from all sides: one row of pictures of equal size, turned on about the long axis of the body.

    The first is seen from the front, as in :func:`mip_png`; from one to the next the viewer walks towards the patient's left.
    A pixel is as wide as the smallest voxel edge, or wider if the image would be higher than :data:`MOST_PIXELS`.

    Parameters
    ----------
    angles
        Even number of pictures for a full turn. What is seen from behind is the mirror of what is seen from the front.

    Raises
    ------
    OutsideValidity
        As :func:`mip_png`.
    """
    cubes = _cubes(volume)
    front = [_seen_from(cubes, 2 * np.pi * n / angles) for n in range(angles // 2)]
    strip = np.concatenate([*front, *(picture[:, ::-1] for picture in front)], axis=1)
    return png(colours(level(strip, window), scale), np.ones(strip.shape, dtype=bool))


def _cubes(volume: Volume) -> npt.NDArray[np.float32]:
    """Sample an image on cubes. (head to foot, front to back, patient's right to left)"""
    back, left, head = _axes(volume.grid, "coronal")
    order = head, back, left
    directions = volume.grid.affine_lps_mm[:3, :3] / volume.grid.spacing_mm
    forward = directions[2, head] < 0, directions[1, back] > 0, directions[0, left] > 0
    values = volume.values.transpose(order)[tuple(slice(None, None, 1 if f else -1) for f in forward)]
    size_mm = np.multiply(values.shape, np.take(volume.grid.spacing_mm, order))
    edge_mm = max(min(volume.grid.spacing_mm), float(size_mm.max()) / MOST_PIXELS)
    shape = [max(1, round(float(mm / edge_mm))) for mm in size_mm]
    axes = ((np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(shape, values.shape, strict=True))
    return np.asarray(map_coordinates(values, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest"), np.float32)


def _seen_from(cubes: npt.NDArray[np.float32], angle: float) -> npt.NDArray[np.float32]:
    """Project along a line of sight; every picture is as wide as the widest of them. (head to foot, across)"""
    depth, width = cubes.shape[1:]
    wide = int(np.ceil(np.hypot(depth, width)))
    offset = np.arange(wide) - (wide - 1) / 2
    along, across = np.meshgrid(offset, offset, indexing="ij")
    front_back = np.rint(along * np.cos(angle) - across * np.sin(angle) + (depth - 1) / 2).astype(int)
    right_left = np.rint(along * np.sin(angle) + across * np.cos(angle) + (width - 1) / 2).astype(int)
    inside = (front_back >= 0) & (front_back < depth) & (right_left >= 0) & (right_left < width)
    turned = cubes[:, np.clip(front_back, 0, depth - 1), np.clip(right_left, 0, width - 1)]
    projected: npt.NDArray[np.float32] = np.where(inside, turned, cubes.min()).max(axis=1)
    return projected


def projected_width(grid: Grid, height_pixels: int, side: Side = "coronal") -> int:
    """Width that goes with a height in true proportions. [pixels]"""
    _, across, head = _axes(grid, side)
    size_mm = np.multiply(grid.shape, grid.spacing_mm)
    return max(1, round(float(height_pixels * size_mm[across] / size_mm[head])))


def outline_in_mip(region: Region, grid: Grid, side: Side = "coronal") -> tuple[npt.NDArray[np.float64], ...]:
    """Outlines of a region's shadow in the projection of an image in its frame.

    Returns
    -------
    tuple
        Closed lines in shares of the picture's width and height, rightwards and downwards. Each (n, 2)

    Raises
    ------
    GridMismatch
        If the region is in another frame of reference than the image.
    OutsideValidity
        If the region lies outside the image, or as :func:`mip_png`.
    """
    start, fraction = regrid(region.start_ijk, region.fraction, region.grid, grid)
    flags = np.zeros(grid.shape, np.float32)
    flags[tuple(slice(a, a + n) for a, n in zip(start, fraction.shape, strict=True))] = fraction
    shadow = _turned(flags, grid, side)
    # A lesion of less than half a voxel has a shadow all the same.
    top = min(0.5, float(shadow.max()) / 2)
    return tuple((line[:, ::-1] + 0.5) / shadow.shape[::-1] for line in outlines(shadow, top))


def _turned(values: npt.NDArray[np.float32], grid: Grid, side: Side) -> npt.NDArray[np.float32]:
    """Project and lay out with the head on top; patient's left, or back, on the right. (head-foot, across)"""
    through, across, head = _axes(grid, side)
    directions = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
    plane = values.max(axis=through)
    rows = plane.T if across < head else plane
    flip_across = directions[0 if side == "coronal" else 1, across] < 0
    turned: npt.NDArray[np.float32] = rows[:: -1 if directions[2, head] > 0 else 1, :: -1 if flip_across else 1]
    return turned


def _axes(grid: Grid, side: Side) -> tuple[int, int, int]:
    """Image axes that run through the picture, across it and up it."""
    directions = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
    axes = [int(np.argmax(abs(directions[lps]))) for lps in range(3)]
    if len(set(axes)) < 3:
        raise OutsideValidity(f"the image is too oblique for a {side} projection", do="resample it to axial slices")
    left, back, head = axes
    return (back, left, head) if side == "coronal" else (left, back, head)
