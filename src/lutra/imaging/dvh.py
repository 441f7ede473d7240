"""Dose-volume histogram of a region on a dose grid of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.dose import Dvh
from lutra.core.errors import UnitMismatch
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.regrid import regrid

LEVELS = 1001


@frozen(eq=False)
class RegionDose:
    """Dose of the part of a region that the dose grid covers.

    Parameters
    ----------
    mean_gy, min_gy, max_gy
        Over that part; partial voxels count by their share. [Gy]
    covered
        Share of the region's volume that lies on the dose grid; of the rest nothing is known. [1]
    """

    mean_gy: float
    min_gy: float
    max_gy: float
    dvh: Dvh
    covered: float


def region_dose(dose: Volume, region: Region) -> RegionDose:
    """Mean dose and cumulative histogram of a region, wherever the voxels of dose and region lie.

    The region is put on the dose grid as shares of its voxels, each with one dose. A region smaller than a few dose voxels
    therefore gets their dose, not the gradient within them.

    Parameters
    ----------
    dose
        [Gy]

    Raises
    ------
    UnitMismatch
        If the volume is no dose.
    GridMismatch
        If dose and region are in different frames of reference.
    OutsideValidity
        If no part of the region lies on the dose grid.
    """
    if dose.unit is not Unit.GY:
        raise UnitMismatch(f"a volume in {dose.unit.value} is no dose", required="Gy")
    start, fraction = regrid(region.start_ijk, region.fraction, region.grid, dose.grid)
    box = tuple(slice(first, first + n) for first, n in zip(start, fraction.shape, strict=True))
    share = fraction.astype(np.float64).ravel()
    inside = share > 0
    share, dose_gy = share[inside], dose.values[box].astype(np.float64).ravel()[inside]
    covered = share.sum() * dose.grid.voxel_volume_ml / region.volume_ml
    return RegionDose(
        mean_gy=float(share @ dose_gy / share.sum()),
        min_gy=float(dose_gy.min()),
        max_gy=float(dose_gy.max()),
        dvh=histogram(dose_gy, share),
        covered=float(min(covered, 1.0)),
    )


def histogram(dose_gy: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> Dvh:
    """Cumulative histogram of doses with weights.

    Parameters
    ----------
    dose_gy
        Dose of each voxel. [Gy] (n,)
    share
        Share of each voxel inside, not all 0. [1] (n,)
    """
    order = np.argsort(dose_gy)
    # Volume at or above each level: what is left once everything strictly below has been taken away.
    below = np.concatenate(([0.0], np.cumsum(share[order]))) / share.sum()
    levels = np.linspace(0, dose_gy[order[-1]], LEVELS)
    return Dvh(levels, 1 - below[np.searchsorted(dose_gy[order], levels, side="left")])
