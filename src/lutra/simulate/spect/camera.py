r"""Gamma cameras for the 208 keV peak of 177Lu: sensitivity and resolution from the collimator, and what was measured.

For parallel hexagonal holes of width d, septa t and length l in lead of attenuation :math:`\mu`, at distance z from the face,

.. math:: l_e = l - 2/\mu,\quad R_g = d\,\frac{l_e + z}{l_e},\quad R = \sqrt{R_g^2 + R_i^2},\quad
          g = \Bigl(\frac{K d}{l_e}\Bigr)^2\Bigl(\frac{d}{d+t}\Bigr)^2

References
----------
Cherry, Sorenson, Phelps, Physics in Nuclear Medicine, 4th ed., chapter 14: the formulas, K = 0.26 for hexagonal holes.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from math import hypot

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen
from attrs.validators import ge, gt

from lutra.core.errors import UsageError
from lutra.core.study import Camera, EnergyWindow
from lutra.physics.recovery import FWHM_PER_SIGMA

LEAD_PER_MM = 1.07
"""Attenuation of lead at 208 keV. [1/mm]"""
HEXAGONAL = 0.26
GAMMAS_208_PER_DECAY = 0.1038
"""Decay Data Evaluation Project, 177Lu."""
PEAK_EFFICIENCY = 0.44
"""Photons of 208 keV that are counted in the window by 9.5 mm of NaI; this value agrees with the sensitivities measured on
Symbia MELP and Discovery 870 MEGP."""
PEAK = EnergyWindow("208 keV", 187.6, 229.2)
LOWER = EnergyWindow("below 208 keV", 175.9, 186.7)
UPPER = EnergyWindow("above 208 keV", 228.4, 242.6)


@frozen
class GammaCamera:
    """A camera with one collimator.

    Parameters
    ----------
    name
        Key of the table `cameras.toml`.
    identity
        What its images say they come from.
    hole_mm, septum_mm, length_mm
        Collimator. [mm]
    cps_per_mbq
        Sensitivity of one head in the peak window, in air. [cps/MBq]
    tail_share
        Counts that went through or off the collimator's lead. [1]
    tau_s
        Paralysable dead time of a head for the whole spectrum. [s]
    intrinsic_fwhm_mm
        Resolution of the crystal. [mm]
    tail_length_mm
        Length of the exponential by which the counts of `tail_share` fall off along the detector. [mm]
    wide_over_peak
        Rate of the whole spectrum over that of the peak window: bremsstrahlung, 113 keV, scatter. [1]
    tew_over_scatter
        What the windows beside the peak make of the scatter in it, over the scatter. [1]
    gaussian_fwhm_mm
        Resolution at every distance, in place of the collimator's; for tests and teaching. [mm] None: collimator
    """

    name: str
    identity: Camera
    hole_mm: float = field(validator=gt(0.0))
    septum_mm: float = field(validator=gt(0.0))
    length_mm: float = field(validator=gt(2 / LEAD_PER_MM))
    cps_per_mbq: float = field(validator=gt(0.0))
    tail_share: float = field(validator=ge(0.0))
    tau_s: float = field(validator=ge(0.0))
    source: str = ""
    heads: int = 2
    intrinsic_fwhm_mm: float = 3.9
    tail_length_mm: float = 60.0
    wide_over_peak: float = 5.5
    tew_over_scatter: float = 1.12
    gaussian_fwhm_mm: float | None = None

    @property
    def effective_length_mm(self) -> float:
        """Length of the holes less what photons pass of their ends. [mm]"""
        return self.length_mm - 2 / LEAD_PER_MM

    @property
    def geometric_efficiency(self) -> float:
        """Photons that come through the holes, per photon emitted. [1]"""
        through = (HEXAGONAL * self.hole_mm / self.effective_length_mm) ** 2
        return through * (self.hole_mm / (self.hole_mm + self.septum_mm)) ** 2

    @property
    def derived_cps_per_mbq(self) -> float:
        """Sensitivity of one head as the collimator's dimensions give it. [cps/MBq]"""
        return self.geometric_efficiency * 1e6 * GAMMAS_208_PER_DECAY * PEAK_EFFICIENCY

    def fwhm_mm(self, distance_mm: float) -> float:
        """Full width at half maximum of a point at this distance from the collimator's face. [mm]"""
        if self.gaussian_fwhm_mm is not None:
            return self.gaussian_fwhm_mm
        geometric = self.hole_mm * (self.effective_length_mm + distance_mm) / self.effective_length_mm
        return hypot(geometric, self.intrinsic_fwhm_mm)

    def sigma_mm(self, distance_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give the standard deviation of the point-spread function at each distance. [mm] as the distances"""
        if self.gaussian_fwhm_mm is not None:
            return np.full_like(distance_mm, self.gaussian_fwhm_mm / FWHM_PER_SIGMA)
        geometric = self.hole_mm * (self.effective_length_mm + distance_mm) / self.effective_length_mm
        sigma: npt.NDArray[np.float64] = np.hypot(geometric, self.intrinsic_fwhm_mm) / FWHM_PER_SIGMA
        return sigma


@cache
def gamma_cameras() -> dict[str, GammaCamera]:
    """Every known camera, by name."""
    table = tomllib.loads((files("lutra.simulate.spect") / "cameras.toml").read_text("utf-8"))
    known = {}
    for name, row in table.items():
        identity = Camera(**{key: row.pop(key) for key in ("manufacturer", "model", "collimator")})
        known[name] = GammaCamera(name, identity, **row)
    return known


def gamma_camera(name: str) -> GammaCamera:
    """Look up a camera such as `symbia-melp`.

    Raises
    ------
    UsageError
        If it is not known; lists those that are.
    """
    known = gamma_cameras()
    if name not in known:
        raise UsageError(f"gamma camera {name!r} is not known", required=f"one of: {', '.join(known)}")
    return known[name]


def gaussian_camera(fwhm_mm: float) -> GammaCamera:
    """Return a camera that does nothing but blur: the same Gaussian at every distance, no tails, no dead time."""
    return evolve(
        gamma_camera("symbia-melp"), name=f"gaussian-{fwhm_mm:g}", gaussian_fwhm_mm=fwhm_mm, tail_share=0.0, tau_s=0.0
    )
