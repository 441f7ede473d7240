"""How far two regions are from each other: for quality checks, for tracking, and for "how near is it to the vessel"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree
from skimage.measure import marching_cubes

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.core.region import Region
from lutra.imaging.isolines import LEVEL

HAUSDORFF_SHARE = 95.0
"""Percentile of the distances that stands in place of the largest one, which a single stray voxel decides. [%]"""


def centroid_distance_mm(one: Region, other: Region) -> float:
    """Distance of the centres of gravity. [mm]

    Raises
    ------
    GridMismatch
        If the regions are in different frames of reference.
    """
    _require_one_frame(one, other)
    return float(np.linalg.norm(one.centroid_lps_mm - other.centroid_lps_mm))


def surface_distance_mm(one: Region, other: Region) -> float:
    """Shortest way from the surface of one region to that of the other; 0 if they touch or overlap. [mm]

    Validity: from each corner of the finer surface to the nearest corner of the other; corners lie at most one voxel apart, so
    that the gap between two flat faces is exact and one between rough faces reads long by less than half a voxel.

    Raises
    ------
    GridMismatch
        If the regions are in different frames of reference.
    OutsideValidity
        If a region fills no voxel by half.
    """
    _require_one_frame(one, other)
    if _overlap(one, other) or _overlap(other, one):
        return 0.0
    return float(_nearest(surface_points_lps_mm(one), surface_points_lps_mm(other)).min())


def hausdorff_mm(one: Region, other: Region, share: float = HAUSDORFF_SHARE) -> float:
    """Distance within which a share of each surface has the other one, the worse of the two ways. [mm]

    Parameters
    ----------
    share
        Percentile of the distances; 100 gives the Hausdorff distance itself. [%]

    Raises
    ------
    GridMismatch
        If the regions are in different frames of reference.
    OutsideValidity
        If a region fills no voxel by half.

    References
    ----------
    [taha2015] Taha and Hanbury, BMC Medical Imaging 15:29, section "Spatial distance based metrics".
    """
    _require_one_frame(one, other)
    points, others = surface_points_lps_mm(one), surface_points_lps_mm(other)
    there, back = _nearest(points, others), _nearest(others, points)
    return float(max(np.percentile(there, share), np.percentile(back, share)))


def surface_points_lps_mm(region: Region) -> npt.NDArray[np.float64]:
    """Corners of the surface where the share of a voxel inside is one half. [mm] (n, 3)

    Raises
    ------
    OutsideValidity
        If no voxel is half filled.
    """
    if region.fraction.max(initial=0.0) < LEVEL:
        raise OutsideValidity(
            f"region {region.name} fills no voxel by half",
            required="a region of at least half a voxel",
            do="use a finer image",
        )
    # A voxel filled by exactly one half would put the surface through its centre from all sides.
    level = min(LEVEL, 0.999 * float(region.fraction.max()))
    corners, *_ = marching_cubes(np.pad(region.fraction, 1).astype(np.float32), level)  # type: ignore[no-untyped-call]
    return region.grid.to_lps_mm(corners.astype(np.float64) - 1 + region.start_ijk)


def _nearest(points: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    distance, _ = KDTree(others).query(points)
    return np.asarray(distance)


def _overlap(one: Region, other: Region) -> bool:
    """Tell whether a voxel of `other` that is at least half filled has its centre in one of `one` that is."""
    centres = other.grid.to_lps_mm(np.argwhere(other.fraction >= LEVEL) + other.start_ijk)
    index = np.rint(one.grid.to_ijk(centres)).astype(int) - one.start_ijk
    index = index[np.all((index >= 0) & (index < one.fraction.shape), axis=1)]
    return bool(np.any(one.fraction[tuple(index.T)] >= LEVEL))


def _require_one_frame(one: Region, other: Region) -> None:
    if one.grid.frame_of_reference != other.grid.frame_of_reference:
        raise GridMismatch(
            f"regions {one.name} and {other.name} are in different frames of reference",
            do="propagate one of them into the frame of the other",
        )
