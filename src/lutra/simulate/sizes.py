"""How finely a simulated study is imaged."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from lutra.core.errors import UsageError
from lutra.core.grid import Grid, Shape

Spacing = tuple[float, float, float]
Field = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""x, y, z from and to. [mm]"""


@frozen
class Size:
    """Field of view and voxels of every scanner.

    Parameters
    ----------
    field_mm
        Part of the body that is imaged: x, y, z from and to. [mm]
    ct_mm, low_dose_ct_mm, pet_mm, dwi_mm
        Edges of the voxels. [mm]
    ct_voxels_per_spect
        Voxels of the low-dose CT along the edge of one of the SPECT, so that the body is painted once for both.
    spect_shape
        Least number of voxels of a SPECT; what lies beyond the field is air.
    breathing_phases
        Moments of a breath that a PET or SPECT averages over; 1: none of its blur.
    """

    name: str
    field_mm: Field
    ct_mm: Spacing
    low_dose_ct_mm: Spacing
    pet_mm: Spacing
    dwi_mm: Spacing
    ct_voxels_per_spect: int
    spect_shape: Shape
    breathing_phases: int

    def grid(self, spacing_mm: Spacing, frame_of_reference: str, multiple: int = 1) -> Grid:
        """Cover the field with voxels, a multiple of so many along every axis."""
        shape, affine = [], np.diag([*spacing_mm, 1.0])
        for axis, ((low, high), edge) in enumerate(zip(self.field_mm, spacing_mm, strict=True)):
            n = multiple * round((high - low) / edge / multiple)
            shape.append(n)
            affine[axis, 3] = (low + high) / 2 - (n - 1) / 2 * edge
        return Grid((shape[0], shape[1], shape[2]), affine, frame_of_reference)


SMALL = Size(
    name="small",
    field_mm=((-182, 182), (-133, 133), (-154, 168)),
    ct_mm=(2.6, 2.6, 4.0),
    low_dose_ct_mm=(3.5, 3.5, 3.5),
    pet_mm=(5.0, 5.0, 5.0),
    dwi_mm=(4.0, 4.0, 6.0),
    ct_voxels_per_spect=2,
    spect_shape=(1, 1, 1),
    breathing_phases=1,
)
"""The trunk on reduced grids: a patient in some seconds."""
CLINICAL = Size(
    name="clinical",
    field_mm=((-202, 202), (-144, 144), (-200, 200)),
    ct_mm=(1.6, 1.6, 2.5),
    low_dose_ct_mm=(2.4, 2.4, 2.4),
    pet_mm=(4.0, 4.0, 4.0),
    dwi_mm=(2.5, 2.5, 5.0),
    ct_voxels_per_spect=2,
    spect_shape=(128, 128, 128),
    breathing_phases=4,
)
"""Matrices of clinical scanners: SPECT of 128 x 128 x 128 voxels of 4.8 mm."""
SIZES = {size.name: size for size in (SMALL, CLINICAL)}


def size_of_name(name: str) -> Size:
    """Look up `small` or `clinical`.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if name not in SIZES:
        raise UsageError(f"size {name!r}", required=f"one of: {', '.join(SIZES)}")
    return SIZES[name]


def coarser(grid: Grid, factor: int) -> Grid:
    """Grid whose voxels are blocks of voxels of another."""
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] = grid.to_lps_mm(((factor - 1) / 2,) * 3)
    affine[:3, :3] *= factor
    i, j, k = (n // factor for n in grid.shape)
    return Grid((i, j, k), affine, grid.frame_of_reference)


def widened(grid: Grid, least: Shape) -> tuple[Grid, Shape]:
    """Add empty voxels on all sides until a grid has at least so many, and say how many come first along each axis."""
    before = [max(0, (wanted - n) // 2) for n, wanted in zip(grid.shape, least, strict=True)]
    shape = [max(n, wanted) for n, wanted in zip(grid.shape, least, strict=True)]
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] = grid.to_lps_mm([-b for b in before])
    return Grid((shape[0], shape[1], shape[2]), affine, grid.frame_of_reference), (before[0], before[1], before[2])
