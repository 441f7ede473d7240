"""A real image as another scan would have it: the patient laid down elsewhere, another field of view, noise, another contrast.

What a registration finds can then be held against the truth. The image is interpolated once, by cubic splines, so that the truth is
that of the image and not of a smoother one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve
from scipy import ndimage

from lutra.core.grid import Grid
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.shapes import rotation

AIR_HU = -1000.0
OTHER_CONTRAST = (
    (-1000.0, 0.0),
    (-200.0, 120.0),
    (-50.0, 900.0),
    (50.0, 500.0),
    (150.0, 700.0),
    (400.0, 60.0),
    (1500.0, 20.0),
)
"""CT number to brightness as in a magnetic resonance image: fat brightest, bone dark; neither rising nor falling."""
GRAIN_VOXELS = 0.6
"""Width of the noise grains. [voxels]"""


def moved(
    volume: Volume, turn_deg: npt.ArrayLike, shift_mm: npt.ArrayLike, frame: str, seed: int
) -> tuple[Volume, Transform]:
    """Turn the patient about the middle of the image and lay them elsewhere; the scanner stays centred on them.

    Parameters
    ----------
    turn_deg, shift_mm
        About and along x, y and z. [degree], [mm] (3,) each
    frame
        Frame of reference of the new scan.
    seed
        Of the position of the new voxels between the old ones.

    Returns
    -------
    tuple
        The new scan, and the true transform from it to the old one.
    """
    rng = np.random.default_rng([seed, *b"grid"])
    grid = volume.grid
    middle = grid.to_lps_mm(np.subtract(grid.shape, 1) / 2)
    moving_from_fixed = np.eye(4)
    moving_from_fixed[:3, :3] = rotation(*np.asarray(turn_deg, float).tolist())
    moving_from_fixed[:3, 3] = middle + np.asarray(shift_mm, float) - moving_from_fixed[:3, :3] @ middle
    affine = np.array(grid.affine_lps_mm)
    affine[:3, 3] += np.asarray(shift_mm, float) + affine[:3, :3] @ rng.uniform(-0.5, 0.5, 3)
    new = Grid(grid.shape, affine, frame)
    index = np.linalg.inv(moving_from_fixed @ grid.affine_lps_mm) @ affine
    air = AIR_HU if volume.unit == Unit.HU else 0.0
    values = ndimage.affine_transform(volume.values, index[:3, :3], index[:3, 3], order=3, mode="constant", cval=air)
    values = np.clip(values, volume.values.min(), volume.values.max())
    truth = Transform(grid.frame_of_reference, frame, np.linalg.inv(moving_from_fixed), 0.0, "known")
    return evolve(volume, values=values, grid=new), truth


def cut(volume: Volume, first: float, last: float, axis: int = 2) -> Volume:
    """Scan only part of the length, from one share of it to another. [1]"""
    n = volume.grid.shape[axis]
    begin, end = round(first * n), round(last * n)
    values = volume.values.take(range(begin, end), axis=axis)
    affine = np.array(volume.grid.affine_lps_mm)
    affine[:3, 3] += begin * affine[:3, axis]
    return evolve(volume, values=values, grid=evolve(volume.grid, shape=values.shape, affine_lps_mm=affine))


def noisy(volume: Volume, sd: float, seed: int) -> Volume:
    """Add noise with the given standard deviation of a voxel. [unit]"""
    noise = ndimage.gaussian_filter(
        np.random.default_rng([seed, *b"noise"]).normal(size=volume.grid.shape), GRAIN_VOXELS
    )
    return evolve(volume, values=volume.values + sd * noise / noise.std())


def other_contrast(ct: Volume) -> Volume:
    """Show a CT with the brightness of other tissues, as another modality does, in numbers without a unit."""
    hu, brightness = zip(*OTHER_CONTRAST, strict=True)
    return evolve(ct, values=np.interp(ct.values, hu, brightness), unit=Unit.STORED)
