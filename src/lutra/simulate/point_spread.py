"""Gaussian blur and noise of one grain, by cosine transform: exact below the size of a voxel, mirrored at the edge of the image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from lutra.core.frozen import FloatArray
from lutra.physics.recovery import FWHM_PER_SIGMA

Image = npt.NDArray[np.float32]
Triple = tuple[float, float, float]


def blurred(values: FloatArray, fwhm_mm: Triple, spacing_mm: Triple) -> Image:
    """Convolve with a Gaussian. Total and mean are kept; a sharp edge overshoots where the Gaussian is narrower than a voxel.

    Parameters
    ----------
    values
        (i, j, k)
    fwhm_mm
        Along each axis; 0 leaves it alone. [mm]
    """
    image = np.asarray(values, np.float32)
    for axis, (fwhm, spacing) in enumerate(zip(fwhm_mm, spacing_mm, strict=True)):
        if fwhm > 0:
            shape = [-1 if a == axis else 1 for a in range(3)]
            response = _response(image.shape[axis], fwhm, spacing).reshape(shape)
            image = fft.idct(fft.dct(image, axis=axis, norm="ortho") * response, axis=axis, norm="ortho")
    return np.asarray(image, np.float32)


def grains(shape: tuple[int, int, int], fwhm_mm: Triple, spacing_mm: Triple, rng: np.random.Generator) -> Image:
    """Gaussian noise of mean 0 and standard deviation 1, correlated as white noise is after a blur. [1] (i, j, k)"""
    noise = blurred(rng.standard_normal(shape, np.float32), fwhm_mm, spacing_mm)
    kept = 1.0
    for axis, (fwhm, spacing) in enumerate(zip(fwhm_mm, spacing_mm, strict=True)):
        if fwhm > 0:
            kept *= float(np.mean(_response(shape[axis], fwhm, spacing) ** 2))
    return np.asarray(noise / np.float32(np.sqrt(kept)), np.float32)


@lru_cache(maxsize=64)
def _response(n: int, fwhm_mm: float, spacing_mm: float) -> Image:
    """Transfer of the Gaussian at the frequencies of a cosine transform of n points. [1] (n)"""
    frequency = np.arange(n) / (2 * n * spacing_mm)
    response = np.exp(-2 * (np.pi * fwhm_mm / FWHM_PER_SIGMA * frequency) ** 2)
    return np.asarray(response, np.float32)
