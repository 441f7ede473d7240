"""Blurred spheres with noise, made analytically: no voxel of theirs depends on the code that is measured on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume

Floats = npt.NDArray[np.float64]
FWHM_PER_SIGMA = 2.3548200450309493


def blurred_sphere(distance_mm: Floats, radius_mm: float, fwhm_mm: float) -> Floats:
    """Convolve a sphere of height 1 with an isotropic Gaussian, at distances from its centre [hofheinz2010]."""
    s = fwhm_mm / FWHM_PER_SIGMA
    r = np.maximum(distance_mm, 1e-3)
    near, far = (radius_mm - r) / (s * 2**0.5), (radius_mm + r) / (s * 2**0.5)
    return np.asarray(
        (erf(near) + erf(far)) / 2 - s / (r * (2 * np.pi) ** 0.5) * (np.exp(-(near**2)) - np.exp(-(far**2)))
    )


def image(
    spheres: Sequence[tuple[Sequence[float], float, float]],
    *,
    fwhm_mm: float,
    voxel_mm: float,
    half_mm: float,
    noise: float,
    seed: int,
    background: float = 1.0,
) -> Volume:
    """Make an image of spheres in a uniform background.

    Parameters
    ----------
    spheres
        Centre [mm], diameter [mm] and ratio to the background of each; those that overlap add.
    half_mm
        Half the edge of the image. [mm]
    noise
        Standard deviation in the background, relative to it; it grows with the root of the activity. [1]
    """
    n = 2 * round(half_mm / voxel_mm) + 1
    axis = (np.arange(n) - n // 2) * voxel_mm
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    values = np.full((n, n, n), background)
    for (a, b, c), diameter_mm, ratio in spheres:
        distance = np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2)
        values += background * (ratio - 1) * blurred_sphere(distance, diameter_mm / 2, fwhm_mm)
    if noise:
        grain = gaussian_filter(
            np.random.default_rng(seed).standard_normal(values.shape), 0.7 * fwhm_mm / FWHM_PER_SIGMA / voxel_mm
        )
        values += noise * background * grain / grain.std() * np.sqrt(np.maximum(values, 0.2 * background) / background)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = -(n // 2) * voxel_mm
    return Volume(values, Grid((n, n, n), affine, "1"), Unit.SUV_BW)


def ball_region(volume: Volume, centre_mm: Sequence[float], diameter_mm: float, name: str) -> Region:
    """Draw a sphere as somebody would, in whole voxels."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in volume.grid.shape), indexing="ij"), axis=-1)
    inside = np.linalg.norm(volume.grid.to_lps_mm(index) - np.asarray(centre_mm), axis=-1) <= diameter_mm / 2
    return Region(name, RegionKind.ORGAN, volume.grid, (0, 0, 0), inside, None, RegionOrigin.DRAWN, "simulated")
