"""Two images made comparable: one grid, one range of values, the moving one where its rigid start puts it.

A deformable registration explains every difference by movement. So what is no movement has to go first: noise finer than the field
can follow, values beyond soft tissue, and the part of the body only one image shows.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
import SimpleITK
from attrs import evolve, frozen
from scipy import ndimage

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.itk import image_of, volume_of
from lutra.imaging.sample import sampled

WINDOW_HU = (-200.0, 300.0)
"""From fat to dense bone: air in the bowel comes and goes, and metal says nothing of movement. [HU]"""
BODY_HU, FAT_HU, BONE_HU = -150.0, -60.0, 180.0
RANGE_PERCENTILES = (1.0, 99.0)
"""Of an image without a scale of its own."""
MARGIN_MM = 16.0
"""Kept around the body, so that the field has room to fall off. [mm]"""
BINS, MATCH_POINTS = 256, 15
MEDIUM_MM, EDGE_HU_PER_MM, LEAST_WEIGHT = 8.0, 8.0, 0.02
"""Width over which the difference of two images is averaged within an organ, the slope that counts as its edge, and the weight of
no difference where all is edge. [mm], [HU/mm], [1]"""
MEDIUM_PERCENTILE, MEDIUM_HU = 99.0, 20.0
"""Difference of organs from which one image has medium: on a warped CT a rough registration alone leaves 12 HU, medium 30 and
more. Below it nothing is taken out, which would cost 0.2 mm. [%], [HU]"""
FEWEST_VOXELS = 8
"""Along each axis; below this there is nothing to bend. [1]"""


@frozen(eq=False)
class Comparable:
    """What a deformable registration works on.

    Parameters
    ----------
    fixed, moving
        On one grid in the fixed frame. Where the moving image does not reach, `moving` is `fixed`: no difference, no force.
    reached
        Where the moving image reaches. (i, j, k)
    body
        Where the fixed image shows body and the moving one reaches. (i, j, k)
    """

    fixed: Volume
    moving: Volume
    reached: npt.NDArray[np.bool_]
    body: npt.NDArray[np.bool_]


def comparable(
    fixed: Volume, moving: Volume, start: Transform, spacing_mm: float, mask: Region | None = None
) -> Comparable:
    """Bring both images onto one coarse grid around the body of the fixed one.

    Parameters
    ----------
    spacing_mm
        Of the grid, and of the displacement field found on it. [mm]
    mask
        Part of the fixed image that has to agree; it narrows `body`.

    Raises
    ------
    OutsideValidity
        If the fixed image shows no body, or the moving one does not reach it.
    """
    low, high = _window(fixed)
    outline = BODY_HU if fixed.unit == Unit.HU else low
    grid = _around_body(fixed, outline, spacing_mm)
    points = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    there_points = start.moving_points(points)
    here = sampled(fixed, points, _blur_mm(fixed, spacing_mm))
    there = sampled(moving, there_points, _blur_mm(moving, spacing_mm))
    reached = _reached(moving.grid, there_points)
    body = reached & (here > outline)
    if mask is not None:
        inside = Volume(_filled(mask), mask.grid, Unit.ONE)
        body &= (sampled(inside, points) >= 0.5) & _reached(mask.grid, points)
    if not body.any():
        raise OutsideValidity(
            "the two images share no part of the body where the start puts them", do="register rigidly"
        )
    one = Volume(np.clip(here, low, high), grid, fixed.unit)
    other = Volume(np.clip(there, *_window(moving)), grid, moving.unit)
    if fixed.unit != Unit.HU:
        other = _matched(other, one)
    return Comparable(one, evolve(other, values=np.where(reached, other.values, one.values)), reached, body)


def without_medium(fixed: Volume, warped: Volume, body: npt.NDArray[np.bool_]) -> Volume:
    """Take from the fixed image what an organ as a whole differs by from the moving one, roughly registered.

    Contrast medium makes kidneys 50 HU brighter and muscle none, so no matching of histograms removes it. Away from edges a rough
    registration already compares an organ with itself: there the difference is averaged. It is added back nowhere, since only the
    displacement is kept. Images of one contrast stay as they are.

    Parameters
    ----------
    fixed, warped
        On one grid. [HU]
    body
        Where they can be compared.
    """
    spacing_mm = fixed.grid.spacing_mm[0]
    here, there = fixed.values, warped.values
    slopes = [ndimage.gaussian_gradient_magnitude(v, 1.0) / spacing_mm for v in (here, there)]
    slope = np.maximum(slopes[0], slopes[1])
    soft = body & (here > FAT_HU) & (there > FAT_HU)
    weight = (soft / (1 + (slope / EDGE_HU_PER_MM) ** 4)).astype(np.float32)
    total, difference = (ndimage.gaussian_filter(v, MEDIUM_MM / spacing_mm) for v in (weight, weight * (here - there)))
    medium = difference / (total + LEAST_WEIGHT)
    if not soft.any() or np.percentile(np.abs(medium[soft]), MEDIUM_PERCENTILE) < MEDIUM_HU:
        return fixed
    return evolve(fixed, values=here - medium)


def _window(image: Volume) -> tuple[float, float]:
    if image.unit == Unit.HU:
        return WINDOW_HU
    low, high = np.percentile(image.values, RANGE_PERCENTILES)
    return float(low), float(high)


def _around_body(image: Volume, outline: float, spacing_mm: float) -> Grid:
    """Upright grid of even spacing around what is not air. Grown by a margin, within the image."""
    step = np.maximum(np.rint(np.divide(spacing_mm, image.grid.spacing_mm)), 1).astype(int)
    seen = np.argwhere(image.values[:: step[0], :: step[1], :: step[2]] > outline) * step
    if not len(seen):
        raise OutsideValidity(f"no voxel above {outline:g} {image.unit}", required="an image of a body")
    ends = np.stack([seen.min(axis=0), seen.max(axis=0)])
    corners = image.grid.to_lps_mm(np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(8, 3))
    edges = image.grid.corners_lps_mm
    low = np.maximum(corners.min(axis=0) - MARGIN_MM, edges.min(axis=0))
    high = np.minimum(corners.max(axis=0) + MARGIN_MM, edges.max(axis=0))
    shape = np.maximum(np.ceil((high - low) / spacing_mm), 1).astype(int)
    if shape.min() < FEWEST_VOXELS:
        raise OutsideValidity(f"a body of {' × '.join(f'{n:.0f}' for n in high - low)} mm", required="a thicker one")
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = (low + high) / 2 - (shape - 1) / 2 * spacing_mm
    return Grid(shape, affine, image.grid.frame_of_reference)


def _blur_mm(image: Volume, spacing_mm: float) -> float:
    """Blur that takes an image to what a coarser spacing can carry. [mm]"""
    own_mm = sum(image.grid.spacing_mm) / 3
    return 0.5 * sqrt(max(spacing_mm**2 - own_mm**2, 0.0))


def _reached(grid: Grid, points_lps_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    ijk = grid.to_ijk(points_lps_mm)
    return np.asarray(np.all((ijk >= -0.5) & (ijk <= np.subtract(grid.shape, 0.5)), axis=-1))


def _filled(region: Region) -> npt.NDArray[np.float32]:
    values = np.zeros(region.grid.shape, np.float32)
    values[region.box] = region.fraction
    return values


def _matched(moving: Volume, fixed: Volume) -> Volume:
    found = SimpleITK.HistogramMatching(image_of(moving), image_of(fixed), BINS, MATCH_POINTS, True)  # noqa: FBT003 theirs
    return volume_of(found, fixed.grid.frame_of_reference, fixed.unit)
