"""What a camera with one protocol does to an image: measured on phantoms that it images and reconstructs in full.

Measuring takes up to a minute. For the default protocol the results stand in `characters.toml`, over the size of the voxels.
"""

from __future__ import annotations

import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from math import log, sqrt

import numpy as np
import numpy.typing as npt
from attrs import asdict, evolve
from scipy.optimize import minimize_scalar

from lutra.core.calibration import CameraFactor
from lutra.physics.recovery import FWHM_PER_SIGMA
from lutra.simulate.spect.acquire import BQ_PER_MBQ, Acquisition, acquire
from lutra.simulate.spect.camera import GammaCamera, gamma_cameras
from lutra.simulate.spect.fast import Character, blurred, lines_of, relative_variance
from lutra.simulate.spect.image import full_image, mean_decay, measured_factor, reconstruct
from lutra.simulate.spect.phantom import Phantom, sphere_phantom

Image = npt.NDArray[np.float32]

FREE = ("views", "s_per_view", "noise", "dead_time")
"""Settings of a protocol that do not change its character: noise goes with the counts, losses are undone."""
BACKGROUND = 0.05
"""Around the spheres, over that in them, as in a patient. Reconstruction sharpens hot spheres in a cold cylinder more: their
recoveries fit 5.9 mm without and 7.9 mm with this background (Symbia, 6.4 mm voxels), those of organs and lesions in a
trunk 7 to 8 mm."""
NOISE_BQ_PER_ML = 2e5
"""Concentration in the spheres for noise: some 100 MBq in all, a patient after four days. [Bq/mL]"""
REALISATIONS = 6
FWHM_SEARCHED_MM = (2.0, 40.0)


def character(camera: GammaCamera, how: Acquisition, spacing_mm: float) -> Character:
    """Look up what a camera does to an image with voxels of this size, or measure it.

    Between tabulated sizes the numbers are interpolated.
    """
    table = _table().get(camera.name, [])
    known = gamma_cameras().get(camera.name) == camera and _same_protocol(how)
    if known and table and table[0][0] <= spacing_mm <= table[-1][0]:
        sizes = [size for size, _ in table]
        fwhm, noise, grain, factor = (
            float(np.interp(spacing_mm, sizes, column))
            for column in zip(*((c.fwhm_mm, c.noise, c.grain_fwhm_mm, c.factor.value) for _, c in table), strict=True)
        )
        return Character(fwhm, noise, grain, evolve(table[0][1].factor, value=factor))
    return measured_character(camera, evolve(how, **{key: getattr(Acquisition(), key) for key in FREE}), spacing_mm)


@lru_cache(maxsize=32)
def measured_character(camera: GammaCamera, how: Acquisition, spacing_mm: float) -> Character:
    """Measure blur, noise and factor on phantoms."""
    factor = measured_factor(camera, how, spacing_mm)
    phantom = sphere_phantom(spacing_mm, NOISE_BQ_PER_ML, BACKGROUND)
    fwhm = fitted_fwhm_mm(phantom, sphere_recoveries(phantom, camera, how, factor))
    noise, grain = _measured_noise(camera, how, factor, fwhm, spacing_mm)
    return Character(fwhm, noise, grain, factor)


def sphere_recoveries(
    phantom: Phantom, camera: GammaCamera, how: Acquisition, factor: CameraFactor
) -> tuple[float, ...]:
    """Measure the recovery of each sphere of a phantom, without counting noise and dead time. [1]"""
    quiet = evolve(how, noise=False, dead_time=False)
    image = full_image(phantom.activity, phantom.attenuation, camera, quiet, 0, factor)
    return phantom.recoveries(image.volume.values)


def fitted_fwhm_mm(phantom: Phantom, recoveries: tuple[float, ...]) -> float:
    """Gaussian that gives the spheres of a phantom these recoveries, by least squares. [mm]"""
    values, spacing = phantom.activity.values, phantom.activity.grid.spacing_mm

    def missed(fwhm_mm: float) -> float:
        found = phantom.recoveries(blurred(values, fwhm_mm, spacing))
        return float(sum((a - b) ** 2 for a, b in zip(found, recoveries, strict=True)))

    return float(minimize_scalar(missed, bounds=FWHM_SEARCHED_MM, method="bounded", options={"xatol": 0.02}).x)


def _measured_noise(
    camera: GammaCamera, how: Acquisition, factor: CameraFactor, fwhm_mm: float, spacing_mm: float
) -> tuple[float, float]:
    """Constant of the law of noise [1] and width of its grain [mm], from repeated scans of spheres in a warm background."""
    phantom = sphere_phantom(spacing_mm, NOISE_BQ_PER_ML, BACKGROUND)
    grid = phantom.activity.grid
    quick = evolve(how, dead_time=False)
    images = np.array(
        [
            reconstruct(
                acquire(phantom.activity, phantom.attenuation, camera, quick, seed), phantom.attenuation, camera, quick
            )
            for seed in range(REALISATIONS)
        ]
    )
    mean, deviation = images.mean(axis=0), images - images.mean(axis=0)
    variance = np.sum(deviation**2, axis=0) / (REALISATIONS - 1)
    duration = how.duration_s(camera)
    per_bq = factor.value * duration * mean_decay(duration) / BQ_PER_MBQ
    expected = blurred(phantom.activity.values, fwhm_mm, grid.spacing_mm) * np.float32(per_bq * grid.voxel_volume_ml)
    law = relative_variance(
        expected, lines_of(phantom.activity, phantom.attenuation, attenuates=how.attenuation), per_bq, 1.0
    )
    filled = phantom.activity.values >= 0.999 * BACKGROUND * NOISE_BQ_PER_ML
    inner = filled & (np.abs(np.arange(grid.shape[2]) - (grid.shape[2] - 1) / 2) * spacing_mm < 40)
    # The median over regions as different as spheres and background keeps one of them from deciding alone.
    hot = phantom.activity.values > 0.9 * NOISE_BQ_PER_ML
    found = [float(np.mean(variance[r] / mean[r] ** 2) / np.mean(law[r])) for r in (inner & hot, inner & ~hot)]
    return sqrt(sqrt(found[0] * found[1])), _grain_mm(deviation, inner, spacing_mm)


def _grain_mm(deviation: Image, inside: npt.NDArray[np.bool_], spacing_mm: float) -> float:
    """Width of the Gaussian that correlates neighbours as these deviations are: correlation exp(-d2 / 4 s2)."""
    alike = []
    for axis in range(3):
        pair = inside & np.roll(inside, -1, axis)
        one, other = deviation[:, pair], np.roll(deviation, -1, axis + 1)[:, pair]
        alike.append(float(np.sum(one * other) / sqrt(float(np.sum(one**2)) * float(np.sum(other**2)))))
    correlation = min(max(float(np.mean(alike)), 1e-3), 0.999)
    return FWHM_PER_SIGMA * spacing_mm / sqrt(-4 * log(correlation))


def _same_protocol(how: Acquisition) -> bool:
    default, given = asdict(Acquisition()), asdict(how)
    return all(given[key] == value for key, value in default.items() if key not in FREE)


@cache
def _table() -> dict[str, list[tuple[float, Character]]]:
    """Characters of each camera for the default protocol, over the size of the voxels [mm]."""
    rows = tomllib.loads((files("lutra.simulate.spect") / "characters.toml").read_text("utf-8"))
    return {
        name: [
            (size, Character(fwhm, noise, grain, CameraFactor(factor, 0.0, "cps/MBq", "sphere")))
            for size, fwhm, noise, grain, factor in sorted(table["rows"])
        ]
        for name, table in rows.items()
    }
