"""Longest axial diameter and perpendicular short axis, below the size of a voxel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.imaging.isolines import LEVEL
from lutra.imaging.orientation import AXIAL_COSINE, slice_normal_lps
from lutra.imaging.smooth_outline import Flat, Lines, outlines_of_part, parts_of_region, parts_of_slice, whole_voxels

CAP_PIXELS = 1.0
"""How deep below the end of a line on whole voxels the outline is used to say where the border is. [pixels]"""
REACH_PIXELS = 1.0
"""No outline goes further than this beyond the centres of pixels that are half filled. [pixels]"""
CAP_POINTS = 5
"""Fewer points than this do not say more of the border than its end does."""


def longest_axial_diameter(region: Region) -> DiameterPair:
    """Measure a region as RECIST 1.1 does: longest diameter in any axial slice, short axis perpendicular to it there.

    Each separate part in a slice is measured by itself; `parts` says how many there are in that slice. Concavities are
    spanned: RECIST takes the longest line between two points of the border, and it may leave the lesion on its way.
    Slices of a tilted gantry are taken as they are.

    Validity: docs/diameters.md has the errors on ellipsoids of 3 to 40 pixels and on concave shapes. The bias is below 0.15 pixel
    but for the short axis of whole voxels below 5 pixels (0.2). One reading scatters by 0.1 pixel where partial voxels are
    known, as from contours, by 0.2 to 0.3 pixel on whole voxels, and by 0.4 pixel on whole voxels below 5 pixels.

    Raises
    ------
    OutsideValidity
        If the slices are not axial, or no slice shows an outline (a region that fills no voxel by half).

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228.
    """
    _require_axial(region)
    whole = whole_voxels(region)
    spacing = _pixel_mm(region.grid)
    longest_mm, found = 0.0, None
    for k in _fullest_first(region.fraction):
        parts = parts_of_slice(region.fraction[:, :, k])
        for part in parts:
            if _reach_mm(part, spacing) > longest_mm:
                lines = [line * spacing for line in outlines_of_part(part, whole=whole)]
                ends = _farthest(np.concatenate(lines))
                if whole:
                    ends = _as_many_points_say(lines, ends, CAP_PIXELS * float(spacing.mean()))
                length_mm = float(np.linalg.norm(ends[1] - ends[0]))
                if length_mm > longest_mm:
                    longest_mm, found = length_mm, (lines, ends, k, len(parts))
    if found is None:
        raise OutsideValidity(
            f"region {region.name}: no slice has an outline, {region.volume_ml:.3g} mL on voxels of "
            f"{' × '.join(f'{mm:.3g}' for mm in region.grid.spacing_mm)} mm",
            required="a region that fills at least half a voxel",
            do="measure it by hand on a finer image, or record it as too small to measure",
        )
    lines, ends, k, n_parts = found
    across = _widest_across(lines, ends)
    if whole:
        across = _as_many_points_say(lines, across, CAP_PIXELS * float(spacing.mean()))
    long_lps, short_lps = (_in_patient(region, line, k) for line in (ends, across))
    short_mm = float(np.linalg.norm(across[1] - across[0]))
    return DiameterPair(longest_mm, short_mm, long_lps, short_lps, k + region.start_ijk[2], parts=n_parts)


def short_axis_across(region: Region, long_ends_lps_mm: npt.ArrayLike, slice_k: int) -> npt.NDArray[np.float64]:
    """Find the longest extent of a region perpendicular to a line that somebody drew in one of its slices. [mm] (2, 3)

    Of several parts in the slice, the one nearest to the middle of the line is taken.

    Raises
    ------
    OutsideValidity
        If the region has no outline in this slice.
    """
    k = slice_k - region.start_ijk[2]
    parts = parts_of_slice(region.fraction[:, :, k]) if 0 <= k < region.fraction.shape[2] else []
    if not parts:
        raise OutsideValidity(
            f"region {region.name} has no outline in slice {slice_k}",
            required="a line in a slice that shows the lesion",
            do="draw the short axis as well, or draw the line in another slice",
        )
    spacing, whole = _pixel_mm(region.grid), whole_voxels(region)
    ends = (region.grid.to_ijk(long_ends_lps_mm)[:, :2] - region.start_ijk[:2]) * spacing
    outlined = [[line * spacing for line in outlines_of_part(part, whole=whole)] for part in parts]
    middle = ends.mean(axis=0)
    nearest = min(outlined, key=lambda lines: float(np.linalg.norm(np.concatenate(lines) - middle, axis=1).min()))
    across = _widest_across(nearest, ends)
    if whole:
        across = _as_many_points_say(nearest, across, CAP_PIXELS * float(spacing.mean()))
    return _in_patient(region, across, k)


def diameters_by_part(region: Region) -> tuple[DiameterPair, ...]:
    """Measure each part of a lesion that has fallen apart, the longest first.

    Parts are pieces that touch nowhere in space: two outlines in one slice that join in another are one part. RECIST 1.1 adds
    the longest diameters of the parts of a lesion that has split; no line spans the gap.

    Raises
    ------
    OutsideValidity
        As :func:`longest_axial_diameter`.

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228, section 4.3.2, "lesions that split or coalesce on treatment".
    """
    parts = parts_of_region(region) or (region,)
    return tuple(sorted((longest_axial_diameter(part) for part in parts), key=lambda pair: -pair.long_mm))


def _require_axial(region: Region) -> None:
    cosine = abs(float(slice_normal_lps(region.grid)[2]))
    if cosine < AXIAL_COSINE:
        raise OutsideValidity(
            f"region {region.name}: the slices are not axial (cosine {cosine:.2f} to the body axis)",
            required="axial slices",
            do="cut the region into axial slices before measuring diameters",
        )


def _pixel_mm(grid: Grid) -> npt.NDArray[np.float64]:
    return np.array(grid.spacing_mm[:2])


def _in_patient(region: Region, points_mm: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """Patient coordinates of points in slice `k` of a region's box, given in mm from its first pixel. [mm] (n, 3)"""
    ij = points_mm / _pixel_mm(region.grid) + region.start_ijk[:2]
    return region.grid.to_lps_mm(np.column_stack([ij, np.full(len(ij), k + region.start_ijk[2])]))


def _fullest_first(fraction: npt.NDArray[np.float32]) -> list[int]:
    """Slices by area: most likely the longest line comes first, and smaller slices then need no outline."""
    return [int(k) for k in np.argsort(-(fraction >= LEVEL).sum(axis=(0, 1)), kind="stable")]


def _reach_mm(part: Flat, spacing: npt.NDArray[np.float64]) -> float:
    """Longest line there can be: that of the pixel centres, and what the outline reaches beyond them. [mm]"""
    inside = part >= LEVEL
    rows = np.flatnonzero(inside.any(axis=1))
    first, last = inside[rows].argmax(axis=1), inside.shape[1] - 1 - inside[rows, ::-1].argmax(axis=1)
    outermost = np.concatenate([np.column_stack([rows, first]), np.column_stack([rows, last])])
    return float(pdist(outermost * spacing).max()) + 2 * REACH_PIXELS * float(spacing.max())


def _farthest(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Find the two points farthest apart; both are corners of the convex hull. (2, 2)"""
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all on one line
        corners = points
    first, second = np.triu_indices(len(corners), 1)  # the order of pdist
    longest = int(pdist(corners).argmax())
    ends: npt.NDArray[np.float64] = corners[[first[longest], second[longest]]]
    return ends


def _as_many_points_say(lines: Lines, ends: npt.NDArray[np.float64], depth_mm: float) -> npt.NDArray[np.float64]:
    """Move the ends of a line along it to where the outline around them, taken together, has the border. (2, 2)

    The longest of many lines ends on those steps of whole voxels that stick out most, and would read 0.1 to 0.3 pixel long.
    """
    axis = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    return np.array(
        [ends[0] - axis * _cap(lines, ends[0], -axis, depth_mm), ends[1] + axis * _cap(lines, ends[1], axis, depth_mm)]
    )


def _cap(lines: Lines, end: npt.NDArray[np.float64], outwards: npt.NDArray[np.float64], depth_mm: float) -> float:
    """Height above the end of a line of a parabola through the outline on both sides of it, least squares. [mm]"""
    distance = [float(((line - end) ** 2).sum(axis=1).min()) for line in lines]
    line = lines[int(np.argmin(distance))]
    line = np.roll(line, -int(((line - end) ** 2).sum(axis=1).argmin()), axis=0)  # begins at the end of the diameter
    height = (line - end) @ outwards
    beyond = np.flatnonzero(np.abs(height) > depth_mm)
    near = np.ones(len(line), dtype=bool)
    if len(beyond):
        near[beyond[0] : beyond[-1] + 1] = False
    if near.sum() < CAP_POINTS:
        return 0.0
    aside = (line[near] - end) @ np.array([-outwards[1], outwards[0]])
    fit, *_ = np.linalg.lstsq(np.vander(aside, 3), height[near], rcond=None)
    return float(fit[2])


def _widest_across(lines: Lines, ends: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """End points of the longest extent perpendicular to the line between `ends`. (2, 2)

    The extent is linear between corners of the polygons, so the longest passes through a corner.
    """
    axis = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    normal = np.array([-axis[1], axis[0]])
    points = np.concatenate(lines) - ends[0]
    following = np.concatenate([np.roll(line, -1, axis=0) for line in lines]) - ends[0]
    along, across = points @ axis, points @ normal
    step_along, step_across = following @ axis - along, following @ normal - across
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (along[:, None] - along[None]) / step_along[None]  # (corner, edge)
        height = across[None] + share * step_across[None]
    met = (share >= 0) & (share <= 1)
    top = np.maximum(np.where(met, height, -np.inf).max(axis=1), across)
    bottom = np.minimum(np.where(met, height, np.inf).min(axis=1), across)
    at = int(np.argmax(top - bottom))
    ends_across: npt.NDArray[np.float64] = ends[0] + along[at] * axis + np.outer([bottom[at], top[at]], normal)
    return ends_across
