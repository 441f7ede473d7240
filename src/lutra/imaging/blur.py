"""What blur does to regions."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

FWHM_PER_SIGMA = 2 * sqrt(2 * log(2))
REACH_SIGMAS = 4.0
"""Where the Gaussian is cut off; 2e-4 of it, in three dimensions, lies beyond."""


def blurred(
    values: npt.NDArray[np.float32], fwhm_mm: float, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """Convolve with a Gaussian, nothing coming in from outside. (i, j, k)"""
    sigmas = [fwhm_mm / FWHM_PER_SIGMA / step for step in spacing_mm]
    return np.asarray(gaussian_filter(values.astype(np.float64), sigmas, mode="constant", truncate=REACH_SIGMAS))


def reach_voxels(fwhm_mm: float, spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Voxels over which the blur carries something, along each axis."""
    i, j, k = (int(np.ceil(REACH_SIGMAS * fwhm_mm / FWHM_PER_SIGMA / step)) for step in spacing_mm)
    return i, j, k
