"""What is registered of an image: grey levels that mean something, the body in them, and coarser copies.

Mutual information needs no calibrated values, but it needs levels: what tells tissues apart should fill many of them, what does not
few. So CT numbers are spread by tissue, activities by their square root, and anything else evenly between its extremes.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from scipy import ndimage

from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume

HU_KNOTS, GREY_KNOTS = (-1000.0, -200.0, 200.0, 1000.0), (0.0, 0.2, 0.8, 1.0)
"""Half of the grey levels between fat and contrast medium, a fifth each for lung and bone."""
BODY_ABOVE_HU = -300.0
BONE_GREY = 0.8
"""Grey level of 200 HU, above soft tissue with contrast medium. [1]"""
EXTREMES_PERCENT = (0.5, 99.8)
"""Percentiles taken as darkest and brightest: single hot voxels and the noise of the darkest do not set the scale."""
EMISSION = {Unit.BQ_PER_ML, Unit.SUV_BW, Unit.SUV_LBM, Unit.SUV_LBM_JAMES, Unit.SUV_BSA}
OTSU_BINS = 128
COARSE_MM = 6.0
LEAST_VOXELS = 4
"""Voxels that averaging leaves along each axis, and that an image needs to be registered."""
OUTLINE_MM = 12.0
"""How far around the body samples are taken: the skin is the strongest edge there is. [mm]"""


@frozen(eq=False)
class Level:
    """One image at one resolution.

    Parameters
    ----------
    grey
        Grey level of each voxel, 0 to 1. [1] (i, j, k)
    grid
        Where these voxels are.
    """

    grey: npt.NDArray[np.float32]
    grid: Grid


@frozen(eq=False)
class Pyramid:
    """One image as it is registered.

    Parameters
    ----------
    fine, coarse
        What the answer is found on, and what it is searched on.
    body
        Which voxels of `coarse` belong to the body, not to air or the table. (i, j, k)
    has_bone, has_outline
        Tells whether the image shows bones by their CT number, and the outline of the body and not only what takes up activity.
    """

    fine: Level
    coarse: Level
    body: npt.NDArray[np.bool_]
    has_bone: bool
    has_outline: bool

    @property
    def body_ml(self) -> float:
        """Volume of the body. [mL]"""
        return float(self.body.sum()) * self.coarse.grid.voxel_volume_ml

    @cached_property
    def centre_mm(self) -> npt.NDArray[np.float64]:
        """Centre of gravity of the body. [mm] (3,)"""
        return self.coarse.grid.to_lps_mm(np.argwhere(self.body).mean(axis=0))

    @property
    def around_body(self) -> npt.NDArray[np.bool_]:
        """Body and its outline, on the coarse voxels. (i, j, k)"""
        reach = [1 + 2 * max(1, round(OUTLINE_MM / edge)) for edge in self.coarse.grid.spacing_mm]
        return np.asarray(ndimage.maximum_filter(self.body, reach))


def pyramid(volume: Volume, fine_mm: float) -> Pyramid:
    """Prepare an image: voxels of about the given size, and of twice that but not less than 6 mm to search on.

    Voxels are averaged in whole blocks, never made smaller, so that an image coarser than asked for stays as it is.
    """
    fine = averaged(volume, fine_mm)
    coarse = averaged(volume, max(2 * fine_mm, COARSE_MM))
    scale = _extremes(coarse)
    grey = _grey(coarse, scale)
    levels = Level(_grey(fine, scale), fine.grid), Level(grey, coarse.grid)
    return Pyramid(*levels, _body(coarse, grey), volume.unit == Unit.HU, volume.unit not in EMISSION)


def averaged(volume: Volume, spacing_mm: float) -> Volume:
    """Average whole blocks of voxels so that their edges come near a length without exceeding 5/4 of it."""
    factors = [
        max(1, min(n // LEAST_VOXELS, int(spacing_mm / edge + 0.25)))
        for n, edge in zip(volume.values.shape, volume.grid.spacing_mm, strict=True)
    ]
    if max(factors) == 1:
        return volume
    values = volume.values
    for axis, factor in enumerate(factors):
        n = values.shape[axis] // factor
        along = np.moveaxis(values, axis, 0)
        total = along[: n * factor : factor].copy()
        for first in range(1, factor):
            total += along[first : n * factor : factor]
        values = np.moveaxis(total / np.float32(factor), 0, axis)
    affine = np.array(volume.grid.affine_lps_mm)
    affine[:3, 3] = volume.grid.to_lps_mm((np.array(factors) - 1) / 2)
    affine[:3, :3] *= factors
    return evolve(volume, values=values, grid=evolve(volume.grid, shape=values.shape, affine_lps_mm=affine))


def _extremes(volume: Volume) -> tuple[float, float]:
    some = volume.values[tuple(slice(None, None, max(1, n // 40)) for n in volume.values.shape)]
    low, high = np.percentile(some, EXTREMES_PERCENT)
    return float(low), float(high)


def _grey(volume: Volume, extremes: tuple[float, float]) -> npt.NDArray[np.float32]:
    if volume.unit == Unit.HU:
        return np.interp(volume.values, HU_KNOTS, GREY_KNOTS).astype(np.float32)
    low, high = extremes
    if not high > low:
        return np.zeros(volume.values.shape, np.float32)
    grey = np.clip((volume.values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(np.sqrt(grey) if volume.unit in EMISSION else grey, np.float32)


def _body(volume: Volume, grey: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Largest connected piece of what is not air; in an image without a scale for that, whatever is brighter than most."""
    inside = volume.values > BODY_ABOVE_HU if volume.unit == Unit.HU else grey > _otsu(grey)
    opened = ndimage.binary_opening(inside)
    pieces, count = ndimage.label(opened if opened.any() else inside)
    if not count:
        return inside
    if volume.unit != Unit.HU:  # the organs of an emission image need not touch
        return np.asarray(pieces > 0)
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))


def _otsu(grey: npt.NDArray[np.float32]) -> float:
    """Grey level that splits an image into two classes as different as possible [otsu1979]."""
    counts, edges = np.histogram(grey, OTSU_BINS, (0, 1))
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    sums = np.cumsum(counts * middle)
    above = counts.sum() - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1 + int(np.argmax(np.nan_to_num(apart)))])
