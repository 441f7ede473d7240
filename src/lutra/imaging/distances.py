"""How far two regions are from each other: for quality checks, for tracking, and for "how near is it to the vessel"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree
from skimage.measure import marching_cubes

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.core.region import Region
from lutra.imaging.isolines import LEVEL
from lutra.imaging.surface import Surface

HAUSDORFF_SHARE = 95.0
"""Percentile of the distances that stands in place of the largest one, which a single stray voxel decides. [%]"""
NEAR_TRIANGLES = 12
"""Triangles by their centres among which the nearest one is looked for; they are no larger than a voxel."""
TINY = 1e-30
"""Keeps triangles of no size from dividing by zero."""


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

    Validity: from the corners of either surface to the other one, which is exact unless edge meets edge: then it reads long, by at
    most the square of an edge, no longer than a voxel's diagonal, over eight times the distance.

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
    mesh, others = _surface(one), _surface(other)
    return float(min(_distances(mesh, others).min(), _distances(others, mesh).min()))


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
    mesh, others = _surface(one), _surface(other)
    ways = _distances(mesh, others), _distances(others, mesh)
    return float(max(np.percentile(way, share) for way in ways))


def _surface(region: Region) -> Surface:
    """Triangles where the share of a voxel inside is one half, in patient coordinates."""
    if region.fraction.max(initial=0.0) < LEVEL:
        raise OutsideValidity(
            f"region {region.name} fills no voxel by half", required="at least half a voxel", do="use a finer image"
        )
    # Where the fullest voxel is filled by exactly one half there would be no surface around it.
    level = min(LEVEL, 0.999 * float(region.fraction.max()))
    corners, triangles, *_ = marching_cubes(np.pad(region.fraction, 1).astype(np.float32), level)  # type: ignore[no-untyped-call]
    return Surface(region.grid.to_lps_mm(corners.astype(np.float64) - 1 + region.start_ijk), triangles.astype(np.int64))


def _distances(surface: Surface, other: Surface) -> npt.NDArray[np.float64]:
    """Distance of each corner of a surface from the nearest point of the other. [mm] (n,)"""
    corners = other.vertices_mm[other.triangles]
    _, near = KDTree(corners.mean(axis=1)).query(surface.vertices_mm, k=min(NEAR_TRIANGLES, len(corners)))
    near = near.reshape(len(surface.vertices_mm), -1)
    return np.asarray(_to_triangles(surface.vertices_mm[:, None], corners[near]).min(axis=1))


def _to_triangles(points: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance of points from triangles: to the plane where the foot lies inside, else to the nearest edge. [mm]"""
    a, b, c = np.moveaxis(corners, -2, 0)
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=-1)
    inside = size > 0
    edges = []
    for begin, end in ((a, b), (b, c), (c, a)):
        way, offset = end - begin, points - begin
        along = np.clip((offset * way).sum(axis=-1) / np.maximum((way * way).sum(axis=-1), TINY), 0, 1)
        edges.append(np.linalg.norm(offset - along[..., None] * way, axis=-1))
        inside = inside & ((np.cross(way, offset) * normal).sum(axis=-1) >= 0)
    height = np.abs(((points - a) * normal).sum(axis=-1)) / np.maximum(size, TINY)
    nearest_edge = np.minimum.reduce(edges)
    return np.asarray(np.where(inside, np.minimum(height, nearest_edge), nearest_edge))


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
