"""The outline behind a mask: without the steps of its voxels, and without the shrinking that smoothing them costs.

Smoothing draws an outline in where it bends. So it is stretched afterwards until its second moments are those of the mask, which
no smoothing has touched and which sampling by voxels leaves unbiased.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve
from scipy.ndimage import distance_transform_edt, label

from lutra.core.region import Region
from lutra.imaging.isolines import LEVEL, outlines

SMOOTHING_SD_PIXELS = 0.8
"""Evens out the steps of a mask. The kernel has no second moment, see :func:`_smooth`. [pixels]"""
FINER = 2
"""Points per pixel edge at which the smoothed mask is contoured. [1]"""
MARGIN = 4
"""Pixels around a mask in which its smoothed edge dies away."""
PIXEL_VARIANCE = 1 / 12
"""Second moment of one pixel about its centre. [pixels2]"""

Flat = npt.NDArray[np.float32]
Lines = list[npt.NDArray[np.float64]]


def whole_voxels(region: Region) -> bool:
    """Tell whether every voxel is either in or out, as in a segmentation, and none in part, as from contours."""
    return bool(np.all((region.fraction == 0) | (region.fraction == 1)))


def parts_of_slice(flat: Flat) -> list[Flat]:
    """Cut a slice into parts of at least half-filled pixels that do not even touch at a corner; the rest goes to the nearest."""
    owner, n = _owners(flat, (1.0, 1.0))
    return [np.where(owner == part + 1, flat, np.float32(0)) for part in range(n)]


def parts_of_region(region: Region) -> tuple[Region, ...]:
    """Cut a region into pieces of at least half-filled voxels that touch nowhere; the rest goes to the nearest.

    Volume is kept. Nothing comes back of a region without a half-filled voxel.
    """
    owner, n = _owners(region.fraction, region.grid.spacing_mm)
    return tuple(evolve(region, fraction=np.where(owner == part + 1, region.fraction, 0)) for part in range(n))


def outlines_of_part(part: Flat, *, whole: bool) -> Lines:
    """Outlines of one part of a slice, holes among them.

    Parameters
    ----------
    part
        Share of each pixel inside; at least one is half filled. [1] (i, j)
    whole
        Whether the region is one of whole voxels.

    Returns
    -------
    list
        Polygons in fractional indices of the array, parts counter-clockwise and holes clockwise. [pixels] each (n, 2)
    """
    smooth = _smooth(part)
    # A part of one or two pixels does not reach one half once it is smoothed; the stretching sets its size all the same.
    level = min(LEVEL, float(smooth.max()) / 2)
    lines = [(line + 0.5) / FINER - 0.5 - MARGIN for line in outlines(smooth, level)]
    centre, covariance = _moments_of_polygons(lines)
    true_centre, true_covariance = _moments_of_pixels(part, whole=whole)
    stretch = _power(true_covariance, 0.5) @ _power(covariance, -0.5)
    return [(line - centre) @ stretch + true_centre for line in lines]


def _owners(fraction: Flat, spacing: tuple[float, ...]) -> tuple[npt.NDArray[np.int32], int]:
    """Part that each voxel belongs to, counted from 1: its own or the nearest; and how many parts there are."""
    labels, n = label(fraction >= LEVEL, np.ones((3,) * fraction.ndim))
    if n <= 1:
        return np.full(fraction.shape, n, np.int32), int(n)
    nearest = distance_transform_edt(labels == 0, spacing, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)]), int(n)


def _smooth(part: Flat) -> npt.NDArray[np.float64]:
    """Smooth on a finer grid, with a kernel that leaves parabolas as they are.

    A Gaussian draws an edge of radius R in by sd² / 2R. Twice a Gaussian less one of twice the variance has no second moment,
    so that this term vanishes.
    """
    narrow, wide = (
        _weights(part.shape[0], sd) @ part @ _weights(part.shape[1], sd).T
        for sd in (SMOOTHING_SD_PIXELS, np.sqrt(2) * SMOOTHING_SD_PIXELS)
    )
    smooth: npt.NDArray[np.float64] = 2 * narrow - wide
    return smooth


def _weights(n: int, sd: float) -> npt.NDArray[np.float64]:
    """Say what each of `n` pixels gives to each point of the finer grid. (points, n)"""
    points: npt.NDArray[np.float64] = (np.arange((n + 2 * MARGIN) * FINER) + 0.5) / FINER - 0.5 - MARGIN
    bell: npt.NDArray[np.float64] = np.exp(-0.5 * ((points[:, None] - np.arange(n)) / sd) ** 2)
    return np.asarray(bell / (sd * np.sqrt(2 * np.pi)))


def _moments_of_pixels(part: Flat, *, whole: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centre and covariance of the shape behind the pixels. [pixels] (2,), [pixels2] (2, 2)

    A whole voxel says where its centre lies, and sums over a lattice are unbiased. A share is a mean over a pixel, which adds
    the second moment of the pixel. Nothing is taken for narrower than one pixel.
    """
    where, weight = np.argwhere(part > 0).astype(np.float64), part[part > 0].astype(np.float64)
    centre = weight @ where / weight.sum()
    offset = where - centre
    covariance = (offset * weight[:, None]).T @ offset / weight.sum()
    variances, axes = np.linalg.eigh(covariance if whole else covariance - PIXEL_VARIANCE * np.eye(2))
    return centre, (axes * np.maximum(variances, PIXEL_VARIANCE)) @ axes.T


def _moments_of_polygons(lines: Lines) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centre and covariance of what polygons enclose, by Green's theorem. [pixels] (2,), [pixels2] (2, 2)"""
    p = np.concatenate(lines)
    q = np.concatenate([np.roll(line, -1, axis=0) for line in lines])
    origin = p.mean(axis=0)
    p, q = p - origin, q - origin
    cross = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]  # twice the area of the triangle with the origin
    area = cross.sum() / 2
    centre = cross @ (p + q) / (6 * area)
    second = sum((v * cross[:, None]).T @ v for v in (p, q, p + q)) / (24 * area)
    return origin + centre, second - np.outer(centre, centre)


def _power(covariance: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    """Power of a symmetric matrix."""
    variances, axes = np.linalg.eigh(covariance)
    power: npt.NDArray[np.float64] = (axes * variances**exponent) @ axes.T
    return power
