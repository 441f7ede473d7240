"""Linear convolution of an image with a kernel: nothing wraps around into the image, and no tail is cut off."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from lutra.physics.compiled import compiled

Array = npt.NDArray[np.float64]
MOST_TAPS = 125
"""Up to this many voxels a kernel is faster added up than transformed."""
BLOCK = 64
"""Planes that are transformed along the first axis at once: few enough to stay in the processor's cache."""
EVEN = 1e-6
"""A kernel whose transform has no larger imaginary part than this share is even along every axis, and its transform real."""


class Convolver:
    """A kernel made ready for images of one shape.

    Parameters
    ----------
    kernel
        Its middle voxel is the source; odd along each axis. What reaches further than an image is long is not used.
    shape
        Of the images. (i, j, k)
    single
        Compute in single precision: half the time, errors of 1e-7 of the largest value.
    """

    def __init__(self, kernel: Array, shape: tuple[int, int, int], *, single: bool = False) -> None:
        self._shape = shape
        self._type: type[np.floating[Any]] = np.float32 if single else np.float64
        half = [min(m // 2, n - 1) for m, n in zip(kernel.shape, shape, strict=True)]
        used = kernel[tuple(slice(m // 2 - h, m // 2 + h + 1) for m, h in zip(kernel.shape, half, strict=True))]
        flipped: Array = np.ascontiguousarray(used[::-1, ::-1, ::-1], self._type)
        self._taps = flipped if used.size <= MOST_TAPS else None
        if self._taps is None:
            # Results are read off on the image alone, so what wraps around may fall anywhere else.
            self._padded = [fft.next_fast_len(n + h, real=True) for n, h in zip(shape, half, strict=True)]
            self._transformed = self._transform(used, half)

    def _transform(self, used: Array, half: list[int]) -> npt.NDArray[Any]:
        placed = np.zeros(self._padded, self._type)
        placed[tuple(slice(0, 2 * h + 1) for h in half)] = used
        found: npt.NDArray[Any] = fft.rfftn(np.roll(placed, [-h for h in half], axis=(0, 1, 2)), workers=-1)
        even = np.abs(found.imag).max() <= EVEN * np.abs(found.real).max()
        return np.ascontiguousarray(found.real) if even else found

    def __call__(self, image: Array) -> Array:
        """Sum over all voxels of their value times the kernel around them. (i, j, k)"""
        given: Array = np.ascontiguousarray(image, self._type)
        return self._added(given) if self._taps is not None else self._multiplied(given)

    def _added(self, image: Array) -> Array:
        assert self._taps is not None  # noqa: S101  (asked by the caller)
        result = np.zeros(self._shape, self._type)
        _add_taps(np.pad(image, [(n // 2, n // 2) for n in self._taps.shape]), self._taps, result)
        return result

    def _multiplied(self, image: Array) -> Array:
        """Transform axis by axis: what is padding alone is not transformed, and what is not read is not transformed back."""
        i, j, k = self._shape
        to_i, to_j, to_k = self._padded
        lines = fft.rfft(image, to_k, axis=2, workers=-1)
        planes = fft.fft(lines, to_j, axis=1, workers=-1, overwrite_x=True)
        for first in range(0, to_j, BLOCK):
            block = slice(first, first + BLOCK)
            spectrum = fft.fft(planes[:, block], to_i, axis=0, workers=-1)
            spectrum *= self._transformed[:, block]
            planes[:, block] = fft.ifft(spectrum, axis=0, workers=-1, overwrite_x=True)[:i]
        lines = fft.ifft(planes, axis=1, workers=-1, overwrite_x=True)[:, :j]
        result: Array = fft.irfft(lines, to_k, axis=2, workers=-1)[:, :, :k]
        return result


@compiled
def _add_taps(padded: Array, taps: Array, result: Array) -> None:
    """Add to each voxel its neighbours times the taps; `padded` has half the taps around the image on every side."""
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            for a in range(taps.shape[0]):
                for b in range(taps.shape[1]):
                    for c in range(taps.shape[2]):
                        weight = taps[a, b, c]
                        for k in range(result.shape[2]):
                            result[i, j, k] += weight * padded[i + a, j + b, k + c]
