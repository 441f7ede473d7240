"""Means in small spheres centred on voxels; a voxel the sphere cuts counts by its volume inside."""

from __future__ import annotations

from functools import cache
from math import ceil

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from lutra.core.frozen import read_only

Floats = npt.NDArray[np.float64]

LINE_MM = 0.1
"""Distance of the lines a voxel is cut along, exactly; shares of voxels then err by less than 0.001. [mm]"""


@cache
def sphere_shares(radius_mm: float, spacing_mm: tuple[float, float, float]) -> Floats:
    """Share of each voxel round the centre one that lies in a sphere. [1] (i, j, k)"""
    x, y, z = (np.arange(-n, n + 1.0) for n in half_widths(radius_mm, spacing_mm))
    lines = [ceil(step / LINE_MM) for step in spacing_mm[:2]]
    across = [
        ((axis[:, None] + (np.arange(n) + 0.5) / n - 0.5) * step).ravel() ** 2
        for axis, n, step in zip((x, y), lines, spacing_mm[:2], strict=True)
    ]
    chord = np.sqrt(np.clip(radius_mm**2 - np.add.outer(*across), 0, None))[..., None] / spacing_mm[2]
    along = np.clip(np.minimum(chord, z + 0.5) - np.maximum(-chord, z - 0.5), 0, None)
    shares = along.reshape(len(x), lines[0], len(y), lines[1], len(z)).mean(axis=(1, 3))
    return np.asarray(read_only(shares))


def half_widths(radius_mm: float, spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Voxels that a sphere reaches beyond its central one, along each axis."""
    i, j, k = (ceil(radius_mm / step - 0.5) for step in spacing_mm)
    return i, j, k


def means_under(values: npt.NDArray[np.float32], box: tuple[slice, slice, slice], kernel: Floats) -> Floats:
    """Mean of an image under a kernel centred on each voxel of a box. (i, j, k)

    What lies outside the image, and voxels without a value, do not count; where nothing counts the mean is -inf.

    Parameters
    ----------
    values
        The image. (i, j, k)
    kernel
        Weights, of odd shape.
    """
    margin = np.array(kernel.shape) // 2
    first = np.array([side.start for side in box])
    shape = np.array([side.stop - side.start for side in box])
    start = np.maximum(first - margin, 0)
    stop = np.minimum(first + shape + margin, values.shape)
    block = values[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(np.float64)
    known = np.isfinite(block)
    offset = first - start
    inner = tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))
    total = fftconvolve(np.where(known, block, 0.0), kernel, mode="same")[inner]
    whole = bool(known.all() and (start == first - margin).all() and (stop == first + shape + margin).all())
    if whole:
        return np.asarray(total / kernel.sum())
    counts = fftconvolve(known.astype(np.float64), kernel, mode="same")[inner]
    # A centre without a single known voxel round it has no mean; the transform leaves rounding there.
    return np.asarray(np.divide(total, counts, out=np.full(total.shape, -np.inf), where=counts > 1e-6 * kernel.sum()))
