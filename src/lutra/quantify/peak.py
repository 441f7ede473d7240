"""Mean in a sphere of one millilitre: SUVpeak, and the local and global intensity peak of the IBSI.

All place the centre of the sphere on voxel centres of the region; the sphere itself may reach beyond the region, never beyond
the image. They differ in what they do with voxels the sphere cuts: SUVpeak counts them by the volume inside, the IBSI takes those
whose centre is inside, which makes the sphere 1.2 mL of 4 mm voxels and 0.9 mL of 5 mm voxels.
"""

from __future__ import annotations

from functools import cache
from math import ceil, pi

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from lutra.core.frozen import read_only
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.quantify.weighted import Floats, counted

PEAK_RADIUS_MM = (3 * 1000 / (4 * pi)) ** (1 / 3)
"""Radius of a 1.0 mL sphere, 6.2035 mm (PERCIST; IBSI reference manual, local intensity). [mm]"""
LINE_MM = 0.1
"""Distance of the lines a voxel is cut along, exactly; shares of voxels then err by less than 0.001. [mm]"""


def suv_peak(volume: Volume, region: Region) -> float:
    """Highest mean in a 1.0 mL sphere whose centre is the centre of a voxel of the region. [unit of volume]

    Voxels cut by the sphere count by their volume inside. Voxels without a value, and what lies outside the image, do not count.
    """
    means = _means(volume, region, sphere_shares(volume.grid.spacing_mm))
    return float(means[counted(region.fraction)].max())


def local_peaks(volume: Volume, region: Region, mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Local and global intensity peak as the IBSI defines them (VJGA, 0F91). [unit of volume]

    Parameters
    ----------
    mask
        Voxels of the region's box that belong to the intensity mask.

    Returns
    -------
    local
        Mean round the highest voxel; of several, the highest mean.
    everywhere
        Highest mean round any voxel of the mask.
    """
    means = _means(volume, region, _centres_inside(volume.grid.spacing_mm))
    voxels = volume.values[region.box]
    top = mask & (voxels == voxels[mask].max())
    return float(means[top].max()), float(means[mask].max())


@cache
def sphere_shares(spacing_mm: tuple[float, float, float]) -> Floats:
    """Share of each voxel round the centre one that lies in the 1.0 mL sphere. [1] (i, j, k)"""
    x, y, z = (np.arange(-n, n + 1.0) for n in _half_widths(spacing_mm))
    lines = [ceil(step / LINE_MM) for step in spacing_mm[:2]]
    across = [
        ((axis[:, None] + (np.arange(n) + 0.5) / n - 0.5) * step).ravel() ** 2
        for axis, n, step in zip((x, y), lines, spacing_mm[:2], strict=True)
    ]
    chord = np.sqrt(np.clip(PEAK_RADIUS_MM**2 - np.add.outer(*across), 0, None))[..., None] / spacing_mm[2]
    along = np.clip(np.minimum(chord, z + 0.5) - np.maximum(-chord, z - 0.5), 0, None)
    shares = along.reshape(len(x), lines[0], len(y), lines[1], len(z)).mean(axis=(1, 3))
    return np.asarray(read_only(shares))


@cache
def _centres_inside(spacing_mm: tuple[float, float, float]) -> Floats:
    x, y, z = ((np.arange(-n, n + 1) * s) ** 2 for n, s in zip(_half_widths(spacing_mm), spacing_mm, strict=True))
    inside = x[:, None, None] + y[:, None] + z <= PEAK_RADIUS_MM**2
    return np.asarray(read_only(inside, np.float64))


def _half_widths(spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    i, j, k = (ceil(PEAK_RADIUS_MM / step - 0.5) for step in spacing_mm)
    return i, j, k


def _means(volume: Volume, region: Region, kernel: Floats) -> Floats:
    """Mean under the kernel centred on each voxel of the region's box. (i, j, k)"""
    margin = np.array(kernel.shape) // 2
    first = np.array(region.start_ijk)
    start = np.maximum(first - margin, 0)
    stop = np.minimum(first + region.fraction.shape + margin, volume.grid.shape)
    block = volume.values[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(np.float64)
    known = np.isfinite(block)
    offset = first - start
    inner = tuple(slice(o, o + n) for o, n in zip(offset, region.fraction.shape, strict=True))
    total = fftconvolve(np.where(known, block, 0.0), kernel, mode="same")[inner]
    whole = bool(
        known.all() and (start == first - margin).all() and (stop == first + region.fraction.shape + margin).all()
    )
    if whole:
        return np.asarray(total / kernel.sum())
    counts = fftconvolve(known.astype(np.float64), kernel, mode="same")[inner]
    # A centre without a single known voxel round it has no mean; the transform leaves rounding there.
    return np.asarray(np.divide(total, counts, out=np.full(total.shape, -np.inf), where=counts > 1e-6 * kernel.sum()))
