"""Mean in a sphere of one millilitre: SUVpeak, and the local and global intensity peak of the IBSI.

All place the centre of the sphere on voxel centres of the region; the sphere itself may reach beyond the region, never beyond
the image. They differ in what they do with voxels the sphere cuts: SUVpeak counts them by the volume inside, the IBSI takes those
whose centre is inside, which makes the sphere 1.2 mL of 4 mm voxels and 0.9 mL of 5 mm voxels.
"""

from __future__ import annotations

from functools import cache
from math import pi

import numpy as np
import numpy.typing as npt

from lutra.core.frozen import read_only
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.imaging.spheres import half_widths, means_under, sphere_shares
from lutra.quantify.weighted import Floats, counted

PEAK_RADIUS_MM = (3 * 1000 / (4 * pi)) ** (1 / 3)
"""Radius of a 1.0 mL sphere, 6.2035 mm (PERCIST; IBSI reference manual, local intensity). [mm]"""


def suv_peak(volume: Volume, region: Region) -> float:
    """Highest mean in a 1.0 mL sphere whose centre is the centre of a voxel of the region. [unit of volume]

    Voxels cut by the sphere count by their volume inside. Voxels without a value, and what lies outside the image, do not count.
    """
    means = means_under(volume.values, region.box, sphere_shares(PEAK_RADIUS_MM, volume.grid.spacing_mm))
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
    means = means_under(volume.values, region.box, _centres_inside(volume.grid.spacing_mm))
    voxels = volume.values[region.box]
    top = mask & (voxels == voxels[mask].max())
    return float(means[top].max()), float(means[mask].max())


@cache
def _centres_inside(spacing_mm: tuple[float, float, float]) -> Floats:
    x, y, z = (
        (np.arange(-n, n + 1) * s) ** 2
        for n, s in zip(half_widths(PEAK_RADIUS_MM, spacing_mm), spacing_mm, strict=True)
    )
    inside = x[:, None, None] + y[:, None] + z <= PEAK_RADIUS_MM**2
    return np.asarray(read_only(inside, np.float64))
