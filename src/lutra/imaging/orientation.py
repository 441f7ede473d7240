"""How the slices of an image lie in the body, and regions cut the other way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve
from scipy.optimize import linear_sum_assignment

from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.imaging.regrid import regrid

AXIAL_COSINE = 0.9
"""Least cosine between slice normal and body axis for a slice to pass as axial (26 degrees: gantry tilt)."""


def slice_normal_lps(grid: Grid) -> npt.NDArray[np.float64]:
    """Give the unit vector square to the slices; with a tilted gantry it is not the way from slice to slice. [1] (3,)"""
    normal = np.cross(grid.affine_lps_mm[:3, 0], grid.affine_lps_mm[:3, 1])
    unit: npt.NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit


def is_axial(grid: Grid) -> bool:
    """Tell whether slices pass as axial: within 26 degrees of them."""
    return abs(float(slice_normal_lps(grid)[2])) >= AXIAL_COSINE


def axes_of_body(grid: Grid) -> tuple[int, int, int]:
    """Image axis that runs most nearly left-right, front-back and head-foot, each given once."""
    directions = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
    _, axes = linear_sum_assignment(-np.abs(directions))
    left, back, head = (int(axis) for axis in axes)
    return left, back, head


def axial_region(region: Region) -> Region:
    """Cut a region of a coronal, sagittal or oblique image into axial slices, volume kept.

    Each direction of the body keeps the voxel size of the image axis nearest to it, so that nothing is made finer than it was
    seen: a coronal stack turns into axial slices with oblong pixels, by exchange of axes alone.
    """
    spacing = np.array(region.grid.spacing_mm)[list(axes_of_body(region.grid))]
    corners = region.box_corners_lps_mm
    directions = region.grid.affine_lps_mm[:3, :3] / region.grid.spacing_mm
    aligned = bool(np.all(np.isclose(np.abs(directions).max(axis=0), 1, atol=1e-6)))
    # With parallel axes the new voxels are the old ones: begin at the centre of one of them.
    first = corners.min(axis=0) + spacing / 2 if aligned else corners.min(axis=0)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = first
    shape = np.ceil((corners.max(axis=0) - first) / spacing + 0.5 - 1e-6).astype(int)
    grid = Grid(shape, affine, region.grid.frame_of_reference)
    start, fraction = regrid(region.start_ijk, region.fraction, region.grid, grid)
    return evolve(region, grid=grid, start_ijk=start, fraction=fraction)
