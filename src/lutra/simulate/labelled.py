"""A digital body made of a real CT and its labels, painted like one made of shapes.

Every label becomes a smooth surface: the distance to its border, interpolated between voxels. So it can be painted on any grid
and in any posture, and its volume is that of the label. What no label covers is told apart by its CT number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen
from scipy import ndimage

from lutra.core.errors import GridMismatch, InputError, UnitMismatch
from lutra.core.frozen import FloatArray, float32
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.body import Organ
from lutra.simulate.shapes import components
from lutra.simulate.tissues import TISSUES, Tissue, tissue_of

BODY_ABOVE_HU, SOFT_ABOVE_HU = -300.0, -30.0
MARGIN_VOXELS = 6
"""Distances are held this far around a region; beyond, a point is outside."""


@frozen(eq=False)
class LabelledBody:
    """A body made of labels; it is painted by :func:`lutra.simulate.body.regions_on`.

    Parameters
    ----------
    organs
        In painting order: the outline first.
    source
        What it was made from.
    """

    organs: tuple[Organ, ...]
    source: str

    def shapes(self, name: str) -> tuple[Sampled, ...]:
        """Surfaces painted under a name."""
        return tuple(organ.shape for organ in self.organs if organ.name == name and isinstance(organ.shape, Sampled))

    def tissue(self, region_name: str, *, is_lesion: bool = False) -> Tissue:
        """Tissue of a region, with the CT number it has in the CT."""
        own = next((organ.tissue for organ in self.organs if organ.name == region_name), None)
        return own or tissue_of(region_name, is_lesion=is_lesion)


@frozen(eq=False)
class Sampled:
    """A surface given by its level at the voxels of a box.

    Parameters
    ----------
    grid
        The box as a grid of its own.
    level
        Depth at each voxel. [mm] (i, j, k)
    """

    name: str
    grid: Grid
    level: npt.NDArray[np.float32] = field(converter=float32)

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        last = np.array(self.grid.shape) - 1
        corners = self.grid.to_lps_mm([(i, j, k) for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
        return np.array([corners.min(axis=0), corners.max(axis=0)])

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        matrix = np.linalg.inv(self.grid.affine_lps_mm)
        x, y, z = components(points_lps_mm)
        ijk = np.stack([a * x + b * y + c * z + d for a, b, c, d in matrix[:3].tolist()])
        return np.asarray(
            ndimage.map_coordinates(self.level, ijk, order=1, mode="constant", cval=float(self.level.min()))
        )


def body_from_labels(ct: Volume, regions: Sequence[Region], source: str = "labelled CT") -> LabelledBody:
    """Make a body of a CT and the regions labelled on it.

    Parameters
    ----------
    ct
        CT without contrast medium or with. [HU]
    regions
        On the grid of the CT; where they overlap the later one wins. Names decide the tissue, see
        :data:`lutra.simulate.tissues.PATTERNS`; its CT number is the mean of the CT in the region.

    Raises
    ------
    UnitMismatch
        If the CT is not in HU.
    GridMismatch
        If a region is on another grid.
    InputError
        If nothing in the CT is a body.
    """
    if ct.unit != Unit.HU:
        raise UnitMismatch(f"a CT in {ct.unit}", required=str(Unit.HU))
    for region in regions:
        if region.grid.shape != ct.grid.shape or not np.allclose(
            region.grid.affine_lps_mm, ct.grid.affine_lps_mm, atol=1e-3
        ):
            raise GridMismatch(
                f"region {region.name} is on {region.grid.describe()}, the CT on {ct.grid.describe()}",
                do="resample the labels onto the CT",
            )
    inside = body_mask(ct)
    for region in regions:
        inside[region.box] |= region.fraction >= 0.5
    soft = inside & (ndimage.gaussian_filter(ct.values, 0.7) > SOFT_ABOVE_HU)
    unlabelled = [("fat", inside, TISSUES["fat"]), ("muscle", soft, TISSUES["muscle"])]
    whole = (0, 0, 0)
    organs = [
        Organ(name, _sampled(name, ct.grid, whole, mask.astype(np.float32), exact=False), tissue)
        for name, mask, tissue in unlabelled
    ]
    for region in regions:
        if region.fraction.max(initial=0) >= 0.5:
            shape = _sampled(region.name, ct.grid, region.start_ijk, region.fraction)
            organs.append(Organ(region.name, shape, own_tissue(region, ct)))
    return LabelledBody(tuple(organs), source)


def body_mask(ct: Volume) -> npt.NDArray[np.bool_]:
    """Largest piece that is not air, with the air enclosed in it slice by slice. (i, j, k)"""
    pieces, count = ndimage.label(ndimage.binary_opening(ct.values > BODY_ABOVE_HU, iterations=1))
    if not count:
        raise InputError(f"no voxel above {BODY_ABOVE_HU:g} HU", required="a CT of a body")
    body = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return np.asarray(body)


def _sampled(
    name: str, grid: Grid, start: tuple[int, int, int], fraction: npt.NDArray[np.float32], *, exact: bool = True
) -> Sampled:
    """Level of a region: distance to its border, brought to its volume."""
    inside = np.pad(fraction >= 0.5, MARGIN_VOXELS)
    spacing = grid.spacing_mm
    depth = ndimage.distance_transform_edt(inside, spacing) - ndimage.distance_transform_edt(~inside, spacing)
    half = float(np.mean(spacing)) / 2
    level = np.where(inside, depth - half, depth + half).astype(np.float32)  # the border lies between two voxels
    level = ndimage.gaussian_filter(level, 0.5)
    if exact:
        level -= _shift_to(level, float(inside.sum()), half)
    affine = np.array(grid.affine_lps_mm)
    affine[:3, 3] = grid.to_lps_mm(np.subtract(start, MARGIN_VOXELS))
    return Sampled(name, evolve(grid, shape=level.shape, affine_lps_mm=affine), level)


def _shift_to(level: npt.NDArray[np.float32], voxels: float, half_mm: float) -> float:
    """How far the border must move inwards for the volume to be that of so many voxels. [mm]"""
    fine = ndimage.zoom(level, 2, order=1, grid_mode=True, mode="nearest")
    low, high = -3 * half_mm, 3 * half_mm
    voxels -= np.count_nonzero(fine > 4 * half_mm) / 8
    fine = fine[np.abs(fine) <= 4 * half_mm]
    for _ in range(20):
        middle = (low + high) / 2
        found = np.clip((fine - middle) / half_mm + 0.5, 0, 1).sum(dtype=np.float64) / 8
        low, high = (middle, high) if found > voxels else (low, middle)
    return (low + high) / 2


def own_tissue(region: Region, ct: Volume) -> Tissue:
    """Tissue of the name, with the mean CT number of the inner voxels; what is named like no tissue shares the rest's kinetics.

    The density stays that of the name.
    """
    tissue = tissue_of(region.name)
    inner = ndimage.binary_erosion(region.fraction >= 0.5)
    chosen = inner if inner.sum() > 20 else region.fraction >= 0.5
    hu = float(ct.values[region.box][chosen].mean())
    kinetics = "rest" if tissue is TISSUES["lesion"] else tissue.kinetics
    return evolve(tissue, hu=hu, hu_portal=hu, kinetics=kinetics)
