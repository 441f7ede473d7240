"""How a scanner sees an object: blur by a Gaussian point-spread function, and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

FWHM_PER_SIGMA = 2.3548200450309493
PADDING_SIGMAS = 4.0


def blur(
    image: npt.NDArray[np.float32], fwhm_mm: float, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Convolve with a Gaussian, padded with edge values so that nothing wraps around; the total is kept inside the field.

    Parameters
    ----------
    image
        (i, j, k)
    """
    sigma_mm = fwhm_mm / FWHM_PER_SIGMA
    pad = [int(np.ceil(PADDING_SIGMAS * sigma_mm / s)) for s in spacing_mm]
    padded = np.pad(image.astype(np.float64), [(p, p) for p in pad], mode="edge")
    spectrum = fft.rfftn(padded)
    for axis, (n, s) in enumerate(zip(padded.shape, spacing_mm, strict=True)):
        frequency = (fft.rfftfreq if axis == 2 else fft.fftfreq)(n, s)
        response = np.exp(-2 * (np.pi * sigma_mm * frequency) ** 2)
        spectrum *= response.reshape([-1 if a == axis else 1 for a in range(3)])
    seen = fft.irfftn(spectrum, padded.shape)
    inner = tuple(slice(p, p + n) for p, n in zip(pad, image.shape, strict=True))
    return np.asarray(seen[inner], np.float32)


def emission(
    truth: npt.NDArray[np.float32],
    fwhm_mm: float,
    spacing_mm: tuple[float, float, float],
    relative_noise: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """See an activity concentration: blurred, with noise that grows with the root of the signal.

    Parameters
    ----------
    relative_noise
        Standard deviation of a voxel at the mean of the upper percent of the image, relative to it. [1]
    """
    seen = np.maximum(blur(truth, fwhm_mm, spacing_mm), 0)
    reference = float(np.percentile(seen, 99))
    noise: npt.NDArray[Any] = rng.normal(0, relative_noise, seen.shape) * np.sqrt(seen * reference)
    return np.asarray(np.maximum(seen + noise, 0), np.float32)
