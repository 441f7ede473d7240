"""What lies round a seed: the box that is searched, the lesion's highest voxel, the background."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter
from skimage.segmentation import watershed

from lutra.core.errors import UsageError
from lutra.core.frozen import three_ints
from lutra.core.grid import Shape
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.physics.recovery import FWHM_PER_SIGMA

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]

INSIDE = 0.5
"""A voxel of a region given with the image counts as its own from this share on."""
SD_PER_MAD = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""
SHELL_VOXELS = 20
"""Fewer voxels give no background."""


@frozen(eq=False)
class Surroundings:
    """A box of an image round a seed.

    Parameters
    ----------
    values
        Image in the box; voxels without a value have the lowest that is there. [unit] (i, j, k)
    smooth
        The same, blurred by half the resolution, so that noise makes fewer peaks. [unit] (i, j, k)
    start_ijk
        Index of the box's first voxel in the image.
    spacing_mm
        Edges of a voxel. [mm]
    in_reach
        Voxels within the search radius. (i, j, k)
    allowed
        Those the lesion may have: all in reach of a point; of a rough region its own and those within one resolution. (i, j, k)
    organ
        Number of the excluded region each voxel belongs to, counted from 1; 0 is none. (i, j, k)
    organ_names
        Names of the excluded regions.
    seed
        Voxel of the box the search begins at.
    """

    values: Floats
    smooth: Floats
    start_ijk: Shape = field(converter=three_ints)
    spacing_mm: tuple[float, float, float]
    in_reach: Mask
    allowed: Mask
    organ: Labels
    organ_names: tuple[str, ...]
    seed: Shape = field(converter=three_ints)


def surroundings_of(
    volume: Volume, seed: npt.ArrayLike | Region, exclusions: Sequence[Region], fwhm_mm: float, radius_mm: float
) -> Surroundings:
    """Cut out what lies within the search radius of a seed.

    Parameters
    ----------
    seed
        A point in patient coordinates [mm] (3,), or a rough region on the image's grid, whose highest peak is taken. The
        search then reaches as far as the region, if that is further.
    exclusions
        Regions on the image's grid that are not the lesion.

    Raises
    ------
    GridMismatch
        If a region is on another grid.
    UsageError
        If the seed lies outside the image, or where it has no values.
    """
    for region in (*exclusions, *((seed,) if isinstance(seed, Region) else ())):
        region.grid.require_match(volume.grid, f"region {region.name} and the image to delineate in")
    at = _seed_voxel(volume, seed)
    spacing = volume.grid.spacing_mm
    if isinstance(seed, Region):
        furthest_mm = np.linalg.norm(seed.box_corners_lps_mm - volume.grid.to_lps_mm(at), axis=1).max()
        radius_mm = max(radius_mm, float(furthest_mm) + 3 * fwhm_mm)
    reach = [ceil(radius_mm / step) for step in spacing]
    start = np.maximum(np.subtract(at, reach), 0)
    stop = np.minimum(np.add(at, reach) + 1, volume.grid.shape)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    values = volume.values[box].astype(np.float64)
    known = np.isfinite(values)
    values = np.where(known, values, values[known].min())
    centre = np.subtract(at, start)
    away_mm = [(np.arange(n) - c) * step for n, c, step in zip(values.shape, centre, spacing, strict=True)]
    distance_mm = np.sqrt(away_mm[0][:, None, None] ** 2 + away_mm[1][:, None] ** 2 + away_mm[2] ** 2)
    in_reach: Mask = known & (distance_mm <= radius_mm)
    allowed = in_reach
    if isinstance(seed, Region):
        rough = _numbered((seed,), start, values.shape) > 0
        allowed = in_reach & (distance_transform_edt(~rough, sampling=spacing) <= fwhm_mm)
    return Surroundings(
        values,
        gaussian_filter(values, [fwhm_mm / FWHM_PER_SIGMA / 2 / step for step in spacing], mode="nearest"),
        three_ints(start.tolist()),
        spacing,
        in_reach,
        allowed,
        _numbered(exclusions, start, values.shape),
        tuple(region.name for region in exclusions),
        three_ints(centre.tolist()),
    )


def climb(field: Floats, start: Shape, allowed: Mask) -> Shape:
    """Walk uphill, each time to the highest of the 26 neighbours, to a local maximum."""
    at = start
    while True:
        box = tuple(slice(max(a - 1, 0), a + 2) for a in at)
        around = np.where(allowed[box], field[box], -np.inf)
        step = np.unravel_index(int(np.argmax(around)), around.shape)
        if around[step] <= field[at]:
            return at
        at = three_ints([s.start + int(n) for s, n in zip(box, step, strict=True)])


def flooded(height: Floats, markers: Labels, mask: Mask | None = None) -> Labels:
    """Give each voxel to the marker its side of the ridges belongs to, by a watershed from low to high. (i, j, k)"""
    sides: Labels = watershed(height, markers, mask=mask)  # type: ignore[no-untyped-call]
    return sides


def ball(spacing_mm: tuple[float, float, float], radius_mm: float) -> Mask:
    """Voxels whose centres lie within a radius, as a structuring element; at least the direct neighbours. (i, j, k)"""
    x, y, z = (np.arange(-n, n + 1) * s for n, s in ((max(1, int(radius_mm / s)), s) for s in spacing_mm))
    near: Mask = x[:, None, None] ** 2 + y[:, None] ** 2 + z**2 <= max(radius_mm, *spacing_mm) ** 2 * (1 + 1e-9)
    return near


def background_round(around: Surroundings, body: Mask, fwhm_mm: float) -> tuple[float, float] | None:
    """Median and noise of a shell round a body; None if there is too little of it. [unit of image]

    The shell begins one resolution beyond the border, where a blurred edge has fallen to 1 %, and is one resolution (at least
    two voxels) thick. Excluded organs and their blur are left out; what else is hot there matters as long as it is less than half.
    """
    distance_mm = distance_transform_edt(~body, sampling=around.spacing_mm)
    thick_mm = max(fwhm_mm, 2 * max(around.spacing_mm))
    shell = (distance_mm > fwhm_mm) & (distance_mm <= fwhm_mm + thick_mm) & around.in_reach
    if around.organ.any():
        shell &= distance_transform_edt(around.organ == 0, sampling=around.spacing_mm) > fwhm_mm
    found = around.values[shell]
    if len(found) < SHELL_VOXELS:
        return None
    middle = float(np.median(found))
    return middle, SD_PER_MAD * float(np.median(np.abs(found - middle)))


def _numbered(regions: Sequence[Region], start: npt.NDArray[np.int64], shape: Shape) -> Labels:
    """Tell which region, counted from 1, each voxel of a box belongs to; 0 is none. (i, j, k)"""
    number = np.zeros(shape, np.int32)
    for n, region in enumerate(regions, start=1):
        first = np.subtract(region.start_ijk, start)
        low, high = np.maximum(first, 0), np.minimum(first + region.fraction.shape, shape)
        if np.all(low < high):
            here = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            there = tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))
            number[here][region.fraction[there] >= INSIDE] = n
    return number


def _seed_voxel(volume: Volume, seed: npt.ArrayLike | Region) -> Shape:
    at = _highest_peak(volume, seed) if isinstance(seed, Region) else np.rint(volume.grid.to_ijk(seed)).astype(int)
    if np.any(at < 0) or np.any(at >= volume.grid.shape):
        raise UsageError(
            f"the seed lies at voxel {tuple(at)} of {volume.grid.describe()}", required="a seed within the image"
        )
    where = three_ints(at.tolist())
    if not np.isfinite(volume.values[where]):
        raise UsageError(f"the image has no value at the seed, voxel {where}", do="place the seed in the lesion")
    return where


def _highest_peak(volume: Volume, rough: Region) -> npt.NDArray[np.int64]:
    """Find the highest local maximum in a rough region; its highest voxel may be the flank of a neighbour."""
    first = np.maximum(np.subtract(rough.start_ijk, 1), 0)
    box = tuple(slice(a, b + n + 1) for a, b, n in zip(first, rough.start_ijk, rough.fraction.shape, strict=True))
    values = np.nan_to_num(volume.values[box], nan=-np.inf)
    inside = np.zeros(values.shape, bool)
    inside[
        tuple(slice(b - a, b - a + n) for a, b, n in zip(first, rough.start_ijk, rough.fraction.shape, strict=True))
    ] = rough.fraction >= INSIDE
    peaks = inside & (values == maximum_filter(values, 3))
    among = np.where(peaks if peaks.any() else inside, values, -np.inf)
    return np.add(np.unravel_index(int(np.argmax(among)), among.shape), first)
