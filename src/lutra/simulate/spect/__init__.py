"""SPECT of 177Lu: a camera turns around activity in an attenuating body, and its views are reconstructed.

>>> image = simulate_spect(activity, attenuation, gamma_camera("symbia-melp"), Acquisition(s_per_view=20), seed=1)
>>> image.volume  # Bq/mL, by a camera factor measured with the same camera

The full mode makes views and reconstructs them; the fast mode blurs the truth and adds noise as the full mode would.
Reconstruction knows the attenuation map exactly and uses the projector the views were made with.
"""

from __future__ import annotations

from typing import Literal

from lutra.core.calibration import CameraFactor
from lutra.core.errors import UsageError
from lutra.core.volume import Volume
from lutra.simulate.spect.acquire import Acquisition
from lutra.simulate.spect.calibration import Calibrated, calibration_toml, expected, measured
from lutra.simulate.spect.camera import GammaCamera, gamma_camera, gamma_cameras
from lutra.simulate.spect.character import character as character_of
from lutra.simulate.spect.fast import Character, fast_image
from lutra.simulate.spect.image import SpectImage, full_image, measured_factor

__all__ = [
    "Acquisition",
    "Calibrated",
    "Character",
    "GammaCamera",
    "SpectImage",
    "calibration_toml",
    "character_of",
    "expected",
    "gamma_camera",
    "gamma_cameras",
    "measured",
    "measured_factor",
    "simulate_spect",
]


def simulate_spect(
    activity: Volume,
    attenuation: Volume,
    camera: GammaCamera,
    acquisition: Acquisition,
    seed: int,
    mode: Literal["full", "fast"] = "full",
    *,
    factor: CameraFactor | None = None,
    character: Character | None = None,
) -> SpectImage:
    """Scan and reconstruct.

    Parameters
    ----------
    activity
        At the start of the scan, on the grid of the image; its third axis is that of the rotation. [Bq/mL]
    attenuation
        At 208 keV, on the same grid. [1/mm]
    seed
        Of the counting noise; the same seed gives the same bytes, whatever the number of threads.
    mode
        `full` or `fast`.
    factor
        Camera factor that counts become activity by, in full mode; None: measured with the same camera and protocol, once.
    character
        Blur, noise and factor in fast mode; None: those of the camera and protocol, from a table or measured, once.

    Raises
    ------
    GridMismatch
        If activity and attenuation are not on one grid.
    OutsideValidity
        If the grid is oblique or not square in the plane, an activity negative, or the attenuation cannot be in 1/mm.
    UnitMismatch
        If the activity is not in Bq/mL.
    UsageError
        If there is no such mode.
    """
    spacing_mm = activity.grid.spacing_mm[0]
    if mode == "fast":
        known = character or character_of(camera, acquisition, spacing_mm)
        return fast_image(activity, attenuation, camera, acquisition, seed, known)
    if mode == "full":
        known_factor = factor or measured_factor(camera, acquisition, spacing_mm)
        return full_image(activity, attenuation, camera, acquisition, seed, known_factor)
    raise UsageError(f"mode {mode!r}", required="full or fast")
