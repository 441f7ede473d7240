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
