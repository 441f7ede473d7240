"""Linear convolution of an image with a kernel: nothing wraps around into the image, and no tail is cut off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]


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
        self._type = np.float32 if single else np.float64
        half = [min(m // 2, n - 1) for m, n in zip(kernel.shape, shape, strict=True)]
        used = tuple(slice(m // 2 - h, m // 2 + h + 1) for m, h in zip(kernel.shape, half, strict=True))
        # Results are read off on the image alone, so what wraps around may fall anywhere else.
        self._padded = [fft.next_fast_len(n + h, real=True) for n, h in zip(shape, half, strict=True)]
        placed = np.zeros(self._padded, self._type)
        placed[tuple(slice(0, 2 * h + 1) for h in half)] = kernel[used]
        centred = np.roll(placed, [-h for h in half], axis=(0, 1, 2))
        self._transformed = fft.rfftn(centred, workers=-1)

    def __call__(self, image: Array) -> Array:
        """Sum over all voxels of their value times the kernel around them. (i, j, k)"""
        spectrum = fft.rfftn(image.astype(self._type, copy=False), self._padded, workers=-1)
        spectrum *= self._transformed
        whole = fft.irfftn(spectrum, self._padded, workers=-1, overwrite_x=True)
        result: Array = whole[tuple(slice(0, n) for n in self._shape)]
        return result
