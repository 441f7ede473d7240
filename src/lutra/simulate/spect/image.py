"""From views to an image in Bq/mL, by a camera factor measured with the same simulated camera."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from scipy.ndimage import gaussian_filter

from lutra.core.calibration import CameraFactor
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.decay import decay_constant_per_s
from lutra.physics.recovery import FWHM_PER_SIGMA
from lutra.reference.nuclides import nuclide
from lutra.simulate.spect.acquire import BQ_PER_MBQ, Acquisition, Views, acquire, from_square, model_of
from lutra.simulate.spect.camera import GammaCamera
from lutra.simulate.spect.osem import osem
from lutra.simulate.spect.phantom import round_share, single_sphere

FACTOR_SPHERE_MM = 100.0
FACTOR_MARGIN_MM = 30.0
"""Counts are taken from a sphere this much larger in radius, so that blur loses none. [mm]"""


@frozen(eq=False)
class SpectImage:
    """What a SPECT scan gives.

    Parameters
    ----------
    counts
        Counts of all views, had nothing been attenuated, as the scanner stores them; not corrected for decay or dead time.
    duration_s
        How long it was counted. [s]
    camera_factor
        Counts per second and activity of this camera with this reconstruction. [cps/MBq]
    total_counts
        Counts in the peak window.
    lost_share
        Share of the counts lost to dead time. [1]
    """

    counts: Volume
    duration_s: float
    camera_factor: CameraFactor
    total_counts: float
    lost_share: float
    mode: str

    @property
    def volume(self) -> Volume:
        """Activity at the start of the scan, by factor and duration, with the decay during the scan undone. [Bq/mL]"""
        scale = (
            BQ_PER_MBQ
            / (self.camera_factor.value * self.duration_s * mean_decay(self.duration_s))
            / self.counts.grid.voxel_volume_ml
        )
        values = self.counts.values * np.float32(scale)
        return evolve(self.counts, values=values, unit=Unit.BQ_PER_ML, decay_referenced_to=self.counts.acquired_at)


def mean_decay(duration_s: float) -> float:
    """Mean activity of 177Lu during a scan over that at its start. [1]"""
    decayed = decay_constant_per_s(nuclide("Lu-177").half_life_s) * duration_s
    return float(-np.expm1(-decayed) / decayed)


def reconstruct(views: Views, attenuation: Volume, camera: GammaCamera, how: Acquisition) -> npt.NDArray[np.float32]:
    """Reconstruct counts per voxel. (i, j, k)"""
    additive = None
    if how.scatter_correction == "exact":
        additive = views.scatter
    elif how.scatter_correction == "windows" and views.beside is not None:
        additive = views.beside.scatter()
    system = model_of(views, attenuation, camera, how)
    image = from_square(osem(system, views.counts, additive, how.iterations, how.subsets), attenuation.grid.shape)
    if how.filter_fwhm_mm:
        sigma = [how.filter_fwhm_mm / FWHM_PER_SIGMA / s for s in attenuation.grid.spacing_mm]
        image = gaussian_filter(image, sigma, mode="constant")
    return image


def full_image(
    activity: Volume, attenuation: Volume, camera: GammaCamera, how: Acquisition, seed: int, factor: CameraFactor
) -> SpectImage:
    """Acquire and reconstruct; see :func:`lutra.simulate.spect.simulate_spect`."""
    views = acquire(activity, attenuation, camera, how, seed)
    counts = evolve(activity, values=reconstruct(views, attenuation, camera, how), unit=Unit.STORED)
    total = float(views.counts.sum(dtype=np.float64))
    return SpectImage(counts, how.duration_s(camera), factor, total, views.lost_share, "full")


@lru_cache(maxsize=32)
def measured_factor(camera: GammaCamera, how: Acquisition, spacing_mm: float) -> CameraFactor:
    """Measure the camera factor as a site does: a large sphere of known activity in water, same protocol, many counts.

    Counts are taken from a larger sphere around it. There is no counting noise and no dead time; the standard uncertainty
    is that of the numbers, so a site's own (1.6 % at best, 5 % usually) comes on top.
    """
    phantom = single_sphere(spacing_mm, FACTOR_SPHERE_MM)
    quiet = evolve(how, noise=False, dead_time=False)
    views = acquire(phantom.activity, phantom.attenuation, camera, quiet, 0)
    image = reconstruct(views, phantom.attenuation, camera, quiet)
    radius = FACTOR_SPHERE_MM / 2 + FACTOR_MARGIN_MM
    around = round_share(phantom.activity.grid, (0, 0, 0), radius)
    seen = float(np.sum(image * around))
    duration = quiet.duration_s(camera)
    true_mbq = phantom.activity.integral() * mean_decay(duration) / BQ_PER_MBQ
    return CameraFactor(seen / duration / true_mbq, 0.0, "cps/MBq", "sphere")
