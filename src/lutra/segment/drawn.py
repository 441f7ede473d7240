"""What a person drew on an image, as a region."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.errors import InputError
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.labels import trimmed
from lutra.imaging.regrid import regrid
from lutra.reference.region_names import LESION_CODE

INSIDE = 0.5
"""Share from which on a voxel of a region is shown as its own, for somebody to draw on. [1]"""


def shown_mask(region: Region, grid: Grid) -> npt.NDArray[np.bool_]:
    """Put a region on a grid of its frame as whole voxels. (i, j, k)

    Raises
    ------
    OutsideValidity
        If it lies outside the grid.
    """
    return _on(region, grid) >= INSIDE


def drawn_region(
    mask: npt.NDArray[np.bool_], grid: Grid, name: str, kind: RegionKind, by: str, base: Region | None = None
) -> Region:
    """Make a region of the voxels that somebody left drawn.

    Parameters
    ----------
    mask
        Voxels drawn. (i, j, k)
    base
        What the drawing began with, as :func:`shown_mask` showed it. Voxels that were left as they were keep their share, and
        its meaning and names go on. None for an empty image.

    Raises
    ------
    InputError
        If nothing is drawn.
    """
    before = None if base is None else _on(base, grid)
    share = mask.astype(np.float32) if before is None else np.where(mask == (before >= INSIDE), before, mask)
    box = trimmed((0, 0, 0), share.astype(np.float32))
    if box is None or not mask.any():
        raise InputError(
            f"nothing is drawn of “{name}”",
            required="a voxel",
            do="draw it; a region that should not be there is taken back",
        )
    if base is None or before is None:
        code = LESION_CODE if kind is RegionKind.LESION else None
        return Region(name, kind, grid, *box, code, RegionOrigin.DRAWN, f"by {by}")
    untouched = bool(np.array_equal(mask, before >= INSIDE))
    origin = base.origin if untouched else RegionOrigin.DRAWN
    source = f"{base.source}; accepted by {by}" if untouched else f"by {by}, from {base.delineation}"
    return evolve(base, name=name, grid=grid, start_ijk=box[0], fraction=box[1], origin=origin, source=source)


def _on(region: Region, grid: Grid) -> npt.NDArray[np.float32]:
    """Share of every voxel of a grid. [1] (i, j, k)"""
    start, fraction = regrid(region.start_ijk, region.fraction, region.grid, grid)
    share = np.zeros(grid.shape, np.float32)
    share[tuple(slice(a, a + n) for a, n in zip(start, fraction.shape, strict=True))] = fraction
    return share
