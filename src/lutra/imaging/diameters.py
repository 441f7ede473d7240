"""Longest axial diameter and perpendicular short axis, below the size of a voxel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, QhullError

from lutra.core.errors import OutsideValidity
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.imaging.isolines import outlines

SMOOTHING_SD_PIXELS = 0.4
"""Rounds the steps of a binary mask. A disc of radius R shrinks by 0.08 / R: 0.02 pixel at R = 4. [pixels]"""
AXIAL_COSINE = 0.9
"""Least cosine between slice normal and body axis for a slice to pass as axial (26 degrees: gantry tilt)."""


def longest_axial_diameter(region: Region) -> DiameterPair:
    """Measure a region as RECIST 1.1 does: longest diameter in any axial slice, short axis perpendicular to it there.

    Each separate part in a slice is measured by itself, and concavities are spanned. The bias is below 0.15 pixel for
    ellipsoids from
    contours, from a short axis of 5 pixels; masks of whole voxels read up to 0.4 pixel long.

    Raises
    ------
    OutsideValidity
        If the slices are not axial, or no slice shows an outline (a region thinner than half a voxel everywhere).

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228.
    """
    spacing = np.array(region.grid.spacing_mm)
    normal = region.grid.affine_lps_mm[:3, 2] / spacing[2]
    if abs(normal[2]) < AXIAL_COSINE:
        raise OutsideValidity(
            f"region {region.name}: the slices are not axial (cosine {abs(normal[2]):.2f} to the body axis)",
            required="axial slices",
            do="resample the image to axial slices before measuring diameters",
        )
    longest_mm, found = 0.0, None
    for k in range(region.fraction.shape[2]):
        smooth = gaussian_filter(np.pad(region.fraction[:, :, k], 2), SMOOTHING_SD_PIXELS)
        for line in outlines(smooth):
            points = (line - 2 + region.start_ijk[:2]) * spacing[:2]
            ends = _farthest(points)
            length_mm = float(np.linalg.norm(ends[1] - ends[0]))
            if length_mm > longest_mm:
                longest_mm, found = length_mm, (points, ends, k + region.start_ijk[2])
    if found is None:
        raise OutsideValidity(
            f"region {region.name}: no slice has an outline, {region.volume_ml:.3g} mL on voxels of "
            f"{' × '.join(f'{mm:.3g}' for mm in region.grid.spacing_mm)} mm",
            required="a region that fills at least half a voxel",
            do="measure it by hand on a finer image, or record it as too small to measure",
        )
    points, ends, slice_k = found
    across = _widest_across(points, ends)

    def lps(points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return region.grid.to_lps_mm(np.column_stack([points_mm / spacing[:2], np.full(len(points_mm), slice_k)]))

    return DiameterPair(longest_mm, float(np.linalg.norm(across[1] - across[0])), lps(ends), lps(across), slice_k)


def _farthest(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Find the two points farthest apart; both are corners of the convex hull. (2, 2)"""
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all on one line
        corners = points
    squared = ((corners[:, None] - corners[None]) ** 2).sum(axis=-1)
    ends: npt.NDArray[np.float64] = corners[list(np.unravel_index(squared.argmax(), squared.shape))]
    return ends


def _widest_across(points: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """End points of the longest extent perpendicular to the line between `ends`. (2, 2)

    The extent is linear between corners of the polygon, so the longest passes through a corner.
    """
    axis = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    normal = np.array([-axis[1], axis[0]])
    along, across = (points - ends[0]) @ axis, (points - ends[0]) @ normal
    step_along, step_across = np.roll(along, -1) - along, np.roll(across, -1) - across
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (along[:, None] - along[None]) / step_along[None]  # (corner, edge)
        height = across[None] + share * step_across[None]
    met = (share >= 0) & (share <= 1)
    top = np.maximum(np.where(met, height, -np.inf).max(axis=1), across)
    bottom = np.minimum(np.where(met, height, np.inf).min(axis=1), across)
    at = int(np.argmax(top - bottom))
    ends_across: npt.NDArray[np.float64] = ends[0] + along[at] * axis + np.outer([bottom[at], top[at]], normal)
    return ends_across
