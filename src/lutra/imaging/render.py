"""Small pictures for a report, in the radiological convention: patient's right on the left, front or head on top."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import map_coordinates

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.imaging.isolines import outlines

Scale = Literal["grey", "inverted", "hot"]
OUTLINE_PIXELS = 220
"""Resolution at which outlines are drawn; the same as the picture under them."""


def crop_png(
    volume: Volume,
    centre_lps_mm: npt.ArrayLike,
    field_mm: float,
    window: tuple[float, float],
    scale: Scale,
    *,
    pixels: int = 220,
) -> bytes:
    """Axial square around a point.

    Parameters
    ----------
    centre_lps_mm
        Centre of the square. [mm] (3,)
    field_mm
        Edge of the square. [mm]
    window
        Values shown as the first and the last colour. [unit of the volume]
    scale
        `grey` black to white, `inverted` white to black, `hot` black through red and yellow to white.
    pixels
        Edge of the picture.

    Returns
    -------
    bytes
        PNG. What lies outside the image is black.
    """
    ijk = volume.grid.to_ijk(_axial_square(centre_lps_mm, field_mm, pixels))
    values = map_coordinates(volume.values, np.moveaxis(ijk, -1, 0), order=1, mode="nearest")
    return _png(values, _on_grid(ijk, volume.grid), window, scale)


def outline_in_crop(
    region: Region, centre_lps_mm: npt.ArrayLike, field_mm: float
) -> tuple[npt.NDArray[np.float64], ...]:
    """Outlines of a region over the square of :func:`crop_png`.

    Returns
    -------
    tuple
        Closed lines in shares of the square's edge, x to the patient's left, y to the back. Each (n, 2). Empty if the
        region does not reach this plane.
    """
    ijk = region.grid.to_ijk(_axial_square(centre_lps_mm, field_mm, OUTLINE_PIXELS)) - region.start_ijk
    # The region is zero beyond its box: interpolate down to that, do not repeat the border.
    fraction = map_coordinates(region.fraction, np.moveaxis(ijk, -1, 0), order=1, mode="grid-constant", cval=0.0)
    return tuple((line[:, ::-1] + 0.5) / OUTLINE_PIXELS for line in outlines(fraction))


def mip_png(volume: Volume, window: tuple[float, float], scale: Scale, height_pixels: int = 320) -> bytes:
    """Coronal maximum projection, along the image axis nearest to front-back, in true proportions.

    Raises
    ------
    OutsideValidity
        If two axes of the image are nearest to the same axis of the body (oblique by more than 45 degrees).
    """
    directions = volume.grid.affine_lps_mm[:3, :3] / volume.grid.spacing_mm
    axes = [int(np.argmax(abs(directions[lps]))) for lps in range(3)]
    if len(set(axes)) < 3:
        raise OutsideValidity("the image is too oblique for a coronal projection", do="resample it to axial slices")
    left, _, head = axes
    plane = volume.values.max(axis=axes[1])
    rows = plane.T if left < head else plane  # (head-foot, left-right)
    rows = rows[:: -1 if directions[2, head] > 0 else 1, :: 1 if directions[0, left] > 0 else -1]
    height_mm, width_mm = np.multiply(rows.shape, [volume.grid.spacing_mm[head], volume.grid.spacing_mm[left]])
    shape = height_pixels, max(1, round(height_pixels * width_mm / height_mm))
    row, column = ((np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(shape, rows.shape, strict=True))
    values = map_coordinates(rows, np.meshgrid(row, column, indexing="ij"), order=1, mode="nearest")
    return _png(values, np.ones(shape, dtype=bool), window, scale)


def _axial_square(centre_lps_mm: npt.ArrayLike, field_mm: float, pixels: int) -> npt.NDArray[np.float64]:
    """Coordinates of the pixel centres, rows to the back, columns to the patient's left. [mm] (row, column, 3)"""
    x, y, z = np.asarray(centre_lps_mm, dtype=np.float64)
    offset = ((np.arange(pixels) + 0.5) / pixels - 0.5) * field_mm
    back, left = np.meshgrid(y + offset, x + offset, indexing="ij")
    return np.stack([left, back, np.full_like(left, z)], axis=-1)


def _on_grid(ijk: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.bool_]:
    on_grid: npt.NDArray[np.bool_] = np.all((ijk >= -0.5) & (ijk <= np.subtract(grid.shape, 0.5)), axis=-1)
    return on_grid


def _png(
    values: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_], window: tuple[float, float], scale: Scale
) -> bytes:
    low, high = window
    # A window of no width, as of an image that is empty there, shows what lies above it and nothing else.
    width = max(high - low, float(np.finfo(np.float32).tiny))
    level = np.nan_to_num(np.clip((values.astype(np.float64) - low) / width, 0, 1))
    if scale == "inverted":
        level = 1 - level
    colours = np.stack([3 * level, 3 * level - 1, 3 * level - 2], axis=-1) if scale == "hot" else level
    picture = np.rint(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    picture[~shown] = 0
    png = BytesIO()
    Image.fromarray(picture).save(png, "PNG", optimize=True)
    return png.getvalue()
