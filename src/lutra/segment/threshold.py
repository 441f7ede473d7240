"""Thresholds: which value the border has, what is connected to the lesion above it, and how much of each voxel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, label, map_coordinates

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Shape
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.physics.blurred_sphere import border_share
from lutra.physics.recovery import sphere_diameter_mm
from lutra.segment.settings import DelineationSettings, Method
from lutra.segment.surroundings import INSIDE, SD_PER_MAD, Floats, Mask

CORE = 0.7
"""Where a lesion is higher than this share of its maximum over the background it is core, as in [schaefer2008]. [1]"""
NEIGHBOURS = np.ones((3, 3, 3), bool)
SAMPLES_PER_EDGE = 4
"""A voxel at the border is sampled 4 times along each edge: its share is then known to about 0.02."""


def border_level(
    settings: DelineationSettings, inside: Floats, top: float, background: float, voxel_volume_ml: float
) -> float:
    """Value of the image at the border of a lesion. [unit of image]

    Parameters
    ----------
    inside
        Voxels inside the border as it was taken so far. [unit of image] (n)
    top
        Highest voxel of the lesion. [unit of image]
    background
        Median round it. [unit of image]

    Raises
    ------
    OutsideValidity
        If the method `fixed` has no level.

    References
    ----------
    [schaefer2008] Schaefer et al., Eur J Nucl Med Mol Imaging 35:1989: a threshold from the mean above 70 % of the maximum.
    """
    if settings.method is Method.FIXED:
        if settings.level is None:
            raise OutsideValidity("the method “fixed” has no level", do="set `level`, in the unit of the image")
        return settings.level
    if settings.method is Method.PERCENT_OF_MAX:
        return settings.share * top
    if settings.method is Method.SPHERE_ADAPTED:
        height = inside - background
        core = float(height[height >= CORE * (top - background)].mean())
        diameter_mm = sphere_diameter_mm(len(inside) * voxel_volume_ml)
        return background + border_share(diameter_mm, settings.fwhm_mm, CORE) * core
    return background + settings.share * (top - background)


def liver_threshold(volume: Volume, liver: Region, factor: float = 1.5, sds: float = 2.0) -> float:
    """Value above which uptake is not like the liver's: 1.5 times its mean and two standard deviations. [unit of image]

    PERCIST measures a sphere of 30 mm in the healthy right lobe. A whole liver may be given instead: median and median absolute
    deviation stand for mean and standard deviation, so that metastases and the blurred border count little.

    Parameters
    ----------
    liver
        Sphere or organ on the image's grid; also a blood pool, with a factor of 2.
    factor, sds
        1.5 and 2 for liver, 2 and 2 for blood pool [wahl2009]. [1]

    Raises
    ------
    OutsideValidity
        If the region holds no voxel with a value.

    References
    ----------
    [wahl2009] Wahl et al., J Nucl Med 50:122S; O et al., Radiology 280:576 (2016), PMC4976461.
    """
    liver.grid.require_match(volume.grid, f"region {liver.name} and the image")
    inside = volume.values[liver.box][liver.fraction >= INSIDE].astype(np.float64)
    inside = inside[np.isfinite(inside)]
    if not len(inside):
        raise OutsideValidity(f"region {liver.name} holds no voxel with a value", do="draw it on this image")
    middle = float(np.median(inside))
    return factor * middle + sds * SD_PER_MAD * float(np.median(np.abs(inside - middle)))


def connected(above: Mask, at: Shape) -> Mask:
    """Voxels connected to one of them by their faces; none if that one is not among them. (i, j, k)"""
    if not above[at]:
        return np.zeros_like(above)
    numbers, _ = label(above)
    found: Mask = numbers == numbers[at]
    return found


def partial_voxels(values: Floats, body: Mask, level: float, territory: Mask) -> npt.NDArray[np.float32]:
    """Share of each voxel that lies above a level, the image being linear between voxel centres. [1] (i, j, k)

    Parameters
    ----------
    body
        Voxels whose centres are above and connected. The voxels that touch them may have a share too.
    territory
        Voxels that may have a share at all.
    """
    low, high = (np.clip(edge, 0, None) for edge in _margins(body))
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    near = binary_dilation(body[box], NEIGHBOURS) & territory[box]
    inner = body[box] & ~binary_dilation(values[box] < level, NEIGHBOURS)
    share = np.zeros(values.shape, np.float32)
    share[box][inner] = 1
    cut = np.argwhere(near & ~inner)
    step = (np.arange(SAMPLES_PER_EDGE) + 0.5) / SAMPLES_PER_EDGE - 0.5
    offsets = np.stack(np.meshgrid(step, step, step, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (cut[:, None, :] + offsets).reshape(-1, 3)
    sampled = map_coordinates(values[box], points.T, order=1, mode="nearest").reshape(len(cut), -1)
    share[box][tuple(cut.T)] = (sampled >= level).mean(axis=1)
    return share


def _margins(body: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    filled = np.argwhere(body)
    return filled.min(axis=0) - 2, filled.max(axis=0) + 3
